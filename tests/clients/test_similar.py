#!/usr/bin/python3
"""clients/examples/similar.py against a running daemon."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from proxy import Proxy, busy
from harness import case

SCRIPT = os.path.join(harness.TOP, "clients/examples/similar.py")
PICTURES = os.path.join(harness.DATA, "pictures")


def similar(daemon, *words, env=None):
    """(exit code, [(cosine, path)], standard error)."""
    env = {"RESNEXTD_URL": "http://%s:%d" % daemon.address, "XDG_CACHE_HOME": cache(), **(env or {})}
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True,
                          timeout=60 * harness.SLOW, env={**os.environ, **env})
    rows = [line.split("  ", 1) for line in done.stdout.splitlines()]
    return done.returncode, [(float(score), path) for score, path in rows], done.stderr


def cache():
    return harness.path("cache")


def index():
    """The file of the one folder that has been searched since the cache was emptied."""
    name, = os.listdir(os.path.join(cache(), "resnextd"))
    return os.path.join(cache(), "resnextd", name)


def images(daemon):
    return daemon.metrics().sum("resnextd_images_total")


def album(name):
    """A copy of the tree's pictures, one of them in a folder of its own."""
    folder = harness.path(name)
    shutil.copytree(PICTURES, folder, copy_function=shutil.copyfile)
    os.chmod(folder, 0o755)
    os.mkdir(os.path.join(folder, "more"))
    shutil.copyfile(os.path.join(PICTURES, "mare.jpg"), os.path.join(folder, "more", "again.JPEG"))
    return folder


@case()
def a_picture_is_most_like_itself(daemon):
    folder = album("first")
    wanted = os.path.join(folder, "mare.jpg")
    code, rows, errors = similar(daemon, "-n", "4", wanted, folder)
    assert (code, errors, len(rows)) == (0, "", 4), (code, errors, rows)
    assert {path for _, path in rows[:2]} == {wanted, os.path.join(folder, "more/again.JPEG")}, rows
    assert rows[0][0] == rows[1][0] == 1 and rows[2][0] < 0.999, rows
    assert [score for score, _ in rows] == sorted((score for score, _ in rows), reverse=True), rows


@case()
def only_new_pictures_are_sent_again(daemon):
    folder = album("second")
    wanted = os.path.join(folder, "toad.jpg")
    count = sum(len(names) for _, _, names in os.walk(folder))
    before = images(daemon)
    first = similar(daemon, wanted, folder)
    assert images(daemon) == before + count + 1, (before, images(daemon), count)
    assert similar(daemon, wanted, folder) == first
    assert images(daemon) == before + count + 2, "known pictures were sent again"
    shutil.copyfile(os.path.join(PICTURES, "lorry.jpg"), wanted)
    similar(daemon, wanted, folder)
    assert images(daemon) == before + count + 4, "a changed picture was not sent again"


@case(own=None)
def other_weights_begin_anew():
    """A model of the same name has other features: none of the old ones may be compared with them."""
    folder = album("weights")
    wanted = os.path.join(folder, "toad.jpg")
    for model in (harness.MODEL, os.path.join(harness.DATA, "tiny-imagenet-style")):
        with harness.Daemon(["--model", "same=" + model]) as daemon:
            code, rows, errors = similar(daemon, "-m", "same", wanted, folder)
            assert (code, errors, rows[0]) == (0, "", (1.0, wanted)), (model, rows[:2], errors)


@case(own=None)
def a_key_is_sent():
    key = "open-sesame-if-you-please"
    line = subprocess.run([harness.DAEMON, "--hash-api-key"], input=key, text=True, capture_output=True).stdout
    with harness.Daemon(["--api-keys", harness.write("keys", line)], wait=False) as daemon:
        assert daemon.notified(10 * harness.SLOW), daemon.log()
        folder = album("locked")
        wanted = os.path.join(folder, "toad.jpg")
        assert similar(daemon, wanted, folder)[0] == 1
        code, rows, errors = similar(daemon, wanted, folder, env={"RESNEXTD_API_KEY": key})
        assert (code, errors, rows[0]) == (0, "", (1.0, wanted)), (rows, errors)


@case()
def connections_are_kept_and_a_busy_server_is_asked_again(daemon):
    folder = album("kept")
    with Proxy(daemon, [busy(0)]) as proxy:
        done = subprocess.run([SCRIPT, "-u", proxy.url, os.path.join(folder, "toad.jpg"), folder],
                              env={**os.environ, "XDG_CACHE_HOME": cache()},
                              capture_output=True, text=True, timeout=60 * harness.SLOW)
        assert done.returncode == 0 and not done.stderr, done
        assert proxy.connections <= 4 < len(proxy.requests), (proxy.connections, proxy.requests)


@case()
def what_fails_is_said(daemon):
    folder = album("third")
    with open(os.path.join(folder, "junk.jpg"), "wb") as file:
        file.write(b"no picture")
    wanted = os.path.join(folder, "toad.jpg")
    code, rows, errors = similar(daemon, wanted, folder)
    assert code == 0 and len(rows) == 10 and "junk.jpg" in errors, (code, rows, errors)
    code, rows, errors = similar(daemon, os.path.join(folder, "junk.jpg"), folder)
    assert code == 1 and not rows and "junk.jpg" in errors, (code, errors)
    code, rows, errors = similar(daemon, "-m", "nope", wanted, folder)
    assert code == 1 and "nope" in errors, (code, errors)
    code, rows, errors = similar(daemon, wanted, "/nonexistent")
    assert code == 1 and "no folder" in errors, (code, errors)


@case()
def the_folder_is_only_read(daemon):
    folder = album("read")
    before = sorted(os.listdir(folder))
    wanted = os.path.join(folder, "toad.jpg")
    shutil.rmtree(cache(), ignore_errors=True)
    for home in ({}, {"XDG_CACHE_HOME": "", "HOME": os.path.join(cache(), "home")},
                 {"XDG_CACHE_HOME": "relative", "HOME": os.path.join(cache(), "home")}):
        code, _, errors = similar(daemon, wanted, folder, env=home)
        assert (code, errors, sorted(os.listdir(folder))) == (0, "", before), (code, errors)
    assert len(os.listdir(os.path.join(cache(), "resnextd"))) == 1
    assert os.listdir(os.path.join(cache(), "home", ".cache", "resnextd")) == [os.path.basename(index())]


@case()
def an_index_is_no_condition(daemon):
    folder = album("fourth")
    wanted = os.path.join(folder, "toad.jpg")
    shutil.rmtree(cache(), ignore_errors=True)
    harness.write("cache", "")  # stands for a cache that cannot be written
    code, rows, errors = similar(daemon, "-n", "3", wanted, folder)
    assert code == 0 and len(rows) == 3, (code, errors)
    assert "not kept" in errors and cache() in errors and len(errors.splitlines()) == 1, errors
    os.remove(cache())
    assert similar(daemon, "-n", "3", wanted, folder)[2] == ""
    for foreign in ("[]", '{"weights": 1}', "{"):
        with open(index(), "w", encoding="utf-8") as file:
            file.write(foreign)
        code, rows, errors = similar(daemon, "-n", "3", wanted, folder)
        assert (code, len(rows), errors) == (0, 3, ""), (foreign, code, errors)


if __name__ == "__main__":
    harness.main()
