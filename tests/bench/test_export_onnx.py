#!/usr/bin/python3 -B
"""The ONNX files give the logits of the model folder they were made from: as evaluate_onnx.py computes
them, and ONNX Runtime where it is in the scratch folder of ./bootstrap bench."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import bench  # noqa: E402
import parties  # noqa: E402

FOLDERS = ("models/resnext29-cifar10", "tests/data/tiny-imagenet-style",
           "tests/data/tiny-resnet18-style")
MADE = ("blocks=1,1:C=1:d=16:stride=1x1:classes=100:size=64",)  # the stride on the first 1x1
PICTURE = os.path.join(parties.TOP, "tests/data/pictures/flowers_422.jpg")
TOLERANCE = {"f32": 1e-4, "int8": 0.25}  # of the largest logit


def missing_packages():
    done = subprocess.run([parties.PYTHON, "-c", "import numpy, onnx"], capture_output=True, check=False)
    return done.returncode != 0


def evaluators(runtime, file, size):
    """Name -> a function from the path of an input to logits."""
    yield "numpy", lambda path: parties.last_json(parties.run(
        [parties.PYTHON, "-B", parties.script("evaluate_onnx.py"), file, path]))["logits"]
    if not runtime.absent:
        yield runtime.name, lambda path: runtime.time(file, size, 1, 1, 0, path)["logits"]


def make(program, template, scratch):
    """A folder with random weights, calibrated."""
    folder = os.path.join(scratch, "model")
    parties.run([program.tool, "init", template, folder])
    parties.run([program.tool, "calibrate", folder, os.path.dirname(PICTURE)])
    return folder


def compare(program, runtime, folder, scratch):
    """Float32 everywhere, and int8 where the folder has a calibration: problems, and figures."""
    model = bench.Model("model", folder)
    calibrated = os.path.exists(os.path.join(model.folder, "calibration.json"))
    kinds = ("f32", "int8") if calibrated else ("f32",)
    files = [os.path.join(scratch, kind + ".onnx") for kind in kinds]
    parties.run([parties.PYTHON, "-B", parties.script("export_onnx.py"), model.folder, *files])
    problems, figures = [], []
    for kind, file in zip(kinds, files):
        for name, evaluate in evaluators(runtime, file, model.recipe.size):
            off = bench.logits_difference(program, evaluate, model, PICTURE, scratch)
            figures.append(f"{kind} by {name} off by {off:.1e}")
            if not off <= TOLERANCE[kind]:
                problems.append(figures[-1])
    return problems, ", ".join(figures)


def main():
    if missing_packages():
        print("1..1\nok 1 # SKIP python3-onnx or python3-numpy is not installed")
        return 0
    runtime = parties.OnnxRuntime(bench.default_cache(), install=False)
    program = parties.Program(bench.service.harness.BUILD)
    failed = 0
    print(f"1..{len(FOLDERS + MADE)}")
    for number, name in enumerate(FOLDERS + MADE, 1):
        with tempfile.TemporaryDirectory() as scratch:
            folder = make(program, name, scratch) if name in MADE else os.path.join(parties.TOP, name)
            problems, figures = compare(program, runtime, folder, scratch)
        failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {number} - {name}: {figures}", flush=True)
    return 1 if failed else 0


sys.exit(main())
