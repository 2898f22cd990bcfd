#!/usr/bin/python3 -B
"""Large answers: how much one request may ask for, that they share one bounded memory with uploads, and
that they cost the threads that speak HTTP nothing."""
import base64
import contextlib
import functools
import json
import struct
import subprocess
import time

import harness
import wire
from harness import Daemon, case, check_error, check_scores, predictions, reference, wait_until

CLASSES, MOST, SMALL = 21841, 1 << 17, 1 << 16
PARTS = MOST // CLASSES  # as many as may ask for all classes


@functools.cache
def large_model():
    """A network of many classes that takes next to no time."""
    folder = harness.path("large")
    subprocess.run([harness.TOOL, "init", "--classes", str(CLASSES),
                    "blocks=1:C=4:d=4:stem=cifar:stem_width=8:out=16", folder], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


@contextlib.contextmanager
def serving(*options):
    """A daemon with the large model beside the default one."""
    with Daemon(["--model", f"large={large_model()}", "--workers", "1",
                 "--request-timeout-ms", "60000", *options]) as daemon:
        yield daemon


def form(parts):
    data, _ = reference()
    return wire.multipart([("a", str(i), None, data) for i in range(parts)])


def all_classes(parts):
    """The bytes of a request for every class of every part."""
    return wire.request("POST", f"/classify?model=large&top_k={CLASSES}", [wire.form_type()], form(parts))


def body_bytes(daemon):
    return daemon.metrics().sum("resnextd_body_bytes")


@case(own=None)
def predictions_are_bounded_before_any_work():
    with serving() as daemon:
        images = daemon.metrics().sum("resnextd_images_total")
        for parts in (PARTS + 1, 16):
            with daemon.connect() as connection:
                connection.send(all_classes(parts))
                answer = connection.read()
            check_error(answer, 400, "parameter_invalid")
            message = json.loads(answer.body)["error"]["message"]
            assert str(MOST) in message and str(parts) in message, message
        data, _ = reference()
        head = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [PARTS + 1],
                                       "parameters": {"binary_data_size": (PARTS + 1) * (4 + len(data))}}],
                           "outputs": [{"name": "logits", "parameters": {"classification": CLASSES}}]}).encode()
        refused = daemon.ask("POST", "/v2/models/large/infer",
                             [("Inference-Header-Content-Length", str(len(head)))],
                             head + (PARTS + 1) * (struct.pack("<I", len(data)) + data))
        assert refused.status == 400 and str(MOST) in json.loads(refused.body)["error"], refused
        assert daemon.metrics().sum("resnextd_images_total") == images
        with daemon.connect(60) as connection:
            connection.send(all_classes(PARTS))
            results = json.loads(connection.read().body)["results"]
        assert [len(r["predictions"]) for r in results] == PARTS * [CLASSES]


def infer_one_class(daemon, images):
    """Asks for the likeliest class of each of so many images, which takes the scores of all classes."""
    text = base64.b64encode(reference()[0]).decode()
    return daemon.ask("POST", "/v2/models/large/infer", body=json.dumps({
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [images], "data": images * [text]}],
        "outputs": [{"name": "logits", "parameters": {"classification": 1}}]}).encode())


@case(own=None, seconds=60)
def results_take_their_part_of_the_memory():
    images, a_score = 64, 8
    with serving("--max-body-bytes", str(1 << 20), "--queue-limit", "1", "--max-parts", str(images)) as daemon:
        assert images * CLASSES * a_score > 5 * (2 << 20)
        assert infer_one_class(daemon, 1).status == 200
        daemon.reset_peak()
        resident = daemon.resources()["rss"]
        refused = infer_one_class(daemon, images)
        assert refused.status == 503 and b"max_body_bytes" in refused.body, refused
        assert harness.SANITIZER or daemon.peak() - resident < 4 << 20, daemon.peak() - resident
        assert daemon.metrics().sum("resnextd_rejected_total", reason="overloaded") == 1
        assert infer_one_class(daemon, 4).status == 200


@case(own=None, seconds=120)
def row_76_large_answers_that_nobody_reads_cost_bounded_memory_and_no_time():
    clients, budget = 300, (8 + 1) * (4 << 20)
    with serving("--max-body-bytes", str(4 << 20), "--queue-limit", "8") as daemon:
        requests = [all_classes(16), all_classes(PARTS)]
        before = daemon.resources()["rss"]
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(daemon.connect(60, receive_buffer=4096)) for _ in range(clients)]
            for i, connection in enumerate(silent):
                connection.send(requests[i % 2])
            wait_until("a large answer", lambda: body_bytes(daemon) > 8 << 20, 60)
            fastest = min(timed(daemon, "/livez") for _ in range(20))
            wait_until("all answered", lambda: daemon.metrics().sum("resnextd_queue_depth") == 0
                       and daemon.metrics().sum("resnextd_workers_busy") == 0, 60)
            metrics = daemon.metrics()
            small = clients * (64 << 10)
            assert metrics.sum("resnextd_body_limit_bytes") == budget
            held = metrics.sum("resnextd_body_bytes")
            assert held <= budget + small, held
            grown = daemon.resources()["rss"] - before
            # Beside the bodies: what connections take.
            assert harness.SANITIZER or grown < budget + small + (64 << 20), grown
            assert fastest < 0.1 * harness.SLOW, fastest
        wait_until("all memory given back", lambda: body_bytes(daemon) < 1 << 20, 30)


def timed(daemon, target):
    begin = time.monotonic()
    assert daemon.get(target).status == 200
    return time.monotonic() - begin


@case(own=None, seconds=120)
def row_87_without_room_for_a_body_it_is_not_ready():
    """Small ones have space at all times."""
    def chunked(body):
        return wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")]) + wire.chunked(body, 65536)
    data, scores = reference()
    with serving("--max-body-bytes", str(6 << 20), "--queue-limit", "1", *harness.UPLOADS_MAY_STALL) as daemon:
        assert daemon.get("/readyz").status == 200
        limit = daemon.metrics().sum("resnextd_body_limit_bytes")
        assert limit == 12 << 20
        body = data + bytes((6 << 20) - len(data))
        head = wire.raw(["POST /classify HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"])
        with daemon.connect(60) as first, daemon.connect(60) as second:
            for connection in (first, second):
                connection.send(head + body[:-1])
            wait_until("the memory full", lambda: body_bytes(daemon) >= limit)
            for target in ("/readyz", "/health", "/v2/health/ready"):
                answer = daemon.get(target)
                assert answer.status == 503, (target, answer)
            answer = daemon.get("/readyz")
            check_error(answer, 503, "overloaded")
            assert "max_body_bytes" in json.loads(answer.body)["error"]["message"], answer
            assert daemon.get("/livez").status == 200
            check_error(daemon.classify(data + bytes(SMALL + 1 - len(data))), 503, "overloaded")
            for small in (data, data + bytes(SMALL - len(data))):
                check_scores(predictions(daemon.classify(small)), scores)
            check_scores(predictions(daemon.send_raw(chunked(data))), scores)
            check_error(daemon.send_raw(chunked(data + bytes(SMALL))), 503, "overloaded")
        wait_until("ready again", lambda: daemon.get("/readyz").status == 200)
        wait_until("space again", lambda: body_bytes(daemon) < 1 << 16)


@case(own=None, seconds=120)
def an_answer_beyond_the_memory_is_refused_and_an_upload_goes_with_its_work():
    with serving("--max-body-bytes", str(1 << 20), "--queue-limit", "1") as daemon:
        rejected = daemon.metrics().sum("resnextd_rejected_total", reason="overloaded")
        with daemon.connect(60) as connection:
            connection.send(all_classes(PARTS))
            check_error(connection.read(), 503, "overloaded")
            assert daemon.metrics().sum("resnextd_rejected_total", reason="overloaded") == rejected + 1
            data, _ = reference()
            answer = connection.ask("POST", "/classify", body=data + bytes((1 << 20) - len(data)))
            assert answer.status == 200, answer
            # The connection is still there, its upload is not.
            wait_until("the upload is gone", lambda: body_bytes(daemon) < 1 << 16)


if __name__ == "__main__":
    harness.main()
