#!/usr/bin/python3 -B
"""A short soak, and that a soak sees what goes wrong slowly. RESNEXT_TEST_SOAK_SHORT seconds each (20).
What a busy machine can upset is for the long one to judge."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))

import harness
import soak
from harness import case, shim

SECONDS = float(os.environ.get("RESNEXT_TEST_SOAK_SHORT", "20"))


def run(seconds, *words, timed=False, **planted):
    """The bounds that did not hold, of those that no busy host can upset; with `timed`, of all."""
    settings = soak.options(["--seconds", str(seconds), "--capacity-seconds", "3", *words])
    env = {"LD_PRELOAD": shim("leaking"), **planted} if planted else None
    return soak.soak(settings, env).broken(timed)


@case(own=None, seconds=SECONDS + 60)
def a_short_soak_holds_every_bound():
    """At a rate that leaves time for other tests."""
    broken = run(SECONDS, "--rate", "50")
    assert not broken, broken


@case(own=None, seconds=SECONDS + 60)
def a_soak_over_tls_holds_every_bound():
    broken = run(SECONDS, "--rate", "50", "--tls")
    assert not broken, broken


def check_seen(bound, seconds, **planted):
    broken = run(seconds, "--rate", "60", timed=True, **planted)
    assert any(text.startswith(bound) for text in broken), f"not seen: {broken}"


@case(own=None, seconds=SECONDS + 60)
def lost_memory_is_seen():
    check_seen("resident memory grows", SECONDS / 2, LEAK_BYTES="262144")


@case(own=None, seconds=SECONDS + 60)
def lost_descriptors_are_seen():
    check_seen("open files are back", SECONDS / 4, LEAK_EVERY="20")


@case(own=None, seconds=SECONDS + 60)
def a_wrong_digit_is_seen():
    """Less than 40 answers with scores are learnt."""
    check_seen("every answer is the one known", SECONDS / 4, WRONG_FROM="40")


if __name__ == "__main__":
    harness.main()
