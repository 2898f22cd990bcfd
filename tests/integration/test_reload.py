#!/usr/bin/python3 -B
"""Reloads: models and configuration change between two requests, or not at all."""
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
import time

import folders
import harness
import wire
from harness import (SLOW, Daemon, case, check_error, check_scores, models_config, path, predictions,
                     reference, wait_until)
from interposer import Interposer

# check-long: 100
ROUNDS = int(os.environ.get("RESNEXT_TEST_RELOADS", "6" if harness.SANITIZER == "thread" else "12"))
SIGHUPS = 100


def names(daemon):
    return [m["name"] for m in json.loads(daemon.get("/models").body)["models"]]


def count(daemon, result):
    return daemon.metrics().sum("resnextd_reloads_total", result=result)


def start(text, *options, **more):
    return Daemon(list(options), model=False, config=text, **more)


def reload_often(daemon, answered):
    """The first are waited for one by one; of the others those that come during a reload become one."""
    for _ in range(ROUNDS):
        said = daemon.reload()
        assert "RELOADING=1" in said and re.search(r"MONOTONIC_USEC=\d+", said), said
    assert count(daemon, "ok") == ROUNDS
    with daemon.reading_notifications():
        for _ in range(SIGHUPS - ROUNDS):
            daemon.process.send_signal(harness.signal.SIGHUP)
            time.sleep(0.02)
        before = answered()
        wait_until("traffic goes on", lambda: answered() > before + 50)


@case(own=None, seconds=120)
def row_63_a_hundred_sighups_under_load_fail_no_request():
    data, scores = reference()
    with start(models_config(one=harness.MODEL, two=harness.MODEL), "--workers", "2") as daemon:
        end, answers = threading.Event(), []

        def check(answer):
            answers.append(answer.status)
            check_scores(predictions(answer), scores)

        def client(i):
            with daemon.connect() as connection:
                while not end.is_set():
                    check(connection.ask("POST", f"/classify?model={('one', 'two')[i % 2]}",
                                         body=data))

        def comer_and_goer():
            """A connection for each request; of the next one somebody leaves without the answer."""
            while not end.is_set():
                check(daemon.classify(data))
                with daemon.connect() as connection:
                    connection.send(wire.request("POST", "/classify", body=data))
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            running = [pool.submit(client, i) for i in range(4)]
            running += [pool.submit(comer_and_goer) for _ in range(2)]
            try:
                wait_until("traffic", lambda: len(answers) > 50)
                reload_often(daemon, lambda: len(answers))
            finally:
                end.set()
            for future in running:
                future.result()
        assert set(answers) == {200}, set(answers)
        assert ROUNDS <= count(daemon, "ok") <= SIGHUPS and count(daemon, "failed") == 0
        daemon.reload()


@case(own=None, seconds=120)
def requests_of_every_kind_end_on_the_models_they_began_with():
    """Each reload swaps the two models' precision under the clients' feet."""
    data, _ = reference()
    image = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [4],
                                    "data": [base64.b64encode(data).decode()] * 4}]}).encode()
    forms = [("/embed", data), ("/explain?class=cat", data), ("/explain?format=json", data),
             ("/v2/models/one/infer", image)]

    def configured(precision):
        return ("models = { one = { path = \"%s\"; precision = \"%s\"; }; };\n"
                % (harness.MODEL, precision))
    with start(configured("f32"), "--workers", "2") as daemon:
        end, answers = threading.Event(), []

        def client(target, body):
            seen = set()
            with daemon.connect() as connection:
                while not end.is_set():
                    answer = connection.ask("POST", target, body=body)
                    answers.append(answer.status)
                    seen.add(answer.body)
            return seen
        with concurrent.futures.ThreadPoolExecutor(len(forms)) as pool:
            running = [pool.submit(client, *form) for form in forms]
            wait_until("traffic", lambda: len(answers) > 20)
            for i in range(ROUNDS):
                daemon.configure(configured(("int8", "f32")[i % 2]))
                daemon.reload()
                enough = len(answers) + 8
                wait_until("traffic", lambda: len(answers) > enough)
            end.set()
            seen = [future.result() for future in running]
        assert set(answers) == {200}, set(answers)
        assert [len(bodies) for bodies in seen] == [2] * len(forms), [len(bodies) for bodies in seen]
        daemon.recovered()


@case(own=None)
def models_come_and_go():
    data, scores = reference()
    other = folders.make("other")
    with start(models_config(one=harness.MODEL)) as daemon:
        assert names(daemon) == ["one"]
        daemon.configure(models_config(two=other, one=harness.MODEL))
        daemon.reload()
        assert names(daemon) == ["two", "one"]
        for name in ("one", "two"):
            check_scores(predictions(daemon.classify(data, query=f"?model={name}")), scores)
        assert json.loads(daemon.classify(data).body)["model"] == "two"
        daemon.configure(models_config(two=other))
        daemon.reload()
        check_error(daemon.classify(data, query="?model=one"), 404, "model_unknown")
        metrics = daemon.metrics()
        assert metrics.sum("resnextd_images_total", model="one") >= 1
        assert [m["model"] for m in metrics.labels("resnextd_model_info")] == ["two"]


def unchanged_after(daemon, words, change, undo):
    """A reload of a change that must fail leaves everything as it was."""
    data, scores = reference()
    failed, before = count(daemon, "failed"), names(daemon)
    change()
    log = len(daemon.log())
    said = daemon.reload()
    assert "READY=1" in said, said
    assert count(daemon, "failed") == failed + 1
    assert names(daemon) == before
    check_scores(predictions(daemon.classify(data)), scores)
    line, = [line for line in daemon.log()[log:].splitlines() if "the reload failed" in line]
    for word in words:
        assert word in line, (word, line)
    undo()


@case(own=None, seconds=60)
def row_61_a_broken_configuration_changes_nothing():
    good = models_config(one=harness.MODEL)
    with start(good) as daemon:
        line = good.count("\n") + 1
        for text, words in (("workers = ;", [f"{daemon.config_path}:1"]),
                            (good + "wrokers = 3;\n", [f"{daemon.config_path}:{line}", "workers"]),
                            (good + 'workers = "two";\n', [f"{daemon.config_path}:{line}", "workers"]),
                            (good + "queue_limit = 99999999;\n",
                             [f"{daemon.config_path}:{line}", "queue_limit"]),
                            (good + good, [f"{daemon.config_path}:{line}", "duplicate"]),
                            ("", [daemon.config_path, "is gone or empty"]),
                            ("# " + good.replace("\n", "\n# "), ["is gone or empty"])):
            unchanged_after(daemon, words, lambda text=text: daemon.configure(text),
                            lambda: daemon.configure(good))
        daemon.reload()


@case(own=None)
def half_of_tls_changes_nothing():
    good = models_config(one=harness.MODEL)
    with start(good) as daemon:
        unchanged_after(daemon, ["tls_key"], lambda: daemon.configure(good + 'tls_cert = "/nothing";\n'),
                        lambda: daemon.configure(good))


@case(own=None)
def options_that_need_a_restart_are_named():
    good = models_config(one=harness.MODEL)
    with start(good, "--http-threads", "1") as daemon:
        daemon.configure(good + "http_threads = 3;\nmax_connections = 77;\ntop_k = 2;\n")
        daemon.reload()
        log = daemon.log()
        assert "max_connections has changed, which takes effect only at a restart" in log, log
        assert "http_threads has changed" not in log, "the command line counts more"
        assert "top_k has changed" not in log
        assert len(predictions(daemon.classify(reference()[0]))) == 2


@case(own=None, seconds=40)
def the_answer_names_what_needs_a_restart():
    def left():
        answer = harness.ask(admin, "POST", "/admin/reload")
        assert answer.status == 200, answer
        return json.loads(answer.body)["restart_needed"]

    good = models_config(one=harness.MODEL)
    admin, daemon = admin_daemon(good)
    with daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        daemon.configure(good + "top_k = 2;\n")
        assert left() == []
        daemon.configure(good + 'max_connections = 77;\nhttp_threads = 2;\ntls_cert = "/a";\ntls_key = "/b";\n')
        for _ in range(2):  # until the restart
            assert left() == ["http_threads", "max_connections", "tls_cert", "tls_key"]
        assert "tls_cert is set now, which takes effect only at a restart" in daemon.log(), daemon.log()
        daemon.configure(good)
        assert left() == []


def sizes(daemon):
    metrics = daemon.metrics()
    return tuple(metrics.sum(f"resnextd_{name}") for name in ("workers", "queue_limit", "body_limit_bytes"))


@case(own=None)
def workers_and_queue_limit_change_at_a_reload():
    good = models_config(one=harness.MODEL) + "max_body_bytes = 1024;\n"
    with start(good + "workers = 1;\n") as daemon:
        for text, want in (("workers = 3;\n", (3, 24)), ("workers = 2;\nqueue_limit = 5;\n", (2, 5)),
                           ("workers = 4;\n", (4, 32)), ("workers = 1;\n", (1, 8))):
            before = sizes(daemon)[0]
            daemon.configure(good + text)
            daemon.reload()
            assert sizes(daemon) == (*want, sum(want) * 1024), (text, sizes(daemon))
            assert f"{want[0]} workers now, {before:.0f} before" in daemon.log(), daemon.log()
        assert "only at a restart" not in daemon.log(), daemon.log()


@contextlib.contextmanager
def classifying(daemon, clients=4):
    """Traffic whose answers are all right; how many there were so far."""
    data, scores = reference()
    end, answers = threading.Event(), []

    def client():
        with daemon.connect() as connection:
            while not end.is_set():
                answer = connection.ask("POST", "/classify", body=data)
                assert answer.status == 200, answer
                check_scores(predictions(answer), scores)
                answers.append(None)
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client) for _ in range(clients)]
        try:
            yield lambda: len(answers)
        finally:
            end.set()
        for future in running:
            future.result()


@case(own=None, seconds=120)
def workers_follow_the_cpus_at_every_reload():
    """Fewer and more by turns, under load: no request fails, and nothing is left behind."""
    two = sorted(os.sched_getaffinity(0))[:2]
    if len(two) < 2:
        raise harness.Skip("one CPU cannot become fewer")
    with start(models_config(one=harness.MODEL), wrap=["taskset", "-c", ",".join(map(str, two))]) as daemon:
        assert sizes(daemon)[:2] == (2, 16)
        with classifying(daemon) as answered:
            for i in range(ROUNDS):
                count_now = 1 + i % 2
                os.sched_setaffinity(daemon.pid, two[:count_now])
                daemon.reload()
                assert sizes(daemon)[:2] == (count_now, 8 * count_now), sizes(daemon)
                enough = answered() + 10
                wait_until("traffic goes on", lambda: answered() > enough)
        assert count(daemon, "ok") == ROUNDS
        daemon.recovered()


@case(own=None, seconds=60)
def more_workers_of_which_one_cannot_start_change_nothing():
    good = models_config(one=harness.MODEL)
    with Interposer() as watched:
        with start(good + "workers = 1;\n", env=watched.environment) as daemon:
            for number, name in ((1, "worker/1"), (2, "worker/2")):
                before = sizes(daemon)

                def change(number=number):
                    daemon.configure(good + "workers = 3;\n")
                    watched.fail("thread", number)
                unchanged_after(daemon, ["thread", name], change, lambda: watched.fail("thread", 0))
                assert sizes(daemon) == before, sizes(daemon)
            daemon.reload()
            assert sizes(daemon)[:2] == (3, 24)
            daemon.good()
            daemon.stop()
        watched.check_end()


@case(own=None)
def a_reload_does_not_take_the_keys_away():
    good = models_config(one=harness.MODEL)
    keys = harness.write("reload.keys", hashlib.sha256(b"0123456789abcdef-key").hexdigest() + "\n")
    os.chmod(keys, 0o600)
    guarded = good + f'api_keys = "{keys}";\n'
    with start(guarded, wait=False) as daemon:
        daemon.headers = [("X-API-Key", "0123456789abcdef-key")]
        daemon.wait_ready()
        for text, words in ((good, ["api_keys", "restart"]), (guarded.replace(keys, ""), ["api_keys"]),
                            ("", ["empty"])):
            unchanged_after(daemon, words, lambda text=text: daemon.configure(text),
                            lambda: daemon.configure(guarded))
            check_error(harness.ask(daemon.address, "POST", "/classify", body=reference()[0]), 401)
        os.rename(daemon.config_path, daemon.config_path + ".away")
        unchanged_after(daemon, [daemon.config_path], lambda: None, lambda: None)
        os.rename(daemon.config_path + ".away", daemon.config_path)
        daemon.reload()
        assert count(daemon, "ok") == 1


@case(own=None)
def options_of_a_reload_take_effect():
    data, _ = reference()
    good = models_config(one=harness.MODEL)
    with start(good) as daemon:
        daemon.configure(good + f"max_body_bytes = 1024;\nlog_format = \"json\";\nmax_pixels = 9;\n")
        daemon.reload()
        check_error(daemon.classify(b"x" * 1025), 413, "body_too_large")
        wait_until("a JSON line", lambda: daemon.log().splitlines()[-1].startswith("{"))
        daemon.configure(good + "max_pixels = 9;\nupload_timeout_ms = 300;\n")
        daemon.reload()
        check_error(daemon.classify(data), 422, "image_too_large")
        with daemon.connect() as slow:
            slow.send(b"POST /classify HTTP/1.1\r\nHost: x\r\n")
            assert slow.closed_within(10), "the old time limit holds"
        daemon.configure(good)
        daemon.reload()
        daemon.recovered()


def admin_daemon(text, *options):
    admin = harness.free_port()
    return admin, start(text, "--admin-listen", f"{admin[0]}:{admin[1]}", *options, wait=False)


@case(own=None, seconds=40)
def a_reload_can_be_asked_for_over_http():
    folder = folders.make("asked")
    admin, daemon = admin_daemon(models_config(one=folder))
    with daemon, contextlib.ExitStack() as stack:
        assert daemon.notified(10 * SLOW), daemon.log()
        stack.enter_context(daemon.reading_notifications())
        answer = harness.ask(admin, "POST", "/admin/reload")
        assert answer.status == 200 and json.loads(answer.body)["models"] == ["one"], answer
        assert harness.ask(admin, "GET", "/admin/reload").status == 405
        for origin in ("https://evil.example", "null"):
            with wire.Connection(admin, 30) as page:
                check_error(page.ask("POST", "/admin/reload", [("Origin", origin)]), 403, "forbidden")
        check_error(daemon.ask("POST", "/admin/reload"), 404, "not_found")
        os.rename(os.path.join(folder, "config.json"), os.path.join(folder, "away.json"))
        failure = check_error(harness.ask(admin, "POST", "/admin/reload"), 500)
        assert "config.json" in failure["message"], failure
        daemon.good()
        os.rename(os.path.join(folder, "away.json"), os.path.join(folder, "config.json"))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            many = list(pool.map(lambda _: harness.ask(admin, "POST", "/admin/reload"), range(8)))
        assert [a.status for a in many] == [200] * 8, many
        with wire.Connection(admin, 30) as gone:  # who does not wait for the answer does no harm
            gone.send(wire.request("POST", "/admin/reload"))
        assert harness.ask(admin, "POST", "/admin/reload").status == 200


@case(own=None, seconds=40)
def a_request_goes_on_with_the_model_it_began_with():
    import jpegs
    body = wire.multipart([("f", f"{i}.jpg", None, jpegs.slow(harness.MEGAPIXELS))
                           for i in range(3)])
    with start(models_config(old=folders.make("old")), "--workers", "1", "--request-timeout-ms",
               "300000") as daemon:
        with daemon.connect(60) as running:
            running.send(wire.request("POST", "/classify", [wire.form_type()], body))
            wait_until("the worker busy",
                       lambda: daemon.metrics().sum("resnextd_workers_busy") == 1)
            shutil.rmtree(path("old"))
            daemon.configure(models_config(new=harness.MODEL))
            daemon.reload()
            assert names(daemon) == ["new"]
            answer = running.read()
            assert answer.status == 200 and json.loads(answer.body)["model"] == "old", answer
        daemon.recovered()


@case(own=None, seconds=40)
def who_shuts_down_loads_no_models():
    admin, daemon = admin_daemon(models_config(one=harness.MODEL), "--drain-grace-ms",
                                 str(int(3000 * max(1, SLOW / 4))))
    with daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        loads = daemon.log().count("model loaded")
        daemon.process.send_signal(harness.signal.SIGTERM)
        wait_until("draining", lambda: daemon.get("/readyz").status == 503)
        check_error(harness.ask(admin, "POST", "/admin/reload"), 503, "draining")
        assert daemon.log().count("model loaded") == loads, daemon.log()
        daemon.stop()


@case(own=None, seconds=40)
def a_stop_during_reloads_ends_with_0():
    for delay in (0, 0.003, 0.01, 0.02):
        with start(models_config(one=harness.MODEL)) as daemon:
            for _ in range(3):
                daemon.process.send_signal(harness.signal.SIGHUP)
                time.sleep(delay)
            daemon.stop()


if __name__ == "__main__":
    harness.main()
