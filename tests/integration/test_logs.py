#!/usr/bin/python3 -B
"""What the daemon writes to standard error: one line a request, safe whatever the client sends."""
import json
import os
import re
import tempfile

import harness
import wire
from harness import case, reference

HOSTILE = ["/a%0aINJECTED", "/%1b[31m", "/a\"b", "/a\\b", "/%c0%af", "/\xff\xfe", "/a=b%20c=d"]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def new_lines(daemon, act, count):
    lines = daemon.lines_of(act)
    assert len(lines) == count, f"{count} requests, these lines: {lines}"
    return lines


@case()
def a_request_is_one_line_with_what_matters(daemon):
    data, _ = reference()
    line, = new_lines(daemon, lambda: daemon.classify(data, [("X-Request-Id", "my-id.7")]), 1)
    for part in ("my-id.7", "POST", "/classify", "status=200", harness.MODEL_NAME, str(len(data)), "127."):
        assert part in line, (part, line)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info ", line), line
    line, = new_lines(daemon, lambda: daemon.classify(b"bad", [("X-Request-Id", "my-id.8")]), 1)
    assert "status=415" in line and "my-id.8" in line, line


PROBES = ("/livez", "/readyz", "/health", "/metrics", "/v2/health/live", "/v2/health/ready")


@case()
def probes_that_are_well_leave_no_line(daemon):
    new_lines(daemon, lambda: [daemon.get(target) for target in PROBES], 0)
    line, = new_lines(daemon, lambda: daemon.ask("POST", "/livez"), 1)
    assert "status=405" in line and "/livez" in line, line


@case(["--log-level", "debug"])
def at_debug_probes_have_their_lines(daemon):
    lines = daemon.lines_of(lambda: [daemon.get(target) for target in PROBES])
    for target in PROBES:
        assert any(f'path="{target}"' in line and " debug " in line for line in lines), (target, lines)


@case(["--max-connections", "2", *harness.UPLOADS_MAY_STALL])
def a_connection_that_is_turned_away_has_its_line(daemon):
    harness.wait_until("nobody connected", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])
    with daemon.connect() as first, daemon.connect() as second:
        for connection in (first, second):
            connection.send(wire.raw(["POST /classify HTTP/1.1", "Host: x", "Content-Length: 3",
                                      "Expect: 100-continue"]))
            assert connection.interim() == 100  # it is busy
        with daemon.connect() as third:
            name = third.read().header("x-request-id")
        harness.wait_until("the line", lambda: name in daemon.log())
        line, = [line for line in daemon.log().splitlines() if name in line]
    for part in ("503", "max_connections", "127."):
        assert part in line, (part, line)
    harness.wait_until("space again", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])


@case()
def each_of_several_requests_has_its_own_line(daemon):
    def act():
        with daemon.connect() as connection:
            for i in range(10):
                connection.ask("GET", "/models", [("X-Request-Id", f"one-of-{i}-")])
    lines = new_lines(daemon, act, 10)
    for i, line in enumerate(lines):
        assert f"one-of-{i}-" in line, lines


@case()
def a_made_id_is_the_one_the_client_got(daemon):
    answers = []
    line, = new_lines(daemon, lambda: answers.append(daemon.get("/nothing")), 1)
    assert answers[0].header("x-request-id") in line and "status=404" in line, line


@case()
def a_traceparent_is_kept(daemon):
    line, = new_lines(daemon, lambda: daemon.ask("GET", "/models", [("traceparent", TRACE)]), 1)
    assert TRACE in line, line


@case()
def a_traceparent_that_is_none_is_not_kept(daemon):
    zeros = re.sub("[0-9a-f]", "0", TRACE)
    none = [zeros, zeros[:36] + TRACE[36:], TRACE[:36] + zeros[36:], "ff" + TRACE[2:], TRACE + "-00",
            TRACE.upper(), TRACE[:-1], ""]
    requests = [[("traceparent", value)] for value in none] + [[("traceparent", TRACE)] * 2]

    def act():
        for headers in requests:
            assert daemon.ask("GET", "/models", headers).status == 200, headers
    for line in new_lines(daemon, act, len(requests)):
        assert "traceparent" not in line, line


@case()
def what_is_known_of_a_later_traceparent_is_kept(daemon):
    later = "cc" + TRACE[2:]
    line, = new_lines(daemon, lambda: daemon.ask("GET", "/models", [("traceparent", later + "-more")]), 1)
    assert later in line and "more" not in line, line


@case()
def a_hostile_traceparent_cannot_break_a_line(daemon):
    def act():
        for value in ("x" * 5000, 'a" status=200 b="', "\x1b[2J", "\xff\xfe"):
            daemon.ask("GET", "/models", [("traceparent", value)])
    for line in new_lines(daemon, act, 4):
        assert len(line) < 5000 and all(c.isprintable() for c in line), repr(line)


@case()
def hostile_paths_are_escaped(daemon):
    def act():
        for target in HOSTILE:
            assert daemon.get(target).status in (400, 404), target
    lines = new_lines(daemon, act, len(HOSTILE))
    for line in lines:
        assert not line.startswith("INJECTED") and all(c.isprintable() for c in line), repr(line)


@case(["--log-format", "json"])
def json_lines_parse_whatever_is_in_them(daemon):
    data, _ = reference()

    def act():
        for target in HOSTILE:
            daemon.get(target)
        daemon.get("/" + "a\"\\" * 2000)
        daemon.classify(data, [("X-Request-Id", "json-id"), ("traceparent", TRACE)])
        daemon.classify(data, [("User-Agent", "\x01\xff"), ("X-Request-Id", "b" * 9000)])
        daemon.classify(wire.multipart([("f", 'x"\\\udcff\x07', None, b"bad")]), [wire.form_type()])
    lines = new_lines(daemon, act, len(HOSTILE) + 4)
    events = [json.loads(line) for line in lines]
    for event in events:
        assert {"time", "level", "message"} <= set(event), event
    mine, = [e for e in events if "json-id" in e.values()]
    assert "POST" in mine.values() and 200 in mine.values(), mine
    assert harness.MODEL_NAME in mine.values() and TRACE in mine.values(), mine
    for line in daemon.log().splitlines():
        json.loads(line)


@case(own=None)
def a_start_that_fails_is_a_json_line_too():
    line = harness.refuse(["--log-format", "json", "--model", harness.path("no-such-folder")], model=False)
    assert json.loads(line)["level"] == "error"
    assert "no-such-folder" in json.loads(line)["message"]


@case(["--log-level", "error"])
def at_level_error_requests_are_silent(daemon):
    for _ in range(3):
        daemon.good()
    daemon.classify(b"bad")
    assert daemon.log() == "", daemon.log()


@case()
def a_start_says_what_was_chosen(daemon):
    with harness.Daemon() as fresh:
        log = fresh.log()
        assert harness.MODEL_NAME in log, log
        assert f"{fresh.address[0]}:{fresh.address[1]}" in log, log
        assert re.search(r'precision="f32" kernels="dense \S+, grouped OpenBLAS \S+" ', log), log


@case(own=None)
def row_69_a_closed_log_pipe_stops_nothing():
    read_end, write_end = os.pipe()
    with harness.Daemon(stderr=write_end) as daemon:
        os.close(write_end)
        os.close(read_end)
        for _ in range(5):
            daemon.good()
        assert daemon.classify(b"bad").status == 415


@case(own=None, seconds=40)
def row_69_a_full_log_pipe_stops_nothing():
    read_end, write_end = os.pipe()
    with harness.Daemon(stderr=write_end, wait=False) as daemon:
        os.close(write_end)
        daemon.wait_ready()
        for _ in range(700):  # 64 KiB are full after some 250 lines
            daemon.get("/models")
        daemon.good()
        lost = daemon.metrics().sum("resnextd_log_lines_dropped_total")
        assert lost > 100, lost
        os.set_blocking(read_end, False)
        got = b""
        while True:
            try:
                got += os.read(read_end, 65536)
            except BlockingIOError:
                break
        assert got.endswith(b"\n"), "half a line"
        daemon.get("/models")
        harness.wait_until("lines come again", lambda: b"/models" in read_some(read_end), 3)
        daemon.stop()
    os.close(read_end)


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


@case(own=None)
def row_69_a_full_disk_stops_nothing():
    with open("/dev/full", "wb") as full, harness.Daemon(stderr=full) as daemon:
        for _ in range(5):
            daemon.good()
        assert daemon.metrics().sum("resnextd_log_lines_dropped_total") >= 5


@case(own=None)
def under_the_journal_lines_carry_a_priority():
    with tempfile.TemporaryFile() as journal:
        found = os.fstat(journal.fileno())
        stream = f"{found.st_dev}:{found.st_ino}"
        with harness.Daemon(env={"JOURNAL_STREAM": stream}, stderr=journal) as daemon:
            daemon.good()
        journal.seek(0)
        lines = journal.read().decode().splitlines()
        assert lines
        for line in lines:
            assert re.match(r"<[3-7]>\S", line), line


if __name__ == "__main__":
    harness.main()
