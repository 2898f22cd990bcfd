#!/usr/bin/python3 -B
"""Heads whose scores are sigmoids, results that are no numbers, and where the names of classes come from.
Expected scores are made of the reference's logits."""
import hashlib
import json
import math
import os
import struct

import folders
import harness
import wire
from folders import CONFIG
from harness import Daemon, case, check_error, refuse, sample

CLASSES = 10
HEAD, BIAS = "fc.weight", "fc.bias"
TOLERANCE = {"f32": 2e-4, "bf16": 0.05, "int8": 0.2}


def rows():
    return [r for r in harness.goldens() if os.path.basename(r["model"]) == harness.MODEL_NAME]


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def configured(**keys):
    """The default model's config.json with other keys at the root; None takes one away."""
    config = {**folders.config(), **keys}
    return {key: value for key, value in config.items() if value is not None}


def with_tensors(change):
    """The default model's weights, of which `change` gets {name: (header entry, bytes)}."""
    header, data = folders.read()
    metadata = header.pop("__metadata__", None)
    tensors = {name: (dict(entry), data[slice(*entry["data_offsets"])]) for name, entry in header.items()}
    change(tensors)
    new, body = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, (entry, content) in tensors.items():
        new[name] = {**entry, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    return folders.archive(new, body)


def one_output(row):
    """Weights with the classifier's row for one class alone."""
    def change(tensors):
        for name in (HEAD, BIAS):
            entry, content = tensors[name]
            size = len(content) // CLASSES
            entry["shape"][0] = 1
            tensors[name] = entry, content[row * size:(row + 1) * size]
    return with_tensors(change)


def filled(value, *names):
    """Weights with tensors that have the same number everywhere, in float32."""
    def change(tensors):
        for name in names:
            entry, _ = tensors[name]
            entry["dtype"] = "F32"
            tensors[name] = entry, struct.pack("<f", value) * math.prod(entry["shape"])
    return with_tensors(change)


def classify(daemon, name, data):
    answer = daemon.ask("POST", f"/classify?top_k={CLASSES}&model={name}", body=data)
    assert answer.status == 200, answer
    return harness.predictions(answer)


def infer(daemon, name, data):
    head = json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                                   "parameters": {"binary_data_size": 4 + len(data)}}]}).encode()
    return daemon.ask("POST", f"/v2/models/{name}/infer",
                      [("Inference-Header-Content-Length", str(len(head)))],
                      head + struct.pack("<I", len(data)) + data)


def explain(daemon, name, data, class_name=None, key="class"):
    query = "" if class_name is None else f"&{key}={class_name}"
    return daemon.ask("POST", f"/explain?format=json&model={name}{query}", body=data)


def described(daemon, name):
    return {m["name"]: m for m in json.loads(daemon.ask("GET", "/models").body)["models"]}[name]


def check_described(daemon, name, activation):
    assert described(daemon, name)["activation"] == activation, described(daemon, name)
    outputs = json.loads(daemon.ask("GET", f"/v2/models/{name}").body)["outputs"]
    assert [o.get("parameters") for o in outputs] == [None, {"activation": activation}], outputs


def check_each_alone(daemon, precision):
    """Every score is the sigmoid of its logit, in every answer that has scores."""
    for row in rows():
        data, scores = harness.picture(row["picture"]), [sigmoid(z) for z in row["logits"]]
        got = classify(daemon, "many", data)
        harness.check_scores(got, scores, TOLERANCE[precision])
        logits, probabilities = json.loads(infer(daemon, "many", data).body)["outputs"]
        for z, p in zip(logits["data"], probabilities["data"]):
            assert abs(p - sigmoid(z)) < 1e-6, (z, p)
        assert abs(probabilities["data"][got[0]["class_id"]] - got[0]["score"]) < 1e-6, got
        top = json.loads(explain(daemon, "many", data).body)
        assert top["class_id"] == got[0]["class_id"], (top["class_id"], got)


@case(own=None, seconds=60)
def row_90_many_labels_are_scored_each_for_itself():
    for name, keys in (("own", {"activation": "sigmoid"}),
                       ("hugging-face", {"problem_type": "multi_label_classification"})):
        folder = folders.make(name, config=configured(**keys))
        with Daemon(["--model", f"many={folder}"]) as daemon:
            check_each_alone(daemon, "f32")
            check_described(daemon, "many", "sigmoid")
    for precision in ("int8", "bf16"):
        folder = folders.make(precision, config=configured(activation="sigmoid"),
                              calibration=folders.original(folders.CALIBRATION))
        with Daemon(["--model", f"many={folder}", "--precision", precision]) as daemon:
            check_each_alone(daemon, precision)


@case(own=None, seconds=60)
def row_90_one_output_is_never_certain():
    """One output of the classifier: class 7 or not, as BCEWithLogitsLoss trains it."""
    for labels, want in ((None, lambda s: [(0, "class 0", s)]), (["horse"], lambda s: [(0, "horse", s)]),
                         (["other", "horse"], lambda s: [(0, "other", 1 - s), (1, "horse", s)])):
        folder = folders.make(f"one-{len(labels or [])}", weights=one_output(7),
                              config=configured(num_classes=1, label_names=labels))
        with Daemon(["--model", f"one={folder}"]) as daemon:
            check_described(daemon, "one", "sigmoid")
            for row in rows():
                data, z = harness.picture(row["picture"]), row["logits"][7]
                expected = sorted(want(sigmoid(z)), key=lambda p: -p[2])
                got = classify(daemon, "one", data)
                assert [(p["class_id"], p["label"]) for p in got] == [p[:2] for p in expected], (got, expected)
                assert all(abs(p["score"] - e[2]) < 2e-4 for p, e in zip(got, expected)), (got, expected)
                logits, probabilities = json.loads(infer(daemon, "one", data).body)["outputs"]
                assert abs(logits["data"][-1] - z) < 2e-3 and logits["shape"] == [1, len(expected)], logits
                for p in got:
                    assert abs(probabilities["data"][p["class_id"]] - p["score"]) < 1e-6, probabilities
                maps = [json.loads(explain(daemon, "one", data, i).body)
                        for i in range(len(expected))]
                assert maps[0]["label"] == want(0)[0][1], maps[0]
                if len(maps) == 2:
                    assert maps[0]["grid"]["values"] == [-v for v in maps[1]["grid"]["values"]], "not mirrored"


@case(own=None, seconds=60)
def row_90_one_output_survives_int8():
    folder = folders.make("one-int8", weights=one_output(7), config=configured(num_classes=1, label_names=["no", "yes"]))
    code, out, err = harness.tool("calibrate", folder, os.path.join(harness.DATA, "pictures"), "--json")
    assert code == 0, err
    report = json.loads(out)
    assert "top1_agreement" not in report and 0 <= report["decision_agreement"] <= 1, report
    with Daemon(["--model", f"one={folder}", "--precision", "int8"]) as daemon:
        for row in rows():
            got = {p["label"]: p["score"] for p in classify(daemon, "one", harness.picture(row["picture"]))}
            assert abs(sum(got.values()) - 1) < 1e-6, got
            assert abs(got["yes"] - sigmoid(row["logits"][7])) < 0.05, (got, row["logits"][7])


@case(own=None, seconds=60)
def row_90_what_does_not_fit_together_is_refused():
    for name, weights, keys, words in sample((
            ("softmax-of-one", one_output(7), {"num_classes": 1, "label_names": None, "activation": "softmax"},
             ["one output", "sigmoid"]),
            ("regression", None, {"problem_type": "regression"}, ["problem_type"]),
            ("contradiction", None, {"problem_type": "multi_label_classification", "activation": "softmax"},
             ["contradict"]),
            ("three-for-one", one_output(7), {"num_classes": 1, "label_names": ["a", "b", "c"]},
             ["3 labels for 1"]))):
        refuse(["--model", folders.make(name, weights=weights, config=configured(**keys))],
               [CONFIG, *words], model=False)


def count_of(daemon):
    return daemon.metrics().sum("resnextd_results_not_finite_total", model="broken")


def check_not_finite(answer):
    error = check_error(answer, 500, "not_finite")
    assert "not finite" in error["message"], error


@case(own=None, seconds=60)
def row_89_results_that_are_no_numbers_are_an_error():
    """Finite weights that overflow on the way: first in the classifier, then before the features."""
    data, _ = harness.reference()
    both = wire.multipart([("a", "a.jpg", None, data), ("b", "b.jpg", None, data)])
    for name, weights, embeds in (
            ("classifier", filled(3e38, HEAD), True),
            ("features", filled(1e25, "layer3.2.bn2.weight", "layer3.2.bn3.weight"), False),
            ("first", filled(1e25, "bn1.weight", "layer1.0.bn1.weight"), False)):
        folder = folders.make(name, weights=weights)
        with Daemon(["--model", f"broken={folder}"]) as daemon:
            check_not_finite(daemon.ask("POST", "/classify?model=broken", body=data))
            check_not_finite(daemon.ask("POST", "/explain?model=broken", body=data))
            check_not_finite(explain(daemon, "broken", data, 3))
            answer = daemon.ask("POST", "/classify?model=broken", [wire.form_type()], both)
            body = json.loads(answer.body)
            assert answer.status == 500 and body["error"]["code"] == "not_finite", answer
            assert [r["error"]["code"] for r in body["results"]] == ["not_finite"] * 2, answer
            answer = infer(daemon, "broken", data)
            assert answer.status == 500 and "not finite" in json.loads(answer.body)["error"], answer
            answer = daemon.ask("POST", "/embed?model=broken", body=data)
            if embeds:
                assert answer.status == 200, answer
            else:
                check_not_finite(answer)
            assert count_of(daemon) == (6 if embeds else 7), count_of(daemon)
            assert "result is not finite" in daemon.log(), daemon.log()
        code, out, err = harness.tool("classify", folder, os.path.join(harness.DATA, rows()[0]["picture"]), "--json")
        assert code == 1 and json.loads(out)["error"]["code"] == "not_finite", (code, out, err)
        code, out, err = harness.tool("verify", folder)
        assert code == 1 and "not finite" in err, (code, out, err)
        code, out, err = harness.tool("explain", folder, os.path.join(harness.DATA, rows()[0]["picture"]), "--json")
        assert code == 1 and "not finite" in err, (code, out, err)


@case(own=None, seconds=60)
def both_networks_of_a_cascade_are_verified():
    """int8 clips what overflows in float32."""
    folder = folders.make("overflow", weights=filled(1e25, "layer3.2.bn2.weight", "layer3.2.bn3.weight"))
    calibration = json.loads(folders.original(folders.CALIBRATION))
    with open(os.path.join(folder, folders.WEIGHTS), "rb") as file:
        calibration["weights_sha256"] = hashlib.sha256(file.read()).hexdigest()
    calibration.pop("cascade", None)
    for cascade in ({}, {"cascade": {"margin": 0.1, "agreement": 0.995, "fraction": 0.1}}):
        folders.put(folder, folders.CALIBRATION, {**calibration, **cascade})
        code, _, err = harness.tool("verify", "--precision", "int8", folder)
        assert (code, "a gray picture" in err and "not finite" in err) == (bool(cascade), bool(cascade)), (code, err)


@case(["--precision", "f32"])
def row_89_numbers_that_a_client_made_up_are_an_error_too(daemon):
    size = described(daemon, harness.MODEL_NAME)["input_size"]
    request = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, size, size],
                           "data": [3e38] * (3 * size * size)}]}
    answer = daemon.ask("POST", f"/v2/models/{harness.MODEL_NAME}/infer", body=json.dumps(request).encode())
    assert answer.status == 500 and "not finite" in json.loads(answer.body)["error"], answer


@case(own=None)
def numbers_that_int8_cannot_hold_are_refused():
    folder = folders.make("whole", calibration=folders.original(folders.CALIBRATION))
    with Daemon(["--model", f"whole={folder}", "--precision", "int8"]) as daemon:
        size = described(daemon, "whole")["input_size"]

        def ask(number):
            request = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, size, size],
                                   "data": [number] + [0] * (3 * size * size - 1)}]}
            return daemon.ask("POST", "/v2/models/whole/infer", body=json.dumps(request).encode())
        for number in (0, -1.5, 1.5):
            assert ask(number).status == 200, number
        for number in (-3, 3, 255, 3e38):
            answer = ask(number)
            assert answer.status == 400 and "in int8 it can have" in json.loads(answer.body)["error"], answer


@case(own=None, seconds=60)
def row_91_names_in_an_unknown_form_are_refused():
    names = [f"x{i}" for i in range(CLASSES)]
    for number, (keys, words) in enumerate(sample((
            ({"label_names": None, "class_names": names}, ["class_names", "label_names"]),
            ({"label_names": None, "categories": dict.fromkeys(names, 1)}, ["categories"]),
            ({"label_names": None, "dataset": {"classes": names}}, ["classes"]),
            ({"label_names": "cifar10"}, ["label_names"]),
            ({"label_names": None, "id2label": {"one": "x"}}, ["id2label"]),
            ({"label_names": {"11": "x"}}, ["12 labels for 10"]),
            ({"label_names": names, "id2label": {"3": "y"}}, ["label_names and id2label", "class 3"]),
            ({"label_names": None, "class_index": {"0": ["n01", "tench"]}}, ["class_index"]),
            ({"label_names": [*names[:-1], "x\u200b"]}, ["U+200B"])))):
        refuse(["--model", folders.make(f"names-{number}", config=configured(**keys))], [CONFIG, *words], model=False)
    for number, file in enumerate(sample(("index_to_name.json", "classnames.txt", "label2id.json"))):
        folder = folders.make(f"other-file-{number}", config=configured(label_names=None))
        harness.write(f"other-file-{number}/{file}", "x")
        refuse(["--model", folder], [file, "only labels.txt"], model=False)
    folder = folders.make("bad-file", config=configured(label_names=None))
    harness.write("bad-file/labels.txt", "\n".join([*names[:4], "x\u2060", *names[5:]]))
    refuse(["--model", folder], ["labels.txt", "line 5", "U+2060"], model=False)


@case(own=None, seconds=60)
def labels_of_every_form_are_answered():
    names = [f"name {i}" for i in range(CLASSES)]
    by_id = {str(i): name for i, name in enumerate(names)}
    synsets = [f"n{i:08}" for i in range(CLASSES)]
    data, scores = harness.reference()
    best = max(range(CLASSES), key=scores.__getitem__)
    for number, keys in enumerate(sample((
            {"labels": names}, {"id2label": by_id}, {"label2id": {n: int(i) for i, n in by_id.items()}},
            {"label_names": synsets, "label_descriptions": dict(zip(synsets, names))},
            {"label_names": {str(best): names[best]}}))):
        folder = folders.make(f"form-{number}", config=configured(**{"label_names": None, **keys}))
        with Daemon(["--model", f"named={folder}"]) as daemon:
            assert classify(daemon, "named", data)[0]["label"] == names[best], keys
            assert described(daemon, "named")["labels"] == CONFIG
    folder = folders.make("file", config=configured(label_names=None))
    harness.write("file/labels.txt", "\ufeff" + " \t\r\n".join(names))
    with Daemon(["--model", f"named={folder}"]) as daemon:
        assert [p["label"] for p in sorted(classify(daemon, "named", data), key=lambda p: p["class_id"])] == names
        assert described(daemon, "named")["labels"] == "labels.txt"


@case(own=None, seconds=60)
def names_that_hugging_face_made_up_give_way_to_a_file():
    defaults = {str(i): f"LABEL_{i}" for i in range(CLASSES)}
    data, _ = harness.reference()
    folder = folders.make("defaults", config=configured(label_names=None, id2label=defaults))
    with Daemon(["--model", f"named={folder}"]) as daemon:
        best = classify(daemon, "named", data)[0]
        assert best["label"] == f"LABEL_{best['class_id']}", best
        assert described(daemon, "named")["labels"] == CONFIG
    harness.write("defaults/labels.txt", "\n".join(f"name {i}" for i in range(CLASSES)))
    with Daemon(["--model", f"named={folder}"]) as daemon:
        best = classify(daemon, "named", data)[0]
        assert best["label"] == f"name {best['class_id']}", best
        assert described(daemon, "named")["labels"] == "labels.txt"


@case(own=None)
def an_exact_label_comes_before_an_id():
    folder = folders.make("digits", config=configured(label_names=[str(CLASSES - 1 - i) for i in range(CLASSES)]))
    data, _ = harness.reference()
    with Daemon(["--model", f"digits={folder}"]) as daemon:
        answer = json.loads(explain(daemon, "digits", data, 8).body)
        assert (answer["class_id"], answer["label"]) == (1, "8"), answer
        answer = json.loads(explain(daemon, "digits", data, 8, "class_id").body)
        assert (answer["class_id"], answer["label"]) == (8, "1"), answer
    folder = folders.make("twins", config=configured(label_names=["crane"] * CLASSES))
    with Daemon(["--model", f"twins={folder}"]) as daemon:
        error = check_error(explain(daemon, "twins", data, "crane"), 400, "parameter_invalid")
        assert "classes 0 and 1" in error["message"], error
        answer = json.loads(explain(daemon, "twins", data, 8).body)
        assert answer["class_id"] == 8, answer


if __name__ == "__main__":
    harness.main()
