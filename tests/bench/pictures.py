#!/usr/bin/python3 -B
"""The photos that are measured with: sorted by size from a folder, or drawn.

usage: pictures.py FOLDER [SIZE]...     draws some of each size ("500x375"; default all), with Debian's
                                        python3-pil and python3-numpy
"""
import os
import statistics
import sys

START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# What people upload: from the web, from a chat or a shop, and as a phone takes them.
SIZES = {"500x375": 12, "1600x1200": 6, "4000x3000": 3}  # and how many are drawn
LARGEST = "4000x3000"
MOST = 64  # photos of a size
MOST_PIXELS = {"500x375": 1000000, "1600x1200": 7999999, "4000x3000": float("inf")}


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


def jpegs_below(folder):
    """Their paths, in order."""
    return sorted(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names
                  if name.lower().endswith((".jpg", ".jpeg")))


def evenly(items, most):
    """At most so many of them, evenly spread."""
    step = max(1, len(items) / most)
    return [items[int(i * step)] for i in range(min(len(items), most))]


class Group:
    """Photos of about one size: a folder of links, their `paths`; `typical`, the ordinary one whose size
    is the median, and `title`, "width x height" of that."""

    def __init__(self, sizes, folder):
        os.makedirs(folder)
        self.folder, self.paths = folder, []
        for i, path in enumerate(evenly(list(sizes), MOST)):
            self.paths.append(os.path.join(folder, f"{i:03}.jpg"))
            os.symlink(os.path.realpath(path), self.paths[-1])
        areas = {path: size[0] * size[1] for path, size in sizes.items() if size[2]}
        middle = statistics.median_low(areas.values())
        self.typical = next(path for path, area in areas.items() if area == middle)
        self.title = "{} x {}".format(*sizes[self.typical])


class Photos:
    """`groups`: a size of SIZES -> its photos; a size of which there is none is absent."""

    def __init__(self, folders, scratch):
        sizes = {path: size_of(path) for folder in folders for path in jpegs_below(folder)}
        sizes = {path: size for path, size in sizes.items() if size}
        self.groups = {}
        for name in SIZES:
            fits = {path: size for path, size in sizes.items() if group_of(size) == name}
            if any(ordinary for _, _, ordinary in fits.values()):
                self.groups[name] = Group(fits, os.path.join(scratch, name))
        if not self.groups:
            raise OSError(f"{' '.join(folders)}: there is no JPEG of a photo")
        self.web = next(iter(self.groups.values()))


def group_of(size):
    return next(name for name, most in MOST_PIXELS.items() if size[0] * size[1] <= most)


def draw(width, height, seed, path):
    """Clouds of many sizes with grain: it compresses as photos do, to a quarter of a byte a pixel."""
    import numpy
    from PIL import Image
    source = numpy.random.RandomState(seed)
    total = numpy.zeros((height, width, 3), numpy.float32)
    cells, weight = 3, 1.0
    while cells < max(width, height) / 2:
        grid = Image.fromarray((source.rand(cells, cells, 3) * 255).astype(numpy.uint8))
        total += weight * numpy.asarray(grid.resize((width, height), Image.BICUBIC), numpy.float32)
        cells, weight = 2 * cells, 0.5 * weight
    total = (total - total.mean()) / total.std() * 55 + 120 + 4 * source.randn(height, width, 1)
    image = Image.fromarray(numpy.clip(total, 0, 255).astype(numpy.uint8))
    image.save(path, quality=90)


def draw_all(folder, names):
    os.makedirs(folder, exist_ok=True)
    for name in names:
        for i in range(SIZES[name]):
            draw(*map(int, name.split("x")), i, os.path.join(folder, f"drawn_{name}_{i:02}.jpg"))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(SIZES):
        sys.exit(__doc__.strip())
    draw_all(sys.argv[1], sys.argv[2:] or SIZES)
