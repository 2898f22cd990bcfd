"""JPEG files made byte by byte, good ones and hostile ones.

A picture is a list of components, each a list of rows of 8x8 blocks, each block a DC level. Only DC
coefficients are coded, so every block is a flat square whose value is 128 + level * step / 8: enough
to tell pictures apart, and two files with the same levels must give the same pixels however they are
coded. The Huffman tables hold just what is needed."""
import random
import struct

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOS, END = 0xda, 0xd9
FRAMES = [code for code in range(0xc0, 0xd0) if code not in (0xc4, 0xc8, 0xcc)]
DC_SIZES = 9  # DC differences of 0..8 bits; symbol n has the 4-bit code n


def marker(code, payload=b""):
    return struct.pack(">BBH", 0xff, code, len(payload) + 2) + payload


def quantizer(step=16, index=0):
    return marker(0xdb, bytes([index]) + bytes([step]) * 64)


def huffman():
    """DC: nine codes of four bits. AC: the end of block is the code 0 of one bit."""
    dc = bytes([0x00]) + bytes([0, 0, 0, DC_SIZES] + [0] * 12) + bytes(range(DC_SIZES))
    ac = bytes([0x10]) + bytes([1] + [0] * 15) + bytes([0])
    return marker(0xc4, dc + ac)


def frame(width, height, sampling, code=0xc0, precision=8):
    """SOF with components 1, 2, ...; `sampling` is one (horizontal, vertical) a component."""
    parts = b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(sampling))
    return marker(code, struct.pack(">BHHB", precision, height, width, len(sampling)) + parts)


def scan_header(count, first=0, last=63, approximation=0):
    parts = b"".join(bytes([i + 1, 0]) for i in range(count))
    return marker(0xda, bytes([count]) + parts + bytes([first, last, approximation]))


def adobe(transform):
    return marker(0xee, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


class Bits:
    """Entropy-coded bits with byte stuffing; the last byte is filled with ones."""

    def __init__(self):
        self.text = []

    def put(self, value, count):
        if count:
            self.text.append(format(value, f"0{count}b"))

    def difference(self, diff):
        size = abs(diff).bit_length()
        self.put(size, 4)
        self.put(diff if diff >= 0 else diff + (1 << size) - 1, size)

    def bytes(self):
        text = "".join(self.text)
        text += "1" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        return data.replace(b"\xff", b"\xff\x00")


def ceil_div(a, b):
    return -(-a // b)


def grid(width, height, sampling):
    """MCU columns and rows."""
    h_max, v_max = max(h for h, _ in sampling), max(v for _, v in sampling)
    return ceil_div(width, 8 * h_max), ceil_div(height, 8 * v_max)


def entropy(planes, sampling, columns, rows, with_ac=True):
    """The single interleaved scan of all planes; `planes[c](x, y)` is the DC level of a block."""
    bits, last = Bits(), [0] * len(planes)
    for y in range(rows):
        for x in range(columns):
            for c, (h, v) in enumerate(sampling):
                for block in range(h * v):
                    level = planes[c](x * h + block % h, y * v + block // h)
                    bits.difference(level - last[c])
                    last[c] = level
                    bits.put(0, 1 if with_ac else 0)
    return bits.bytes()


def encode(width, height, planes, sampling=None, extra=b"", code=0xc0):
    """A baseline file. `extra` goes after SOI: APP markers and the like."""
    sampling = sampling or [(1, 1)] * len(planes)
    columns, rows = grid(width, height, sampling)
    if len(sampling) == 1:
        columns, rows = ceil_div(width, 8), ceil_div(height, 8)
    return (SOI + extra + quantizer() + frame(width, height, sampling, code) + huffman()
            + scan_header(len(planes)) + entropy(planes, sampling, columns, rows) + EOI)


def claim(width, height, components=1, code=0xc0, precision=8):
    """A file that claims this in its header and has next to no data."""
    return (SOI + quantizer() + frame(width, height, [(1, 1)] * components, code, precision) + huffman()
            + scan_header(min(components, 4)) + bytes(100) + EOI)


def pattern(seed, low=-60, high=60):
    """A plane: levels that look random, the same for the same seed."""
    def level(x, y):
        return random.Random(f"{seed},{x},{y}").randint(low, high)
    return level


def flat(level):
    return lambda x, y: level


def small(seed=1):
    """A good gray file of 16 x 16 pixels and about 180 bytes."""
    return encode(16, 16, [pattern(seed)])


def color(seed=1, width=40, height=32, sampling=None):
    """A good YCbCr file."""
    return encode(width, height, [pattern(f"{seed}{c}") for c in "yuv"], sampling)


def slow(megapixels=64, components=3):
    """A good file of 1 or 2 MB that keeps a decoder busy: a flat square.

    Every bit after the first MCU is 0: no difference, end of block."""
    edge = int((megapixels * 1e6) ** 0.5) // 8 * 8
    first = Bits()
    for _ in range(components):
        first.difference(20)
        first.put(0, 1)
    start = "".join(first.text)
    count = len(start) + ((edge // 8) ** 2 - 1) * components * 5
    head = start + "0" * (-len(start) % 8)
    data = int(head, 2).to_bytes(len(head) // 8, "big")
    data += bytes(ceil_div(count, 8) - len(data))
    return (SOI + quantizer() + frame(edge, edge, [(1, 1)] * components) + huffman()
            + scan_header(components) + data + EOI)


def progressive(width, height, scans, refined=False):
    """A gray progressive file: a DC scan, then AC scans that hold nothing but end-of-band runs. Those
    that refine what is there look at every coefficient, and so take many times as long."""
    columns, rows = ceil_div(width, 8), ceil_div(height, 8)
    runs = bytes([0x10]) + bytes([0, 2] + [0] * 14) + bytes([0xe0, 0x00])
    dc = entropy([flat(3)], [(1, 1)], columns, rows, with_ac=False)
    bits = Bits()
    left = columns * rows
    while left >= 1 << 14:
        run = min(left, (1 << 15) - 1)
        bits.put(0, 2)
        bits.put(run - (1 << 14), 14)
        left -= run
    for _ in range(left):
        bits.put(1, 2)
    approximations = [13] + [high << 4 | high - 1 for high in range(13, 0, -1)] if refined else [0]
    ac = b"".join(scan_header(1, 1, 63, approximations[i % len(approximations)]) + bits.bytes()
                  for i in range(scans - 1))
    return (SOI + quantizer() + frame(width, height, [(1, 1)], 0xc2) + huffman()
            + scan_header(1, 0, 0) + dc + marker(0xc4, runs) + ac + EOI)


def exif(orientation):
    """APP1 with nothing but an orientation."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    return marker(0xe1, b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4))


def scan_end(data, at):
    """Where the entropy-coded bytes from `at` end: at a marker that is no restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] and not 0xd0 <= data[at + 1] <= 0xd7:
            return at
        at += 2
    return len(data)


def segments(data):
    """(start, end, code) of each marker after SOI, a scan's data with its SOS, as far as the file is
    in order."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xff and data[at + 1] != END:
        code, end = data[at + 1], at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end > len(data):
            break
        if code == SOS:
            end = scan_end(data, end)
        found.append((at, end, code))
        at = end
    return found


def size(data):
    """(width, height) as the first SOF says."""
    start = next(start for start, _, code in segments(data) if code in FRAMES)
    height, width = struct.unpack_from(">HH", data, start + 5)
    return width, height


# color(1) with its coefficients coded arithmetically, as libjpeg-turbo's jpeg_write_coefficients does
# when arith_code is set; the picture is the same to the bit.
ARITHMETIC = bytes.fromhex("""
ffd8ffe000104a46494600010100000100010000ffdb004300101010101010101010101010101010101010101010
10101010101010101010101010101010101010101010101010101010101010101010101010101010101010ffc900
11080020002803011100021100031100ffcc000a0010100501101105ffda000c03010002110311003f00fda73e99
cc7d37279982ec37361d58bb23a199532c9634a9e09e83bc0e277b8ebe2f4cebc0c103ead88b893c1139fc60c642
d266de50ca73469d2d8d5970dfc0efdb1864686affd9""")


def forms():
    """{name: bytes} of the codings and shapes that the reference was asked about."""
    rgb, cmyk = [pattern(c) for c in "rgb"], [pattern(c) for c in "cmyk"]
    return {
        "arithmetic": ARITHMETIC,
        "cmyk": encode(40, 32, cmyk),
        "cmyk_of_adobe": encode(40, 32, cmyk, extra=adobe(0)),
        "ycck": encode(40, 32, cmyk, extra=adobe(2)),
        "gray": encode(40, 32, [pattern(5)]),
        "rgb": encode(40, 32, rgb, extra=adobe(0)),
        "ycbcr_444": color(1),
        "ycbcr_411": color(1, 64, 48, [(4, 1), (1, 1), (1, 1)]),
        "ycbcr_420": color(1, 64, 48, [(2, 2), (1, 1), (1, 1)]),
        "1_x_1": encode(1, 1, [pattern(7)] * 3),
        "1_x_60000": encode(1, 60000, [pattern(8)]),
        "60000_x_1": encode(60000, 1, [pattern(9)]),
        "two_components": encode(16, 16, [pattern(1)] * 2),
    }
