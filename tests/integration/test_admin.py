#!/usr/bin/python3 -B
"""admin_listen, deadlines that clients set, admission by expected wait, the watchdog."""
import contextlib
import ctypes
import os
import resource
import socket
import statistics
import time

import harness
import jpegs
import wire
from harness import (MEGAPIXELS, SLOW, Daemon, Slow, case, check_error, check_scores, path, predictions, quick,
                     reference, unless_slow, wait_until)
from traffic import busy


@contextlib.contextmanager
def with_admin(*options, **more):
    """A daemon and the address of its admin server."""
    admin = harness.free_port()
    with Daemon(["--admin-listen", f"{admin[0]}:{admin[1]}", *options], wait=False, **more) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        yield daemon, admin


def ask(admin, target, method="GET", body=None):
    return harness.ask(admin, method, target, body=body, seconds=10)


def admin_metrics(admin):
    return harness.parse_metrics(ask(admin, "/metrics").body.decode())


@case(own=None)
def each_front_has_its_own_paths():
    with with_admin() as (daemon, admin):
        for target in ("/livez", "/readyz", "/health"):
            assert daemon.get(target).status == ask(admin, target).status == 200, target
        assert ask(admin, "/metrics").status == 200
        check_error(daemon.get("/metrics"), 404, "not_found")
        check_error(ask(admin, "/models"), 404, "not_found")
        check_error(ask(admin, "/classify", "POST", reference()[0]), 404, "not_found")
        check_error(ask(admin, "/admin/nothing", "POST"), 404, "not_found")
        daemon.good()


@case(own=None)
def without_admin_listen_there_is_no_admin():
    with Daemon() as daemon:
        check_error(daemon.ask("POST", "/admin/reload"), 404, "not_found")
        assert daemon.get("/metrics").status == 200


@case(own=None)
def an_admin_socket_can_be_a_file_with_permissions():
    name, service = path("admin.sock"), path("service.sock")
    with Daemon(["--admin-listen", f"unix:{name}:600", "--listen", f"unix:{service}:660"],
                listen=False, wait=False) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        assert os.stat(name).st_mode & 0o777 == 0o600
        assert os.stat(service).st_mode & 0o777 == 0o660
        assert ask(name, "/metrics").status == 200
        daemon.address = service
        daemon.good()
        daemon.stop()
    assert not os.path.exists(name) and not os.path.exists(service)


@case(own=None)
def sockets_named_admin_are_the_admins():
    with socket.socket() as service, socket.socket() as admin:
        for s in (service, admin):
            s.bind(("127.0.0.1", 0))
            s.listen(64)
        with Daemon(["--listen", "systemd", "--admin-listen", "systemd"], listen=False,
                    fds=(service.fileno(), admin.fileno()), wait=False,
                    env={"LISTEN_FDNAMES": "resnextd.socket:admin"}) as daemon:
            assert daemon.notified(10 * SLOW), daemon.log()
            daemon.address = service.getsockname()
            daemon.good()
            check_error(daemon.get("/metrics"), 404)
            assert ask(admin.getsockname(), "/metrics").status == 200
            daemon.stop()


@case(own=None, seconds=60)
def row_73_health_and_metrics_answer_in_milliseconds_whatever_the_load():
    data = reference()[0]
    with with_admin("--workers", "1", "--max-connections", "60") as (daemon, admin), \
            contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(daemon.connect()) for _ in range(60)]
        for connection in crowd:
            connection.send(wire.request("POST", "/classify", body=data) * 200)

        def attempt():
            times = []
            for i in range(60):
                start = time.monotonic()
                answer = ask(admin, ("/health", "/metrics", "/livez")[i % 3])
                times.append(time.monotonic() - start)
                assert answer.status == 200 or i % 3 == 0, answer
            if statistics.median(times) >= 0.03 * SLOW or max(times) >= 0.5 * SLOW:
                raise Slow(times)
        unless_slow(attempt)


def late_reasons(admin):
    """Why what had too little time was turned away, and how often."""
    metrics = admin_metrics(admin)
    counts = {reason: metrics.sum("resnextd_rejected_total", reason=reason)
              for reason in ("deadline", "expected_wait", "client_deadline")}
    return {reason: count for reason, count in counts.items() if count > 0}


@case(own=None, seconds=60)
def idle_connections_to_the_service_leave_descriptors_to_the_admin():
    def few():
        harness.die_with_parent()
        resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
    with with_admin("--idle-timeout-s", "3600", *harness.UPLOADS_MAY_STALL,
                    prepare=few) as (daemon, admin):
        before = daemon.resources()["fds"]
        crowd = [daemon.connect() for _ in range(120)]
        wait_until("accepting pauses", lambda: "accepting pauses" in daemon.log())
        with contextlib.ExitStack() as stack:
            scrapers = [stack.enter_context(wire.Connection(admin, 10 * SLOW)) for _ in range(6)]
            for scraper in 3 * scrapers:
                assert scraper.ask("GET", "/metrics").status == 200
        for connection in crowd:
            connection.close()
        wait_until("the crowd gone", lambda: daemon.resources()["fds"] <= before)
        daemon.good()


@case(own=None, seconds=60)
def a_client_can_shorten_its_deadline():
    with with_admin("--workers", "1", "--request-timeout-ms", "300000") as (daemon, admin):
        data, scores = reference()
        with busy(daemon, 3, metrics=lambda: admin_metrics(admin)) as slow, daemon.connect(60) as late:
            start = time.monotonic()
            late.send(wire.request("POST", "/classify", [("X-Request-Timeout-Ms", "150")], data))
            check_error(late.read(), 504, "deadline_exceeded")
            assert 0.14 < time.monotonic() - start, "too early"
            assert slow.silent(), "not before the worker came to it"
            assert late_reasons(admin) == {"client_deadline": 1}
        for value in ("999999999", "60000"):  # it cannot be lengthened, and needs not be short
            answer = daemon.classify(data, [("X-Request-Timeout-Ms", value)])
            check_scores(predictions(answer), scores)
        for value in ("0", "-5", "1.5", "x", "", "1e3", "9999999999999999999", "10 ms", "+7"):
            answer = daemon.classify(data, [("X-Request-Timeout-Ms", value)])
            check_error(answer, 400, "parameter_invalid")


@case(own=None, seconds=60)
def who_asks_again_at_once_has_not_made_its_deadline_shorter():
    """Its refusal waits for a while, which is no wish of the client's."""
    with with_admin("--workers", "1", "--request-timeout-ms", "20",
                    wrap=["taskset", "-c", str(min(os.sched_getaffinity(0)))]) as (daemon, admin), \
            contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(daemon.connect(60)) for _ in range(12)]
        for connection in crowd:
            connection.send(20 * wire.request("POST", "/classify", body=reference()[0]))
        statuses = {connection.read().status for connection in 20 * crowd}
        assert statuses & {503, 504} and statuses <= {200, 503, 504}, statuses
        assert late_reasons(admin).keys() <= {"deadline", "expected_wait"}, late_reasons(admin)


@case(own=None, seconds=60)
def it_cannot_be_lengthened():
    with with_admin("--workers", "1", "--request-timeout-ms", "100") as (daemon, admin), \
            daemon.connect(60) as connection:
        request = wire.request("POST", "/classify", [("X-Request-Timeout-Ms", "100000")], jpegs.slow(MEGAPIXELS))

        def attempt():
            connection.send(request)
            check_error(connection.read(), 504, "deadline_exceeded")
        quick(1.1, attempt)
        assert late_reasons(admin).keys() == {"deadline"}


@case(own=None, seconds=90)
def a_request_that_cannot_meet_its_deadline_is_refused_at_once():
    data = reference()[0]
    with with_admin("--workers", "1", "--request-timeout-ms", "300000", "--queue-limit",
                    "50") as (daemon, admin):
        with busy(daemon, 3, metrics=lambda: admin_metrics(admin)):  # so that it knows how long such pictures take
            pass
        slow = jpegs.slow(MEGAPIXELS)
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(daemon.connect(60)) for _ in range(4)]
            for connection in crowd:
                connection.send(wire.request("POST", "/classify", body=slow))
            wait_until("three wait", lambda: admin_metrics(admin).sum("resnextd_queue_depth") == 3)
            wait = admin_metrics(admin).sum("resnextd_expected_wait_seconds")
            assert wait > 0.1, wait
            answer = daemon.classify(data, [("X-Request-Timeout-Ms", "20")])
            check_error(answer, 503, "deadline_unreachable")
            assert crowd[0].silent(), "not at once"
            assert abs(int(answer.header("retry-after")) - wait) <= 2, (answer, wait)
            with daemon.connect(60) as early:  # before the body, and without 100 Continue
                early.send(wire.request("POST", "/classify", [
                    ("X-Request-Timeout-Ms", "20"), ("Expect", "100-continue"),
                    ("Content-Length", "900000")]))
                check_error(early.read(), 503, "deadline_unreachable")
            assert daemon.get("/readyz").status == 200, "there is time enough for others"
        assert late_reasons(admin) == {"client_deadline": 2}
        wait_until("idle", lambda: admin_metrics(admin).sum("resnextd_workers_busy") == 0, 20)

        def is_taken():
            answer = daemon.classify(data, [("X-Request-Timeout-Ms", str(int(400 * SLOW)))])
            assert answer.status in (200, 504), "an idle worker is never too busy"
            return answer.status == 200
        wait_until("it is in time", is_taken)


# --- the watchdog ---

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def threads(daemon):
    """{name: [thread ids]}"""
    found = {}
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        with open(f"/proc/{daemon.pid}/task/{task}/comm") as file:
            found.setdefault(file.read().strip(), []).append(int(task))
    return found


@contextlib.contextmanager
def stopped(tid):
    """One thread stands still, the others run."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_ATTACH, tid, None, None) != 0:
        raise harness.Skip(f"no ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(tid, 0x40000000)  # __WALL
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


def feeds(daemon, seconds):
    """How often the watchdog is told of life within a time, what came before left out."""
    daemon.notify.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            daemon.notify.recv(65536)
    time.sleep(seconds)
    fed = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            fed += b"WATCHDOG=1" in daemon.notify.recv(65536)
    daemon.notify.setblocking(True)
    return fed


@case(own=None, seconds=60)
def row_71_the_watchdog_is_told_of_life_only_while_every_thread_moves():
    patience = 0.6 * min(SLOW, 3)
    with with_admin("--workers", "2", "--http-threads", "2",
                    env={"WATCHDOG_USEC": str(int(patience * 1e6))}) as (daemon, _):
        wait_until("life of an idle daemon", lambda: feeds(daemon, 2 * patience) >= 3)
        daemon.good()
        wait_until("life after a request", lambda: feeds(daemon, 2 * patience) >= 3)
        groups = threads(daemon)
        kinds = [name for name in groups if name.startswith(("worker", "monitor", "MHD"))]
        assert len(kinds) >= 5, groups
        for name in kinds:
            for tid in groups[name]:
                with stopped(tid):
                    assert any(feeds(daemon, patience) == 0 for _ in range(5)), f"nobody noticed that {name} stands still"
                wait_until("life", lambda: feeds(daemon, patience / 2) > 0, 5)
        daemon.good()


@case(own=None, seconds=90)
def the_watchdog_waits_for_a_picture_that_takes_longer_than_its_patience():
    patience, data = 0.3, jpegs.progressive(9900, 9900, 32, refined=True)  # as slow with a sanitizer as without
    with with_admin("--workers", "1", "--request-timeout-ms", "3600000",
                    env={"WATCHDOG_USEC": str(int(patience * 1e6))}) as (daemon, admin):
        with daemon.connect(80) as connection:
            connection.send(wire.request("POST", "/classify", body=data))
            wait_until("busy", lambda: admin_metrics(admin).sum("resnextd_workers_busy") == 1)
            time.sleep(2 * patience)
            wait_until("life", lambda: feeds(daemon, patience) > 0)
            assert connection.silent(), "not slow enough, or a worker that decodes was taken for one that hangs"
            assert connection.read().status == 200


def check_life_in_a_crowd(descriptors, *options):
    """Idle connections that take all descriptors they get do not keep the watchdog from being told of life."""
    def few():
        harness.die_with_parent()
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    patience = 2.0 * min(SLOW, 3)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(
            ["--idle-timeout-s", "3600", *harness.UPLOADS_MAY_STALL, *options],
            env={"WATCHDOG_USEC": str(int(patience * 1e6))}, prepare=few))
        for _ in range(descriptors + 24):
            stack.enter_context(daemon.connect())
        wait_until("accepting pauses", lambda: "accepting pauses" in daemon.log())
        feeds(daemon, 0)
        daemon.notify.settimeout(10 * patience)
        for _ in range(10):  # more than a thread may be silent for
            while b"WATCHDOG=1" not in daemon.notify.recv(65536):
                pass
        assert "cannot notify" not in daemon.log(), daemon.log()[-2000:]


@case(own=None, seconds=90)
def row_65_a_crowd_leaves_descriptors_to_the_watchdog():
    check_life_in_a_crowd(96)
    check_life_in_a_crowd(96, "--max-connections", "0")


@case(own=None, seconds=90)
def row_65_a_crowd_leaves_descriptors_to_every_thread():
    check_life_in_a_crowd(512, "--http-threads", "40", "--max-connections", "0")


@case(own=None, seconds=90)
def threads_take_no_descriptors_from_max_connections():
    def few():
        harness.die_with_parent()
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(
            ["--http-threads", "64", "--max-connections", "1000", "--idle-timeout-s", "3600",
             *harness.UPLOADS_MAY_STALL], prepare=few))
        wait_until("nobody there", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])
        crowd = [stack.enter_context(daemon.connect()) for _ in range(1000)]
        assert {connection.ask("GET", "/livez").status for connection in crowd} == {200}
        assert "accepting pauses" not in daemon.log(), daemon.log()[-2000:]


if __name__ == "__main__":
    harness.main()
