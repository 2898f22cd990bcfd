#!/usr/bin/python3 -B
"""Damaged, hostile and odd model folders: each stops the start with one clear line."""
import json
import os
import socket

import folders
import harness
from harness import Daemon, case, path, refuse, write


def refuse_folder(name, words=(), **files):
    folder = folders.make(name, **files)
    return refuse(["--model", folder], [name, *words], model=False)


@case(own=None, seconds=40)
def broken_headers_of_weights_stop_the_start():
    header, data = folders.read()
    good = folders.archive(header, data)
    cases = {
        "empty": b"", "short": b"\1\2\3", "length-max": b"\xff" * 8 + good[8:],
        "length-past-end": (len(good)).to_bytes(8, "little") + good[8:],
        "length-huge": (1 << 62).to_bytes(8, "little") + good[8:], "length-zero": bytes(8) + good[8:],
        "not-json": folders.archive(b"hello", data), "not-an-object": folders.archive(b"[1]", data),
        "nested": folders.archive(b"[" * 100000, data),
        "nested-objects": folders.archive(b'{"a":' * 100000, data),
        "nul-padding": folders.archive(json.dumps(header).encode() + b"\0" * 64, data),
        "bad-utf8": folders.archive(json.dumps(header).encode().replace(b"conv1", b"c\xffnv1", 1), data),
        "twice": folders.archive(b'{"fc.bias":{"dtype":"F32","shape":[10],"data_offsets":[0,40]},'
                                 + json.dumps(header).encode()[1:], data),
        "bytes-after": good + b"x", "cut": good[:-1], "header-only": good[:len(good) - len(data)],
        "large-header": folders.archive(json.dumps(header).encode() + b" " * (2 << 20), data),
    }
    for name, weights in cases.items():
        refuse_folder(name, weights=weights)


def changed(change):
    """The default model's weights with a change of the header (and perhaps of the bytes)."""
    header, data = folders.read()
    data = bytearray(data)
    result = change(header, data)
    return folders.archive(header, bytes(result if result is not None else data))


def retype(header, name, **fields):
    header[name].update(fields)


@case(own=None, seconds=40)
def broken_tensors_stop_the_start():
    conv, bias = "conv1.weight", "fc.bias"

    def put_float(bits):
        def change(header, data):
            at = header[conv]["data_offsets"][0]
            size = {"F32": 4, "F16": 2, "BF16": 2}[header[conv]["dtype"]]
            data[at:at + size] = bits[size]
        return change

    def shift(by):
        def change(header, data):
            header[bias]["data_offsets"] = [x + by for x in header[bias]["data_offsets"]]
        return change

    def gap(header, data):
        for tensor in header.values():
            if "data_offsets" in tensor and tensor["data_offsets"][0] > 0:
                tensor["data_offsets"] = [x + 8 for x in tensor["data_offsets"]]
        return data + bytes(8)

    def add(name, shape):
        def change(header, data):
            size = 4 * max(1, shape[0])
            offsets = [len(data), len(data) + size]
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            return data + bytes(size)
        return change
    shape = folders.read()[0][conv]["shape"]
    cases = {
        "overlap": shift(-4), "out-of-file": shift(1 << 40), "negative-offset": shift(-(1 << 40)),
        "gap": gap,
        "overflow": lambda h, d: retype(h, conv, shape=[1 << 31, 1 << 31, 1 << 31, 4]),
        "negative": lambda h, d: retype(h, conv, shape=[-shape[0], -shape[1], *shape[2:]]),
        "zero": lambda h, d: retype(h, conv, shape=[0, *shape[1:]]),
        "fraction": lambda h, d: retype(h, conv, shape=[float(shape[0]), *shape[1:]]),
        "rank": lambda h, d: retype(h, conv, shape=shape[:3] + [1] * 50 + shape[3:]),
        "swapped-shape": lambda h, d: retype(h, conv, shape=shape[::-1]),
        "wrong-type": lambda h, d: retype(h, conv, dtype="I32"),
        "unknown-type": lambda h, d: retype(h, conv, dtype="F33"),
        "type-number": lambda h, d: retype(h, conv, dtype=32),
        "nan": put_float({4: b"\0\0\xc0\x7f", 2: b"\xff\x7f"}),
        "infinite": put_float({4: b"\0\0\x80\x7f", 2: b"\x80\x7f"}),
    }
    for name, change in cases.items():
        refuse_folder(name, weights=changed(change))
    log = refuse_folder("unknown-tensor", ["layer1.0.se.fc1.weight"],
                        weights=changed(add("layer1.0.se.fc1.weight", [4])))
    assert "layer1.0.se" in log


@case(own=None)
def a_missing_tensor_is_named():
    def drop(header, data):
        start, stop = header["fc.bias"]["data_offsets"]
        del header["fc.bias"]
        for tensor in header.values():
            if "data_offsets" in tensor and tensor["data_offsets"][0] >= stop:
                tensor["data_offsets"] = [x - (stop - start) for x in tensor["data_offsets"]]
        return data[:start] + data[stop:]
    refuse_folder("missing-tensor", ["fc.bias"], weights=changed(drop))


@case(own=None, seconds=40)
def broken_model_descriptions_stop_the_start():
    def edit(**changes):
        config = folders.config()
        for key, value in changes.items():
            target = config if key in config else config["pretrained_cfg"]
            target[key] = value
            if value is ...:
                del target[key]
        return config
    cases = {
        "no-json": b"{", "a-list": b"[]", "nothing": b"", "deep": b'{"a":' * 100000,
        "no-input-size": edit(input_size=...), "huge-input": edit(input_size=[3, 1000000, 1000000]),
        "zero-input": edit(input_size=[3, 0, 0]), "negative-input": edit(input_size=[3, -32, -32]),
        "two-channels": edit(input_size=[2, 32, 32]), "oblong": edit(input_size=[3, 32, 64]),
        "text-input": edit(input_size="32"), "bad-interpolation": edit(interpolation="psychic"),
        "zero-crop": edit(crop_pct=0), "infinite-crop": b'{"pretrained_cfg":{"crop_pct":1e999}}',
        "tiny-crop": edit(crop_pct=1e-9), "zero-std": edit(std=[0, 0, 0]), "two-means": edit(mean=[0.5, 0.5]),
        "few-labels": edit(label_names=["a", "b"]), "number-labels": edit(label_names=list(range(10))),
        "other-family": edit(architecture="resnetaa50"), "not-a-resnext": edit(architecture="vit_base"),
        "other-class-count": edit(num_classes=1000),
    }
    for name, config in cases.items():
        refuse_folder(name, config=config)


@case(own=None)
def odd_files_in_a_model_folder_stop_the_start_without_blocking():
    for file in ("model.safetensors", "config.json"):
        for kind in ("missing", "fifo", "directory", "unreadable", "loop", "device", "socket"):
            folder = folders.make(f"{kind}-{file}")
            target = os.path.join(folder, file)
            os.remove(target)
            if kind == "fifo":
                os.mkfifo(target)
            elif kind == "directory":
                os.mkdir(target)
            elif kind == "loop":
                os.symlink(file, target)
            elif kind == "device":
                os.symlink("/dev/zero", target)
            elif kind == "socket":
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(target)
            elif kind == "unreadable":
                if os.geteuid() == 0:
                    continue
                os.close(os.open(target, os.O_CREAT, 0))
            refuse(["--model", folder], [file], model=False)
    refuse(["--model", path("no-such-folder")], ["no-such-folder"], model=False)
    refuse(["--model", write("a-file", "x")], ["a-file"], model=False)
    refuse(["--model", f"a={harness.MODEL}", "--model", f"a={harness.MODEL}"], ["a"], model=False)


@case(own=None)
def weights_cut_or_replaced_under_it_do_not_matter():
    folder = folders.make("served")
    weights = os.path.join(folder, "model.safetensors")
    with Daemon(["--model", f"{harness.MODEL_NAME}={folder}"], model=False) as daemon:
        os.truncate(weights, 100)
        daemon.good()
        with open(weights, "wb") as file:
            file.write(os.urandom(100000))
        daemon.good()
        os.remove(weights)
        daemon.recovered()


if __name__ == "__main__":
    harness.main()
