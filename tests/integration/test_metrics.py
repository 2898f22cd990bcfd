#!/usr/bin/python3 -B
"""GET /metrics: every family is there, well-formed, and right after known traffic."""
import concurrent.futures
import math
import os
import re
import shutil
import subprocess
import time

import harness
import wire
from harness import case, reference, wait_until

with open(os.path.join(harness.TOP, "src/serve/metrics.def")) as table:
    FAMILIES = {name: "gauge" if kind == "INFO" else type_ or kind.lower() for kind, name, type_ in re.findall(
        r'^(COUNTER|HISTOGRAM|GAUGE|INFO)\(\w+, "(\w+)"(?:, "(\w+)")?', table.read(), re.M)}
STAGES = {"queue", "decode", "preprocess", "inference", "encode"}


def text(daemon):
    answer = daemon.get("/metrics")
    assert answer.status == 200, answer
    return answer.body.decode()


def classified(metrics, **labels):
    """requests_total of /classify, however the endpoint is spelt."""
    return sum(metrics.sum("resnextd_requests_total", **{**have, **labels})
               for have in metrics.labels("resnextd_requests_total")
               if have["endpoint"].strip("/") == "classify"
               and all(have[k] == v for k, v in labels.items()))


def seen(metrics):
    """The labels of the request counters that are not 0."""
    return [dict(labels) for (name, labels), value in metrics.items()
            if name == "resnextd_requests_total" and value > 0]


@case()
def the_content_type_is_prometheus_text(daemon):
    kind = daemon.get("/metrics").header("content-type")
    assert re.match(r"text/plain; ?version=0\.0\.4(;|\Z)", kind), kind


@case()
def promtool_has_nothing_to_say(daemon):
    if not shutil.which("promtool"):
        raise harness.Skip("no promtool")
    daemon.classify(b"x")
    done = subprocess.run(["promtool", "check", "metrics"], input=text(daemon), text=True,
                          capture_output=True, timeout=30 * harness.SLOW)
    assert done.returncode == 0 and not done.stdout + done.stderr, done


@case()
def every_family_is_there_with_type_and_help(daemon):
    metrics = daemon.metrics()
    assert len(FAMILIES) > 20, FAMILIES
    for name, kind in FAMILIES.items():
        assert metrics.types.get(name) == kind, f"{name} is {metrics.types.get(name)}"
        assert len(metrics.helps.get(name, "")) > 10, name
    for (name, _), value in metrics.items():
        family = re.sub(r"_(bucket|sum|count)\Z", "", name)
        assert name in metrics.types or family in metrics.types, name
        assert not math.isnan(value), name


@case()
def requests_are_counted_by_endpoint_model_and_code(daemon):
    data, _ = reference()
    before = daemon.metrics()
    for _ in range(7):
        assert daemon.classify(data).status == 200
    for _ in range(3):
        daemon.classify(b"not a picture")
    for _ in range(2):
        daemon.classify(data, query="?top_k=0")
    daemon.classify(data, query="?model=nobody")
    after = daemon.metrics()

    def grown(code):
        return classified(after, code=code) - classified(before, code=code)
    assert [grown(c) for c in ("200", "415", "400", "404")] == [7, 3, 2, 1], after
    good = {labels["model"] for labels in seen(after) if labels["code"] == "200"
            and labels["endpoint"].strip("/") == "classify"}
    assert good == {harness.MODEL_NAME}, good
    assert all(set(labels) == {"endpoint", "model", "code"}
               for labels in after.labels("resnextd_requests_total"))
    images = after.sum("resnextd_images_total", model=harness.MODEL_NAME)
    assert images - before.sum("resnextd_images_total") == 7, after


@case()
def each_part_is_an_image_and_each_form_a_request(daemon):
    data, _ = reference()
    before = daemon.metrics()
    parts = [("f", f"{i}.jpg", None, data) for i in range(5)] + [("f", "bad.jpg", None, b"bad")]
    assert daemon.classify(wire.multipart(parts), [wire.form_type()]).status == 200
    after = daemon.metrics()
    assert classified(after) - classified(before) == 1
    assert after.sum("resnextd_images_total") - before.sum("resnextd_images_total") == 5


@case()
def what_a_client_makes_up_is_other(daemon):
    data, _ = reference()

    def make_up(i):
        daemon.get(f"/made-up-{i}")
        daemon.ask(f"METHOD{i}", "/livez")
        daemon.ask(f"METHOD{i}", f"/made-up-{i}")
        daemon.classify(data, query=f"?model=made-up-{i}")
    make_up(0)
    known = set(daemon.metrics())
    for i in range(1, 50):
        make_up(i)
    metrics = daemon.metrics()
    assert set(metrics) == known, set(metrics) - known
    assert "made-up" not in text(daemon) and "METHOD" not in text(daemon)
    others = [m for m in seen(metrics) if m["endpoint"] == "other"]
    assert others and {m["code"] for m in others} <= {"404", "405"}, others
    assert metrics.sum("resnextd_requests_total", endpoint="other") >= 100


@case()
def histograms_are_real(daemon):
    data, _ = reference()
    before = daemon.metrics()
    for _ in range(9):
        daemon.classify(data)
    metrics = daemon.metrics()
    stages = {labels["stage"] for labels in metrics.labels("resnextd_stage_duration_seconds_count")}
    assert stages == STAGES, stages
    for stage in STAGES:
        name = "resnextd_stage_duration_seconds"
        assert (metrics.sum(name + "_count", stage=stage)
                - before.sum(name + "_count", stage=stage)) == 9, stage
    for stage in ("decode", "inference"):
        assert metrics.sum("resnextd_stage_duration_seconds_sum", stage=stage) > 0, stage
    for name, kind in metrics.types.items():
        if kind == "histogram":
            check_histogram(metrics, name)


def check_histogram(metrics, name):
    series = {}
    for (sample, labels), value in metrics.items():
        if sample == name + "_bucket":
            rest = dict(labels)
            bound = float(rest.pop("le"))
            series.setdefault(frozenset(rest.items()), []).append((bound, value))
    assert series, name
    for labels, buckets in series.items():
        buckets.sort()
        counts = [count for _, count in buckets]
        assert counts == sorted(counts) and len(buckets) >= 8, (name, buckets)
        assert buckets[-1] == (math.inf, metrics[name + "_count", labels]), (name, buckets)
        finite = [b for b, _ in buckets[:-1]]
        assert finite[0] <= 0.005 and finite[-1] >= 5, f"{name}: bounds {finite}"
        assert metrics[name + "_sum", labels] >= 0


@case()
def upload_bytes_are_the_bodies(daemon):
    data, _ = reference()
    before = daemon.metrics().sum("resnextd_upload_bytes_total")
    daemon.classify(data)
    daemon.classify(bytes(100000))
    daemon.send_raw(wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")])
                    + wire.chunked(data, 100))
    grown = daemon.metrics().sum("resnextd_upload_bytes_total") - before
    assert grown == 2 * len(data) + 100000, grown


@case(["--workers", "3", "--queue-limit", "77"])
def settings_are_shown(daemon):
    metrics = daemon.metrics()
    assert metrics.sum("resnextd_workers") == 3
    assert metrics.sum("resnextd_queue_limit") == 77
    assert metrics.sum("resnextd_queue_depth") == 0
    wait_until("all workers idle", lambda: daemon.metrics().sum("resnextd_workers_busy") == 0)


@case()
def the_queue_limit_is_eight_for_each_worker(daemon):
    metrics = daemon.metrics()
    assert metrics.sum("resnextd_workers") >= 1
    assert metrics.sum("resnextd_queue_limit") == 8 * metrics.sum("resnextd_workers")


@case()
def model_and_build_are_named(daemon):
    metrics = daemon.metrics()
    model, = metrics.labels("resnextd_model_info")
    assert harness.MODEL_NAME in model.values() and "f32" in model.values(), model
    assert metrics.sum("resnextd_model_info") == 1 == metrics.sum("resnextd_build_info")
    _, version, _ = harness.run("--version")
    build, = metrics.labels("resnextd_build_info")
    assert any(value and value in version for value in build.values()), (build, version)
    loads = metrics.labels("resnextd_model_loads_total")
    assert all(set(labels) == {"model", "result"} for labels in loads), loads
    assert metrics.sum("resnextd_model_loads_total", model=harness.MODEL_NAME) == 1, loads


@case()
def the_process_is_described_as_the_kernel_sees_it(daemon):
    metrics, seen = daemon.metrics(), daemon.resources()
    assert abs(metrics.sum("process_open_fds") - seen["fds"]) <= 2
    assert abs(metrics.sum("process_resident_memory_bytes") - seen["rss"]) < 8 << 20
    assert metrics.sum("process_virtual_memory_bytes") >= seen["rss"]
    assert abs(metrics.sum("process_start_time_seconds") - time.time()) < 120 * harness.SLOW
    assert 0 < metrics.sum("process_cpu_seconds_total") <= daemon.cpu_seconds() + 0.1
    assert metrics.sum("process_max_fds") >= 64


@case(seconds=30)
def nothing_is_lost_under_concurrency(daemon):
    data, _ = reference()
    before = daemon.metrics()
    ok = []

    def client(_):
        with daemon.connect() as connection:
            for _ in range(20):
                ok.append(connection.ask("POST", "/classify", body=data).status)
                connection.ask("GET", "/livez")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    after = daemon.metrics()
    assert classified(after) - classified(before) == len(ok) == 160
    assert classified(after, code="200") - classified(before, code="200") == ok.count(200)
    total = "resnextd_requests_total"
    assert after.sum(total) - before.sum(total) >= 320
    assert (after.sum("resnextd_images_total") - before.sum("resnextd_images_total")
            == ok.count(200))


if __name__ == "__main__":
    harness.main()
