"""python3 -m resnextd: the calls of resnextd on the command line."""
from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from .client import Client, find_jpegs
from .errors import Rejected, ResnextdError, Unreachable
from .results import FileResult


def _count(word: str) -> int:
    """A number of things, 1 or more."""
    count = int(word)
    if count < 1:
        raise ValueError
    return count


_count.__name__ = "count"  # as argparse calls it: "invalid count value"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="resnextd-client", description="Asks a running resnextd.")
    parser.add_argument("--url", default=os.environ.get("RESNEXTD_URL", "http://127.0.0.1:8080"),
                        help="the server: http://HOST:PORT or unix:PATH (or RESNEXTD_URL; default %(default)s)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S",
                        help="seconds to wait for a silent or a busy server (default %(default)g)")
    parser.add_argument("--retries", type=int, default=5, metavar="N",
                        help="how often a busy server is asked again (default %(default)d)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="classify files, and the JPEGs below folders")
    classify.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER")
    classify.add_argument("--top-k", type=int, metavar="N", help="how many classes to name, at most")
    classify.add_argument("--jobs", type=_count, default=4, metavar="N", help="files at a time (default %(default)d)")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    embed = commands.add_parser("embed", help="write the features of a file as JSON")
    embed.add_argument("file", type=Path)
    embed.add_argument("--normalize", action="store_true", help="to Euclidean length 1")
    explain = commands.add_parser("explain", help="where the network found a class")
    explain.add_argument("file", type=Path)
    of = explain.add_mutually_exclusive_group()
    of.add_argument("--class", dest="of", metavar="LABEL|ID", help="default: the likeliest class")
    of.add_argument("--class-id", dest="of", type=int, metavar="ID", help="where labels are numbers too")
    explain.add_argument("--out", type=Path, metavar="FILE.jpg", help="the map over the picture; else JSON is written")
    for command in (classify, embed, explain):
        command.add_argument("--model", metavar="NAME", help="which of the server's models to ask")
    commands.add_parser("models", help="list the server's models as JSON")
    return parser


def _show_progress(done: int, total: int) -> None:
    width = max(10, min(40, shutil.get_terminal_size().columns - 30))
    filled = width * done // total
    sys.stderr.write(f"\r[{'#' * filled}{'.' * (width - filled)}] {done} of {total}" + ("\n" if done == total else ""))
    sys.stderr.flush()


def _as_json(result: FileResult) -> Dict[str, Any]:
    if result.classification:
        predictions = [vars(p) for p in result.classification.predictions]
        return {"file": str(result.path), "model": result.classification.model, "predictions": predictions}
    if isinstance(result.error, Rejected):
        error = {"code": result.error.code, "message": result.error.message}
    else:
        code = "unreachable" if isinstance(result.error, Unreachable) else "unreadable"
        error = {"code": code, "message": str(result.error)}
    return {"file": str(result.path), "error": error}


def _as_text(result: FileResult) -> str:
    if not result.classification:
        return f"{result.path}: {result.error}"
    classes = ", ".join(f"{p.label} {p.score:.4f}" for p in result.classification.predictions)
    return f"{result.path}: {classes}"


def _collect(paths: Sequence[Path]) -> List[Path]:
    files: List[Path] = []
    for path in paths:
        files.extend(find_jpegs(path) if path.is_dir() else [path])
    return files


def _classify(client: Client, args: argparse.Namespace) -> int:
    files = _collect(args.paths)
    if not files:
        raise ResnextdError(f"no JPEG is below {', '.join(map(str, args.paths))}")
    shows = sys.stderr.isatty() and len(files) > 1
    failed = 0
    results = client.classify_files(files, jobs=args.jobs, top_k=args.top_k, model=args.model)
    for done, result in enumerate(results, 1):
        failed += result.error is not None
        if shows and sys.stdout.isatty():
            sys.stderr.write("\r\033[K")
        print(json.dumps(_as_json(result)) if args.json else _as_text(result), flush=shows)
        if shows:
            _show_progress(done, len(files))
    return 1 if failed else 0


def _run(client: Client, args: argparse.Namespace) -> int:
    if args.command == "classify":
        return _classify(client, args)
    if args.command == "models":
        print(json.dumps(client.models(), indent=1))
    elif args.command == "embed":
        embedding = client.embed(args.file, normalize=args.normalize, model=args.model)
        print(json.dumps({"file": str(args.file), "model": embedding.model, "embedding": embedding.values}))
    elif args.out:
        args.out.write_bytes(client.overlay(args.file, of=args.of, model=args.model))
    else:
        found = client.explain(args.file, of=args.of, model=args.model)
        print(json.dumps({"file": str(args.file), **vars(found)}))
    return 0


def main(words: Optional[Sequence[str]] = None) -> int:
    """0: done; 1: something failed, and a line says what; 2: the call was wrong. The key for a server
    that wants one is taken from RESNEXTD_API_KEY, since command lines can be seen by others."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not of a script's job in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # at once, whatever the threads are waiting for
    args = _parser().parse_args(words)
    try:
        client = Client(args.url, api_key=os.environ.get("RESNEXTD_API_KEY"), timeout=args.timeout,
                        retries=args.retries)
    except ValueError as reason:
        print(f"resnextd-client: {reason}", file=sys.stderr)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are no text
    try:
        with client:
            code = _run(client, args)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # who reads has enough, and Python is not to complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ResnextdError, OSError) as reason:
        print(f"resnextd-client: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
