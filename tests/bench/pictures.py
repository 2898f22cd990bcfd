#!/usr/bin/python3 -B
"""The photos that are measured with: chosen from a folder, or drawn.

usage: pictures.py FOLDER      draws some, with Debian's python3-pil and python3-numpy
"""
import os
import random
import sys

START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SMALL = (500, 375)
LARGE = (4000, 3000)
DRAWN = 24  # of the small
MOST_PIXELS = 1000000  # of what goes through the network by the dozen


def size_of(path):
    """(width, height, is it an ordinary photo: baseline with three components) of a JPEG, or None."""
    with open(path, "rb") as file:
        data = file.read()
    at = 2
    while data[:2] == b"\xff\xd8" and at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if marker in START_OF_FRAME:
            height, width = (int.from_bytes(data[i:i + 2], "big") for i in (at + 5, at + 7))
            return width, height, marker == 0xC0 and data[at + 9] == 3
        at += 2 + length if marker != 0xFF else 1
    return None


class Photos:
    """`usual`: a folder of those of ordinary size, with `paths`; `small`: one of 500 x 375 or the like;
    `large`: one of 12 megapixels or the like, None if there is none."""

    def __init__(self, source, scratch):
        self.usual = os.path.join(scratch, "usual")
        os.makedirs(self.usual)
        self.paths, sizes = [], {}
        for name in sorted(os.listdir(source)):
            path = os.path.realpath(os.path.join(source, name))
            size = size_of(path) if name.lower().endswith((".jpg", ".jpeg")) else None
            if not size:
                continue
            if size[2]:
                sizes[path] = size[0] * size[1]
            if size[0] * size[1] <= MOST_PIXELS:
                self.paths.append(os.path.join(self.usual, name))
                os.symlink(path, self.paths[-1])
        if not self.paths or not sizes:
            raise OSError(f"{source}: no JPEG of usual size")
        self.small = min(sizes, key=lambda path: abs(sizes[path] - SMALL[0] * SMALL[1]))
        large = max(sizes, key=sizes.get)
        self.large = large if sizes[large] >= 8e6 else None


def draw(width, height, seed, path):
    """Clouds of many sizes with grain: it compresses about as a photo does."""
    import numpy
    from PIL import Image
    source = numpy.random.RandomState(seed)
    total = numpy.zeros((height, width, 3), numpy.float32)
    cells, weight = 3, 1.0
    while cells < max(width, height) / 2:
        grid = Image.fromarray((source.rand(cells, cells, 3) * 255).astype(numpy.uint8))
        total += weight * numpy.asarray(grid.resize((width, height), Image.BICUBIC), numpy.float32)
        cells, weight = 2 * cells, 0.5 * weight
    total = (total - total.mean()) / total.std() * 55 + 120 + 3 * source.randn(height, width, 1)
    image = Image.fromarray(numpy.clip(total, 0, 255).astype(numpy.uint8))
    image.save(path, quality=85)


def draw_all(folder):
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(1)
    for i in range(DRAWN):
        size = SMALL if i == 0 else (rng.randint(320, 500), rng.randint(320, 500))
        draw(*size, i, os.path.join(folder, f"drawn_{i:02}.jpg"))
    draw(*LARGE, DRAWN, os.path.join(folder, "drawn_large.jpg"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    draw_all(sys.argv[1])
