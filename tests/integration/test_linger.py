#!/usr/bin/python3 -B
"""Who is refused in mid-upload gets to read why, however many of one address, or of many before it, are
refused, and whatever the daemon is about to do; and that can be no burden."""
import contextlib
import signal
import time

import harness
import wire
from harness import Daemon, case, check_error, unless_still, wait_until

LIMIT = 1 << 20
LIMITED = ["--max-body-bytes", str(LIMIT)]
PATIENT = [*harness.UPLOADS_MAY_STALL, "--drain-timeout-s", "3600"]
PIECE = bytes(1 << 20)


def head(size, path="/classify"):
    return wire.raw([f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {size}"])


def refused(stack, daemon, source, size):
    """A client that has read its 413 and could go on sending."""
    connection = stack.enter_context(daemon.connect(source=source))
    connection.send(head(size))
    check_error(connection.read(), 413, "body_too_large")
    return connection


def check_whole(connection, size):
    """The 413 can be read after everything was sent."""
    for _ in range(size // len(PIECE)):
        connection.send(PIECE)
    check_error(connection.read(), 413, "body_too_large")


@case(LIMITED, seconds=60)
def a_crowd_that_lingers_costs_others_no_answer(daemon):
    size = 16 * len(PIECE)

    def attempt(_):
        with contextlib.ExitStack() as stack:
            early = stack.enter_context(daemon.connect(source="127.0.0.2"))
            early.send(head(size))
            for _ in range(80):
                refused(stack, daemon, "127.0.0.1", size)
            late = stack.enter_context(daemon.connect(source="127.0.0.3"))
            late.send(head(size))
            check_whole(late, size)
            check_whole(early, size)
    unless_still(attempt)


@case(LIMITED, seconds=60)
def crowds_that_linger_cost_others_no_answer(daemon):
    size = 16 * len(PIECE)

    def attempt(_):
        with contextlib.ExitStack() as stack:
            for i in range(80):
                refused(stack, daemon, f"127.0.1.{i + 1}", size)
            late = stack.enter_context(daemon.connect())
            late.send(head(size))
            check_whole(late, size)
    unless_still(attempt)


@case(LIMITED + harness.UPLOADS_MAY_STALL, seconds=60)
def an_endless_upload_is_closed_after_so_many_bytes(daemon):
    with contextlib.ExitStack() as stack:
        connection = refused(stack, daemon, None, 1 << 40)
        sent = 0
        while sent < 512 << 20 and connection.try_send(PIECE):
            sent += len(PIECE)
    assert sent < 128 << 20, f"{sent} bytes were taken"  # 68 MiB, and what the kernel holds


@case(LIMITED + ["--upload-timeout-ms", "5000"], seconds=60)
def who_goes_on_sending_is_closed_in_the_end(daemon):
    """As any upload is."""
    with contextlib.ExitStack() as stack:
        connection = refused(stack, daemon, None, 1 << 40)
        while connection.try_send(b"x"):
            time.sleep(0.05)


def begin_request(daemon, connection, begin):
    """Sends the begin of a request; the daemon, with one thread for HTTP, has seen it then."""
    connection.send(begin)
    wait_until("the begin read", lambda: daemon.has_read(connection))
    assert daemon.get("/livez").status == 200


def begin_drain(daemon):
    daemon.process.send_signal(signal.SIGTERM)
    wait_until("nobody listening", lambda: not listens(daemon))


def listens(daemon):
    try:
        daemon.connect().close()
    except ConnectionError:
        return False
    return True


def trickle_to_the_end(daemon, connection):
    """Sends a little again and again until the daemon has ended."""
    while daemon.process.poll() is None:
        connection.try_send(b"x")
        time.sleep(0.05)
    assert daemon.exit_code() == 0, daemon.log()


@case(own=None, seconds=60)
def a_drain_waits_until_a_refusal_is_read():
    size = 16 * len(PIECE)

    def attempt(_):
        with Daemon(LIMITED) as daemon, daemon.connect() as connection:
            begin_request(daemon, connection, b"POST /classify HTTP/1.1\r\nHost: x\r\n")
            begin_drain(daemon)
            connection.send(b"Content-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(PIECE)):
                connection.send(PIECE)
            check_error(connection.read(), 413, "body_too_large")
            connection.close()
            assert daemon.exit_code() == 0, daemon.log()
    unless_still(attempt)


@case(own=None, seconds=30)
def who_goes_on_sending_does_not_hold_up_a_drain():
    with Daemon(LIMITED + PATIENT) as daemon, \
         contextlib.ExitStack() as stack:
        connection = refused(stack, daemon, None, 1 << 40)
        begin_drain(daemon)
        trickle_to_the_end(daemon, connection)


REFUSED_SOON = wire.raw(["POST /nowhere HTTP/1.1", "Host: x", "Content-Length: 1000"], bytes(10))


@case(own=None, seconds=30)
def a_refused_upload_does_not_hold_up_a_drain():
    with Daemon(PATIENT) as daemon, daemon.connect() as connection:
        begin_request(daemon, connection, REFUSED_SOON)
        begin_drain(daemon)
        trickle_to_the_end(daemon, connection)


@case(own=None, seconds=60)
def a_refused_upload_that_ends_soon_is_answered_in_a_drain():
    def attempt(_):
        with Daemon(PATIENT) as daemon, daemon.connect() as connection:
            begin_request(daemon, connection, REFUSED_SOON)
            begin_drain(daemon)
            connection.send(bytes(990))
            check_error(connection.read(), 404, "not_found")
            assert daemon.exit_code() == 0, daemon.log()
    unless_still(attempt)


@case(own=None, seconds=60)
def a_drain_refuses_without_the_rest_of_an_upload():
    def attempt(_):
        with Daemon(PATIENT) as daemon, daemon.connect() as connection:
            begin_request(daemon, connection, b"POST /nowhere HTTP/1.1\r\nHost: x\r\n")
            begin_drain(daemon)
            connection.send(b"Content-Length: 1000\r\n\r\n" + bytes(10))
            check_error(connection.read(), 404, "not_found")
            connection.close()
            assert daemon.exit_code() == 0, daemon.log()
    unless_still(attempt)


if __name__ == "__main__":
    harness.main()
