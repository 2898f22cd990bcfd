#!/usr/bin/python3 -B
"""The load client counts what the daemon counts."""
import concurrent.futures
import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))

import harness
from client import LOAD, offer
from harness import SLOW, case, free_port, reference, write


def picture():
    return write("picture.jpg", reference()[0])


def counts(daemon):
    metrics = daemon.metrics()
    return {"images": metrics.sum("resnextd_images_total"),
            "refused": metrics.sum("resnextd_requests_total", endpoint="/classify", code="503")}


def change(daemon, act):
    before = counts(daemon)
    result = act()
    return result, {name: value - before[name] for name, value in counts(daemon).items()}


def check_whole(result):
    """Every arrival has one outcome, and none is bad."""
    assert result["arrivals"] == result["good"] + result["refused"], result
    assert result["other"] == result["failed"] == result["unanswered"] == 0, result


@case()
def a_closed_loop_keeps_its_connections_busy(daemon):
    result, counted = change(daemon, lambda: offer(daemon.address, picture(), connections=4, seconds=1))
    check_whole(result)
    assert result["good"] == counted["images"] > 4 and result["refused"] == 0, (result, counted)
    assert 0 < result["good_p50_ms"] <= result["good_p99_ms"] <= result["good_max_ms"], result
    assert result["good"] - 4 <= result["goodput"] <= result["good"], result


@case()
def arrivals_do_not_wait_for_answers(daemon):
    result, counted = change(daemon, lambda: offer(daemon.address, picture(), rate=30, seconds=2))
    check_whole(result)
    assert 60 - 5 * 60 ** 0.5 < result["arrivals"] < 60 + 5 * 60 ** 0.5, "not Poisson's"
    assert result["good"] == counted["images"], (result, counted)


@case(["--workers", "1", "--queue-limit", "1"])
def refusals_are_told_from_answers(daemon):
    result, counted = change(daemon, lambda: offer(daemon.address, picture(), connections=16, seconds=1))
    check_whole(result)
    assert result["good"] == counted["images"] > 0, (result, counted)
    assert result["refused"] == counted["refused"] > 0, (result, counted)


@case()
def other_answers_are_neither(daemon):
    result = offer(daemon.address, write("text", "no picture"), connections=2, seconds=0.2)
    assert result["other"] == result["arrivals"] > 0 == result["good"], result


@contextlib.contextmanager
def asked_meanwhile(daemon):
    """/livez and /metrics, again and again; gives the list of how long each answer took."""
    times, over = [], threading.Event()

    def ask():
        while not over.wait(0.05):
            for target in ("/livez", "/metrics"):
                start = time.monotonic()
                answer = daemon.get(target)
                assert answer.status == 200, answer
                times.append(time.monotonic() - start)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask)
        try:
            yield times
        finally:
            over.set()
        running.result()


class Others:
    """How much of the machine's processors other programs take from here on, 0 to 1."""

    def __init__(self, daemon):
        self.daemon, self.began = daemon, time.monotonic()
        self.before = self.taken()

    def taken(self):
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
        mine = os.times()
        return ((user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
                - self.daemon.cpu_seconds() - sum(mine[:4]))

    def share(self):
        return (self.taken() - self.before) / (time.monotonic() - self.began) / os.cpu_count()


@case(["--workers", "1"], seconds=60)
def row_73_ten_times_the_load_leaves_the_goodput_where_it_was(daemon):
    """Short runs with as much as it can take, each followed by one with ten times that, since a machine
    changes its speed, and who is refused and asks again at once waits ever longer for a turn. Only where
    the machine is ours can the two be compared closely."""
    body, runs, quiet = picture(), [], []
    seconds = 0.6 * max(1, SLOW / 4)
    with asked_meanwhile(daemon) as times:
        while len(runs) < (12 if quiet else 4) and (len(quiet) < 3 or ratio(quiet) < 0.95):
            others = Others(daemon)
            alone = offer(daemon.address, body, connections=4, seconds=seconds)
            most = max(run["goodput"] for run, _ in [*runs, (alone, None)])
            crowd = offer(daemon.address, body, rate=10 * most, connections=200, seconds=seconds)
            check_whole(crowd)
            runs.append((alone, crowd))
            if SLOW == 1 and os.cpu_count() > 1 and others.share() < 0.05:
                quiet.append((alone, crowd))
    assert all(0 < crowd["good"] < crowd["refused"] for _, crowd in runs), runs
    assert len(times) > 10 and statistics.median(times) < 0.2 * SLOW, times
    if len(quiet) < 3:
        daemon.recovered()
        raise harness.Skip(f"other programs take the CPUs, or there is one: goodput {ratio(runs):.2f}")
    assert ratio(quiet) >= 0.95, quiet
    quickest = min(crowd["refused_p50_ms"] for _, crowd in quiet)
    assert 0 < quickest < 10, f"refusals took {quickest} ms"


@case(own=None, seconds=60)
def clients_that_never_back_off_cost_little():
    """On a CPU that HTTP shares with the worker, with small bodies and with large ones."""
    with harness.Daemon(["--workers", "1"], wrap=["taskset", "-c", str(min(os.sched_getaffinity(0)))]) as daemon:
        for body in picture(), write("large.jpg", reference()[0] + bytes(93000)):
            offer(daemon.address, body, connections=200, seconds=1)
            http, all_threads = daemon.http_seconds(), daemon.cpu_seconds()
            with asked_meanwhile(daemon) as times:
                result = offer(daemon.address, body, connections=200, seconds=2)
            share = (daemon.http_seconds() - http) / (daemon.cpu_seconds() - all_threads)
            check_whole(result)
            assert result["good"] > 0 < result["refused"], result
            assert share < 0.35, f"HTTP takes {share:.2f} of the CPU: {result}"
            assert statistics.median(times) < 0.1 * SLOW, times


def ratio(runs):
    """What a crowd leaves of the goodput."""
    return statistics.median(crowd["goodput"] / alone["goodput"] for alone, crowd in runs)


@case(own=None)
def a_server_that_is_not_there_is_a_failure():
    result = offer(free_port(), picture(), rate=50, seconds=0.5)
    assert result["failed"] == result["arrivals"] > 0 == result["good"], result


@case(own=None)
def numbers_that_are_none_are_refused():
    for words in (["-r", "x"], ["-r", "-1"], ["-c", "0"], ["-s", "1x"], ["-q"]):
        done = subprocess.run([LOAD, *words, "127.0.0.1:1", os.devnull], capture_output=True)
        assert done.returncode in (1, 2) and done.stderr, words


if __name__ == "__main__":
    harness.main()
