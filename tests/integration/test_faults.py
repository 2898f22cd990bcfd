#!/usr/bin/python3 -B
"""What the operating system refuses: memory, files, reads, threads. The daemon ends with a message, or
goes on; it leaks nothing."""
import base64
import contextlib
import hashlib
import json
import os
import shutil
import ssl

import harness
import wire
from harness import (SLOW, Daemon, case, check_scores, fails, path, predictions, reference, shim,
                     wait_until, write)
from interposer import KINDS, Interposer, named, sample

SAMPLES = int(os.environ.get("RESNEXT_TEST_FAULTS", "10"))  # of each kind; check-long: every one
LONG = SAMPLES > 100
MISSES = 3  # in a row, and there is no such call: one alone may be another thread's, come in between
RELOAD_KINDS = ("malloc", "mmap", "open", "read")
KEY = "k" * 32
INFER = f"/v2/models/{harness.MODEL_NAME}/infer"


# --- two daemons: one with the least of everything, and one with all that can be read at start ---

@contextlib.contextmanager
def plain(watched, workers=2):
    """Not waited for; with an admin server."""
    admin = f"unix:{path('admin.sock')}"
    with Daemon(["--workers", str(workers), "--admin-listen", admin], wait=False,
                env=watched.environment) as daemon:
        yield daemon


def furniture(made={}):
    """(options, configuration, certificate): TLS, keys, a model in int8 and one in float32."""
    if not made:
        (cert, key), folder = harness.certificate("localhost"), path("calibrated")
        shutil.copytree(harness.MODEL, folder, copy_function=shutil.copyfile)
        code, _, errors = harness.tool("calibrate", folder, os.path.join(harness.DATA, "pictures"))
        assert code == 0, errors
        keys = write("keys", f"# who may\n{hashlib.sha256(KEY.encode()).hexdigest()} tester\n")
        made["options"] = ["--tls-cert", cert, "--tls-key", key, "--api-keys", keys]
        made["config"] = (f'models = {{ {harness.MODEL_NAME} = {{ path = "{harness.MODEL}"; default = true; }};\n'
                          f'quick = {{ path = "{folder}"; precision = "int8"; }}; }};\n')
        made["cert"] = cert
    return made["options"], made["config"], made["cert"]


@contextlib.contextmanager
def furnished(watched, workers=2):
    options, config, cert = furniture()
    with Daemon(["--workers", str(workers), *options], wait=False, model=False, config=config,
                env=watched.environment) as daemon:
        daemon.tls = ssl.create_default_context(cafile=cert)
        daemon.headers = [("Authorization", f"Bearer {KEY}")]
        yield daemon


def attempt(ask):
    """The answer, or None if the connection was closed instead."""
    with contextlib.suppress(wire.Closed, ConnectionError, ssl.SSLError):
        return ask()
    return None


def health(daemon):
    """Both are open, with and without keys."""
    return daemon.get("/health")


def lives_through(kind, number, start, blocks):
    """True if the daemon became ready although one call of its start failed. What libraries keep at
    the end are `blocks`."""
    name = f"{kind} {number}"
    with Interposer(kind, number) as watched, start(watched) as daemon:
        ready = daemon.notified(10 * SLOW)
        failed = watched.failed(kind)
        if ready:
            assert attempt(lambda: health(daemon)) is not None or failed < watched.failed(kind), name
            assert health(daemon).status == 200, name
            daemon.stop()
        else:
            code, log = daemon.exit_code(), daemon.log()
            assert code == 1, f"{name}: exit code {code}: {log}"
            errors = [line for line in log.splitlines()
                      if " error " in line or line.startswith("resnextd: ")]
            assert len(errors) == 1, f"{name}: {log}"
            assert failed == 1, f"{name}: it ended, and no call failed: {log}"
        with named(name):
            watched.check_end(blocks)
        return ready


def good_life(start):
    """({kind: calls of a start}, the blocks that libraries keep when all went well)."""
    with Interposer() as watched, start(watched) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        calls = {kind: watched.calls(kind) for kind in KINDS}
        assert health(daemon).status == 200
        daemon.stop()
        watched.check_end()
        assert all(calls.values()), f"the shim does not count: {calls}"
        return calls, watched.page.blocks


def torture_start(start, kinds):
    """{kind: [whether it lived through call 1, ...]}."""
    calls, blocks = good_life(start)
    return {kind: [lives_through(kind, number, start, blocks) for number in sample(calls[kind], SAMPLES)]
            for kind in kinds}


# --- requests ---

def without_times(body):
    """A JSON answer but for what differs from one time to the next."""
    return {key: value for key, value in body.items() if key not in ("request_id", "timing_ms", "id")}


def of_json(answer):
    return without_times(json.loads(answer.body))


def of_parts(answer):
    return [{**without_times(result), "part": None} for result in json.loads(answer.body)["results"]]


def of_bytes(answer):
    return answer.body


def of_status(answer):
    return answer.status


def exchanges(daemon):
    """{name: (asks, what of its answer is always the same)}"""
    jpeg = reference()[0]
    form = wire.multipart([("a", "a.jpg", "image/jpeg", jpeg), ("b", "b.jpg", "image/jpeg", jpeg)])
    text = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                   "data": [base64.b64encode(jpeg).decode()]}]}).encode()
    numbers = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32],
                                      "data": [0.5] * 3072}]}).encode()
    chunks = wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")])
    return {
        "classify": (lambda: daemon.classify(jpeg), of_json),
        "chunked": (lambda: daemon.send_raw(chunks + wire.chunked(jpeg, 100)), of_json),
        "parts": (lambda: daemon.classify(form, [wire.form_type()]), of_parts),
        "embed": (lambda: daemon.ask("POST", "/embed", body=jpeg), of_json),
        "embed_raw": (lambda: daemon.ask("POST", "/embed", [("Accept", "application/octet-stream")],
                                         jpeg), of_bytes),
        "explain": (lambda: daemon.ask("POST", "/explain?format=json", body=jpeg), of_json),
        "explain_jpeg": (lambda: daemon.ask("POST", "/explain", body=jpeg), of_bytes),
        "infer": (lambda: daemon.ask("POST", INFER, body=text), of_json),
        "infer_numbers": (lambda: daemon.ask("POST", INFER, body=numbers), of_json),
        "refused": (lambda: daemon.classify(b"no picture"), of_json),
        "models": (lambda: daemon.get("/models"), of_bytes),
        "metadata": (lambda: daemon.get(f"/v2/models/{harness.MODEL_NAME}"), of_bytes),
        "health": (lambda: health(daemon), of_status),
        "page": (lambda: daemon.get("/"), of_bytes),
    }


def is_refusal(answer):
    return answer is None or answer.status in (500, 503)


def is_right(answer, essence, want):
    """The answer of a good day; of several parts each may have failed by itself."""
    got = essence(answer)
    if essence is of_parts:
        return len(got) == len(want) and all(
            a == b or a.get("error", {}).get("status") in (500, 503) for a, b in zip(got, want))
    return got == want


def fail_once(watched, kind, number, ask, essence, want):
    """Fails one call of a request; the next request must be answered as ever. Returns whether a call
    failed, and whether the request was refused."""
    before = watched.failed(kind)
    watched.fail(kind, number)
    answer = attempt(ask)
    hit = watched.failed(kind) > before
    watched.fail(kind, 0)
    name = f"{kind} {number}"
    assert hit or not is_refusal(answer), f"{name}: no call failed, and it said {answer}"
    assert is_refusal(answer) or is_right(answer, essence, want), f"{name}: {answer}"
    again = attempt(ask)
    assert again and essence(again) == want, f"{name}: it does not recover: {again}"
    return hit, is_refusal(answer)


def torture_request(watched, kind, ask, essence, numbers=None):
    """Fails each call of one kind that a request makes. Returns (tries, refusals)."""
    want = essence(ask())
    tries = refusals = misses = 0
    for number in numbers or range(1, 10000):
        hit = False
        while not hit and misses < MISSES:
            hit, refused = fail_once(watched, kind, number, ask, essence, want)
            misses = 0 if hit else misses + 1
        if not hit:
            break
        tries += 1
        refusals += refused
    return tries, refusals


def torture_requests(watched, daemon, kinds):
    """{kind: [tries, refusals]} over all exchanges."""
    found = {kind: [0, 0] for kind in kinds}
    for name, (ask, essence) in exchanges(daemon).items():
        for kind in kinds:
            try:
                tries, refusals = torture_request(watched, kind, ask, essence)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}; {daemon.log()[-2000:]}") from None
            found[kind][0] += tries
            found[kind][1] += refusals
    return found


def note(text):
    print(f"# {text}", flush=True)


@case(own=None, seconds=300)
def row_66_a_call_that_fails_in_a_request_is_a_refusal_and_leaks_nothing():
    """Every call of every kind; twice, and the second time must not add to what lives."""
    with Interposer() as watched, plain(watched) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        first = torture_requests(watched, daemon, KINDS)
        note(f"tries and refusals: {first}")
        assert first["malloc"][1] > 20, first
        assert first["read"][1] > 5, first
        held = settled(watched)
        torture_requests(watched, daemon, ("malloc", "mmap", "open", "read"))
        grown(watched, held)
        daemon.stop()
        watched.check_end()


def living(watched):
    return watched.page.own_blocks, watched.page.own_bytes, watched.page.blocks


def settled(watched):
    """What lives once the last connection is gone."""
    last = []

    def is_settled():
        last.append(living(watched))
        return len(last) > 20 and len(set(last[-20:])) == 1
    wait_until("the heap to settle", is_settled)
    return last[-1]


def grown(watched, held):
    """Fails if more lives than before; buffers that workers keep may differ by a little."""
    now = settled(watched)
    assert now[0] <= held[0] + 4, f"{now[0] - held[0]} blocks of our own more"
    assert now[1] <= held[1] + 65536, f"{now[1] - held[1]} bytes of our own more"
    assert now[2] <= held[2] + 16, f"{now[2] - held[2]} blocks more"


def calls_of(watched, kind, ask):
    before = watched.calls(kind)
    assert ask().status == 200
    return watched.calls(kind) - before


@case(own=None, seconds=900 if LONG else 120)
def row_66_a_call_that_fails_in_tls_costs_one_connection():
    # One worker: each grows its buffers with its first picture, which may come at any time.
    with Interposer() as watched, furnished(watched, workers=1) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        ask, essence = exchanges(daemon)["classify"]
        for kind in ("malloc", "open", "read"):
            numbers = sample(calls_of(watched, kind, ask) + 5, SAMPLES)
            torture_request(watched, kind, ask, essence, numbers[:20])
            held = settled(watched)
            tries, refusals = torture_request(watched, kind, ask, essence, numbers)
            note(f"{kind}: {tries} tries, {refusals} refusals")
            assert tries > 0, f"{kind}: {tries}"  # how often TLS reads is a matter of timing
            grown(watched, held)
        daemon.stop()
        watched.check_end()


def reload():
    return harness.ask(path("admin.sock"), "POST", "/admin/reload")


def of_models(answer):
    return json.loads(answer.body)["models"]


@case(own=None, seconds=900 if LONG else 120)
def row_66_a_call_that_fails_in_a_reload_changes_nothing():
    with Interposer() as watched, plain(watched) as daemon, contextlib.ExitStack() as stack:
        assert daemon.notified(10 * SLOW), daemon.log()
        stack.enter_context(daemon.reading_notifications())
        for kind in RELOAD_KINDS:
            assert reload().status == 200
            before = watched.calls(kind)
            assert reload().status == 200
            calls = watched.calls(kind) - before + 5
            # Most opens look for the cgroups' limits, and may fail.
            numbers = range(1, calls + 1) if kind == "open" else sample(calls, SAMPLES)
            held = settled(watched)
            tries, refusals = torture_request(watched, kind, reload, of_models,
                                              numbers)
            note(f"{kind}: {tries} tries, {refusals} refusals")
            assert refusals > 0, kind
            grown(watched, held)
            daemon.good()
        daemon.stop()
        watched.check_end()


@case(own=None, seconds=900 if LONG else 120)
def row_66_a_call_that_fails_while_workers_are_added_changes_nothing():
    admin = path("admin.sock")

    def become(daemon, workers):
        daemon.configure(f"workers = {workers};\n")
        return reload()

    def failures():
        metrics = harness.parse_metrics(harness.ask(admin, "GET", "/metrics").body.decode())
        return metrics.sum("resnextd_reloads_total", result="failed")
    with Interposer() as watched, Daemon(["--admin-listen", f"unix:{admin}"], env=watched.environment,
                                         config="workers = 1;\n") as daemon, \
            daemon.reading_notifications():
        for kind in ("malloc", "mmap", "thread"):
            before, refusals = watched.calls(kind), 0
            assert become(daemon, 2).status == 200, daemon.log()
            for number in sample(watched.calls(kind) - before, 2 * SAMPLES):
                assert become(daemon, 1).status == 200, daemon.log()
                failed = failures()
                watched.fail(kind, number)
                answer = attempt(lambda: become(daemon, 2))
                watched.fail(kind, 0)
                running = json.loads(daemon.get("/health").body)["workers"]["total"]
                refused = failures() > failed
                done = bool(answer) and answer.status == 200
                assert running == 1 if refused else running == 2 or not done, (kind, number, answer, running)
                refusals += refused
            note(f"{kind}: {refusals} refusals")
            assert refusals > 0, kind
            assert become(daemon, 1).status == 200, daemon.log()
            daemon.good()
        daemon.stop()
        watched.check_end()


def check_start(start):
    lived = torture_start(start, ("malloc", "mmap", "open", "read"))
    for kind, results in lived.items():
        note(f"{kind}: {len(results)} tries, {sum(results)} lived")
        assert False in results, f"{kind}: no failure was noticed"


@case(own=None, seconds=900 if LONG else 120)
def row_66_a_call_that_fails_at_start_is_one_line():
    check_start(plain)


@case(own=None, seconds=1800 if LONG else 120)
def row_66_a_call_that_fails_at_a_start_with_everything_is_one_line():
    check_start(furnished)


@case(own=None, seconds=60)
def row_68_a_thread_that_cannot_be_made_ends_the_start_in_good_order():
    calls, blocks = good_life(plain)
    assert calls["thread"] >= 6, calls
    for number in range(1, calls["thread"] + 1):
        assert not lives_through("thread", number, plain, blocks), f"ready without thread {number}"


@case(own=None, seconds=60)
def a_planted_leak_is_noticed():
    """The balance itself: one block that a request does not give back is one too many at the end, and
    twenty of them have grown."""
    jpeg = reference()[0]
    with Interposer() as watched, plain(watched) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        for _ in range(10):
            assert daemon.classify(jpeg).status == 200
        held = settled(watched)
        for expected in (1, 20):
            for _ in range(expected):
                watched.page.leaks = 1
                assert daemon.classify(jpeg).status == 200
                wait_until("the leak", lambda: watched.page.leaks == 0)
        fails("more", lambda: grown(watched, held))
        daemon.stop()
        assert watched.page.own_blocks == 21, watched.page.own_blocks
        fails("leaked", watched.check_end)


def allocations_of_workers(requests):
    """What the workers allocate, libjpeg aside, until `requests` pictures are classified."""
    data = reference()[0]
    with Interposer() as watched, plain(watched, workers=1) as daemon:
        assert daemon.notified(10 * SLOW)  # each worker grows its buffers with its first picture
        for _ in range(requests):
            assert daemon.classify(data).status == 200
        daemon.stop()
        return watched.page.of_workers


@case(own=None, seconds=60)
def pictures_cost_a_worker_no_allocation_but_predictions_and_answers():
    few, many = allocations_of_workers(10), allocations_of_workers(210)
    assert many - few == 2 * 200, f"{many - few} allocations in 200 requests"


@case(own=None, seconds=60)
def row_72_a_clock_that_jumps_a_day_moves_no_deadline():
    jumped, data = path("jumped"), reference()[0]
    env = {"LD_PRELOAD": shim("jumping"), "CLOCK_JUMPS": jumped}
    with Daemon(["--workers", "1", "--queue-limit", "200"], env=env) as daemon:
        dates = set()
        for ahead in (True, False, True):
            with contextlib.ExitStack() as stack:
                waiting = [stack.enter_context(daemon.connect(60)) for _ in range(40)]
                for connection in waiting:  # some wait in the queue while the clock jumps
                    connection.send(wire.request("POST", "/classify", body=data))
                if ahead:
                    with open(jumped, "w", encoding="ascii"):
                        pass
                else:
                    os.unlink(jumped)
                for connection in waiting:
                    assert (answer := connection.read()).status == 200, answer
            answer = daemon.classify(data)
            check_scores(predictions(answer), reference()[1])
            dates.add(dict(answer.headers)["date"][:16])
        assert len(dates) == 2, f"the clock did not jump: {dates}"
        assert daemon.get("/readyz").status == 200
        daemon.stop()


if __name__ == "__main__":
    harness.main()
