#!/usr/bin/python3 -B
"""Pictures, odd ones and hostile ones. Each case ends with the recovery check.

Where a file is another coding of the same pixels, the two must get the same scores: that is the
reference here. PyTorch's own figures for real files are compared in test_classify.py."""
import concurrent.futures
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import zlib

import harness
import jpegs
import mutations
import wire
from harness import SLOW, case, check_error, predictions, quick, reference
from jpegs import flat, marker, pattern

MAGICS = {
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "GIF": b"GIF89a\1\0\1\0",
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 ",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "BMP": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
    "TIFF": b"II*\0\x08\0\0\0",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\xfa\x7f",
    "SVG": b"<?xml version='1.0'?><svg/>",
}


def png():
    """A whole file: a black pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b""))


def other_formats_of_pillow():
    """Whole files of what else Pillow can write, where there is one."""
    try:
        from PIL import Image, features
    except ImportError:
        return
    for kind in ["GIF", "PDF", "TIFF", "BMP", "PPM"] + ["WEBP"] * features.check("webp"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(file, kind)
        yield file.getvalue()


def scores(answer):
    """All ten scores, in the order of the classes."""
    assert answer.status == 200, answer
    return [p["score"] for p in sorted(predictions(answer), key=lambda p: p["class_id"])]


def classify(daemon, data):
    return daemon.classify(data, query="?top_k=10")


def check_same(daemon, one, other, tolerance=1e-5):
    a, b = scores(classify(daemon, one)), scores(classify(daemon, other))
    assert max(abs(x - y) for x, y in zip(a, b)) <= tolerance, f"{a}\n{b}"
    return a


def check_differs(a, b):
    assert max(abs(x - y) for x, y in zip(a, b)) > 1e-3, "the picture does not matter"


@case()
def row_38_an_empty_body_is_400(daemon):
    check_error(daemon.classify(b""), 400, "body_empty")
    check_error(daemon.ask("POST", "/classify"), 411, "length_required")
    chunks = wire.request("POST", "/classify", [("Transfer-Encoding", "chunked")]) + b"0\r\n\r\n"
    check_error(daemon.send_raw(chunks), 400, "body_empty")


@case()
def row_39_other_formats_are_415(daemon):
    for magic in MAGICS.values():
        for body in (magic, magic + bytes(5000), magic[:3]):
            check_error(daemon.classify(body, [("Content-Type", "image/jpeg")]), 415, "not_jpeg")
    for body in (png(), *other_formats_of_pillow()):
        check_error(daemon.classify(body, [("Content-Type", "image/jpeg")]), 415, "not_jpeg")
    for body in (b"\0", b"\xff", b"\xd8\xff", b" " + reference()[0], bytes(100000)):
        check_error(daemon.classify(body), 415, "not_jpeg")


@case()
def row_40_soi_alone_is_422(daemon):
    check_error(daemon.classify(jpegs.SOI), 422, "image_undecodable")
    check_error(daemon.classify(jpegs.SOI + jpegs.EOI), 422, "image_undecodable")
    check_error(daemon.classify(jpegs.SOI * 1000), 422, "image_undecodable")


@case(seconds=40)
def row_41_a_file_cut_at_any_offset_is_422(daemon):
    for data in (jpegs.small(), jpegs.progressive(32, 32, 4), reference()[0]):
        with daemon.connect() as connection:
            for cut in range(4, len(data)):
                answer = connection.ask("POST", "/classify", body=data[:cut])
                check_error(answer, 422, "image_undecodable")
            assert connection.ask("POST", "/classify", body=data).status == 200


@case(seconds=40)
def a_large_file_cut_anywhere_is_422(daemon):
    data = max((harness.picture(r["picture"]) for r in harness.goldens()), key=len)
    with daemon.connect() as connection:
        for cut in [*range(4, len(data), len(data) // 40), *range(len(data) - 12, len(data))]:
            check_error(connection.ask("POST", "/classify", body=data[:cut]), 422, "image_undecodable")


@case(seconds=60)
def row_42_every_flipped_bit_gives_a_sane_answer(daemon):
    data = jpegs.encode(8, 8, [flat(9)] * 3)
    seen, all_bits = {}, harness.sample(range(len(data) * 8))
    with daemon.connect(60) as connection:
        for first in range(0, len(all_bits), 64):
            bits = all_bits[first:first + 64]
            for bit in bits:
                flipped = bytearray(data)
                flipped[bit // 8] ^= 1 << bit % 8
                connection.send(wire.request("POST", "/classify", body=bytes(flipped)))
            for bit in bits:
                answer = connection.read()
                seen[answer.status] = seen.get(answer.status, 0) + 1
                assert answer.status in (200, 415, 422), (bit, answer)
                if answer.status != 200:
                    check_error(answer, answer.status)
    share = len(all_bits) / len(data) / 8
    assert seen[200] > 50 * share and seen[415] >= int(16 * share) and seen[422] > 50 * share, seen


@case()
def row_43_a_huge_claim_is_422_before_memory_is_spent(daemon):
    for width, height in ((65500, 65500), (62994, 65284), (65500, 1600), (10001, 10000)):
        for code in (0xc0, 0xc2):
            body = jpegs.claim(width, height, 3, code)
            daemon.reset_peak()
            before, mapped = daemon.resources()["rss"], daemon.status_kb("VmPeak")
            answer = quick(0.5, lambda body=body: daemon.classify(body))
            message = check_error(answer, 422, "image_too_large")["message"]
            assert "max_pixels" in message.replace("-", "_") and "100000000" in message, message
            if not harness.SANITIZER:
                assert daemon.peak() - before < 4 << 20, f"{daemon.peak() - before} bytes"
                mapped = daemon.status_kb("VmPeak") - mapped  # untouched memory counts as well
                assert mapped < 16 << 10, f"{mapped} KiB mapped"


@case()
def a_large_progressive_picture_stays_within_bounds(daemon):
    """Its coefficients need two bytes for each sample, and that is decided before they are read."""
    daemon.reset_peak()
    before = daemon.resources()["rss"]
    answer = daemon.classify(jpegs.progressive(9000, 9000, 3))
    assert answer.status in (200, 422), answer
    if not harness.SANITIZER:
        assert daemon.peak() - before < 1 << 30, f"{daemon.peak() - before} bytes"


@case(own=True)
def memory_of_large_pictures_is_given_back(daemon):
    """Coefficients of 8 to 30 MB, and bodies of 1 to 9 MB, in several sizes and threads."""
    pictures = [jpegs.progressive(edge, edge, 2) for edge in (2000, 2900, 3900)]
    bodies = [jpegs.small() + bytes(megabytes << 20) for megabytes in (1, 4, 9)]
    for _ in range(3 if SLOW == 1 else 1):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for answer in pool.map(daemon.classify, [*pictures, *bodies] * 2):
                assert answer.status == 200, answer
    if not harness.SANITIZER:
        kept = daemon.resources()["rss"] - daemon.baseline["rss"]
        assert kept < 24 << 20, f"{kept} bytes"


@case(["--max-pixels", "10000"])
def max_pixels_is_kept_exactly(daemon):
    assert daemon.classify(jpegs.encode(400, 25, [flat(1)])).status == 200
    check_error(daemon.classify(jpegs.encode(401, 25, [flat(1)])), 422, "image_too_large")


@case()
def row_44_a_zero_dimension_is_422(daemon):
    for width, height in ((0, 16), (16, 0), (0, 0)):
        check_error(daemon.classify(jpegs.claim(width, height)), 422, "image_undecodable")


@case()
def row_45_a_thousand_scans_are_422_soon(daemon):
    """After at most 100: what a thousand cost is what a hundred cost, and those are decoded."""
    def cost(edge, scans, status):
        data, before = jpegs.progressive(edge, edge, scans), daemon.cpu_seconds()
        answer = daemon.classify(data)
        assert answer.status == status, (scans, answer)
        assert status == 200 or "100 scans" in check_error(answer, 422, "image_undecodable")["message"]
        return daemon.cpu_seconds() - before
    for scans, status in ((100, 200), (101, 422), (1000, 422)):
        cost(64, scans, status)
    hundred, thousand = cost(3000, 100, 200), cost(3000, 1000, 422)
    assert hundred > 0.03, f"{hundred} s of CPU tell nothing"
    assert thousand < 1.5 * hundred + 0.1, f"{thousand} s of CPU, and {hundred} for a hundred scans"


@case()
def row_46_precisions_and_processes_beyond_the_decoder_are_422(daemon):
    body = jpegs.small()
    twelve = body.replace(jpegs.frame(16, 16, [(1, 1)]), jpegs.frame(16, 16, [(1, 1)], 0xc1, 12))
    assert twelve != body
    check_error(daemon.classify(twelve), 422, "image_undecodable")
    for code in (0xc3, 0xc5, 0xc6, 0xc7, 0xc8, 0xcb, 0xcd, 0xce, 0xcf):
        check_error(daemon.classify(body.replace(b"\xff\xc0", bytes([0xff, code]))), 422,
                    "image_undecodable")


@case()
def row_47_every_coding_and_shape_gets_the_answer_of_the_reference(daemon):
    """And 422 where Pillow cannot read it; tests/reference/make_form_goldens.py asked it."""
    with open(os.path.join(harness.DATA, "forms.json")) as file:
        rows = json.load(file)["rows"]
    forms = jpegs.forms()
    assert [row["form"] for row in rows] == list(forms), "make_form_goldens.py must run again"
    for row in rows:
        data = forms[row["form"]]
        assert hashlib.sha256(data).hexdigest() == row["sha256"], "make_form_goldens.py must run again"
        answer = classify(daemon, data)
        if row["logits"] is None:
            check_error(answer, 422, "image_undecodable")
        else:
            assert answer.status == 200, (row["form"], answer)
            harness.check_scores(predictions(answer), harness.softmax(row["logits"]))


@case()
def arithmetic_coding_gives_the_same_picture(daemon):
    a = check_same(daemon, jpegs.ARITHMETIC, jpegs.color(1))
    check_differs(a, scores(classify(daemon, jpegs.color(2))))


@case()
def gray_is_color_without_chroma(daemon):
    gray = jpegs.encode(40, 32, [pattern(5)])
    check_same(daemon, gray, jpegs.encode(40, 32, [pattern(5), flat(0), flat(0)]))
    check_same(daemon, gray, jpegs.encode(40, 32, [pattern(5)] * 3, extra=jpegs.adobe(0)))


@case()
def every_subsampling_of_flat_chroma_is_the_same(daemon):
    planes = [pattern(6), flat(11), flat(-17)]
    full = jpegs.encode(64, 64, planes)
    for luma in ((2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 2)):
        check_same(daemon, full, jpegs.encode(64, 64, planes, [luma, (1, 1), (1, 1)]))


@case()
def cmyk_is_inverted_as_pillow_does(daemon):
    """With K at its maximum, Pillow's conversion gives back the first three samples as RGB."""
    planes = [pattern(c) for c in "rgb"]
    full = [*planes, flat(64)]
    check_same(daemon, jpegs.encode(40, 32, planes, extra=jpegs.adobe(0)),
               jpegs.encode(40, 32, full, extra=jpegs.adobe(0)))
    check_same(daemon, jpegs.encode(40, 32, full, extra=jpegs.adobe(0)), jpegs.encode(40, 32, full))


@case()
def ycck_is_converted_first(daemon):
    """YCCK holds the complement of RGB; for grays (no chroma) that is 255 - Y."""
    ycck = jpegs.encode(40, 32, [flat(20), flat(0), flat(0), flat(64)], extra=jpegs.adobe(2))
    rgb = jpegs.encode(40, 32, [flat(-20)] * 3, extra=jpegs.adobe(0))
    check_same(daemon, ycck, rgb, 5e-3)  # 255 - 168 is 87, and the other says 88


@case()
def extreme_shapes_are_200(daemon):
    one = scores(classify(daemon, jpegs.encode(1, 1, [flat(7)])))
    tall = jpegs.encode(1, 60000, [flat(7)])
    wide = jpegs.encode(60000, 1, [flat(7)])
    for data in (tall, wide, jpegs.encode(65500, 8, [flat(7)])):
        daemon.reset_peak()
        before = daemon.resources()["rss"]
        answer = quick(2, lambda data=data: classify(daemon, data))
        assert max(abs(x - y) for x, y in zip(one, scores(answer))) < 1e-5, "flat is flat"
        assert list(json.loads(answer.body)["image"].values()) == list(jpegs.size(data)), answer
        if not harness.SANITIZER:
            assert daemon.peak() - before < 64 << 20, f"{daemon.peak() - before} bytes"


@case()
def row_48_ten_thousand_app_markers_cost_little(daemon):
    good = scores(classify(daemon, jpegs.small()))
    for payload in (b"", b"Exif\0\0", b"Adobe", b"ICC_PROFILE\0\1\1", b"x" * 200):
        for code in (0xe0, 0xe1, 0xe2, 0xee, 0xfe):
            count = 10000 if code < 0xe2 else 400
            data = jpegs.encode(16, 16, [pattern(1)], extra=marker(code, payload) * count)
            before = daemon.cpu_seconds()
            answer = classify(daemon, data)
            assert daemon.cpu_seconds() - before < 1 * SLOW
            assert scores(answer) == good, answer


@case()
def row_49_data_after_the_end_is_ignored(daemon):
    good = scores(classify(daemon, jpegs.small()))
    for tail in (b"\0", bytes(100000), b"\xff\xd8\xff", jpegs.color(3), b"\xff" * 1000, b"\xff\xd9"):
        assert scores(classify(daemon, jpegs.small() + tail)) == good, tail[:10]


@case()
def row_92_what_stands_behind_complete_rows_does_not_matter(daemon):
    """Whatever it is; tests/reference/jpeg_kinds.py holds the pixels against Pillow's."""
    for data in (jpegs.small(), jpegs.color(3, 64, 64), reference()[0]):
        rows, good = data[:data.rindex(jpegs.EOI)], scores(classify(daemon, data))
        for tail in (bytes(64), b"SEFT" * 20, b"text" + data, data, b"\xff\xd0", b"\xff\x02" + bytes(9),
                     marker(0xe2, b"MPF\0"), b"\xff\xe1\x40\0Exif", b"\xff\xe1\0\0" + bytes(40)):
            assert scores(classify(daemon, rows + tail)) == good, tail[:10]
            check_error(daemon.classify(rows[:-2] + b"\xff\xe2\0\2" + tail), 422, "image_undecodable")
        check_error(daemon.classify(rows[:-2] + bytes(5000)), 422, "image_undecodable")
    several = jpegs.progressive(32, 32, 4)[:-2]  # a scan may be missing, as far as anybody can tell
    for tail in (b"", bytes(64), several, marker(0xe2, b"MPF\0")):
        check_error(daemon.classify(several + tail), 422, "image_undecodable")
    assert classify(daemon, several + b"text" + jpegs.EOI).status == 200


@case()
def row_50_broken_exif_and_icc_are_ignored(daemon):
    good = scores(classify(daemon, jpegs.small()))
    tiff = b"II*\0\x08\0\0\0"
    loop = tiff + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    for extra in (marker(0xe1, b"Exif\0\0"), marker(0xe1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
                  marker(0xe1, b"Exif\0\0" + tiff), marker(0xe1, b"Exif\0\0" + loop),
                  marker(0xe1, b"Exif\0\0" + tiff + b"\xff\xff" + bytes(1000)), jpegs.exif(99),
                  marker(0xe2, b"ICC_PROFILE\0\1\1"), marker(0xe2, b"ICC_PROFILE\0\xff\0" + bytes(100)),
                  marker(0xe2, b"ICC_PROFILE\0\1\2" + b"\xff" * 128), marker(0xe0, b"JFIF"),
                  marker(0xe0, b"JFIF\0\1\1\7" + b"\xff" * 6), marker(0xee, b"Adob")):
        assert scores(classify(daemon, jpegs.encode(16, 16, [pattern(1)], extra=extra))) == good, extra


@case()
def a_turned_picture_is_turned_back(daemon):
    corner = [lambda x, y: 60 if (x, y) == (0, 0) else -30]
    turned = [lambda x, y: 60 if (x, y) == (3, 0) else -30]  # as orientation 6 shows the first
    plain = scores(classify(daemon, jpegs.encode(32, 32, corner)))
    want = scores(classify(daemon, jpegs.encode(32, 32, turned)))
    got = scores(classify(daemon, jpegs.encode(32, 32, corner, extra=jpegs.exif(6))))
    assert max(abs(a - b) for a, b in zip(want, got)) < 1e-5, (want, got)
    check_differs(plain, got)
    for odd in (0, 9, 65535):
        assert scores(classify(daemon, jpegs.encode(32, 32, corner, extra=jpegs.exif(odd)))) == plain
    answer = classify(daemon, jpegs.encode(64, 32, corner, extra=jpegs.exif(6)))
    assert json.loads(answer.body)["image"] == {"width": 64, "height": 32}, "as the header says"
    assert json.loads(daemon.get("/models").body)["models"][0]["exif_orientation"] == "apply"


@case(["--exif-orientation", "ignore"])
def orientation_is_ignored_if_asked(daemon):
    assert json.loads(daemon.get("/models").body)["models"][0]["exif_orientation"] == "ignore"
    data, turned = jpegs.color(8), jpegs.SOI + jpegs.exif(6) + jpegs.color(8)[2:]
    check_same(daemon, data, turned)


def check_pillow(daemon, version):
    """The scores of a tall picture are those of the tool with that version's pixels."""
    tall = jpegs.color(1, 40, 400)
    path = harness.write("tall.jpg", tall)
    out = {name: json.loads(subprocess.run(
        [harness.TOOL, "classify", "--json", "--top-k", "10", "--precision",
         "f32", "--pillow", name, harness.MODEL, path], check=True, stdout=subprocess.PIPE).stdout)
        for name in ("13", "9.4")}
    far = {name: max(abs(got - want["score"]) for got, want in zip(
        scores(classify(daemon, tall)), sorted(line["predictions"], key=lambda p: p["class_id"])))
        for name, line in out.items()}
    other = "9.4" if version == "13" else "13"
    assert far[version] < 1e-6 < far[other], far


@case(["--precision", "f32"])
def pixels_are_pillow_13s_by_default(daemon):
    check_pillow(daemon, "13")


@case(["--precision", "f32", "--pillow", "9.4"])
def pixels_are_those_of_the_pillow_asked_for(daemon):
    check_pillow(daemon, "9.4")


@case(["--decode", "fast"])
def fast_decoding_still_classifies(daemon):
    flat_small = scores(classify(daemon, jpegs.encode(64, 64, [flat(7)] * 3)))
    flat_large = scores(classify(daemon, jpegs.encode(1024, 1024, [flat(7)] * 3)))
    assert max(abs(x - y) for x, y in zip(flat_small, flat_large)) < 1e-5


@case()
def corrupt_entropy_data_is_422(daemon):
    data = jpegs.color(4, 64, 64)
    scan = data.index(b"\xff\xda") + 14
    for broken in (data[:scan] + jpegs.EOI,                       # no data at all
                   data[:scan + 20] + b"\xff\xd0" + data[scan + 20:],  # a restart nobody announced
                   data[:scan + 20] + b"\xff\xd9" + data[scan + 20:],  # the end in the middle
                   data[:scan] + b"\xf0" * 40 + jpegs.EOI,              # codes that do not exist
                   data[:scan + 20] + jpegs.quantizer() + jpegs.EOI):
        check_error(daemon.classify(broken), 422, "image_undecodable")


@case()
def missing_tables_are_422(daemon):
    data = jpegs.small()
    for part in (jpegs.quantizer(), jpegs.frame(16, 16, [(1, 1)]), jpegs.scan_header(1)):
        assert part in data
        check_error(daemon.classify(data.replace(part, b"")), 422, "image_undecodable")
    check_error(daemon.classify(data.replace(b"\xff\xc0", b"\xff\xc0\0\2\xff\xc0", 1)), 422)
    twice = data.replace(jpegs.frame(16, 16, [(1, 1)]), jpegs.frame(16, 16, [(1, 1)]) * 2)
    check_error(daemon.classify(twice), 422, "image_undecodable")


@case()
def odd_component_counts_are_422(daemon):
    """Pillow reads 1, 3 and 4 components."""
    for count in (2, 5, 10, 11, 255):
        check_error(daemon.classify(jpegs.claim(16, 16, count)), 422, "image_undecodable")


@case(seconds=40)
def random_mutations_never_give_5xx(daemon):
    source = random.Random(20240607)
    pictures = [harness.picture(r["picture"]) for r in harness.goldens()[:12]]
    pictures = [p for p in pictures if len(p) < 15000] + [jpegs.color(9), jpegs.progressive(48, 48, 9)]
    with daemon.connect() as connection:
        for data in harness.sample([mutations.damaged(source, source.choice(pictures)) for _ in range(600)]):
            answer = connection.ask("POST", "/classify", body=data)
            assert answer.status in (200, 415, 422), (data, answer)


if __name__ == "__main__":
    harness.main()
