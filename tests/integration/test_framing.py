#!/usr/bin/python3 -B
"""Requests that somebody on the way could read otherwise: each is refused once, with one head, and the
connection closed, so that no body is ever the next request. Also what is too much for one request."""
import contextlib
import re
import socket

import harness
import wire
from harness import SLOW, case, check_error, wait_until

MARK = "smuggled"
INNER = wire.raw(["GET /models HTTP/1.1", "Host: x", f"X-Request-Id: {MARK}"])
N = len(INNER)
LINES = ("POST /classify", "GET /livez")
STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)")


def head(line, *lines, host=True, version="HTTP/1.1"):
    lines = [f"{line} {version}", *(["Host: x"] if host else []), *lines]
    return b"\r\n".join(x if isinstance(x, bytes) else x.encode() for x in lines) + b"\r\n\r\n"


def everything(daemon, data):
    """(all that is answered to these bytes, whether the server closed by itself)."""
    with daemon.connect() as connection:
        connection.try_send(data)
        answer = b""
        try:
            while piece := connection.sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        except (TimeoutError, socket.timeout):
            return answer, False
        return answer, True


def check_refused(daemon, data, *allowed):
    """With one of these statuses; with None among them also without an answer."""
    answer, closed = everything(daemon, data)
    statuses = [int(s) for s in STATUS.findall(answer)] or [None]
    assert len(statuses) == 1 and statuses[0] in allowed, f"{data[:200]!r}: {answer!r}"
    assert closed, f"{data[:200]!r} leaves the connection open"
    assert MARK.encode() not in answer, f"{data[:200]!r}: {answer!r}"
    return answer


def check_all_refused(daemon, cases, *allowed, **more):
    """Each with the methods and without a body of its own, as its sender means it."""
    for lines in cases:
        for line in LINES:
            check_refused(daemon, head(line, *lines, **more) + INNER, *allowed)
    log = daemon.log()
    assert MARK not in log, log[-2000:]


@case(seconds=60)
def row_86_folded_lines_are_refused(daemon):
    check_all_refused(daemon, (
        ["X: y", f" Content-Length: {N}"], ["X: y", f"\tContent-Length: {N}"],
        [f" Content-Length: {N}"], ["X: y", " z"], ["X: y", " "], ["X: y", " ", f"Content-Length: {N}"],
        ["Content-Length:", f" {N}"], ["Content-Length: 0", f"\t{N}"], ["Transfer-Encoding:", " chunked"],
        ["Transfer-Encoding: chunked", " "], ["X: y", "\t"], ["X: y", " a", " b"], ["X: y", " a:b"]), 400)
    check_refused(daemon, head("GET /livez", f" Content-Length: {N}", "Host: x", host=False) + INNER, 400)


@case(seconds=60)
def row_86_nul_and_other_controls_are_refused(daemon):
    check_all_refused(daemon, (
        [b"X: a\0b"], [b"X: a\0"], [b"X: \0"], [b"X\0: a"], [b"\0X: a"], [b"\0"], [b"X: y\0", f"Content-Length: {N}"],
        [b"Content-Length: 0\0%d" % N], [b"Content-Length: %d\0" % N], [b"X: y", b"\0Content-Length: %d" % N],
        [b"X: a\rContent-Length: %d" % N], [b"X\r: a"], [b"X: a\r"], [b"X: a\x01b"], [b"X: a\x7f"]), 400)
    for line in ("GET /livez\0x", "GET\0 /livez", "GET /\0livez"):
        check_refused(daemon, head(line) + INNER, 400, None)
    check_refused(daemon, head("GET /livez", version="HTTP/1.1\0") + INNER, 400, None)


@case(seconds=60)
def row_86_method_and_target_are_of_their_characters(daemon):
    for line in (b"GET /\x01", b"GET /\x7f", b"GET /livez\x1f", b"GET /li\tvez", b"GET /livez?a=\x01", b"GET /livez?\x7f",
                 b"GET /livez?a\tb", b"GET /a\rb", b"GET /livez\r", b"GET /a b", b"GET /livez?a b",
                 b"\x01GET /livez", b"GET\x7f /livez", b"G(ET /livez", b"GET\t /livez", b"G\xe9T /livez",
                 b"G\tET /livez", b"\tGET /livez", b"GE:T /livez", b"{} /livez"):
        check_refused(daemon, line + head("") + INNER, 400)
    for line in (b"GET\t/livez", b" GET /livez", b"GET /livez ", b"GET /nothing\x0b", b"\rGET /livez"):
        check_refused(daemon, line + head("") + INNER, 400, None)
    for line, status in ((b"M-SEARCH /livez", 405), (b"a!#$%&'*+.^_`|~9 /livez", 405), (b"GET /\xc3\xa4", 404),
                         (b"GET /livez?\xff", 200), (b"GET /%00%01%20", 404)):
        with daemon.connect() as connection:  # which stays
            for _ in range(2):
                connection.send(line + head(""))
                assert connection.read().status == status, line


@case(seconds=60)
def row_86_lines_end_with_cr_lf(daemon):
    for data in (b"GET /livez HTTP/1.1\nHost: x\n\n", b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
                 b"GET /livez HTTP/1.1\r\nHost: x\r\n\n", b"GET /livez HTTP/1.1\nHost: x\r\n\r\n",
                 b"GET /livez HTTP/1.1\r\nHost: x\n\r\n", b"GET /livez HTTP/1.0\n\n"):
        check_refused(daemon, data + INNER, 400)


@case(seconds=60)
def row_86_no_transfer_coding_in_http_1_0(daemon):
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    for line in LINES:
        for more in ([], ["Connection: keep-alive"]):
            data = head(line, "Transfer-Encoding: chunked", *more, version="HTTP/1.0") + chunks + INNER
            check_refused(daemon, data, 400)


@case(seconds=60)
def row_86_lengths_and_codings_are_read_one_way(daemon):
    check_all_refused(daemon, (
        [f"Content-Length: {N}"] * 2, [f"Content-Length : {N}"], [f"Content-Length\t: {N}"],
        [": x"], ["Xabc"], ["X y: z"], [f"(: {N}"]), 400)
    check_all_refused(daemon, (
        ["Transfer-Encoding: chunked, chunked"], ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chunked;a=b"], ["Transfer-Encoding:"],
        ["Transfer-Encoding: identity"], ["Transfer-Encoding: gzip, chunked"]), 400, 501)


@case(seconds=60)
def row_86_what_the_library_refuses_is_answered_once(daemon):
    """Alone, behind requests that others have begun, and with a body behind it."""
    begun = head("GET /livez", "Content-Length: x")[:-2]
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(daemon.connect()).send(begun)
        for value, status in (("x", 400), ("", 400), ("-1", 400), ("1x", 400), ("0x1", 400), ("1 1", 400), ("1,1", 400),
                              ("9" * 20, 413), ("18446744073709551616", 413)):
            for line in LINES:
                for lines in ([], ["Cookie: a=b", "X-Request-Id: me"]):
                    data = head(line, f"Content-Length: {value}", *lines) + bytes(100000)
                    answer = check_refused(daemon, data, status)
                    assert answer.count(b"Content-Length:") == 1, answer
    with daemon.connect() as connection:
        connection.send(begun)
        wait_until("the piece read", lambda: daemon.has_read(connection))
        assert daemon.get("/livez").status == 200
        connection.send(b"\r\n")
        assert connection.read().status == 400
        assert connection.closed_within(10 * SLOW)
    daemon.good()


@case(seconds=60)
def row_86_a_head_that_fills_the_memory_is_answered_once_at_most(daemon):
    """Whatever it is too long for: the cookies, the answer, or itself."""
    for count in range(64800, 65400, 12):
        answer, closed = everything(daemon, head("GET /livez", "Connection: close", f"X: {'a' * count}"))
        assert closed and len(STATUS.findall(answer)) <= 1, (count, answer)


@case(seconds=60)
def row_86_no_part_of_a_chunked_body_is_a_request(daemon):
    """Extensions and trailers are passed over or refused, and then nothing more is read."""
    last = head("GET /livez", "X-Request-Id: last", "Connection: close")
    for body in (b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0;a\r\n\r\n",
                 b"5 ;a\r\nhello\r\n0 ;a\r\n\r\n", b"5\nhello\n0\n\n", b"0;a\r\nX: y\r\n\r\n",
                 b"0;\r\n" + INNER, b"0\r\n" + INNER, b"0\r\nX: y\r\n\n" + INNER, b"%x;a\r\n%s\r\n0\r\n\r\n" % (N, INNER),
                 b"1;a\r\n\r\r\n%x\r\n%s\r\n0\r\n\r\n" % (N, INNER), b"1;a\n\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (N, INNER)):
        answer, closed = everything(daemon, head("POST /classify", "Transfer-Encoding: chunked") + body + last)
        statuses = [int(s) for s in STATUS.findall(answer)]
        assert statuses in ([400], [415], [415, 200], [400, 200]) and closed, f"{body!r}: {answer!r}"
        assert MARK.encode() not in answer, f"{body!r}: {answer!r}"


@case(seconds=60)
def row_86_one_host_is_needed(daemon):
    for lines in ([], [f"Content-Length: {N}"], ["Host: x", "Host: x"], ["Host: x", "hOST: y"]):
        for line in LINES:
            answer = check_refused(daemon, head(line, *lines, host=False) + INNER, 400)
            assert b'"code":"bad_request"' in answer or b"request without <b>&quot;Host" in answer, answer
    assert daemon.send_raw(head("GET /livez", host=False, version="HTTP/1.0")).status == 200


@case(seconds=60)
def row_86_a_host_is_of_its_characters(daemon):
    """With a port or not. It may be empty: so it is where the target has none."""
    for host in (b"a b", b"a/b", b"a@b", b"a b/c@d", b"http://a", b"a\tb", b"a?b", b"a#b", b"a\\b", b"a\"b", b"<a>", b"a^b", b"a`b", b"{a}",
                 b"a|b", b"\xc3\xa4", b"a\x80", b"a b:80"):
        for line in LINES:
            check_refused(daemon, head(line, b"Host: " + host, host=False) + INNER, 400)
            check_refused(daemon, head(line, b"Host: " + host, host=False, version="HTTP/1.0") + INNER, 400)
    for host in ("", "a", "a:80", "a:", "a_b.c-d", "127.0.0.1:8080", "[::1]:8080", "[fe80::1%25eth0]", "%C3%A4", "a~b!$&'()*+,;=c",
                 "%2Frun%2Fresnextd.sock", "a \t"):
        for version in ("HTTP/1.1", "HTTP/1.0"):
            assert daemon.send_raw(head("GET /livez", f"Host: {host}", host=False, version=version)).status == 200, host


@case(seconds=60)
def row_86_a_body_needs_a_length(daemon):
    for path in ("/classify", "/embed", "/explain", "/v2/models/resnext29-cifar10/infer"):
        check_refused(daemon, head(f"POST {path}") + INNER, 411)
    check_error(daemon.send_raw(head("POST /classify")), 411, "length_required")
    for line, status in (("PUT /classify", 405), ("POST /livez", 405), ("POST /nothing", 404),
                         ("PATCH /nothing", 404)):
        check_refused(daemon, head(line) + INNER, status)
    check_error(daemon.send_raw(head("POST /classify", "Content-Length: 0")), 400, "body_empty")


@case(seconds=60)
def row_86_a_thousand_of_anything_is_answered(daemon):
    """Before its deadline."""
    for method, path, body in (("GET", "/livez", None), ("POST", "/classify", INNER)):
        for count in (600, 1000, 5000, 14000):
            for separator in ("a=b&", "&", "a&"):
                answer = daemon.ask(method, f"{path}?{separator * count}", body=body)
                check_error(answer, 400, "bad_request")
    assert daemon.get("/livez?" + "a=b&" * 500).status == 200
    assert daemon.get("/livez?" + "a" * 16000).status == 200
    check_error(daemon.get("/livez?" + "a" * 17000), 400, "bad_request")
    for lines in ([f"X-{i}: y" for i in range(1000)], [f"X-{i}:" for i in range(3000)]):
        check_refused(daemon, head("GET /livez", *lines) + INNER, 431)
    for lines in (["Cookie: " + "a=b; " * 1000], ["Cookie: " + ";" * 10000], ["Cookie: " + "a;" * 5000] * 3):
        assert daemon.send_raw(head("GET /livez", *lines)).status == 200, lines[0][:30]


@case(seconds=60)
def odd_heads_that_mean_one_thing_are_served(daemon):
    """Blanks around values and empty ones, a long head that comes in pieces, one after the other on one
    connection, and behind a body."""
    lines = ["X:", "X: \t ", "Y:z", "Y: \t z \t ", "Empty: ", "Cookie: a=b; c", "Z: \xff\xfe", f"Long: {'a' * 20000}"]
    data = head("GET /livez", *[line.encode("latin-1") for line in lines])
    with daemon.connect() as connection:
        for _ in range(3):
            connection.send(data)
            assert connection.read().status == 200
            for i in range(0, len(data), 700):
                connection.send(data[i:i + 700])
                wait_until("the piece read", lambda: daemon.has_read(connection))
            assert connection.read().status == 200
            connection.send(head("POST /classify", "Content-Length: 3") + b"abc" + data)
            check_error(connection.read(), 415)
            assert connection.read().status == 200
            connection.send(b"\r\n" + data * 2)
            assert [connection.read().status, connection.read().status] == [200, 200]
    chunked = head("POST /classify", "Transfer-Encoding:\tChunked") + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"
    check_error(daemon.send_raw(chunked), 415)


if __name__ == "__main__":
    harness.main()
