#!/usr/bin/python3
"""Pictures turned by EXIF data. Every command that reads pictures sees them upright, or with
--exif-orientation ignore as they are stored."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_resnext as tool  # noqa: E402

TURNED = tool.picture("shapes_turned.jpg")
IGNORE = ("--exif-orientation", "ignore")


def lying(scratch):
    """The same file without its EXIF data."""
    data, at = tool.read(TURNED), 2
    while data[at:at + 2] != b"\xff\xe1":
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return tool.write(os.path.join(scratch, "lying.jpg"), data[:at] + data[end:])


def check(ask, scratch):
    """`ask` gives what a command makes of a file, called with the file and further options."""
    bare, turned = ask(lying(scratch)), ask(TURNED)
    assert turned == ask(TURNED, "--exif-orientation", "apply")
    assert turned != bare
    assert ask(TURNED, *IGNORE) == bare


def lines(*names):
    def ask(file, *options):
        line, = tool.json_lines(tool.good(names[0], "--json", *names[1:], file, *options))
        del line["file"]
        return line
    return ask


def test_classify(scratch):
    check(lines("classify", "--logits", tool.TINY), scratch)
    for row in tool.GOLDENS:  # as ImageOps.exif_transpose shows it
        if row["picture"] == TURNED:
            line = lines("classify", "--logits", "--precision", "f32", row["model"])(TURNED)
            tool.check_row({"file": TURNED, **line}, row, len(line["predictions"]))


def test_embed(scratch):
    check(lines("embed", tool.TINY), scratch)


def test_explain_numbers(scratch):
    check(lines("explain", tool.TINY), scratch)


def test_explain_picture(scratch):
    """The map lies over the pixels that the network saw. The result keeps the original orientation."""
    def ask(file, *options):
        return tool.run("explain", tool.TINY, file, *options).stdout
    check(ask, scratch)
    assert b"Exif\0\0" in ask(TURNED)[:64] and b"Exif\0\0" not in ask(TURNED, *IGNORE)


def test_preprocess(scratch):
    check(lambda file, *options: tool.run("preprocess", tool.TINY, file, *options).stdout, scratch)


def test_eval(scratch):
    apply, ignore = (lines("classify", tool.TINY)(TURNED, *options)["predictions"][0]["class_id"]
                     for options in ((), IGNORE))
    assert apply != ignore, "this picture tells nothing"
    folder = os.path.join(scratch, "tree", str(apply))
    os.makedirs(folder)
    tool.write(os.path.join(folder, "turned.jpg"), tool.read(TURNED))
    for options, want in (((), 1.0), (IGNORE, 0.0)):
        out = tool.good("eval", "--json", tool.TINY, os.path.dirname(folder), *options)
        assert json.loads(out)["top1"] == want, out


def test_calibrate(scratch):
    def ask(file, *options):
        folder, out = os.path.join(scratch, "pictures"), os.path.join(scratch, "calibration.json")
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(out):
            os.remove(out)
        tool.write(os.path.join(folder, "one.jpg"), tool.read(file))
        done = tool.run("calibrate", tool.TINY, folder, "--holdout", "0", "--out", out, *options)
        assert done.returncode == 0, done.stderr
        return tool.read(out)
    check(ask, scratch)


def test_bench(_):
    for options in ((), IGNORE):
        tool.good("bench", "--json", tool.TINY, "--images", tool.PICTURES, "--iterations", "2", *options)


def test_other_words_are_refused(_):
    for command in ("classify", "embed", "explain", "preprocess", "eval", "calibrate"):
        text = tool.bad(2, command, tool.TINY, tool.PICTURES, "--exif-orientation", "sideways")
        assert "apply, ignore" in text, text


if __name__ == "__main__":
    sys.exit(tool.main(globals()))
