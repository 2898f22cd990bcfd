#!/usr/bin/python3 -B
"""A model whose calibration has a cascade: which pictures are computed again in float32, that their answers
are float32's own, and what the service says of it."""
import base64
import concurrent.futures
import json
import os
import struct

import folders
import harness
import wire
from harness import Daemon, case, models_config, reference

ALWAYS, NEVER = 1e30, 1e-30
PICTURES = ["mare.jpg", "toad.jpg", "freighter.jpg", "lorry.jpg"]
CASCADE = {"agreement": 0.995, "fraction": 0.041}


def calibration(margin):
    """The default model's, with a cascade or without."""
    with open(os.path.join(harness.MODEL, folders.CALIBRATION), encoding="utf-8") as file:
        whole = json.load(file)
    whole["version"] = 2
    whole["layers"].pop("avg_pool", None)
    whole.pop("cascade", None)
    return {**whole, "cascade": {"margin": margin, **CASCADE}} if margin else whole


def folder(name, margin):
    where = harness.path(name)
    if not os.path.exists(where):
        folders.make(name)
    folders.put(where, folders.CALIBRATION, calibration(margin))
    return where


def config(**margins):
    text = f'exact = {{ path = "{harness.MODEL}"; precision = "f32"; default = true; }}; '
    text += "".join(f'{name} = {{ path = "{folder(name, margin)}"; precision = "int8"; }}; '
                    for name, margin in margins.items())
    return f"models: {{ {text} }};\n"


def start(text, workers=2):
    return Daemon(["--workers", str(workers)], model=False, config=text)


def count(daemon, name):
    return daemon.metrics().sum("resnextd_recomputed_total", model=name)


def pixels(name):
    """A picture's request body for /v2, as numbers that no picture has."""
    values = struct.pack("<3072f", *(((i * 7919) % 2003) / 1001.5 - 1 for i in range(3072)))
    head = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, 32, 32],
                                   "parameters": {"binary_data_size": len(values)}}]}).encode()
    return f"/v2/models/{name}/infer", [("Inference-Header-Content-Length", str(len(head)))], head + values


def everything(daemon, name, data):
    """Every kind of answer about a picture, without times, names and ids."""
    answers = []
    for target in ("/classify?top_k=10&", "/embed?", "/explain?format=json&", "/explain?"):
        answer = daemon.ask("POST", f"{target}model={name}", body=data)
        assert answer.status == 200, answer
        if answer.header("content-type").startswith("application/json"):
            body = json.loads(answer.body)
            answers.append({k: v for k, v in body.items() if k not in ("model", "request_id", "timing_ms")})
        else:
            answers.append(answer.body)
    target, headers, body = pixels(name)
    answer = daemon.ask("POST", target, headers, body)
    assert answer.status == 200, answer
    answers.append(json.loads(answer.body)["outputs"])
    return answers


KINDS = 5


@case(own=None, seconds=60)
def unsure_pictures_have_the_answers_of_float32():
    with start(config(plain=0, never=NEVER, always=ALWAYS)) as daemon:
        for i, name in enumerate(PICTURES, 1):
            data = harness.picture(os.path.join("pictures", name))
            exact, plain, never, always = (everything(daemon, model, data)
                                           for model in ("exact", "plain", "never", "always"))
            assert exact == always and plain == never and exact != plain, name
            assert (count(daemon, "always"), count(daemon, "never")) == (KINDS * i, 0), daemon.metrics()
        assert count(daemon, "plain") == count(daemon, "exact") == 0
        assert daemon.metrics().sum("resnextd_images_total", model="always") == KINDS * len(PICTURES)


@case(own=None, seconds=60)
def the_parts_of_a_form_are_judged_one_by_one():
    """The margin of the middle one of three is between the others'."""
    pictures = [harness.picture(os.path.join("pictures", name)) for name in PICTURES[:3]]
    with start(config(plain=0)) as daemon:
        def logits(data):
            head = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                           "parameters": {"binary_data_size": 4 + len(data)}}]}).encode()
            answer = daemon.ask("POST", "/v2/models/plain/infer",
                                [("Inference-Header-Content-Length", str(len(head)))],
                                head + struct.pack("<I", len(data)) + data)
            outputs = {o["name"]: o["data"] for o in json.loads(answer.body)["outputs"]}
            return sorted(outputs["logits"])
        margins = [z[-1] - z[-2] for z in map(logits, pictures)]
    between = sorted(margins)[1]
    form = wire.multipart([("a", str(i), None, data) for i, data in enumerate(pictures)])
    with start(config(some=between * 1.0001)) as daemon:
        answer = daemon.ask("POST", "/classify?model=some", [wire.form_type()], form)
        assert answer.status == 200 and len(json.loads(answer.body)["results"]) == 3, answer
        assert count(daemon, "some") == 2, (margins, daemon.metrics())


@case(own=None, seconds=60)
def workers_that_help_change_nothing():
    """One request at a time has the other workers' help, in both networks; many have none."""
    data, _ = reference()
    with start(config(always=ALWAYS), workers=3) as daemon:
        wanted = everything(daemon, "exact", data)
        for _ in range(20):
            assert everything(daemon, "always", data) == wanted
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for got in pool.map(lambda _: everything(daemon, "always", data), range(24)):
                assert got == wanted


@case(own=None, seconds=60)
def the_service_tells_of_it():
    with start(config(plain=0, some=0.61)) as daemon:
        models = {m["name"]: m for m in json.loads(daemon.get("/models").body)["models"]}
        assert models["plain"]["cascade"] is None and models["exact"]["cascade"] is None
        assert models["some"]["cascade"] == {"margin": 0.61, **CASCADE}, models["some"]
        assert models["some"]["precision"] == "int8"
        line, = [text for text in daemon.log().splitlines()
                 if "model loaded" in text and 'model="some"' in text]
        assert "less than 0.61" in line and "99.5 %" in line and "4.1 %" in line, line
        assert "resnextd_recomputed_total{model=\"some\"} 0" in daemon.get("/metrics").body.decode()


@case(own=None, seconds=60)
def a_reload_brings_it_and_takes_it_away():
    data, _ = reference()
    text = config(other=0)
    where = harness.path("other")
    with start(text) as daemon:
        exact, plain = everything(daemon, "exact", data), everything(daemon, "other", data)
        for margin, wanted in ((ALWAYS, exact), (0, plain), (ALWAYS, exact)):
            folders.put(where, folders.CALIBRATION, calibration(margin))
            daemon.reload()
            assert everything(daemon, "other", data) == wanted
        before = count(daemon, "other")
        folders.put(where, folders.CALIBRATION, calibration(-1.0))
        daemon.reload()
        assert "cascade: margin: not a number" in daemon.log(), daemon.log()[-2000:]
        assert everything(daemon, "other", data) == exact  # the old ones serve on
        assert count(daemon, "other") == before + KINDS


if __name__ == "__main__":
    harness.main()
