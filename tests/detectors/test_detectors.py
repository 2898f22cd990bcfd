#!/usr/bin/python3 -B
"""What this build claims to detect is detected: each planted mistake ends its program as the tool ends
one, and with the tool's report of this very kind. A sanitizer that is silently off fails here."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import harness
from harness import SLOW, case

CLAIMED = [name for name in os.environ.get("sanitizers", "").split(",") if name]
PLANTED = os.path.join(harness.BUILD, "tests/detectors/planted")
VALGRIND = os.path.join(harness.TOP, "tests/detectors/valgrind.sh")
# Sanitizer: {mistake: (exit code, what the report says)}
SANITIZERS = {
    "address": {"overflow": (1, "AddressSanitizer: heap-buffer-overflow"),
                "use_after_free": (1, "AddressSanitizer: heap-use-after-free"),
                "leak": (1, "LeakSanitizer: detected memory leaks")},
    "undefined": {"undefined": (1, "runtime error: signed integer overflow")},
    "thread": {"race": (66, "ThreadSanitizer: data race"),
               "use_after_free": (66, "ThreadSanitizer: heap-use-after-free")},
}
MEMCHECK = {"overflow": (99, "Invalid write of size 1"),
            "use_after_free": (99, "Invalid read of size 1"),
            "leak": (99, "definitely lost"),
            "uninitialised": (99, "depends on uninitialised value")}


def run(mistake, wrapper=()):
    """(exit code, report) of a planted mistake, "" for none, as a test of this build runs."""
    done = subprocess.run([*wrapper, PLANTED, *([mistake] if mistake else [])], capture_output=True,
                          text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL,
                          env={**os.environ, "top_srcdir": harness.TOP})
    return done.returncode, done.stdout + done.stderr


def check(expected, wrapper=()):
    code, report = run("", wrapper)
    assert code == 0 and not report, f"no mistake, and it says {code}: {report}"
    for mistake, (wanted, words) in expected.items():
        code, report = run(mistake, wrapper)
        assert code == wanted, f"{mistake}: exit code {code}, not {wanted}: {report}"
        assert words in report, f"{mistake}: no {words!r} in: {report}"


def claimed(name):
    if name not in CLAIMED:
        raise harness.Skip(f"configured without {name}")
    check(SANITIZERS[name])
    for mistake in SANITIZERS[name]:
        assert harness.SANITIZER_REPORT.search(run(mistake)[1]), f"the harness overlooks {mistake}"


@case(own=None, seconds=120)
def address_sanitizer_finds_overflows_and_leaks():
    claimed("address")


@case(own=None, seconds=60)
def undefined_behaviour_sanitizer_finds_overflows():
    claimed("undefined")


@case(own=None, seconds=60)
def thread_sanitizer_finds_races():
    claimed("thread")


@case(own=None)
def the_daemon_is_built_with_what_is_claimed():
    built = harness.SANITIZER
    assert built in (*CLAIMED, None), f"{built} is built in and not claimed: {CLAIMED}"
    for name in ("address", "thread"):
        assert (name in CLAIMED) == (name == built), f"claimed {CLAIMED}, built with {built}"
    assert set(CLAIMED) <= set(SANITIZERS), f"nothing is planted for some of {CLAIMED}"


@case(own=None, seconds=120)
def memcheck_finds_overflows_leaks_and_what_was_never_written():
    if CLAIMED:
        raise harness.Skip("valgrind runs no sanitizers")
    if not shutil.which("valgrind"):
        raise harness.Skip("no valgrind")
    check(MEMCHECK, [VALGRIND])


if __name__ == "__main__":
    harness.main()
