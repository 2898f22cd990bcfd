"""Model folders with something wrong, made from the default model."""
import json
import os
import re
import shutil
import struct

import harness

WEIGHTS, CONFIG, CALIBRATION = "model.safetensors", "config.json", "calibration.json"
PROCESSOR = "preprocessor_config.json"


def read(folder=harness.MODEL):
    """(header as a dict in file order, tensor bytes) of model.safetensors."""
    with open(os.path.join(folder, WEIGHTS), "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), file.read()


def archive(header, data):
    """The bytes of a safetensors file; `header` is a dict or the raw bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + data


def put(folder, file, content):
    """Replaces a file: by bytes, a dict to dump, or what a function of its path makes there."""
    target = os.path.join(folder, file)
    if callable(content):
        remove(target)
        content(target)
        return
    with open(target + ".new", "wb") as out:
        out.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    if os.path.isdir(target):
        remove(target)
    os.rename(target + ".new", target)


def remove(target):
    """A file of any kind or an empty directory, if there is one."""
    if os.path.isdir(target) and not os.path.islink(target):
        os.rmdir(target)
    elif os.path.lexists(target):
        os.unlink(target)


def renamed(header, rename):
    """A header whose tensors have other names."""
    return {name if name == "__metadata__" else rename(name): entry for name, entry in header.items()}


def hugging_face(name):
    """The name that transformers' ResNetForImageClassification has for one of torchvision's."""
    block = re.fullmatch(r"layer(\d+)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(\w+)", name)
    kinds = {"conv": "convolution", "bn": "normalization", "0": "convolution", "1": "normalization"}
    if block and block[3] == "downsample.":
        return f"resnet.encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.shortcut.{kinds[block[4]]}.{block[5]}"
    if block:
        return (f"resnet.encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.layer.{int(block[4]) - 1}."
                f"{kinds[block[3]]}.{block[5]}")
    outer = {"conv1": "resnet.embedder.embedder.convolution", "bn1": "resnet.embedder.embedder.normalization",
             "fc": "classifier.1"}
    module, number = name.rsplit(".", 1)
    return f"{outer[module]}.{number}"


def make(name, weights=None, config=None, calibration=None, processor=None):
    """A folder: the default model's weights and config, except for what is given, as put() takes it."""
    folder = harness.path(name)
    os.makedirs(folder)
    for file, content in ((WEIGHTS, weights), (CONFIG, config)):
        if content is None:
            shutil.copy(os.path.join(harness.MODEL, file), folder)
        else:
            put(folder, file, content)
    for file, content in ((CALIBRATION, calibration), (PROCESSOR, processor)):
        if content is not None:
            put(folder, file, content)
    return folder


def original(file):
    """The bytes of a file of the default model."""
    with open(os.path.join(harness.MODEL, file), "rb") as source:
        return source.read()


def config(folder=harness.MODEL):
    with open(os.path.join(folder, CONFIG)) as file:
        return json.load(file)
