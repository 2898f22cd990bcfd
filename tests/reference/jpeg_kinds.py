#!/usr/bin/python3 -B
"""Where the line runs between JPEGs that are served and JPEGs that are refused, kind by kind.

Each kind is made from a good file. Its fate is one of FATES and stands in the table; our pixels are
then held against Pillow's, whichever version is there.
"""
import io
import os
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests"))
from tap import Tap, or_skip

with or_skip():
    from PIL import Image, ImageFile
    import compare_pixels

FATES = {
    "same": "both decode it, to the same pixels",
    "behind": "we have its pixels; Pillow has them, too, but may refuse for what stands behind them",
    "strict": "we refuse, as data are missing or misread, or nobody can know; Pillow may deliver",
    "refused": "neither decodes it",
    "as Pillow": "both decode it or neither: it depends on how far libjpeg looks ahead of the last code",
}
EDGE = 48
SPEC = (EDGE, EDGE, "bilinear", "squash", "ignore")
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
ARITHMETIC = "colour=1 arithmetic=1"
ONE_SCAN = ("colour=0", "colour=1 sampling=2x2,1x1", "colour=1 restart_rows=1", "colour=4 optimize=1")
SEVERAL_SCANS = ("colour=1 scans=2 sampling=2x2,1x1", "colour=0 scans=2", "colour=1 scans=1")


def make(words):
    words = f"width={EDGE} height={EDGE} quality=60 smooth=1 {words}"
    return subprocess.run([compare_pixels.CLI, "make", *words.split()], check=True,
                          stdout=subprocess.PIPE).stdout


def pillow(data, truncated=False):
    """The pixels, or None."""
    ImageFile.LOAD_TRUNCATED_IMAGES = truncated
    try:
        return compare_pixels.crop_bytes(Image.open(io.BytesIO(data)), SPEC)
    except Exception:  # of whatever kind: what counts is that it refuses
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def scan_end(data, at):
    """Where the coded data of a scan end that start at `at`: at a marker that is no restart."""
    while data[at] != 0xff or data[at + 1] == 0 or 0xd0 <= data[at + 1] <= 0xd7:
        at += 1
    return at


def split(data):
    """The file's head, and its scans, each with the tables that are its own."""
    head, scans, tables, at = SOI, [], b"", 2
    while data[at:at + 2] != EOI:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at + 1] == 0xda:
            end = scan_end(data, end)
            scans.append(tables + data[at:end])
            tables = b""
        elif data[at + 1] == 0xc4:
            tables += data[at:end]
        else:
            head += data[at:end]
        at = end
    return head, scans


def ends(data):
    """What stands instead of the end marker: {kind: (bytes, fate after one scan, after several)}."""
    return {
        "nothing": (b"", "as Pillow", "refused"),
        "half of it": (b"\xff", "as Pillow", "refused"),
        "fill bytes": (b"\xff" * 9, "as Pillow", "refused"),
        "a stuffed byte": (b"\xff\0", "behind", "refused"),
        "a zero": (b"\0", "behind", "refused"),
        "a few zeros": (bytes(5), "behind", "refused"),
        "zeros": (bytes(64), "same", "refused"),
        "many zeros": (bytes(100000), "same", "refused"),
        "text": (b"a maker's own trailer" * 9, "same", "refused"),
        "text, then the end marker": (b"trailer" * 9 + EOI, "same", "same"),
        "a restart marker": (b"\xff\xd3", "same", "refused"),
        "an APP segment": (b"\xff\xe2\0\x06MPF\0", "same", "refused"),
        "an APP segment, then the end marker": (b"\xff\xe2\0\x06MPF\0" + EOI, "same", "same"),
        "an APP segment that is cut": (b"\xff\xe1\x40\0Exif\0\0", "same", "refused"),
        "an APP segment of no length": (b"\xff\xe1\0\0" + bytes(40), "same", "refused"),
        "a start marker": (SOI, "behind", "refused"),
        "a second picture": (data, "behind", "refused"),
        "a second picture behind text": (b"trailer" * 9 + data, "behind", "refused"),
        "a second frame header": (b"\xff\xc0\0\x0b\x08\0\x10\0\x10\1\1\x11\0", "behind", "refused"),
        "a table that is broken": (b"\xff\xc4\0\x03\0" + bytes(40), "behind", "refused"),
        "a reserved marker": (b"\xff\x02" + bytes(40), "behind", "refused"),
        "a scan more": (split(data)[1][0] + EOI, "behind", "same"),
    }


def cuts(data):
    """One scan that lacks some of its last bytes, and what hides that."""
    found = {}
    for lost in (1, 2, 3, 10, 50):
        cut = data[:-2 - lost]
        for name, tail in (("nothing", b""), ("the end marker", EOI), ("a start marker", SOI),
                           ("zeros", bytes(64)), ("many zeros", bytes(100000)),
                           ("an APP segment", b"\xff\xe2\0\x06MPF\0"), ("a second picture", data)):
            found[f"{lost} bytes lost before {name}"] = cut + tail
    return found


def with_ends():
    for words in ONE_SCAN + SEVERAL_SCANS:
        data = make(words)
        for name, (tail, one, several) in ends(data).items():
            yield f"{words}: ends with {name}", data[:-2] + tail, one if words in ONE_SCAN else several
    for words in ("colour=0", "colour=1 sampling=2x2,1x1", "colour=1 restart_rows=1"):
        for name, cut in cuts(make(words)).items():
            yield f"{words}: {name}", cut, "strict"
    data = make(ARITHMETIC)
    for name, (tail, _, several) in ends(data).items():
        fate = several if name != "a scan more" and several == "same" else "strict"
        yield f"{ARITHMETIC}: ends with {name}", data[:-2] + tail, fate


def orders():
    """Odd orders of the ten scans of a usual progression: 0 has the DC coefficients, 6 refines
    them; 1 to 4 have AC coefficients, which 5 and 9 (1 and 4), 7 and 8 (2 and 3) refine."""
    whole = list(range(10))
    yield "as usual", whole, "same"
    yield "AC before DC", [1, 0, *whole[2:]], "same"
    yield "DC last", [*whole[1:], 0], "same"
    yield "DC refined first", [6, *whole[:6], *whole[7:]], "same"
    yield "DC twice", [0, *whole], "same"
    yield "DC refined twice", [*whole, 6], "same"
    yield "every first scan twice", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *whole[5:]], "same"
    for scan in (5, 7, 8, 9):
        yield f"scan {scan} twice", [*whole, scan], "strict"
        yield f"scan {scan} before what it refines", [0, scan, *(i for i in whole[1:] if i != scan)], "strict"
    yield "refined backwards", [*whole[:5], *reversed(whole[5:])], "strict"
    yield "backwards", whole[::-1], "strict"
    yield "the file twice", whole * 2, "strict"
    for lost in whole:
        yield (f"without scan {lost}", [i for i in whole if i != lost],
               "same" if lost > 5 else "strict")
    for first in whole[4:]:
        yield f"scans up to {first - 1} only", whole[:first], "same"
    yield "no DC", [1, 2, 3, 4], "strict"
    yield "DC refined only", [1, 2, 3, 4, 6], "strict"


def with_scans():
    for words in ("colour=1 scans=2 sampling=2x2,1x1", "colour=1 scans=2"):
        head, scans = split(make(words))
        for name, order, fate in orders():
            yield f"{words}: {name}", head + b"".join(scans[i] for i in order) + EOI, fate
    head, scans = split(make("colour=1 scans=1"))
    for order, fate in (((0, 1, 2), "same"), ((2, 0, 1), "same"), ((0, 1, 2, 2), "same"),
                        ((0,), "strict"), ((0, 1), "strict"), ((1, 2), "strict"),
                        ((0, 0, 1), "strict")):
        yield (f"sequential, components {order}",
               head + b"".join(scans[i] for i in order) + EOI, fate)


def problem(data, got, fate):
    delivered = pillow(data) is not None
    if fate == "as Pillow":
        fate = "same" if delivered else "refused"
    if (fate == "same" and not delivered) or (fate == "refused" and delivered):
        return f"Pillow {'delivers' if delivered else 'refuses'}"
    if fate in ("same", "behind"):
        return compare_pixels.difference(got, pillow(data, truncated=True))
    undecodable = isinstance(got, str) and got.startswith("error image_undecodable ")
    return "" if undecodable else "we deliver" if isinstance(got, bytes) else got


def main():
    warnings.simplefilter("ignore")
    tap = Tap()
    kinds = [*with_ends(), *with_scans()]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}.jpg") for i in range(len(kinds))]
        for path, (_, data, _) in zip(paths, kinds):
            with open(path, "wb") as file:
                file.write(data)
        for (name, data, fate), got in zip(kinds, compare_pixels.ours(paths, SPEC)):
            found = problem(data, got, fate)
            tap.check([found] if found else [], f"{name}: {fate}")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
