#!/usr/bin/python3 -B
"""Requests take turns for the CPU: the work goes before what costs no work, refusals, errors and pages."""
import contextlib
import os
import re
import time

import harness
import wire
from harness import (Daemon, Slow, case, check_error, check_scores, predictions, quick,
                     reference, unless_slow, wait_until)
from traffic import ONE_WORKER, busy, classify_request, waiting


def on_one_cpu(*options):
    """A daemon whose HTTP shares a CPU with its worker."""
    return Daemon([*ONE_WORKER, *options], wrap=["taskset", "-c", str(min(os.sched_getaffinity(0)))])


def share_of_http(daemon, request, in_queue, parts):
    """Of what the daemon takes of its CPU while its worker is busy with so many parts, so many requests
    wait, and a crowd sends another one again and again."""
    requests = request * 50
    with busy(daemon, parts) as work, waiting(daemon, in_queue), contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(daemon.connect(60)) for _ in range(20)]
        http, used = daemon.http_seconds(), daemon.cpu_seconds()
        while work.silent():
            for connection in crowd:
                connection.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.sock.send(requests)
                with contextlib.suppress(BlockingIOError):
                    connection.sock.recv(1 << 20)
            time.sleep(0.001)
        return (daemon.http_seconds() - http) / (daemon.cpu_seconds() - used)


@case(own=None, seconds=60)
def workers_go_before_http():
    """While requests wait for the only CPU, the threads that speak HTTP take little of it, however much
    they could do."""
    with on_one_cpu("--queue-limit", "4", "--http-threads", "2") as daemon:
        share = share_of_http(daemon, classify_request(), in_queue=4, parts=4)
        assert 0 < share < 0.3, f"{share:.2f} of the CPU"


def check_no_work_is_cheap(*request, http_threads=1):
    """A flood of it takes little of the only CPU while the worker needs that and the queue is empty."""
    with on_one_cpu("--http-threads", str(http_threads)) as daemon:
        share = share_of_http(daemon, wire.request(*request), in_queue=0, parts=2)
        assert 0 < share < 0.3, f"{share:.2f} of the CPU"


@case(own=None, seconds=60)
def what_is_not_there_costs_the_work_little():
    for http_threads in (4, 1):
        check_no_work_is_cheap("GET", "/nothing", http_threads=http_threads)


@case(own=None, seconds=60)
def what_needs_no_worker_costs_the_work_little():
    for target in ("/livez", "/models"):
        check_no_work_is_cheap("GET", target)


@case(own=None, seconds=60)
def uploads_that_come_to_nothing_cost_the_work_little():
    """Their heads are fine, so that they are found out at the end."""
    for target, headers in (("/classify", [wire.form_type()]), ("/classify?top_k=0", ()),
                            ("/v2/models/nothing/infer", ())):
        check_no_work_is_cheap("POST", target, headers, b"x")


@case(own=None, seconds=60)
def a_deadline_of_a_millisecond_costs_the_work_little():
    check_no_work_is_cheap("POST", "/classify", [("X-Request-Timeout-Ms", "1")], reference()[0])


@case(own=None, seconds=60)
def who_errs_does_not_wait():
    """Neither on an idle server, how often ever, nor beside work if it is no flood."""
    data, scores = reference()

    def err(connection, times):
        for _ in range(times):
            check_error(connection.ask("GET", "/nothing"), 404)
            check_error(connection.ask("POST", "/classify?top_k=0", body=b"x"), 400)
    with on_one_cpu() as daemon:
        with daemon.connect(60) as connection:
            quick(1, lambda: err(connection, 100))
            answer = quick(0.5, lambda: connection.ask("POST", "/classify", body=data))
            check_scores(predictions(answer), scores)
        with busy(daemon, parts=4), daemon.connect(60) as connection:
            quick(0.5, lambda: err(connection, 2))
            assert quick(0.5, lambda: connection.ask("GET", "/livez")).status == 200


DEAR = wire.request("POST", "/classify", [wire.form_type()],
                    b"\r\n--PPPP-boundaryx" * (40000 if harness.SANITIZER == "thread" else 240000))


def make_dear(daemon, connection):
    """Until a request on the connection takes 2 ms, in the mean that the throttle has of 64."""
    mean, before = 0, daemon.http_seconds()
    while mean < 0.002:
        connection.send(DEAR)
        check_error(connection.read(), 400)
        now = daemon.http_seconds()
        mean, before = mean + (now - before - mean) / 64, now


NOTHING = wire.request("GET", "/nothing")


def in_long_turns(check, *options, last=NOTHING, status=404, parts=3):
    """check(daemon, connection) while the worker is busy; what must wait on the connection does so for two
    seconds: its requests were dear, 63 other threads have a right to as much, and it just had its turn, with
    the request `last`."""
    def attempt():
        with on_one_cpu("--http-threads", "64", "--max-body-bytes", str(64 << 20), *options) as daemon:
            with daemon.connect(60) as connection:
                make_dear(daemon, connection)
                time.sleep(1)  # so that it is new, and then back; the first turns of both come at once
                with busy(daemon, parts, close=False):
                    connection.send(NOTHING + last)
                    check_error(connection.read(), 404)
                    assert connection.read().status == status
                    check(daemon, connection)
    unless_slow(attempt)


def check_waits(wanted, act):
    """Whether `act`, on that connection, waits for its turn."""
    start = time.monotonic()
    act()
    took = time.monotonic() - start
    if (took > 1) != wanted:
        raise Slow(f"{took:.2f} s for what is {'' if wanted else 'not '}to wait")


@case(own=None, seconds=60)
def who_closes_its_side_waits_as_well():
    def check(_, connection):
        def ask():
            connection.send(NOTHING)
            connection.sock.shutdown(1)
            check_error(connection.read(), 404)
        check_waits(True, ask)
    in_long_turns(check)


@case(own=None, seconds=60)
def who_closes_its_side_in_its_turn_keeps_its_place():
    """In the order of the turns, and among the connections of its client."""
    def check(daemon, connection):
        def ask():
            connection.send(NOTHING)
            wait_until("it read", lambda: daemon.has_read(connection))
            connection.sock.shutdown(1)
            with contextlib.ExitStack() as stack:
                others = [stack.enter_context(daemon.connect()) for _ in range(8)]
                taken = sum(other.ask("GET", "/livez").status == 200 for other in others)
                assert taken <= 6 or not connection.silent(), f"{taken} connections beside two, of eight"
            check_error(connection.read(), 404)
        check_waits(True, ask)
    in_long_turns(check, "--max-connections-per-ip", "8")


@case(own=None, seconds=60)
def work_after_an_error_has_time_left():
    def check(_, connection):
        answer = connection.ask("POST", "/classify", [("X-Request-Timeout-Ms", "1900")], reference()[0])
        if answer.status == 503:
            raise Slow(answer)
        assert answer.status in (200, 504), answer
    in_long_turns(check)


def unreachable(answer):
    """What is said of a deadline that was over when the turn came; there is no turn when the worker is idle."""
    if answer.status != 503:
        raise Slow(answer)
    return check_error(answer, 503, "deadline_unreachable")["message"]


@case(own=None, seconds=60)
def the_turn_counts_as_time_waited():
    def check(_, connection):
        answer = connection.ask("POST", "/classify", [("X-Request-Timeout-Ms", "1")], reference()[0])
        message = unreachable(answer)
        waited, has = (int(number) for number in re.findall(r"(\d+) ms", message))
        assert waited >= 250 and has == 1, message
    in_long_turns(check)


def check_no_error(status, *request):
    """Work does not wait after this answer."""
    def check(_, connection):
        check_waits(False, lambda: connection.ask("POST", "/classify?top_k=0", body=b"x"))
    in_long_turns(check, "--cors-origin", "http://a", last=wire.request(*request), status=status)


@case(own=None, seconds=60)
def an_answer_without_a_body_is_no_error():
    with Daemon() as daemon:
        etag = daemon.get("/assets/style.css").header("etag")
    check_no_error(304, "GET", "/assets/style.css", [("If-None-Match", etag)])
    check_no_error(204, "OPTIONS", "/classify", [("Origin", "http://a"), ("Access-Control-Request-Method", "POST")])


@case(own=None, seconds=60)
def metrics_wait_where_health_does_not():
    def check(_, connection):
        for after, target, waits in (0.15, "/livez", False), (0.95, "/metrics", False), (0.15, "/metrics", True):
            time.sleep(after)
            check_waits(waits, lambda target=target: connection.ask("GET", target))
    in_long_turns(check, parts=16)


@case(own=None, seconds=60)
def a_pause_that_a_drain_ends_counts_as_far_as_it_went():
    def check(daemon, connection):
        start = time.monotonic()
        connection.send(wire.request("POST", "/classify", [("X-Request-Timeout-Ms", "1")], reference()[0]))
        wait_until("it read", lambda: daemon.has_read(connection))
        daemon.process.terminate()
        message = unreachable(connection.read())
        took = (time.monotonic() - start) * 1000
        assert int(re.search(r"(\d+) ms", message)[1]) < max(took, 250), f"{message} after {took:.0f} ms"
    in_long_turns(check)


@case(own=None, seconds=60)
def who_left_in_its_turn_makes_room():
    """For who comes; and who has not left keeps its place."""
    def check(daemon, connection):
        for _ in range(20):
            with daemon.connect() as other:
                other.send(NOTHING)
                wait_until("it read", lambda: daemon.has_read(other))
        check_error(connection.ask("GET", "/nothing"), 404)
        assert daemon.metrics().sum("resnextd_rejected_total", reason="connections") == 0
        wait_until("all closed", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"] + 2)
    in_long_turns(check, "--max-connections", "8", "--http-threads", "1")


if __name__ == "__main__":
    harness.main()
