#!/usr/bin/python3 -B
"""Many connections whose requests wait, beside many that are active: none may be passed over."""
import concurrent.futures
import contextlib
import select
import time

import harness
import jpegs
import wire
from harness import MEGAPIXELS, SLOW, case, check_scores, predictions, reference, wait_until
from traffic import classify_request

QUIET = ["--workers", "1", "--queue-limit", "400", "--request-timeout-ms", "300000",
         "--max-body-bytes", str(64 << 20)]


class Crowd:
    """`count` connections; all are closed at the end."""

    def __init__(self, daemon, count):
        self.connections = [daemon.connect(60) for _ in range(count)]

    def __enter__(self):
        return self.connections

    def __exit__(self, *unused):
        for connection in self.connections:
            connection.close()


def occupy(daemon, connection, parts=2):
    data = jpegs.slow(MEGAPIXELS)
    body = wire.multipart([("f", f"{i}.jpg", None, data) for i in range(parts)])
    connection.send(wire.request("POST", "/classify", [wire.form_type()], body))
    wait_until("the worker busy", lambda: daemon.metrics().sum("resnextd_workers_busy") == 1)


class SlowIsDone(Exception):
    """The pictures that the worker was to be busy with are classified, too early to say anything."""


def wait_for_suspended(daemon, slow, count):
    def are_suspended():
        if daemon.metrics().sum("resnextd_queue_depth") == count:
            return True
        if select.select([slow.sock], [], [], 0)[0]:
            raise SlowIsDone
        return False
    wait_until("all suspended", are_suspended, 60)


def beside_slow_pictures(daemon, attempt):
    """attempt(slow), while the worker is busy; with more for it to do if this host was slower."""
    for parts in (3, 8, 16):
        with contextlib.suppress(SlowIsDone), daemon.connect(60) as slow:
            occupy(daemon, slow, parts)
            attempt(slow)
            assert slow.read().status == 200
            return
        wait_until("the worker idle", lambda: daemon.metrics().sum("resnextd_workers_busy") == 0, 60)
    raise AssertionError("the worker was done each time before all requests had come")


# Nothing is refused and nothing times out: what is late was passed over.
PATIENT = ["--workers", "2", "--queue-limit", "400", "--request-timeout-ms", str(int(60000 * SLOW))]


@case(QUIET, seconds=180)
def active_connections_are_served_beside_many_suspended(daemon):
    """They are served while all the others wait."""
    _, scores = reference()

    def attempt(slow):
        with Crowd(daemon, 200) as suspended, Crowd(daemon, 50) as active:
            for connection in suspended:
                connection.send(classify_request())
            wait_for_suspended(daemon, slow, 200)
            for _ in range(5):
                for connection in active:
                    connection.send(wire.request("GET", "/livez"))
                for connection in active:
                    assert connection.read().status == 200
            if daemon.metrics().sum("resnextd_queue_depth") != 200:
                raise SlowIsDone
            for connection in suspended:
                check_scores(predictions(connection.read()), scores)
    beside_slow_pictures(daemon, attempt)


def rounds(daemon, count, crowd):
    """All connections become ready at once, half of them to be suspended; again and again."""
    _, scores = reference()
    with Crowd(daemon, crowd) as connections:
        for number in range(count):
            for i, connection in enumerate(connections):
                quick = (i + number) % 2
                connection.send(wire.request("GET", "/livez") if quick else classify_request())
            end = time.monotonic() + 10 * SLOW
            for i, connection in enumerate(connections):
                answer = connection.read()
                assert answer.status == 200, answer
                if not (i + number) % 2:
                    check_scores(predictions(answer), scores)
            assert time.monotonic() < end, "a round took too long: someone was passed over"


@case([*PATIENT], seconds=60)
def ready_connections_are_not_passed_over_while_others_are_suspended(daemon):
    rounds(daemon, 25 if SLOW == 1 else 6, 64)


@case([*PATIENT, "--http-threads", "4"], seconds=60)
def nor_with_several_http_threads(daemon):
    rounds(daemon, 25 if SLOW == 1 else 6, 64)


@case([*PATIENT, "--http-threads", "2"], seconds=60)
def pipelines_survive_suspension(daemon):
    _, scores = reference()
    with Crowd(daemon, 16) as connections:
        for connection in connections:
            connection.send((classify_request() + wire.request("GET", "/livez")) * 6)
        for connection in connections:
            for _ in range(6):
                check_scores(predictions(connection.read()), scores)
                assert connection.read().status == 200


@case([*PATIENT], seconds=60)
def uploads_in_small_pieces_go_on_beside_suspended_ones(daemon):
    _, scores = reference()
    whole = classify_request()
    pieces = [whole[i:i + 97] for i in range(0, len(whole), 97)]
    with Crowd(daemon, 20) as trickling, Crowd(daemon, 20) as suspended:
        for piece in pieces:
            for connection in trickling:
                connection.send(piece)
            for connection in suspended[:4]:
                connection.send(whole)
            for connection in suspended[:4]:
                check_scores(predictions(connection.read()), scores)
        for connection in trickling:
            check_scores(predictions(connection.read()), scores)


@case(QUIET, seconds=180)
def suspended_clients_that_leave_make_way(daemon):
    _, scores = reference()

    def attempt(slow):
        with Crowd(daemon, 100) as leaving, Crowd(daemon, 100) as staying:
            for pair in zip(leaving, staying):
                for connection in pair:
                    connection.send(classify_request())
            wait_for_suspended(daemon, slow, 200)
            for i, connection in enumerate(leaving):
                connection.reset() if i % 2 else connection.close()
            wait_for_suspended(daemon, slow, 100)
            for connection in staying:
                check_scores(predictions(connection.read()), scores)
    beside_slow_pictures(daemon, attempt)


@case([*PATIENT], seconds=60)
def clients_that_leave_at_any_moment_do_no_harm(daemon):
    """The end of a request, its answer and the client's going meet in every order."""
    stop = time.monotonic() + 1.5 * max(1, SLOW / 5)

    def churn(seed):
        step = 0
        while time.monotonic() < stop:
            connection = daemon.connect()
            connection.send(classify_request())
            step = (step + seed) % 40
            time.sleep(step * 0.0004)
            connection.reset() if step % 2 else connection.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(churn, seed) for seed in (1, 3, 7, 11)]
        while time.monotonic() < stop:
            daemon.good()
        for future in running:
            future.result()


if __name__ == "__main__":
    harness.main()
