#!/usr/bin/python3 -B
"""Damaged, hostile and odd model folders. Each fault stops the start with one clear line; on a reload the
old model goes on serving, and a metric counts it."""
import ctypes
import json
import os
import re
import socket
import struct

import folders
import harness
from folders import CALIBRATION, CONFIG, PROCESSOR, WEIGHTS
from harness import Daemon, case, path, refuse, sample, write

CONV, BIAS = "conv1.weight", "fc.bias"


def refused_at_start(folder, options, words, **more):
    refuse(["--model", folder, *options], words, model=False, **more)


def counts(daemon):
    metrics = daemon.metrics()
    return [metrics.sum("resnextd_model_loads_total", model="served", result=result)
            for result in ("ok", "failed")]


def refused_on_reload(daemon, folder, file, content, words, good=None):
    """The fault put into the folder that is served, and taken out again."""
    ok, failed = counts(daemon)
    folders.put(folder, file, content)
    log = len(daemon.log())
    assert "READY=1" in daemon.reload()
    daemon.good()
    assert counts(daemon) == [ok, failed + 1]
    # The log leaves out what is told again and again, and says later how often.
    lines = [line for line in daemon.log()[log:].splitlines()
             if "the reload failed" in line and "repeated lines were left out" not in line]
    assert len(lines) == 1 or failed >= 5, lines
    for word in words:
        assert all(word in line for line in lines), (word, lines)
    folders.put(folder, file, good or folders.original(file))


def refused(file, faults, words=(), options=(), good=None, **more):
    """Each of the faults {name: content of the file, as folders.put takes it, or (content, words that
    the message must hold)} is refused by a start and on a reload. `good` is what the folder has
    otherwise, as folders.make takes it; `more` is for the daemons."""
    key = {WEIGHTS: "weights", CONFIG: "config", CALIBRATION: "calibration", PROCESSOR: "processor"}[file]
    good = good or ({"calibration": folders.original(CALIBRATION)} if file == CALIBRATION else {})
    served = folders.make(f"served-{next(iter(faults))}-{key}", **good)
    with Daemon(["--model", f"served={served}", *options], model=False, **more) as daemon:
        tried = sample(list(faults.items()))
        for name, fault in tried:
            content, own_words = fault if isinstance(fault, tuple) else (fault, ())
            broken = folders.make(name, **{**good, key: content})
            refused_at_start(broken, options, [broken, *words, *own_words], **more)
            refused_on_reload(daemon, served, file, content, [served, *words, *own_words], good.get(key))
        daemon.reload()
        assert counts(daemon)[1] == len(tried) and counts(daemon)[0] >= 1


def changed(change):
    """The default model's weights with a change of the header (and perhaps of the bytes)."""
    header, data = folders.read()
    data = bytearray(data)
    result = change(header, data)
    return folders.archive(header, bytes(result if result is not None else data))


def retyped(name, **fields):
    return changed(lambda header, data: header[name].update(fields))


def shifted(name, by):
    return changed(lambda header, data: header[name].update(
        data_offsets=[x + by for x in header[name]["data_offsets"]]))


def move_up(header, start, by):
    """What lies behind `start` lies `by` bytes farther."""
    for tensor in header.values():
        if "data_offsets" in tensor and tensor["data_offsets"][0] >= start:
            tensor["data_offsets"] = [x + by for x in tensor["data_offsets"]]


@case(own=None, seconds=60)
def row_51_a_header_length_beyond_the_file():
    good = folders.original(WEIGHTS)
    refused(WEIGHTS, {
        "length-max": b"\xff" * 8 + good[8:],
        "length-past-end": struct.pack("<Q", len(good)) + good[8:],
        "length-one-too-much": struct.pack("<Q", len(good) - 7) + good[8:],
        "length-huge": struct.pack("<Q", 1 << 62) + good[8:],
        "length-zero": bytes(8) + good[8:],
        "empty": b"", "short": b"\1\2\3",
    }, [WEIGHTS])


@case(own=None, seconds=60)
def row_52_tensors_that_do_not_fill_the_file():
    _, data = folders.read()
    good = folders.original(WEIGHTS)

    def gap(header, data):
        move_up(header, 1, 8)
        return data + bytes(8)
    refused(WEIGHTS, {
        "overlap": shifted(BIAS, -4), "out-of-file": shifted(BIAS, 1 << 40),
        "negative-offset": shifted(BIAS, -(1 << 40)), "gap": changed(gap),
        "bytes-after": good + b"x", "cut": good[:-1], "header-only": good[:len(good) - len(data)],
    }, [WEIGHTS])


@case(own=None, seconds=60)
def row_53_shapes_that_overflow_or_are_negative():
    shape = folders.read()[0][CONV]["shape"]
    refused(WEIGHTS, {
        "overflow": retyped(CONV, shape=[1 << 31, 1 << 31, 1 << 31, 4]),
        "overflow-to-zero": retyped(CONV, shape=[1 << 32, 1 << 32, 1, 1]),
        "negative": retyped(CONV, shape=[-shape[0], -shape[1], *shape[2:]]),
        "zero": retyped(CONV, shape=[0, *shape[1:]]),
        "fraction": retyped(CONV, shape=[float(shape[0]), *shape[1:]]),
        "rank": retyped(CONV, shape=shape[:3] + [1] * 50 + shape[3:]),
    }, [WEIGHTS])


@case(own=None, seconds=60)
def row_54_a_tensor_twice_missing_wrong_or_unknown():
    header, data = folders.read()
    shape = header[CONV]["shape"]

    def drop(header, data):
        start, stop = header.pop(BIAS)["data_offsets"]
        move_up(header, stop, start - stop)
        return data[:start] + data[stop:]

    def add(header, data):
        header["layer1.0.conv4.weight"] = {"dtype": "F32", "shape": [4],
                                            "data_offsets": [len(data), len(data) + 16]}
        return data + bytes(16)
    twice = b'{"fc.bias":{"dtype":"F32","shape":[10],"data_offsets":[0,40]},'
    refused(WEIGHTS, {
        "twice": folders.archive(twice + json.dumps(header).encode()[1:], data),
        "missing": (changed(drop), [BIAS]),
        "swapped-shape": (retyped(CONV, shape=shape[::-1]), [CONV]),
        "wrong-type": (retyped(CONV, dtype="I32"), [CONV]),
        "unknown-type": retyped(CONV, dtype="F33"), "type-number": retyped(CONV, dtype=32),
        "unknown-tensor": (changed(add), ["layer1.0.conv4.weight"]),
    })


@case(own=None, seconds=60)
def row_55_weights_that_are_no_finite_numbers():
    def put_float(bits):
        def change(header, data):
            at = header[CONV]["data_offsets"][0]
            size = {"F32": 4, "F16": 2, "BF16": 2}[header[CONV]["dtype"]]
            data[at:at + size] = bits[size]
        return change
    refused(WEIGHTS, {
        "nan": changed(put_float({4: b"\0\0\xc0\x7f", 2: b"\xff\x7f"})),
        "infinite": changed(put_float({4: b"\0\0\x80\x7f", 2: b"\x80\x7f"})),
        "minus-infinite": changed(put_float({4: b"\0\0\x80\xff", 2: b"\x80\xff"})),
    }, [CONV])


@case(own=None, seconds=60)
def row_56_headers_that_are_nested_padded_or_no_json():
    header, data = folders.read()
    text = json.dumps(header).encode()
    deep = b'{"a":' * 100000
    refused(WEIGHTS, {
        "nested": folders.archive(b"[" * 100000, data), "nested-objects": folders.archive(deep, data),
        "nul-padding": folders.archive(text + b"\0" * 64, data),
        "bad-utf8": folders.archive(text.replace(b"conv1", b"c\xffnv1", 1), data),
        "not-json": folders.archive(b"hello", data), "not-an-object": folders.archive(b"[1]", data),
        "large-header": folders.archive(text + b" " * (2 << 20), data),
    }, [WEIGHTS])
    refused(CONFIG, {"deep": deep, "deep-lists": b"[" * 100000,
                     "nul-after": folders.original(CONFIG) + b"\0"}, [CONFIG])


@case(own=None, seconds=60)
def row_57_a_calibration_that_is_not_the_models():
    whole = folders.original(CALIBRATION)

    def edited(layer="layer1.0.conv1", **changes):
        calibration = json.loads(whole)
        calibration["layers"][layer].update(changes)
        return calibration

    def without(layer):
        calibration = json.loads(whole)
        del calibration["layers"][layer]
        return calibration
    layer = json.loads(whole)["layers"]["layer1.0.conv1"]
    infinite = json.dumps(edited(scale=["HERE"] + layer["scale"][1:])).replace('"HERE"', "1e999")
    refused(CALIBRATION, {
        "other-mean": ({**json.loads(whole), "mean": [0.5, 0.5, 0.5]}, ["another mean or std", "resnext calibrate"]),
        "no-std": ({k: v for k, v in json.loads(whole).items() if k != "std"}, ["std is missing", "resnext calibrate"]),
        "other-model": ({**json.loads(whole), "weights_sha256": "0" * 64}, ["resnext calibrate"]),
        "no-layers": {**json.loads(whole), "layers": {}},
        "missing-layer": (without("layer1.0.conv1"), ["layer1.0.conv1"]),
        "missing-range": (edited(scale=layer["scale"][1:]), ["layer1.0.conv1"]),
        "negative-range": (edited(scale=[-1] + layer["scale"][1:]), ["layer1.0.conv1"]),
        "zero-range": (edited(scale=[0] + layer["scale"][1:]), ["layer1.0.conv1"]),
        "infinite-range": infinite.encode(),
        "huge-range": (edited(scale=[1e300] + layer["scale"][1:]), ["layer1.0.conv1"]),
        "nan-range": infinite.replace("1e999", "NaN").encode(),
    }, [CALIBRATION], ["--precision", "int8"])


def deny():
    """In the child: root may not read everything either."""
    harness.die_with_parent()
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP: of the program that follows


def make_socket(target):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(target)


@case(own=None, seconds=60)
def row_58_files_that_are_none_do_not_block():
    kinds = {
        "fifo": os.mkfifo, "directory": os.mkdir, "missing": lambda target: None,
        "loop": lambda target: os.symlink(os.path.basename(target), target),
        "device": lambda target: os.symlink("/dev/zero", target), "socket": make_socket,
    }
    for file in (WEIGHTS, CONFIG):
        refused(file, {f"{kind}-{file}": make for kind, make in kinds.items()}, [file])
        unreadable = lambda target: os.close(os.open(target, os.O_CREAT, 0))  # noqa: E731
        refused(file, {f"unreadable-{file}": (unreadable, ["ermission"])}, [file], prepare=deny)
    refuse(["--model", path("no-such-folder")], ["no-such-folder"], model=False)
    refuse(["--model", write("a-file", "x")], ["a-file"], model=False)


@case(own=None)
def a_name_that_two_models_have_stops_the_start():
    refuse(["--model", f"a={harness.MODEL}", "--model", f"a={harness.MODEL}"], ["a"], model=False)


@case(own=None)
def row_59_weights_cut_or_replaced_under_it_do_not_matter():
    folder = folders.make("cut-while-served")
    weights = os.path.join(folder, WEIGHTS)
    with Daemon(["--model", f"{harness.MODEL_NAME}={folder}"], model=False) as daemon:
        os.truncate(weights, 100)
        daemon.good()
        with open(weights, "wb") as file:
            file.write(os.urandom(100000))
        daemon.good()
        folders.put(folder, WEIGHTS, os.urandom(100000))
        daemon.good()
        os.remove(weights)


@case(own=None, seconds=60)
def row_60_descriptions_that_lack_something_or_are_absurd():
    def edit(**changes):
        config = folders.config()
        for key, value in changes.items():
            target = config if key in config else config["pretrained_cfg"]
            target[key] = value
            if value is ...:
                del target[key]
        return config
    refused(CONFIG, {
        "no-json": b"{", "a-list": b"[]", "nothing": b"", "no-keys": b"{}",
        "no-input-size": edit(input_size=...), "huge-input": edit(input_size=[3, 1000000, 1000000]),
        "zero-input": edit(input_size=[3, 0, 0]), "negative-input": edit(input_size=[3, -32, -32]),
        "two-channels": edit(input_size=[2, 32, 32]), "oblong": edit(input_size=[3, 32, 64]),
        "text-input": edit(input_size="32"), "bad-interpolation": edit(interpolation="psychic"),
        "zero-crop": edit(crop_pct=0), "infinite-crop": b'{"pretrained_cfg":{"crop_pct":1e999}}',
        "tiny-crop": edit(crop_pct=1e-9), "zero-std": edit(std=[0, 0, 0]), "two-means": edit(mean=[0.5, 0.5]),
        "few-labels": edit(label_names=["a", "b"]), "list-labels": edit(label_names=[["a"]] * 10),
        "other-family": edit(architecture="resnetaa50"), "not-a-resnext": edit(architecture="vit_base"),
        "other-class-count": edit(num_classes=1000),
    })


@case(own=None, seconds=60)
def row_60_image_processors_that_lack_something_or_are_absurd():
    pictures = folders.config()["pretrained_cfg"]
    config = {key: value for key, value in folders.config().items() if key != "pretrained_cfg"}
    good = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 32},
            "crop_size": {"height": 32, "width": 32}, "resample": 2, "image_mean": pictures["mean"],
            "image_std": pictures["std"]}

    def edit(**changes):
        return {key: value for key, value in {**good, **changes}.items() if value is not ...}
    refused(PROCESSOR, {
        "processor-no-json": b"{", "processor-a-list": b"[]", "processor-nothing": b"",
        "processor-deep": b'{"a":' * 100000, "processor-long": b"{}" + b" " * (64 << 10),
        "processor-twice": b'{"size":32,"size":32}', "processor-fifo": os.mkfifo,
        "processor-directory": os.mkdir, "processor-device": lambda target: os.symlink("/dev/zero", target),
        "processor-no-type": (edit(image_processor_type=...), ["image_processor_type is missing"]),
        "processor-no-size": (edit(size=...), ["size is missing"]),
        "processor-zero-size": (edit(size=0), ["size 0"]),
        "processor-huge-size": (edit(size=1 << 62), ["size"]),
        "processor-crop-beyond": (edit(crop_size=33), ["crop_size 33"]),
        "processor-no-filter": (edit(resample=...), ["resample is missing"]),
        "processor-zero-std": (edit(image_std=[0, 0, 0]), ["image_std"]),
        "processor-no-resize": (edit(do_resize=False), ["do_resize false"]),
        "processor-other-factor": (edit(rescale_factor=1), ["rescale_factor 1"]),
        "processor-unknown": (edit(image_processor_type="DetrImageProcessor"), ["DetrImageProcessor"]),
        "processor-unknown-step": (edit(do_pad=True), ["do_pad true"]),
    }, [PROCESSOR], good={"config": config, "processor": good})


def refused_within_memory(file, content, options, words="so many values", rest=16 << 20):
    """Countless values in a file: refused before they take more than four times the file and a rest."""
    served = folders.make(f"served-countless-{len(content)}", calibration=folders.original(CALIBRATION))
    broken = folders.make(f"countless-{len(content)}", calibration=folders.original(CALIBRATION))
    folders.put(broken, file, content)
    refused_at_start(broken, options, [broken, words])
    with Daemon(["--model", f"served={served}", *options], model=False) as daemon:
        before = daemon.resources()["rss"]
        daemon.reset_peak()
        refused_on_reload(daemon, served, file, content, [served, words])
        taken = daemon.peak() - before
        assert harness.SANITIZER or taken < 4 * len(content) + rest, f"{taken} bytes for {len(content)}"


@case(own=None, seconds=60)
def row_82_json_of_countless_values_is_refused_unread():
    config = folders.original(CONFIG).rstrip()[:-1]
    refused_within_memory(CONFIG, config + b', "x": [' + b"{}," * 5000000 + b"{}]}", [])
    refused_within_memory(CALIBRATION, b'{"layers": [' + b"1," * 31500000 + b"1]}", ["--precision", "int8"])


@case(own=None, seconds=60)
def row_82_labels_of_many_times_their_file_are_refused():
    """One long description of all classes; the labels may take 16 MiB, the names' JSON as much."""
    content = json.dumps({**folders.config(), "label_names": ["a"] * 131072,
                          "label_descriptions": {"a": "b" * 1024}}).encode()
    refused_within_memory(CONFIG, content, [], "longer than 16 MiB together", 48 << 20)


@case(own=None, seconds=60)
def row_83_a_map_beyond_the_memory_there_is_is_refused_with_sizes():
    edge, least = 1024, 512 << 20  # a worker takes more than this
    with open("/proc/meminfo") as file:
        workers = int(re.search(r"MemTotal: +(\d+)", file.read())[1]) * 1024 // least + 2
    if workers > 256:
        raise harness.Skip("there is memory for everything")
    config = folders.config()
    config["pretrained_cfg"]["input_size"] = [3, edge, edge]
    refused(CONFIG, {"huge-map": config}, [f"for {workers} workers of", "MiB are needed beside", "input_size"],
            ["--workers", str(workers)])


if __name__ == "__main__":
    harness.main()
