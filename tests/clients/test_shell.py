#!/usr/bin/python3 -B
"""clients/shell/classify.sh against a running daemon."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from proxy import Proxy, busy
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
    with Proxy(daemon, [busy(1)]) as proxy:
        done = subprocess.run([SCRIPT, "-u", proxy.url, picture_path("mare.jpg")], capture_output=True, text=True,
                              timeout=30 * harness.SLOW)
        assert len(proxy.requests) == 2 and done.returncode == 0, done
    assert json.loads(done.stdout.splitlines()[-1])["predictions"][0]["label"] == "horse"


@case()
def a_busy_server_is_not_waited_for_beyond_the_limit(daemon):
    with Proxy(daemon, [busy(30)]) as proxy:
        begin = time.monotonic()
        done = subprocess.run([SCRIPT, "-t", "2", "-u", proxy.url, picture_path("mare.jpg")], capture_output=True,
                              timeout=30 * harness.SLOW)
        assert done.returncode == 1 and time.monotonic() - begin < 30, done


@case()
def a_key_is_sent_and_not_shown(daemon):
    with Proxy(daemon) as proxy:
        done = subprocess.run([SCRIPT, "-u", proxy.url, picture_path("mare.jpg")], capture_output=True,
                              timeout=30 * harness.SLOW, env={**os.environ, "RESNEXTD_API_KEY": "open sesame"})
        assert done.returncode == 0 and "Authorization: Bearer open sesame\r\n" in proxy.requests[0], done


@case()
def nothing_is_left_of_it(daemon):
    folder = harness.path("temporary")
    os.mkdir(folder)
    with Proxy(daemon, [busy(20)]) as proxy:
        asking = subprocess.Popen([SCRIPT, "-u", proxy.url, picture_path("mare.jpg")], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder},
                                  start_new_session=True)
        harness.wait_until("it has asked", lambda: proxy.requests)
        assert os.listdir(folder)
        os.killpg(asking.pid, signal.SIGINT)
        assert asking.wait(10 * harness.SLOW) in (130, -signal.SIGINT), asking.returncode
    assert not os.listdir(folder), os.listdir(folder)


@case()
def a_wrong_call_is_2(daemon):
    assert subprocess.run([SCRIPT], capture_output=True).returncode == 2
    assert subprocess.run([SCRIPT, "-x"], capture_output=True).returncode == 2
    assert subprocess.run([SCRIPT, "-h"], capture_output=True).returncode == 0


if __name__ == "__main__":
    harness.main()
