#!/usr/bin/python3 -B
"""Start, configuration, listeners, draining and end."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import time

import folders
import harness
import jpegs
import wire
from harness import (MEGAPIXELS, SLOW, Daemon, case, check_scores, path, predictions, quick, reference, refuse, run,
                     unless_still, wait_until, write)
from traffic import Traffic



# --- starting ---

@case(own=None)
def ready_is_said_once_it_answers():
    with Daemon(wait=False) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        assert daemon.get("/readyz").status == 200 and daemon.get("/livez").status == 200
        daemon.good()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.exit_code() == 0
        daemon.notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                daemon.notifications.append(daemon.notify.recv(65536).decode())
        said = "\n".join(daemon.notifications).split("\n")
        assert said.count("READY=1") == 1 and said.count("STOPPING=1") == 1, said
        assert said.index("READY=1") < said.index("STOPPING=1"), said


@case(own=None)
def it_starts_without_a_manager():
    with Daemon(env={"NOTIFY_SOCKET": ""}, wait=False) as daemon:
        wait_until("it listens", lambda: answers(daemon))
        daemon.good()


def answers(daemon):
    assert daemon.process.poll() is None, daemon.log()
    with contextlib.suppress(OSError, wire.Closed):
        return daemon.get("/readyz").status == 200
    return False


@case(own=None)
def a_start_is_quick():
    if SLOW > 1:
        raise harness.Skip("measured in the plain build")
    times = []
    for _ in range(3):
        start = time.monotonic()
        with Daemon(wait=False) as daemon:
            assert daemon.notified(10)
            times.append(time.monotonic() - start)
    assert min(times) < 1.0, f"ready after {times} s"


@case(own=None)
def row_62_a_port_in_use_stops_the_start():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = "127.0.0.1:%d" % taken.getsockname()[1]
        refuse(["--listen", listen], [listen, "another port with --listen"], listen=False)
        refuse(["--admin-listen", listen], [listen, "another port with --admin-listen"])


@case(own=None)
def row_75_an_isa_above_the_machines_is_refused_at_start():
    """And what it has is taken; tests/kernel/test_old_cpus.py asks emulated CPUs."""
    isas = re.search(r"--isa auto\|(\S+)", run("--help")[1])[1].split("|")
    assert isas[0] == "ref", isas
    with open("/proc/cpuinfo") as file:
        flags = set(re.findall(r"^flags\s*: (.*)$", file.read(), re.M)[0].split())
    for name in isas:
        if name in ("ref", "generic") or {"avx512": "avx512f"}.get(name, name) in flags:
            with Daemon(["--isa", name]) as daemon:
                dense = re.search(r'kernels="dense ([^,"]+)', daemon.log())[1].split("+")
                assert all(isas.index(isa) <= isas.index(name) for isa in dense), daemon.log()
        else:
            refuse(["--isa", name], [f"isa = {name}", "it has ref, "])


@case(own=None)
def addresses_that_cannot_be_listened_on_stop_the_start():
    for listen in ("203.0.113.7:8080", "nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1",
                   "[::1:80", "unix:", "unix:/nonexistent/dir/s", "unix:/" + "a" * 200, "localhost:x"):
        refuse(["--listen", listen], [], listen=False)
    refuse(["--listen", "systemd"], ["systemd"], listen=False)


@case(own=None)
def a_second_daemon_cannot_take_the_port():
    with Daemon() as first:
        listen = f"{first.address[0]}:{first.address[1]}"
        refuse(["--listen", listen], [listen, "another port"], listen=False)
        first.recovered()


# --- configuration ---

@case(own=None)
def wrong_usage_is_2_and_any_other_failure_1():
    for words, code, message in ((["-h"], 2, 'unknown option "-h"; use --help'),
                                 (["--port", "80"], 2, "use --listen ADDR:PORT"),
                                 (["--workers"], 2, "--workers: a value is missing"),
                                 (["--workers", "x"], 2, '--workers is "x"; it must be'),
                                 (["--check-config"], 1, "name one with --model DIR"),
                                 (["--config", "/nonexistent"], 1, "cannot open /nonexistent")):
        if words == ["--check-config"] and run(*words)[0] == 0:
            continue  # there is an installed model
        got = run(*words)
        assert got[0] == code and got[1] == "", got
        assert got[2].startswith("resnextd: ") and message in got[2] and got[2].count("\n") == 1, got



@case(own=None)
def row_61_broken_configuration_names_file_line_and_remedy():
    for text, line, words in (
            ('workers = 1;\nqueue_limits = 5;\n', 2, ["queue_limits", "queue_limit"]),
            ('\n\nworkers = "two";\n', 3, ["workers"]),
            ('queue_limit = 70000;\n', 1, ["queue_limit", "65536"]),
            ('queue_limit = -1;\n', 1, ["queue_limit"]),
            ('queue_limit = 99999999999999999999;\n', 1, []),
            ('workers = 1;\nworkers = 2;\n', 2, ["duplicate"]),
            ('log_level = "loud";\n', 1, ["log_level", "info"]),
            ('workers = 1.5;\n', 1, ["workers"]),
            ('workers = [1, 2];\n', 1, ["workers"]),
            ('listen = 8080;\n', 1, ["listen"]),
            ('workers = 1;\nthis is not a configuration\n', 2, []),
            ('@include "/etc/passwd"\n', 1, ["include"]),
            ('models = { a = { paht = "/x"; }; };\n', 1, ["paht"])):
        log = refuse(config=text, words=[".conf", *words], model="models" not in text)
        assert re.search(rf"\.conf:{line}\b|line {line}\b", log), f"line {line} of {text!r}: {log}"


@case(own=None)
def broken_arguments_and_variables_are_named():
    refuse(["--queue-limits", "5"], ["queue-limit"])
    refuse(["--queue-limit", "0x"], ["queue-limit"])
    refuse(["--queue-limit", "70000"], ["65536"])
    refuse(["--queue-limit"], ["queue-limit"])
    refuse(["stray"], ["stray"])
    refuse(env={"RESNEXTD_QUEUE_LIMIT": "many"}, words=["RESNEXTD_QUEUE_LIMIT"])
    refuse(env={"RESNEXTD_LOG_FORMAT": "xml"}, words=["RESNEXTD_LOG_FORMAT", "json"])


@case(own=None)
def a_configuration_file_must_be_readable():
    missing = path("missing.conf")
    for words in (["--config", missing], ["--config", harness.WORK]):
        code, out, err = run(*words, "--model", harness.MODEL)
        assert code != 0 and not out and len(err.splitlines()) == 1 and words[1] in err, (code, err)


def printed(*options, config="", env=None):
    code, out, err = run("--config", write("print.conf", config), *options, "--print-config", env=env)
    assert code == 0 and not err, (code, err)
    return out


def setting(text, key):
    match = re.search(rf"^\s*{key}\s*[=:]\s*(.*?);?\s*$", text, re.M)
    assert match, f"no {key} in {text}"
    return match[1]


@case(own=None)
def command_line_over_environment_over_file_over_default():
    env, file = {"RESNEXTD_QUEUE_LIMIT": "22"}, "queue_limit = 11;\n"
    assert setting(printed(), "queue_limit") == "0"
    assert setting(printed(config=file), "queue_limit") == "11"
    assert setting(printed(config=file, env=env), "queue_limit") == "22"
    assert setting(printed("--queue-limit", "33", config=file, env=env), "queue_limit") == "33"
    assert setting(printed("--queue-limit=44", config=file, env=env), "queue_limit") == "44"
    assert setting(printed("--queue-limit", "55", env=env), "max_body_bytes") == "16777216"


@case(own=None)
def precedence_holds_in_the_running_daemon():
    with Daemon(["--queue-limit", "33"], env={"RESNEXTD_QUEUE_LIMIT": "22", "RESNEXTD_WORKERS": "2"},
                config="queue_limit = 11;\nworkers = 3;\nlog_format = \"json\";\n") as daemon:
        assert daemon.metrics().sum("resnextd_queue_limit") == 33
        assert daemon.metrics().sum("resnextd_workers") == 2
        json.loads(daemon.log().splitlines()[0])


@case(own=None)
def the_printed_configuration_can_be_read_back():
    first = printed("--queue-limit", "9", "--log-format", "json", "--model", f'odd"name={harness.MODEL}'
                    .replace('"', ""), "--listen", "127.0.0.1:1")
    again = printed(config=first)
    assert first == again, f"{first}\n---\n{again}"


@case(own=None)
def check_config_says_yes_or_no_and_starts_nothing():
    good, bad = write("good.conf", "workers = 1;\n"), write("bad.conf", "worker = 1;\n")
    code, _, err = run("--config", good, "--model", harness.MODEL, "--check-config")
    assert code == 0, err
    code, _, err = run("--config", bad, "--check-config")
    assert code != 0 and "workers" in err and bad in err and len(err.splitlines()) == 1, err


@case(own=None)
def check_config_looks_at_the_files_that_are_named():
    empty = write("empty.keys", "# none\n")
    os.chmod(empty, 0o600)
    cut = folders.make("cut", weights=open(os.path.join(harness.MODEL, "model.safetensors"), "rb")
                       .read()[:-1])
    bare = folders.make("bare", config={})
    for words in (["--model", path("nowhere")], ["--model", cut], ["--model", bare],
                  ["--model", harness.MODEL, "--api-keys", path("no.keys")],
                  ["--model", harness.MODEL, "--api-keys", empty],
                  ["--model", harness.MODEL, "--tls-cert", empty, "--tls-key", empty]):
        code, out, err = run("--config", write("c.conf", ""), *words, "--check-config")
        assert code != 0 and not out and len(err.splitlines()) == 1, (words, code, err)
        assert os.path.basename(words[-1]) in err, (words, err)


@case(own=None)
def check_config_looks_at_what_int8_needs():
    with open(os.path.join(harness.MODEL, "calibration.json")) as file:
        calibration = json.load(file)
    bare, torn, other = folders.make("bare8"), folders.make("torn8"), folders.make("other8")
    kinds = {bare: None, torn: {**calibration, "layers": {}},
             other: {**calibration, "weights_sha256": "0" * 64}}
    for folder, content in kinds.items():
        name = os.path.join(folder, "calibration.json")
        if content:
            with open(name, "w") as file:
                json.dump(content, file)
        whole = f'models: {{ m: {{ path = "{folder}"; precision = "int8"; }} }};\n'
        for words in (["--config", write("int8.conf", whole)],
                      ["--config", write("c.conf", ""), "--model", folder, "--precision", "int8"]):
            code, out, err = run(*words, "--check-config")
            assert code != 0 and not out and len(err.splitlines()) == 1, (folder, code, err)
            assert name in err and "resnext calibrate" in err, err
        code, _, err = run("--config", write("c.conf", ""), "--model", folder, "--precision", "f32",
                           "--check-config")
        assert code == 0, err
    code, _, err = run("--config", write("c.conf", ""), "--model", harness.MODEL, "--precision", "int8",
                       "--check-config")
    assert code == 0, err


@case(own=None)
def help_lists_every_option():
    code, out, err = run("--help")
    assert code == 0 and not err, (code, err)
    for option in ("config", "model", "listen", "workers", "http-threads", "queue-limit", "top-k",
                   "request-timeout-ms", "upload-timeout-ms", "idle-timeout-s", "max-body-bytes",
                   "max-pixels", "max-parts", "max-connections", "max-connections-per-ip", "log-level",
                   "drain-grace-ms", "drain-timeout-s", "exif-orientation", "decode", "isa",
                   "log-format", "admin-listen", "tls-cert", "tls-key", "api-keys", "cors-origin",
                   "check-config", "print-config", "hash-api-key", "version"):
        assert f"--{option}" in out, option
    code, out, err = run("--version")
    assert code == 0 and re.search(r"resnextd.* \d+\.\d+", out) and not err, (out, err)


# --- listeners ---

@case(own=None)
def a_unix_socket_is_served_and_left_behind_by_nobody():
    name = path("listen.sock")
    for _ in range(2):  # what a killed one left must not be in the way of the next
        with Daemon(["--listen", f"unix:{name}"], listen=False, wait=False) as daemon:
            daemon.address = name
            daemon.wait_ready()
            daemon.process.kill()
            daemon.process.wait()
            daemon.checked = True
        assert os.path.exists(name)
    with Daemon(["--listen", f"unix:{name}"], listen=False, wait=False) as daemon:
        daemon.address = name
        daemon.wait_ready()
        refuse(["--listen", f"unix:{name}"], [name], listen=False)
        daemon.good()
        daemon.stop()
    assert not os.path.exists(name), "the socket file stays behind"


@case(own=None)
def several_listeners_are_served_at_once():
    name, other = path("several.sock"), harness.free_port()
    config = f'listen = ["{other[0]}:{other[1]}", "unix:{name}"];\n'
    with Daemon(listen=False, config=config, wait=False) as daemon:
        for address in (other, name):
            daemon.address = address
            daemon.wait_ready()


@case(own=None)
def ipv6_is_served():
    with contextlib.ExitStack() as stack:
        try:
            probe = stack.enter_context(socket.socket(socket.AF_INET6))
            probe.bind(("::1", 0))
        except OSError:
            raise harness.Skip("no IPv6") from None
        port = probe.getsockname()[1]
    with Daemon(["--listen", f"[::1]:{port}"], listen=False, wait=False) as daemon:
        daemon.address = ("::1", port)
        daemon.wait_ready()


@case(own=None)
def sockets_can_be_handed_over():
    name = path("handed.sock")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(64)
        unix.bind(name)
        unix.listen(64)
        early = wire.Connection(tcp.getsockname(), 20 * SLOW)  # before there is a daemon
        early.send(wire.request("GET", "/readyz"))
        with Daemon(["--listen", "systemd"], listen=False, fds=(tcp.fileno(), unix.fileno()),
                    wait=False) as daemon, early:
            for address in (tcp.getsockname(), name):
                daemon.address = address
                daemon.wait_ready()
            assert early.read().status == 200
            daemon.address = tcp.getsockname()
            daemon.stop()
        assert os.path.exists(name), "a handed-over socket is not ours to remove"
        with Daemon(["--listen", "systemd"], listen=False, fds=(tcp.fileno(),), wait=False) as daemon:
            daemon.address = tcp.getsockname()
            daemon.wait_ready()


@case(own=None)
def a_handed_over_socket_that_is_not_served_is_warned_of():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(64)
        with Daemon(fds=(tcp.fileno(),)) as daemon:
            daemon.stop()
            assert "warning systemd handed over sockets that are not served" in daemon.log()


@case(own=None)
def row_70_clients_of_a_killed_daemon_wait_for_the_next():
    """As under socket activation: the socket outlives the daemon, and so do the clients."""
    with socket.socket() as tcp, contextlib.ExitStack() as stack:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(64)
        with Daemon(["--listen", "systemd"], listen=False, fds=(tcp.fileno(),), wait=False) as daemon:
            daemon.address = tcp.getsockname()
            daemon.wait_ready()
            daemon.kill()
            daemon.checked = True
        waiting = [stack.enter_context(wire.Connection(tcp.getsockname(), 20 * SLOW)) for _ in range(10)]
        for connection in waiting:
            connection.send(wire.request("POST", "/classify", body=reference()[0]))
        with Daemon(["--listen", "systemd"], listen=False, fds=(tcp.fileno(),), wait=False) as daemon:
            daemon.address = tcp.getsockname()
            for connection in waiting:
                check_scores(predictions(connection.read()), reference()[1])
            daemon.wait_ready()


# --- the end ---

def slow_request():
    return wire.request("POST", "/classify", body=jpegs.slow(MEGAPIXELS))


@case(own=None, seconds=40)
def row_64_sigterm_answers_what_was_accepted_and_refuses_the_rest():
    data, scores = reference()
    with Daemon(["--workers", "1", "--queue-limit", "6", "--request-timeout-ms", "300000",
                 "--drain-timeout-s", "30"]) as daemon:
        with contextlib.ExitStack() as stack:
            running = stack.enter_context(daemon.connect(60))
            running.send(slow_request())
            wait_until("the worker busy", lambda: daemon.metrics().sum("resnextd_workers_busy") == 1)
            queued = [stack.enter_context(daemon.connect(60)) for _ in range(6)]
            for connection in queued:
                connection.send(wire.request("POST", "/classify", body=data))
            wait_until("six wait", lambda: daemon.metrics().sum("resnextd_queue_depth") == 6)
            idle = stack.enter_context(daemon.connect(60))
            assert idle.ask("GET", "/livez").status == 200
            assert daemon.classify(data).status == 503, "the queue is not full"
            start = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.send_signal(signal.SIGTERM)
            wait_until("new ones refused", lambda: refused(daemon))
            daemon.process.send_signal(signal.SIGTERM)
            answer = running.read()
            assert answer.status == 200 and answer.header("connection") == "close", answer
            for connection in queued:
                answer = connection.read()
                assert answer.header("connection") == "close", answer
                check_scores(predictions(answer), scores)
                assert connection.closed_within(10 * SLOW)
        assert daemon.exit_code() == 0
        assert time.monotonic() - start < 30, "later than drain_timeout_s"


def refused(daemon):
    """No connection, a close, or 503: never an answer 200."""
    try:
        with daemon.connect(2) as connection:
            answer = connection.ask("POST", "/classify", body=reference()[0])
            return answer.status == 503
    except (ConnectionError, wire.Closed, TimeoutError):
        return True


@case(own=None, seconds=60)
def an_idle_daemon_ends_at_once():
    def attempt():
        with Daemon() as daemon, daemon.connect() as idle, daemon.connect() as silent:
            assert idle.ask("GET", "/livez").status == 200
            daemon.process.send_signal(signal.SIGTERM)
            assert idle.closed_within(30 * SLOW) and silent.closed_within(30 * SLOW)
            assert daemon.exit_code(30) == 0
    quick(2, attempt)


@case(own=None, seconds=60)
def half_a_request_does_not_hold_up_the_end():
    def attempt():
        with Daemon(["--upload-timeout-ms", "1000"]) as daemon, daemon.connect() as half:
            half.send(b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Le")
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.exit_code(30) == 0
    quick(4, attempt)


@case(own=None)
def sigint_drains_as_well():
    with Daemon() as daemon:
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.exit_code() == 0


@case(own=None)
def sighup_does_not_end_it():
    with Daemon() as daemon:
        for _ in range(20):
            daemon.process.send_signal(signal.SIGHUP)
        for name in ("SIGPIPE", "SIGHUP"):
            daemon.process.send_signal(getattr(signal, name))
        wait_until("a reload", lambda: daemon.metrics().sum("resnextd_reloads_total", result="ok") > 0)
        daemon.recovered()


@case(own=None, seconds=30)
def during_the_grace_it_serves_but_is_not_ready():
    grace = 2 * max(1, SLOW / 4)

    def attempt(sent):
        with Daemon(["--drain-grace-ms", str(int(grace * 1000))]) as daemon:
            start = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            wait_until("not ready", lambda: daemon.get("/readyz").status == 503)
            for _ in range(4):
                daemon.good()
                assert daemon.get("/livez").status == 200 and daemon.get("/readyz").status == 503
                sent()
            assert daemon.exit_code() == 0
            assert time.monotonic() - start >= grace * 0.95, "the grace was cut short"
    unless_still(attempt)


@case(own=None, seconds=60)
def the_drain_timeout_ends_what_does_not_finish():
    parts = [("f", f"{i}.jpg", None, jpegs.slow(95)) for i in range(5)]

    def attempt():
        with Daemon(["--workers", "1", "--drain-timeout-s", "1", "--request-timeout-ms", "300000"]) as daemon, \
                daemon.connect(60) as stuck:
            stuck.send(wire.request("POST", "/classify", [wire.form_type()], wire.multipart(parts)))
            wait_until("the worker busy", lambda: daemon.metrics().sum("resnextd_workers_busy") == 1)
            start = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            code = daemon.exit_code(30)
            assert 0.9 < time.monotonic() - start, "too early"
            assert code >= 0, f"ended by signal {-code}"
    quick(5, attempt)


@case(own=None, seconds=90)
def a_handover_on_one_socket_refuses_nobody():
    """The next process has the socket, too, when the one before it is told to end."""
    with socket.socket() as tcp, contextlib.ExitStack() as daemons:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(128)

        def start():
            daemon = daemons.enter_context(Daemon(["--listen", "systemd", "--workers", "2"], listen=False,
                                                  fds=(tcp.fileno(),), wait=False))
            assert daemon.notified(10 * SLOW), daemon.log()
            return daemon
        daemon = start()
        with Traffic(tcp.getsockname()) as new, Traffic(tcp.getsockname(), keep_alive=True) as kept:
            for _ in range(5):
                successor = start()
                new.wait_for(30)
                kept.wait_for(30)
                daemon.process.send_signal(signal.SIGTERM)
                assert daemon.exit_code() == 0, daemon.log()
                daemon = successor
            new.wait_for(30)
    print(f"# new {dict(new.outcomes)}, kept {dict(kept.outcomes)}")
    for traffic in (new, kept):  # who is closed without an answer may ask again
        assert set(traffic.outcomes) <= {200, "closed"}, traffic.outcomes


@case(own=None)
def a_drain_serves_what_a_new_connection_sends_at_once():
    def attempt(sent):
        with Daemon() as daemon, daemon.connect() as opened, daemon.connect() as begun:
            wait_until("both accepted", lambda: daemon.resources()["fds"] >= daemon.baseline["fds"] + 2)
            begun.send(b"POST /classify HTTP/1.1\r\nHost: x\r\n")
            wait_until("the begin read", lambda: daemon.has_read(begun))
            sent()
            daemon.process.send_signal(signal.SIGTERM)
            wait_until("draining", lambda: refused(daemon))
            data, scores = reference()
            opened.send(wire.request("POST", "/classify", body=data))
            begun.send(b"Content-Length: %d\r\n\r\n" % len(data) + data)
            sent()
            for connection in (opened, begun):
                answer = connection.read()
                assert answer.header("connection") == "close", answer
                check_scores(predictions(answer), scores)
            assert daemon.exit_code() == 0
    harness.unless_still(attempt)


@case(own=None, seconds=40)
def no_request_of_a_busy_client_is_lost_by_a_drain():
    """Every request that was sent is answered, or its connection closes before a byte."""
    data, scores = reference()
    with Daemon(["--workers", "2"]) as daemon:
        outcomes = []

        def client(_):
            try:
                while True:
                    with daemon.connect() as connection:
                        while True:
                            answer = connection.ask("POST", "/classify", body=data)
                            outcomes.append(answer.status)
                            if answer.status == 200:
                                check_scores(predictions(answer), scores)
                            if answer.header("connection") == "close":
                                break
            except wire.Closed as closed:
                assert "b''" in str(closed), f"half an answer: {closed}"
            except ConnectionError:
                pass
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            running = [pool.submit(client, i) for i in range(8)]
            wait_until("traffic", lambda: len(outcomes) > 100)
            daemon.process.send_signal(signal.SIGTERM)
            for future in running:
                future.result()
        assert set(outcomes) == {200}, set(outcomes)
        assert daemon.exit_code() == 0


@case(own=None)
def it_can_be_started_and_stopped_many_times():
    for _ in range(10 if SLOW == 1 else 3):
        with Daemon(wait=False) as daemon:
            daemon.process.send_signal(signal.SIGTERM)  # perhaps before it is ready
            assert daemon.exit_code() in (0, -signal.SIGTERM), daemon.log()


if __name__ == "__main__":
    harness.main()
