#!/usr/bin/python3 -B
"""Keys and web pages of other origins."""
import base64
import json
import os
import re
import subprocess

import harness
import jpegs
import wire
from harness import (SLOW, Daemon, case, check_error, check_scores, path, predictions, reference,
                     refuse)

KEY, SECOND = "0123456789abcdef-the-first", "fedcba9876543210-the-second"


# Headers that show a key besides what a proxy adds.
BESIDE = [[("Authorization", "Bearer of-a-proxy"), ("X-API-Key", KEY)],
          [("X-API-Key", KEY), ("Authorization", "Bearer of-a-proxy")],
          [("Authorization", f"Bearer {KEY}"), ("X-API-Key", "of-a-proxy")],
          [("X-API-Key", "of-a-proxy"), ("x-api-key", KEY)],
          [("X-API-Key", KEY), ("X-API-Key", "of-a-proxy"), ("X-API-Key", "")],
          [("Authorization", "Basic dXNlcjpwYXNz"), ("Authorization", f"Bearer {KEY}")],
          [("Authorization", "Bearer of-a-proxy"), ("Authorization", f"Bearer {KEY}")],
          [("Authorization", f"Bearer {KEY}"), ("X-API-Key", KEY)]]


def line_of(key):
    """What --hash-api-key prints."""
    done = subprocess.run([harness.DAEMON, "--hash-api-key"], input=key + "\n", text=True,
                          capture_output=True, env=harness.environment())
    assert done.returncode == 0 and not done.stderr, done
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout), done
    return done.stdout.strip()


def key_file(name, *lines):
    with open(path(name), "w") as file:
        file.write("".join(line + "\n" for line in lines))
    os.chmod(path(name), 0o600)
    return path(name)


def bearer(key):
    return [("Authorization", f"Bearer {key}")]


def guarded(*options, lines=None):
    """A daemon that wants a key, which the harness shows."""
    keys = key_file("keys", *(lines or ["# ours", "", line_of(KEY) + " gallery", line_of(SECOND)]))
    daemon = Daemon(["--api-keys", keys, *options], wait=False)
    daemon.headers = bearer(KEY)
    assert daemon.notified(10 * SLOW), daemon.log()
    return daemon


def check_unauthorized(answer):
    check_error(answer, 401, "unauthorized")
    assert answer.header("www-authenticate").startswith("Bearer"), answer


@case(own=None)
def a_key_is_needed_for_all_but_health_and_metrics():
    data, scores = reference()
    with guarded() as daemon, daemon.connect() as connection:
        for target in ("/livez", "/readyz", "/health", "/metrics"):
            assert connection.ask("GET", target).status == 200, target
        for method, target, body in (("POST", "/classify", data), ("GET", "/models", None),
                                     ("GET", "/nothing", None), ("POST", "/livez/..", b""),
                                     ("GET", "/classify", None), ("OPTIONS", "/classify", None)):
            check_unauthorized(connection.ask(method, target, body=body))
        for headers in (bearer(KEY), bearer(SECOND), [("X-API-Key", KEY)],
                        [("Authorization", "Basic dXNlcjpwYXNz"), ("X-API-Key", KEY)],
                        [("Authorization", f"bearer  {KEY}")], *BESIDE):
            answer = connection.ask("POST", "/classify", headers, data)
            check_scores(predictions(answer), scores)
        for headers in (bearer(KEY + "x"), bearer(KEY[:-1]), bearer(""), bearer(line_of(KEY)),
                        [("Authorization", f"Basic {KEY}")], [("Authorization", KEY)],
                        [("X-API-Key", "")], [("X-API-Key", f"Bearer {KEY}")], bearer("x" * 20000),
                        [("Authorization", "Bearer nonsense"), ("X-API-Key", "nonsense")],
                        [("Authorization", f"Basic {KEY}"), ("X-API-Key", f"Bearer {KEY}")]):
            check_unauthorized(connection.ask("POST", "/classify", headers, data))
        assert daemon.metrics().sum("resnextd_rejected_total", reason="unauthorized") == 17


@case(own=None)
def the_key_that_is_known_is_the_one_in_the_log():
    with guarded() as daemon, daemon.connect() as connection:
        for headers in BESIDE:
            line, = daemon.lines_of(lambda headers=headers: connection.ask("GET", "/models", headers))
            assert 'key="gallery"' in line and "status=200" in line, line


@case(own=None)
def all_that_uses_a_model_needs_a_key_and_probes_and_page_do_not():
    data, _ = reference()
    model = f"/v2/models/{harness.MODEL_NAME}"
    image = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                    "data": [base64.b64encode(data).decode()]}]}).encode()
    with guarded() as daemon, daemon.connect() as connection:
        images = daemon.metrics().sum("resnextd_images_total")
        for target in ("/embed", "/explain"):
            check_unauthorized(connection.ask("POST", target, body=data))
        calls = [("GET", "/v2", None), ("GET", model, None), ("GET", model + "/ready", None),
                 ("POST", model + "/infer", image), ("POST", model + "/versions/1/infer", image)]
        for method, target, body in calls:
            answer = connection.ask(method, target, body=body)
            assert answer.status == 401 and answer.header("www-authenticate").startswith("Bearer"), answer
            assert list(json.loads(answer.body)) == ["error"], answer
        assert daemon.metrics().sum("resnextd_images_total") == images
        for method, target, body in (("POST", "/embed", data), ("POST", "/explain", data), *calls):
            assert connection.ask(method, target, bearer(KEY), body).status == 200, target
        for target in ("/v2/health/live", "/v2/health/ready", "/", "/assets/app.js", "/openapi.json"):
            assert connection.ask("GET", target).status == 200, target


@case(own=None)
def a_large_upload_without_a_key_is_not_read():
    with guarded() as daemon, daemon.connect() as connection:
        connection.send(wire.request("POST", "/classify", [("Expect", "100-continue"),
                                                           ("Content-Length", "9000000")]))
        check_unauthorized(connection.read())
        images = daemon.metrics().sum("resnextd_images_total")
        check_unauthorized(wire_classify(daemon, jpegs.slow(1)))
        assert daemon.metrics().sum("resnextd_images_total") == images


def wire_classify(daemon, data):
    with daemon.connect() as connection:
        return connection.ask("POST", "/classify", body=data)


@case(own=None)
def keys_never_reach_the_log():
    data, _ = reference()
    for form in ("text", "json"):
        with guarded("--log-format", form, "--log-level", "debug") as daemon:
            wrong = "wrong-0123456789abcdef"
            for headers in (bearer(KEY), [("X-API-Key", KEY)], bearer(wrong), [("X-API-Key", wrong)],
                            [("Authorization", f"Basic {wrong}")]):
                with daemon.connect() as connection:
                    connection.ask("POST", "/classify?top_k=2", [*headers, ("X-Request-Id", "q")], data)
            daemon.stop()
            log = daemon.log()
            for secret in (KEY, wrong, line_of(KEY), "Bearer", "Authorization", "X-API-Key"):
                assert secret not in log, f"{secret} in the log"
            lines = [line for line in log.splitlines()
                     if "/classify" in line and not re.search(r"status\W+401", line)]
            assert len(lines) == 2 and all("gallery" in line for line in lines), log


@case(own=None)
def a_reload_reads_the_keys_anew():
    with guarded() as daemon:
        third = "another-key-of-some-length"
        check_unauthorized(ask_with(daemon, third))
        key_file("keys", line_of(third))
        assert ask_with(daemon, KEY).status == 200, "not before the reload"
        daemon.reload()
        check_unauthorized(ask_with(daemon, KEY))
        assert ask_with(daemon, third).status == 200
        key_file("keys", "garbage")
        daemon.reload()
        assert ask_with(daemon, third).status == 200, "a failed reload changes nothing"
        assert daemon.metrics().sum("resnextd_reloads_total", result="failed") == 1


def ask_with(daemon, key):
    with daemon.connect() as connection:
        return connection.ask("POST", "/classify", bearer(key), reference()[0])


@case(own=None)
def a_key_is_needed_to_reload():
    admin = path("keys-admin.sock")
    with guarded("--admin-listen", f"unix:{admin}") as daemon:
        with wire.Connection(admin, 10 * SLOW) as connection:
            check_unauthorized(connection.ask("POST", "/admin/reload", body=b""))
            assert connection.ask("GET", "/metrics").status == 200
            assert connection.ask("POST", "/admin/reload", bearer(KEY)).status == 200
        daemon.good()


@case(own=None)
def a_file_that_everybody_can_read_is_warned_of():
    with guarded() as daemon:
        assert "can be read by everybody" not in daemon.log()
        os.chmod(path("keys"), 0o644)
        daemon.reload()
        assert all(word in daemon.log() for word in ("warning", "can be read by everybody", "LoadCredential"))


@case(own=None)
def files_that_are_no_keys_stop_the_start():
    for lines in ([], ["# none"], ["abc"], [KEY], ["0" * 63], ["0" * 65], ["0" * 64 + " two names"]):
        log = refuse(["--api-keys", key_file("bad", *lines)], ["bad"])
        assert KEY not in log
    refuse(["--api-keys", path("missing")], ["missing"])
    refuse(["--api-keys", harness.WORK], [harness.WORK])
    refuse(["--api-keys", "credential:keys"], ["LoadCredential"])


@case(own=None)
def a_short_key_is_not_hashed():
    for key in ("", "short", "0123456789abcd", "with blanks in the middle", "\x01" * 20, "x" * 2000):
        done = subprocess.run([harness.DAEMON, "--hash-api-key"], input=key, text=True,
                              capture_output=True, env=harness.environment())
        assert done.returncode != 0 and not done.stdout and len(done.stderr.splitlines()) == 1, done
        assert len(key) < 5 or key not in done.stderr, done


# --- CORS ---

ORIGIN = "https://photos.example"
PREFLIGHT = [("Access-Control-Request-Method", "POST"),
             ("Access-Control-Request-Headers", "content-type,x-api-key")]


def cors(answer):
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


@case()
def without_cors_origin_there_is_no_cors(daemon):
    answer = daemon.ask("OPTIONS", "/classify", [("Origin", ORIGIN), *PREFLIGHT])
    check_error(answer, 405)
    assert not cors(answer) and not cors(daemon.ask("GET", "/models", [("Origin", ORIGIN)]))


@case(["--cors-origin", ORIGIN])
def the_one_origin_may_and_others_may_not(daemon):
    data = reference()[0]
    answer = daemon.ask("OPTIONS", "/classify", [("Origin", ORIGIN), *PREFLIGHT])
    assert answer.status == 204 and not answer.body, answer
    assert cors(answer)["access-control-allow-origin"] == ORIGIN
    assert "POST" in cors(answer)["access-control-allow-methods"]
    assert cors(answer)["access-control-allow-headers"] == "content-type,x-api-key"
    for status, answer in ((200, daemon.classify(data, [("Origin", ORIGIN)])),
                           (415, daemon.classify(b"x", [("Origin", ORIGIN)]))):
        assert answer.status == status, answer
        assert cors(answer)["access-control-allow-origin"] == ORIGIN, answer
        assert answer.header("vary") == "Origin"
    for target in ("/embed", "/explain"):
        answer = daemon.ask("POST", target, [("Origin", ORIGIN)], data)
        assert answer.status == 200 and cors(answer)["access-control-allow-origin"] == ORIGIN, answer
    answer = daemon.ask("OPTIONS", f"/v2/models/{harness.MODEL_NAME}/infer", [("Origin", ORIGIN), *PREFLIGHT])
    assert answer.status == 204 and cors(answer)["access-control-allow-origin"] == ORIGIN, answer
    for other in ("https://evil.example", ORIGIN + ".evil.example", "http://photos.example", "null", ""):
        for answer in (daemon.classify(data, [("Origin", other)]),
                       daemon.ask("OPTIONS", "/classify", [("Origin", other), *PREFLIGHT])):
            assert not cors(answer), (other, answer)
            assert answer.header("vary").split(", ")[0] == "Origin"
    check_error(daemon.ask("OPTIONS", "/nothing", [("Origin", ORIGIN), *PREFLIGHT]), 404)
    check_error(daemon.ask("OPTIONS", "/classify"), 405)


ASKED = ["authorization", "authorization,content-type,x-api-key", "x-request-id, traceparent",
         "Authorization ,\tX-Of-A-Library", "sentry-trace,baggage,x-request-timeout-ms",
         "inference-header-content-length", "!#$%&'*+-.^_`|~09", "*", ",".join(["x" * 31] * 32)]
NOT_A_LIST = ["", ",", "a,", ",a", "a,,b", "a b", "a;b", "a:b", "a\"b\"", "(a)", "\xe4", "a/b",
              "x" * 1025, ",".join(["x"] * 600)]


@case(["--cors-origin", ORIGIN])
@case(["--cors-origin", "*"])
def a_page_may_send_the_headers_that_it_asks_for(daemon):
    for asked in (*ASKED, *NOT_A_LIST):
        answer = daemon.ask("OPTIONS", "/classify", [("Origin", ORIGIN), *PREFLIGHT[:1],
                                                     ("Access-Control-Request-Headers", asked)])
        assert answer.status == 204, (asked, answer)
        allowed = cors(answer).get("access-control-allow-headers")
        assert allowed == (asked if asked in ASKED else None), (asked, answer)
        assert "Access-Control-Request-Headers" in answer.header("vary"), answer
    answer = daemon.ask("OPTIONS", "/classify", [("Origin", ORIGIN), *PREFLIGHT[:1]])
    assert answer.status == 204 and "access-control-allow-headers" not in cors(answer), answer


@case(own=None)
def a_server_of_a_private_network_opens_to_the_origin_that_is_named():
    for configured, origin, expected in ((ORIGIN, ORIGIN, "true"), ("*", ORIGIN, None),
                                         (ORIGIN, "https://evil.example", None)):
        with Daemon(["--cors-origin", configured], wait=False) as daemon:
            assert daemon.notified(10 * SLOW), daemon.log()
            asked = ("Access-Control-Request-Private-Network", "true")
            answer = daemon.ask("OPTIONS", "/classify", [("Origin", origin), *PREFLIGHT, asked])
            assert cors(answer).get("access-control-allow-private-network") == expected, answer
            answer = daemon.ask("OPTIONS", "/classify", [("Origin", origin), *PREFLIGHT])
            assert "access-control-allow-private-network" not in cors(answer), answer


# What scripts can read of any answer (Fetch standard, CORS-safelisted response-header names), and what
# is for the browser or its connection.
SAFELISTED = {"cache-control", "content-language", "content-length", "content-type", "expires",
              "last-modified", "pragma"}
FOR_THE_BROWSER = {"connection", "date", "vary", "x-content-type-options", "content-security-policy",
                   "referrer-policy"}


@case(own=None)
def a_page_can_read_every_answer_and_its_headers():
    data = reference()[0]
    model = f"/v2/models/{harness.MODEL_NAME}"
    with guarded("--cors-origin", ORIGIN, "--max-body-bytes", "100000") as daemon:
        asked = [(200, "POST", "/classify", bearer(KEY), data),
                 (200, "POST", "/embed", [*bearer(KEY), ("Accept", "application/octet-stream")], data),
                 (200, "POST", "/explain", bearer(KEY), data),
                 (200, "GET", model, [("X-API-Key", KEY)], None),
                 (200, "GET", "/openapi.json", [], None), (200, "HEAD", "/", [], None),
                 (304, "GET", "/", [("If-None-Match", "*")], None),
                 (400, "POST", model + "/infer", bearer(KEY), b"{"),
                 (401, "POST", "/classify", [], data), (401, "GET", "/models", bearer("x" * 20), None),
                 (404, "GET", "/nothing", bearer(KEY), None), (405, "PUT", "/classify", bearer(KEY), None),
                 (413, "POST", "/classify", bearer(KEY), bytes(100001)),
                 (415, "POST", "/classify", bearer(KEY), b"x")]
        for status, method, target, headers, body in asked:
            with daemon.connect() as connection:
                answer = connection.ask(method, target, [("Origin", ORIGIN), *headers], body)
            assert answer.status == status, (status, target, answer)
            assert cors(answer)["access-control-allow-origin"] == ORIGIN, answer
            exposed = set(cors(answer)["access-control-expose-headers"].lower().split(", "))
            names = {name for name, _ in answer.headers} - set(cors(answer))
            assert names - SAFELISTED - FOR_THE_BROWSER <= exposed, (answer, exposed)
            assert {"x-request-id", "retry-after"} <= exposed, exposed


@case(["--cors-origin", "*"])
def a_star_is_for_every_origin(daemon):
    answer = daemon.ask("GET", "/openapi.json")
    assert cors(answer)["access-control-allow-origin"] == "*", "a cache may keep it for a page"
    for origin in (ORIGIN, "https://other.example"):
        answer = daemon.ask("GET", "/models", [("Origin", origin)])
        assert cors(answer)["access-control-allow-origin"] == "*", answer


@case(own=None)
def no_page_may_look_at_the_admin_front():
    host, port = harness.free_port()
    for origin in ("*", ORIGIN):
        with Daemon(["--cors-origin", origin, "--admin-listen", f"{host}:{port}"], wait=False) as daemon:
            assert daemon.notified(10 * SLOW), daemon.log()
            assert cors(daemon.ask("GET", "/health", [("Origin", ORIGIN)]))
            with wire.Connection((host, port), 10 * SLOW) as admin:
                for target in ("/metrics", "/health", "/nothing"):
                    answer = admin.ask("GET", target, [("Origin", ORIGIN)])
                    assert not cors(answer) and not answer.header("vary"), answer
                answer = admin.ask("OPTIONS", "/admin/reload", [("Origin", ORIGIN), *PREFLIGHT])
                check_error(answer, 405)
                assert not cors(answer), answer


@case(own=None)
def a_preflight_needs_no_key():
    with guarded("--cors-origin", ORIGIN) as daemon, daemon.connect() as connection:
        answer = connection.ask("OPTIONS", "/classify", [("Origin", ORIGIN), *PREFLIGHT])
        assert answer.status == 204 and cors(answer), answer
        answer = connection.ask("POST", "/classify", [("Origin", ORIGIN)], reference()[0])
        check_unauthorized(answer)
        assert cors(answer)["access-control-allow-origin"] == ORIGIN, "the page must see why"


@case(own=None)
def an_origin_that_is_none_stops_the_start():
    for text in ("photos.example", "https://", "https://a/b", "https://a b", "https://a\r\nX: y", "**",
                 "https://Photos.example", "https://photos.example:443", "http://photos.example:80",
                 "https://photos.example/", "photos.example:8443"):
        refuse(["--cors-origin", text], ["cors_origin"])


if __name__ == "__main__":
    harness.main()
