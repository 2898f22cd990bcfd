"""Damage to JPEG files, and harmless dress for them. Everything comes from the random source given."""
import struct

import jpegs
from jpegs import END, FRAMES, SOS, segments

DQT, DRI = 0xdb, 0xdd


def of(data, codes):
    return [s for s in segments(data) if s[2] in codes]


# --- the same picture in another dress ---

def wide_tables(rng, data):
    """Quantization tables of 16 bits instead of 8."""
    out, last = [], 0
    for start, end, _ in of(data, [DQT]):
        out.append(data[last:start])
        at = start + 4
        while at < end:
            head, size = data[at], 128 if data[at] >> 4 else 64
            values = data[at + 1:at + 1 + size]
            wide = values if head >> 4 else b"".join(bytes([0, value]) for value in values)
            out.append(jpegs.marker(DQT, bytes([head | 0x10]) + wide))
            at += 1 + size
        last = end
    return b"".join([*out, data[last:]])


def after_start(data, extra):
    return data[:2] + extra + data[2:]


def with_icc(rng, data):
    return after_start(data, jpegs.marker(0xe2, b"ICC_PROFILE\0\1\1" + rng.randbytes(500)))


def with_comment(rng, data):
    return after_start(data, jpegs.marker(0xfe, rng.randbytes(rng.randint(0, 300))))


def with_tail(rng, data):
    return data + rng.choice([b"\0", rng.randbytes(rng.randint(1, 3000)), data[:500], b"\xff" * 9])


def without_app(rng, data):
    """No JFIF or Adobe marker: the colour space must be guessed."""
    for start, end, _ in reversed(of(data, [0xe0, 0xee])):
        data = data[:start] + data[end:]
    return data


def with_fill(rng, data):
    """Fill bytes before a marker, which the standard allows."""
    at = rng.choice(segments(data))[0]
    return data[:at] + b"\xff" * rng.randint(1, 9) + data[at:]


DRESS = [wide_tables, with_icc, with_comment, with_tail, without_app, with_fill]


def dressed(rng, data):
    for change in rng.sample(DRESS, rng.choice([0, 0, 1, 1, 2, 3])):
        data = change(rng, data)
    return data


# --- damage ---

def place(rng, data):
    """A position; in the headers as often as in the rest."""
    scans = of(data, [SOS])
    head = scans[0][0] + 14 if scans and rng.random() < 0.5 else len(data)
    return rng.randrange(2, max(3, min(head, len(data))))


def flip_bits(rng, data):
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = place(rng, data)
        if at < len(out):
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(rng, data):
    at, count = place(rng, data), rng.randint(1, 24)
    run = rng.choice([bytes(count), b"\xff" * count, rng.randbytes(count)])
    return data[:at] + run + data[at + count:]


def cut(rng, data):
    return data[:rng.choice([place(rng, data), len(data) - rng.randint(1, 4)])]


def remove(rng, data):
    at = place(rng, data)
    return data[:at] + data[at + rng.randint(1, 24):]


def insert(rng, data):
    at = place(rng, data)
    return data[:at] + rng.choice([rng.randbytes(rng.randint(1, 24)), b"\xff\xd0", b"\xff\xd9",
                                   b"\xff\xd8", b"\0", b"\xff"]) + data[at:]


def rearranged(change):
    """A mutation of the list of segments."""
    def mutate(rng, data):
        found = segments(data)
        if len(found) < 2:
            return data
        parts = [data[start:end] for start, end, _ in found]
        change(rng, parts)
        return data[:2] + b"".join(parts) + data[found[-1][1]:]
    return mutate


@rearranged
def repeat_segment(rng, parts):
    parts.insert(rng.randrange(len(parts) + 1), rng.choice(parts))


@rearranged
def drop_segment(rng, parts):
    del parts[rng.randrange(len(parts))]


@rearranged
def swap_segments(rng, parts):
    a, b = rng.sample(range(len(parts)), 2)
    parts[a], parts[b] = parts[b], parts[a]


def change_code(rng, data):
    found = segments(data)
    if not found:
        return data
    at = rng.choice(found)[0] + 1
    return data[:at] + bytes([rng.choice([*FRAMES, 0xc4, 0xcc, SOS, DQT, DRI, END, 0xd8, 0xfe, 0xe1,
                                          rng.randrange(256)])]) + data[at + 1:]


def change_field(codes, first, count_at=None, stride=1):
    """One byte of a segment of these codes: `first` counts from the marker; where `count_at` says how
    many entries follow, that byte of any of them."""
    def mutate(rng, data):
        found = of(data, codes)
        if not found:
            return data
        start, end, _ = rng.choice(found)
        entries = data[start + count_at] if count_at and start + count_at < len(data) else 1
        at = start + first + stride * rng.randrange(max(1, entries))
        if at >= min(end, len(data)):
            return data
        value = rng.choice([0, 1, 2, 3, 4, 0x11, 0x12, 0x21, 0x22, 0x41, 255, rng.randrange(256)])
        return data[:at] + bytes([value]) + data[at + 1:]
    return mutate


def change_size(rng, data):
    found = of(data, FRAMES)
    if not found or found[0][0] + 9 > len(data):
        return data
    at = found[0][0] + rng.choice([5, 7])
    old, = struct.unpack_from(">H", data, at)
    new = rng.choice([0, 1, old - 1, old + 1, old + 8, old // 2, 2 * old, rng.randrange(65536)])
    return data[:at] + struct.pack(">H", new % 65536) + data[at + 2:]


def change_restart(rng, data):
    """Another interval, or one where there was none."""
    found = of(data, [DRI])
    interval = struct.pack(">H", rng.choice([0, 1, 2, 7, rng.randrange(65536)]))
    if found:
        at = found[0][0] + 4
        return data[:at] + interval + data[at + 2:]
    return after_start(data, jpegs.marker(DRI, interval))


DAMAGE = [flip_bits, flip_bits, overwrite, cut, remove, insert, repeat_segment, drop_segment,
          swap_segments, change_code, change_size, change_restart,
          change_field(FRAMES, 4), change_field(FRAMES, 9),       # precision, count of components
          change_field(FRAMES, 10, 9, 3),                         # id of a component,
          change_field(FRAMES, 11, 9, 3), change_field(FRAMES, 12, 9, 3),  # sampling, table
          change_field([SOS], 4), change_field([SOS], 6, 4, 2),   # count and tables of a scan
          change_field([SOS], 3), change_field([0xc4, DQT, 0xcc], 4),
          change_field([0xc4, DQT, 0xe0, 0xe1, 0xee], 3), change_field([0xee], 15)]


def damaged(rng, data):
    """One to three kinds of damage."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice(DAMAGE)(rng, data)
    return data
