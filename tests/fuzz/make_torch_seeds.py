#!/usr/bin/python3 -B
"""Writes the seeds of fuzz_torch_file and fuzz_pickle. usage: make_torch_seeds.py CORPUS"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tool"))
import torch_files
from torch_files import Called, Storage, Tensor, namespace, new, old, tensor


def write(folder, name, content):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def small():
    """Tensors of each type, and a view with channels last."""
    shared = Storage("F32", struct.pack("<24f", *range(24)))
    return {"conv1.weight": Tensor(shared, [2, 3, 2, 2], [12, 1, 6, 3]),
            "fc.weight": Tensor(shared, [2, 3], [3, 1], 6),
            "half": tensor([2], struct.pack("<2e", 1, -2), "F16"),
            "bfloat": tensor([2], b"\0\0\x80\x3f", "BF16"),
            "double": tensor([2], struct.pack("<2d", 1, 1e300), "F64"),
            "bn1.num_batches_tracked": tensor([], bytes(8), "I64")}


def things():
    mapping = torch_files.named("pytorch_lightning.utilities.parsing.AttributeDict",
                                type("AttributeDict", (dict,), {}))
    parameter = Called(torch_files.PARAMETER, (tensor([1], bytes(4)), True, {}))
    yield "plain", small()
    yield "parameter", {"a": parameter}
    yield "training", {"epoch": 3, "arch": "resnet18", "args": namespace(mean=[0.5] * 3, img_size=32),
                       "state_dict": small(), "state_dict_ema": small(), "loss": 0.25,
                       "none": None, "long": -2 ** 70, "set": {1, 2}, "bytes": b"abc"}
    yield "lightning", {"state_dict": small(), "hyper_parameters": mapping(lr=0.1), "model": {"model": small()}}
    yield "refused", {"a": Called(torch_files.function("os.system"), ("true",))}


def main():
    files, pickles = (os.path.join(sys.argv[1], name) for name in ("torch_file", "pickle"))
    for name, thing in things():
        write(files, f"zip-{name}", new(thing))
        write(files, f"old-{name}", old(thing))
        for protocol in (2, 4, 5):
            write(pickles, f"{name}-{protocol}", torch_files.dump(thing, protocol)[0])
    write(files, "zip-empty", torch_files.archive([]))


main()
