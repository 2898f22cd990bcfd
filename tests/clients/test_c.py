#!/usr/bin/python3 -B
"""clients/c, built with its own Makefile, against a running daemon."""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness
from proxy import Proxy, busy
from harness import SLOW, Skip, case

MARE = os.path.join(harness.DATA, "pictures", "mare.jpg")


def program(cache={}):
    """The example, built once, with sanitizers and every warning."""
    if "it" not in cache:
        if not shutil.which("pkg-config") or subprocess.run(["pkg-config", "libcurl", "jansson"]).returncode != 0:
            raise Skip("there is no libcurl with headers")
        folder = harness.path("c")
        os.makedirs(folder)
        flags = "-O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror -fsanitize=address,undefined"
        done = subprocess.run(["make", "-f", os.path.join(harness.TOP, "clients/c/Makefile"), "CFLAGS=" + flags],
                              cwd=folder, capture_output=True, text=True,
                              env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))})
        assert done.returncode == 0, done.stdout + done.stderr
        cache["it"] = os.path.join(folder, "classify")
    return cache["it"]


def classify(url, *files, env=None):
    done = subprocess.run([program(), *files], capture_output=True, text=True, timeout=30 * SLOW,
                          env={**os.environ, "RESNEXTD_URL": url, **(env or {})})
    assert not harness.SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


@case(seconds=60)
def files_are_classified(daemon):
    url = "http://%s:%d/" % daemon.address
    done = classify(url, MARE, harness.write("bad.jpg", "no picture"), "/nonexistent.jpg", MARE)
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and "/nonexistent.jpg" in done.stderr, done
    assert lines[0].startswith(f"{MARE}: horse 0.9") and lines[2] == lines[0], done
    assert lines[1].endswith("(not_jpeg)"), done
    assert classify(url, MARE).returncode == 0
    folder = classify(url, harness.path("."))
    assert folder.returncode == 1 and "directory" in folder.stderr, folder


@case()
def a_busy_server_is_asked_again_on_the_same_connection(daemon):
    with Proxy(daemon, [busy(1), busy(0)]) as proxy:
        begin = time.monotonic()
        done = classify(proxy.url, MARE, MARE, env={"RESNEXTD_API_KEY": "open sesame"})
        assert done.returncode == 0 and done.stdout.count("horse") == 2, done
        assert time.monotonic() - begin >= 1.0, "it did not wait"
        assert (len(proxy.requests), proxy.connections) == (4, 1), proxy.requests
        assert all("Authorization: Bearer open sesame\r\n" in head for head in proxy.requests)


@case(own=None)
def an_authority_of_ones_own_is_trusted():
    cert, key = harness.certificate("authority")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--tls-cert", cert, "--tls-key", key, "--listen", f"127.0.0.1:{port}"]
    with harness.Daemon(options, wait=False) as daemon:
        daemon.tls = ssl.create_default_context(cafile=cert)
        daemon.wait_ready()
        url = f"https://localhost:{port}"
        done = classify(url, MARE, env={"CURL_CA_BUNDLE": cert})
        assert done.returncode == 0 and "horse" in done.stdout, done
        done = classify(url, MARE)
        assert done.returncode == 1 and "unreachable" in done.stdout, done


@case()
def what_is_no_answer_is_told(daemon):
    nonsense = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    odd = b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"predictions":[{},{}]}'
    for answer in (nonsense, odd):
        with Proxy(daemon, [answer]) as proxy:
            done = classify(proxy.url, MARE)
            assert done.returncode == 1 and "bad_answer" in done.stdout, done
    done = classify("http://127.0.0.1:1", MARE)
    assert done.returncode == 1 and "unreachable" in done.stdout, done
    assert classify("nonsense", MARE).returncode == 2
    assert classify("http://127.0.0.1:1").returncode == 2


if __name__ == "__main__":
    harness.main()
