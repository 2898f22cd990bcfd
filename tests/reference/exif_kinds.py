#!/usr/bin/python3 -B
"""Which EXIF data turn a picture, kind by kind: as ImageOps.exif_transpose has it.

Our pixels are held against Pillow's, whichever version is there. Where it gives up with an error
nothing is turned; where its versions disagree, the table says what we do.
"""
import io
import os
import struct
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests"))
from tap import Tap, or_skip

with or_skip():
    from PIL import Image
    import compare_pixels
    from jpeg_kinds import make

WORDS = "colour=1 quality=90"
EDGE = 24
SPEC = (EDGE, EDGE, "bilinear", "squash", "apply")
ORIENTATION, MAKE = 0x0112, 0x010f
TYPES = {"BYTE": (1, "B"), "ASCII": (2, "B"), "SHORT": (3, "H"), "LONG": (4, "I"), "SBYTE": (6, "b"),
         "UNDEFINED": (7, "B"), "SSHORT": (8, "h"), "SLONG": (9, "i"), "FLOAT": (11, "f"),
         "DOUBLE": (12, "d"), "IFD": (13, "I"), "LONG8": (16, "Q")}
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation=\"%d\"/></x:xmpmeta>"


def segment(payload, code=0xe1):
    return struct.pack(">BBH", 0xff, code, len(payload) + 2) + payload


class Tiff:
    """A TIFF structure of one directory at byte 8; what does not fit into an entry stands behind."""

    def __init__(self, order=">", magic=None, at=8, next_ifd=0):
        self.order, self.at, self.next_ifd = order, at, next_ifd
        self.magic = magic or {">": b"MM\0*", "<": b"II*\0"}[order]
        self.entries = []

    def add(self, tag, kind, count, data, offset=None):
        """`kind` is a name of TYPES or a number; `offset`: where the data are said to stand."""
        self.entries.append((tag, TYPES.get(kind, (kind,))[0], count, data, offset))
        return self

    def orient(self, value, kind="SHORT", count=1):
        return self.add(ORIENTATION, kind, count, struct.pack(self.order + TYPES[kind][1], value) * count)

    def orient_rational(self, kind, *pair, count=1):
        data = struct.pack(self.order + {5: "II", 10: "ii"}[kind], *pair)
        return self.add(ORIENTATION, kind, count, data * count)

    def bytes(self, counted=None):
        behind = self.at + 2 + 12 * len(self.entries) + 4
        body, rest = b"", b""
        for tag, kind, count, data, offset in self.entries:
            body += struct.pack(self.order + "HHI", tag, kind, count)
            if len(data) <= 4 and offset is None:
                body += data.ljust(4, b"\0")
                continue
            body += struct.pack(self.order + "I", behind + len(rest) if offset is None else offset)
            rest += data
        count = len(self.entries) if counted is None else counted
        return (self.magic + struct.pack(self.order + "I", self.at) + bytes(self.at - 8)
                + struct.pack(self.order + "H", count) + body
                + struct.pack(self.order + "I", self.next_ifd) + rest)

    def app1(self, head=b"Exif\0\0", counted=None, cut=None):
        return segment(head + self.bytes(counted)[:cut])


def values():
    for order in "<>":
        for kind in ("SHORT", "SSHORT", "LONG"):
            for value in (*range(10), 99):
                yield f"{order} {kind} {value}", Tiff(order).orient(value, kind).app1()
        yield f"{order} SHORT 65535", Tiff(order).orient(65535).app1()
        yield f"{order} SSHORT -6", Tiff(order).orient(-6, "SSHORT").app1()
        yield f"{order} LONG 65542", Tiff(order).orient(65542, "LONG").app1()
        for kind in TYPES:
            for count in (0, 1, 2, 3, 5):
                yield f"{order} {kind} 6, {count} of it", Tiff(order).orient(6, kind, count).app1()
        for kind in (5, 10):
            for pair in ((6, 1), (12, 2), (-12, -2), (13, 2), (6, 0), (0, 0), (0, 5), (-6, 1)):
                if kind == 5 and min(pair) < 0:
                    continue
                for count in (1, 2):
                    yield (f"{order} RATIONAL {kind}: {count} of {pair}",
                           Tiff(order).orient_rational(kind, *pair, count=count).app1())
        for value in (6.5, float("nan"), float("inf"), -6.0, 1e30):
            yield f"{order} FLOAT {value}", Tiff(order).orient(value, "FLOAT").app1()
            yield f"{order} DOUBLE {value}", Tiff(order).orient(value, "DOUBLE").app1()
        for unknown in (0, 14, 15, 17, 18, 19, 129, 65535):
            yield f"{order} of unknown type {unknown}", Tiff(order).add(ORIENTATION, unknown, 1, b"\6\0\0\6").app1()
            yield (f"{order} behind unknown type {unknown}",
                   Tiff(order).add(MAKE, unknown, 999999, b"abcd").orient(6).app1())


def structures():
    six = Tiff().orient(6)
    for magic in (b"II*\0", b"II\0*", b"MM\0*", b"MM*\0", b"IM*\0", b"MI\0*", b"MM\0+", b"II+\0", b"MM+\0", b"II\0+", b"II\0\0", b"ii*\0"):
        yield f"magic {magic}", Tiff("<" if magic[:1] == b"I" else ">", magic).orient(6).app1()
    for head in (b"Exif\0\0", b"Exif\0\xff", b"Exif\0", b"EXIF\0\0", b"exif\0\0", b"\0Exif\0", b"Exif\0\0" * 3):
        yield f"head {head}", six.app1(head)
    for at in (0, 2, 4, 9, 10, 100):
        if at >= 8:
            yield f"directory at {at}", Tiff(at=at).orient(6).app1()
        else:
            yield f"directory at {at}, within the head", segment(b"Exif\0\0MM\0*" + struct.pack(">I", at) + six.bytes()[8:])
    for at in (25, 26, 27, 1000, 2 ** 31, 2 ** 32 - 1):
        yield f"directory out of the data, at {at}", segment(b"Exif\0\0MM\0*" + struct.pack(">I", at) + six.bytes()[8:])
    for cut in range(0, 27):
        yield f"cut at {cut}", six.app1(cut=cut)
    for counted in (0, 1, 2, 3, 65535):
        yield f"{counted} entries counted", six.app1(counted=counted)
    name = b"A maker\0"
    yield "a name before", Tiff().add(MAKE, "ASCII", 8, name).orient(6).app1()
    yield "a name behind", Tiff().orient(6).add(MAKE, "ASCII", 8, name).app1()
    for offset in (0, 26, 31, 32, 40, 41, 1000, 2 ** 31, 2 ** 32 - 1):
        yield f"a name before, at {offset}", Tiff().add(MAKE, "ASCII", 8, name, offset).orient(6).app1()
        yield f"a name behind, at {offset}", Tiff().orient(6).add(MAKE, "ASCII", 8, name, offset).app1()
    yield "the orientation out of the data", Tiff().add(ORIENTATION, "SHORT", 3, b"", 1000).app1()
    yield "in the wrong order", Tiff().add(0x9999, "SHORT", 1, b"\0\1").orient(6).add(MAKE, "SHORT", 1, b"\0\1").app1()
    sub = Tiff(at=26 + 12).orient(6).bytes()[38:]
    yield "in the Exif directory only", segment(b"Exif\0\0" + Tiff().add(0x8769, "LONG", 1, struct.pack(">I", 26)).bytes() + sub)
    yield "in the second directory only", segment(b"Exif\0\0" + Tiff(next_ifd=26).add(MAKE, "SHORT", 1, b"\0\1").bytes() + Tiff(at=26).orient(6).bytes()[26:])
    yield "1, and 6 in the second directory", segment(b"Exif\0\0" + Tiff(next_ifd=26).orient(1).bytes() + Tiff(at=26).orient(6).bytes()[26:])
    yield "directories in a loop", segment(b"Exif\0\0" + Tiff(next_ifd=8).orient(6).bytes())
    yield "none at all", Tiff().app1()


def segments():
    six, three, none = Tiff().orient(6).app1(), Tiff("<").orient(3).app1(), Tiff().add(MAKE, "SHORT", 1, b"\0\1").app1()
    xmp, note = segment(XMP % 1), segment(b"http://ns.adobe.com/xmp/extension/\0" + bytes(40))
    yield "two segments", six + three
    yield "two segments, the first without", none + three
    yield "XMP before", xmp + six
    yield "XMP behind", six + xmp
    yield "XMP that says otherwise", six + segment(XMP % 3)
    yield "extended XMP before", note + six
    yield "an empty APP1 before", segment(b"") + six
    yield "APP1 of four bytes before", segment(b"Exif") + six
    yield "JFIF before", segment(b"JFIF\0\1\1\0\0\1\0\1\0\0", 0xe0) + six
    yield "JFIF behind", six + segment(b"JFIF\0\1\1\0\0\1\0\1\0\0", 0xe0)
    yield "in APP2", segment(six[4:], 0xe2)
    yield "a comment before", segment(six[4:], 0xfe) + three


# What Pillow's versions disagree about: (kind, segments, the orientation we take). The tag twice: the
# last counts up to version 11 at least; 9.4 gives up at the doubled head, and reads no XMP.
OURS = [
    ("the tag twice", Tiff().orient(3).orient(6).app1(), 6),
    ("the tag twice, the last of a type that does not count",
     Tiff().orient(3).add(ORIENTATION, "BYTE", 1, b"\6").app1(), 1),
    ("the head twice", Tiff().orient(6).app1(b"Exif\0\0" * 2), 6),
    ("an empty segment, then another", segment(b"Exif\0\0") + Tiff().orient(6).app1(), 1),
    ("XMP only", segment(XMP % 6), 1),
]
METHODS = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
           5: Image.TRANSPOSE, 6: Image.ROTATE_270, 7: Image.TRANSVERSE, 8: Image.ROTATE_90}


def turned(plain, orientation):
    image = Image.open(io.BytesIO(plain))
    image = image.transpose(METHODS[orientation]) if orientation in METHODS else image
    return compare_pixels.crop_bytes(image, (*SPEC[:4], "ignore"))


def wanted(plain, extra):
    """Pillow's pixels. Some EXIF data keep it from opening the file: they turn nothing."""
    try:
        image = Image.open(io.BytesIO(with_segments(plain, extra)))
    except (OSError, SyntaxError):
        return turned(plain, 1)
    return compare_pixels.crop_bytes(image, SPEC)


def with_segments(plain, extra):
    return plain[:2] + extra + plain[2:]


def main():
    warnings.simplefilter("ignore")
    tap = Tap()
    plain = make("width=24 height=17 " + WORDS)
    kinds = [(name, extra, wanted(plain, extra))
             for kinds in (values(), structures(), segments()) for name, extra in kinds]
    kinds += [(name, extra, turned(plain, orientation)) for name, extra, orientation in OURS]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}.jpg") for i in range(len(kinds))]
        for path, (_, extra, _) in zip(paths, kinds):
            with open(path, "wb") as file:
                file.write(with_segments(plain, extra))
        for (name, _, want), got in zip(kinds, compare_pixels.ours(paths, SPEC)):
            fault = compare_pixels.difference(got, want)
            tap.check([fault] if fault else [], name)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
