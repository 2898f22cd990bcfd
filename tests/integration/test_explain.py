#!/usr/bin/python3 -B
"""POST /explain and POST /embed as a client sees them: forms, parameters, values, errors."""
import json
import math
import os
import struct

import harness
import jpegs
import wire
from harness import case, check_error, reference

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MODEL, CHANNELS, GRID = harness.MODEL_NAME, 512, 8


def explain(daemon, data, query="", headers=()):
    return daemon.ask("POST", "/explain" + query, headers, data)


def embed(daemon, data, query="", headers=()):
    return daemon.ask("POST", "/embed" + query, headers, data)


def check_map(answer, class_id=None):
    """A JSON map; returns it decoded."""
    assert answer.status == 200 and answer.header("content-type") == "application/json", answer
    body = json.loads(answer.body)
    assert list(body) == ["model", "class_id", "label", "grid"], list(body)
    assert body["model"] == MODEL and body["label"] == LABELS[body["class_id"]], body
    assert class_id is None or body["class_id"] == class_id, body
    grid = body["grid"]
    assert list(grid) == ["rows", "cols", "values"], grid
    assert grid["rows"] == grid["cols"] == GRID and len(grid["values"]) == GRID * GRID, grid
    assert all(math.isfinite(v) for v in grid["values"]), grid
    return body


def rows_of_model():
    return [r for r in harness.goldens() if os.path.basename(r["model"]) == MODEL]


def logit_without_bias(daemon, data, class_id):
    values = check_map(explain(daemon, data, f"?format=json&class={class_id}"))["grid"]["values"]
    return sum(values) / len(values)


@case()
def the_top_class_is_explained_unless_one_is_named(daemon):
    for row in rows_of_model():
        data = harness.picture(row["picture"])
        top = check_map(explain(daemon, data, "?format=json"), row["top1"])
        named = check_map(explain(daemon, data, f"?format=json&class={row['top1']}"), row["top1"])
        assert check_map(explain(daemon, data, f"?format=json&class_id={row['top1']}"), row["top1"]) == named
        label = check_map(explain(daemon, data, f"?class={row['label']}&format=json"), row["top1"])
        assert top == named == label, (top, named, label)


@case()
def maps_add_up_to_the_references_logits(daemon):
    """The mean of a class's map is its logit without the bias, which two pictures share."""
    first, second = rows_of_model()[:2]
    for class_id in range(len(LABELS)):
        got = [logit_without_bias(daemon, harness.picture(r["picture"]), class_id)
               for r in (first, second)]
        want = first["logits"][class_id] - second["logits"][class_id]
        assert abs(got[0] - got[1] - want) < 1e-3, (class_id, got, want)


def classifier():
    """(weights [classes][channels], biases) as the model folder has them."""
    with open(os.path.join(harness.MODEL, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()

    def numbers(name):
        begin, end = header[name]["data_offsets"]
        kind, size = {"F32": ("f", 4), "F16": ("e", 2)}[header[name]["dtype"]]
        return struct.unpack(f"<{(end - begin) // size}{kind}", body[begin:end])
    flat = numbers("fc.weight")
    rows = [flat[i:i + CHANNELS] for i in range(0, len(flat), CHANNELS)]
    return rows, numbers("fc.bias")


@case()
def an_embedding_times_the_classifier_is_the_references_logits(daemon):
    weights, biases = classifier()
    for row in rows_of_model():
        body = json.loads(embed(daemon, harness.picture(row["picture"])).body)
        assert list(body) == ["model", "dimensions", "embedding"], list(body)
        assert body["model"] == MODEL and body["dimensions"] == CHANNELS, body
        for weight, bias, want in zip(weights, biases, row["logits"]):
            got = sum(w * e for w, e in zip(weight, body["embedding"])) + bias
            assert abs(got - want) < 1e-3, (row["picture"], got, want)


def maps_and_embeddings(precision):
    """[(map of the top class, embedding)] of the goldens' pictures."""
    with harness.Daemon(["--precision", precision]) as daemon:
        model, = json.loads(daemon.get("/models").body)["models"]
        assert model["precision"] == precision, model
        return [(check_map(explain(daemon, data, f"?format=json&class={row['top1']}"))["grid"]["values"],
                 json.loads(embed(daemon, data).body)["embedding"])
                for row in rows_of_model() for data in (harness.picture(row["picture"]),)]


def distance(got, want):
    """The length of the difference, as a fraction of what was wanted."""
    return math.dist(got, want) / math.hypot(*want)


@case(own=None, seconds=60)
def every_precision_explains_and_embeds():
    """As far as it can: each misses float32 a little. One picture of sixteen is a hard one for int8."""
    exact = maps_and_embeddings("f32")
    weights, biases = classifier()
    for precision, usual, most in (("bf16", 0.02, 0.03), ("int8", 0.08, 0.35)):
        found = maps_and_embeddings(precision)
        for kind in (0, 1):
            off = [distance(got[kind], want[kind]) for got, want in zip(found, exact)]
            assert 1e-4 < sum(off) / len(off) < usual and max(off) < most, (precision, kind, off)
        for row, (values, embedding) in zip(rows_of_model(), found):
            top = row["top1"]
            by_map = sum(values) / len(values) + biases[top]
            by_embedding = sum(w * e for w, e in zip(weights[top], embedding)) + biases[top]
            assert abs(by_map - by_embedding) < usual * abs(by_map), (precision, by_map, by_embedding)


@case()
def embeddings_come_raw_and_normalised(daemon):
    data = reference()[0]
    plain = json.loads(embed(daemon, data).body)["embedding"]
    length = math.sqrt(sum(v * v for v in plain))
    for query, divisor in (("", 1), ("?normalize=0", 1), ("?normalize=1", length)):
        answer = embed(daemon, data, query, [("Accept", "application/octet-stream")])
        assert answer.header("content-type") == "application/octet-stream", answer
        assert len(answer.body) == 4 * CHANNELS, len(answer.body)
        raw = struct.unpack(f"<{CHANNELS}f", answer.body)
        values = json.loads(embed(daemon, data, query, [("Accept", "*/*")]).body)["embedding"]
        assert all(struct.pack("<f", v) == struct.pack("<f", r) for v, r in zip(values, raw)), query
        assert all(abs(v - p / divisor) < 1e-6 * max(plain) for v, p in zip(values, plain)), query
    assert abs(sum(v * v for v in values) - 1) < 1e-5, values


def brightest(daemon, picture, query=""):
    """The overlay is a JPEG of the picture's size."""
    answer = explain(daemon, picture, query)
    assert answer.status == 200 and answer.header("content-type") == "image/jpeg", answer
    assert answer.body[:2] == jpegs.SOI and answer.body[-2:] == jpegs.EOI, answer
    return answer.body


@case()
def the_overlay_has_the_pictures_size(daemon):
    for row in rows_of_model():
        data = harness.picture(row["picture"])
        overlay = brightest(daemon, data)
        assert jpegs.size(overlay) == jpegs.size(data), row["picture"]
        assert brightest(daemon, data, "?format=jpeg") == overlay, row["picture"]
    other = brightest(daemon, data, f"?class={(row['top1'] + 1) % 10}")
    assert other != overlay, "another class, the same overlay"


@case(["--request-timeout-ms", "300000"], seconds=120)
def a_large_picture_is_scaled_down(daemon):
    overlay = brightest(daemon, jpegs.slow(24 if harness.SLOW == 1 else 16))
    width, height = jpegs.size(overlay)
    assert 1024 <= width <= 2048 and 1024 <= height <= 2048, (width, height)


@case()
def a_turned_picture_gets_an_overlay_that_is_turned(daemon):
    extra = jpegs.exif(6)
    picture = jpegs.encode(64, 32, [jpegs.pattern(3)], extra=extra)
    overlay = brightest(daemon, picture)
    assert jpegs.size(overlay) == (64, 32), jpegs.size(overlay)
    at = overlay.index(b"Exif\0\0")
    assert overlay[at + 6:at + 10] == b"II*\0" and struct.unpack_from("<H", overlay, at + 24)[0] == 6
    assert b"Exif" not in brightest(daemon, jpegs.small())


@case()
def one_file_part_is_like_a_raw_body_and_two_are_refused(daemon):
    data = reference()[0]
    one = wire.multipart([("file", "a.jpg", "image/jpeg", data)])
    two = wire.multipart([("file", "a.jpg", "image/jpeg", data)] * 2)
    assert explain(daemon, one, "?format=json", [wire.form_type()]).body == \
        explain(daemon, data, "?format=json").body
    assert embed(daemon, one, "", [wire.form_type()]).body == embed(daemon, data).body
    for call in (explain, embed):
        check_error(call(daemon, two, "", [wire.form_type()]), 400, "multipart_invalid")


@case()
def bad_parameters_are_refused(daemon):
    data = reference()[0]
    for query in ("?class=", "?class=10", "?class=-1", "?class=horses", "?class=%00",
                  "?class=99999999999999999999", "?class=1&class=2", "?format=png", "?format=",
                  "?class=%ff", "?class=" + "x" * 3000, "?class_id=", "?class_id=10", "?class_id=-1",
                  "?class_id=cat", "?class_id=1&class=1", "?class_id=1&class_id=1"):
        check_error(explain(daemon, data, query), 400, "parameter_invalid")
    for query in ("?normalize=2", "?normalize=", "?normalize=yes", "?normalize=1&normalize=1"):
        check_error(embed(daemon, data, query), 400, "parameter_invalid")
    for call in (explain, embed):
        check_error(call(daemon, data, "?model=nope"), 404, "model_unknown")
        check_error(call(daemon, data, f"?model={MODEL}&unknown=1"), 400, "parameter_invalid")


@case()
def bad_bodies_are_refused_as_by_classify(daemon):
    picture = reference()[0]
    for bad, status, code in ((b"", 400, "body_empty"), (b"\x89PNG\r\n\x1a\n", 415, "not_jpeg"),
                              (jpegs.SOI, 422, None), (picture[:-2][:len(picture) // 2], 422, None),
                              (jpegs.claim(65500, 65500), 422, "image_too_large")):
        for call in (explain, embed):
            check_error(call(daemon, bad), status, code)
        check_error(explain(daemon, bad, "?class=2"), status, code)
    for target in ("/explain", "/embed"):
        answer = daemon.ask("GET", target)
        check_error(answer, 405, "method_not_allowed")
        assert answer.header("allow") == "POST", answer
        answer = daemon.ask("POST", target, [("Content-Length", str(1 << 40))])
        check_error(answer, 413, "body_too_large")


@case(["--request-timeout-ms", str(int(150 * max(1, harness.SLOW)))])
def the_deadline_holds(daemon):
    """A picture of 95 million pixels takes longer to decode, whatever is asked about it."""
    if harness.SLOW > 1:
        raise harness.Skip("decoding is not slower with a sanitizer, the rest is")
    for call in (explain, embed):
        check_error(call(daemon, jpegs.slow(95)), 504, "deadline_exceeded")


@case()
def pictures_are_counted(daemon):
    before = daemon.metrics()
    data = reference()[0]
    for call in (explain, embed):
        assert call(daemon, data).status == 200
    after = daemon.metrics()
    for name, endpoint in (("explain", "/explain"), ("embed", "/embed")):
        counted = [m.sum("resnextd_requests_total", endpoint=endpoint, code="200", model=MODEL)
                   for m in (before, after)]
        assert counted[1] == counted[0] + 1, (name, counted)
    images = [m.sum("resnextd_images_total", model=MODEL) for m in (before, after)]
    assert images[1] == images[0] + 2, images


if __name__ == "__main__":
    harness.main()
