#!/usr/bin/python3 -B
"""Pictures in JSON, as clients of TensorFlow Serving, TorchServe, KServe (v1) and Vertex AI send them."""
import base64
import json

import harness
import wire
from harness import case, check_error, check_scores, predictions, reference

NAME = harness.MODEL_NAME
PREDICT = f"/v1/models/{NAME}:predict"
JSON = [("Content-Type", "application/json")]


def text_of(data=None):
    return base64.b64encode(data or reference()[0]).decode()


def send(daemon, body, headers=JSON, path="/classify"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return daemon.ask("POST", path, headers, body)


def check_instances(answer, count):
    assert answer.status == 200 and answer.header("content-type") == "application/json", answer
    body = json.loads(answer.body)
    assert set(body) == {"model", "request_id", "predictions", "timing_ms"}, body
    assert len(body["predictions"]) == count, body
    for entry in body["predictions"]:
        assert set(entry) == {"predictions", "image"}, entry
        check_scores(entry["predictions"], reference()[1])
    return body["predictions"]


def refused(answer, status, code, told):
    error = check_error(answer, status, code)
    assert told in error["message"], error


@case()
def one_image_answers_as_a_jpeg_does(daemon):
    plain = json.loads(daemon.classify(reference()[0]).body)
    text = text_of()
    for picture in ({"b64": text}, text, "data:image/jpeg;base64," + text,
                    {"b64": "DATA:image/jpeg;charset=x;Base64," + text}):
        answer = send(daemon, {"image": picture})
        check_scores(predictions(answer), reference()[1])
        body = json.loads(answer.body)
        assert body.keys() == plain.keys() and body["predictions"] == plain["predictions"], body


@case()
def instances_are_answered_in_order(daemon):
    text = text_of()
    for instance in ({"b64": text}, text, "data:image/jpeg;base64," + text, {"data": text},
                     {"image_bytes": {"b64": text}}, {"image": {"b64": text}}, {"content": text},
                     {"data": {"b64": text}}):
        for count in (1, 3):
            check_instances(send(daemon, {"instances": [instance] * count}), count)
    check_instances(send(daemon, {"signature_name": "serving_default", "instances": [text]}), 1)


@case()
def top_k_is_in_the_query_or_in_parameters(daemon):
    text = text_of()
    for path, more in (("/classify?top_k=2", {}), ("/classify", {"parameters": {"top_k": 2}}),
                       ("/classify?top_k=7", {"parameters": {"top_k": 2}})):
        answer = send(daemon, {"instances": [text], **more}, path=path)
        assert len(json.loads(answer.body)["predictions"][0]["predictions"]) == 2, answer
    check_instances(send(daemon, {"instances": [text], "parameters": None}), 1)
    check_instances(send(daemon, {"instances": [text], "parameters": {"top_k": 1000000}}), 1)
    for wrong in (0, -1, 1.5, "2", True, None, 1 << 62, [], {}):
        answer = send(daemon, {"instances": [text], "parameters": {"top_k": wrong}})
        refused(answer, 400, "parameter_invalid", "top_k")
    for wrong in ({"confidenceThreshold": 0.5}, [], 3):
        answer = send(daemon, {"instances": [text], "parameters": wrong})
        refused(answer, 400, "parameter_invalid", "parameter")


@case()
def json_is_known_by_its_first_byte_or_its_type(daemon):
    body = json.dumps({"image": text_of()}).encode()
    for kind in (None, "application/json", "Application/JSON; charset=utf-8", "text/plain",
                 "application/x-www-form-urlencoded", "image/jpeg"):
        for space in (b"", b"\r\n\t "):
            answer = send(daemon, space + body, [("Content-Type", kind)] if kind else [])
            check_scores(predictions(answer), reference()[1])
    check_scores(predictions(send(daemon, reference()[0])), reference()[1])
    for wrong in (b"[]", b'"text"', b"x", b"\xef\xbb\xbf{}"):
        refused(send(daemon, wrong), 400, "bad_request", "JSON")
        refused(send(daemon, wrong, [("Content-Type", "application/jsonx")]), 415, "not_jpeg", "")
    damaged = send(daemon, {"image": text_of(b"no picture")},
                   [("Content-Type", "application/x-www-form-urlencoded")])
    assert "--data-binary" not in check_error(damaged, 415, "not_jpeg")["message"], damaged


@case()
def base64_is_taken_as_encoders_write_it(daemon):
    picture, text = reference()[0], text_of()
    for form in (base64.encodebytes(picture).decode(), base64.urlsafe_b64encode(picture).decode(),
                 text.rstrip("=")):
        check_instances(send(daemon, {"instances": [{"b64": form}]}), 1)
    # As PHP writes it, and with other escapes.
    php = json.dumps({"image": "data:image/jpeg;base64," + text}).replace("/", "\\/").encode()
    check_scores(predictions(send(daemon, php)), reference()[1])
    for wrong, told in ((text.replace("A", " "), "a space"), (text[:-3] + "!", "character !"), (text + "A", ""),
                        ("data:image/jpeg," + text, "data: URL"), ("data:" + text, "data: URL"),
                        ("https://example.com/a.jpg", "base64"), ("\u0000", "character"), ("\u00ff", "character")):
        refused(send(daemon, {"instances": [text, {"b64": wrong}]}), 400, "bad_request", told)
        refused(send(daemon, {"instances": [text, {"b64": wrong}]}), 400, "bad_request", "instance 1")
        refused(send(daemon, {"image": wrong}), 400, "bad_request", "image: ")


@case()
def one_instance_that_fails_fails_the_request(daemon):
    text = text_of()
    for bad, status, code in ((b"no picture", 415, "not_jpeg"), (reference()[0][:300], 422, "image_undecodable")):
        answer = send(daemon, {"instances": [text, text_of(bad), text]})
        refused(answer, status, code, "instance 1: ")
        refused(send(daemon, {"instances": [text_of(bad)]}), status, code, "instance 0: ")
        assert "results" not in json.loads(answer.body), answer
        check_error(send(daemon, {"image": text_of(bad)}), status, code)
    refused(send(daemon, {"instances": [""]}), 415, "not_jpeg", "instance 0: ")


@case()
def row_95_json_of_another_form_is_refused_and_the_forms_are_told(daemon):
    text = text_of()
    p = {"b64": text}
    for body in ({}, {"instances": []}, {"instances": {}}, {"instances": None}, {"instances": text}, {"images": [p]},
                 {"image": None}, {"image": []}, {"image": [p]}, {"image": 0}, {"image": {}}, {"image": {"b64": 0}},
                 {"image": {"b64": p}}, {"image": {"data": text}}, {"image": p, "instances": [p]},
                 {"instances": [[p]]}, {"instances": [0]}, {"instances": [None]}, {"instances": [{}]},
                 {"instances": [{"b64": text, "key": text[:4]}]}, {"instances": [{"b64": {"b64": text}}]},
                 {"instances": [{"b64": text, "key": "a"}] * 16}, {"instances": [{"picture": p}]},
                 {"instances": [{"image": {"image": p}}]}, {"inputs": [p]},
                 {"instances": [p], "seed": 1}, {"instances": [[[0.5, 0.5]]]}, [], [p], [text], text, 0, None):
        error = check_error(send(daemon, body), 400, "bad_request")
        for form in ('{"instances":[{"b64":"..."}, ...]}', '{"image":{"b64":"..."}}', "data: URL"):
            assert form in error["message"], (body if len(str(body)) < 99 else "", error)
    refused(send(daemon, {"instances": [p], "signature_name": "other"}), 400, "bad_request", "serving_default")


@case()
def row_95_hostile_json_is_refused(daemon):
    text = text_of().encode()
    deep = b'{"instances":' + b"[" * 100000
    for body, status in (
            (b"{", 400), (b'{"', 400), (b'{"instances":["' + text, 400), (b'{"image":"' + text + b'"', 400),
            (b'{"image":"' + text + b'"}}', 400), (b'{"image":"' + text + b'"} {}', 400), (deep, 400),
            (deep + b"]" * 100000 + b"}", 400), (b'{"a":' * 50000, 400), (b'{"instances":[' + b"{}," * 100000 + b"{}]}", 400),
            (b'{"instances":[' + b"0," * 20000 + b"0]}", 413), (b'{"instances":[' + b'"",' * 20000 + b'""]}', 413),
            (b'{"image":"' + text + b'","image":"' + text + b'"}', 400), (b'{"image\x00":"' + text + b'"}', 400),
            (b'{"im\\u0000age":"' + text + b'"}', 400), (b'{"image":"\x00"}', 400), (b'{"\xff\xfe":"x"}', 400),
            (b'{"image":"\xff\xd8\xff"}', 400), (b'{"image":"' + text + b'\\"}', 400), (b'{"image":"\\ud800"}', 400),
            (b"{'image':'x'}", 400), (b'{"image":"' + text + b'",}', 400), (b'{"image":1e999}', 400),
            (b'{"' + b"k" * 100000 + b'":0}', 400), (b'{"image":"0","image":"' + text + b'"}', 400)):
        answer = send(daemon, body)
        assert answer.status == status, (body[:60], answer)
        check_error(answer, status, "bad_request" if status == 400 else "too_many_parts")
    check_scores(predictions(send(daemon, {"image": text.decode()})), reference()[1])


@case(["--max-parts", "2"])
def row_95_more_instances_than_max_parts_are_413(daemon):
    text = text_of()
    check_instances(send(daemon, {"instances": [text] * 2, "signature_name": "serving_default"}), 2)
    for count in (3, 4, 1000):
        refused(send(daemon, {"instances": [text_of(b"x")] * count}), 413, "too_many_parts", "max_parts")


@case()
def every_cut_of_json_is_an_error_and_never_a_crash(daemon):
    body = json.dumps({"instances": [{"image_bytes": {"b64": "/9j/"}}, "data:image/jpeg;base64,/9j/2Q=="],
                       "parameters": {"top_k": 1}}).encode()
    with daemon.connect() as connection:
        for cut in range(1, len(body)):
            answer = connection.ask("POST", "/classify", JSON, body[:cut])
            assert answer.status == 400, (cut, answer)


@case()
def embed_and_explain_take_one_image(daemon):
    data, text = reference()[0], text_of()
    for path in ("/embed", "/explain?format=json", "/explain"):
        assert send(daemon, {"image": {"b64": text}}, path=path).body == daemon.ask("POST", path, body=data).body
        refused(send(daemon, {"instances": [text]}, path=path), 400, "bad_request", "one picture")


@case()
def kserves_v1_paths_are_served(daemon):
    text = text_of()
    for instance in ({"b64": text}, {"data": text}, {"image": {"b64": text}}):
        check_instances(send(daemon, {"instances": [instance] * 2}, path=PREDICT), 2)
    answer = daemon.get(f"/v1/models/{NAME}")
    assert (answer.status, json.loads(answer.body)) == (200, {"name": NAME, "ready": True}), answer
    for method, path, status in (("GET", "/v1/models/none", 404), ("POST", "/v1/models/none:predict", 404),
                                 ("POST", f"/v1/models/{NAME}", 405), ("POST", f"{PREDICT}x", 404),
                                 ("POST", f"/v1/models/{NAME}:explain", 404), ("GET", PREDICT, 405),
                                 ("POST", "/v1/models/:predict", 404), ("POST", f"{PREDICT}?top_k=2", 400)):
        answer = daemon.ask(method, path, body=json.dumps({"instances": [text]}).encode() if method == "POST" else None)
        assert answer.status == status and isinstance(json.loads(answer.body)["error"], str), (path, answer)
    for body, status in (({"instances": [text_of(b"x")]}, 415), ({"instances": []}, 400), ({"image": text}, 400),
                         (reference()[0], 400)):
        answer = send(daemon, body, path=PREDICT)
        assert answer.status == status and list(json.loads(answer.body)) == ["error"], answer
    bad = ("a", "a.jpg", None, b"no picture")
    answer = send(daemon, wire.multipart([bad, bad]), [wire.form_type()], PREDICT)
    assert answer.status == 400 and isinstance(json.loads(answer.body)["error"], str), answer


@case(own=True)
def row_95_json_takes_no_more_memory_than_its_body(daemon):
    assert send(daemon, {"image": text_of()}).status == 200
    body = {"image": "A" * (12 << 20)}
    daemon.reset_peak()
    before = daemon.peak()
    refused(send(daemon, body), 415, "not_jpeg", "JPEG")
    assert harness.SANITIZER or daemon.peak() - before < 20 << 20, (before, daemon.peak())


if __name__ == "__main__":
    harness.main()
