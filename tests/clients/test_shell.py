#!/usr/bin/python3
"""clients/shell/classify.sh against a running daemon."""
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import case

SCRIPT = os.path.join(harness.TOP, "clients/shell/classify.sh")


def picture_path(name):
    return os.path.join(harness.DATA, "pictures", name)


def classify(daemon, *words):
    url = "http://%s:%d" % daemon.address
    done = subprocess.run([SCRIPT, "-u", url, *words], capture_output=True, text=True,
                          timeout=30 * harness.SLOW)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@case()
def one_answer_a_line(daemon):
    names = ["mare.jpg", "airliner.jpg"]
    files = [picture_path(name) for name in names]
    code, answers, errors = classify(daemon, "-k", "2", *files)
    assert (code, errors) == (0, ""), (code, errors)
    assert [a["predictions"][0]["label"] for a in answers] == ["horse", "airplane"], answers
    assert all(len(a["predictions"]) == 2 for a in answers)


@case()
def a_failed_file_does_not_stop_the_others(daemon):
    bad = harness.write("bad.jpg", "no picture")
    good = picture_path("mare.jpg")
    code, answers, errors = classify(daemon, bad, "/nonexistent.jpg", good)
    assert code == 1
    assert answers[0]["error"]["code"] == "not_jpeg"
    assert answers[1]["predictions"][0]["label"] == "horse"
    assert "/nonexistent.jpg" in errors


@case()
def the_model_is_asked_by_name(daemon):
    good = picture_path("mare.jpg")
    code, answers, _ = classify(daemon, "-m", "no-such-model", good)
    assert code == 1 and answers[0]["error"]["code"] == "model_unknown"
    code, answers, _ = classify(daemon, "-m", harness.MODEL_NAME, good)
    assert code == 0 and answers[0]["model"] == harness.MODEL_NAME


@case()
def it_comes_back_when_the_server_is_busy(daemon):
    """A server that refuses once, then passes the request on."""
    good = picture_path("mare.jpg")
    front = socket.create_server(("127.0.0.1", 0))
    refused = []

    def serve():
        with front.accept()[0] as connection:
            refused.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                               b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        with front.accept()[0] as connection, socket.create_connection(daemon.address) as back:
            back.sendall(connection.recv(65536))
            connection.sendall(back.recv(65536))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = "http://127.0.0.1:%d" % front.getsockname()[1]
    done = subprocess.run([SCRIPT, "-u", url, good], capture_output=True, text=True,
                          timeout=30 * harness.SLOW)
    thread.join()
    front.close()
    assert refused and done.returncode == 0, done
    assert json.loads(done.stdout.splitlines()[-1])["predictions"][0]["label"] == "horse"


@case()
def a_wrong_call_is_2(daemon):
    assert subprocess.run([SCRIPT], capture_output=True).returncode == 2
    assert subprocess.run([SCRIPT, "-x"], capture_output=True).returncode == 2
    assert subprocess.run([SCRIPT, "-h"], capture_output=True).returncode == 0


if __name__ == "__main__":
    harness.main()
