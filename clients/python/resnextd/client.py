"""The calls of resnextd."""
from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set, TypeVar, Union
from urllib.parse import urlencode

from .errors import Busy, Rejected, ResnextdError
from .results import ActivationMap, Classification, Embedding, FileResult
from .transport import Answer, Transport

Source = Union[bytes, bytearray, memoryview, str, "os.PathLike[str]", IO[bytes]]
T = TypeVar("T")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


def _is_hidden(name: str) -> bool:
    """What macOS and network storage put beside pictures, "._NAME.jpg" for one, counts as hidden."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def find_jpegs(folder: Union[str, "os.PathLike[str]"]) -> List[Path]:
    """The files below a folder whose names look like a JPEG's, sorted; not what is hidden in it."""
    return sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
                  and not any(map(_is_hidden, p.relative_to(folder).parts)))


def _read(source: Source) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    return source.read()


def _class_of(of: Union[int, str, None]) -> Dict[str, Union[int, str, None]]:
    """A query parameter. A label may be a number, too."""
    return {"class_id" if isinstance(of, int) else "class": of}


def _failure(answer: Answer) -> Rejected:
    try:
        body = json.loads(answer.body)
        error, request_id = body["error"], body.get("request_id", "")
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError):
        code, message, request_id = "unknown", f"HTTP status {answer.status}", ""
    if answer.status != 503:
        return Rejected(answer.status, code, message, request_id)
    after = answer.headers.get("Retry-After", "1")
    return Busy(answer.status, code, message, request_id, float(after) if after.isdecimal() else 1.0)


def _read_as(kind: Callable[[Any], T], answer: Answer) -> T:
    """What a 200 says; a page of a proxy, say, is none of the server's answers."""
    try:
        return kind(json.loads(answer.body))
    except (ValueError, KeyError, TypeError) as reason:
        raise Rejected(answer.status, "bad_answer", "this is no answer of resnextd") from reason


class Client:
    """A server's calls. May be shared by threads; close it, or use it in a `with`.

    `timeout` is how many seconds a call waits for a silent or a busy server; `retries` is how often a
    busy one is asked again."""

    def __init__(self, url: str = "http://127.0.0.1:8080", *, api_key: Optional[str] = None,
                 timeout: float = 60.0, retries: int = 5) -> None:
        if retries < 0:
            raise ValueError("retries must be 0 or more")
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"timeout must be above 0 and at most {threading.TIMEOUT_MAX:.0f} seconds")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("an API key is of printable ASCII")
        self._transport = Transport(url)
        self._headers: Dict[str, str] = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout, self._retries = timeout, retries

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # --- pictures ---

    def classify(self, source: Source, *, top_k: Optional[int] = None,
                 model: Optional[str] = None) -> Classification:
        """The likeliest classes of a JPEG, at most `top_k`: its bytes, its path or an open file."""
        return self._post(Classification.of, "/classify", source, {"top_k": top_k, "model": model})

    def embed(self, source: Source, *, normalize: bool = False, model: Optional[str] = None) -> Embedding:
        """The pooled features of a JPEG; `normalize` makes their Euclidean length 1."""
        query = {"normalize": "1" if normalize else None, "model": model}
        return self._post(Embedding.of, "/embed", source, query)

    def explain(self, source: Source, *, of: Union[int, str, None] = None,
                model: Optional[str] = None) -> ActivationMap:
        """Where the network found a class (an id, or as a string its label; None: the likeliest one)."""
        query = {**_class_of(of), "format": "json", "model": model}
        return self._post(ActivationMap.of, "/explain", source, query)

    def overlay(self, source: Source, *, of: Union[int, str, None] = None,
                model: Optional[str] = None) -> bytes:
        """The same as a JPEG: the map over the picture."""
        query = {**_class_of(of), "format": "jpeg", "model": model}
        return self._ask("POST", "/explain", query, _read(source)).body

    def classify_files(self, paths: Iterable[Union[str, "os.PathLike[str]"]], *, jobs: int = 4,
                       top_k: Optional[int] = None, model: Optional[str] = None) -> Iterator[FileResult]:
        """Classifies `jobs` files at a time; yields each as it is done. A file's failure is its
        result's `error`; it does not end the others."""
        def one(path: Path) -> FileResult:
            try:
                return FileResult(path, self.classify(path, top_k=top_k, model=model))
            except OSError as reason:
                error = ResnextdError(f"cannot read it: {reason.strerror}")
                return FileResult(path, error=error)
            except ResnextdError as reason:
                return FileResult(path, error=reason)

        remaining = iter(paths)
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            running: Set[Future[FileResult]] = set()
            try:
                while True:
                    for path in remaining:
                        running.add(pool.submit(one, Path(path)))
                        if len(running) >= 2 * jobs:
                            break
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                for future in running:
                    future.cancel()

    def classify_folder(self, folder: Union[str, "os.PathLike[str]"], *, jobs: int = 4,
                        top_k: Optional[int] = None, model: Optional[str] = None) -> Iterator[FileResult]:
        """classify_files of every JPEG below a folder."""
        return self.classify_files(find_jpegs(folder), jobs=jobs, top_k=top_k, model=model)

    # --- the server ---

    def models(self) -> List[Dict[str, Any]]:
        """What is loaded, as /models says."""
        def of(answer: Any) -> List[Dict[str, Any]]:
            return list(answer["models"])
        return _read_as(of, self._ask("GET", "/models", {}, None))

    def ready(self) -> bool:
        """Whether it takes work now. Unreachable if it does not even answer."""
        deadline = time.monotonic() + self._timeout
        return self._transport.ask("GET", "/readyz", None, self._headers, deadline).status == 200

    # --- how ---

    def _post(self, kind: Callable[[Any], T], path: str, source: Source, query: Mapping[str, Any]) -> T:
        return _read_as(kind, self._ask("POST", path, query, _read(source)))

    def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Optional[bytes]) -> Answer:
        given = {key: value for key, value in query.items() if value is not None}
        target = path + ("?" + urlencode(given) if given else "")
        headers = {**self._headers, **({"Content-Type": "image/jpeg"} if body is not None else {})}
        deadline = time.monotonic() + self._timeout
        for tries_left in range(self._retries, -1, -1):
            answer = self._transport.ask(method, target, body, headers, deadline)
            if answer.status == 200:
                return answer
            failure = _failure(answer)
            wait_s = failure.retry_after if isinstance(failure, Busy) else 0.0
            if not isinstance(failure, Busy) or tries_left == 0 or time.monotonic() + wait_s >= deadline:
                break
            time.sleep(wait_s)
        raise failure
