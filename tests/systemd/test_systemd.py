#!/usr/bin/python3 -B
"""The installed units under a real systemd, in a container: needs root, debootstrap and a mirror."""
import contextlib
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))

import container
import harness
import jpegs
import wire
from harness import Skip, case, check_scores, predictions, reference, wait_until
from traffic import Traffic

TCP = ("127.0.0.1", 8080)
OVERLOAD_BODY = 15 << 20
box, missing = None, None


def boot():
    """The container, booted at the first call; what is missing for it is looked for only once."""
    global box, missing
    if missing:
        raise missing
    if box is None:
        try:
            container.need_tools()
            container.make_root()
            container.install()
            box = container.Container()
        except Skip as reason:
            missing = reason
            raise
    return box


@contextlib.contextmanager
def running(*units, config="", address=TCP, **drop_ins):
    """Units started fresh, with drop-ins for `service` or `socket`; stopped at the end, when a service
    that runs must answer as it should."""
    boot()
    box.configure("resnextd.conf", config)
    box.forget_drop_ins()
    for kind, text in drop_ins.items():
        box.drop_in(f"resnextd.{kind}", text)
    units = units or ("resnextd.service",)
    try:
        box.systemctl("reset-failed", *units, "resnextd.service", check=False)
        box.systemctl("start", *units)
        yield box
        if box.show("resnextd.service")["ActiveState"] == "active":
            assert ask("GET", "/livez", address=address).status == 200
            check_works(address)
        harness.Aftermath.seen += 1
    except AssertionError:
        print("# " + box.enter("journalctl", "-n", "30", "--no-pager", check=False).replace("\n", "\n# "))
        raise
    finally:
        box.systemctl("stop", "resnextd.socket", *units, "resnextd.service", check=False)


def ask(method, target, body=None, address=TCP):
    return harness.ask(address, method, target, body=body)


def check_works(address=TCP):
    data, scores = reference()
    answer = ask("POST", "/classify", data, address)
    assert answer.status == 200, answer
    check_scores(predictions(answer), scores)


def restarted(before, count=1):
    """The service works again after that many restarts."""
    wait_until(f"restart {count}", lambda: int(box.show("resnextd.service")["NRestarts"]) >= count, 30)
    wait_until("active", lambda: box.show("resnextd.service")["ActiveState"] == "active", 30)
    assert box.pid() != before
    check_works()


def systemd_case(function):
    return case(own=None, seconds=900)(function)


@systemd_case
def start_is_over_when_it_is_ready():
    with running():
        unit = box.show("resnextd.service")
        assert (unit["ActiveState"], unit["SubState"]) == ("active", "running"), unit
        assert unit["StatusText"] == "serving", unit["StatusText"]
        assert ask("GET", "/readyz").status == 200
        check_works()


@systemd_case
def it_runs_confined():
    with running():
        with open(f"/proc/{box.pid()}/status") as file:
            status = dict(line.rstrip().split(":\t", 1) for line in file)
        assert all(int(uid) > 0 for uid in status["Uid"].split()), status["Uid"]
        assert int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        check_works()


@systemd_case
def row_62_a_bad_start_fails_with_its_reason_in_the_journal():
    with running():
        box.systemctl("stop", "resnextd.service")
        box.configure("resnextd.conf", "wrokers = 3;\n")
        box.drop_in("resnextd.service", "[Unit]\nStartLimitBurst=1\n[Service]\nRestart=no\n")
        assert "failed" in box.systemctl("start", "resnextd.service", check=False)
        unit = box.show("resnextd.service")
        assert unit["ActiveState"] == "failed" and unit["ExecMainStatus"] == "1", unit
        assert any("wrokers" in entry["MESSAGE"] for entry in box.journal())


@systemd_case
def row_63_reload_takes_effect_and_a_bad_one_changes_nothing():
    with running(), Traffic(TCP, 2) as traffic:
        before = box.pid()
        traffic.wait_for(20)
        box.configure("resnextd.conf", "top_k = 2;\n")
        box.systemctl("reload", "resnextd.service")
        wait_until("two predictions",
                   lambda: len(predictions(ask("POST", "/classify", reference()[0]))) == 2)
        box.configure("resnextd.conf", "top_k = 2000;\n")
        box.systemctl("reload", "resnextd.service")
        wait_until("a word about it", lambda: any(
            "the reload failed" in entry["MESSAGE"] and "top_k" in entry["MESSAGE"] and
            int(entry["PRIORITY"]) <= 4 for entry in box.journal()))
        wait_until("serving again", lambda: box.show("resnextd.service")["StatusText"] == "serving")
        assert box.show("resnextd.service")["ActiveState"] == "active"
        assert len(predictions(ask("POST", "/classify", reference()[0]))) == 2
        assert box.pid() == before and box.show("resnextd.service")["NRestarts"] == "0"
    assert set(traffic.outcomes) == {200}, traffic.outcomes


@systemd_case
def row_64_stop_drains():
    body = wire.multipart([("f", f"{i}.jpg", None, jpegs.slow(95)) for i in range(3)])
    with running(config="workers = 1;\n"), wire.Connection(TCP, 60) as slow, \
            wire.Connection(TCP, 60) as queued:
        slow.send(wire.request("POST", "/classify", [wire.form_type()], body))
        wait_until("the worker busy",
                   lambda: b"resnextd_workers_busy 1" in ask("GET", "/metrics").body)
        queued.send(wire.request("POST", "/classify", body=reference()[0]))
        wait_until("one in the queue",
                   lambda: b"resnextd_queue_depth 1" in ask("GET", "/metrics").body)
        box.systemctl("stop", "resnextd.service")
        assert slow.read().status == 200 and queued.read().status == 200
        unit = box.show("resnextd.service")
        assert unit["ActiveState"] == "inactive" and unit["Result"] == "success", unit
        assert unit["ExecMainStatus"] == "0", unit["ExecMainStatus"]
        said = [entry["MESSAGE"] for entry in box.journal()]
        assert any(line.startswith("draining") for line in said) and "stopped" in said, said[-5:]


def check_watchdog(name):
    with running(service="[Service]\nWatchdogSec=2\n"):
        pid = box.pid()
        check_works()
        holder = container.stop_thread(container.threads(pid, name)[0])
        try:
            restarted(pid)
        finally:
            os.waitpid(holder, 0)
        assert any("watchdog timeout" in entry["MESSAGE"].lower() for entry in box.journal())


@systemd_case
def row_71_a_stopped_worker_is_seen_by_the_watchdog():
    check_watchdog("worker")


@systemd_case
def row_71_a_stopped_http_thread_is_seen_by_the_watchdog():
    check_watchdog("MHD")


@systemd_case
def the_watchdog_lets_a_busy_service_live():
    with running(service="[Service]\nWatchdogSec=2\n"), Traffic(TCP, 16) as traffic:
        time.sleep(7)
        assert box.show("resnextd.service")["NRestarts"] == "0"
    assert traffic.outcomes[200] > 100 and set(traffic.outcomes) <= {200, 503}, traffic.outcomes


def check_killed(address, **drop_ins):
    """kill -9 under load: connections are lost that the dead process held, but none is refused."""
    with running("resnextd.socket", address=address, **drop_ins), Traffic(address, 8) as traffic:
        traffic.wait_for(50)
        for _ in range(3):
            before = box.pid()
            os.kill(before, signal.SIGKILL)
            wait_until("a new process", lambda: box.pid() not in (None, before), 30)
            traffic.wait_for(50)
        assert int(box.show("resnextd.service")["NRestarts"]) == 3
    print(f"# {dict(traffic.outcomes)}, slowest {traffic.slowest:.2f} s")
    assert set(traffic.outcomes) <= {200, "closed"}, traffic.outcomes
    assert traffic.outcomes["closed"] <= 3 * 8, traffic.outcomes


@systemd_case
def row_70_kill_under_load_behind_a_tcp_socket_refuses_nobody():
    check_killed(TCP)


@systemd_case
def row_70_kill_under_load_behind_a_unix_socket_without_network_refuses_nobody():
    boot()
    offline = ("[Service]\nPrivateNetwork=yes\nIPAddressDeny=any\nRestrictAddressFamilies=\n"
               "RestrictAddressFamilies=AF_UNIX\n")
    unix = "[Socket]\nListenStream=\nListenStream=/run/resnextd.sock\n"
    check_killed(f"/proc/{box.leader}/root/run/resnextd.sock", service=offline, socket=unix)


@systemd_case
def a_socket_starts_the_service_when_somebody_comes():
    with running("resnextd.socket"):
        assert box.show("resnextd.service")["ActiveState"] == "inactive"
        check_works()
        assert box.show("resnextd.service")["ActiveState"] == "active"
        box.systemctl("restart", "resnextd.service")
        check_works()


@systemd_case
def row_67_over_memorymax_it_is_killed_and_serves_again():
    with running(service="[Service]\nMemoryMax=80M\nMemorySwapMax=0\n"):
        pid = box.pid()
        if not limited(pid):
            raise Skip("MemoryMax= has no effect in a container here")
        body = reference()[0] + bytes(OVERLOAD_BODY)
        head = wire.request("POST", "/classify", [("Content-Length", str(len(body) + 1))])
        crowd = [wire.Connection(TCP, 30) for _ in range(10)]
        for connection in crowd:
            connection.try_send(head + body)
        restarted(pid)
        for connection in crowd:
            connection.close()
        assert any("oom-kill" in entry["MESSAGE"] or "killed" in entry["MESSAGE"]
                   for entry in box.journal()), box.journal()[-5:]


def limited(pid):
    """Whether the kernel knows of the limit."""
    groups = container.control_groups(pid)
    path = (f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes" if "memory" in groups
            else f"/sys/fs/cgroup{groups['']}/memory.max")
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        return file.read().strip() == str(80 << 20)
    return False


@systemd_case
def the_journal_has_a_line_a_request_with_priority_and_fields():
    with running():
        with wire.Connection(TCP, 10) as connection:
            answer = connection.ask("POST", "/classify", [("X-Request-Id", "journal-7")], reference()[0])
            assert answer.status == 200
            connection.ask("POST", "/classify", [("X-Request-Id", "journal-8")], b"no picture")
        entry, = wait_until("the line", lambda: [
            entry for entry in box.journal() if "journal-7" in str(entry["MESSAGE"])])
        assert entry["PRIORITY"] == "6" and entry["_SYSTEMD_UNIT"] == "resnextd.service", entry
        assert entry["SYSLOG_IDENTIFIER"] == "resnextd" and int(entry["_UID"]) > 0, entry
        for field in ('id="journal-7"', "status=200", 'model="resnext29-cifar10"', "inference_ms="):
            assert field in entry["MESSAGE"], (field, entry["MESSAGE"])
        assert not entry["MESSAGE"].startswith("<"), entry["MESSAGE"]
        assert any("journal-8" in entry["MESSAGE"] and "status=415" in entry["MESSAGE"]
                   for entry in box.journal())


@systemd_case
def the_journal_keeps_json_lines_whole():
    with running(config='log_format = "json";\n'):
        with wire.Connection(TCP, 10) as connection:
            connection.ask("POST", "/classify", [("X-Request-Id", "json-7")], reference()[0])
        entry, = wait_until("the line", lambda: [
            entry for entry in box.journal() if "json-7" in str(entry["MESSAGE"])])
        line = json.loads(entry["MESSAGE"])
        assert line["level"] == "info" and line["status"] == 200, line


@systemd_case
def instances_are_pinned_and_configured_apart():
    boot()
    box.forget_drop_ins()
    cpus = sorted(os.sched_getaffinity(box.leader))
    names = [f"node{i}" for i in range(2)]
    for i, name in enumerate(names):
        box.configure(f"{name}.env", f"RESNEXTD_LISTEN=127.0.0.1:{8081 + i}\n")
        box.drop_in(f"resnextd@{name}.service",
                    f"[Service]\nCPUAffinity={cpus[i % len(cpus)]}\nNUMAPolicy=bind\nNUMAMask=0\n", "node")
    units = [f"resnextd@{name}.service" for name in names]
    try:
        box.configure("resnextd.conf", "")
        box.systemctl("start", *units)
        for i, unit in enumerate(units):
            check_works(("127.0.0.1", 8081 + i))
            assert os.sched_getaffinity(box.pid(unit)) == {cpus[i % len(cpus)]}
            health = json.loads(ask("GET", "/health", address=("127.0.0.1", 8081 + i)).body)
            assert health["workers"]["total"] == 1, health
        os.kill(box.pid(units[0]), signal.SIGKILL)
        check_works(("127.0.0.1", 8082))
        wait_until("the other one again", lambda: box.show(units[0])["NRestarts"] == "1" and
                   box.show(units[0])["ActiveState"] == "active", 30)
        check_works(("127.0.0.1", 8081))
    finally:
        box.systemctl("stop", *units, check=False)
        box.forget_drop_ins()


if __name__ == "__main__":
    try:
        harness.main()
    finally:
        if box is not None:
            box.close()
