#!/usr/bin/python3
"""Draws the test pictures: tests/data/pictures/*.jpg, the same bytes on every run with one Pillow.

usage: draw_pictures.py [FOLDER]

Needs Debian's python3-pil and python3-numpy.
"""
import io
import math
import os
import struct
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_FOLDER = os.path.join(HERE, '..', 'data', 'pictures')
EXIF_ORIENTATION = 0x0112
OVERSAMPLING = 8


def noise(seed, width, height, octaves=4):
    """Smooth noise in 0..1, [height, width]."""
    source = np.random.RandomState(seed)
    total = np.zeros((height, width))
    for octave in range(octaves):
        cells = 3 << octave
        grid = Image.fromarray((source.rand(cells, cells) * 255).astype(np.uint8))
        total += np.asarray(grid.resize((width, height), Image.BICUBIC), float) / 255 / 2 ** octave
    return (total - total.min()) / (total.max() - total.min())


def blend(low, high, amount):
    """Colors between `low` and `high`, as the array `amount` (0..1) says: an RGB image."""
    low, high = np.array(low, float), np.array(high, float)
    pixels = low + (high - low) * amount[..., None]
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def vertical(low, high, width, height):
    return blend(low, high, np.repeat(np.linspace(0, 1, height)[:, None], width, 1))


def small(painter, size=(32, 32)):
    """What painter(draw, w, h) draws, made large and shrunk so that edges are soft."""
    width, height = size[0] * OVERSAMPLING, size[1] * OVERSAMPLING
    image = painter(width, height)
    return image.resize(size, Image.LANCZOS)


# What a network of CIFAR-10's classes may take for one of them. Coordinates in 32nds.

def scaled(draw_shape, points, unit, fill):
    draw_shape([(x * unit, y * unit) for x, y in points], fill=fill)


def airliner(width, height):
    image = vertical((96, 148, 214), (188, 214, 240), width, height)
    draw, unit = ImageDraw.Draw(image), width / 32
    scaled(draw.polygon, [(14, 16), (6, 6), (9, 6), (20, 15)], unit, (150, 156, 166))
    scaled(draw.polygon, [(2, 14), (1, 9), (4, 9), (7, 14)], unit, (70, 84, 130))
    scaled(draw.ellipse, [(2, 13), (30, 18)], unit, (236, 238, 242))
    scaled(draw.polygon, [(14, 17), (8, 26), (12, 26), (20, 17)], unit, (176, 180, 188))
    scaled(draw.rectangle, [(6, 15), (25, 15.5)], unit, (90, 100, 120))
    return image


def freighter(width, height):
    image = vertical((170, 196, 220), (210, 222, 232), width, height)
    draw, unit = ImageDraw.Draw(image), width / 32
    scaled(draw.rectangle, [(0, 22), (32, 32)], unit, (44, 84, 120))
    scaled(draw.polygon, [(2, 18), (30, 18), (27, 24), (5, 24)], unit, (120, 34, 34))
    scaled(draw.rectangle, [(5, 12), (12, 18)], unit, (236, 236, 230))
    scaled(draw.rectangle, [(7, 7), (10, 12)], unit, (214, 150, 60))
    scaled(draw.rectangle, [(14, 15), (26, 18)], unit, (90, 110, 90))
    scaled(draw.rectangle, [(20, 6), (20.6, 15)], unit, (60, 60, 60))
    return image


def saloon(width, height):
    image = vertical((190, 190, 186), (120, 120, 118), width, height)
    draw, unit = ImageDraw.Draw(image), width / 32
    scaled(draw.polygon, [(8, 15), (12, 8), (22, 8), (27, 15)], unit, (160, 20, 24))
    scaled(draw.polygon, [(10, 14.5), (13, 9.5), (17, 9.5), (17, 14.5)], unit, (40, 50, 64))
    scaled(draw.polygon, [(18, 14.5), (18, 9.5), (21.5, 9.5), (25, 14.5)], unit, (40, 50, 64))
    scaled(draw.polygon, [(2, 15), (29, 14), (30, 22), (2, 22)], unit, (200, 28, 32))
    for x in (5, 21):
        scaled(draw.ellipse, [(x, 18), (x + 7, 25)], unit, (20, 20, 22))
        scaled(draw.ellipse, [(x + 2, 20), (x + 5, 23)], unit, (170, 170, 176))
    return image


def lorry(width, height):
    image = vertical((198, 216, 236), (150, 150, 146), width, height)
    draw, unit = ImageDraw.Draw(image), width / 32
    scaled(draw.rectangle, [(9, 5), (31, 22)], unit, (240, 240, 236))
    scaled(draw.rectangle, [(9, 20), (31, 22)], unit, (90, 90, 94))
    scaled(draw.polygon, [(1, 24), (1, 15), (4, 9), (9, 9), (9, 24)], unit, (30, 70, 160))
    scaled(draw.polygon, [(2, 15), (4.5, 10), (8, 10), (8, 15)], unit, (30, 36, 46))
    for x in (2, 15, 23):
        scaled(draw.ellipse, [(x, 20), (x + 6, 27)], unit, (18, 18, 20))
    return image


def toad(width, height):
    image = blend((96, 78, 50), (150, 128, 84), noise(3, width, height))
    draw, unit = ImageDraw.Draw(image), width / 32
    green, dark = (92, 128, 44), (60, 90, 30)
    scaled(draw.ellipse, [(4, 12), (28, 28)], unit, green)
    for x in (2, 20):
        scaled(draw.ellipse, [(x, 20), (x + 10, 29)], unit, dark)
    scaled(draw.ellipse, [(8, 6), (24, 20)], unit, (110, 150, 54))
    for x in (8, 19):
        scaled(draw.ellipse, [(x, 4), (x + 6, 10)], unit, (196, 180, 70))
        scaled(draw.ellipse, [(x + 2, 6), (x + 4.5, 8.5)], unit, (10, 10, 8))
    scaled(draw.line, [(10, 16), (16, 17.5), (22, 16)], unit, dark)
    return image


def mare(width, height):
    image = vertical((170, 200, 226), (96, 140, 60), width, height)
    draw, unit = ImageDraw.Draw(image), width / 32
    brown, mane = (112, 62, 30), (40, 22, 12)
    scaled(draw.rectangle, [(0, 22), (32, 32)], unit, (90, 134, 54))
    for x in (9, 12, 20, 23):
        scaled(draw.rectangle, [(x, 19), (x + 2, 30)], unit, brown)
    scaled(draw.ellipse, [(7, 12), (26, 22)], unit, brown)
    scaled(draw.polygon, [(20, 15), (25, 5), (29, 7), (26, 18)], unit, brown)
    scaled(draw.polygon, [(25, 4), (27, 3), (32, 9), (30, 11), (25, 8)], unit, brown)
    scaled(draw.polygon, [(19, 14), (24, 4), (26, 4), (22, 14)], unit, mane)
    scaled(draw.polygon, [(8, 13), (4, 16), (4, 24), (6, 24), (7, 17)], unit, mane)
    return image


# Larger pictures, for the decoder and the resizer.

def ridge(draw, seed, base, height, fill, width, bottom):
    profile = noise(seed, width, 1, octaves=5)[0] * height
    outline = [(x, base - profile[x]) for x in range(width)]
    draw.polygon(outline + [(width, bottom), (0, bottom)], fill=fill)


def landscape(width, height, seed=11):
    """Sky, sun, three mountain ridges, a lake with ripples."""
    image = vertical((70, 110, 190), (250, 210, 170), width, height)
    draw = ImageDraw.Draw(image)
    radius = width // 14
    draw.ellipse([width * 0.68 - radius, height * 0.3 - radius,
                  width * 0.68 + radius, height * 0.3 + radius], fill=(255, 244, 200))
    for step, color in enumerate([(120, 130, 170), (84, 96, 120), (44, 66, 54)]):
        ridge(draw, seed + step, height * (0.55 + 0.1 * step), height * 0.35, color, width, height)
    lake = int(height * 0.78)
    ripples = noise(seed + 7, width, height - lake, octaves=6)
    image.paste(blend((30, 60, 90), (150, 170, 190), ripples), (0, lake))
    return image


def flowers(width, height, seed=23):
    """A meadow of flowers of every hue on mottled green."""
    source = np.random.RandomState(seed)
    image = blend((20, 70, 20), (120, 170, 60), noise(seed, width, height, octaves=6))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = source.rand(2) * (width, height)
        size = 4 + source.rand() * width / 24
        color = tuple(int(v) for v in source.randint(80, 256, 3))
        for petal in range(6):
            angle = petal * math.pi / 3 + source.rand() * 0.2
            px, py = x + math.cos(angle) * size, y + math.sin(angle) * size
            draw.ellipse([px - size * .6, py - size * .6, px + size * .6, py + size * .6],
                         fill=color)
        draw.ellipse([x - size / 2, y - size / 2, x + size / 2, y + size / 2], fill=(250, 210, 40))
    return image


def bricks(width, height, seed=31):
    """A wall: sharp edges in both directions, a texture on top."""
    source = np.random.RandomState(seed)
    image = Image.new('RGB', (width, height), (186, 180, 170))
    draw = ImageDraw.Draw(image)
    for row, y in enumerate(range(0, height, 22)):
        for x in range(-24 * (row % 2), width, 48):
            shade = source.randint(-24, 25)
            draw.rectangle([x, y, x + 44, y + 18], fill=(168 + shade, 74 + shade, 54 + shade))
    return Image.blend(image, blend((0, 0, 0), (255, 255, 255), noise(seed, width, height, 7)), .15)


def zone_plate(width, height):
    """Rings ever finer towards the edge: a resizer that aliases is seen at once."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    distance = (x - width / 2) ** 2 + (y - height / 2) ** 2
    rings = 127.5 + 127.5 * np.cos(distance * math.pi / width)
    return Image.fromarray((rings + 0.5).astype(np.uint8))


def shapes(width, height, seed=43):
    """Overlapping polygons of saturated colors."""
    source = np.random.RandomState(seed)
    image = Image.new('RGB', (width, height), (240, 240, 235))
    draw = ImageDraw.Draw(image)
    for _ in range(26):
        corners = 3 + source.randint(4)
        center, size = source.rand(2) * (width, height), 12 + source.rand() * width / 5
        angles = np.sort(source.rand(corners)) * 2 * math.pi
        outline = [(center[0] + math.cos(a) * size, center[1] + math.sin(a) * size) for a in angles]
        draw.polygon(outline, fill=tuple(int(v) for v in source.randint(0, 256, 3)))
    return image


def color_wheel(width, height):
    """Every hue: shows what a coarse color sampling does."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    hue = (np.arctan2(y - height / 2, x - width / 2) / (2 * math.pi) % 1) * 255
    radius = np.hypot(x - width / 2, y - height / 2)
    bands = np.stack([hue, np.clip(radius * 4, 0, 255), np.full(hue.shape, 230)], 2)
    return Image.fromarray(bands.astype(np.uint8), 'HSV').convert('RGB')


def night(width, height, seed=57):
    """A dark street with blurred lights."""
    source = np.random.RandomState(seed)
    image = vertical((6, 8, 24), (40, 30, 30), width, height)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = source.rand(2) * (width, height * 0.7)
        size = 1 + source.rand() * 9
        draw.ellipse([x - size, y - size, x + size, y + size],
                     fill=(255, int(140 + source.rand() * 110), int(source.rand() * 160)))
    return image.filter(ImageFilter.GaussianBlur(1.5))


# Files.

def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, 'JPEG', **dict({'quality': 88}, **options))
    return file.getvalue()


def turned(image):
    """Stored upright, but said by its EXIF data to lie on its side."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return jpeg(image, exif=exif)


def segments(data):
    """(marker, bytes) of each segment; a start of scan comes with its entropy-coded data."""
    at = 2
    while data[at + 1] != 0xd9:
        marker, length = data[at + 1], struct.unpack('>H', data[at + 2:at + 4])[0]
        end = at + 2 + length
        if marker == 0xda:
            end = data.rindex(b'\xff\xd9')
        yield marker, data[at:end]
        at = end


def jpeg_411(image):
    """Color at a quarter of the width (4:1:1), which Pillow reads but does not write: each plane
    is coded as a gray picture, and their scans are put into one file."""
    width, height = image.size
    planes = list(image.convert('YCbCr').split())
    for i in (1, 2):
        planes[i] = planes[i].resize((-(-width // 4), height), Image.BOX)
    coded = [dict(segments(jpeg(plane))) for plane in planes]
    frame = struct.pack('>2sHBHHB', b'\xff\xc0', 17, 8, height, width, 3)
    frame += bytes([1, 0x41, 0, 2, 0x11, 0, 3, 0x11, 0])
    tables = b''.join(piece for marker, piece in segments(jpeg(planes[0]))
                      if marker in (0xdb, 0xc4))
    data = b'\xff\xd8' + coded[0][0xe0] + tables + frame
    for i, plane in enumerate(coded):
        scan = bytearray(plane[0xda])
        scan[5] = i + 1
        data += bytes(scan)
    return data + b'\xff\xd9'


PICTURES = {
    'airliner.jpg': lambda: jpeg(small(airliner), quality=92),
    'freighter.jpg': lambda: jpeg(small(freighter), quality=92),
    'lorry.jpg': lambda: jpeg(small(lorry), quality=92),
    'mare.jpg': lambda: jpeg(small(mare), quality=92),
    'saloon.jpg': lambda: jpeg(small(saloon), quality=92),
    'toad.jpg': lambda: jpeg(small(toad, (48, 40)), quality=92),
    'bricks_444.jpg': lambda: jpeg(bricks(333, 250), subsampling=0),
    'flowers_422.jpg': lambda: jpeg(flowers(256, 384), subsampling=1),
    'landscape_progressive.jpg': lambda: jpeg(landscape(500, 375), progressive=True),
    'night_coarse.jpg': lambda: jpeg(night(400, 300), quality=25),
    'panorama_wide.jpg': lambda: jpeg(landscape(480, 40, seed=71)),
    'shapes_cmyk.jpg': lambda: jpeg(shapes(240, 180).convert('CMYK')),
    'shapes_tiny.jpg': lambda: jpeg(shapes(70, 50, seed=5).resize((7, 5), Image.BOX)),
    'shapes_turned.jpg': lambda: turned(shapes(320, 213, seed=83)),
    'wheel_411.jpg': lambda: jpeg_411(color_wheel(203, 151)),
    'zone_plate_gray.jpg': lambda: jpeg(zone_plate(300, 300)),
}


def draw(folder):
    os.makedirs(folder, exist_ok=True)
    for name, make in PICTURES.items():
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(make())


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__.strip())
    draw(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FOLDER)


if __name__ == '__main__':
    main()
