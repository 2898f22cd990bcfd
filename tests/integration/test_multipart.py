#!/usr/bin/python3 -B
"""Hostile multipart/form-data. Each case ends with the recovery check."""
import contextlib
import ctypes
import json
import os

import harness
import wire
from harness import case, check_error, check_scores, predictions, reference


def send(daemon, body, content_type=wire.form_type()[1]):
    return daemon.classify(body, [("Content-Type", content_type)])


def one(data=None, boundary="PPPP-boundary"):
    return wire.multipart([("file", "a.jpg", "image/jpeg", data or reference()[0])], boundary)


def check_good(answer):
    assert answer.status == 200, answer
    check_scores(predictions(answer), reference()[1])


@case()
def row_28_no_boundary_is_400(daemon):
    for kind in ("multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary=",
                 'multipart/form-data; boundary=""', "multipart/form-data; x=boundary",
                 "multipart/form-data; boundary", "multipart/form-data; xboundary=PPPP-boundary"):
        check_error(send(daemon, one(), kind), 400, "multipart_invalid")


@case()
def the_boundary_parameter_is_read_as_rfc_2045_says(daemon):
    for kind in ("multipart/form-data; boundary=PPPP-boundary; charset=utf-8",
                 'multipart/form-data; boundary="PPPP-boundary"',
                 "Multipart/Form-Data; Boundary=PPPP-boundary",
                 "multipart/form-data; charset=utf-8; boundary=PPPP-boundary",
                 "multipart/form-data;boundary=PPPP-boundary",
                 'multipart/form-data; x="boundary=wrong"; boundary=PPPP-boundary'):
        check_good(send(daemon, one(), kind))
    odd = "a'()+_,-./:=?z"
    check_good(send(daemon, one(boundary=odd), f'multipart/form-data; boundary="{odd}"'))


@case()
def a_boundary_has_any_character_of_a_token_or_of_rfc_2046(daemon):
    for boundary in ("*****", "!", "$", "!#$%&'*+-.^_`|~", "'()+_,-./:=?", "----=_Part_0_12.34",
                     "dart-http-boundary-+_'().Ab0"):
        for form in (boundary, f'"{boundary}"'):
            check_good(send(daemon, one(boundary=boundary), "multipart/form-data; boundary=" + form))
    check_good(send(daemon, one(boundary="a b"), r'multipart/form-data; boundary="\a\ b"'))
    for bad, told in (("a@b", '"@b"'), ('"a@b"', "0x40"), ('"a "', "blank"), ('""', "empty")):
        answer = send(daemon, one(boundary=bad.strip('"')), "multipart/form-data; boundary=" + bad)
        assert told in check_error(answer, 400, "multipart_invalid")["message"], answer


@case()
def a_picture_is_a_file_without_a_file_name(daemon):
    data, _ = reference()
    text = ("model", None, None, harness.MODEL_NAME.encode())
    for kind in (None, "image/jpeg", "application/octet-stream", "text/plain"):
        check_good(send(daemon, wire.multipart([text, ("image", None, kind, data)])))
    unfilled = ("other", "", "application/octet-stream", b"")
    check_good(send(daemon, wire.multipart([unfilled, ("image", None, None, data), text])))
    two = [("a", None, None, data), ("b", None, "application/octet-stream", b"text"), text]
    answer = send(daemon, wire.multipart(two))
    results = json.loads(answer.body)["results"]
    assert [r["part"] for r in results] == ["a", "b"], results
    assert results[1]["error"]["code"] == "not_jpeg", results
    check_error(send(daemon, wire.multipart([text, unfilled])), 400, "multipart_invalid")


@case()
def transfer_encodings_of_parts_that_change_no_byte_are_fine(daemon):
    for encoding, status in (("binary", 200), ("8bit", 200), ("7BIT", 200), ("base64", 400),
                             ("quoted-printable", 400)):
        kind = f"image/jpeg\r\nContent-Transfer-Encoding: {encoding}"
        answer = send(daemon, wire.multipart([("f", None, kind, reference()[0])]))
        assert answer.status == status, answer
        if status == 400:
            assert encoding in check_error(answer, 400, "multipart_invalid")["message"], answer


@case()
def row_29_a_boundary_of_one_character_works_or_is_400(daemon):
    answer = send(daemon, one(boundary="x"), "multipart/form-data; boundary=x")
    if answer.status != 400:
        check_good(answer)


@case()
def a_boundary_beyond_70_characters_works_or_is_400(daemon):
    check_good(send(daemon, one(boundary="b" * 70), "multipart/form-data; boundary=" + "b" * 70))
    for long in ("b" * 71, "b" * 2000):
        answer = send(daemon, one(boundary=long), "multipart/form-data; boundary=" + long)
        if answer.status != 400:
            check_good(answer)


@case()
def row_30_a_missing_final_boundary_is_400(daemon):
    body = one()
    for cut in (body[:-len("--PPPP-boundary--\r\n") - 2], body[:-len("--PPPP-boundary--\r\n")],
                body[:-4], body[:-4] + b"\r\n", body[:len(body) // 2], b"--PPPP-boundary\r\n",
                b"--PPPP-boundary\r\nContent-Disposition: form-data"):
        check_error(send(daemon, cut), 400, "multipart_invalid")
    check_good(send(daemon, body[:-2]))  # only the line break after the end is missing


@case()
def row_31_no_file_part_is_400(daemon):
    for body in (b"--PPPP-boundary--\r\n", wire.multipart([("a", None, None, b"text")]),
                 b"no boundary anywhere", b"\r\n" * 500):
        check_error(send(daemon, body), 400)
    check_error(send(daemon, b""), 400)


@case()
def an_empty_file_part_is_an_error_of_its_own(daemon):
    answer = send(daemon, wire.multipart([("file", "empty.jpg", "image/jpeg", b"")]))
    check_error(answer, (400, 415, 422))
    data, _ = reference()
    answer = send(daemon, wire.multipart([("f", "empty.jpg", None, b""), ("f", "ok.jpg", None, data)]))
    assert answer.status == 200, answer
    bad, good = json.loads(answer.body)["results"]
    assert "error" in bad and "predictions" in good, answer


@case(seconds=30)
def row_32_ten_thousand_parts_are_413(daemon):
    for name in ("a.jpg", None):
        before = daemon.cpu_seconds()
        answer = send(daemon, wire.multipart([("f", name, None, b"x")] * 10000))
        message = check_error(answer, 413, "too_many_parts")["message"]
        assert "16" in message and "max_parts" in message.replace("-", "_"), message
        assert daemon.cpu_seconds() - before < 1 * harness.SLOW


@case(["--max-parts", "3"])
def max_parts_is_kept_exactly(daemon):
    data, _ = reference()
    answer = send(daemon, wire.multipart([("f", "a.jpg", None, data)] * 3))
    assert answer.status == 200 and len(json.loads(answer.body)["results"]) == 3, answer
    check_error(send(daemon, wire.multipart([("f", "a.jpg", None, data)] * 4)), 413, "too_many_parts")


@case()
def row_33_a_part_header_of_64_kib_is_400(daemon):
    data, _ = reference()
    long = wire.multipart([("f", "a" * 65536, None, data)])
    check_error(send(daemon, long), 400, "multipart_invalid")
    many = (b'--PPPP-boundary\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n'
            + b"X-Y: z\r\n" * 8192 + b"\r\n" + data + b"\r\n--PPPP-boundary--\r\n")
    check_error(send(daemon, many), 400, "multipart_invalid")


@case()
def broken_part_headers_are_400(daemon):
    data, _ = reference()
    for head in (b"", b"\r\n", b"Content-Disposition\r\n", b"Content-Disposition: attachment\r\n",
                 b"Content-Type: image/jpeg\r\n", b"\0\1\2\r\n", b": x\r\n",
                 b'Content-Disposition: form-data; name="f\r\n'):
        body = b"--PPPP-boundary\r\n" + head + b"\r\n" + data + b"\r\n--PPPP-boundary--\r\n"
        check_error(send(daemon, body), (400, 415))


@contextlib.contextmanager
def untouched(folder):
    """Nobody opens or makes a file in the folder, nor deletes one."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    anything = 0x1 | 0x2 | 0x20 | 0x100 | 0x200  # IN_ACCESS, IN_MODIFY, IN_OPEN, IN_CREATE, IN_DELETE
    assert watch >= 0 and libc.inotify_add_watch(watch, os.fsencode(folder), anything) > 0
    try:
        yield
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"somebody was there: {os.read(watch, 4096)}")
        with open(os.path.join(folder, "seen.jpg"), "wb"):
            assert os.read(watch, 4096), "nothing is ever noticed"
    finally:
        os.close(watch)


@case()
def row_34_file_names_are_never_used_as_paths(daemon):
    folder = harness.path("decoy")
    os.mkdir(folder)
    harness.write("decoy/there.jpg", reference()[0])
    with untouched(folder):
        for file in ("there.jpg", "new.jpg"):
            target = os.path.join(folder, file)
            for name in (target, "../" * 20 + target[1:], os.path.relpath(target), "file://" + target,
                         target + "\0.jpg", target + "%00", "a/../../.." + target):
                for field in ("file", name):
                    answer = send(daemon, wire.multipart([(field, name, None, reference()[0])]))
                    assert answer.status in (200, 400), (name, answer)


@case()
def row_34_hostile_file_names_are_names_and_nothing_else(daemon):
    data, _ = reference()
    for name in ("../../../../tmp/resnextd-evil.jpg", "/etc/passwd", "C:\\x.jpg", "a;b=c", "%00.jpg",
                 "<script>alert(1)</script>", "ü€😀.jpg", "a'b", "name=x", ".", "%0d%0aX-Evil: 1"):
        parts = [("f", name, None, data), ("f", "b.jpg", None, data)]
        answer = send(daemon, wire.multipart(parts))
        assert answer.status == 200, (name, answer)
        assert json.loads(answer.body)["results"][0]["part"] == name, (name, answer)
        assert answer.header("x-evil") is None, answer


@case()
def row_34_file_names_cannot_break_the_answer_or_the_log(daemon):
    data, _ = reference()
    names = ("a\0b.jpg", "a\x1b[31mb", "a\x7fb", "\udcff\udcfe.jpg", "a\rb", "a\nINJECTED",
             "a\r\n\tINJECTED", '\\"quoted\\"')

    def act():
        for name in names:
            parts = [("f", name, None, data), ("f", "b.jpg", None, b"bad")]
            answer = send(daemon, wire.multipart(parts))
            assert answer.status in (200, 400), (name, answer)
            json.loads(answer.body.decode("utf-8"))
    lines = daemon.lines_of(act)
    assert len(lines) == len(names), f"{len(names)} requests, but these lines: {lines}"
    for line in lines:
        assert not line.startswith("INJECTED") and all(c.isprintable() for c in line), repr(line)


@case()
def row_35_nested_multipart_is_refused(daemon):
    inner = one(boundary="inner")
    body = wire.multipart([("files", None, "multipart/mixed; boundary=inner", inner)])
    check_error(send(daemon, body), (400, 415))


@case()
def other_multipart_types_are_refused(daemon):
    for kind in ("multipart/mixed", "multipart/related", "multipart/byteranges"):
        check_error(send(daemon, one(), kind + "; boundary=PPPP-boundary"), (400, 415))


@case()
def row_36_a_boundary_inside_the_picture_is_data_or_refused(daemon):
    data, scores = reference()
    for inside in (b"--PPPP-boundary", b"\r\n--PPPP-boundar", b"PPPP-boundary--", b"\r\n--PPPP-boundary",
                   b"\r\n--PPPP-boundary\r\n", b"\r\n--PPPP-boundary--\r\n", b"\r\n--PPPP-boundaryX"):
        comment = b"\xff\xfe" + (len(inside) + 2).to_bytes(2, "big") + inside
        answer = send(daemon, one(data[:2] + comment + data[2:]))
        assert answer.status in (200, 400, 422), (inside, answer)
        if answer.status == 200:
            check_scores(predictions(answer), scores)
    longer = b"\r\n--PPPP-boundar\xff"
    comment = b"\xff\xfe" + (len(longer) + 2).to_bytes(2, "big") + longer
    check_good(send(daemon, one(data[:2] + comment + data[2:])))


@case()
def row_37_one_good_and_one_bad_part_each_get_their_own(daemon):
    data, scores = reference()
    parts = [("a", "good.jpg", None, data), ("b", "bad.png", None, b"\x89PNG\r\n\x1a\n" + bytes(50)),
             ("c", "cut.jpg", None, data[:-20]), ("d", "good2.jpg", None, data)]
    answer = send(daemon, wire.multipart(parts))
    assert answer.status == 200, answer
    results = json.loads(answer.body)["results"]
    assert [r["part"] for r in results] == ["good.jpg", "bad.png", "cut.jpg", "good2.jpg"], results
    check_scores(results[0]["predictions"], scores)
    check_scores(results[3]["predictions"], scores)
    assert results[1]["error"]["code"] == "not_jpeg", results
    assert results[2]["error"]["code"] == "image_undecodable", results
    for bad in results[1:3]:
        assert "predictions" not in bad and len(bad["error"]["message"]) > 10, bad


@case()
def it_is_422_when_every_part_failed(daemon):
    data, _ = reference()
    parts = [("a", "1.jpg", None, b"text"), ("b", "2.jpg", None, data[:-20])]
    answer = send(daemon, wire.multipart(parts))
    assert answer.status == 422, answer
    results = json.loads(answer.body)["results"]
    assert [r["error"]["code"] for r in results] == ["not_jpeg", "image_undecodable"], results


@case()
def one_bad_file_part_answers_like_a_raw_body(daemon):
    data, _ = reference()
    check_error(send(daemon, one(b"text")), 415, "not_jpeg")
    check_error(send(daemon, one(data[:-20])), 422, "image_undecodable")


@case()
def preamble_epilogue_and_padding_are_skipped(daemon):
    body = b"preamble\r\n" + one() + b"epilogue\r\n--PPPP-boundary\r\n"
    check_good(send(daemon, body))
    check_good(send(daemon, one().replace(b"--PPPP-boundary\r\n", b"--PPPP-boundary  \t\r\n", 1)))


@case()
def every_cut_of_a_form_is_an_error_and_never_a_crash(daemon):
    body = wire.multipart([("f", "a.jpg", "image/jpeg", b"\xff\xd8\xff\xd9"), ("t", None, None, b"x")])
    with daemon.connect() as connection:
        for cut in range(len(body) - 2):
            answer = connection.ask("POST", "/classify", [wire.form_type()], body[:cut])
            assert answer.status == 400, (cut, answer)


if __name__ == "__main__":
    harness.main()
