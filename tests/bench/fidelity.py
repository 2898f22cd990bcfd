"""How well cheaper arithmetic keeps a learned network's answers: logits and top classes against float32,
ours and those of ONNX Runtime's own int8, both calibrated on the same photos."""
import json
import os
import subprocess

import parties
import pictures
from parties import Failed, run

CALIBRATION_PHOTOS = 250
MOST_PHOTOS = 1020
LEAST_PHOTOS = 20  # fewer say nothing
CALIBRATE_SECONDS = 900


def split(photos, calibration):
    """(photos to calibrate with, photos to measure with): the folders, which share no photo, or turn by turn
    of the first."""
    paths = pictures.jpegs_below(photos)
    apart = pictures.jpegs_below(calibration) if calibration else paths[::2]
    measured = paths if calibration else paths[1::2]
    if min(len(apart), len(measured)) < LEAST_PHOTOS:
        raise Failed(f"it takes {LEAST_PHOTOS} photos or more to calibrate, and as many to measure")
    shared = {os.path.realpath(path) for path in apart} & {os.path.realpath(path) for path in measured}
    if shared:
        raise Failed(f"{len(shared)} photos of --calibration-photos are in --photos too; name folders that share "
                     "none, or --photos alone")
    return pictures.evenly(apart, CALIBRATION_PHOTOS), pictures.evenly(measured, MOST_PHOTOS)


def linked(paths, folder):
    """A new folder with links to them."""
    os.makedirs(folder)
    for i, path in enumerate(paths):
        os.symlink(os.path.realpath(path), os.path.join(folder, f"{i:04}.jpg"))
    return folder


def calibrated(program, model, photos, folder):
    """A copy of the model's folder with a calibration made from the photos."""
    os.makedirs(folder)
    for name in os.listdir(model):
        if name != "calibration.json":
            os.symlink(os.path.realpath(os.path.join(model, name)), os.path.join(folder, name))
    run([program.tool, "calibrate", folder, photos, "--holdout", "0"], CALIBRATE_SECONDS)
    return folder


def logits(program, model, precision, photos):
    """[n, classes], of the photos in a folder."""
    import numpy
    lines = run([program.tool, "classify", "--json", "--logits", "-k", "1", "--precision", precision,
                 model, photos], CALIBRATE_SECONDS).splitlines()
    return numpy.array([json.loads(line)["logits"] for line in lines])


def pixels(program, recipe, paths, out):
    """Writes [n, size, size, 3] of bytes, as the network sees the photos."""
    import numpy
    if recipe.crop_mode != "center":
        raise Failed(f"crop_mode {recipe.crop_mode}: photos are prepared for the peer by a crop alone")
    if not os.access(program.image_cli, os.X_OK):
        raise Failed(f"{program.image_cli} is not built; ./bootstrap bench builds it")
    size = recipe.size
    words = map(str, ("pixels", size, recipe.short, recipe.filter, "center", "apply", "exact", "13", *paths))
    found = subprocess.run([program.image_cli, *words], check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL).stdout
    head = b"P6\n%d %d\n255\n" % (size, size)
    if len(found) != len(paths) * (len(head) + 3 * size * size):
        raise Failed("a photo cannot be decoded")
    rows = numpy.frombuffer(found, numpy.uint8).reshape(len(paths), -1)[:, len(head):]
    numpy.save(out, rows.reshape(-1, size, size, 3))
    return out


def theirs(runtime, program, model, parts, scratch):
    """Logits of ONNX Runtime's int8."""
    import numpy
    recipe = model.recipe
    inputs = [pixels(program, recipe, paths, os.path.join(scratch, f"{name}.npy"))
              for name, paths in zip(("apart", "measured"), parts)]
    out = os.path.join(scratch, "logits.npy")
    runtime.quantize_and_run(model.onnx, os.path.join(scratch, "int8.onnx"), *inputs,
                             *(",".join(map(str, numbers)) for numbers in (recipe.mean, recipe.std)), out)
    return numpy.load(out)


def row(what, exact, found):
    """A line of the table. Signal and noise are those of the logits less their mean in each picture, of
    all pictures together."""
    import numpy
    signal, noise = (part - part.mean(1, keepdims=True) for part in (exact, found - exact))
    decibels = 10 * numpy.log10((signal ** 2).sum() / (noise ** 2).sum())
    same = (exact.argmax(1) == found.argmax(1)).mean()
    return f"| {what} | {decibels:.1f} dB | {100 * same:.1f} % |\n"


def measure(bench, model, scratch):
    """The table, as Markdown."""
    program, options = bench.program, bench.options
    parts = split(options.photos, options.calibration_photos)
    apart, measured = (linked(paths, os.path.join(scratch, name))
                       for name, paths in zip(("apart", "measured"), parts))
    bench.progress.step(f"{model.label}, calibrating on {len(parts[0])} photos", 1, 4)
    folder = calibrated(program, model.folder, apart, os.path.join(scratch, "calibrated"))
    text = (f"| {model.label}, {len(parts[1])} photos, against float32 | signal to noise of the logits | "
            "same top class |\n| --- | ---: | ---: |\n")
    bench.progress.step(f"{model.label}, answers of float32, bf16 and int8", 2, 4)
    exact = logits(program, folder, "f32", measured)
    for precision in ("bf16", "int8"):
        text += row(f"{precision}, resnextd", exact, logits(program, folder, precision, measured))
    runtime = bench.peer(parties.OnnxRuntimePython)
    if runtime and model.onnx:
        bench.progress.step(f"{model.label}, answers of ONNX Runtime", 3, 4)
        try:
            text += row("int8, ONNX Runtime", exact, theirs(runtime, program, model, parts, scratch))
        except Failed as reason:
            bench.note(f"the fidelity of ONNX Runtime's int8 is left out: {reason}")
    bench.progress.clear()
    bench.note(f"int8 calibrated on {len(parts[0])} other photos")
    return text
