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
                                     ("GET", "/nothing", None), ("POST", "/livez/..", None),
                                     ("GET", "/classify", None), ("OPTIONS", "/classify", None)):
            check_unauthorized(connection.ask(method, target, body=body))
        for headers in (bearer(KEY), bearer(SECOND), [("X-API-Key", KEY)],
                        [("Authorization", "Basic dXNlcjpwYXNz"), ("X-API-Key", KEY)],
                        [("Authorization", f"bearer  {KEY}")]):
            answer = connection.ask("POST", "/classify", headers, data)
            check_scores(predictions(answer), scores)
        for headers in (bearer(KEY + "x"), bearer(KEY[:-1]), bearer(""), bearer(line_of(KEY)),
                        [("Authorization", f"Basic {KEY}")], [("Authorization", KEY)],
                        [("X-API-Key", "")], [("X-API-Key", f"Bearer {KEY}")], bearer("x" * 20000),
                        [("Authorization", "Bearer nonsense"), ("X-API-Key", KEY)]):
            check_unauthorized(connection.ask("POST", "/classify", headers, data))
        assert daemon.metrics().sum("resnextd_rejected_total", reason="unauthorized") == 16


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
            check_unauthorized(connection.ask("POST", "/admin/reload"))
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
    for name in ("content-type", "x-api-key", "authorization", "inference-header-content-length"):
        assert name in cors(answer)["access-control-allow-headers"].lower()
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
            assert answer.header("vary") == "Origin"
    check_error(daemon.ask("OPTIONS", "/nothing", [("Origin", ORIGIN), *PREFLIGHT]), 404)
    check_error(daemon.ask("OPTIONS", "/classify"), 405)


@case(["--cors-origin", "*"])
def a_star_is_for_every_origin(daemon):
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
    for text in ("photos.example", "https://", "https://a/b", "https://a b", "https://a\r\nX: y", "**"):
        refuse(["--cors-origin", text], ["cors_origin"])


if __name__ == "__main__":
    harness.main()
