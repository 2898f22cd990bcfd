#!/usr/bin/python3 -B
"""Writes a model folder's network as ONNX, for programs that read that.

usage: export_onnx.py FOLDER OUT.onnx [OUT-INT8.onnx]

Batch norms are folded in double. OUT-INT8.onnx has quantize/dequantize pairs: weights per output
channel, activations per tensor with the ranges of FOLDER/calibration.json; the classifier is in float32.
Input "x" is [n, 3, size, size], normalised; output "y" is [n, classes]. Needs Debian's python3-onnx and
python3-numpy.
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-5  # of batch norms
OPSET = 13
IR_VERSION = 8
DECODERS = {
    "F32": lambda data: np.frombuffer(data, "<f4"),
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float32),
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32),
}


class Folder:
    """Tensors, sizes and calibration of a model folder."""

    def __init__(self, path):
        self.tensors = read_safetensors(os.path.join(path, "model.safetensors"))
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        self.stride_first = config.get("downsample_in_bottleneck", False)
        config = config.get("pretrained_cfg", config)
        self.size = config["input_size"][1]
        self.mean, self.std = np.array(config["mean"]), np.array(config["std"])
        self.ranges = {}
        calibration = os.path.join(path, "calibration.json")
        if os.path.exists(calibration):
            with open(calibration, encoding="utf-8") as file:
                layers = json.load(file)["layers"]
            self.ranges = {name: range_of(layer) for name, layer in layers.items() if "scale" in layer}

    def folded(self, conv, norm):
        """Weights and bias of a convolution with its batch norm in it, float32."""
        weight, bias, mean, variance = (self.tensors[f"{norm}.{field}"].astype(np.float64)
                                        for field in ("weight", "bias", "running_mean", "running_var"))
        scale = weight / np.sqrt(variance + EPSILON)
        weights = self.tensors[conv + ".weight"] * scale[:, None, None, None]
        return weights.astype(np.float32), (bias - mean * scale).astype(np.float32)

    def input_range(self):
        return float((-self.mean / self.std).min()), float(((1 - self.mean) / self.std).max())


def read_safetensors(path):
    """Name -> array, in float32, of the file's floating point tensors."""
    data = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        if entry["dtype"] in DECODERS:
            values = DECODERS[entry["dtype"]](data[begin:end].tobytes())
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def range_of(layer):
    """Lowest and highest value of any channel, of an entry of calibration.json."""
    scale, zero = np.atleast_1d(layer["scale"]), np.atleast_1d(layer["zero"])
    return float((-scale * zero).min()), float((scale * (255 - zero)).max())


class FloatGraph:
    """Appends the operations of a network; each method returns the name of its result."""

    def __init__(self, folder):
        self.folder = folder
        self.nodes, self.constants = [], []

    def node(self, operation, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def weights(self, name, weights, bias, x):
        del x
        return [self.constant(name + ".weight", weights), self.constant(name + ".bias", bias)]

    def ranged(self, value, low, high):
        """The value as it is stored; low and high are what it holds."""
        del low, high
        return value

    def input(self):
        return self.ranged("x", *self.folder.input_range())

    def conv(self, name, norm, x, channels, stride, ending):
        """`ending` is "relu", "linear" (a projection) or "summand" (before the shortcut is added)."""
        weights, bias = self.folder.folded(name, norm)
        kernel = weights.shape[2]
        y = self.node("Conv", [x, *self.weights(name, weights, bias, x)], name, kernel_shape=[kernel] * 2,
                      strides=[stride] * 2, pads=[kernel // 2] * 4, group=channels // weights.shape[1])
        if ending == "relu":
            y = self.node("Relu", [y], name + ".relu")
        low, high = self.folder.ranges.get(name, (0, 0))
        return self.ranged(y, -high if ending == "summand" else low, high), weights.shape[0]

    def add(self, name, x, shortcut):
        total = self.node("Add", [x, shortcut], name + ".sum")
        y = self.node("Relu", [total], name + ".sum.relu")
        return self.ranged(y, *self.folder.ranges.get(name, (0, 0)))

    def max_pool(self, x):
        y = self.node("MaxPool", [x], "max_pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        return self.ranged(y, *self.folder.ranges.get("conv1", (0, 0)))

    def classifier(self, x):
        y = self.node("Flatten", [self.node("GlobalAveragePool", [x], "avg_pool")], "features")
        inputs = [self.constant(name, self.folder.tensors[name]) for name in ("fc.weight", "fc.bias")]
        return self.node("Gemm", [y, *inputs], "y", transB=1)


class QuantizedGraph(FloatGraph):
    """The same with each value as bytes between the operations."""

    def __init__(self, folder):
        super().__init__(folder)
        self.scales = {}

    def ranged(self, value, low, high):
        scale = np.float32(max(high - low, 1e-6) / 255)
        self.scales[value + ".real"] = scale
        pair = [self.constant(value + ".scale", scale),
                self.constant(value + ".zero", np.uint8(np.clip(round(-low / scale), 0, 255)))]
        bytes_ = self.node("QuantizeLinear", [value, *pair], value + ".bytes")
        return self.node("DequantizeLinear", [bytes_, *pair], value + ".real")

    def integers(self, name, values, scale):
        pair = [self.constant(name + ".scale", scale.astype(np.float32)),
                self.constant(name + ".zero", np.zeros(len(scale), values.dtype))]
        return self.node("DequantizeLinear", [self.constant(name, values), *pair], name + ".real", axis=0)

    def weights(self, name, weights, bias, x):
        scale = np.maximum(np.abs(weights).reshape(len(weights), -1).max(1), 1e-12) / 127
        rounded = np.round(weights / scale[:, None, None, None]).astype(np.int8)
        sums = scale.astype(np.float64) * self.scales[x]
        bias = np.clip(np.round(bias / sums), -2**31, 2**31 - 1).astype(np.int32)
        return [self.integers(name + ".weight", rounded, scale),
                self.integers(name + ".bias", bias, sums)]


def blocks(tensors):
    """Names of the residual blocks, in order: layer1.0, layer1.1, ..."""
    names = {tuple(map(int, name[5:].split(".")[:2])) for name in tensors if name.startswith("layer")}
    return [f"layer{stage}.{block}" for stage, block in sorted(names)]


def append_block(graph, name, x, channels):
    tensors = graph.folder.tensors
    convs = 3 if f"{name}.conv3.weight" in tensors else 2
    stride = 2 if name.endswith(".0") and not name.startswith("layer1.") else 1
    strided = 1 if graph.folder.stride_first else convs - 1  # the 3x3, or the first of a basic block
    shortcut, y, inner = x, x, channels
    if f"{name}.downsample.0.weight" in tensors:
        shortcut, _ = graph.conv(f"{name}.downsample.0", f"{name}.downsample.1", x, channels, stride,
                                 "linear")
    for i in range(1, convs + 1):
        y, inner = graph.conv(f"{name}.conv{i}", f"{name}.bn{i}", y, inner,
                              stride if i == strided else 1, "summand" if i == convs else "relu")
    return graph.add(f"{name}.conv{convs}", y, shortcut), inner


def build(graph):
    """The whole network of the graph's folder, as an ONNX model."""
    folder = graph.folder
    imagenet_stem = folder.tensors["conv1.weight"].shape[2] == 7
    x, channels = graph.conv("conv1", "bn1", graph.input(), 3, 2 if imagenet_stem else 1, "relu")
    if imagenet_stem:
        x = graph.max_pool(x)
    for name in blocks(folder.tensors):
        x, channels = append_block(graph, name, x, channels)
    graph.classifier(x)
    classes = len(folder.tensors["fc.bias"])
    floats = TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "resnext",
            [helper.make_tensor_value_info("x", floats, ["n", 3, folder.size, folder.size])],
            [helper.make_tensor_value_info("y", floats, ["n", classes])], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    folder = Folder(sys.argv[1])
    onnx.save(build(FloatGraph(folder)), sys.argv[2])
    if len(sys.argv) == 4:
        if not folder.ranges:
            sys.exit(f"{sys.argv[1]}: int8 needs a calibration.json; see resnext calibrate")
        onnx.save(build(QuantizedGraph(folder)), sys.argv[3])


if __name__ == "__main__":
    main()
