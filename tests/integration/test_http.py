#!/usr/bin/python3 -B
"""Hostile HTTP: framing, sizes, slow and silent clients, methods, paths. Each case ends with the
recovery check."""
import contextlib
import http.client
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import harness
import jpegs
import wire
from harness import SLOW, Daemon, case, check_error, check_scores, predictions, reference, shim
from wire import raw

LIMIT = 16777216
ENDPOINTS = {"/classify": {"POST"}, "/livez": {"GET", "HEAD"}, "/readyz": {"GET", "HEAD"},
             "/health": {"GET", "HEAD"}, "/metrics": {"GET", "HEAD"}, "/models": {"GET", "HEAD"},
             "/": {"GET", "HEAD"}, "/openapi.json": {"GET", "HEAD"}, "/assets/app.js": {"GET", "HEAD"}}


def post(*headers, body=b""):
    return raw(["POST /classify HTTP/1.1", "Host: x", *headers], body)


def check_status(answer, *allowed):
    assert answer is not None, f"closed without an answer, wanted {allowed}"
    assert answer.status in allowed, f"wanted {allowed}, got {answer}"


@case(["--upload-timeout-ms", "500"])
def row_1_garbage_request_lines_are_400_or_closed(daemon):
    for line in (b"garbage\r\n\r\n", b"\0\1\2\3\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                 b"GET\r\n\r\n", b"GET /livez\r\n\r\n", b" / HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET  /livez  HTTP/1.1 x\r\nHost: x\r\n\r\n", b"\xff\xd8\xff\xe0" * 1000 + b"\r\n\r\n",
                 b"GET /livez HTTP/x.y\r\nHost: x\r\n\r\n"):
        answer = daemon.send_raw(line)
        assert answer is None or answer.status == 400, (line[:40], answer)


@case()
def row_2_http_2_is_505(daemon):
    check_status(daemon.send_raw(raw(["GET /livez HTTP/2.0", "Host: x"])), 505)
    check_status(daemon.send_raw(raw(["GET /livez HTTP/3.1", "Host: x"])), 505)
    check_status(daemon.send_raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505)


@case()
def row_3_an_endless_uri_is_414(daemon):
    check_status(daemon.send_raw(raw(["GET /" + "a" * 200000 + " HTTP/1.1", "Host: x"])), 414)


@case()
def row_4_too_large_headers_are_431(daemon):
    many = [f"X-{i}: {'a' * 100}" for i in range(2000)]
    check_status(daemon.send_raw(raw(["GET /livez HTTP/1.1", "Host: x", *many])), 431)
    one = "X: " + "a" * 200000
    check_status(daemon.send_raw(raw(["GET /livez HTTP/1.1", "Host: x", one])), 431)


@case()
def row_5_http_1_1_without_host_is_400(daemon):
    check_status(daemon.send_raw(raw(["GET /livez HTTP/1.1"])), 400)
    check_status(daemon.send_raw(raw(["POST /classify HTTP/1.1", "Content-Length: 3"], b"abc")), 400)


@case()
def http_1_0_is_served_and_closed(daemon):
    with daemon.connect() as connection:
        connection.send(raw(["GET /livez HTTP/1.0"]))
        assert connection.read().status == 200
        assert connection.closed_within(5 * SLOW)
    data, scores = reference()
    answer = daemon.send_raw(raw(["POST /classify HTTP/1.0", f"Content-Length: {len(data)}"], data))
    check_scores(predictions(answer), scores)


@case()
def row_6_malformed_content_lengths_are_400(daemon):
    for length in ("abc", "-1", "1a", "0x10", "+3", "3 3", "1.0", '"3"'):
        check_status(daemon.send_raw(post(f"Content-Length: {length}", body=b"abc")), 400)


@case()
def row_7_content_lengths_beyond_64_bits_are_413_or_400(daemon):
    for length in (2**64, 2**64 + 3, 10**40, 2**64 - 1, 2**63):
        check_status(daemon.send_raw(post(f"Content-Length: {length}", body=b"abc")), 413, 400)


@case()
def row_8_a_body_above_the_limit_is_413_at_once(daemon):
    def attempt():
        with daemon.connect() as connection:
            connection.send(post(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
            return connection.read()
    answer = harness.quick(1, attempt)
    message = check_error(answer, 413, "body_too_large")["message"]
    assert not answer.interim, "100 Continue was sent"
    assert str(LIMIT) in message and "max_body_bytes" in message.replace("-", "_"), message
    check_error(daemon.send_raw(post(f"Content-Length: {LIMIT * 1000}")), 413, "body_too_large")


@case(["--max-body-bytes", "1024"])
def a_lower_limit_is_kept_to_the_byte(daemon):
    data = jpegs.small()
    data += bytes(1024 - len(data))
    assert daemon.classify(data).status == 200
    check_error(daemon.classify(data + b"x"), 413, "body_too_large")


@case()
def row_9_two_content_lengths_are_400(daemon):
    body = reference()[0]
    n = len(body)
    for headers in ([f"Content-Length: {n}", f"Content-Length: {n}"],
                    [f"Content-Length: {n}", "Content-Length: 5"],
                    ["Content-Length: 5", f"content-length: {n}"],
                    [f"Content-Length: {n}, {n}"],
                    [f"Content-Length: {n}", "X: y", "CONTENT-LENGTH: 0"]):
        check_status(daemon.send_raw(post(*headers, body=body)), 400)


@case()
def row_10_a_length_beside_a_transfer_coding_is_400(daemon):
    body = wire.chunked(reference()[0], 1000)
    for headers in (["Content-Length: 5", "Transfer-Encoding: chunked"],
                    ["Transfer-Encoding: chunked", f"Content-Length: {len(body)}"],
                    ["transfer-encoding: Chunked", "content-length: 0"]):
        check_status(daemon.send_raw(post(*headers, body=body)), 400)


@case()
def row_11_other_transfer_codings_are_501(daemon):
    body = wire.chunked(reference()[0], 1000)
    for coding in ("gzip, chunked", "gzip", "identity", "chunkedx", "xchunked", "deflate,chunked"):
        answer = daemon.send_raw(post(f"Transfer-Encoding: {coding}", body=body))
        if not harness.is_refused_by_library(answer, b"Unsupported Transfer-Encoding"):
            check_error(answer, 501, "transfer_coding_unsupported")
    for codings in (("gzip", "chunked"), ("chunked", "gzip")):
        answer = daemon.send_raw(post(*[f"Transfer-Encoding: {coding}" for coding in codings], body=body))
        if not harness.is_refused_by_library(answer, b"Unsupported Transfer-Encoding"):
            check_error(answer, (400, 501))
    assert daemon.send_raw(post("Transfer-Encoding: Chunked", body=body)).status == 200


@case()
def a_get_is_framed_as_strictly_as_a_post(daemon):
    for headers in (["Content-Length: 3", "Content-Length: 0"],
                    ["Content-Length: 3", "Transfer-Encoding: chunked"]):
        check_status(daemon.send_raw(raw(["GET /livez HTTP/1.1", "Host: x", *headers], b"abc")), 400)


@case()
def no_request_can_be_smuggled(daemon):
    """What one server takes for a body and the next one for a request is how caches are poisoned."""
    inner = raw(["GET /models HTTP/1.1", "Host: x", "X-Request-Id: smuggled"])
    n = len(inner)
    for line in ("POST /classify", "GET /livez"):
        for headers in ([f"Content-Length : {n}"], [f"Content-Length\t: {n}"],
                        ["Content-Length: 0", f"Content-Length: {n}"],
                        [f"Content-Length: {n}", "Content-Length: 0"],
                        [f"Content-Length: {n}", "Transfer-Encoding: gzip"],
                        [f"Content-Length: {n}", "Transfer-Encoding : chunked"],
                        [f"X: y\r\n\tContent-Length: 1\r\nContent-Length: {n}"],
                        ["Transfer-Encoding: chunked", "Content-Length: 0"],
                        [f"Content-Length: {n}"]):
            with daemon.connect() as connection:
                connection.send(raw([f"{line} HTTP/1.1", "Host: x", *headers], inner))
                answers = [connection.read()]
                connection.sock.settimeout(0.1 * SLOW)
                try:
                    while True:
                        answers.append(connection.read())
                except (wire.Closed, TimeoutError):
                    pass
            smuggled = [a for a in answers if a.header("x-request-id") == "smuggled"]
            assert not smuggled, f"{line} with {headers}: {answers}"


@case()
def row_12_bad_chunks_are_400(daemon):
    for body in (b"zz\r\nabc\r\n", b"-1\r\nabc\r\n", b"\r\nabc\r\n", b"0x3\r\nabc\r\n0\r\n\r\n",
                 b"3\r\nabcdef\r\n0\r\n\r\n"):
        check_status(daemon.send_raw(post("Transfer-Encoding: chunked", body=body)), 400)
    huge = b"fffffffffffffffff\r\nabc\r\n"
    check_status(daemon.send_raw(post("Transfer-Encoding: chunked", body=huge)), 400, 413)


@case(seconds=40)
def row_13_a_hundred_thousand_chunks_of_one_byte_cost_little(daemon):
    data, scores = reference()
    data += bytes(100000 - len(data))
    before = daemon.cpu_seconds()
    daemon.reset_peak()
    start_rss = daemon.resources()["rss"]
    answer = daemon.send_raw(post("Transfer-Encoding: chunked", body=wire.chunked(data, 1)))
    check_scores(predictions(answer), scores)
    spent = daemon.cpu_seconds() - before
    assert spent < 2 * SLOW, f"{spent} s of CPU"
    if not harness.SANITIZER:
        assert daemon.peak() - start_rss < 16 << 20, "memory"


@case(["--max-body-bytes", "1048576"], seconds=40)
def row_14_an_endless_chunked_body_is_closed_at_the_limit(daemon):
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    before, sent = daemon.metrics(), 0
    daemon.reset_peak()
    start_rss = daemon.resources()["rss"]
    with daemon.connect() as connection:
        connection.send(post("Transfer-Encoding: chunked"))
        while sent < 256 << 20 and connection.try_send(chunk):
            sent += 65536
    assert sent < 32 << 20, f"{sent} bytes were taken"  # most of them by the kernel
    after = daemon.metrics()
    read = after.sum("resnextd_upload_bytes_total") - before.sum("resnextd_upload_bytes_total")
    assert 5 << 20 < read <= (5 << 20) + 65536, f"{read} bytes were read"
    name, labels = "resnextd_requests_total", {"endpoint": "/classify", "code": "413"}
    assert after.sum(name, **labels) - before.sum(name, **labels) == 1, "not counted as too large"
    if not harness.SANITIZER:
        assert daemon.peak() - start_rss < 16 << 20, "memory"
    line, = [line for line in daemon.log().splitlines() if "status=413" in line]
    assert "bytes_out=0" in line and "body_too_large" in line, line


NODE = """
const [host, port, method, path, size, headers] = process.argv.slice(1);
const ask = require("http").request({host, port, path, method, headers: JSON.parse(headers)}, answer => {
  let body = "";
  answer.on("data", more => body += more);
  answer.on("end", () => { console.log(answer.statusCode + body); process.exit(0); });
});
ask.on("error", wrong => { console.log(wrong.code); process.exit(1); });
ask.end(Buffer.alloc(+size));
"""


def ask_with_python(daemon, method, path, size, chunked, headers):
    """Sends all of the body before it reads."""
    connection = http.client.HTTPConnection(*daemon.address, timeout=20 * SLOW)
    pieces = (bytes(min(65536, size - at)) for at in range(0, size, 65536))
    connection.request(method, path, pieces if chunked else bytes(size), headers, encode_chunked=chunked)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def ask_with_curl(daemon, method, path, size, chunked, headers):
    body = harness.write("body", bytes(size))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Expect:"] + (["Transfer-Encoding: chunked"] if chunked else [])
    done = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-X", method, "--data-binary", f"@{body}",
                           *[word for line in lines for word in ("-H", line)],
                           "http://%s:%d%s" % (*daemon.address, path)], capture_output=True)
    assert done.returncode == 0, done
    return int(done.stdout[-3:]), done.stdout[:-3]


def ask_with_node(daemon, method, path, size, chunked, headers):
    headers = headers if chunked else {**headers, "Content-Length": size}
    host, port = daemon.address
    done = subprocess.run(["node", "-e", NODE, host, str(port), method, path, str(size), json.dumps(headers)],
                          capture_output=True)
    assert done.returncode == 0, done
    return int(done.stdout[:3]), done.stdout[3:-1]


def clients():
    """Those that are installed; all send the whole body before they read."""
    yield ask_with_python
    for name, ask in (("curl", ask_with_curl), ("node", ask_with_node)):
        if shutil.which(name):
            yield ask


def check_refused_alike(daemon, status, method, path, size, headers, framings=(True, False)):
    for ask in clients():
        for chunked in framings:
            got, body = ask(daemon, method, path, size, chunked, headers)
            assert got == status == json.loads(body)["error"]["status"], (ask, chunked, got, body)


@case(["--max-body-bytes", "1048576"], seconds=60)
def row_88_a_chunked_body_over_the_limit_gets_its_413(daemon):
    before = daemon.metrics()
    for size in (1048577, 2 << 20, 5 << 20):
        check_refused_alike(daemon, 413, "POST", "/classify", size, {}, [True])
    answer = daemon.send_raw(post("Transfer-Encoding: chunked", "X-Request-Id: the-one",
                                  body=wire.chunked(bytes(1200000), 1000)))
    message = check_error(answer, 413, "body_too_large")["message"]
    assert "1048576" in message and "max_body_bytes" in message, message
    assert answer.header("connection").lower() == "close", answer
    harness.wait_until("the line", lambda: "the-one" in daemon.log())
    line, = [line for line in daemon.log().splitlines() if "the-one" in line]
    for part in ("status=413", "bytes_in=1200000", f"bytes_out={len(answer.body)}"):
        assert part in line, (part, line)
    assert "ended" not in line, line
    infer = f"/v2/models/{harness.MODEL_NAME}/infer"
    answer = daemon.send_raw(raw([f"POST {infer} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"],
                                 wire.chunked(bytes(1200000), 65536)))
    assert answer.status == 413 and list(json.loads(answer.body)) == ["error"], answer
    rejected = "resnextd_rejected_total"
    grown = daemon.metrics().sum(rejected, reason="body_too_large") - before.sum(rejected, reason="body_too_large")
    assert grown == 3 * len(list(clients())) + 2, grown
    assert daemon.classify(reference()[0]).status == 200


@case(["--max-body-bytes", "1048576"], seconds=60)
def an_early_refusal_reaches_who_sends_everything_first(daemon):
    def check(*refused):
        harness.unless_still(lambda _: check_refused_alike(daemon, *refused))
    for size in (1048577, 16 << 20):
        check(413, "POST", "/classify", size, {}, [False])
    for status, method, path, headers in ((404, "POST", "/nowhere", {}), (405, "POST", "/livez", {}),
                                          (405, "PUT", "/classify", {}),
                                          (415, "POST", "/classify", {"Content-Encoding": "gzip"}),
                                          (400, "POST", "/classify", {"X-Request-Timeout-Ms": "x"})):
        for size in (1000, 1000000):
            check(status, method, path, size, headers)


@case(["--max-body-bytes", "1048576", *harness.UPLOADS_MAY_STALL], seconds=60)
def an_early_refusal_waits_for_who_sends_slowly(daemon):
    """For twice as long in all as a silent connection is waited for."""
    def attempt(sent):
        start = time.monotonic()
        with daemon.connect() as connection:
            connection.send(post("Content-Length: 4000000"))
            while time.monotonic() - start < 4:
                connection.send(b"x" * 100)
                sent()
                harness.wait_until("it is read", lambda: daemon.has_read(connection))
            check_error(connection.read(), 413, "body_too_large")
    harness.unless_still(attempt)


@case(["--upload-timeout-ms", str(int(5000 * max(1, SLOW / 4)))], seconds=60)
def an_answer_that_was_not_sent_is_not_logged_as_sent(daemon):
    """More of them than what the kernel takes for a client that does not read; also without bodies."""
    for method in ("GET", "HEAD"):
        check_unsent(daemon, raw([f"{method} /assets/app.js HTTP/1.1", "Host: x", f"X-Request-Id: unread-{method}"]),
                     f"unread-{method}")


def check_unsent(daemon, head, name):
    def lines():
        return [line for line in daemon.log().splitlines() if name in line]

    with daemon.connect(receive_buffer=4096) as connection:
        connection.sock.setblocking(False)
        rest = head

        def is_cut():
            """Asks on as long as there is space for it."""
            nonlocal rest
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while True:
                    rest = rest[connection.sock.send(rest):] or head
            return "slow_reader" in str(lines())
        harness.wait_until("it is cut", is_cut, 30)
    unsent, = [line for line in lines() if "slow_reader" in line]
    assert "status=499" in unsent and "bytes_out=0" in unsent, unsent
    assert all("status=200" in line for line in lines() if "slow_reader" not in line), lines()


@case(own=None)
def an_answer_counts_though_its_client_left_at_once():
    """Before libmicrohttpd looks at the connection again; it has it in its epoll set, since this is the
    second request of two that came together."""
    name = harness.path("hangup.sock")
    with Daemon(["--listen", f"unix:{name}"], env={"LD_PRELOAD": shim("hangup")}) as daemon:
        with wire.Connection(name, 30 * SLOW) as connection:
            connection.send(b"".join(wire.request("GET", target, [("X-Request-Id", target[1:])])
                                     for target in ("/metrics", "/models")))
            check_status(connection.read(), 200)
            answer = connection.read()
            check_status(answer, 200)
        line, = harness.wait_until("it is logged", lambda: [
            line for line in daemon.log().splitlines() if 'id="models"' in line])
        assert "status=200" in line and f"bytes_out={len(answer.body)} " in line, line


@case()
def row_15_other_expectations_are_417(daemon):
    check_error(daemon.send_raw(post("Content-Length: 3", "Expect: foo", body=b"abc")), 417,
                "expectation_failed")


@case()
def an_upload_that_waits_for_100_continue_gets_it(daemon):
    data, scores = reference()
    with daemon.connect() as connection:
        connection.send(post(f"Content-Length: {len(data)}", "Expect: 100-continue"))
        assert connection.interim() == 100
        connection.send(data)
        check_scores(predictions(connection.read()), scores)


def check_closed_at(seconds, daemon, head, pieces, gap):
    """Who says the head at once and the pieces slowly is closed at the deadline, not later."""
    def attempt():
        with daemon.connect() as connection:
            connection.send(head)
            took = slow_send(connection, pieces, gap)
        assert seconds - 0.1 < took, f"closed after {took:.1f} s"
        if took >= seconds + 1.5 * SLOW:
            raise harness.Slow(f"closed after {took:.1f} s")
    harness.unless_slow(attempt)


def slow_send(connection, pieces, gap):
    """Sends a piece every `gap` seconds; how long until the server closed."""
    start = time.monotonic()
    connection.sock.settimeout(gap)
    for piece in pieces:
        if not connection.try_send(piece):
            break
        try:
            if not connection.sock.recv(4096):
                break
        except ConnectionResetError:
            break
        except TimeoutError:
            pass
    return time.monotonic() - start


@case(["--upload-timeout-ms", "2500"])
def row_16_headers_at_one_byte_a_second_are_closed_at_the_deadline(daemon):
    """Beside one that is quicker, which resets whatever counts the time since the last byte more often."""
    head = raw(["GET /livez HTTP/1.1", "Host: x", "X: " + "a" * 500])
    for gap in (1, 0.05):
        check_closed_at(2.5, daemon, b"", [bytes([byte]) for byte in head], gap)


@case(["--upload-timeout-ms", "2500"])
def row_17_a_body_at_one_byte_a_second_is_closed_at_the_total_deadline(daemon):
    check_closed_at(2.5, daemon, post("Content-Length: 600"), [b"x"] * 600, 1)


@case(["--upload-timeout-ms", "1000"])
def a_body_that_stops_is_closed_at_the_deadline(daemon):
    with daemon.connect() as connection:
        start = time.monotonic()
        connection.send(post("Content-Length: 600", body=bytes(10)))
        assert connection.closed_within(30), "still open"
        assert time.monotonic() - start > 0.8, "too early"


def growth_by_stalled_uploads(daemon, requests, codes):
    """Sends each request on a connection of its own and waits until all are closed and counted under
    one of the codes. Returns how much a metric has grown since."""
    before = daemon.metrics()

    def grown(name, **labels):
        return daemon.metrics().sum(name, **labels) - before.sum(name, **labels)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(daemon.connect()) for _ in requests]
        for connection, request in zip(connections, requests):
            connection.send(request)
        for connection in connections:
            assert connection.closed_within(30 * SLOW), "still open"
    harness.wait_until("all counted", lambda: sum(
        grown("resnextd_requests_total", code=code) for code in codes) == len(requests))
    return grown


@case(["--upload-timeout-ms", str(int(5000 * max(1, SLOW / 4)))], seconds=60)
def an_upload_timeout_is_counted_as_one(daemon):
    stalled = post("Content-Length: 600", body=bytes(10))
    grown = growth_by_stalled_uploads(daemon, [stalled] * 10, ["408", "499"])
    assert grown("resnextd_requests_total", code="499") == 0, "as clients that left"
    assert grown("resnextd_rejected_total", reason="upload_timeout") == 10
    assert len([line for line in daemon.log().splitlines() if "status=408" in line]) == 10


@case(["--upload-timeout-ms", str(int(5000 * max(1, SLOW / 4))), "--max-body-bytes", "1024"], seconds=60)
def a_refusal_whose_upload_then_stops_is_counted_as_one(daemon):
    too_large = post("Transfer-Encoding: chunked", body=b"1000\r\n" + bytes(2000))
    nowhere = raw(["POST /nowhere HTTP/1.1", "Host: x", "Content-Length: 600"], bytes(10))
    grown = growth_by_stalled_uploads(daemon, [too_large, nowhere] * 3, ["413", "404"])
    assert grown("resnextd_rejected_total", reason="body_too_large") == 3
    assert grown("resnextd_rejected_total") == 3, "as upload timeouts too"


@case(["--upload-timeout-ms", "1000"])
def row_17_small_chunks_do_not_put_off_the_total_deadline(daemon):
    check_closed_at(1, daemon, post("Transfer-Encoding: chunked"), [b"1\r\nx\r\n"] * 600, 0.05)


@case(["--idle-timeout-s", "1", "--upload-timeout-ms", "2000"])
def an_idle_connection_is_closed(daemon):
    with daemon.connect() as connection, daemon.connect() as silent:
        assert connection.ask("GET", "/livez").status == 200
        assert connection.closed_within(30), "a kept-alive one stays open"
        assert silent.closed_within(30), "one that never spoke stays open"


@case(["--idle-timeout-s", "1", "--request-timeout-ms", "1000", "--upload-timeout-ms", "1000"])
def row_18_a_client_that_never_reads_is_closed(daemon):
    fds = daemon.resources()["fds"]
    clients = [daemon.connect(receive_buffer=4096) for _ in range(3)]
    try:
        for client in clients:
            client.sock.settimeout(0.5)
            try:
                client.try_send(raw(["GET /metrics HTTP/1.1", "Host: x"]) * 20000)
            except TimeoutError:
                pass
        harness.wait_until("their connections closed",
                           lambda: daemon.resources()["fds"] <= fds, 8)
    finally:
        for client in clients:
            client.close()


@case([*harness.UPLOADS_MAY_STALL])
def row_19_a_disconnect_in_mid_upload_is_cleaned_up_and_counted(daemon):
    def count():
        return daemon.metrics().sum("resnextd_requests_total", code="499")
    before = count()
    for how in ("close", "reset", "close", "reset"):
        for body in (b"", b"abc", bytes(300000)):
            connection = daemon.connect()
            connection.send(post("Content-Length: 400000", "Expect: 100-continue"))
            assert connection.interim() == 100  # so it is known that the request has come
            connection.send(body)
            getattr(connection, how)()
    harness.wait_until("all twelve counted", lambda: count() >= before + 12)
    assert count() == before + 12, f"{count() - before} counted"


@case(["--upload-timeout-ms", "500", "--idle-timeout-s", "1"])
def row_21_garbage_after_a_good_request_does_not_harm_it(daemon):
    data, scores = reference()
    for garbage in (b"\0garbage\r\n\r\n", b"garbage\r\n\r\n", b"\xff" * 100000, data, b"\r\n\r\nG"):
        with daemon.connect() as connection:
            connection.try_send(wire.request("POST", "/classify", body=data) + garbage)
            check_scores(predictions(connection.read()), scores)
            try:
                assert 400 <= connection.read().status < 500, garbage[:20]
            except wire.Closed:
                pass


@contextlib.contextmanager
def standing_still(daemon):
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, daemon.pid, os.WSTOPPED)
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


@case([*harness.UPLOADS_MAY_STALL, "--idle-timeout-s", "3600"], seconds=60)
def however_many_ask_at_once_all_are_answered(daemon):
    """The events of 128 are what libmicrohttpd asks for at a time."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(daemon.connect()) for _ in range(256)]
        for count in (127, 128, 129, 256):
            asking = connections[:count]
            for connection in asking:
                assert connection.ask("GET", "/livez").status == 200
            with standing_still(daemon):
                for connection in asking:
                    connection.send(wire.request("GET", "/livez"))
            for connection in asking:
                assert connection.read().status == 200, count


@case()
def pipelined_requests_are_answered_in_order(daemon):
    rows = [r for r in harness.goldens() if r["model"].endswith(harness.MODEL_NAME)]
    with daemon.connect() as connection:
        for row in rows:
            connection.send(wire.request("POST", "/classify", body=harness.picture(row["picture"])))
            connection.send(wire.request("GET", "/livez"))
        for row in rows:
            check_scores(predictions(connection.read()), harness.softmax(row["logits"]))
            assert connection.read().status == 200


@case()
def a_hundred_requests_share_a_connection(daemon):
    data, scores = reference()
    with daemon.connect() as connection:
        for i in range(100):
            check_scores(predictions(connection.ask("POST", "/classify", body=data)), scores)
        assert connection.ask("GET", "/livez", [("Connection", "close")]).header("connection") == "close"
        assert connection.closed_within(5 * SLOW)


@case()
def an_error_leaves_the_connection_usable(daemon):
    with daemon.connect() as connection:
        check_error(connection.ask("POST", "/classify", body=b"no picture"), 415)
        check_error(connection.ask("GET", "/nothing"), 404)
        assert connection.ask("GET", "/livez").status == 200


@case()
def row_22_a_wrong_method_is_405_with_allow(daemon):
    for target, allowed in ENDPOINTS.items():
        for method in ("GET", "PUT", "DELETE", "PATCH", "POST", "FOO"):
            if method in allowed:
                continue
            answer = daemon.ask(method, target)
            check_error(answer, 405, "method_not_allowed")
            assert set(answer.header("allow").replace(" ", "").split(",")) == allowed, answer
    assert daemon.ask("HEAD", "/classify").status == 405


@case()
def a_wrong_method_with_a_body_is_405_too(daemon):
    with daemon.connect() as connection:
        check_error(connection.ask("PUT", "/classify", body=bytes(100000)), 405)


@case()
def row_23_odd_paths_are_404(daemon):
    for target in ("/../", "/livez%00x", "/livez%00", "/%00", "/..%2flivez", "/livez/", "//livez", "/LIVEZ",
                   "/classify/x", "/classify%20", "/etc/passwd", "/%2e%2e/livez", "/livez;a=b", "/%ff%fe"):
        check_error(daemon.get(target), 404, "not_found")
        check_error(daemon.ask("POST", target, body=b"abc"), 404, "not_found")


@case()
def a_query_does_not_change_the_path(daemon):
    for target in ("/livez?", "/livez?a=b", "/livez?%00", "/livez?a=%ff", "/livez?" + "a=b&" * 500):
        assert daemon.get(target).status == 200, target


@case()
def the_path_of_a_whole_url_is_its_path(daemon):
    for target in ("http://any.example/livez", "https://any.example/livez?a=/b", "http:///livez"):
        assert daemon.get(target).status == 200, target
    for target in ("http://any.example?a=/livez", "http://any.example", "http://", "https://?", "http:/livez"):
        check_error(daemon.get(target), 404, "not_found")


@case()
def row_24_a_content_encoding_is_415(daemon):
    data, _ = reference()
    for coding in ("gzip", "br", "deflate, gzip", "x"):
        check_error(daemon.classify(data, [("Content-Encoding", coding)]), 415,
                    "media_type_unsupported")


def wait_until_alone(daemon):
    harness.wait_until("no connection", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])


@case(["--max-connections", "8"])
def row_25_more_connections_than_the_limit_do_no_harm(daemon):
    connections = []
    wait_until_alone(daemon)
    try:
        for _ in range(40):
            connections.append(daemon.connect())
        for _ in range(2):  # in the first round some are still to be accepted, or to give way
            answers = [connection.status() for connection in connections]
            assert set(answers) <= {200, 503, None}, answers
        assert 1 <= answers.count(200) <= 8, answers
    finally:
        for connection in connections:
            connection.close()
    wait_until_alone(daemon)


@case(["--max-connections-per-ip", "3"])
def one_address_cannot_take_all_connections(daemon):
    wait_until_alone(daemon)
    connections = [daemon.connect() for _ in range(10)]
    answers = [connection.status() for connection in connections]
    for connection in connections:
        connection.close()
    assert answers.count(200) == 3 and set(answers) <= {200, 503, None}, answers
    wait_until_alone(daemon)


@case(["--max-connections-per-ip", "3"])
def a_connection_that_only_seems_to_end_keeps_its_place(daemon):
    wait_until_alone(daemon)
    seeming = ["closed", "keep-alive, not-close", "close not"]
    connections = [daemon.connect() for _ in seeming]
    for connection, option in zip(connections, seeming):
        assert connection.ask("GET", "/livez", [("Connection", option)]).status == 200
        assert connection.ask("GET", "/livez", [("Connection", option)]).status == 200, "it ended"
    connections.append(daemon.connect())
    try:
        assert connections[-1].ask("GET", "/livez").status == 503
    except wire.Closed:
        pass
    for connection in connections:
        connection.close()
    wait_until_alone(daemon)


@case(["--max-connections", "0"])
def no_limit_of_connections_is_0(daemon):
    connections = [daemon.connect() for _ in range(100)]
    assert {c.ask("GET", "/livez").status for c in connections} == {200}
    for connection in connections:
        connection.close()
    wait_until_alone(daemon)


@case(own=True)
def row_65_out_of_descriptors_it_pauses_and_recovers(daemon):
    used = daemon.resources()["fds"]
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 6, before[1]))
    connections = [daemon.connect() for _ in range(40)]
    for connection in connections:
        connection.try_send(wire.request("GET", "/livez"))
    assert connections[0].read().status == 200
    spent = daemon.cpu_seconds()
    time.sleep(0.5)
    assert daemon.cpu_seconds() - spent < 0.3, "it spins while it cannot accept"
    assert "accepting pauses" in daemon.log()
    last = connections.pop()
    last.sock.setblocking(False)
    try:
        raise AssertionError(f"accepted without a descriptor: {last.sock.recv(4096)}")
    except BlockingIOError:
        pass
    for connection in connections:  # which is what gives it descriptors back
        connection.close()
    last.sock.settimeout(10 * SLOW)
    assert last.read().status == 200, "who waited is forgotten"
    last.close()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)


@case(own=None)
def what_posts_do_not_know_in_a_query_is_400():
    admin = harness.free_port()
    with Daemon(["--admin-listen", f"{admin[0]}:{admin[1]}"]) as daemon:
        known = {"/classify": "model, top_k", "/embed": "model, normalize", "/explain": "model, class, class_id, format",
                 f"/v2/models/{harness.MODEL_NAME}/infer": "none", "/admin/reload": "none"}
        for path, names in known.items():
            address, body = (admin, None) if "admin" in path else (daemon.address, reference()[0])
            for query, name in (("topk=3", "topk"), ("Model=x", "Model"), ("x", "x"), ("=1", ""),
                                ("%22%0a%ff=1", None), ("a" * 99, "a" * 60)):
                answer = harness.ask(address, "POST", f"{path}?{query}", body=body)
                assert answer.status == 400, answer
                error = json.loads(answer.body)["error"]
                message = error if path.startswith("/v2") else error["message"]
                assert message.endswith("known here: " + names), message
                assert name is None or f'unknown query parameter "{name}"' in message, message
        for query in ("?", "?&", "?&&top_k=1&"):
            assert daemon.classify(reference()[0], query=query).status == 200, query
        for path in ("/", "/livez", "/readyz", "/health", "/models", "/openapi.json", "/v2"):
            assert daemon.get(path + "?topk=3&x").status == 200, path
        assert harness.ask(admin, "GET", "/metrics?topk=3").status == 200


@case()
def row_26_top_k_out_of_range_is_400(daemon):
    for k in ("0", "-1", "1e9", "1000000000", "x", "%31%00"):
        message = check_error(daemon.classify(reference()[0], query=f"?top_k={k}"), 400)["message"]
        assert "top_k" in message, message


@case()
def odd_headers_do_no_harm(daemon):
    data, scores = reference()
    for line in ("X: \xff\xfe", "X:", "X: " + "a" * 8000, "Cookie: " + "a=b; " * 500, "Range: bytes=0-1",
                 "Upgrade: h2c", "Connection: upgrade, keep-alive", "Accept: \x01", "TE: trailers"):
        answer = daemon.send_raw(post(line, f"Content-Length: {len(data)}", body=data))
        check_status(answer, 200, 400)
        if answer.status == 200:
            check_scores(predictions(answer), scores)


@case()
def clients_that_leave_while_reading_the_answer_do_no_harm(daemon):
    data, _ = reference()
    for _ in range(30):
        connection = daemon.connect()
        connection.send(wire.request("POST", "/classify", body=data))
        connection.reset()


if __name__ == "__main__":
    harness.main()
