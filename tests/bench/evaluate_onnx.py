"""Computes an ONNX file as the operators' specification says, with numpy: slow, and independent of
what wrote the file. usage: evaluate_onnx.py MODEL.onnx INPUT.f32, prints the outputs as JSON."""
import json
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper


def windows(x, kernel, strides, pads, fill):
    """[n, c, height, width, kernel, kernel]: what each output position looks at."""
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=fill)
    all_ = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    return all_[:, :, ::strides[0], ::strides[1]]


def conv(x, weights, bias, kernel_shape, strides, pads, group):
    outputs = []
    seen = windows(x, kernel_shape, strides, pads, 0)
    for part, filters in zip(np.split(seen, group, 1), np.split(weights, group)):
        outputs.append(np.einsum("nchwij,ocij->nohw", part, filters, optimize=True))
    return np.concatenate(outputs, 1) + bias[:, None, None]


def along(values, axis, rank):
    return values.reshape([-1 if i == axis else 1 for i in range(rank)]) if values.ndim else values


def quantize(x, scale, zero):
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(x / scale) + zero, limits.min, limits.max).astype(zero.dtype)


def dequantize(q, scale, zero, axis=1):
    return (q.astype(np.float64) - along(zero, axis, q.ndim)) * along(scale, axis, q.ndim)


OPERATORS = {
    "Add": np.add,
    "Conv": conv,
    "DequantizeLinear": dequantize,
    "Flatten": lambda x: x.reshape(len(x), -1),
    "Gemm": lambda x, w, b, transB: x @ w.T + b,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdims=True),
    "MaxPool": lambda x, kernel_shape, strides, pads: windows(
        x, kernel_shape, strides, pads, -np.inf).max((4, 5)),
    "QuantizeLinear": quantize,
    "Relu": lambda x: np.maximum(x, 0),
}


def main():
    graph = onnx.load(sys.argv[1]).graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim[1:]]
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values["x"] = np.fromfile(sys.argv[2], "<f4").reshape(1, *shape).astype(np.float64)
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = OPERATORS[node.op_type](*(values[name] for name in node.input),
                                                         **attributes)
    print(json.dumps({"logits": values["y"][0].tolist()}))


main()
