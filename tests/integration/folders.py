"""Model folders with something wrong, made from the default model."""
import json
import os
import shutil
import struct

import harness


def read(folder=harness.MODEL):
    """(header as a dict in file order, tensor bytes) of model.safetensors."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), file.read()


def archive(header, data):
    """The bytes of a safetensors file; `header` is a dict or the raw bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + data


def make(name, weights=None, config=None):
    """A folder: the default model's files, except for what is given (bytes, or a dict to dump)."""
    folder = harness.path(name)
    os.makedirs(folder)
    for file, content in (("model.safetensors", weights), ("config.json", config)):
        target = os.path.join(folder, file)
        if content is None:
            shutil.copy(os.path.join(harness.MODEL, file), target)
        else:
            with open(target, "wb") as out:
                out.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def config(folder=harness.MODEL):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)
