#!/usr/bin/python3
"""Compares our pixels byte for byte with Pillow's: compare_pixels.py [RESNEXT].

Photos of ../shared (where present) and 600 generated JPEGs, two thirds of them tall or wide, go
through the test program of src/image with many specifications; if the `resnext` tool is there, it is
compared on the models' own. The pixels are held against those of the installed Pillow, whichever it
is, and against the other orders of its two passes. Run it with another Python for another Pillow.
"""
import functools
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

SRC = os.environ.get("top_srcdir", ".")
sys.path[:0] = [os.path.join(SRC, "tests"), os.path.join(SRC, "tests/reference")]
from tap import Tap, or_skip

with or_skip():
    import PIL
    import pillow
    from PIL import Image, ImageFile, ImageOps

BUILD = os.environ.get("top_builddir", ".")
CLI = os.path.join(BUILD, "tests/image/image_cli")
SHARED = os.path.join(SRC, "../shared")
TOOL = sys.argv[1] if len(sys.argv) > 1 else os.path.join(BUILD, "resnext")
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
GRAY, YCC, RGB, CMYK, YCCK = range(5)
GENERATED = 600
Image.MAX_IMAGE_PIXELS = None
# Read a file in one piece: libjpeg's arithmetic decoder cannot go on after a pause.
ImageFile.MAXBLOCK = 1 << 26


@functools.lru_cache(4)
def decoded(path):
    image = Image.open(path)
    image.load()
    return image


@functools.lru_cache(4)
def upright_or_not(path, orientation):
    return turned(decoded(path), orientation)


def reference(path, spec, order="13"):
    """The reference pipeline. A spec is (size, resize, filter, crop mode, orientation)."""
    return crop(upright_or_not(path, spec[4]), spec, order)


def upright(image):
    """EXIF data at which Pillow gives up with an error turn nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, struct.error):
        return image


def turned(image, orientation):
    return (upright(image) if orientation == "apply" else image).convert("RGB")


def crop_bytes(image, spec, order="13"):
    return crop(turned(image, spec[4]), spec, order)


def offset(rest, mode):
    """Where a crop begins: as torchvision has it or, "-floor", as transformers' center_crop has."""
    return rest // 2 if mode.endswith("-floor") else int(round(rest / 2.0))


def crop(image, spec, order):
    size, short, name, mode, _ = spec
    w, h = image.size
    if mode.startswith("squash"):
        nw, nh = short, short
    elif w <= h:
        nw, nh = short, int(short * h / w)
    else:
        nw, nh = int(short * w / h), short
    if (nw, nh) != (w, h):
        image = pillow.resize(image, (nw, nh), FILTERS[name], order)
    top, left = (offset(edge - size, mode) for edge in (nh, nw))
    return image.crop((left, top, left + size, top + size)).tobytes()


def read_ppm(data, at):
    """The pixels of the P6 picture at `at`, or its error line, and where the next one starts."""
    if not data.startswith(b"P6\n", at):
        end = data.index(b"\n", at)
        return data[at:end].decode(), end + 1
    head = data.index(b"\n255\n", at)
    w, h = map(int, data[at + 3:head].split())
    start = head + 5
    return data[start:start + 3 * w * h], start + 3 * w * h


def ours_of(jobs, decode="exact"):
    """Our pixels, or error lines, of all files of the jobs, which are (spec, order of Pillow, paths)."""
    args = [CLI]
    for spec, order, paths in jobs:
        args += ["--" if args[1:] else "pixels", *map(str, spec), decode, order, *paths]
    data = subprocess.run(args, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
    at = 0
    for _, _, paths in jobs:
        for _ in paths:
            pixels, at = read_ppm(data, at)
            yield pixels


def ours(paths, spec, decode="exact"):
    return list(ours_of([(spec, "13", paths)], decode))


def difference(got, want):
    if got == want:
        return ""
    if isinstance(got, str):
        return got
    if len(got) != len(want):
        return f"{len(got)} bytes instead of {len(want)}"
    wrong = [abs(a - b) for a, b in zip(got, want) if a != b]
    return f"{len(wrong)} of {len(want)} bytes differ, by up to {max(wrong)}"


def compare(tap, cases, orders):
    """cases: list of (name, path, specs). One test a file and order; all its specs are for the native one."""
    tried = {order: slice(None if order == pillow.NATIVE else 2) for order in orders}
    pixels = ours_of([(spec, order, [path]) for _, path, specs in cases for order in orders
                      for spec in specs[tried[order]]])
    for name, path, specs in cases:
        for order in orders:
            faults = {spec: difference(next(pixels), reference(path, spec, order))
                      for spec in specs[tried[order]]}
            tap.check([f"{spec}: {fault}" for spec, fault in faults.items() if fault],
                      f"order of Pillow {order}: {name}")


def photo_cases():
    folder = os.path.join(SHARED, "data/photos")
    if not os.path.isdir(folder):
        return []
    specs = [(224, 256, "bilinear", "center", "ignore"), (224, 235, "bicubic", "center", "ignore"),
             (97, 110, "bicubic", "squash", "apply"), (64, 64, "bilinear", "squash", "ignore"),
             (33, 64, "bilinear", "center", "apply"), (500, 700, "bicubic", "center", "ignore")]
    return [(f"photo {name}", os.path.join(folder, name), specs)
            for name in sorted(os.listdir(folder)) if name.endswith(".jpg")]


def generated_sample(rng, index):
    """The words for `image_cli make`."""
    extremes = [(1, 1), (1, 2000), (2000, 1), (1, 60000), (60000, 1), (2, 2), (7, 9), (8, 8)]
    width, height = extremes[index] if index < len(extremes) else (rng.randint(1, 400),
                                                                  rng.randint(1, 400))
    if index < GENERATED and index % 3 and index >= len(extremes):
        width = rng.randint(1, 200)
        height = min(3000, int(width * 120 ** rng.random()) + rng.randint(0, 9))
    if index < GENERATED and index % 3 == 2 and index >= len(extremes):
        width, height = height, width
    colour = rng.choice([GRAY, YCC, YCC, YCC, RGB, CMYK, YCCK])
    samplings = ["1x1,1x1", "2x1,1x1", "2x2,1x1", "1x2,1x1", "4x1,1x1", "1x4,1x1", "4x2,1x1",
                 "2x2,2x1", "2x2,1x2", "3x1,1x1", "1x1,2x1", "1x1,2x2", "4x1,2x1"]
    if colour == YCCK:  # at most ten blocks in an MCU
        samplings = [s for s in samplings if 2 * sum(int(f[0]) * int(f[2])
                                                     for f in s.split(",")) <= 10]
    words = dict(width=width, height=height, colour=colour, quality=rng.randint(1, 100),
                 sampling=rng.choice(samplings if colour in (YCC, YCCK) else samplings[:1]),
                 scans=rng.choice([0, 0, 1, 2]), arithmetic=int(rng.random() < 0.1),
                 optimize=int(rng.random() < 0.3), restart_rows=rng.choice([0, 0, 1, 3]),
                 orientation=rng.choice([0, 0, 1, 2, 3, 4, 5, 6, 7, 8]), seed=index)
    if words["arithmetic"]:
        words["optimize"] = 0
    return words


def generated_spec(rng, extreme):
    size = rng.randint(1, 9) if extreme else rng.randint(1, 260)
    return (size, size + rng.choice([0, 0, rng.randint(0, 4 if extreme else 80)]),
            rng.choice(["bilinear", "bicubic"]), rng.choice(["center", "squash", "center-floor", "squash-floor"]),
            rng.choice(["ignore", "apply"]))


def generated_cases(folder):
    rng = random.Random(20240229)
    cases = []
    for index in range(GENERATED):
        words = generated_sample(rng, index)
        path = os.path.join(folder, f"{index}.jpg")
        with open(path, "wb") as out:
            subprocess.run([CLI, "make", *(f"{k}={v}" for k, v in words.items())], check=True,
                           stdout=out)
        long, short = sorted((words["width"], words["height"]), reverse=True)
        specs = [generated_spec(rng, long > 20 * short) for _ in range(4)]
        cases.append((f"generated {' '.join(f'{k}={v}' for k, v in words.items())}", path, specs))
    return cases


def model_spec(folder):
    config = json.load(open(os.path.join(folder, "config.json")))
    config = config.get("pretrained_cfg", config)
    size = config["input_size"][1]
    short = config.get("resize_size") or int(math.floor(size / config.get("crop_pct", 1.0)))
    return (size, short, config.get("interpolation", "bilinear"),
            config.get("crop_mode", "center"), "apply")


def with_spec(model, folder, **changes):
    """A copy of a model folder whose config.json is changed."""
    os.mkdir(folder)
    shutil.copyfile(os.path.join(model, "model.safetensors"),
                    os.path.join(folder, "model.safetensors"))
    config = json.load(open(os.path.join(model, "config.json")))
    config["pretrained_cfg"].update(changes)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    return folder


def compare_tool(tap, photos, folder):
    models = os.path.join(SHARED, "models")
    if not (os.access(TOOL, os.X_OK) and os.path.isdir(models) and photos):
        tap.skip("the tool's preprocess", "no resnext tool, models or photos")
        return
    for name in sorted(os.listdir(models)):
        model = os.path.join(models, name)
        info = subprocess.run([TOOL, "info", model], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if info.returncode != 0 and "is not served" in info.stderr:
            tap.skip(f"tool {name}", info.stderr.strip())
            continue
        variants = [model,
                    with_spec(model, f"{folder}/{name}-bicubic", interpolation="bicubic",
                              crop_pct=0.875),
                    with_spec(model, f"{folder}/{name}-squash", crop_mode="squash", crop_pct=0.9)]
        for variant in variants:
            spec = model_spec(variant)
            for photo, path, _ in photos:
                run = subprocess.run([TOOL, "preprocess", variant, path], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
                got = read_ppm(run.stdout, 0)[0] if run.returncode == 0 else "the tool failed"
                fault = difference(got, reference(path, spec))
                tap.check([fault] if fault else [], f"tool {os.path.basename(variant)} {photo}")


def compare_pillow_option(tap, cases):
    """What the tool's --pillow does with tall pictures, in the model that comes along."""
    if not os.access(TOOL, os.X_OK):
        tap.skip("the tool's --pillow", "no resnext tool")
        return
    model = os.path.join(SRC, "models/resnext29-cifar10")
    spec = model_spec(model)
    for order in pillow.ORDERS:
        faults = []
        for name, path, _ in cases:
            run = subprocess.run([TOOL, "preprocess", "--pillow", order, model, path],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            got = read_ppm(run.stdout, 0)[0] if run.returncode == 0 else "the tool failed"
            fault = difference(got, reference(path, spec, order))
            faults += [f"{name}: {fault}"] if fault else []
        tap.check(faults, f"the tool's pixels with --pillow {order}")


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        photos = photo_cases()
        generated = generated_cases(folder)
        print(f"# Pillow {PIL.__version__} has the order of {pillow.NATIVE}", flush=True)
        compare(tap, photos + generated[1::2], [pillow.NATIVE])
        compare(tap, generated[::2], pillow.ORDERS)
        compare_tool(tap, photos[::6], folder)
        compare_pillow_option(tap, generated[10:90])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
