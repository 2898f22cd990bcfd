"""Times OpenVINO, one line of JSON: median_ms an image.

usage: time_openvino.py MODEL.onnx SIZE THREADS BATCH SECONDS f32|bf16

One stream: the time of one batch. The last word is the type for what the model has in float32; a model
with quantize/dequantize pairs runs in int8 all the same. Runs in the environment that has openvino.
"""
import json
import statistics
import sys
import time

import numpy
import openvino


def main():
    path, hint = sys.argv[1], sys.argv[6]
    size, threads, batch = map(int, sys.argv[2:5])
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([batch, 3, size, size])
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint})
    request = compiled.create_infer_request()
    x = numpy.random.RandomState(1).uniform(-2, 2, (batch, 3, size, size)).astype(numpy.float32)
    for _ in range(3):
        request.infer({0: x})
    times = []
    end = time.monotonic() + float(sys.argv[5])
    while not times or time.monotonic() < end:
        start = time.perf_counter()
        request.infer({0: x})
        times.append(time.perf_counter() - start)
    print(json.dumps({"median_ms": 1000 * statistics.median(times) / batch}))


main()
