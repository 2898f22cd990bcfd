"""Clients that go on asking while a test does something to the service, or keep its only worker and its
queue filled."""
import collections
import concurrent.futures
import contextlib
import socket
import threading
import time

import harness
import jpegs
import wire


class Traffic:
    """`count` closed loops of good requests, each on a connection of its own, against ("HOST", PORT) or a
    Unix path. `outcomes` counts statuses, "refused" (no connection), "closed" (a connection that ended
    without a byte of an answer), "cut short" and "wrong" (predictions that are not the
    reference's). `with` starts and ends it."""

    def __init__(self, address, count=4, keep_alive=False, timeout=60.0):
        self.address, self.keep_alive, self.timeout = address, keep_alive, timeout
        self.outcomes, self.slowest = collections.Counter(), 0.0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(count)
        self.running = [self.pool.submit(self.client) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()

    def end(self):
        """Lets every client finish its request; raises what one of them raised."""
        self.over.set()
        for future in self.running:
            future.result()
        self.pool.shutdown()

    def client(self):
        connection = None
        while not self.over.is_set():
            began = time.monotonic()
            outcome, connection = self.attempt(connection)
            with self.lock:
                self.outcomes[outcome] += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
            if outcome != 200:
                time.sleep(0.01)
        if connection:
            connection.close()

    def attempt(self, connection):
        """One request: its outcome, and the connection if it can be used again."""
        data, scores = harness.reference()
        try:
            connection = connection or wire.Connection(self.address, self.timeout)
        except (ConnectionRefusedError, ConnectionResetError):
            return "refused", None
        try:
            answer = connection.ask("POST", "/classify", body=data)
            outcome = answer.status
            if outcome == 200:
                harness.check_scores(harness.predictions(answer), scores)
            if self.keep_alive and answer.header("connection") != "close":
                return outcome, connection
        except wire.Closed as closed:
            outcome = "closed" if str(closed).endswith("b''") else "cut short"
        except AssertionError:
            outcome = "wrong"
        except (socket.timeout, TimeoutError):
            outcome = "timeout"
        connection.close()
        return outcome, None

    def wait_for(self, more, seconds=30):
        """Until that many more good answers came."""
        want = self.outcomes[200] + more
        harness.wait_until(f"{more} good answers, {dict(self.outcomes)} so far",
                           lambda: self.outcomes[200] >= want, seconds)


ONE_WORKER = ["--workers", "1", "--request-timeout-ms", "300000"]


def classify_request(data=None):
    return wire.request("POST", "/classify", body=data or harness.reference()[0])


@contextlib.contextmanager
def busy(daemon, parts=1, close=True, metrics=None):
    """The only worker is at work on a slow picture (about half a second for each part). Gives the
    connection, whose answer is read (and right) at the end. `metrics` are asked where the daemon's are not."""
    data = jpegs.slow(harness.MEGAPIXELS)
    with daemon.connect(60) as connection:
        if parts == 1:
            connection.send(classify_request(data))
        else:
            body = wire.multipart([("f", f"{i}.jpg", None, data) for i in range(parts)])
            connection.send(wire.request("POST", "/classify", [wire.form_type()], body))
        harness.wait_until("the worker busy",
                           lambda: (metrics or daemon.metrics)().sum("resnextd_workers_busy") == 1)
        yield connection
        if close:
            answer = connection.read()
            assert answer.status == 200, answer


@contextlib.contextmanager
def waiting(daemon, count):
    """Connections whose good requests wait in the queue."""
    before = daemon.metrics().sum("resnextd_queue_depth")
    connections = [daemon.connect(60) for _ in range(count)]
    try:
        for connection in connections:
            connection.send(classify_request())
        harness.wait_until(f"{count} in the queue",
                           lambda: daemon.metrics().sum("resnextd_queue_depth") == before + count)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def check_refused(answer, reason="overloaded"):
    harness.check_error(answer, 503, reason)
    assert 1 <= int(answer.header("retry-after")) <= 3600, answer
