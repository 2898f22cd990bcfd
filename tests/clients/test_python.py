#!/usr/bin/python3 -B
"""clients/python against a running daemon."""
import ast
import contextlib
import io
import json
import math
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration"), os.path.join(HERE, "../../clients/python")]
import harness
from proxy import Proxy, busy
from harness import SLOW, Skip, case

from resnextd import Busy, Client, Rejected, Unreachable

PACKAGE = os.path.join(harness.TOP, "clients/python")
PICTURES = os.path.join(harness.DATA, "pictures")
MARE = os.path.join(PICTURES, "mare.jpg")


def url_of(daemon):
    return "http://%s:%d" % daemon.address


def client_of(daemon, **more):
    return Client(url_of(daemon), timeout=20 * SLOW, **more)


def fails(kind, call):
    """The exception of this kind that the call raises."""
    try:
        call()
    except kind as reason:
        assert type(reason) is kind, repr(reason)
        return reason
    raise AssertionError(f"no {kind.__name__}")


def command(*words, env=None, **more):
    return subprocess.run([sys.executable, "-m", "resnextd", *words], capture_output=True, text=True,
                          timeout=30 * SLOW, cwd=PACKAGE, **more,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})})


def needs(daemon, path):
    if daemon.ask("POST", path, body=harness.reference()[0]).status == 404:
        raise Skip(f"this server has no {path}")


@case()
def a_picture_comes_as_bytes_path_or_file(daemon):
    data = pathlib.Path(MARE).read_bytes()
    with client_of(daemon) as client:
        for source in (data, bytearray(data), MARE, pathlib.Path(MARE), io.BytesIO(data)):
            answer = client.classify(source)
            assert (answer.best.label, answer.best.class_id) == ("horse", 7), answer
            assert answer.best.score > 0.9 and len(answer.predictions) == 5, answer
            assert (answer.width, answer.height, answer.model) == (32, 32, harness.MODEL_NAME), answer
            assert answer.timing_ms["inference"] > 0 and answer.request_id, answer
        assert len(client.classify(MARE, top_k=2, model=harness.MODEL_NAME).predictions) == 2


@case()
def a_no_says_why(daemon):
    with client_of(daemon) as client:
        reason = fails(Rejected, lambda: client.classify(b"no picture"))
        assert (reason.status, reason.code) == (415, "not_jpeg"), reason
        assert reason.request_id and "JPEG" in str(reason), reason
        assert fails(Rejected, lambda: client.classify(MARE, model="a&b")).code == "model_unknown"
        assert fails(Rejected, lambda: client.classify(MARE, top_k=0)).status == 400
        fails(FileNotFoundError, lambda: client.classify("/nonexistent.jpg"))


@case(["--max-body-bytes", "65536"])
def a_no_before_the_upload_is_read_is_understood(daemon):
    with client_of(daemon) as client:
        for _ in range(5):
            assert fails(Rejected, lambda: client.classify(bytes(4000000))).status == 413


@case()
def connections_are_kept(daemon):
    with Proxy(daemon) as proxy, Client(proxy.url, timeout=20 * SLOW) as client:
        for _ in range(10):
            client.classify(MARE)
        fails(Rejected, lambda: client.classify(b"no picture"))
        assert client.ready() and client.models()[0]["classes"] == 10
        assert proxy.connections == 1, proxy.connections


@case()
def a_kept_connection_that_is_gone_is_replaced(daemon):
    with Proxy(daemon) as proxy, Client(proxy.url, timeout=20 * SLOW) as client:
        client.classify(MARE)
        proxy.answers.append(b"")
        assert client.classify(MARE).best.label == "horse"
        assert proxy.connections == 2, proxy.connections


@case()
def a_busy_server_is_asked_again(daemon):
    with Proxy(daemon, [busy(1), busy(0)]) as proxy, Client(proxy.url, timeout=20 * SLOW) as client:
        begin = time.monotonic()
        assert client.classify(MARE).best.label == "horse"
        assert time.monotonic() - begin >= 1.0, "it did not wait"
        assert len(proxy.requests) == 3, proxy.requests


@case()
def a_server_that_stays_busy_is_left(daemon):
    with Proxy(daemon, [busy(0)] * 9) as proxy, Client(proxy.url, retries=2, timeout=20 * SLOW) as client:
        reason = fails(Busy, lambda: client.classify(MARE))
        assert (reason.code, reason.retry_after) == ("overloaded", 0.0), reason
        assert len(proxy.requests) == 3, proxy.requests
    with Proxy(daemon, [busy(100)] * 9) as proxy, Client(proxy.url, timeout=2) as client:
        harness.quick(2, lambda: fails(Busy, lambda: client.classify(MARE)))  # or it waits for what cannot come in time


@case()
def silence_is_bounded(daemon):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Client("http://127.0.0.1:%d" % silent.getsockname()[1], timeout=0.5) as client:
            begin = time.monotonic()
            harness.quick(3, lambda: fails(Unreachable, lambda: client.classify(MARE)))
            assert 0.4 < time.monotonic() - begin
    with Client("http://127.0.0.1:%d" % harness.free_port()[1], timeout=2) as client:
        fails(Unreachable, lambda: client.ready())
    for url in ("", "127.0.0.1:8080", "ftp://x", "http://"):
        fails(ValueError, lambda url=url: Client(url))
    for seconds in (0, -1, math.nan, math.inf, 1e20):
        fails(ValueError, lambda seconds=seconds: Client(timeout=seconds))
    for key in ("schl\u00fcssel", "two\nlines"):
        fails(ValueError, lambda key=key: Client(api_key=key))
    with Client("http://a..b") as client:
        fails(Unreachable, lambda: client.ready())


@case()
def threads_share_a_client(daemon):
    wrong = []
    with client_of(daemon) as client:
        def ask():
            for _ in range(10):
                if client.classify(MARE).best.label != "horse":
                    wrong.append(1)
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@case()
def a_folder_is_classified(daemon):
    folder = pathlib.Path(harness.path("folder"))
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(pathlib.Path(MARE).read_bytes())
    (folder / "deep/b.JPEG").write_bytes(pathlib.Path(PICTURES, "airliner.jpg").read_bytes())
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    for hidden in ("._a.jpg", ".h/c.jpg", "deep/@eaDir/b.JPEG", "__MACOSX/deep/d.jpg"):
        (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
        (folder / hidden).write_bytes(b"of another program")
    with client_of(daemon) as client:
        results = {r.path.name: r for r in client.classify_folder(folder, jobs=2)}
        assert set(results) == {"a.jpg", "b.JPEG", "bad.jpg"}, results
        assert results["a.jpg"].classification.best.label == "horse", results
        assert results["b.JPEG"].classification.best.label == "airplane", results
        assert results["bad.jpg"].error.code == "not_jpeg" and not results["bad.jpg"].classification
        early = client.classify_files([MARE] * 50, jobs=2)
        assert next(early).classification
        early.close()


def answer_of(body):
    """The bytes of a 200."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@case()
def what_is_no_answer_of_the_server_ends_no_others(daemon):
    foreign = [answer_of(body) for body in (b"<html>", b"{}", b"[]", b'{"model": 1, "request_id": 1, "predictions": 3}')]
    with Proxy(daemon, list(foreign)) as proxy, Client(proxy.url, timeout=20 * SLOW) as client:
        results = list(client.classify_files([MARE] * 5, jobs=1))
        assert [type(r.error) for r in results] == [Rejected] * 4 + [type(None)], results
        assert {r.error.code for r in results[:4]} == {"bad_answer"}, results
    for call in ("embed", "explain", "classify"):
        with Proxy(daemon, list(foreign)) as proxy, Client(proxy.url, timeout=20 * SLOW) as client:
            fails(Rejected, lambda: getattr(client, call)(MARE))
    with Proxy(daemon, list(foreign)) as proxy:
        done = command("--url", proxy.url, "models")
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done


@case()
def ctrl_c_ends_it_at_once(daemon):
    with Proxy(daemon, [busy(20)] * 9) as proxy:
        asking = subprocess.Popen([sys.executable, "-B", "-m", "resnextd", "--url", proxy.url, "classify", MARE, MARE],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PACKAGE)
        harness.wait_until("both are asked about", lambda: len(proxy.requests) == 2)
        begin = time.monotonic()
        asking.send_signal(signal.SIGINT)
        told = asking.communicate(timeout=60 * SLOW)
        assert asking.returncode == -signal.SIGINT and told == (b"", b""), (asking.returncode, told)
        assert time.monotonic() - begin < 15, "it waited for the server"


@case()
def ctrl_c_is_ignored_in_the_background(daemon):
    with Proxy(daemon, [busy(1)]) as proxy:
        asking = subprocess.Popen([sys.executable, "-B", "-m", "resnextd", "--url", proxy.url, "classify", MARE],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PACKAGE,
                                  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        harness.wait_until("it has asked", lambda: proxy.requests)
        asking.send_signal(signal.SIGINT)
        told = asking.communicate(timeout=60 * SLOW)
        assert asking.returncode == 0 and told[0].startswith(MARE.encode()), (asking.returncode, told)


@case()
def any_file_name_is_written(daemon):
    name = os.fsencode(harness.path("")) + b"odd\xff.jpg"
    pathlib.Path(os.fsdecode(name)).write_bytes(pathlib.Path(MARE).read_bytes())
    done = subprocess.run([sys.executable, "-B", "-m", "resnextd", "--url", url_of(daemon), "classify", name],
                          capture_output=True, cwd=PACKAGE, timeout=30 * SLOW,
                          env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert done.returncode == 0 and done.stdout.startswith(name + b": horse "), done


@case(own=None)
def a_unix_socket_is_an_address():
    path = harness.path("s")
    with harness.Daemon(["--listen", f"unix:{path}"], listen=False, wait=False) as daemon:
        daemon.address = None
        assert daemon.notified(10 * SLOW), daemon.log()
        with Client(f"unix:{path}", timeout=20 * SLOW) as client:
            assert client.classify(MARE).best.label == "horse" and client.ready()


@case()
def a_key_is_sent(daemon):
    with Proxy(daemon) as proxy:
        with Client(proxy.url, api_key="open sesame", timeout=20 * SLOW) as client:
            client.classify(MARE)
            client.models()
        assert all("Authorization: Bearer open sesame\r\n" in head for head in proxy.requests)
        done = command("--url", proxy.url, "models", env={"RESNEXTD_API_KEY": "from outside"})
        assert done.returncode == 0 and "Bearer from outside" in proxy.requests[-1], done


@case()
def embeddings_are_read(daemon):
    needs(daemon, "/embed")
    with client_of(daemon) as client:
        plain, unit = client.embed(MARE), client.embed(MARE, normalize=True)
    length = math.sqrt(sum(v * v for v in plain.values))
    assert len(plain.values) == len(unit.values) > 1 and length > 0
    assert all(abs(p / length - u) < 1e-4 for p, u in zip(plain.values, unit.values))


@case()
def maps_are_read(daemon):
    needs(daemon, "/explain")
    with client_of(daemon) as client:
        best, other = client.explain(MARE), client.explain(MARE, of="cat")
        assert client.explain(MARE, of=other.class_id) == other
        assert client.overlay(MARE)[:2] == b"\xff\xd8"
    assert best.label == "horse" and other.class_id == 3, (best, other)
    assert len(best.values) > 1 and {len(row) for row in best.values} == {len(best.values[0])}
    assert best.values != other.values


@case()
def the_command_line_works(daemon):
    done = command("--url", url_of(daemon), "classify", "--json", "--top-k", "1", MARE, "/nonexistent.jpg")
    rows = {row["file"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1 and not done.stderr, done
    assert [p["label"] for p in rows[MARE]["predictions"]] == ["horse"], rows
    assert rows["/nonexistent.jpg"]["error"]["code"] == "unreadable", rows
    done = command("classify", MARE, env={"RESNEXTD_URL": url_of(daemon)})
    assert (done.returncode, done.stderr) == (0, "") and "mare.jpg: horse 0.9" in done.stdout, done
    assert json.loads(command("--url", url_of(daemon), "models").stdout)[0]["name"] == harness.MODEL_NAME
    done = command("--url", "nonsense", "models")
    assert done.returncode == 2 and "address" in done.stderr, done
    assert command("classify").returncode == 2
    for words in (["--url", "http://h:abc", "models"], ["--retries", "-1", "models"], ["classify", "--jobs", "0", MARE],
                  ["--timeout", "nan", "models"]):
        done = command(*words)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done
    os.makedirs(harness.path("empty"), exist_ok=True)
    done = command("--url", url_of(daemon), "classify", harness.path("empty"))
    assert done.returncode == 1 and "no JPEG" in done.stderr, done
    done = command("--url", "http://127.0.0.1:1", "models")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done


@case()
def who_reads_may_have_enough(daemon):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-B", "-m", "resnextd", "--url", url_of(daemon), "classify", MARE],
                          stdout=writing, stderr=subprocess.PIPE, cwd=PACKAGE, timeout=30 * SLOW)
    os.close(writing)
    assert done.stderr == b"", done


def read_all(master):
    """What came to a terminal that is closed."""
    shown = b""
    with contextlib.suppress(OSError):  # EIO is its end
        while some := os.read(master, 65536):
            shown += some
    return shown


@case()
def a_terminal_shows_progress(daemon):
    master, terminal = pty.openpty()
    done = subprocess.run([sys.executable, "-B", "-m", "resnextd", "--url", url_of(daemon), "classify", "--json",
                           PICTURES], stdout=subprocess.PIPE, stderr=terminal, cwd=PACKAGE, timeout=30 * SLOW)
    os.close(terminal)
    shown = read_all(master).decode()
    os.close(master)
    count = len(os.listdir(PICTURES))
    assert f"[{'#' * 40}] {count} of {count}\r\n" in shown and f"1 of {count}" in shown, shown
    assert len(done.stdout.splitlines()) == count, done


@case(own=None)
def python_3_9_can_parse_it():
    files = sorted(pathlib.Path(PACKAGE, "resnextd").glob("*.py"))
    assert len(files) == 6, files
    for file in files:
        ast.parse(file.read_text(), str(file), feature_version=(3, 9))


@case(own=None, seconds=60)
def its_types_are_right():
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", harness.path("mypy"), "resnextd"],
                          capture_output=True, text=True, cwd=PACKAGE)
    if "No module named mypy" in done.stderr:
        raise Skip("there is no mypy")
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    harness.main()
