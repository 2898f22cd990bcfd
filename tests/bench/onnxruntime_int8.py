"""What ONNX Runtime's own static quantization answers: per channel, ranges by its default (MinMax).

usage: onnxruntime_int8.py MODEL.onnx OUT-INT8.onnx CALIBRATION.npy PHOTOS.npy MEAN STD LOGITS.npy

The photos are [n, size, size, 3] of bytes, RGB; MEAN and STD three numbers each, joined by commas. Writes
the quantized network's logits of the second photos, [n, classes]. Runs in the environment that has
onnxruntime.
"""
import sys

import numpy
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, quantize_static


class Inputs(CalibrationDataReader):
    """The network's inputs, one by one."""

    def __init__(self, path, mean, std):
        self.photos = iter(numpy.load(path, mmap_mode="r"))
        self.mean, self.std = mean, std

    def get_next(self):
        photo = next(self.photos, None)
        if photo is None:
            return None
        x = (photo / 255 - self.mean) / self.std
        return {"x": x.transpose(2, 0, 1)[None].astype(numpy.float32)}


def main(model, quantized, calibration, photos, mean, std, out):
    mean, std = (numpy.array(words.split(","), float) for words in (mean, std))
    quantize_static(model, quantized, Inputs(calibration, mean, std), per_channel=True)
    session = onnxruntime.InferenceSession(quantized, providers=["CPUExecutionProvider"])
    inputs = Inputs(photos, mean, std)
    numpy.save(out, numpy.concatenate([session.run(["y"], x)[0] for x in iter(inputs.get_next, None)]))


if len(sys.argv) != 8:
    sys.exit(__doc__.strip())
main(*sys.argv[1:])
