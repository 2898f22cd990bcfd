#!/usr/bin/python3 -B
"""The Open Inference Protocol v2 as a client sees it: every call, JSON and binary, byte by byte."""
import base64
import json
import os
import random
import struct
import subprocess
import threading
import time

import harness
import jpegs
from harness import case, reference, softmax

MODEL = harness.MODEL_NAME
SIZE, CLASSES = 32, 10
INFER = f"/v2/models/{MODEL}/infer"
VERSIONED = f"/v2/models/{MODEL}/versions/1/infer"


def ask_json(daemon, method, target, body=None, headers=()):
    """(status, decoded body) of an answer in the protocol's form."""
    answer = daemon.ask(method, target, headers, body)
    assert answer.header("content-type") == "application/json", answer
    assert answer.header("x-request-id"), answer
    return answer.status, json.loads(answer.body)


def check_refused(answer, status):
    """The protocol's error: an HTTP status, and nothing but {"error": text}."""
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/json", answer
    body = json.loads(answer.body)
    assert list(body) == ["error"] and len(body["error"]) > 10, answer
    return body["error"]


def image_input(pictures, **more):
    return {"name": "image", "datatype": "BYTES", "shape": [len(pictures)],
            "data": [base64.b64encode(p).decode() for p in pictures], **more}


def tensor_input(images, **more):
    return {"name": "input", "datatype": "FP32", "shape": [images, 3, SIZE, SIZE], **more}


def infer(daemon, request, tail=None, target=INFER):
    """Sends a request object, with binary tensors behind it if `tail` is bytes."""
    head = json.dumps(request).encode()
    headers = [("Content-Type", "application/json")]
    if tail is not None:
        headers = [("Content-Type", "application/octet-stream"),
                   ("Inference-Header-Content-Length", str(len(head)))]
    return daemon.ask("POST", target, headers, head + (tail or b""))


def answered(answer):
    """A JSON answer's body."""
    assert answer.status == 200 and answer.header("content-type") == "application/json", answer
    assert answer.header("inference-header-content-length") is None, answer
    return json.loads(answer.body)


def outputs_of(answer):
    """{name: (output object, its bytes or None)} of any answer."""
    length = answer.header("inference-header-content-length")
    head = answer.body if length is None else answer.body[:int(length)]
    tail = b"" if length is None else answer.body[int(length):]
    found = {}
    for output in json.loads(head)["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        found[output["name"]] = output, None if size is None else tail[:size]
        tail = tail[size or 0:]
    assert tail == b"", f"{len(tail)} bytes belong to no output"
    return found


def check_close(got, want, tolerance=2e-4):
    assert len(got) == len(want), (len(got), len(want))
    off = max(abs(a - b) for a, b in zip(got, want))
    assert off <= tolerance, f"off by {off}: {got} {want}"


def goldens(count):
    rows = [r for r in harness.goldens() if os.path.basename(r["model"]) == MODEL]
    return rows[:count]


def random_numbers(images, seed=1):
    source = random.Random(seed)
    return [source.uniform(-1.5, 1.5) for _ in range(images * 3 * SIZE * SIZE)]


def nested(flat, shape):
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0]
    return [nested(flat[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


# --- what there is ---

@case()
def the_server_says_what_it_is(daemon):
    status, body = ask_json(daemon, "GET", "/v2")
    assert status == 200 and list(body) == ["name", "version", "extensions"], body
    assert body["name"] == "resnextd" and body["version"].count(".") == 2, body
    assert body["extensions"] == ["binary_tensor_data", "classification"], body


@case()
def health_is_told(daemon):
    assert ask_json(daemon, "GET", "/v2/health/live") == (200, {"live": True})
    status, body = ask_json(daemon, "GET", "/v2/health/ready")
    assert status == 200 and body == {"live": True, "ready": True}, body
    for version in ("", "/versions/1"):
        got = ask_json(daemon, "GET", f"/v2/models/{MODEL}{version}/ready")
        assert got == (200, {"name": MODEL, "ready": True}), got


@case()
def a_path_too_long_for_a_name_is_nowhere(daemon):
    """Wherever it is cut: /v2/models/NAME without its /infer would be another call."""
    for length in range(235, 265):
        model = f"/v2/models/{'m' * (length - len('/v2/models/'))}"
        for method, target in (("GET", model), ("GET", model + "/ready"), ("POST", model + "/infer"),
                               ("POST", model + "/versions/1/infer")):
            check_refused(daemon.ask(method, target, body=b"{}" if method == "POST" else None), 404)


@case()
def a_model_is_described(daemon):
    for version in ("", "/versions/1"):
        status, body = ask_json(daemon, "GET", f"/v2/models/{MODEL}{version}")
        assert status == 200, body
        assert list(body) == ["name", "versions", "platform", "inputs", "outputs"], body
        assert body["name"] == MODEL and body["versions"] == ["1"], body
        assert body["inputs"] == [
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
            {"name": "input", "datatype": "FP32", "shape": [-1, 3, SIZE, SIZE]}], body
        assert body["outputs"] == [
            {"name": "logits", "datatype": "FP32", "shape": [-1, CLASSES]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, CLASSES],
             "parameters": {"activation": "softmax"}}], body


@case()
def what_there_is_not_is_404(daemon):
    for target in ("/v2/models/nope", "/v2/models/nope/ready", f"/v2/models/{MODEL}/versions/2",
                   f"/v2/models/{MODEL}/versions/01/ready", "/v2/models", "/v2/models/", "/v2/",
                   f"/v2/models/{MODEL}/config", "/v2/models//ready", "/v2/health",
                   f"/v2/models/{MODEL}/versions", f"/v2/models/{MODEL}/versions//ready",
                   f"/v2/models/{MODEL}/", "/v2/models/" + "a" * 3000, f"/v2/models/{MODEL}%00"):
        check_refused(daemon.get(target), 404)
    body = json.dumps({"inputs": [image_input([reference()[0]])]}).encode()
    for target in ("/v2/models/nope/infer", f"/v2/models/{MODEL}/versions/2/infer"):
        check_refused(daemon.ask("POST", target, (), body), 404)
    assert daemon.get("/v2x").status == 404


@case()
def wrong_methods_are_405(daemon):
    for method, target, allow in (("POST", "/v2", "GET, HEAD"), ("GET", INFER, "POST"),
                                  ("PUT", f"/v2/models/{MODEL}", "GET, HEAD"),
                                  ("GET", VERSIONED, "POST")):
        answer = daemon.ask(method, target)
        check_refused(answer, 405)
        assert answer.header("allow") == allow, answer
    head = daemon.ask("HEAD", "/v2/health/ready")
    assert head.status == 200 and not head.body, head


# --- inference ---

@case()
def pictures_in_base64_get_the_references_scores(daemon):
    rows = goldens(5)
    pictures = [harness.picture(r["picture"]) for r in rows]
    for more in ({}, {"parameters": {"content_type": "b64"}},
                 {"parameters": {"content_type": "base64"}}):
        body = answered(infer(daemon, {"id": "x/1", "inputs": [image_input(pictures, **more)]}))
        assert list(body) == ["model_name", "model_version", "id", "outputs"], body
        assert (body["model_name"], body["model_version"], body["id"]) == (MODEL, "1", "x/1"), body
        logits, probabilities = body["outputs"]
        for output, name in ((logits, "logits"), (probabilities, "probabilities")):
            assert list(output) == ["name", "datatype", "shape", "data"], output
            assert output["name"] == name and output["datatype"] == "FP32", output
            assert output["shape"] == [5, CLASSES], output
        for i, row in enumerate(rows):
            part = slice(i * CLASSES, (i + 1) * CLASSES)
            check_close(logits["data"][part], row["logits"], 2e-3)
            check_close(probabilities["data"][part], softmax(row["logits"]))


@case()
def a_full_exchange_byte_by_byte(daemon):
    picture, scores = reference()
    head = json.dumps({"id": "42", "inputs": [
        {"name": "image", "shape": [1, 1], "datatype": "BYTES",
         "parameters": {"binary_data_size": 4 + len(picture)}}], "outputs": [
             {"name": "probabilities", "parameters": {"classification": 2, "binary_data": True}},
             {"name": "logits", "parameters": {"binary_data": True}}]}).encode()
    body = head + struct.pack("<I", len(picture)) + picture
    request = (f"POST {VERSIONED} HTTP/1.1\r\nHost: localhost\r\n"
               f"Content-Type: application/octet-stream\r\n"
               f"Inference-Header-Content-Length: {len(head)}\r\n"
               f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    answer = daemon.send_raw(request)
    assert answer.status == 200, answer
    assert answer.header("content-type") == "application/octet-stream", answer
    length = int(answer.header("inference-header-content-length"))
    assert json.loads(answer.body[:length])["id"] == "42", answer
    found = outputs_of(answer)
    output, data = found["probabilities"]
    assert list(found) == ["probabilities", "logits"], found
    assert output["datatype"] == "BYTES" and output["shape"] == [1, 2], output
    order = sorted(range(CLASSES), key=lambda i: -scores[i])
    for want in order[:2]:
        size, = struct.unpack_from("<I", data)
        value, index, label = data[4:4 + size].decode().split(":")
        assert int(index) == want and label, data
        assert abs(float(value) - scores[want]) < 2e-4, data
        data = data[4 + size:]
    assert data == b"", data
    output, data = found["logits"]
    assert output["shape"] == [1, CLASSES] and len(data) == 4 * CLASSES, output
    check_close(softmax(struct.unpack(f"<{CLASSES}f", data)), scores)


@case()
def numbers_in_json_and_in_binary_are_the_same(daemon):
    flat = random_numbers(3)
    tail = struct.pack(f"<{len(flat)}f", *flat)
    binary = tensor_input(3, parameters={"binary_data_size": len(tail)})
    want = answered(infer(daemon, {"inputs": [binary]}, tail))["outputs"]
    floats = struct.unpack(f"<{len(flat)}f", tail)
    for data in (flat, floats, nested(list(floats), [3, 3, SIZE, SIZE])):
        got = answered(infer(daemon, {"inputs": [tensor_input(3, data=data)]}))["outputs"]
        assert got == want, "other outputs"
    mixed = outputs_of(infer(daemon, {"inputs": [binary], "parameters": {"binary_data_output": True}},
                             tail))
    for output in want:
        check_close(struct.unpack(f"<{3 * CLASSES}f", mixed[output["name"]][1]), output["data"], 1e-6)
    mixed = outputs_of(infer(daemon, {
        "inputs": [binary], "parameters": {"binary_data_output": True},
        "outputs": [{"name": "logits", "parameters": {"binary_data": False}},
                    {"name": "probabilities"}]}, tail))
    assert mixed["logits"][1] is None and len(mixed["probabilities"][1]) == 120, mixed


def check_gray(daemon, tolerance):
    """A gray picture of one tone, normalised here, gets the logits of its JPEG, which are returned."""
    picture = jpegs.encode(SIZE, SIZE, [jpegs.flat(10)])
    tone = 128 + 10 * 16 / 8
    with open(os.path.join(harness.MODEL, "config.json")) as file:
        config = json.load(file)
    wants = config.get("pretrained_cfg", config)
    flat = []
    for mean, std in zip(wants["mean"], wants["std"]):
        flat += [(tone / 255 - mean) / std] * (SIZE * SIZE)
    numbers, image = (answered(infer(daemon, {"inputs": [i]}))["outputs"]
                      for i in (tensor_input(1, data=flat), image_input([picture])))
    check_close(numbers[0]["data"], image[0]["data"], tolerance)
    return numbers[0]["data"]


@case()
def the_networks_input_is_what_classify_makes_of_a_picture(daemon):
    check_gray(daemon, 1e-4)


@case(own=None, seconds=60)
def tensors_become_what_each_precision_computes_in():
    """In bfloat16 a number and the pixel it stands for may be rounded apart; bytes are the same."""
    logits = {}
    for precision, tolerance in (("f32", 1e-4), ("bf16", 0.1), ("int8", 0)):
        with harness.Daemon(["--precision", precision]) as daemon:
            logits[precision] = check_gray(daemon, tolerance)
            several = struct.pack(f"<{2 * 3 * SIZE * SIZE}f", *random_numbers(2))
            binary = tensor_input(2, parameters={"binary_data_size": len(several)})
            assert len(answered(infer(daemon, {"inputs": [binary]}, several))["outputs"]) == 2
    for precision in ("bf16", "int8"):
        assert logits[precision] != logits["f32"], precision
        check_close(logits[precision], logits["f32"], 1)


@case()
def the_id_is_echoed_and_only_then_there(daemon):
    picture = reference()[0]
    for name in ("", "x", "é\u2603", "a\"b\\", "0" * 2000):
        body = answered(infer(daemon, {"id": name, "inputs": [image_input([picture])]}))
        assert body["id"] == name, body
    assert "id" not in answered(infer(daemon, {"inputs": [image_input([picture])]}))


@case()
def unknown_keys_and_parameters_are_ignored(daemon):
    picture = reference()[0]
    request = {"model_name": "x", "parameters": {"priority": 3, "timeout": 5},
               "inputs": [image_input([picture], parameters={"other": [1]})],
               "outputs": []}
    assert len(answered(infer(daemon, request))["outputs"]) == 2


@case()
def a_raw_binary_request_is_one_jpeg(daemon):
    """Triton's extension_binary_data: the body is the one element, outputs come in binary."""
    picture, scores = reference()
    raw = [("Inference-Header-Content-Length", "0")]
    for more in ([], [("Content-Type", "application/octet-stream")], [("Content-Type", "image/jpeg")]):
        answer = daemon.ask("POST", INFER, raw + more, picture)
        assert answer.header("content-type") == "application/octet-stream", answer
        found = outputs_of(answer)
        assert list(found) == ["logits", "probabilities"], found
        for output, data in found.values():
            assert output["datatype"] == "FP32" and output["shape"] == [1, CLASSES], output
        check_close(struct.unpack(f"<{CLASSES}f", found["probabilities"][1]), scores)
        head = answer.body[:int(answer.header("inference-header-content-length"))]
        assert "id" not in json.loads(head), answer
    floats = struct.pack(f"<{3 * SIZE * SIZE}f", *random_numbers(1))
    for body in (floats, json.dumps({"inputs": [image_input([picture])]}).encode(), picture[1:],
                 struct.pack("<I", len(picture)) + picture, b"\xff\xd8", b"\0"):
        text = check_refused(daemon.ask("POST", INFER, raw, body), 415)
        assert "Inference-Header-Content-Length is 0" in text and "JSON" in text, text
    check_refused(daemon.ask("POST", INFER, raw, picture[:-20]), 422)
    check_refused(daemon.ask("POST", INFER, raw, b""), 400)
    check_refused(daemon.ask("POST", INFER, raw * 2, picture), 400)


@case()
def null_is_what_is_left_out(daemon):
    """Clients in Java, Go and Python's pydantic write their empty optional fields like that."""
    picture, _ = reference()
    want = answered(infer(daemon, {"inputs": [image_input([picture])]}))
    for request in ({"id": None}, {"parameters": None}, {"outputs": None},
                    {"parameters": {"binary_data_output": None}},
                    {"outputs": [{"name": n, "parameters": None} for n in ("logits", "probabilities")]},
                    {"outputs": [{"name": n, "parameters": {"binary_data": None, "classification": None}}
                                 for n in ("logits", "probabilities")]}):
        assert answered(infer(daemon, {"inputs": [image_input([picture])], **request})) == want, request
    for more in ({"parameters": None}, {"parameters": {"content_type": None, "binary_data_size": None}}):
        assert answered(infer(daemon, {"inputs": [image_input([picture], **more)]})) == want, more
    tail = struct.pack("<I", len(picture)) + picture
    binary = {"name": "image", "datatype": "BYTES", "shape": [1], "data": None,
              "parameters": {"binary_data_size": len(tail)}}
    assert answered(infer(daemon, {"inputs": [binary]}, tail)) == want
    image = image_input([picture])
    for request in ({"inputs": None}, {"inputs": [None]}, {"inputs": [{**image, "shape": None}]},
                    {"inputs": [{**image, "name": None}]}, {"inputs": [{**image, "datatype": None}]},
                    {"inputs": [{**image, "data": None}]}, {"inputs": [image], "outputs": [None]},
                    {"inputs": [image], "outputs": [{"name": None}]}):
        check_refused(infer(daemon, request), 400)


@case()
def base64_is_taken_in_the_forms_that_encoders_write(daemon):
    picture, _ = reference()
    want = answered(infer(daemon, {"inputs": [image_input([picture])]}))
    text = base64.b64encode(picture).decode()
    pem = "".join(text[i:i + 64] + "\n" for i in range(0, len(text), 64))
    for form in (base64.encodebytes(picture).decode(), pem, pem.replace("\n", "\r\n"),
                 base64.urlsafe_b64encode(picture).decode(), text.rstrip("="), "\r\n" + text + "\n"):
        image = image_input([picture])
        image["data"] = [form]
        assert answered(infer(daemon, {"inputs": [image]})) == want, form[:80]
    for data, told in (([list(picture[:9])], "is an array"), (list(picture[:9]), "is a number"),
                       (["data:image/jpeg;base64," + text], "data: URL"), ([text.replace("A", " ")], "a space"),
                       ([text[:8] + "*" + text[8:]], "character *"), ([text + text], "after the =")
                       if text.endswith("=") else (["QQ==QQ=="], "after the ="), (["QUJDR"], "cut"), ([], "0 images"),
                       ([text, text], "more than"), ([None], "is null"), ([{"b64": text}], "is an object"),
                       ([True], "is not a string"), (["\u00ff\u00d8\u00ff"], "not in its alphabet")):
        image = image_input([picture])
        image["data"] = data
        message = check_refused(infer(daemon, {"inputs": [image]}), 400)
        assert told in message, (told, message)


@case()
def classification_means_at_most_so_many(daemon):
    picture, _ = reference()
    for count, named in ((1, 1), (CLASSES, CLASSES), (CLASSES + 1, CLASSES), (1000, CLASSES),
                         ((1 << 63) - 1, CLASSES)):
        for binary in (False, True):
            wanted = {"name": "logits", "parameters": {"classification": count, "binary_data": binary}}
            answer = infer(daemon, {"inputs": [image_input([picture] * 2)], "outputs": [wanted]})
            output, _ = outputs_of(answer)["logits"]
            assert output["shape"] == [2, named] and output["datatype"] == "BYTES", output
            assert binary or len(set(output["data"])) == named == len(output["data"]) // 2, output
    for count in (0, -1, 1 << 63, 1.0, "3", True, []):
        wanted = {"name": "logits", "parameters": {"classification": count}}
        check_refused(infer(daemon, {"inputs": [image_input([picture])], "outputs": [wanted]}), 400)


# --- bad requests ---

@case()
def bad_pictures_get_the_status_of_classify(daemon):
    picture = reference()[0]
    for bad, status in ((b"\x89PNG\r\n", 415), (b"", 400), (b"\xff\xd8", 422),
                        (picture[:len(picture) // 2], 422), (jpegs.claim(65500, 65500), 422)):
        answer = infer(daemon, {"inputs": [image_input([picture, bad])]})
        text = check_refused(answer, status if bad else answer.status)
        assert "image 1" in text, text
        tail = struct.pack("<I", len(bad)) + bad
        answer = infer(daemon, {"inputs": [{
            "name": "image", "datatype": "BYTES", "shape": [1],
            "parameters": {"binary_data_size": len(tail)}}]}, tail)
        check_refused(answer, status if bad else answer.status)
        assert 400 <= answer.status < 500, answer


@case()
def lengths_that_do_not_fit_are_400(daemon):
    picture = reference()[0]
    tail = struct.pack("<I", len(picture)) + picture

    def one(size, data=tail):
        return infer(daemon, {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                          "parameters": {"binary_data_size": size}}]}, data)
    assert one(len(tail)).status == 200
    for size in (0, -1, len(tail) - 1, len(tail) + 1, 1 << 63, 1.5, "9", None, True, []):
        check_refused(one(size), 400)
    for length in (0, len(picture) - 1, len(picture) + 1, 0xffffffff):
        check_refused(one(len(tail), struct.pack("<I", length) + picture), 400)
    check_refused(one(2, b"\1\0"), 400)
    head = json.dumps({"inputs": [image_input([picture])]}).encode()
    good = str(len(head))
    for values in (["x"], ["-1"], ["1e3"], [""], [good + "0"], [good, good], ["99999999999999999999"],
                   [str(len(head) - 1)], [str(len(head) + 1)]):
        headers = [("Inference-Header-Content-Length", v) for v in values]
        check_refused(daemon.ask("POST", INFER, headers, head), 400)
    assert daemon.ask("POST", INFER, [("Inference-Header-Content-Length", good)], head).status == 200


@case()
def hostile_json_is_400(daemon):
    for body in (b"{", b"[]", b"\0", b"nul", b'{"inputs":' + b"[" * 100000, b'{"a":' * 50000,
                 b'{"inputs":[{"data":[' + b"[" * 100000, b'{"inputs":[{"data":["' + b"\\" * 9999,
                 b'{"inputs":[{"data":[' + b"1," * 500000, b'{"id":"' + b"x" * 100000 + b'"}',
                 b'{"\xff":1}', b'{"a":1,"a":2}', b"[" + b"{}," * 100000 + b"{}]", b"{}" + b"\0" * 10):
        check_refused(daemon.ask("POST", INFER, (), body), 400)
    check_refused(daemon.ask("POST", INFER, (), b""), 400)


@case()
def batches_are_bounded(daemon):
    picture = reference()[0]
    answered(infer(daemon, {"inputs": [image_input([picture] * 16)]}))
    assert "max_parts" in check_refused(infer(daemon, {"inputs": [image_input([picture] * 17)]}), 413)
    for count in (0, -1, 1.5, 1 << 40, "1", None):
        request = {"inputs": [tensor_input(1, data=[])]}
        request["inputs"][0]["shape"][0] = count
        check_refused(infer(daemon, request), 413 if count == 1 << 40 else 400)


@case(["--max-body-bytes", "100000"])
def a_body_over_the_limit_is_413_in_the_protocols_form(daemon):
    check_refused(daemon.ask("POST", INFER, (), b" " * 100001), 413)


@case(["--workers", "1", "--queue-limit", "1"])
def a_full_queue_is_503_in_the_protocols_form(daemon):
    slow = jpegs.slow(harness.MEGAPIXELS)
    head = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {
        "binary_data_size": 4 + len(slow)}}]}).encode()
    headers = [("Inference-Header-Content-Length", str(len(head)))]
    body = head + struct.pack("<I", len(slow)) + slow
    refused = []

    def ask():
        answer = daemon.ask("POST", INFER, headers, body)
        if answer.status != 200:
            refused.append(answer)
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused, "none was refused"
    for answer in refused:
        check_refused(answer, 503)
        assert answer.header("retry-after") == "1", answer


@case(["--workers", "1"], seconds=60)
def a_large_json_tensor_does_not_hold_up_others(daemon):
    """While the worker reads 16 MB of JSON numbers, /livez is answered at once."""
    pad = " " * 330
    one = ("1" + pad) if harness.SLOW == 1 else "1" + " " * 60
    body = (b'{"inputs":[{"name":"input","datatype":"FP32","shape":[16,3,32,32],"data":['
            + ",".join([one] * (16 * 3 * SIZE * SIZE)).encode() + b"]}]}")
    assert len(body) < 16 << 20, len(body)

    def attempt():
        slowest, done = [0.0], threading.Event()

        def watch():
            with daemon.connect() as connection:
                while not done.is_set():
                    begin = time.monotonic()
                    assert connection.ask("GET", "/livez").status == 200
                    slowest[0] = max(slowest[0], time.monotonic() - begin)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            answer = daemon.ask("POST", INFER, (), body)
        finally:
            done.set()
            watcher.join()
        assert answer.status == 200, answer
        assert slowest[0] > 0, "nobody watched"
        if slowest[0] >= 0.25 * harness.SLOW:
            raise harness.Slow(f"/livez took {slowest[0]:.3f} s")
    harness.unless_slow(attempt)


@case(own=True)
def a_large_json_tensor_takes_little_more_memory_than_its_bytes(daemon):
    """As a tree of JSON values these seven million numbers would take 300 MB."""
    if harness.SANITIZER:
        raise harness.Skip("memory is not comparable with a sanitizer")
    daemon.reset_peak()
    before = daemon.peak()
    body = (b'{"inputs":[{"name":"input","datatype":"FP32","shape":[16,3,32,32],"data":['
            + b"0," * 7000000 + b"0]}]}")
    check_refused(daemon.ask("POST", INFER, (), body), 400)
    assert daemon.peak() - before < 3 * len(body), (before, daemon.peak(), len(body))


@case()
def metrics_know_the_endpoints(daemon):
    infer(daemon, {"inputs": [image_input([reference()[0]])]})
    daemon.get(f"/v2/models/{MODEL}/ready")
    daemon.get("/v2/models/made-up/ready")
    metrics = daemon.metrics()
    assert metrics.sum("resnextd_requests_total", endpoint="/v2/models/*/infer", model=MODEL,
                       code="200") >= 1
    assert metrics.sum("resnextd_requests_total", endpoint="/v2/models/*/ready", code="404") >= 1
    assert not any("made-up" in value for have in metrics.labels("resnextd_requests_total")
                   for value in have.values())


TRITON = """
import sys
import numpy
import tritonclient.http as triton
client = triton.InferenceServerClient(sys.argv[1])
model, picture = sys.argv[2], open(sys.argv[3], "rb").read()
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
assert client.is_model_ready(model, "1") and not client.is_model_ready("nope")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
assert client.get_model_metadata(model)["outputs"][0]["name"] == "logits"
image = triton.InferInput("image", [1], "BYTES")
image.set_data_from_numpy(numpy.array([picture], dtype=object))
result = client.infer(model, [image], request_id="abc")
assert result.get_response()["id"] == "abc" and result.as_numpy("logits").shape == (1, 10)
top = int(result.as_numpy("probabilities").argmax())
for binary in (True, False):
    wanted = triton.InferRequestedOutput("probabilities", class_count=2, binary_data=binary)
    best = client.infer(model, [image], outputs=[wanted]).as_numpy("probabilities")[0][0]
    best = best.decode() if isinstance(best, bytes) else best
    assert int(best.split(":")[1]) == top, best
numbers = numpy.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(numpy.float32)
found = []
for binary in (True, False):
    tensor = triton.InferInput("input", numbers.shape, "FP32")
    tensor.set_data_from_numpy(numbers, binary_data=binary)
    found.append(client.infer(model, [tensor]).as_numpy("logits"))
assert (found[0] == found[1]).all() and found[0].shape == (2, 10)
try:
    client.infer("nope", [image])
    sys.exit("no exception")
except triton.InferenceServerException as wrong:
    assert "nope" in wrong.message(), wrong
"""


@case(seconds=60)
def tritons_own_client_works(daemon):
    python = os.environ.get("TRITONCLIENT_PYTHON", "/usr/bin/python3")
    probe = subprocess.run([python, "-c", "import tritonclient.http"], capture_output=True)
    if probe.returncode != 0:
        raise harness.Skip("no tritonclient; TRITONCLIENT_PYTHON may name a Python that has it")
    row = goldens(1)[0]
    done = subprocess.run([python, "-c", TRITON, "%s:%d" % daemon.address, MODEL,
                           os.path.join(harness.DATA, row["picture"])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    harness.main()
