#!/usr/bin/python3 -B
"""POST /classify as a client sees it: forms of upload, parameters, the answer's shape and values."""
import concurrent.futures
import json
import os
import re
import tarfile

import harness
import jpegs
import wire
from harness import case, check_error, check_scores, predictions, reference

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
STAGES = ["queue", "decode", "preprocess", "inference", "total"]


def check_predictions(found, count):
    assert len(found) == count, found
    for p in found:
        assert list(p) == ["class_id", "label", "score"], p
        assert type(p["class_id"]) is int and p["label"] == LABELS[p["class_id"]], p
        assert type(p["score"]) is float and 0 <= p["score"] <= 1, p
    scores = [p["score"] for p in found]
    assert scores == sorted(scores, reverse=True), found
    assert len({p["class_id"] for p in found}) == count, found


def check_answer(answer, data, count=5):
    """A whole answer for one picture; returns it decoded."""
    assert answer.status == 200, answer
    assert answer.header("content-type").startswith("application/json"), answer
    body = json.loads(answer.body)
    assert list(body) == ["model", "request_id", "predictions", "image", "timing_ms"], list(body)
    assert body["model"] == harness.MODEL_NAME, body
    assert body["request_id"] == answer.header("x-request-id"), answer
    check_predictions(body["predictions"], count)
    assert list(body["image"].items()) == list(zip(("width", "height"), jpegs.size(data))), body
    assert list(body["timing_ms"]) == STAGES, body
    times = [float(body["timing_ms"][stage]) for stage in STAGES]
    assert all(t >= 0 for t in times) and sum(times[:-1]) <= times[-1] * 1.01 + 1, body
    assert body["timing_ms"]["inference"] > 0 and body["timing_ms"]["decode"] > 0, body
    return body


@case()
def a_raw_body_is_classified(daemon):
    data, scores = reference()
    body = check_answer(daemon.classify(data, [("Content-Type", "image/jpeg")]), data)
    check_scores(body["predictions"], scores)


@case()
def the_bytes_decide_and_not_the_content_type(daemon):
    data, scores = reference()
    for kind in ("application/octet-stream", "text/plain", "application/x-www-form-urlencoded",
                 "image/png", "nonsense", "application/json; charset=utf-8"):
        body = check_answer(daemon.classify(data, [("Content-Type", kind)]), data)
        check_scores(body["predictions"], scores)
    check_answer(daemon.classify(data), data)


@case()
def what_curl_makes_a_form_of_is_told_how_to_send_it(daemon):
    data = reference()[0]
    mangled = data.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    form = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    for path in ("/classify", "/embed", "/explain"):
        for body, status, code in ((mangled, 422, "image_undecodable"), (b"a=b", 415, "not_jpeg")):
            message = check_error(daemon.ask("POST", path, form, body), status, code)["message"]
            assert message.count("--data-binary") == 1, message
        message = check_error(daemon.ask("POST", path, body=b"a=b"), 415, "not_jpeg")["message"]
        assert "curl" not in message, message
    check_error(daemon.ask("POST", "/classify", form, b""), 400, "body_empty")


@case()
def a_chunked_body_is_classified(daemon):
    data, scores = reference()
    head = wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")])
    for size in (1, 7, 4096, len(data)):
        answer = daemon.send_raw(head + wire.chunked(data, size))
        check_scores(check_answer(answer, data)["predictions"], scores)
    extended = b"%X;name=value\r\n%s\r\n0;last\r\n\r\n" % (len(data), data)
    answer = daemon.send_raw(head + extended)
    if not harness.is_refused_by_library(answer, b"HTTP chunked encoding is syntactically incorrect"):
        check_answer(answer, data)


@case()
def a_body_in_single_bytes_is_classified(daemon):
    data, scores = reference()
    with daemon.connect() as connection:
        for byte in wire.request("POST", "/classify", body=data):
            connection.send(bytes([byte]))
        check_scores(check_answer(connection.read(), data)["predictions"], scores)


@case()
def one_file_part_answers_like_a_raw_body(daemon):
    data, scores = reference()
    body = wire.multipart([("file", "cat.jpg", "image/jpeg", data)])
    check_scores(check_answer(daemon.classify(body, [wire.form_type()]), data)["predictions"], scores)


@case()
def a_text_field_beside_the_file_is_no_picture(daemon):
    data, _ = reference()
    body = wire.multipart([("comment", None, None, b"hello"), ("file", "a.jpg", None, data)])
    check_answer(daemon.classify(body, [wire.form_type()]), data)


@case()
def several_parts_answer_in_order(daemon):
    rows = [r for r in harness.goldens() if r["model"].endswith(harness.MODEL_NAME)][:6]
    parts = [("f", f"p{i} ü.jpg", "image/jpeg", harness.picture(r["picture"]))
             for i, r in enumerate(rows)]
    answer = daemon.classify(wire.multipart(parts), [wire.form_type()])
    assert answer.status == 200, answer
    body = json.loads(answer.body)
    assert body["model"] == harness.MODEL_NAME and body["request_id"], body
    assert [r["part"] for r in body["results"]] == [p[1] for p in parts], body
    for row, result in zip(rows, body["results"]):
        assert "error" not in result, result
        check_predictions(result["predictions"], 5)
        check_scores(result["predictions"], harness.softmax(row["logits"]))


@case()
def a_part_without_a_file_name_goes_by_its_field(daemon):
    data, _ = reference()
    body = wire.multipart([("left", None, "image/jpeg", data), ("right", "r.jpg", None, data)])
    answer = daemon.classify(body, [wire.form_type()])
    assert [r["part"] for r in json.loads(answer.body)["results"]] == ["left", "r.jpg"], answer


@case()
def top_k_chooses_how_many(daemon):
    data, scores = reference()
    for k in (1, 2, 10):
        body = check_answer(daemon.classify(data, query=f"?top_k={k}"), data, k)
        check_scores(body["predictions"], scores)
    total = sum(p["score"] for p in body["predictions"])
    assert abs(total - 1) < 1e-4, f"all ten scores sum to {total}"
    for k in (11, 1000, 1000000):  # at most so many
        check_answer(daemon.classify(data, query=f"?top_k={k}"), data, 10)
    check_answer(daemon.classify(data, query="?top%5Fk=%33"), data, 3)
    check_answer(daemon.classify(data, query=f"?model={harness.MODEL_NAME}&top_k=4"), data, 4)
    for k in ("0", "1000001", "-1", "x", "", "1.0", "1e0", "0x1", "1 ", "%001", "99999999999999999999"):
        answer = daemon.classify(data, query=f"?top_k={k.replace(' ', '%20')}")
        check_error(answer, 400, "parameter_invalid")


@case(["--top-k", "3"])
def the_configured_top_k_is_the_default(daemon):
    data, _ = reference()
    check_answer(daemon.classify(data), data, 3)
    check_answer(daemon.classify(data, query="?top_k=6"), data, 6)


@case(["--top-k", "1000"])
def the_default_is_capped_by_the_classes(daemon):
    data, _ = reference()
    check_answer(daemon.classify(data), data, 10)


@case()
def request_ids_are_kept_if_sane(daemon):
    data, _ = reference()
    for sane in ("a", "7f3b-22.A_z", "0" * 64):
        answer = daemon.classify(data, [("X-Request-Id", sane)])
        assert check_answer(answer, data)["request_id"] == sane, answer
        assert check_error_id(daemon, sane) == sane
        assert daemon.ask("GET", "/livez", [("X-Request-Id", sane)]).header("x-request-id") == sane
    for bad in ("", "a b", "0" * 5000, 'x"y', "é", "<script>", "a\tb", "{}"):
        answer = daemon.classify(data, [("X-Request-Id", bad)])
        made = check_answer(answer, data)["request_id"]
        assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", made) and made != bad, made


def check_error_id(daemon, sane):
    answer = daemon.classify(b"not a picture", [("X-Request-Id", sane)])
    check_error(answer, 415, "not_jpeg")
    return answer.header("x-request-id")


@case()
def made_request_ids_differ(daemon):
    ids = {daemon.get(t).header("x-request-id")
           for t in ("/livez", "/readyz", "/health", "/metrics", "/models", "/nothing") * 5}
    assert len(ids) == 30 and None not in ids, ids


@case()
def every_golden_picture_gets_its_scores(daemon):
    rows = [r for r in harness.goldens() if r["model"].endswith(harness.MODEL_NAME)]
    assert len(rows) >= 10
    with daemon.connect() as connection:
        for row in rows:
            data = harness.picture(row["picture"])
            body = check_answer(connection.ask("POST", "/classify?top_k=10", body=data), data, 10)
            check_scores(body["predictions"], harness.softmax(row["logits"]))
            assert body["predictions"][0]["class_id"] == row["top1"], row["picture"]


@case(own=None)
def several_models_are_told_apart():
    folders = sorted({r["model"] for r in harness.goldens()})
    entries = ""
    for i, folder in enumerate(folders):
        where, default = os.path.join(harness.DATA, folder), "true" if i == 1 else "false"
        entries += f'  m{i} = {{ path = "{where}"; default = {default}; }};\n'
    config = f"models = {{\n{entries}}};\n"
    assert len(folders) >= 2
    with harness.Daemon(model=False, config=config, wait=False) as daemon:
        assert daemon.notified(20 * harness.SLOW), daemon.log()
        for row in harness.goldens():
            name = f"m{folders.index(row['model'])}"
            answer = daemon.classify(harness.picture(row["picture"]), query=f"?model={name}&top_k=10")
            assert answer.status == 200 and json.loads(answer.body)["model"] == name, answer
            check_scores(predictions(answer), harness.softmax(row["logits"]))
        answer = daemon.classify(reference()[0])
        assert json.loads(answer.body)["model"] == "m1", answer
        listed = json.loads(daemon.get("/models").body)
        assert len(listed["models"]) == len(folders), listed


@case()
def row_27_an_unknown_model_is_404(daemon):
    data, _ = reference()
    for name in ("nope", "", "..", "%00", harness.MODEL_NAME + "x", "a" * 3000):
        check_error(daemon.classify(data, query=f"?model={name}"), 404, "model_unknown")


@case()
def pictures_in_parallel_are_not_mixed_up(daemon):
    rows = [r for r in harness.goldens() if r["model"].endswith(harness.MODEL_NAME)] * 6

    def one(row):
        answer = daemon.classify(harness.picture(row["picture"]))
        assert answer.status == 200, answer
        check_scores(predictions(answer), harness.softmax(row["logits"]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, rows))


@case(seconds=60)
def all_of_cifar10_dev_as_the_reference_says(daemon):
    data = os.path.join(harness.SHARED, "data")
    if not os.path.exists(os.path.join(data, "cifar10_dev.tar")):
        raise harness.Skip("no ../shared/data/cifar10_dev.tar")
    with open(os.path.join(data, "cifar10_dev_expected.json")) as file:
        expected = json.load(file)["predicted"]
    assert len(expected) == 1000
    wrong = []
    with tarfile.open(os.path.join(data, "cifar10_dev.tar")) as tar, daemon.connect() as connection:
        for name, want in harness.sample(list(expected.items())):
            picture = tar.extractfile("cifar10_dev/" + name).read()
            answer = connection.ask("POST", "/classify?top_k=1", body=picture)
            if answer.status != 200 or predictions(answer)[0]["class_id"] != want:
                wrong.append((name, want, answer))
    assert not wrong, f"{len(wrong)} differ: {wrong[:3]}"


@case()
def models_and_health_describe_the_service(daemon):
    body = json.loads(daemon.get("/models").body)
    model, = body["models"]
    assert model["name"] == harness.MODEL_NAME and model["classes"] == 10, model
    assert model["precision"] == "f32" and re.fullmatch(r"[0-9a-f]{64}", model["sha256"]), model
    assert model["kernels"]["grouped"].startswith("OpenBLAS ") and model["kernels"]["dense"], model
    assert "kernels=\"dense {dense}, grouped {grouped}\"".format(**model["kernels"]) in daemon.log()
    assert "resnext29" in model["template"] and model["state"], model
    import hashlib
    with open(os.path.join(harness.MODEL, "model.safetensors"), "rb") as file:
        assert model["sha256"] == hashlib.sha256(file.read()).hexdigest(), model
    health = json.loads(daemon.get("/health").body)
    assert {"models", "queue", "workers"} <= set(health), health


@case(own=None)
def int8_answers_as_float32_does_and_says_that_it_is_int8():
    with harness.Daemon(options=["--precision", "int8"]) as daemon:
        model, = json.loads(daemon.get("/models").body)["models"]
        assert model["precision"] == "int8", model
        model, = daemon.metrics().labels("resnextd_model_info")
        assert "int8" in model.values(), model
        rows = [r for r in harness.goldens() if r["model"].endswith(harness.MODEL_NAME)]
        off = []
        for row in rows:
            scores = harness.softmax(row["logits"])
            answer = daemon.classify(harness.picture(row["picture"]), query="?top_k=10")
            assert answer.status == 200, answer
            off += [abs(p["score"] - scores[p["class_id"]]) for p in predictions(answer)]
        assert max(off) < 0.25 and 1e-6 < sum(off) / len(off) < 0.01, (max(off), sum(off))


@case(own=None)
def a_model_may_have_a_precision_of_its_own():
    config = "".join(f'{name} = {{ path = "{harness.MODEL}"{more}; }};\n' for name, more in
                     (("a", ""), ("b", '; precision = "f32"'), ("c", '; precision = "int8"')))
    with harness.Daemon(model=False, config=f"models = {{\n{config}}};\n",
                        options=["--precision", "bf16"]) as daemon:
        models = json.loads(daemon.get("/models").body)["models"]
        assert [m["precision"] for m in models] == ["bf16", "f32", "int8"], models


@case()
def head_answers_like_get_without_a_body(daemon):
    with daemon.connect() as connection:
        for target in ("/livez", "/readyz", "/health", "/metrics", "/models"):
            got, head = connection.ask("GET", target), connection.ask("HEAD", target)
            assert got.status == head.status == 200 and not head.body, (target, got, head)
            assert got.header("content-type") == head.header("content-type"), target
            assert int(head.header("content-length")) > 0, head


if __name__ == "__main__":
    harness.main()
