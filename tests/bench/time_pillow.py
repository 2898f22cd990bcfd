"""Times what Pillow takes from the bytes of a JPEG to the cropped pixels: median_ms, as JSON.

usage: time_pillow.py FILE SIZE SHORT_EDGE bilinear|bicubic SECONDS
"""
import io
import json
import statistics
import sys
import time

from PIL import Image

FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def pixels(data, size, short, resample):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    edges = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    image = image.resize(edges, resample)
    left, top = (round((edge - size) / 2) for edge in image.size)
    return image.crop((left, top, left + size, top + size)).tobytes()


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    size, short, resample = int(sys.argv[2]), int(sys.argv[3]), FILTERS[sys.argv[4]]
    pixels(data, size, short, resample)
    times = []
    end = time.monotonic() + float(sys.argv[5])
    while not times or time.monotonic() < end:
        start = time.perf_counter()
        pixels(data, size, short, resample)
        times.append(time.perf_counter() - start)
    print(json.dumps({"median_ms": 1000 * statistics.median(times)}))


main()
