"""Clients that go on asking while a test does something to the service."""
import collections
import concurrent.futures
import socket
import threading
import time

import harness
import wire


class Traffic:
    """`count` closed loops of good requests, each on a connection of its own, against ("HOST", PORT) or a
    Unix path. `outcomes` counts statuses, "refused" (no connection), "closed" (a connection that ended
    without a byte of an answer), "cut short" and "wrong" (predictions that are not the reference's). `with` starts and ends it."""

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
