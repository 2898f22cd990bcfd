#!/usr/bin/python3
"""Runs the real `resnext`: every command, its output, its errors, its exit codes."""
import csv
import io
import json
import math
import os
import pty
import re
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.abspath(os.environ["top_srcdir"])
RESNEXT = os.path.join(os.path.abspath(os.environ["top_builddir"]), "resnext")
DATA = os.path.join(SOURCE, "tests", "data")
PICTURES = os.path.join(DATA, "pictures")
CIFAR = os.path.join(SOURCE, "models", "resnext29-cifar10")
sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))
import jpegs

TINY = os.path.join(DATA, "tiny-resnet18-style")
COMMANDS = ["info", "classify", "eval", "preprocess", "explain", "embed", "verify", "init", "import",
            "bench", "calibrate"]
TIMEOUT = 120

with open(os.path.join(DATA, "goldens.json"), encoding="utf-8") as goldens_file:
    GOLDENS = [
        dict(row, model=os.path.normpath(os.path.join(DATA, row["model"])),
             picture=os.path.join(DATA, row["picture"]))
        for row in json.load(goldens_file)["rows"]
    ]


class Skip(Exception):
    pass


def run(*args, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    return subprocess.run([RESNEXT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=TIMEOUT, check=False, **options)


def good(*args, **options):
    """Standard output of a run that succeeds without a message."""
    done = run(*args, **options)
    assert done.returncode == 0, (args, done.returncode, done.stderr)
    assert done.stderr == b"", (args, done.stderr)
    return done.stdout.decode()


def bad(code, *args, **options):
    """Standard error of a run that ends with `code`, one line or more of plain messages."""
    done = run(*args, **options)
    assert done.returncode == code, (args, done.returncode, done.stderr)
    text = done.stderr.decode()
    assert text, args
    assert all(line.startswith("resnext: ") for line in text.splitlines()), text
    return text


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def picture(name):
    return os.path.join(PICTURES, name)


def pictures(count=8):
    return sorted(os.path.join(PICTURES, name) for name in os.listdir(PICTURES))[:count]


def copy_model(source, target):
    """A copy that can be changed, even if the source tree is read-only."""
    os.mkdir(target)
    for name in os.listdir(source):
        shutil.copyfile(os.path.join(source, name), os.path.join(target, name))
    return target


def write(path, data=b""):
    with open(path, "wb") as f:
        f.write(data)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


# -- help and usage

def test_help_lists_the_commands(_):
    text = good("--help")
    assert text == good("-h")
    for command in COMMANDS:
        assert f"  {command} " in text


def test_each_command_has_help(_):
    for command in COMMANDS:
        text = good(command, "--help")
        assert text == good(command, "-h") == good(command, "operand", "--help")
        assert text.startswith(f"Usage: resnext {command} ")
    text = good("classify", "--top-k", "3", "--help")
    assert "(default 5)" in text and "--isa ISA" in text and "auto, ref" in text
    for option in ["json", "csv", "logits", "top-k", "threads", "precision", "max-bytes"]:
        assert f"--{option}" in text, option


def test_version(_):
    assert good("--version").startswith("resnext ")


def test_without_a_command_it_prints_its_usage(_):
    done = run()
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", good("--help")), done


def test_wrong_usage_names_the_option(_):
    one = pictures(1)[0]
    for words, names in (
            (["classify", CIFAR, one, "--no-such"], "--no-such"), (["classify", CIFAR, one, "-x"], "-x"),
            (["classify", CIFAR, one, "--json=1"], "--json"), (["classify", CIFAR, one, "--csv", "--json"], "--csv"),
            (["classify", CIFAR, one, "--threads"], "--threads"), (["classify", CIFAR, one, "-t", "x"], "--threads"),
            (["classify", CIFAR, one, "--isa", "x"], "--isa"), (["embed", CIFAR, one, "--pillow", "1"], "--pillow"),
            (["explain", CIFAR, one, "--class", "a", "--class-id", "1", "--json"], "--class-id"),
            (["calibrate", CIFAR, PICTURES, "--holdout", "2"], "--holdout"),
            (["bench", CIFAR, "--seconds", "1", "--iterations", "1"], "--iterations"),
            (["bench", CIFAR, "--threads", "1", "--workers", "2"], "--threads"),
            (["bench", CIFAR, "--threads", "2", "--layers"], "--layers")):
        says = bad(2, *words)
        assert names in says and says.startswith(f"resnext: {words[0]}: "), (words, says)


def test_wrong_usage_is_2(_):
    one = pictures(1)[0]
    for args in [
        [""], ["no-such"], ["classify"], ["classify", CIFAR], ["info"], ["info", CIFAR, "more"],
        ["eval", CIFAR], ["init", "resnet18"], ["verify"], ["preprocess", CIFAR],
        ["classify", "--no-such", CIFAR, one], ["classify", "--json=1", CIFAR, one],
        ["classify", CIFAR, one, "--threads"], ["classify", CIFAR, one, "--threads", "0"],
        ["classify", CIFAR, one, "--threads", "x"], ["classify", CIFAR, one, "--threads", ""],
        ["classify", CIFAR, one, "--threads", " 2"], ["classify", CIFAR, one, "--threads", "2x"],
        ["classify", CIFAR, one, "--threads", "99999999999999999999"],
        ["classify", CIFAR, one, "--top-k", "0"], ["classify", CIFAR, one, "--top-k", "1000001"],
        ["classify", CIFAR, one, "--top-k", "-1"], ["classify", CIFAR, one, "--json", "--csv"],
        ["classify", CIFAR, one, "--isa", "no-such"], ["classify", CIFAR, one, "--precision", "f8"],
        ["classify", CIFAR, "-", "-"], ["init", "resnet18", "out", "--seed", "-1"],
        ["init", "resnet18", "out", "--classes", "0"],
    ]:
        bad(2, *args)


def test_options_may_stand_anywhere(_):
    one = pictures(1)[0]
    expected = good("classify", CIFAR, one, "--json", "--top-k", "2")
    assert expected == good("classify", "--json", "--top-k=2", CIFAR, one)
    assert expected == good("classify", CIFAR, "--json", one, "-k2")
    assert expected == good("classify", "-k", "9", "-k", "2", "--json", "--", CIFAR, one)


def test_top_k_is_at_most_so_many(_):
    for k in ("10", "11", "1000000"):
        line = json.loads(good("classify", CIFAR, pictures(1)[0], "--json", "--top-k", k))
        assert len(line["predictions"]) == 10, (k, line)


# -- info

def multiply_adds_of_resnext50():
    """Counted from the paper's Table 1: output pixels x output channels x inputs of each."""
    total = 112 * 112 * 64 * 7 * 7 * 3 + 2048 * 1000
    in_c, in_edge = 64, 56
    for stage, (blocks, edge) in enumerate([(3, 56), (4, 28), (6, 14), (3, 7)]):
        width, out = 128 << stage, 256 << stage
        total += edge * edge * in_c * out  # the projection shortcut
        for _ in range(blocks):
            total += in_edge * in_edge * in_c * width
            total += edge * edge * width * 3 * 3 * (width // 32)
            total += edge * edge * width * out
            in_c, in_edge = out, edge
    return total


def test_info_of_a_template(_):
    out = json.loads(good("info", "--json", "resnext50_32x4d"))
    assert out["template"] == "resnext50_32x4d"
    assert out["parameters"] == 25028904
    assert out["multiply_adds"] == multiply_adds_of_resnext50()
    assert (out["classes"], out["input_size"], out["precision"]) == (1000, 224, "f32")
    assert [s["output_size"] for s in out["stages"]] == [112, 56, 28, 14, 7, 1]
    for field in ["parameters", "multiply_adds"]:
        assert sum(s[field] for s in out["stages"]) == out[field]
    assert out["stages"][0]["parameters"] == 9536
    assert out["kernels"]["dense"] and out["kernels"]["grouped"].startswith("OpenBLAS ")


TABLE_1 = """
conv1   112x112  7x7, 64, stride 2                  9,536     118,013,952
conv2     56x56  3x3 max pool, stride 2
                 [ 1x1, 128       ]
                 [ 3x3, 128, C=32 ] x 3
                 [ 1x1, 256       ]               205,824     634,224,640
conv3     28x28  [ 1x1, 256       ]
                 [ 3x3, 256, C=32 ] x 4
                 [ 1x1, 512       ]             1,197,056   1,085,407,232
conv4     14x14  [ 1x1, 512       ]
                 [ 3x3, 512, C=32 ] x 6
                 [ 1x1, 1024      ]             7,022,592   1,525,350,400
conv5       7x7  [ 1x1, 1024       ]
                 [ 3x3, 1024, C=32 ] x 3
                 [ 1x1, 2048       ]           14,544,896     865,435,648
head        1x1  global average pool, 1000-d fc, softmax  2,049,000  2,048,000
total                                          25,028,904   4,230,479,872
                                              25.0 x 10^6      4.2 x 10^9
"""


def test_info_prints_table_1(_):
    table = good("info", "resnext50_32x4d").split("multiply-adds\n")[1]
    assert [line.split() for line in table.strip().splitlines()] == \
        [line.split() for line in TABLE_1.strip().splitlines()]
    assert "[ 3x3, 64 ]\n                 [ 3x3, 64 ] x 2 " in good("info", "resnet18")


def test_what_runs_where(_):
    for command in (["info", CIFAR], ["verify", CIFAR], ["info", "resnext50_32x4d"]):
        assert "dense ref, grouped ref" in good(*command, "--isa", "ref"), command
        assert ", grouped OpenBLAS " in good(*command, "--precision", "f32"), command
    assert "kernels    dense ref\n" in good("info", "resnet18", "--isa", "ref")
    assert json.loads(good("info", "--json", "resnet18"))["kernels"]["grouped"] is None


def test_templates_by_numbers(scratch):
    by_name = json.loads(good("info", "--json", "resnext50_32x4d"))
    assert by_name == json.loads(good("info", "--json", "C=32:blocks=3,4,6,3:d=4"))
    assert by_name["stages"][1]["layers"] == \
        "3x3 max pool, stride 2; [1x1, 128 / 3x3, 128, C=32 / 1x1, 256] x 3"
    assert "[ 3x3, 24, C=3 ] x 2" in good("info", "blocks=1,2:C=3:d=4:stem=cifar")
    small = os.path.join(scratch, "small")
    good("init", "blocks=1,1:C=4:d=2:stem=cifar:stem_width=8:out=16:classes=3:size=24", small)
    out = json.loads(good("info", "--json", small))
    assert (out["classes"], out["input_size"]) == (3, 24)
    assert [s["output_size"] for s in out["stages"]] == [24, 24, 12, 1]
    assert "passed" in good("verify", small)
    for text, part in [("blocks=1:C=1", "d=..."), ("blocks=1:C=0:d=1", "C=0"), ("x=1", "stem_width"),
                       ("blocks=1:C=2:d=1:block=basic", "figure 4")]:
        assert part in bad(1, "info", text), text
        assert part in bad(1, "init", text, os.path.join(scratch, "none")), text
    for command in ["info", "init"]:
        assert "blocks=3,4,6,3:C=32:d=4" in good(command, "--help")


def test_info_of_a_model(_):
    out = json.loads(good("info", CIFAR, "--json"))
    for field, kind in [("template", str), ("parameters", int), ("multiply_adds", int),
                        ("classes", int), ("input_size", int), ("precision", str),
                        ("stages", list)]:
        assert isinstance(out[field], kind), field
    assert (out["classes"], out["input_size"]) == (10, 32)
    assert [s["output_size"] for s in out["stages"]] == [32, 32, 16, 8, 1]
    assert len(out["sha256"]) == 64 and out["preprocess"]["size"] == 32
    assert out["sha256"] in good("info", CIFAR)


def test_a_variant_that_is_assumed_is_said(scratch):
    folder = os.path.join(scratch, "unnamed")
    shutil.copytree(CIFAR, folder)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    config.pop("architecture")
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    assert "taken for one without anti-aliasing" in good("info", folder)
    assert "taken for" not in good("info", CIFAR)
    assert [json.loads(good("info", "--json", m))["variant_assumed"] for m in (folder, CIFAR)] == [True, False]


def test_info_of_nothing(scratch):
    assert "resnext50_32x4d" in bad(1, "info", "resnext51")
    bad(1, "info", os.path.join(scratch, "absent"))
    bad(1, "info", scratch)


# -- classify

def check_row(got, row, k):
    assert got["file"] == row["picture"]
    assert max(abs(a - b) for a, b in zip(got["logits"], row["logits"])) < 1e-3, row["picture"]
    assert len(got["logits"]) == len(row["logits"])
    top = max(got["logits"])
    powers = [math.exp(x - top) for x in got["logits"]]
    order = sorted(range(len(powers)), key=lambda i: (-powers[i], i))
    assert [p["class_id"] for p in got["predictions"]] == order[:k]
    for p in got["predictions"]:
        assert abs(p["score"] - powers[p["class_id"]] / sum(powers)) < 1e-6
    assert got["predictions"][0]["class_id"] == row["top1"]
    assert got["predictions"][0]["label"] == row["label"]


def test_classify_agrees_with_the_reference(_):
    for model in sorted({row["model"] for row in GOLDENS}):
        rows = [row for row in GOLDENS if row["model"] == model]
        out = json_lines(good("classify", "--json", "--logits", "--precision", "f32", model,
                              *[row["picture"] for row in rows]))
        assert len(out) == len(rows) > 0
        for got, row in zip(out, rows):
            check_row(got, row, 5)


def test_json_has_exactly_its_fields(_):
    out = json_lines(good("classify", "--json", "-k", "3", CIFAR, *pictures(2)))
    assert all(list(line) == ["file", "predictions"] for line in out)
    assert all(len(line["predictions"]) == 3 for line in out)
    for p in out[0]["predictions"]:
        assert list(p) == ["class_id", "label", "score"]
        assert [type(v) for v in p.values()] == [int, str, float]


def test_text(_):
    one = picture("airliner.jpg")
    lines = good("classify", CIFAR, one).splitlines()
    assert lines[0] == one and len(lines) == 6
    assert "airplane" in lines[1] and "%" in lines[1]
    assert len(good("classify", CIFAR, one, "--logits").splitlines()[1].split()) == 4


def test_csv(scratch):
    name = os.path.join(scratch, 'a "quoted", name.jpg')
    shutil.copy(picture("toad.jpg"), name)
    broken = write(os.path.join(scratch, "broken.jpg"), b"no picture")
    done = run("classify", "--csv", "--logits", "-k", "2", CIFAR, name, broken)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [row["file"] for row in rows] == [name, name, broken]
    assert [row["rank"] for row in rows] == ["1", "2", ""]
    reference = json_lines(good("classify", "--json", "--logits", CIFAR, name))[0]
    for row, p in zip(rows[:2], reference["predictions"]):
        assert int(row["class_id"]) == p["class_id"] and row["label"] == p["label"]
        assert float(row["score"]) == p["score"]
        assert float(row["logit"]) == reference["logits"][p["class_id"]]
    assert rows[0]["error"] == "" and rows[2]["error"] != "" and rows[2]["label"] == ""
    plain = list(csv.reader(io.StringIO(good("classify", "--csv", CIFAR, name))))
    assert plain[0] == ["file", "rank", "class_id", "label", "score", "error"]
    assert {len(row) for row in plain} == {6} and len(plain) == 6


def test_csv_has_nothing_that_a_terminal_obeys(scratch):
    """Neither from file names nor from messages that quote them. A reader can restore the bytes."""
    folder = os.path.join(scratch, "obeyed").encode()
    os.mkdir(folder)
    names = [os.path.join(folder, name + b".jpg") for name in
             (b"\x1b]0;title\x07\x1b[2J", b"\xc2\x9b31m", b"\x9b31m\x7f", b"two\r\nlines", b"\\x41")]
    for name in names:
        shutil.copy(picture("toad.jpg").encode(), name)
    gone = os.path.join(folder, b"gone\x1b[0m.jpg")
    done = run("classify", "--csv", "-k", "1", CIFAR, *names, gone)
    assert done.returncode == 1
    lines = done.stdout.split(b"\r\n")
    assert not re.search(rb"[\0-\x1f\x7f-\x9f]", b"".join(lines)), done.stdout
    rows = list(csv.DictReader(line.decode() for line in lines))
    assert [unescaped(row["file"]) for row in rows] == [*names, gone], rows


def unescaped(field):
    """The bytes of a field of CSV."""
    def meant(match):
        kind, digits = match[1][:1], match[1][1:].decode()
        return {b"x": bytes.fromhex, b"u": lambda d: chr(int(d, 16)).encode()}.get(kind, str.encode)(
            digits or "\\")
    return re.sub(rb"\\(\\|x..|u....)", meant, field.encode())


def test_order_does_not_depend_on_threads(_):
    # Big and small pictures mixed, so that threads do not finish in the order in which they start.
    names = pictures(99) * 3
    expected = good("classify", "--json", "--threads", "1", CIFAR, *names)
    assert [line["file"] for line in json_lines(expected)] == names
    for threads in ["2", "7", "64"]:
        assert good("classify", "--json", "--threads", threads, CIFAR, *names) == expected


def test_isa_lowers_the_choice(_):
    one = picture("toad.jpg")
    row = next(r for r in GOLDENS if r["picture"] == one and r["model"] == CIFAR)
    for args in [["--isa", "ref"], ["--isa", "auto"], []]:
        out = json_lines(good("classify", "--json", "--logits", "--precision", "f32", CIFAR, one,
                              *args))
        check_row(out[0], row, 5)
    kernels = json.loads(good("info", "--json", "--isa", "ref", CIFAR))["kernels"]
    assert kernels == {"dense": "ref", "grouped": "ref"}, kernels


def test_standard_input(_):
    data = read(picture("saloon.jpg"))
    out = json_lines(good("classify", "--json", CIFAR, "-", input=data))
    expected = json_lines(good("classify", "--json", CIFAR, picture("saloon.jpg")))
    assert out[0]["file"] == "-"
    assert out[0]["predictions"] == expected[0]["predictions"]
    bad(1, "classify", CIFAR, "-", input=b"")
    bad(1, "classify", CIFAR, "-", "--max-bytes", "100", input=data)


def test_directories_are_walked(scratch):
    root = os.path.join(scratch, "tree")
    os.makedirs(os.path.join(root, "b", "deep"))
    source = picture("toad.jpg")
    names = ["z.jpg", "A.JPG", "b/c.jpeg", "b/deep/d.JPeG", "b.jpg"]
    for name in names + ["notes.txt", "b/e.png", "jpg"]:
        shutil.copy(source, os.path.join(root, name))
    os.symlink(source, os.path.join(root, "b", "link.jpg"))
    os.symlink("..", os.path.join(root, "b", "loop"))
    found = [line["file"] for line in json_lines(good("classify", "--json", CIFAR, root))]
    assert found == sorted(os.path.join(root, name) for name in names + ["b/link.jpg"]), found
    other = os.path.join(root, "notes.txt")
    found = json_lines(good("classify", "--json", CIFAR, other, root + "/b/deep", other))
    assert [line["file"] for line in found] == [other, root + "/b/deep/d.JPeG", other]


def make_faulty(scratch):
    """(path, error code or None) of good and bad operands in one row."""
    data = read(picture("toad.jpg"))
    fifo = os.path.join(scratch, "fifo.jpg")
    os.mkfifo(fifo)
    empty = os.path.join(scratch, "empty")
    os.mkdir(empty)
    return [
        (picture("toad.jpg"), None),
        (write(os.path.join(scratch, "cut.jpg"), data[:len(data) // 2]), "image_undecodable"),
        (write(os.path.join(scratch, "text.jpg"), b"not a picture"), "not_jpeg"),
        (fifo, "io"),
        (empty, "io"),
        ("/dev/zero", "io"),
        (os.path.join(scratch, "absent.jpg"), "io"),
        (picture("mare.jpg"), None),
    ]


def test_a_bad_file_does_not_stop_the_others(scratch):
    faulty = make_faulty(scratch)
    for threads in ["1", "3"]:
        done = run("classify", "--json", "--threads", threads, CIFAR, *[f for f, _ in faulty])
        assert done.returncode == 1 and done.stderr == b"", done
        out = json_lines(done.stdout.decode())
        assert [line["file"] for line in out] == [f for f, _ in faulty]
        for line, (_, code) in zip(out, faulty):
            if code is None:
                assert len(line["predictions"]) == 5
                continue
            assert list(line) == ["file", "error"] and list(line["error"]) == ["code", "message"]
            assert line["error"]["code"] == code, line
            assert line["error"]["message"]


def test_text_reports_failures_on_standard_error(scratch):
    faulty = make_faulty(scratch)
    done = run("classify", CIFAR, *[f for f, _ in faulty])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == sum(code is not None for _, code in faulty)
    assert len(done.stdout.splitlines()) == 6 * sum(code is None for _, code in faulty)


def as_somebody(scratch):
    """Options for run() that take away root's right to read every file."""
    if os.geteuid() != 0:
        return {}
    os.chmod(scratch, 0o755)
    try:
        run("--version", user=65534, group=65534)
    except PermissionError:
        raise Skip("root reads everything, and nobody else may run the program") from None
    return {"user": 65534, "group": 65534}


def test_unreadable_files(scratch):
    user = as_somebody(scratch)
    path = os.path.join(scratch, "secret.jpg")
    shutil.copy(picture("toad.jpg"), path)
    os.chmod(path, 0)
    folder = os.path.join(scratch, "closed")
    os.mkdir(folder)
    os.chmod(folder, 0)
    for operand in [path, folder]:
        done = run("classify", "--json", CIFAR, operand, **user)
        assert done.returncode == 1
        assert "ermission" in json.loads(done.stdout)["error"]["message"]
    os.chmod(folder, stat.S_IRWXU)


def test_limits(_):
    one = picture("panorama_wide.jpg")
    done = run("classify", "--json", "--max-bytes", "1000", CIFAR, one)
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1 and error["code"] == "body_too_large"
    assert "--max-bytes" in error["message"] and "1000" in error["message"]
    done = run("classify", "--json", "--max-pixels", "1000", CIFAR, one)
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "image_too_large"


def test_odd_file_names(scratch):
    raw = os.fsencode(scratch) + b"/\xff\x1b[31m\n.jpg"
    shutil.copy(os.fsencode(picture("toad.jpg")), raw)
    line = json.loads(good("classify", "--json", CIFAR, raw))
    assert line["file"].endswith("/\ufffd\x1b[31m\n.jpg")
    text = good("classify", CIFAR, raw)
    assert text.splitlines()[0].endswith("/??[31m?.jpg") and "\x1b" not in text


def test_a_model_that_is_none(scratch):
    one = pictures(1)[0]
    bad(1, "classify", os.path.join(scratch, "absent"), one)
    bad(1, "classify", one, one)
    broken = copy_model(TINY, os.path.join(scratch, "broken"))
    weights = read(os.path.join(broken, "model.safetensors"))
    write(os.path.join(broken, "model.safetensors"), weights[:-2])
    bad(1, "classify", broken, one)
    bad(1, "verify", broken)


# -- output that fails, processes

def test_a_reader_that_leaves(_):
    names = pictures(99) * 40
    with subprocess.Popen([RESNEXT, "classify", CIFAR, *names], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(TIMEOUT) == 1
        assert process.stderr.read() == b""


def test_a_full_disk(_):
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    for args in [["classify", CIFAR, pictures(1)[0]], ["info", CIFAR, "--json"], ["--help"],
                 ["preprocess", CIFAR, pictures(1)[0]]]:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([RESNEXT, *args], stdout=full, stderr=subprocess.PIPE,
                                  timeout=TIMEOUT, check=False)
        assert done.returncode == 1 and b"cannot write" in done.stderr, (args, done)
    bad(1, "preprocess", CIFAR, pictures(1)[0], "-o", "/dev/full")


def test_no_part_of_a_file_is_left(scratch):
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))

    for command, name in [("preprocess", "out.ppm"), ("explain", "out.jpg")]:
        out = os.path.join(scratch, name)
        error = bad(1, command, CIFAR, pictures(1)[0], "-o", out, preexec_fn=no_room,
                    restore_signals=False)  # Python ignores SIGXFSZ
        assert "cannot write" in error, error
        assert not os.path.exists(out), out
        os.symlink("aim", out)  # like /dev/stdout
        bad(1, command, CIFAR, pictures(1)[0], "-o", out, preexec_fn=no_room, restore_signals=False)
        assert os.path.islink(out), out


def test_closed_descriptors(_):
    command = f"exec {RESNEXT} classify {CIFAR} {pictures(1)[0]} >&- <&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, timeout=TIMEOUT,
                          check=False)
    assert done.returncode == 1 and b"cannot write" in done.stderr, done


def test_the_program_keeps_openblas_to_one_thread(_):
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="8")
    with subprocess.Popen([RESNEXT, "classify", CIFAR, "-", "--threads", "4"],
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=environment) as process:
        folder = f"/proc/{process.pid}"
        deadline = time.monotonic() + TIMEOUT
        names = []
        while "classify" not in names and time.monotonic() < deadline:
            time.sleep(0.02)
            names = [read(f"{folder}/task/{task}/comm").decode().strip()
                     for task in os.listdir(f"{folder}/task")]
        variables = read(f"{folder}/environ").split(b"\0")
        name = read(f"{folder}/comm").decode().strip()
        process.stdin.close()
        process.wait(TIMEOUT)
    # One file: one thread of the program's own beside the main thread, none of OpenBLAS's.
    assert sorted(names) == ["classify", "resnext"], names
    assert b"OPENBLAS_NUM_THREADS=1" in variables
    assert name == "resnext"


def run_on_terminal(*args):
    """(standard output, the output to a terminal on standard error, exit code)"""
    master, slave = pty.openpty()
    environment = dict(os.environ, TERM="xterm")
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen([RESNEXT, *args], stdin=subprocess.DEVNULL, stdout=out,
                              stderr=slave, env=environment) as process:
            os.close(slave)
            screen = b""
            while True:
                try:
                    chunk = os.read(master, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                screen += chunk
            code = process.wait(TIMEOUT)
        os.close(master)
        out.seek(0)
        return out.read().decode(), screen.decode(), code


def test_the_progress_bar(_):
    names = pictures(99) * 4
    out, screen, code = run_on_terminal("classify", "--json", CIFAR, *names)
    assert code == 0 and out == good("classify", "--json", CIFAR, *names)
    assert f"1/{len(names)}" in screen and "ETA" in screen and "/s" in screen, screen
    assert screen.endswith("\r\x1b[K")
    _, screen, code = run_on_terminal("classify", CIFAR, names[0])
    assert code == 0 and screen == ""


# -- eval

def make_tree(scratch, name_of):
    """Pictures under directories; name_of(row) names them. Returns the tree and its rows."""
    root = os.path.join(scratch, "eval")
    rows = [row for row in GOLDENS if row["model"] == CIFAR]
    for row in rows:
        folder = os.path.join(root, name_of(row))
        os.makedirs(folder, exist_ok=True)
        shutil.copy(row["picture"], folder)
    return root, rows


def test_eval_by_label(scratch):
    root, rows = make_tree(scratch, lambda row: row["label"])
    write(os.path.join(root, "README"), b"passed over")
    out = json.loads(good("eval", "--json", CIFAR, root))
    for field, kind in [("images", int), ("failed", int), ("top1", float), ("top5", float),
                        ("images_per_s", float)]:
        assert type(out[field]) is kind, field
    assert (out["images"], out["failed"], out["top1"], out["top5"]) == (len(rows), 0, 1.0, 1.0)
    assert out["images_per_s"] > 0
    assert all(c["class_id"] == c["predicted"] for c in out["confusion"])
    assert sum(c["count"] for c in out["confusion"]) == len(rows)


def test_eval_by_class_id(scratch):
    # All are under class 3, so the right ones are those that the reference puts there.
    root, rows = make_tree(scratch, lambda _: "3")
    out = json.loads(good("eval", "--json", CIFAR, root, "--threads", "2"))
    first = sum(row["top1"] == 3 for row in rows)
    five = sum(3 in sorted(range(10), key=lambda i: -row["logits"][i])[:5] for row in rows)
    assert first < five, "the pictures must tell top-1 from top-5"
    assert out["top1"] == first / len(rows) and out["top5"] == five / len(rows)
    for c in out["confusion"]:
        assert c["class_id"] == 3
        assert c["count"] == sum(row["top1"] == c["predicted"] for row in rows)
    text = good("eval", CIFAR, root)
    for part in ["top-1", "top-5", "images/s", "confusion", "airplane"]:
        assert part in text, part


def test_eval_lists_the_worst_confusions(scratch):
    rows = [row for row in GOLDENS if row["model"] == TINY]
    wrong = next(row for row in rows if row["top1"] != 0)
    os.makedirs(os.path.join(scratch, "t", "0"))
    shutil.copy(wrong["picture"], os.path.join(scratch, "t", "0"))
    text = good("eval", TINY, os.path.join(scratch, "t"))
    assert f"taken for {wrong['top1']} {wrong['label']}" in text, text


def test_eval_counts_failures(scratch):
    root, rows = make_tree(scratch, lambda row: row["label"])
    write(os.path.join(root, rows[0]["label"], "broken.jpg"), b"no picture")
    done = run("eval", "--json", CIFAR, root)
    out = json.loads(done.stdout)
    assert done.returncode == 1 and b"broken.jpg" in done.stderr
    assert (out["images"], out["failed"], out["top1"]) == (len(rows), 1, 1.0)


def test_eval_refuses_what_it_does_not_know(scratch):
    root, _ = make_tree(scratch, lambda row: row["label"])
    os.mkdir(os.path.join(root, "10"))
    assert "10" in bad(1, "eval", CIFAR, root)
    os.rmdir(os.path.join(root, "10"))
    os.mkdir(os.path.join(root, "unicorn"))
    assert "unicorn" in bad(1, "eval", CIFAR, root)
    os.mkdir(os.path.join(scratch, "nothing"))
    bad(1, "eval", CIFAR, os.path.join(scratch, "nothing"))
    bad(1, "eval", CIFAR, os.path.join(scratch, "absent"))


def test_eval_wants_ids_for_labels_that_occur_twice(scratch):
    model = copy_model(CIFAR, os.path.join(scratch, "twice"))
    path = os.path.join(model, "config.json")
    config = json.loads(read(path))
    config["label_names"] = ["crane"] * 2 + [f"label {i}" for i in range(8)]
    write(path, json.dumps(config).encode())
    os.makedirs(os.path.join(scratch, "tree", "crane"))
    assert "give an id" in bad(1, "eval", model, os.path.join(scratch, "tree"))


def test_eval_passes_over_what_systems_leave_behind(scratch):
    root, rows = make_tree(scratch, lambda row: row["label"])
    for folder in (".git", ".ipynb_checkpoints", "__MACOSX", "@eaDir", rows[0]["label"] + "/@eaDir"):
        os.makedirs(os.path.join(root, folder))
        shutil.copy(rows[0]["picture"], os.path.join(root, folder))
    for name in ("._" + os.path.basename(rows[0]["picture"]), ".hidden.jpg", ".DS_Store"):
        write(os.path.join(root, rows[0]["label"], name), b"Mac OS X")
    out = json.loads(good("eval", "--json", CIFAR, root))
    assert (out["images"], out["failed"], out["top1"]) == (len(rows), 0, 1.0)


def thousand_classes(scratch, **more):
    """A small network of 1000 classes, without names of its own unless config.json has more."""
    model = os.path.join(scratch, "thousand")
    if not os.path.exists(model):
        good("init", "blocks=1,1:C=1:d=16:stem=cifar:classes=1000", model)
    path = os.path.join(model, "config.json")
    config = json.loads(read(path))
    for key in ("label_names", "labels"):
        config.pop(key, None)
    write(path, json.dumps(dict(config, **more)).encode())
    return model


def test_eval_takes_the_folders_of_imagenet(scratch):
    with open(os.path.join(SOURCE, "models/labels/imagenet-1k-synsets.txt"), encoding="utf-8") as file:
        synsets = file.read().splitlines()
    with open(os.path.join(SOURCE, "models/labels/imagenet-1k.txt"), encoding="utf-8") as file:
        names = file.read().splitlines()
    assert len(synsets) == len(set(synsets)) == 1000 and synsets == sorted(synsets)
    # The names of the photos in ImageNet's samples.
    for synset, name in (("n01440764", "tench"), ("n01735189", "garter snake"), ("n01770393", "scorpion"),
                         ("n01824575", "coucal"), ("n15075141", "toilet tissue")):
        assert names[synsets.index(synset)] == name
    root = os.path.join(scratch, "tree")
    truth = {"n01440764": 0, "n15075141": 999, "7": 7, "garter snake": 57}
    for name in truth:
        os.makedirs(os.path.join(root, name))
        shutil.copy(pictures(1)[0], os.path.join(root, name, "a.JPEG"))
    same_in_other_words = [name.replace("crane bird", "crane") + ", Some synonym" for name in names]
    for more in ({}, {"label_names": names}):
        out = json.loads(good("eval", "--json", thousand_classes(scratch, **more), root))
        assert [c["class_id"] for c in out["confusion"]] == sorted(truth.values()), more
    shutil.rmtree(os.path.join(root, "garter snake"))
    out = json.loads(good("eval", "--json", thousand_classes(scratch, label_names=same_in_other_words), root))
    assert [c["class_id"] for c in out["confusion"]] == [0, 7, 999]
    # A network with other classes has no synsets, and an unknown synset is no class.
    others = [f"thing {i}" for i in range(1000)]
    assert "n01440764" in bad(1, "eval", thousand_classes(scratch, label_names=others), root)
    assert "n01440764" in bad(1, "eval", thousand_classes(scratch, label_names=names[::-1]), root)
    os.mkdir(os.path.join(root, "n00000001"))
    assert "n00000001" in bad(1, "eval", thousand_classes(scratch), root)


def test_eval_takes_synsets_beside_labels(scratch):
    model = copy_model(CIFAR, os.path.join(scratch, "model"))
    root, rows = make_tree(scratch, lambda row: f"s{row['top1']}")
    assert "no class is called" in bad(1, "eval", model, root)
    # A label comes before an id, and an id before a synset.
    write(os.path.join(model, "synsets.txt"), "\n".join(f"s{i}" for i in range(10)).encode())
    assert json.loads(good("eval", "--json", model, root))["top1"] == 1.0
    write(os.path.join(model, "synsets.txt"), b"s0\ns1\n")
    assert "2 synsets for 10 classes" in bad(1, "eval", model, root)


# -- eval with tables, and with several labels a picture

def table_of(scratch, text):
    path = os.path.join(scratch, "labels.csv")
    write(path, text.encode() if isinstance(text, str) else text)
    return path


def flat(scratch):
    """A flat folder of pictures, and the rows of CIFAR's goldens."""
    root = os.path.join(scratch, "flat")
    rows = [row for row in GOLDENS if row["model"] == CIFAR]
    os.makedirs(root, exist_ok=True)
    for row in rows:
        shutil.copy(row["picture"], root)
    return root, rows


def name_of(row):
    return os.path.basename(row["picture"])


def test_eval_by_table(scratch):
    root, rows = flat(scratch)
    lines = [f"{name_of(row)},{row['label']}" for row in rows]
    ids = [f'"{name_of(row)}" , {row["top1"]}' for row in rows]
    header = ",".join(["", *(str(i) for i in range(10))])
    columns = [",".join([name_of(row), *("1" if i == row["top1"] else "0.0" for i in range(10))]) for row in rows]
    absolute = [f"{root}/{name_of(row)},{row['label']}" for row in rows]
    for table in (lines, ["file,label", *lines], ids, [header, *columns], absolute,
                  ["\ufeffname,class", *lines, ""]):
        out = json.loads(good("eval", "--json", "-l", table_of(scratch, "\r\n".join(table)), CIFAR, root))
        assert (out["images"], out["top1"]) == (len(rows), 1.0), table
    out = json.loads(good("eval", "--json", "--labels", table_of(scratch, lines[0]), CIFAR, root))
    assert out["images"] == 1, "what is not listed is not looked at"
    done = run("eval", "--json", "--labels", table_of(scratch, lines[0] + "\nabsent.jpg,3"), CIFAR, root)
    assert done.returncode == 1 and b"absent.jpg" in done.stderr
    assert json.loads(done.stdout)["failed"] == 1
    assert "--labels" in bad(1, "eval", CIFAR, root)


def test_eval_refuses_tables_that_it_does_not_understand(scratch):
    root, rows = flat(scratch)
    name = name_of(rows[0])
    for text, words in (("", "no picture"), ("file,label\n", "no picture"), (f"{name}\n", "line 1: 1 fields"),
                        (f"photo.png,cat\n{name},cat\n", "line 1: neither a header nor the name"),
                        (f"{name};cat\n", "line 1: neither a header"), ("a;b\n", "line 1: one column"), (f"{name},cat,dog\n", "line 1: 3 fields"),
                        (f"\n{name},unicorn\n", "line 2: no class is called \"unicorn\""),
                        (f"{name},10\n", "line 1"), (f"{name},-1\n", "line 1"), (f"{name},\n", "line 1: 0 classes"),
                        (f"{name},cat;dog\n", "line 1: 2 classes"), (f"{name},cat|\n", "line 1: no class"),
                        (f"{name},cat\n{name},dog\n", "line 2: this picture is in line 1 already"),
                        (f"{name},cat\nother,cat\n", "line 2: not the name of a *.jpg or *.jpeg: other"),
                        ("f,cat,dog\n", "line 1: there are columns for 2 of 10 classes"),
                        ("f,cat,cat\n", "two columns for the class cat"), ("f,cat,unicorn\n", "unicorn"),
                        ("f," + ",".join(map(str, range(10))) + f"\n{name},-1" + ",0" * 9, "line 2: neither 0 nor 1: -1"),
                        ("f," + ",".join(map(str, range(10))) + f"\n{name}," + ",0" * 9, "line 2: neither 0 nor 1"),
                        (f'"{name},cat\n', "line 1"), (f"{name},ca\0t\n", "NUL"), ("a," * 50, "more than 11")):
        table = table_of(scratch, text)
        message = bad(1, "eval", "--labels", table, CIFAR, root)
        assert words in message and table in message, (text, message)
    bad(1, "eval", "--labels", os.path.join(scratch, "absent.csv"), CIFAR, root)


F32 = ["--precision", "f32"]  # like the goldens


def sigmoid(scratch, **more):
    """CIFAR's network, scoring each class by itself."""
    model = copy_model(CIFAR, os.path.join(scratch, "sigmoid"))
    path = os.path.join(model, "config.json")
    write(path, json.dumps(dict(json.loads(read(path)), activation="sigmoid", **more)).encode())
    return model


def average_precision(scores, shown):
    """As scikit-learn defines it: over falling thresholds, the step in recall times precision."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [s for score, s in zip(scores, shown) if score >= threshold]
        recall = sum(taken) / sum(shown)
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


def check_precision(out, rows, shown):
    """`shown`: a set of classes for each row."""
    expected = {}
    for c in range(10):
        marks = [c in classes for classes in shown]
        if any(marks):
            expected[c] = average_precision([row["logits"][c] for row in rows], marks)
        assert out["classes"][c]["class_id"] == c and out["classes"][c]["positives"] == sum(marks)
        got = out["classes"][c]["average_precision"]
        assert got is None if c not in expected else abs(got - expected[c]) < 1e-6, (c, got, expected)
    assert out["images"] == len(rows) and out["classes_measured"] == len(expected)
    assert abs(out["mean_average_precision"] - sum(expected.values()) / len(expected)) < 1e-6
    assert "top1" not in out and "confusion" not in out
    assert 0.2 < out["mean_average_precision"] < 1, "labels that tell something"


def test_eval_of_several_labels_by_table(scratch):
    root, rows = flat(scratch)
    model = sigmoid(scratch)
    shown = [{c for c in range(9) if (c * 7 + i * 5) % 4 == 0 or (c == row["top1"] and i % 3)}
             for i, row in enumerate(rows)]
    shown[0] = set()
    separators = [";".join, "|".join, " ; ".join]
    lists = ["image,tags"] + [f"{name_of(row)},{separators[i % 3](str(c) for c in sorted(shown[i]))}"
                              for i, row in enumerate(rows)]
    columns = [",".join(["image", *(str(c) for c in reversed(range(10)))])]
    columns += [",".join([name_of(row), *("01"[c in shown[i]] for c in reversed(range(10)))])
                for i, row in enumerate(rows)]
    for lines in (lists, columns):
        table = table_of(scratch, "\n".join(lines))
        check_precision(json.loads(good("eval", "--json", *F32, "--labels", table, model, root)), rows, shown)
        text = good("eval", "--labels", table, model, root, "--threads", "2")
        assert re.search(r"^mAP +\d+\.\d\d% \(of 10 classes, 9 have pictures\)$", text, re.M), text
    none = table_of(scratch, f"{name_of(rows[0])},\n")
    out = json.loads(good("eval", "--json", "--labels", none, model, root))
    assert out["mean_average_precision"] is None and out["classes_measured"] == 0
    assert "none" in good("eval", "--labels", none, model, root)


def test_eval_of_several_labels_by_folders(scratch):
    model = sigmoid(scratch)
    root, rows = make_tree(scratch, lambda row: row["label"])
    shown = []
    for i, row in enumerate(rows):
        shown.append({row["top1"], 2 * i % 7})
        for c in shown[-1]:
            folder = os.path.join(root, row["label"] if c == row["top1"] else str(c))
            os.makedirs(folder, exist_ok=True)
            shutil.copy(row["picture"], folder)
    check_precision(json.loads(good("eval", "--json", *F32, model, root)), rows, shown)
    # Pictures with the same name at any depth below class folders are one, if their bytes are equal.
    os.makedirs(os.path.join(root, "1", "more"))
    os.makedirs(os.path.join(root, "2", "more"))
    shutil.copy(rows[0]["picture"], os.path.join(root, "1", "more", "x.jpg"))
    shutil.copy(rows[0]["picture"], os.path.join(root, "2", "more", "x.jpg"))
    assert json.loads(good("eval", "--json", model, root))["images"] == len(rows) + 1
    shutil.copy(rows[1]["picture"], os.path.join(root, "2", "more", "x.jpg"))
    message = bad(1, "eval", model, root)
    assert "1/more/x.jpg" in message and "2/more/x.jpg" in message and "two pictures" in message
    # A picture that cannot be read or is too large cannot be compared.
    second = os.path.join(root, "2", "more", "x.jpg")
    os.remove(second)
    os.symlink("nowhere", second)
    assert f"{second}: cannot open: No such file" in bad(1, "eval", model, root)
    os.remove(second)
    os.mkfifo(second)
    assert f"{second}: a FIFO" in bad(1, "eval", model, root)
    os.remove(second)
    shutil.copy(rows[0]["picture"], second)
    with open(second, "ab") as file:
        file.truncate(1 << 20)
    assert f"{second}: larger than the limit" in bad(1, "eval", "--max-bytes", "1000000", model, root)
    if os.getuid() != 0:
        os.chmod(second, 0)
        assert f"{second}: cannot open: Permission denied" in bad(1, "eval", model, root)
        os.chmod(second, 0o600)
    # A failed picture counts once, however many classes it has.
    for c in "12":
        write(os.path.join(root, c, "more", "x.jpg"), b"no picture")
    done = run("eval", "--json", model, root)
    assert done.returncode == 1 and done.stderr.count(b"x.jpg") == 1
    assert json.loads(done.stdout)["failed"] == 1


def test_eval_of_one_class_wants_to_know_what_does_not_show_it(scratch):
    model = os.path.join(scratch, "one")
    good("init", "blocks=1,1:C=1:d=16:stem=cifar:classes=1", model)
    path = os.path.join(model, "config.json")
    write(path, json.dumps(dict(json.loads(read(path)), label_names=["horse"])).encode())
    root, rows = flat(scratch)
    names = [name_of(row) for row in rows[:4]]
    made = []
    for text in ("".join(f"./{name},{'horse' if i < 2 else ''}\n" for i, name in enumerate(names)),
                 "f,horse\n" + "".join(f"{name},{'1' if i < 2 else '0'}\n" for i, name in enumerate(names))):
        out = json.loads(good("eval", "--json", "--labels", table_of(scratch, text), model, root))
        assert (out["images"], out["classes"][0]["positives"]) == (4, 2), out
        made.append(out["mean_average_precision"])
    assert made[0] == made[1] > 0, made
    for class_id in "01":
        message = bad(1, "eval", "--labels", table_of(scratch, f"{names[0]},{class_id}\n"), model, root)
        assert "line 1: of a network with one class" in message, message
    message = bad(1, "eval", "--labels", table_of(scratch, f"{names[0]},horse\n./{names[0]},horse\n"), model, root)
    assert "line 2: this picture is in line 1 already" in message, message
    tree = os.path.join(scratch, "tree")
    os.makedirs(os.path.join(tree, "horse"))
    shutil.copy(rows[0]["picture"], os.path.join(tree, "horse"))
    assert "--labels" in bad(1, "eval", model, tree)


def test_eval_of_one_output_with_two_labels(scratch):
    model = os.path.join(scratch, "binary")
    good("init", "blocks=1,1:C=1:d=16:stem=cifar:classes=1", model)
    path = os.path.join(model, "config.json")
    write(path, json.dumps(dict(json.loads(read(path)), label_names=["no", "yes"])).encode())
    root = os.path.join(scratch, "tree")
    right = 0
    for i, name in enumerate(pictures()):
        best = json_lines(good("classify", "--json", model, name))[0]["predictions"][0]["label"]
        truth = ["no", "yes"][i % 2]
        right += truth == best
        os.makedirs(os.path.join(root, truth), exist_ok=True)
        shutil.copy(name, os.path.join(root, truth))
    out = json.loads(good("eval", "--json", model, root))
    assert (out["images"], out["top1"], out["top5"]) == (8, right / 8, 1.0), out
    assert "mean_average_precision" not in out


# -- preprocess, verify, init

def test_preprocess(scratch):
    out = os.path.join(scratch, "out.ppm")
    for model, size in [(CIFAR, 32), (TINY, 72)]:
        for path in pictures(4):
            ppm = run("preprocess", model, path)
            assert ppm.returncode == 0 and ppm.stderr == b""
            header = b"P6\n%d %d\n255\n" % (size, size)
            assert ppm.stdout.startswith(header)
            assert len(ppm.stdout) == len(header) + 3 * size * size
            assert len(set(ppm.stdout[len(header):])) > 3
            assert good("preprocess", model, path, "-o", out) == ""
            assert read(out) == ppm.stdout
            assert run("preprocess", model, "-", input=read(path)).stdout == ppm.stdout


def test_pillow_is_an_option_of_every_command_that_reads_pictures(scratch):
    tall = os.path.join(scratch, "tall.jpg")
    write(tall, jpegs.color(1, 40, 400))
    readers = ["classify", "eval", "preprocess", "explain", "embed", "bench", "calibrate"]
    for command in COMMANDS:
        assert ("--pillow VERSION" in good(command, "--help")) == (command in readers), command
    for args in [["classify", "--json", "--logits", "--precision", "f32"],
                 ["explain", "--json", "--precision", "f32"], ["embed", "--json"], ["preprocess"]]:
        out = {name: run(*args, *(["--pillow", name] if name else []), CIFAR, tall)
               for name in ["", "13", "12.2", "9.4"]}
        assert all(done.returncode == 0 and done.stdout for done in out.values()), args
        assert out[""].stdout == out["13"].stdout != out["9.4"].stdout == out["12.2"].stdout, args
    assert "13, 12.2, 9.4" in bad(2, "classify", "--pillow", "12", CIFAR, tall)


def test_preprocess_fails_cleanly(scratch):
    bad(1, "preprocess", CIFAR, os.path.join(scratch, "absent.jpg"))
    bad(1, "preprocess", CIFAR, scratch)
    bad(1, "preprocess", CIFAR, pictures(1)[0], "-o", os.path.join(scratch, "absent", "x.ppm"))


def test_preprocess_refuses_a_terminal(_):
    master, slave = pty.openpty()
    done = subprocess.run([RESNEXT, "preprocess", CIFAR, pictures(1)[0]], stdout=slave,
                          stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2 and b"-o" in done.stderr


def test_verify(_):
    for model in [CIFAR, TINY]:
        text = good("verify", model)
        assert "passed" in text and "finite" in text


def test_verify_finds_a_nan(scratch):
    model = copy_model(CIFAR, os.path.join(scratch, "nan"))
    path = os.path.join(model, "model.safetensors")
    data = bytearray(read(path))
    header = struct.unpack("<Q", data[:8])[0]
    tensors = json.loads(data[8:8 + header])
    begin, end = tensors["fc.bias"]["data_offsets"]
    data[8 + header + begin:8 + header + end] = b"\xff" * (end - begin)
    write(path, bytes(data))
    assert "fc.bias" in bad(1, "verify", model)


def test_init(scratch):
    first, again, other = (os.path.join(scratch, name) for name in ["a", "b", "c"])
    options = ["--classes", "7", "--input-size", "64"]
    assert "resnet18" in good("init", "resnet18", first, *options, "--seed", "1")
    good("init", *options, "--seed", "1", "resnet18", again)
    good("init", "resnet18", other, *options, "--seed", "2")
    weights = [read(os.path.join(m, "model.safetensors")) for m in [first, again, other]]
    assert weights[0] == weights[1] != weights[2]
    out = json.loads(good("info", first, "--json"))
    assert (out["template"], out["classes"], out["input_size"]) == ("resnet18", 7, 64)
    assert "passed" in good("verify", first)
    line = json.loads(good("classify", "--json", "--logits", first, picture("toad.jpg")))
    assert len(line["logits"]) == 7 and len(line["predictions"]) == 5


def test_a_thousand_classes_have_imagenets_names(scratch):
    model = os.path.join(scratch, "m")
    good("init", "resnext29_8x4d", model, "--classes", "1000")
    line = json.loads(good("classify", "--json", "--top-k", "1000", model, picture("toad.jpg")))
    labels = {p["class_id"]: p["label"] for p in line["predictions"]}
    in_tree = os.path.exists(os.path.join(os.path.dirname(RESNEXT), "../models/labels"))
    names = ("tench", "toilet tissue") if in_tree else ("class 0", "class 999")
    assert (labels[0], labels[999]) == names, labels


def test_init_refuses(scratch):
    assert "resnet18" in bad(1, "init", "no-such", os.path.join(scratch, "x"))
    bad(1, "init", "resnet18", os.path.join(scratch, "absent", "x"), "--input-size", "64")
    assert "--seed" in bad(2, "init", "resnet18", os.path.join(scratch, "x"), "--seed", "9" * 20)
    assert not os.path.exists(os.path.join(scratch, "x"))


# -- explain, embed

def test_explain_writes_a_map_or_a_picture(scratch):
    row = next(r for r in GOLDENS if r["model"] == CIFAR)
    line = json.loads(good("explain", CIFAR, row["picture"], "--json"))
    assert list(line) == ["file", "class_id", "label", "grid"], line
    assert line["file"] == row["picture"] and line["class_id"] == row["top1"], line
    assert line["label"] == row["label"], line
    grid = line["grid"]
    assert len(grid["values"]) == grid["rows"] * grid["cols"] == 64, grid
    assert line == json.loads(good("explain", CIFAR, "--json", row["picture"], "--class", row["label"]))
    second = (row["top1"] + 1) % 10
    other = json.loads(good("explain", CIFAR, "--json", row["picture"], "-c", str(second)))
    assert other == json.loads(good("explain", CIFAR, "--json", row["picture"], "--class-id", str(second)))
    assert "no class id" in bad(1, "explain", CIFAR, "--json", row["picture"], "--class-id", "cat")
    bad(2, "explain", CIFAR, "--json", row["picture"], "--class-id", "1", "--class", "1")
    assert other["class_id"] == second and other["grid"] != grid, other
    out = os.path.join(scratch, "map.jpg")
    assert good("explain", CIFAR, row["picture"], "--out", out) == ""
    done = run("explain", CIFAR, "-", input=read(row["picture"]))
    assert done.returncode == 0 and done.stdout == read(out), done.stderr
    assert done.stdout[:2] == b"\xff\xd8" and done.stdout[-2:] == b"\xff\xd9"


def test_explain_fails_clearly(scratch):
    one, junk = picture("toad.jpg"), write(os.path.join(scratch, "junk.jpg"), b"no picture")
    assert "zebra" in bad(1, "explain", CIFAR, one, "--json", "--class", "zebra")
    assert "0 to 9" in bad(1, "explain", CIFAR, one, "--json", "--class", "10")
    assert junk in bad(1, "explain", CIFAR, junk, "--json")
    assert "/absent/x" in bad(1, "explain", CIFAR, one, "--out", "/absent/x")
    bad(2, "explain", CIFAR, one, "--json", "--out", "x")
    bad(2, "explain", CIFAR)
    bad(2, "explain", CIFAR, one, one)


def test_embed_prints_rows(scratch):
    files = pictures(3)
    lines = json_lines(good("embed", CIFAR, "--json", *files))
    assert [line["file"] for line in lines] == files
    assert all(line["dimensions"] == len(line["embedding"]) == 512 for line in lines)
    raw = run("embed", CIFAR, *files, "--threads", "3").stdout
    assert raw == b"".join(struct.pack("<512f", *line["embedding"]) for line in lines)
    for line, unit in zip(lines, json_lines(good("embed", CIFAR, "--json", "--normalize", *files))):
        length = math.sqrt(sum(v * v for v in line["embedding"]))
        assert all(abs(v / length - u) < 1e-6 for v, u in zip(line["embedding"], unit["embedding"]))


def test_embed_keeps_rows_and_files_in_step(scratch):
    one, junk = picture("toad.jpg"), write(os.path.join(scratch, "junk.jpg"), b"no picture")
    done = run("embed", TINY, junk, one)
    count = len(done.stdout) // 8
    failed, fine = (struct.unpack_from(f"<{count}f", done.stdout, i * 4 * count) for i in range(2))
    assert done.returncode == 1 and junk.encode() in done.stderr, done.stderr
    assert all(math.isnan(v) for v in failed) and all(math.isfinite(v) for v in fine)
    done = run("embed", TINY, junk, one, "--json")
    first, second = json_lines(done.stdout.decode())
    assert done.returncode == 1 and first["error"]["code"] == "not_jpeg", first
    assert struct.pack(f"<{count}f", *second["embedding"]) == struct.pack(f"<{count}f", *fine)


def main(namespace):
    tests = [(name[5:], test) for name, test in namespace.items() if name.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                test(scratch)
                print(f"ok {number} - {name}", flush=True)
            except Skip as reason:
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            except Exception as error:  # every failure is a result, none stops the others
                failed += 1
                text = f"{type(error).__name__}: {error}"
                print(f"not ok {number} - {name}\n# " + text.replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
