#!/usr/bin/python3
"""Writes tests/image/pixel_goldens.inc: what Pillow and PyTorch make of a few sample JPEGs.

Run it from the source folder: tests/reference/make_pixel_goldens.py BUILD_FOLDER
"""
import os
import subprocess
import sys
import tempfile

os.environ["top_builddir"] = sys.argv[1]
import numpy
import torch
from PIL import Image

import pillow
from compare_pixels import CLI, crop_bytes

SAMPLES = [
    ("width=40 height=30 colour=1 sampling=2x2,1x1", (5, 6, "bilinear", "center", "ignore")),
    ("width=40 height=30 colour=1 sampling=2x2,1x1", (5, 6, "bicubic", "center", "ignore")),
    ("width=40 height=30 colour=1 sampling=2x2,1x1", (5, 6, "bicubic", "squash", "ignore")),
    ("width=40 height=30 colour=1 sampling=2x2,1x1", (5, 5, "bilinear", "squash", "ignore")),
    ("width=31 height=47 colour=1 sampling=2x1,1x1 scans=2", (4, 9, "bilinear", "center", "ignore")),
    ("width=3 height=5 colour=1", (6, 7, "bicubic", "center", "ignore")),
    ("width=6 height=9 colour=1", (6, 6, "bilinear", "center", "ignore")),
    ("width=1 height=1 colour=1", (2, 3, "bicubic", "center", "ignore")),
    ("width=1 height=900 colour=1", (5, 5, "bicubic", "center", "ignore")),
    ("width=900 height=1 colour=1", (5, 6, "bilinear", "squash", "ignore")),
    ("width=33 height=20 colour=0", (5, 7, "bicubic", "center", "ignore")),
    ("width=33 height=20 colour=2", (5, 7, "bicubic", "center", "ignore")),
    ("width=33 height=20 colour=3", (5, 7, "bicubic", "center", "ignore")),
    ("width=33 height=20 colour=4 sampling=2x1,1x1", (5, 7, "bicubic", "center", "ignore")),
    ("width=33 height=20 colour=1 arithmetic=1", (5, 7, "bilinear", "center", "ignore")),
    ("width=33 height=20 colour=1 scans=1 restart_rows=1", (5, 7, "bilinear", "center", "ignore")),
] + [(f"width=33 height=20 colour=1 orientation={o}", (4, 5, "bilinear", "center", "apply"))
     for o in range(1, 9)] + [
    ("width=33 height=20 colour=1 orientation=6", (4, 5, "bilinear", "center", "ignore")),
    ("width=40 height=30 colour=1", (5, 8, "bilinear", "center", "ignore")),
    ("width=40 height=30 colour=1", (5, 8, "bilinear", "center-floor", "ignore")),
    ("width=30 height=40 colour=1", (5, 8, "bicubic", "center-floor", "ignore")),
    ("width=30 height=41 colour=1", (6, 8, "bicubic", "center-floor", "ignore")),
    ("width=40 height=30 colour=1", (5, 8, "bicubic", "squash-floor", "ignore")),
]
# Tall, upright or once turned, and so narrow that 12.2 takes note: each order gives other pixels.
TALL = [
    ("width=20 height=90 colour=1", (6, 6, "bicubic", "squash", "ignore")),
    ("width=20 height=90 colour=1", (5, 8, "bilinear", "center", "ignore")),
    ("width=90 height=20 colour=1 orientation=6", (6, 6, "bicubic", "squash", "apply")),
    ("width=90 height=20 colour=1 orientation=8", (5, 8, "bilinear", "center", "apply")),
    ("width=20 height=90 colour=1 orientation=3", (5, 8, "bicubic", "center", "apply")),
    ("width=4 height=420 colour=1", (5, 5, "bicubic", "squash", "ignore")),
]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def pixel_golden(folder, words, spec, order):
    path = os.path.join(folder, "sample.jpg")
    with open(path, "wb") as out:
        subprocess.run([CLI, "make", *words.split()], check=True, stdout=out)
    size, short, interpolation, crop, orientation = spec
    mode, _, rounding = crop.partition("-")
    offset = f", .crop_offset = CROP_OFFSET_{rounding.upper()}" if rounding else ""
    with Image.open(path) as image:
        pixels = ", ".join(map(str, crop_bytes(image, spec, order)))
    return (f'    {{"{words}",\n     {{.size = {size}, .resize = {short}, '
            f'.interpolation = INTERPOLATION_{interpolation.upper()}, '
            f'.crop_mode = CROP_{mode.upper()}{offset}}},\n     EXIF_{orientation.upper()},\n     PILLOW_{order.replace(".", "_")},\n'
            f'     {{{pixels}}}}},\n')


def normalize_golden():
    grid = torch.from_numpy(numpy.arange(256, dtype=numpy.float32) / 255.0)[:, None].repeat(1, 3)
    values = (grid - torch.tensor(MEAN)) / torch.tensor(STD)
    return "".join("    {" + ", ".join(float(v).hex() + "f" for v in row) + "},\n"
                   for row in values[::15])


with tempfile.TemporaryDirectory() as folder, \
        open("tests/image/pixel_goldens.inc", "w") as golden:
    golden.write("/* clang-format off */\n/* Made by tests/reference/make_pixel_goldens.py. */\n"
                 "static const struct {\n    const char *sample;\n"
                 "    struct preprocess_spec spec;\n    enum exif_orientation orientation;\n    enum pillow pillow;\n"
                 "    uint8_t rgb[6 * 6 * 3];\n} pixel_goldens[] = {\n")
    for sample_words, sample_spec in SAMPLES:
        golden.write(pixel_golden(folder, sample_words, sample_spec, "13"))
    for sample_words, sample_spec in TALL:
        for each in pillow.ORDERS:
            golden.write(pixel_golden(folder, sample_words, sample_spec, each))
    golden.write("};\n\n/* Values 0, 15, ... 255 with ImageNet's mean and standard deviation. */\n"
                 "static const float normalize_goldens[18][3] = {\n" + normalize_golden() + "};\n")
