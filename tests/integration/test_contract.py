#!/usr/bin/python3 -B
"""/openapi.json describes what the daemon answers, and the page's files are served as they should be.
(tests/http/test_router.c compares the contract with the routes.)"""
import base64
import json
import os
import re
import subprocess

import harness
import schema
import wire
from harness import case, reference

PAGE = ["/", "/assets/style.css", "/assets/app.js", "/assets/live.js", "/assets/map.js",
        "/assets/picture.js", "/assets/icon.svg", "/openapi.json"]


def contract(daemon):
    answer = daemon.get("/openapi.json")
    assert answer.status == 200 and answer.header("content-type") == "application/json", answer
    return json.loads(answer.body)


def check_answer(document, path, method, answer):
    """Status, content type, headers and body are described, and are as described."""
    responses = document["paths"][path][method]["responses"]
    assert str(answer.status) in responses, f"{method} {path} answers {answer}"
    promised = schema.resolve(document, responses[str(answer.status)])
    for name, header in promised.get("headers", {}).items():
        header = schema.resolve(document, header)
        value = answer.header(name)
        assert value is not None or not header.get("required"), f"{path}: no {name}: {answer}"
        if value is None:
            continue
        if header["schema"]["type"] == "integer":
            value = int(value)
        schema.check(document, header["schema"], value, name)
    kind = answer.header("content-type").split(";")[0]
    if "content" not in promised:
        assert not answer.body, answer
        return
    assert kind in promised["content"], f"{path}: {kind} is not described"
    body = json.loads(answer.body) if kind == "application/json" else answer.body.decode("latin-1")
    schema.check(document, promised["content"][kind]["schema"], body, path)


@case(own=None)
def the_checker_finds_what_is_wrong():
    document = {"components": {"a": {"type": "integer", "minimum": 1}}}
    one = {"type": "object", "required": ["n"], "additionalProperties": False,
           "properties": {"n": {"$ref": "#/components/a"}}}
    schema.check(document, one, {"n": 1})
    for bad in ({}, {"n": 0}, {"n": "1"}, {"n": True}, {"n": 1, "m": 1}, [], None):
        try:
            schema.check(document, one, bad)
        except schema.Mismatch:
            continue
        raise AssertionError(f"{bad} passed")
    try:
        schema.check(document, {"multipleOf": 2}, 3)
    except KeyError:
        return
    raise AssertionError("an unknown keyword passed")


@case()
def every_get_answers_as_described(daemon):
    document = contract(daemon)
    assert document["openapi"].startswith("3.1"), document["openapi"]
    asked = 0
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            check_answer(document, path, "get", daemon.get(path))
            asked += 1
    assert asked >= 13, asked


@case()
def classify_answers_as_described(daemon):
    document = contract(daemon)
    data, _ = reference()
    good, bad = ("a", "a.jpg", None, data), ("b", "b.jpg", None, b"no picture")
    form, text = [wire.form_type()], base64.b64encode(data).decode()
    instances = json.dumps({"instances": [{"b64": text}, text]}).encode()
    image = json.dumps({"image": "data:image/jpeg;base64," + text}).encode()
    wanted = {200: [(data, [], ""), (data, [], "?top_k=10"), (wire.multipart([good, good]), form, ""),
                    (wire.multipart([good, bad]), form, ""), (instances, [], ""), (image, [], "?top_k=2")],
              400: [(b"", [], ""), (b"{}", [], ""), (data, [], "?top_k=0"), (b"x", form, "")],
              404: [(data, [], "?model=none")],
              415: [(b"no picture", [], ""), (data, [("Content-Encoding", "gzip")], "")],
              417: [(data, [("Expect", "x")], "")],
              422: [(data[:300], [], ""), (wire.multipart([bad, bad]), form, "")]}
    for status, calls in wanted.items():
        for body, headers, query in calls:
            answer = daemon.classify(body, headers, query)
            assert answer.status == status, (status, query, answer)
            check_answer(document, "/classify", "post", answer)
    chunked = wire.request("POST", "/classify", [("Transfer-Encoding", "gzip, chunked")])
    answer = daemon.send_raw(chunked + b"0\r\n\r\n")
    if not harness.is_refused_by_library(answer, b"Unsupported Transfer-Encoding"):
        assert answer.status == 501, answer
        check_answer(document, "/classify", "post", answer)


@case()
def embed_and_explain_answer_as_described(daemon):
    document = contract(daemon)
    data, _ = reference()
    raw = [("Accept", "application/octet-stream")]
    for path, query, headers, status, kind in (
            ("/embed", "", [], 200, "application/json"), ("/embed", "?normalize=1", [], 200, "application/json"),
            ("/embed", "", raw, 200, "application/octet-stream"), ("/embed", "?normalize=2", [], 400, None),
            ("/explain", "", [], 200, "image/jpeg"), ("/explain", "?format=json", [], 200, "application/json"),
            ("/explain", "?format=json&class=cat", [], 200, "application/json"),
            ("/explain", "?class=none", [], 400, None), ("/explain", "?model=none", [], 404, None)):
        answer = daemon.ask("POST", path + query, headers, data)
        assert answer.status == status, (path, query, answer)
        assert kind is None or answer.header("content-type") == kind, answer
        check_answer(document, path, "post", answer)
    for path in ("/embed", "/explain"):
        for body, status in ((b"", 400), (b"no picture", 415), (data[:300], 422)):
            answer = daemon.ask("POST", path, body=body)
            assert answer.status == status, answer
            check_answer(document, path, "post", answer)


@case()
def the_v1_protocol_answers_as_described(daemon):
    document = contract(daemon)
    base = "/v1/models/{name}"
    for name, status in ((harness.MODEL_NAME, 200), ("none", 404)):
        answer = daemon.get(base.replace("{name}", name))
        assert answer.status == status, answer
        check_answer(document, base, "get", answer)
    text = base64.b64encode(reference()[0]).decode()
    for request, status in (({"instances": [{"b64": text}] * 2}, 200), ({"instances": []}, 400),
                            ({"instances": [{"b64": "AAAA"}]}, 415), ({"instances": [text[:400]]}, 422)):
        answer = daemon.ask("POST", base.replace("{name}", harness.MODEL_NAME) + ":predict", [],
                            json.dumps(request).encode())
        assert answer.status == status, answer
        check_answer(document, base + ":predict", "post", answer)


@case()
def the_inference_protocol_answers_as_described(daemon):
    document = contract(daemon)
    base, name = "/v2/models/{name}", harness.MODEL_NAME
    for path in (base, base + "/ready", base + "/versions/{version}", base + "/versions/{version}/ready"):
        for model, version, status in ((name, "1", 200), ("none", "1", 404), (name, "2", 404)):
            answer = daemon.get(path.replace("{name}", model).replace("{version}", version))
            if "{version}" in path or version == "1":
                assert answer.status == status, answer
                check_answer(document, path, "get", answer)
    image = {"name": "image", "shape": [1], "datatype": "BYTES",
             "data": [base64.b64encode(reference()[0]).decode()]}
    binary = {"inputs": [image], "parameters": {"binary_data_output": True}}
    top = {"name": "probabilities", "parameters": {"classification": 3}}
    for path in (base + "/infer", base + "/versions/{version}/infer"):
        for request, status in (({"inputs": [image]}, 200), ({"id": "7", "inputs": [image], "outputs": [top]}, 200),
                                (binary, 200), ({"inputs": []}, 400), ({"inputs": [{**image, "data": ["AAAA"]}]}, 415)):
            target = path.replace("{name}", name).replace("{version}", "1")
            answer = daemon.ask("POST", target, body=json.dumps(request).encode())
            assert answer.status == status, (request, answer)
            is_binary = answer.header("content-type") == "application/octet-stream"
            assert is_binary == (request is binary), answer
            check_answer(document, path, "post", answer)


@case(["--max-body-bytes", "1024", "--workers", "1", "--queue-limit", "1"])
def a_body_that_is_too_large_answers_as_described(daemon):
    answer = daemon.ask("POST", "/classify", body=bytes(2000000))
    assert answer.status == 413, answer
    check_answer(contract(daemon), "/classify", "post", answer)


@case(own=None)
def a_server_that_wants_keys_answers_as_described():
    key = "a-key-of-some-length"
    made = subprocess.run([harness.DAEMON, "--hash-api-key"], input=key, text=True, capture_output=True, check=True)
    keys = harness.write("keys", made.stdout)
    os.chmod(keys, 0o600)
    with harness.Daemon(["--api-keys", keys], wait=False) as daemon:
        assert daemon.notified(10 * harness.SLOW), daemon.log()
        document = contract(daemon)
        for path, method in (("/classify", "post"), ("/models", "get")):
            answer = daemon.ask(method.upper(), path, body=reference()[0] if method == "post" else None)
            assert answer.status == 401, answer
            check_answer(document, path, method, answer)
            again = daemon.ask(method.upper(), path, [("Authorization", f"Bearer {key}")],
                               reference()[0] if method == "post" else None)
            assert again.status == 200, again
        for path in ("/", "/assets/app.js", "/openapi.json", "/livez", "/readyz", "/health", "/metrics"):
            assert daemon.get(path).status == 200, path


@case(own=None)
def the_admin_listener_answers_as_described():
    address = harness.free_port()
    with harness.Daemon(["--admin-listen", "%s:%d" % address]) as daemon:
        document = contract(daemon)
        for path, method in (("/metrics", "get"), ("/admin/reload", "post")):
            answer = daemon.ask(method.upper(), path)
            assert answer.status == 404, answer
            check_answer(document, path, method, answer)
            with wire.Connection(address, 20 * harness.SLOW) as admin:
                answer = admin.ask(method.upper(), path)
            assert answer.status == 200, answer
            check_answer(document, path, method, answer)


@case(own=None)
def a_draining_server_answers_as_described():
    with harness.Daemon(["--drain-grace-ms", str(int(3000 * max(1, harness.SLOW / 4)))]) as daemon:
        document = contract(daemon)
        daemon.process.terminate()
        harness.wait_until("not ready", lambda: daemon.get("/readyz").status == 503)
        for path in ("/readyz", "/health"):
            answer = daemon.get(path)
            assert answer.status == 503, answer
            check_answer(document, path, "get", answer)


@case()
def every_status_of_an_error_is_described(daemon):
    """Each status of errors.def is described somewhere."""
    document = contract(daemon)
    described = {int(status) for operations in document["paths"].values()
                 for operation in operations.values() for status in operation["responses"]}
    with open(harness.TOP + "/src/base/errors.def") as file:
        statuses = {int(s) for s in re.findall(r"^E\(\w+, (\d+),", file.read(), re.M)}
    unheard = {405, 408, 499, 500}  # no answer to a described call, or no answer at all
    assert statuses - unheard <= described, statuses - unheard - described


@case()
def the_pages_files_have_types_and_tags(daemon):
    kinds = {"/": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
             ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json"}
    for path in PAGE:
        answer = daemon.get(path)
        kind = next(k for end, k in kinds.items() if path.endswith(end))
        assert answer.status == 200 and answer.header("content-type") == kind, answer
        assert answer.header("x-content-type-options") == "nosniff", answer
        policy = answer.header("content-security-policy")
        assert policy.startswith("default-src 'none';") and "unsafe" not in policy, policy
        assert "*" not in policy and "http" not in policy, policy
        tag = answer.header("etag")
        assert re.fullmatch(r'"[0-9a-f]{32}"', tag), tag
        for tags in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = daemon.ask("GET", path, [("If-None-Match", tags)])
            assert (again.status, again.body, again.header("etag")) == (304, b"", tag), again
        assert daemon.ask("GET", path, [("If-None-Match", '"other"')]).body == answer.body
        with daemon.connect() as connection:
            head = connection.ask("HEAD", path)
            assert head.header("content-length") == str(len(answer.body)) and not head.body, head
            assert connection.ask("GET", path, [("If-None-Match", tag)]).status == 304
            assert connection.ask("GET", path).body == answer.body
    assert daemon.metrics().sum("resnextd_requests_total", endpoint="/", code="304") > 0
    assert daemon.metrics().sum("resnextd_requests_total", code="other") == 0


@case()
def the_page_needs_nothing_from_elsewhere(daemon):
    paths = set()
    for path in PAGE:
        text = daemon.get(path).body.decode()
        outside = set(re.findall(r"https?://[^\s\"'<`]+", text)) - {"http://www.w3.org/2000/svg"}
        assert {u for u in outside if "127.0.0.1" not in u} == set(), f"{path}: {outside}"
        if path == "/":
            assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", text), "inline"
            paths |= {"/" + p for p in re.findall(r'(?:src|href)="([^"#]+)', text)}
        elif path.endswith(".js"):
            paths |= {"/assets/" + p for p in re.findall(r'from "\./([^"]+)"', text)}
    assert {"/assets/app.js", "/assets/map.js", "/assets/style.css", "/assets/icon.svg"} <= paths, paths
    for path in paths:
        assert daemon.get(path).status == 200, path


if __name__ == "__main__":
    harness.main()
