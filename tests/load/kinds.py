"""The clients of a soak: what each kind says, and the answer that is right, learnt from a daemon and
checked against the reference before it counts."""
import base64
import json
import os
import random
import re
import struct

import folders
import harness
import jpegs
import wire
from wire import raw

MAIN, SECOND, EXTRA = "main", "second", "extra"
VOLATILE = re.compile(rb'"request_id":"[^"]*"|"timing_ms":\{[^{}]*\}|(?<=there is: main, second), extra')
PATHS = {MAIN: harness.MODEL, SECOND: os.path.join(harness.DATA, "tiny-resnet18-style"), EXTRA: harness.MODEL}
CLASSIFY, EMBED, EXPLAIN, INFER = "/classify", "/embed", "/explain", "/v2/models/*/infer"
NOT_COUNTED = "-"  # what libmicrohttpd refuses before it has told us of a request
CLOSED = [(0, [])]  # the connection ends, and no answer comes


class Kind:
    """One kind of clients. `asks` are (request, endpoint, check) in the order in which they are sent;
    check(answer) raises if the first answer is not right. `alternatives` are further right answers of
    each, (status, pieces)."""

    def __init__(self, name, weight, asks, manner="keep", argument=100, alternatives=()):
        self.name, self.weight, self.asks = name, weight, asks
        self.manner, self.argument, self.alternatives = manner, argument, list(alternatives)

    def learn(self, daemon):
        """The text of the script for this kind."""
        request = b"".join(ask[0] for ask in self.asks)
        lines = [f"kind {self.name} {self.weight} {self.manner} {self.argument} {len(request)} "
                 f"{len(self.asks)}\n".encode(), request, b"\n"]
        for data, endpoint, check in self.asks:
            right = ([learn(daemon, data, check)] if check else []) + self.alternatives
            lines.append(f"expect {endpoint} {len(right)}\n".encode())
            for status, pieces in right:
                lines.append(f"answer {status} {-1 if pieces is None else len(pieces)}\n".encode())
                lines += [b"piece %d\n%s\n" % (len(piece), piece) for piece in pieces or ()]
        return b"".join(lines)


def learn(daemon, request, check):
    """(status, what stands between the parts of the body that differ each time)."""
    answer = daemon.send_raw(request)
    assert answer is not None, f"closed without an answer: {request[:200]}"
    check(answer)
    kind = answer.header("content-type") or ""
    return answer.status, (VOLATILE.split(answer.body) if "json" in kind else
                           [answer.body] if kind and "html" not in kind else None)


def script(kinds, daemon):
    return b"".join(kind.learn(daemon) for kind in kinds)


# --- checks of first answers ---

def scores_are(scores):
    def check(answer):
        assert answer.status == 200, answer
        harness.check_scores(harness.predictions(answer), scores)
    return check


def parts_are(*scores):
    """Scores for each good part, None for a bad one."""
    def check(answer):
        results = json.loads(answer.body)["results"]
        assert answer.status == 200 and len(results) == len(scores), answer
        for result, want in zip(results, scores):
            assert ("error" in result) == (want is None), result
            if want:
                harness.check_scores(result["predictions"], want)
    return check


def is_error(status, code):
    return lambda answer: harness.check_error(answer, status, code)


def is_refused(status, code, text):
    """By us or, with this text, by libmicrohttpd 1.0.1 itself."""
    def check(answer):
        if not harness.is_refused_by_library(answer, text):
            harness.check_error(answer, status, code)
    return check


def is_status(status):
    """Of those whose errors have a form of their own."""
    def check(answer):
        assert answer.status == status, answer
    return check


def close_to(got, want, tolerance):
    assert len(got) == len(want) and all(abs(a - b) < tolerance for a, b in zip(got, want)), (got, want)


def classifier(cache={}):
    """(weights [classes][channels], biases) of the default model."""
    if not cache:
        header, data = folders.read()

        def numbers(name):
            begin, end = header[name]["data_offsets"]
            letter, size = {"F32": ("f", 4), "F16": ("e", 2)}[header[name]["dtype"]]
            return struct.unpack(f"<{(end - begin) // size}{letter}", data[begin:end])
        biases, flat = numbers("fc.bias"), numbers("fc.weight")
        channels = len(flat) // len(biases)
        cache["it"] = [flat[i:i + channels] for i in range(0, len(flat), channels)], biases
    return cache["it"]


def embedding_of(logits):
    """Features that the classifier makes these logits of."""
    def check(answer):
        assert answer.status == 200, answer
        features = (json.loads(answer.body)["embedding"] if "json" in answer.header("content-type") else
                    struct.unpack(f"<{len(answer.body) // 4}f", answer.body))
        weights, biases = classifier()
        close_to([sum(w * x for w, x in zip(row, features)) + bias for row, bias in zip(weights, biases)],
                 logits, 1e-3)
    return check


def map_of(logits, class_id):
    def check(answer):
        body = json.loads(answer.body)
        values = body["grid"]["values"]
        assert answer.status == 200 and body["class_id"] == class_id, answer
        close_to([sum(values) / len(values) + classifier()[1][class_id]], [logits[class_id]], 1e-3)
    return check


def is_overlay(answer):
    assert answer.status == 200 and answer.header("content-type") == "image/jpeg", answer
    assert answer.body.startswith(jpegs.SOI) and answer.body.endswith(jpegs.EOI), answer.body[:20]
    assert min(jpegs.size(answer.body)) > 0


def logits_are(rows, binary=False):
    def check(answer):
        assert answer.status == 200, answer
        want = [x for row in rows for x in row["logits"]]
        if binary:
            length = int(answer.header("inference-header-content-length"))
            got = struct.unpack(f"<{len(want)}f", answer.body[length:])
        else:
            got = json.loads(answer.body)["outputs"][0]["data"]
        close_to(got, want, 2e-3)
    return check


# --- requests ---

def post(target, body, *headers):
    return wire.request("POST", target, headers, body)


def rows_of(name):
    """Golden rows of a model with the pictures' bytes."""
    tail = os.path.basename(PATHS[name])
    return [{**r, "bytes": harness.picture(r["picture"]), "scores": harness.softmax(r["logits"])}
            for r in harness.goldens() if os.path.basename(r["model"]) == tail]


def infer_json(rows, target=f"/v2/models/{MAIN}/infer"):
    data = [base64.b64encode(r["bytes"]).decode() for r in rows]
    return post(target, json.dumps({"inputs": [
        {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}]}).encode())


def infer_binary(head, tail):
    head = json.dumps({**head, "outputs": [{"name": "logits", "parameters": {"binary_data": True}}]}).encode()
    return post(f"/v2/models/{MAIN}/infer", head + tail,
                ("Content-Type", "application/octet-stream"),
                ("Inference-Header-Content-Length", str(len(head))))


def infer_picture(row):
    tail = struct.pack("<I", len(row["bytes"])) + row["bytes"]
    return infer_binary({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                     "parameters": {"binary_data_size": len(tail)}}]}, tail)


def infer_numbers():
    """A tensor of the network's input; JSON and binary must agree on what comes of it."""
    numbers = random.Random(7)
    tail = struct.pack("<3072f", *(numbers.gauss(0, 1) for _ in range(3072)))
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32]}
    return (post(f"/v2/models/{MAIN}/infer", json.dumps(
                {"inputs": [{**tensor, "data": struct.unpack("<3072f", tail)}]}).encode()),
            infer_binary({"inputs": [{**tensor, "parameters": {"binary_data_size": len(tail)}}]}, tail))


def agreement():
    """Checks for two answers that must hold the same logits."""
    seen = []

    def check(answer):
        assert answer.status == 200, answer
        length = answer.header("inference-header-content-length")
        seen.append(json.loads(answer.body)["outputs"][0]["data"] if length is None else
                    struct.unpack("<10f", answer.body[int(length):]))
        close_to(seen[-1], seen[0], 1e-4)
    return check


def good_kinds():
    rows, second = rows_of(MAIN), rows_of(SECOND)
    small = sorted(rows, key=lambda r: len(r["bytes"]))
    kinds = [Kind(f"classify_{os.path.basename(r['picture'])[:-4]}", 20 if len(r["bytes"]) < 2000 else 3,
                  [(post("/classify?top_k=10", r["bytes"]), CLASSIFY, scores_are(r["scores"]))])
             for r in rows]
    kinds += [Kind(f"second_{i}", 4, [(post(f"/classify?model={SECOND}", r["bytes"]), CLASSIFY,
                                       scores_are(r["scores"]))])
              for i, r in enumerate(sorted(second, key=lambda r: len(r["bytes"]))[:3])]
    one, two, three = small[1:4]
    form = wire.form_type()
    several = [("f", f"{i}.jpg", "image/jpeg", d) for i, d in enumerate(
        (one["bytes"], b"no picture", two["bytes"], three["bytes"]))]
    chunks = wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")])
    plain = scores_are(one["scores"])
    classify = post("/classify", one["bytes"])
    get = lambda target: (wire.request("GET", target), target, is_status(200))
    in_json, in_binary = infer_numbers()
    same = agreement()
    return kinds + [
        Kind("form_of_one", 8, [(post("/classify", wire.multipart(several[:1]), form), CLASSIFY, plain)]),
        Kind("form_of_four", 6, [(post("/classify", wire.multipart(several), form), CLASSIFY, parts_are(
            one["scores"], None, two["scores"], three["scores"]))]),
        Kind("chunked", 6, [(chunks + wire.chunked(one["bytes"], 100), CLASSIFY, plain)]),
        Kind("expect_continue", 3, [(post("/classify", one["bytes"], ("Expect", "100-continue")), CLASSIFY,
                                     plain)]),
        Kind("pipelined", 4, [(classify, CLASSIFY, plain), get("/livez"),
                              (post("/classify", b"x"), CLASSIFY, is_error(415, "not_jpeg")),
                              (post("/classify", two["bytes"]), CLASSIFY, scores_are(two["scores"]))]),
        Kind("explain_jpeg", 5, [(post("/explain", one["bytes"]), EXPLAIN, is_overlay)]),
        Kind("explain_json", 5, [(post("/explain?format=json&class=3", one["bytes"]), EXPLAIN,
                                  map_of(one["logits"], 3))]),
        Kind("embed_json", 6, [(post("/embed", two["bytes"]), EMBED, embedding_of(two["logits"]))]),
        Kind("embed_raw", 6, [(post("/embed", three["bytes"], ("Accept", "application/octet-stream")), EMBED,
                               embedding_of(three["logits"]))]),
        Kind("infer_two_in_json", 4, [(infer_json([one, two]), INFER, logits_are([one, two]))]),
        Kind("infer_picture_binary", 4, [(infer_picture(three), INFER, logits_are([three], binary=True))]),
        Kind("infer_numbers_json", 3, [(in_json, INFER, same)]),
        Kind("infer_numbers_binary", 3, [(in_binary, INFER, same)]),
        Kind("pages", 3, [get("/"), get("/openapi.json"), get("/v2"), get("/readyz")]),
        Kind("slow", 1, [(classify, CLASSIFY, plain)], "slow", 25),
    ]


def coming_and_going(daemon):
    """Clients of a model that is there now and then; the daemon must not have it yet."""
    row = rows_of(MAIN)[0]
    request = post(f"/classify?model={EXTRA}", row["bytes"])
    absent = learn(daemon, request, is_error(404, "model_unknown"))
    return Kind("coming_and_going", 30, [(request, CLASSIFY, scores_are(row["scores"]))],
                alternatives=[absent])


def bad_pictures():
    """(name, body, status, code)"""
    good = jpegs.color()
    undecodable = [("soi", jpegs.SOI), ("cut_short", good[:len(good) // 2]), ("cut_late", good[:-2]),
                   ("many_scans", jpegs.progressive(64, 64, 1000)),
                   ("twelve_bits", jpegs.claim(8, 8, precision=12)), ("no_width", jpegs.claim(0, 8))]
    return ([(name, body, 422, "image_undecodable") for name, body in undecodable]
            + [("empty", b"", 400, "body_empty"), ("huge", jpegs.claim(65500, 65500, 3), 422, "image_too_large"),
               ("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(3000), 415, "not_jpeg"),
               ("text", b"no picture", 415, "not_jpeg")])


def bad_forms(picture):
    """(name, body, content type, status, code)"""
    whole = wire.multipart([("f", "a.jpg", None, picture)])
    kind = wire.form_type()[1]
    return [("no_boundary", whole, "multipart/form-data", 400, "multipart_invalid"),
            ("no_end", whole[:-20], kind, 400, "multipart_invalid"),
            ("no_file", wire.multipart([("a", None, None, b"text")]), kind, 400, None),
            ("parts", wire.multipart([("f", "a.jpg", None, b"x")] * 17), kind, 413, "too_many_parts"),
            ("all_bad", wire.multipart([("f", "a.jpg", None, b"x")] * 2), kind, 422, None)]


def bad_kinds():
    picture = harness.reference()[0]
    kinds = [Kind(f"bad_{name}", 1.5, [(post(target, body), target, is_error(status, code))
                                       for target in (CLASSIFY, EMBED, EXPLAIN)])
             for name, body, status, code in bad_pictures()]
    kinds += [Kind(f"bad_form_{name}", 1.5, [(post("/classify", body, ("Content-Type", kind)), CLASSIFY,
                                              is_error(status, code) if code else is_status(status))])
              for name, body, kind, status, code in bad_forms(picture)]
    head = ["POST /classify HTTP/1.1", "Host: x"]
    n = len(picture)
    asks = [
        ("top_k", post("/classify?top_k=0", picture), CLASSIFY, is_error(400, "parameter_invalid")),
        ("class", post("/explain?class=nothing", picture), EXPLAIN, is_error(400, None)),
        ("model", post("/classify?model=nobody", picture), CLASSIFY, is_error(404, "model_unknown")),
        ("path", wire.request("GET", "/nothing"), "other", is_error(404, "not_found")),
        ("method", wire.request("DELETE", "/classify"), "other", is_error(405, "method_not_allowed")),
        ("encoding", post("/classify", picture, ("Content-Encoding", "gzip")), CLASSIFY,
         is_error(415, "media_type_unsupported")),
        ("coding", raw([*head, "Transfer-Encoding: gzip"], picture), "other",
         is_refused(501, "transfer_coding_unsupported", b"Unsupported Transfer-Encoding")),
        ("lengths", raw([*head, f"Content-Length: {n}", "Content-Length: 5"], picture), "other",
         is_error(400, None)),
        ("length_and_coding", raw([*head, "Content-Length: 5", "Transfer-Encoding: chunked"], picture),
         "other", is_refused(400, "bad_request", b"both Transfer-Encoding and Content-Length")),
        ("expect", post("/classify", picture, ("Expect", "foo")), CLASSIFY,
         is_error(417, "expectation_failed")),
        ("size", raw([*head, "Content-Length: 99999999", "Expect: 100-continue"]), CLASSIFY,
         is_error(413, "body_too_large")),
        ("timeout", post("/classify", picture, ("X-Request-Timeout-Ms", "soon")), CLASSIFY,
         is_error(400, None)),
        ("infer_text", post(f"/v2/models/{MAIN}/infer", b"{"), INFER, is_status(400)),
        ("infer_picture", infer_json([{"bytes": b"no picture"}]), INFER, is_status(415)),
        ("infer_model", infer_json([{"bytes": picture}], "/v2/models/nobody/infer"), INFER, is_status(404)),
        ("request_line", b"garbage\r\n\r\n", NOT_COUNTED, None),
        ("version", raw(["GET /livez HTTP/2.0", "Host: x"]), NOT_COUNTED, is_status(505)),
        ("no_host", raw(["GET /livez HTTP/1.1"]), "other", is_status(400)),
    ]
    return kinds + [Kind(f"bad_{name}", 1, [ask], alternatives=[] if ask[2] else CLOSED)
                    for name, *ask in asks]


def leaving_kinds():
    """Clients that vanish or fall silent."""
    picture = harness.picture("pictures/bricks_444.jpg")
    classify, embed = post("/classify", picture), post("/embed", harness.reference()[0])
    form = post("/classify", wire.multipart([("f", f"{i}.jpg", None, picture) for i in range(3)]),
                wire.form_type())
    gone = [(classify, CLASSIFY, None)]
    return [
        Kind("gone_in_head", 1, [(raw(["POST /classify HTTP/1.1", "Host: x", "X-Long: " + "x" * 200]), "other",
                                  None)], "cut", 50),
        Kind("gone_in_upload", 3, gone, "cut", 50),
        Kind("gone_in_form", 1, [(form, CLASSIFY, None)], "cut", 40),
        Kind("gone_in_queue", 3, gone, "leave"), Kind("gone_in_embed", 2, [(embed, EMBED, None)], "leave"),
        Kind("gone_unread", 3, gone, "unread"),
        Kind("silent", 0.2, gone, "stall", 50, alternatives=CLOSED),
    ]
