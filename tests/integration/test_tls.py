#!/usr/bin/python3 -B
"""TLS: what it protects, and that clients who cannot speak it do no harm."""
import contextlib
import os
import socket
import ssl
import subprocess
import time
import warnings

import harness
import wire
from harness import SLOW, Daemon, case, certificate, check_error, path, reference, refuse, wait_until, write


def trusting(cert):
    return ssl.create_default_context(cafile=cert)


@contextlib.contextmanager
def tls_daemon(*options, cert=None, **more):
    """A daemon that speaks TLS, and the certificate and key files that it reads."""
    cert, key = cert or certificate("served")
    with Daemon(["--tls-cert", cert, "--tls-key", key, *options], wait=False, **more) as daemon:
        daemon.tls = trusting(cert)
        daemon.wait_ready()
        yield daemon, cert, key


@case(own=None)
def it_speaks_tls_and_nothing_older_than_1_2():
    with tls_daemon() as (daemon, cert, _):
        daemon.good()
        with daemon.connect() as connection:
            assert connection.sock.version() in ("TLSv1.2", "TLSv1.3"), connection.sock.version()
            for _ in range(3):  # the connection lives on
                assert connection.ask("POST", "/classify", body=reference()[0]).status == 200
        old = trusting(cert)
        warnings.simplefilter("ignore", DeprecationWarning)
        with contextlib.suppress(ValueError):
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            try:
                daemon.connect(tls=old).close()
                raise AssertionError("TLS 1.1 was accepted")
            except (ssl.SSLError, OSError):
                pass
        daemon.recovered()


def offer(daemon, cert, ciphers=None, version=ssl.TLSVersion.TLSv1_2):
    """The cipher suite that a client gets of those it offers; None if it is refused."""
    context = trusting(cert)
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers + ":@SECLEVEL=0")
    try:
        with daemon.connect(tls=context) as connection:
            assert connection.ask("GET", "/livez").status == 200
            return connection.sock.cipher()[0]
    except (ssl.SSLError, ConnectionError):
        return None


@case(own=None, seconds=40)
def tls_1_2_is_only_with_forward_secrecy_and_authenticated_encryption():
    key = path("rsa.key")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    os.chmod(key, 0o600)
    for pair, kind in ((certificate("ec"), "ECDSA"), (certificate("rsa", key), "RSA")):
        with tls_daemon(cert=pair) as (daemon, cert, _):
            for suite in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"):
                assert offer(daemon, cert, f"ECDHE-{kind}-{suite}"), (kind, suite)
            for suite in (f"ECDHE-{kind}-AES128-SHA", f"ECDHE-{kind}-AES256-SHA",
                          f"ECDHE-{kind}-AES128-SHA256", f"ECDHE-{kind}-AES256-SHA384", "AES128-SHA",
                          "AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
                          "DHE-RSA-AES256-SHA"):
                assert offer(daemon, cert, suite) is None, suite
            everything = offer(daemon, cert, "ALL")
            assert everything.startswith("ECDHE-") and "GCM" in everything, everything
            assert offer(daemon, cert, version=ssl.TLSVersion.TLSv1_3).startswith("TLS_")
            daemon.recovered()


@case(own=None)
def what_the_library_refuses_is_answered_once():
    with tls_daemon() as (daemon, _, _), daemon.connect() as connection:
        connection.send(wire.raw(["GET /livez HTTP/1.1", "Host: x", "Content-Length: x"]))
        answer = connection.read()
        assert answer.status == 400 and b"HTTP/1" not in answer.body, answer
        assert connection.closed_within(10 * SLOW)
        daemon.good()


@case(own=None)
def a_unix_socket_stays_plain():
    name, admin = path("plain.sock"), path("admin.sock")
    with tls_daemon("--listen", f"unix:{name}", "--admin-listen", f"unix:{admin}") as (daemon, _, _):
        for address, target in ((name, "/readyz"), (admin, "/metrics")):
            with wire.Connection(address, 10) as connection:
                assert connection.ask("GET", target).status == 200
        daemon.good()


@case(own=None, seconds=40)
def row_62_tls_files_that_do_not_fit_stop_the_start():
    cert, key = certificate("one")
    other, other_key = certificate("two")
    junk = write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for words, expected in (((cert, other_key), "is not the key"), ((other, key), "is not the key"),
                            ((junk, key), "junk.pem"), ((cert, junk), "junk.pem"),
                            ((key, cert), "tls_cert"), ((path("none"), key), "none"),
                            ((cert, harness.WORK), "tls_key"),
                            (("credential:c", key), "LoadCredential"),
                            (("credential:../c", key), "file name")):
        log = refuse(["--tls-cert", words[0], "--tls-key", words[1]], [expected])
        assert "tls_cert: tls_cert" not in log, log
    refuse(["--tls-cert", cert], ["tls_key"])
    refuse(["--tls-key", key], ["tls_cert"])


@case(own=None)
def credentials_of_systemd_are_found():
    cert, key = certificate("cred")
    with Daemon(["--tls-cert", "credential:cred.crt", "--tls-key", "credential:cred.key"], wait=False,
                env={"CREDENTIALS_DIRECTORY": harness.WORK}) as daemon:
        daemon.tls = trusting(cert)
        daemon.wait_ready()


@case(own=None, seconds=40)
def who_does_not_speak_tls_is_closed():
    with tls_daemon("--upload-timeout-ms", "700") as (daemon, _, _):
        for data in (wire.request("GET", "/livez"), b"\x16\x03\x01\xff\xff" + b"A" * 2000, b"\0" * 70000,
                     b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02"):
            with daemon.connect(tls=None) as connection:
                connection.try_send(data)
                assert connection.closed_within(30), data[:20]
        daemon.recovered()


@case(own=None, seconds=40)
def a_handshake_that_stalls_is_closed_at_the_deadline():
    with tls_daemon("--upload-timeout-ms", "700") as (daemon, _, _):
        outgoing = ssl.MemoryBIO()
        hello = trusting(certificate("x")[0]).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        hello = outgoing.read()
        with contextlib.ExitStack() as stack:
            start = time.monotonic()
            stalled = [stack.enter_context(daemon.connect(tls=None)) for _ in range(20)]
            for i, connection in enumerate(stalled):
                connection.send(hello[:(0, 3, 40, len(hello))[i % 4]])
            daemon.good()  # beside them
            for connection in stalled:
                assert connection.closed_within(30)
            assert time.monotonic() - start > 0.6, "closed before the deadline"
        with daemon.connect(tls=None) as drip:  # a byte now and then does not lengthen it
            sent = 0
            with contextlib.suppress(OSError):
                for byte in hello:
                    drip.sock.send(bytes([byte]))
                    sent += 1
                    time.sleep(0.05)
            assert sent < len(hello) / 2, f"{sent} bytes"
        daemon.recovered()


@case(own=None, seconds=40)
def idle_and_slow_clients_are_closed_as_without_tls():
    with tls_daemon("--upload-timeout-ms", "700", "--idle-timeout-s", "1") as (daemon, _, _):
        with daemon.connect() as idle:
            assert idle.ask("GET", "/livez").status == 200
            assert idle.closed_within(30)
        with daemon.connect() as slow:
            slow.send(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            assert slow.closed_within(30)
        daemon.recovered()


@case(own=None, seconds=60)
def many_suspended_and_leaving_clients_do_no_harm():
    data = reference()[0]
    with tls_daemon("--workers", "1", "--http-threads", "2") as (daemon, _, _):
        for turn in range(3):
            with contextlib.ExitStack() as stack:
                crowd = [stack.enter_context(daemon.connect()) for _ in range(24)]
                for i, connection in enumerate(crowd):
                    connection.send(wire.request("POST", "/classify", body=data) * (1 + i % 3))
                for i, connection in enumerate(crowd):
                    if i % 4 == turn:
                        connection.reset()
                    else:
                        assert connection.read().status in (200, 503)
        wait_until("idle", lambda: daemon.metrics().sum("resnextd_queue_depth") == 0)
        daemon.recovered()


@case(own=None, seconds=40)
def large_bodies_and_answers_come_through():
    data = reference()[0] + b"\0" * (3 << 20)
    with tls_daemon() as (daemon, _, _):
        assert daemon.classify(data).status == 200
        body = wire.multipart([("f", f"{i}.jpg", None, reference()[0]) for i in range(16)])
        assert daemon.classify(body, [wire.form_type()]).status == 200
        check_error(daemon.classify(b"x" * (17 << 20)), 413)
        daemon.recovered()


@case(own=None, seconds=40)
def a_renewed_certificate_is_served_after_a_reload():
    cert, key = certificate("first")
    with tls_daemon(cert=(cert, key)) as (daemon, _, _):
        with daemon.connect() as open_before:
            assert open_before.ask("GET", "/livez").status == 200
            new, new_key = certificate("second")
            os.replace(new, cert)
            os.replace(new_key, key)
            daemon.reload()
            try:
                daemon.get("/livez")
                raise AssertionError("the old certificate is still served")
            except ssl.SSLError:
                pass
            assert open_before.ask("GET", "/livez").status == 200
        daemon.tls = trusting(cert)
        daemon.good()
        write(os.path.basename(key), "no key at all\n")
        before = daemon.metrics().sum("resnextd_reloads_total", result="failed")
        daemon.reload()
        assert daemon.metrics().sum("resnextd_reloads_total", result="failed") == before + 1
        assert "tls_key" in daemon.log()
        daemon.recovered()


@case(own=None, seconds=40)
def a_drain_ends_tls_connections_in_good_order():
    data = reference()[0]
    with tls_daemon(*harness.UPLOADS_MAY_STALL, "--drain-timeout-s", "3600") as (daemon, _, _), \
            daemon.connect() as idle, daemon.connect() as active, daemon.connect(tls=None) as unfinished:
        assert idle.ask("GET", "/livez").status == 200
        unfinished.send(b"\x16\x03")
        active.send(wire.request("POST", "/classify", body=data))
        assert active.read().status == 200
        daemon.stop()
        assert idle.closed_within(5) and unfinished.closed_within(5)


@case(own=None)
def beyond_the_limit_of_connections_it_closes():
    with tls_daemon("--max-connections", "3", *harness.UPLOADS_MAY_STALL) as (daemon, _, _):
        wait_until("nobody connected", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                connection = stack.enter_context(daemon.connect())
                connection.send(wire.raw(["POST /classify HTTP/1.1", "Host: x", "Content-Length: 3",
                                          "Expect: 100-continue"]))
                assert connection.interim() == 100  # it is busy
            with socket.create_connection(daemon.address, 10) as one_more:
                assert one_more.recv(100) == b"", "plain text on a TLS port"
        wait_until("space again", lambda: daemon.resources()["fds"] <= daemon.baseline["fds"])
        daemon.recovered()


if __name__ == "__main__":
    harness.main()
