#!/usr/bin/python3 -B
"""A soak: for a long time, a load that the daemon can take, of every kind of client, while its models come
and go; every answer is compared, and what the process holds is watched.

The real daemon is started with the default model and a second one, its capacity for the mix is measured, and a
share of that is offered. The clients are those of kinds.py: good ones at every endpoint, bad ones that must
get their refusal, and ones that vanish or are slow; most keep their connections, a tenth take a new one.
Meanwhile a model is added and removed, by SIGHUP and over HTTP, every fourth reload is broken, and /livez and
/metrics are asked every second. Prints a line a minute, then each bound and whether it held, as TAP. Wants a machine
of its own: where others take the CPUs after the capacity was measured, a queue builds up, and with it refusals,
memory and connections; the load average tells."""
import argparse
import contextlib
import json
import os
import random
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))

import harness
import kinds
import wire
from harness import SLOW

CLIENT = os.path.join(harness.BUILD, "tests/load/mix")

# The bounds. A run of less than SHORT_S is too short for drifts: buffers still grow to their largest, and a
# moment's load from elsewhere fills a quarter. SHORT has what it is allowed beyond the rest.
REFUSED = 0.001  # of the answers: 503 at a load the daemon can take; its queue bridges only moments
GROWTH_KIB = 4096  # of resident memory an hour, or in all in less than that (Theil-Sen, after warm-up)
RSS_FACTOR, RSS_SLACK_KIB = 1.05, 2048  # resident memory, median of the last quarter to that of the first
FDS_SLACK = 8  # open files, the same medians: connections come and go
BLOCKS = 60  # of a run; memory and files count with the least of each, without the bursts of queue and reload
P99_FACTOR, P99_SLACK_MS = 3, 20  # p99 of the last quarter's windows (median) to the first's
SHORT_S = 300
SHORT = {"refused": 0.05, "rss_kib": 32768, "p99_ms": 2000, "fds": 150}
PAGE_MS = 1000  # /livez and /metrics
DRAIN_S = 10  # from SIGTERM to exit 0
WARM_UP, WARM_UP_S = 0.15, 300  # the lesser of both is not judged: buffers grow to their largest
RELOAD_S = 3  # between two reloads

QUEUE = 256  # so that refusals mean a lack of capacity and not bad luck
UPLOAD_MS = 10000
OPTIONS = ["--queue-limit", str(QUEUE), "--max-connections", "4096", "--upload-timeout-ms", str(UPLOAD_MS),
           "--log-level", "warning"]


def options(words):
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = lambda name, kind, default, text: parser.add_argument(
        name, type=kind, default=default, help=f"{text} ({default})")
    add("--seconds", float, float(os.environ.get("RESNEXT_TEST_SOAK_SECONDS", "3600")),
        "how long; RESNEXT_TEST_SOAK_SECONDS is the default")
    add("--workers", int, max(1, cores // 2), "of the daemon; the clients need cores as well")
    add("--load", float, 0.8, "share of the measured capacity to offer")
    add("--capacity-seconds", float, 10, "how long the capacity is measured")
    parser.add_argument("--rate", type=float, help="clients a second to offer, instead of measuring")
    parser.add_argument("--tls", action="store_true",
                        help="the load goes through a Unix socket, and TLS clients come to the port")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of all that is random")
    return parser.parse_args(words)


class Beside(threading.Thread):
    """What goes on beside the load: act(turn) every few seconds; `trouble` has what it raised."""

    def __init__(self, every_s):
        super().__init__()
        self.every_s, self.over, self.trouble = every_s, threading.Event(), []

    def run(self):
        turn = 0
        while not self.over.wait(self.every_s):
            try:
                self.act(turn)
            except Exception:
                self.trouble.append(traceback.format_exc())
            turn += 1

    def end(self):
        self.over.set()
        self.join()


class Reloads(Beside):
    """Changes the models; every fourth change is broken and must change nothing."""

    def __init__(self, daemon, admin, seed):
        super().__init__(RELOAD_S)
        self.served, self.admin, self.random = daemon, admin, random.Random(seed)
        self.ok, self.failed = 0, 0

    def act(self, turn):
        extra = turn % 2 == 1
        broken = turn % 4 == 3
        text = config(extra)
        if broken:
            text = self.random.choice(("workers = ;\n", text + "wrokers = 3;\n",
                                       text.replace(harness.MODEL, "/nowhere")))
        self.served.configure(text)
        if self.random.random() < 0.5:
            drain(self.served)
            said = self.served.reload()
            assert "RELOADING=1" in said, said
        else:
            answer = harness.ask(self.admin, "POST", "/admin/reload")
            assert answer.status == (500 if broken else 200), answer
            drain(self.served)
        self.ok += not broken
        self.failed += broken


def config(extra):
    names = [kinds.MAIN, kinds.SECOND] + [kinds.EXTRA] * extra
    return harness.models_config(**{name: kinds.PATHS[name] for name in names})


def drain(daemon):
    """Reads the notifications that nobody waits for."""
    with contextlib.suppress(BlockingIOError):
        while daemon.notify.recv(65536, socket.MSG_DONTWAIT):
            pass


def read_metrics(admin):
    return harness.parse_metrics(harness.ask(admin, "GET", "/metrics").body.decode())


class Watch(Beside):
    """Looks at the process and asks for pages every second."""

    def __init__(self, daemon, admin):
        super().__init__(1)
        self.served, self.admin = daemon, admin
        self.samples, self.livez = [], 0
        self.slowest = {"/livez": 0.0, "/metrics": 0.0}
        self.began = time.monotonic()

    def act(self, turn):
        found = self.served.resources()
        self.samples.append({"at": time.monotonic() - self.began, "rss": found["rss"] / 1024,
                             "fds": found["fds"], "threads": found["threads"],
                             "sockets": self.sockets()})
        self.timed("/livez", lambda: self.served.get("/livez"))
        self.livez += 1
        self.timed("/metrics", lambda: harness.ask(self.admin, "GET", "/metrics"))

    def timed(self, target, ask):
        began = time.monotonic()
        answer = ask()
        assert answer.status == 200, answer
        self.slowest[target] = max(self.slowest[target], (time.monotonic() - began) * 1000)

    def sockets(self):
        folder, count = f"/proc/{self.served.pid}/fd", 0
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
        return count


class Tls(Beside):
    """Clients of the port that speaks TLS, four a second; every fourth vanishes somewhere."""

    def __init__(self, address, cert):
        super().__init__(0.25)
        self.address, self.context = address, ssl.create_default_context(cafile=cert)
        self.right, self.left, self.refused = 0, 0, 0

    def act(self, turn):
        data, scores = harness.reference()
        request = wire.request("POST", "/classify", body=data)
        if turn % 4 == 3:
            self.vanish(turn // 4 % 3, request)
            return
        with wire.Connection(self.address, 30 * SLOW, tls=self.context) as connection:
            for _ in range(1 + turn % 3):
                connection.send(request)
                answer = connection.read()
                if answer.status == 503:
                    self.refused += 1
                    break
                assert answer.status == 200, answer
                harness.check_scores(harness.predictions(answer), scores)
                self.right += 1

    def vanish(self, where, request):
        """In the handshake, after it, or in the upload."""
        if where == 0:
            with wire.Connection(self.address, 30 * SLOW) as connection:
                connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            return
        with wire.Connection(self.address, 30 * SLOW, tls=self.context) as connection:
            if where == 2:
                connection.send(request[:len(request) // 2])
                self.left += 1


# --- figures ---

def slope(points):
    """Theil-Sen: the median of the slopes between all pairs."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:]]
    return statistics.median(slopes) if slopes else 0.0


def floors(samples, key):
    """(time, least value) of each block."""
    size = -(-len(samples) // BLOCKS)
    blocks = [samples[i:i + size] for i in range(0, len(samples), size)]
    return [(block[0]["at"], min(sample[key] for sample in block)) for block in blocks]


def quarters(values):
    """Medians of the first and of the last quarter."""
    count = max(1, len(values) // 4)
    return statistics.median(values[:count]), statistics.median(values[-count:])


def judged(rows, seconds):
    """Those after the warm-up and while clients came."""
    begin = min(WARM_UP * seconds, WARM_UP_S)
    return [row for row in rows if begin <= row["at"] <= seconds + 0.5]


def allowed(seconds, what):
    return SHORT[what] if seconds < SHORT_S else 0


def say(*columns):
    print("# | " + " | ".join(str(c) for c in columns) + " |", flush=True)


class Table:
    """Prints the windows as they end, a line each."""

    def __init__(self, watch):
        self.watch, self.rows = watch, []
        say("s", "clients", "right", "wrong", "refused", "p50 ms", "p99 ms", "RSS KiB", "fds", "threads",
            "load average")
        say(*["---"] * 11)

    def add(self, row):
        self.rows.append(row)
        last = (self.watch.samples or [{"rss": 0, "fds": 0, "threads": 0}])[-1]
        say(f"{row['at']:.0f}", *(row[k] for k in ("jobs", "right", "wrong", "refused")),
            f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", f"{last['rss']:.0f}", last["fds"], last["threads"],
            f"{os.getloadavg()[0]:.1f}")


# --- the client ---

def start_client(daemon, path, *words):
    address = daemon.address if isinstance(daemon.address, str) else "{}:{}".format(*daemon.address)
    return subprocess.Popen([CLIENT, *map(str, words), address, path], stdout=subprocess.PIPE, text=True,
                            preexec_fn=harness.die_with_parent)


def finish_client(process, each=lambda row: None):
    """What it prints at the end; `each` gets the windows."""
    final = None
    for line in process.stdout:
        row = json.loads(line)
        if "kinds" in row:
            final = row
        else:
            each(row)
    assert process.wait() == 0 and final, f"the client ended with {process.returncode}"
    return final


def measure(daemon, path, settings):
    """Clients a second that the daemon serves when some are always there."""
    rows = []
    finish_client(start_client(daemon, path, "-c", 2 * settings.workers + 2, "-s", settings.capacity_seconds,
                               "-e", settings.seed), rows.append)
    served = [row["jobs"] for row in rows if row["at"] <= settings.capacity_seconds + 0.1]
    return statistics.median(served)


# --- verdict ---

class Verdict:
    """Bounds that held or did not. `timed` ones may break where others take the CPUs."""

    def __init__(self):
        self.bounds = []

    def check(self, held, text, timed=False):
        self.bounds.append((bool(held), text, timed))

    def broken(self, timed):
        """Those that did not hold, with or without the timed ones."""
        return [text for held, text, is_timed in self.bounds if not held and (timed or not is_timed)]

    def print(self):
        print(f"1..{len(self.bounds)}")
        for i, (held, text, _) in enumerate(self.bounds, 1):
            print(f"{'ok' if held else 'not ok'} {i} - {text}")
        bad = len(self.broken(timed=True))
        print(f"# {'every bound held' if not bad else f'{bad} bounds did not hold'}", flush=True)
        return bad == 0


def judge_answers(v, result, seconds):
    answers = result["right"] + result["wrong"] + result["refused"]
    wrong = {name: kind["wrong"] for name, kind in result["kinds"].items() if kind["wrong"]}
    v.check(result["wrong"] == 0 and result["right"] > 0,
            f"every answer is the one known: {result['right']} right, {result['wrong']} not {wrong or ''}")
    most = REFUSED + allowed(seconds, "refused")
    v.check(result["refused"] <= most * answers,
            f"at most {most:.1%} refused with 503: {result['refused']} of {answers}", timed=True)
    v.check(result["unsent"] == result["unconnected"] == result["unanswered"] == 0,
            f"no client turned away or left without an answer: {result['unconnected']} not connected, "
            f"{result['unanswered']} not answered, {result['unsent']} not sent")
    missing = [name for name, kind in result["kinds"].items() if kind["jobs"] == 0]
    v.check(not missing, f"every kind of client came: {len(result['kinds'])} kinds, without {missing}")


def judge_memory(v, samples, seconds):
    if harness.SANITIZER:
        return  # they keep what was freed
    hours, slack = min(seconds / 3600, 1), allowed(seconds, "rss_kib")
    points = floors(samples, "rss")
    rise, limit = slope(points) * 3600, (GROWTH_KIB + slack) / hours
    v.check(rise <= limit, f"resident memory grows by at most {limit:.0f} KiB an hour: {rise:.0f} "
            f"(in all {rise * seconds / 3600:.0f} KiB)", timed=True)
    first, last = quarters([rss for _, rss in points])
    most = RSS_FACTOR * first + RSS_SLACK_KIB + slack
    v.check(last <= most,
            f"resident memory, {first:.0f} KiB at first, is at most {most:.0f} KiB at the end: {last:.0f} KiB",
            timed=True)


def judge_counts(v, samples, seconds):
    connections = FDS_SLACK + allowed(seconds, "fds")
    for key, slack in (("fds", connections), ("sockets", connections), ("threads", 0)):
        first, last = quarters([value for _, value in floors(samples, key)])
        v.check(last <= first + slack, f"{key} stay: at most {slack} more at the end, {first:g} and {last:g}",
                timed=slack > 0)


def judge_latency(v, rows, watch, seconds):
    first, last = quarters([row["p99_ms"] for row in rows])
    most = P99_FACTOR * first + P99_SLACK_MS + allowed(seconds, "p99_ms")
    v.check(0 < last <= most, f"p99 stays: {first:.1f} ms, then at most {most:.1f} ms: {last:.1f} ms", timed=True)
    for target, slowest in watch.slowest.items():
        v.check(slowest <= PAGE_MS * SLOW,
                f"{target} answers within {PAGE_MS * SLOW:.0f} ms: {slowest:.0f} ms at most", timed=True)
    v.check(not watch.trouble, f"pages and figures are always there: {watch.trouble or 'so they are'}")


def grown(before, after, **labels):
    name = "resnextd_requests_total"
    return int(after.sum(name, **labels) - before.sum(name, **labels))


def add_others(result, watch, tls):
    """To the client's counts what else was asked."""
    pages, pictures = result["endpoints"]["/livez"], result["endpoints"]["/classify"]
    pages["200"] = pages.get("200", 0) + watch.livez
    if tls:
        for code, count in (("200", tls.right), ("503", tls.refused), ("left", tls.left)):
            pictures[code] = pictures.get(code, 0) + count


def differences(result, before, after):
    """What the daemon counted otherwise. Of a client that left, it may count an answer, a client gone, or
    nothing."""
    off = []
    for endpoint, all_counts in result["endpoints"].items():
        counts = {code: count for code, count in all_counts.items() if code != "left"}
        left = all_counts["left"]
        for code in sorted({*counts, "200", "499", "503"}):
            have, got = grown(before, after, endpoint=endpoint, code=code), counts.get(code, 0)
            most = got + (left if code in ("200", "499", "503") else 0)
            if not got <= have <= most:
                off.append(f"{endpoint} {code}: {have}, clients {got} to {most}")
        total = grown(before, after, endpoint=endpoint) - grown(before, after, endpoint=endpoint, code="408")
        if total > sum(counts.values()) + left:
            off.append(f"{endpoint}: {total}, clients {sum(counts.values()) + left}")
    return off


def read_settled_metrics(admin, result, before):
    """They follow the answers."""
    with contextlib.suppress(AssertionError):
        harness.wait_until("counts", lambda: not differences(result, before, read_metrics(admin)), 10)
    return read_metrics(admin)


def judge_metrics(v, result, before, after, tls):
    if tls:
        v.check(not tls.trouble and tls.right > 0, f"clients speak TLS: {tls.right} answers, "
                f"{tls.trouble or 'all right'}")
    off = differences(result, before, after)
    v.check(not off, f"the metrics agree with the clients' counts: {off or 'all codes of all endpoints'}")
    silent, counted = result["kinds"]["silent"]["right"], grown(before, after, endpoint="/classify", code="408")
    v.check(0 <= silent - counted <= result["refused"],
            f"silent clients are counted with 408, or 503 if they were to be refused: {counted} of {silent}")


def judge_reloads(v, reloads, before, after, result):
    name = "resnextd_reloads_total"
    ok, failed = (int(after.sum(name, result=r) - before.sum(name, result=r)) for r in ("ok", "failed"))
    v.check(not reloads.trouble and (ok, failed) == (reloads.ok, reloads.failed),
            f"reloads did what they should: {ok} done, {failed} refused, {reloads.trouble or 'as expected'}")
    absent = result["endpoints"]["/classify"].get("404", 0) - result["kinds"]["bad_model"]["right"]
    present = result["kinds"]["coming_and_going"]["right"] - absent
    v.check(absent > 0 and present > 0, f"a model came and went: {present} answers with it, {absent} without")


def judge_log(v, daemon, reloads):
    """Nothing but refused reloads is worth a warning."""
    lines = [line for line in daemon.log().splitlines() if line]
    expected = [line for line in lines if "the reload failed" in line]
    rest = [line for line in lines if line not in expected]
    v.check(not rest and len(expected) == reloads.failed,
            f"the log tells of {reloads.failed} refused reloads and of nothing else: {rest[:5] or 'so it is'}")


def judge_end(v, daemon, baseline):
    try:
        harness.wait_until("fds", lambda: daemon.resources()["fds"] <= baseline["fds"], 10)
    except AssertionError:
        pass
    fds = daemon.resources()["fds"]
    v.check(fds <= baseline["fds"], f"open files are back at {baseline['fds']}: {fds}")
    began = time.monotonic()
    try:
        daemon.stop(DRAIN_S)
        v.check(True, f"exit code 0 within {DRAIN_S * SLOW:.0f} s of SIGTERM: {time.monotonic() - began:.2f} s")
    except AssertionError as trouble:
        v.check(False, f"exit code 0 within {DRAIN_S * SLOW:.0f} s of SIGTERM: {trouble}")


# --- the soak ---

def offer(daemon, script, rate, settings, beside):
    """The load, with all that goes on beside it: what the client counted, and its windows."""
    window = max(1, min(60, settings.seconds / 10))
    table = Table(beside[0])
    client = start_client(daemon, script, "-r", rate, "-s", settings.seconds, "-w", window, "-e", settings.seed)
    for thread in beside:
        thread.start()
    try:
        return finish_client(client, table.add), table.rows
    finally:
        client.kill()
        for thread in beside:
            thread.end()


def settle(daemon):
    """What the daemon holds when the clients have left."""
    last = daemon.resources()
    for _ in range(50):
        time.sleep(0.1)
        now = daemon.resources()
        if now["fds"] >= last["fds"] and now["threads"] == last["threads"]:
            return now
        last = now
    return last


def listeners(settings):
    """Options of the daemon, where admin listens, and what TLS clients need or None."""
    port = harness.free_port()
    admin = harness.path("admin.sock") if settings.tls else port
    words = ["--admin-listen", f"unix:{admin}" if settings.tls else "{}:{}".format(*port)]
    if not settings.tls:
        return words, admin, None
    cert, key = harness.certificate("soak")
    return words + ["--tls-cert", cert, "--tls-key", key, "--listen", f"unix:{harness.path('soak.sock')}"], \
        admin, cert


def soak(settings, env=None):
    """Runs it and returns the Verdict. harness.WORK must be a folder."""
    words, admin, cert = listeners(settings)
    with harness.Daemon([*OPTIONS, "--workers", str(settings.workers), *words], model=False,
                        config=config(extra=False), env=env, wait=False) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        tls = Tls(daemon.address, cert) if cert else None
        daemon.address = harness.path("soak.sock") if cert else daemon.address
        return run(daemon, admin, tls, settings)


def run(daemon, admin, tls, settings):
    script = harness.write("soak.script", learn_script(daemon))
    rate = settings.rate or settings.load * measure(daemon, script, settings)
    print(f"# {settings.workers} workers, {rate:.0f} clients/s for {settings.seconds:.0f} s, "
          f"seed {settings.seed}", flush=True)
    baseline, before = settle(daemon), read_metrics(admin)
    watch, reloads = Watch(daemon, admin), Reloads(daemon, admin, settings.seed)
    result, rows = offer(daemon, script, rate, settings, [watch, reloads] + [tls] * bool(tls))
    settle(daemon)
    add_others(result, watch, tls)
    after = read_settled_metrics(admin, result, before)
    samples, windows = judged(watch.samples, settings.seconds), judged(rows, settings.seconds)
    v = Verdict()
    judge_answers(v, result, settings.seconds)
    judge_reloads(v, reloads, before, after, result)
    judge_metrics(v, result, before, after, tls)
    judge_latency(v, windows, watch, settings.seconds)
    judge_memory(v, samples, settings.seconds)
    judge_counts(v, samples, settings.seconds)
    judge_log(v, daemon, reloads)
    judge_end(v, daemon, baseline)
    return v


def learn_script(daemon):
    clients = kinds.good_kinds() + kinds.bad_kinds() + kinds.leaving_kinds()
    clients.append(kinds.coming_and_going(daemon))
    daemon.configure(config(extra=True))
    daemon.reload()
    return kinds.script(clients, daemon)


def main():
    settings = options(sys.argv[1:])
    harness.need(harness.DAEMON, harness.TOOL, CLIENT)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, harness.end)
    with harness.workspace():
        sys.exit(0 if soak(settings).print() else 1)


if __name__ == "__main__":
    main()
