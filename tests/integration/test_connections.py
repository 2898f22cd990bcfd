#!/usr/bin/python3 -B
"""Limits of connections: what counts as one client, what takes up a place, and who gives way."""
import contextlib
import os
import socket

import harness
import jpegs
import wire
from harness import SLOW, Skip, case, quick, wait_until

LIMIT = 4


def wait_until_alone(daemon):
    wait_until("no connection", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])


def half_close_unread(daemon, stack):
    """A client that asks for much, closes its side and reads nothing."""
    connection = stack.enter_context(daemon.connect(receive_buffer=2048))
    connection.send(wire.request("GET", "/openapi.json") * 200)
    wait_until("the answers stand still",
               lambda: outgoing(daemon, connection) and outgoing(daemon, connection) == outgoing(daemon, connection))
    connection.sock.shutdown(socket.SHUT_WR)
    return connection


def outgoing(daemon, connection):
    """How much the daemon has for this client that does not go away."""
    client, rows = harness.tcp_rows(connection)
    return next((int(queues.split(":")[0], 16) for _, remote, _, queues in rows if remote == client), 0)


@case(["--max-connections-per-ip", str(LIMIT), *harness.UPLOADS_MAY_STALL], seconds=60)
def row_84_who_half_closes_and_does_not_read_keeps_its_places(daemon):
    wait_until_alone(daemon)
    with contextlib.ExitStack() as stack:
        for _ in range(LIMIT):
            half_close_unread(daemon, stack)
        for _ in range(3):
            with daemon.connect() as connection:
                assert connection.read().status == 503, "more connections of this client"
        with daemon.connect(source="127.0.0.9") as connection:
            assert connection.ask("GET", "/livez").status == 200, "somebody else is turned away"
    wait_until_alone(daemon)


@case(own=None, seconds=60)
def who_has_too_many_connections_does_not_hold_up_others():
    """Though the queue is full, and the worker needs the only CPU."""
    pictures = wire.multipart([("f", f"{i}.jpg", None, jpegs.slow(95)) for i in range(6)])
    request = wire.request("POST", "/classify", [wire.form_type()], pictures)
    with harness.Daemon(["--workers", "1", "--queue-limit", "8", "--http-threads", "8",
                         "--request-timeout-ms", "300000", "--max-connections-per-ip", str(LIMIT)],
                        wrap=["taskset", "-c", str(min(os.sched_getaffinity(0)))]) as daemon, \
         contextlib.ExitStack() as stack:
        for i in range(9):
            stack.enter_context(daemon.connect(source=f"127.0.0.{10 + i}")).send(request)
        wait_until("the queue full", lambda: daemon.metrics().sum("resnextd_queue_depth") == 8)
        fill(daemon, stack)

        def attempt():
            for _ in range(1000):
                daemon.connect().close()
            with daemon.connect(source="127.0.0.8") as connection:
                assert connection.ask("GET", "/livez").status == 200
        quick(2.5, attempt)


@case(["--max-connections-per-ip", str(LIMIT)], seconds=60)
def who_has_left_takes_no_place(daemon):
    """Also before the daemon has seen to it."""
    wait_until_alone(daemon)
    for _ in range(200):
        with daemon.connect() as connection:
            assert connection.ask("GET", "/livez").status == 200
    for _ in range(20):
        with daemon.connect() as connection:
            connection.send(wire.request("GET", "/livez"))
            connection.sock.shutdown(socket.SHUT_WR)
            assert connection.read().status == 200
    wait_until_alone(daemon)


@case(own=None, seconds=60)
def row_84_ipv6_is_counted():
    """::1 is a client with an address, which a /64 makes of it, too."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as reason:
            raise Skip(f"no IPv6 here: {reason}") from None
        port = probe.getsockname()[1]
    with harness.Daemon(["--listen", f"[::1]:{port}", "--max-connections-per-ip", str(LIMIT)]) as daemon, \
         contextlib.ExitStack() as stack:
        connections = [stack.enter_context(wire.Connection(("::1", port), 10 * SLOW)) for _ in range(LIMIT + 3)]
        statuses = [c.status() for c in connections]
        assert statuses[:LIMIT] == [200] * LIMIT and set(statuses[LIMIT:]) <= {503, None}, statuses


def fill(daemon, stack):
    """Clients that each have had an answer, the first one first."""
    connections = [stack.enter_context(daemon.connect()) for _ in range(LIMIT)]
    assert [c.status() for c in connections] == [200] * LIMIT
    return connections


@case(["--max-connections", str(LIMIT), "--idle-timeout-s", "3600"], seconds=60)
def row_85_the_longest_idle_connection_gives_way(daemon):
    wait_until_alone(daemon)
    with contextlib.ExitStack() as stack:
        connections = fill(daemon, stack)
        assert connections[0].status() == 200
        for gone in (1, 2):  # the first was in use since
            newcomer = stack.enter_context(daemon.connect())
            assert newcomer.status() == 200, "a newcomer was turned away"
            assert connections[gone].closed_within(5 * SLOW), f"{gone} has its place still"
            connections.append(newcomer)
        kept = [connections[0], *connections[3:]]
        assert [c.status() for c in kept] == [200] * LIMIT, "another one gave way"
    wait_until_alone(daemon)


@case(["--max-connections", str(LIMIT), "--idle-timeout-s", "3600", *harness.UPLOADS_MAY_STALL], seconds=60)
def row_85_who_sends_nothing_gives_way_too(daemon):
    wait_until_alone(daemon)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(daemon.connect()) for _ in range(LIMIT)]
        for connection in silent:
            assert stack.enter_context(daemon.connect()).status() == 200
            assert connection.closed_within(5 * SLOW)
    wait_until_alone(daemon)


@case(["--max-connections", str(LIMIT), *harness.UPLOADS_MAY_STALL], seconds=60)
def row_85_nobody_gives_way_who_is_busy(daemon):
    data, _ = harness.reference()
    wait_until_alone(daemon)
    with contextlib.ExitStack() as stack:
        connections = fill(daemon, stack)
        for connection in connections:
            connection.send(wire.raw(["POST /classify HTTP/1.1", "Host: x", f"Content-Length: {len(data)}",
                                      "Expect: 100-continue"]))
            assert connection.interim() == 100  # it is busy
        with daemon.connect() as connection:
            answer = connection.read()
            assert answer.status == 503 and b"(max_connections)" in answer.body, answer
        for connection in connections:
            connection.send(data)
            assert connection.read().status == 200
        assert stack.enter_context(daemon.connect()).status() == 200
    wait_until_alone(daemon)


if __name__ == "__main__":
    harness.main()
