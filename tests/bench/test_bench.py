#!/usr/bin/python3 -B
"""bench.py from end to end, quickly: what it prints is a table of plausible figures."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import types

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import fidelity  # noqa: E402
import parties  # noqa: E402
import pictures  # noqa: E402
import service  # noqa: E402
import table  # noqa: E402

SCRIPT = os.path.join(HERE, "bench.py")
PINNED = {"OPENBLAS_CORETYPE": "Core2", "OPENBLAS_L2_SIZE": "1"}
FIGURE = re.compile(r"([0-9.]+) (ms|images/s|requests/s|MiB)\Z")


def bench(*words, environment=None):
    done = subprocess.run([sys.executable, "-B", SCRIPT, *words], capture_output=True, text=True,
                          env={**os.environ, **(environment or {})}, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == 5 for row in cells), text
    assert cells[0][0] == "measured" and set(cells[1][0]) == {"-"}, text
    return cells[2:]


def test_quick_run():
    """The parts that need nothing but this program, under an environment that would slow it."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "table.md")
        code, printed, complaints = bench("--quick", "--parts", "inference,pictures,start", "--out",
                                          out, environment=PINNED)
        assert code == 0, complaints
        with open(out, encoding="utf-8") as file:
            assert file.read() == printed
    found = rows(printed)
    names = [row[0] for row in found]
    for precision in ("float32", "int8", "bf16"):
        for shape in ("1 thread, batch 1", "2 threads, batch 1", "2 workers"):
            assert f"default model, {precision}, {shape}" in names, names
    assert any("decode and preprocess of a" in name for name in names), names
    for row in found:
        figure = FIGURE.match(row[1])
        assert figure and float(figure[1]) > 0, row
        if row[2]:
            assert FIGURE.match(row[3]) and float(row[4]) > 0, row
    memory = [row for row in found if "resident" in row[0]]
    assert len(memory) == 2 and all(float(row[4]) > 1 for row in memory), memory
    assert "Core2" not in printed and "left out" not in complaints, complaints


def test_http():
    if not shutil.which("wrk"):
        return "wrk is not installed"
    code, printed, complaints = bench("--quick", "--parts", "http")
    assert code == 0, complaints
    found = {row[0]: row for row in rows(printed)}
    against = next(row for name, row in found.items()
                   if re.match(r"default model, float32, photos of \d+ x \d+ over HTTP, 2 workers", name))
    assert against[2] == "`resnext bench --images`" and float(against[4]) > 0, against
    requests = found["default model, int8, 32x32 JPEG over HTTP, 2 workers"]
    assert float(FIGURE.match(requests[1])[1]) > 1, requests
    assert sum("outside decode" in name for name in found) == 2, found
    return None


def test_an_absent_peer_is_named():
    with tempfile.TemporaryDirectory() as empty:
        for kind in (parties.OnnxRuntime, parties.OnnxRuntimePython, parties.OpenVino, parties.OneDnn,
                     parties.Sharp):
            peer = kind(empty, install=False)
            assert peer.absent and not peer.version, (peer.name, peer.absent)


def test_subjects_take_turns():
    """Round by round, and one that fails does not end the others."""
    calls = []

    def good(name):
        calls.append(name)
        return len(calls)

    def bad():
        calls.append("bad")
        raise parties.Failed("on purpose")

    subjects = {("a",): lambda: good("a"), ("bad",): bad, ("b",): lambda: good("b")}
    figures = table.interleave("turns", subjects, 3, table.Progress())
    assert calls == ["a", "bad", "b", "a", "b", "a", "b"], calls
    assert figures == {("a",): [1, 4, 6], ("b",): [3, 5, 7]}, figures


def test_table():
    made = table.Table()
    made.add("one", [2.0, 1.0, 3.0], "ms", "other", [4.0, 4.0, 4.0])
    made.add("one", [2.0, 1.0, 3.0], "ms", "third", [1.0, 1.0, 1.0])
    made.add("two", [123.4], "ms")
    made.add("absent", None, "ms")
    assert rows(made.markdown()) == [
        ["one", "2.00 ms", "other", "4.00 ms", "0.50 (0.25-0.75)"],
        ["", "", "third", "1.00 ms", "2.00 (1.00-3.00)"],
        ["two", "123 ms", "", "", ""]]
    assert [table.significant(x) for x in (0, 0.01234, 9.876, 54.32, 1234.5)] == [
        "0", "0.0123", "9.88", "54.3", "1234"]


def test_sizes_of_pictures():
    folder = os.path.join(parties.TOP, "tests/data/pictures")
    assert pictures.size_of(os.path.join(folder, "mare.jpg")) == (32, 32, True)
    assert pictures.size_of(os.path.join(folder, "zone_plate_gray.jpg"))[2] is False
    assert pictures.size_of(os.path.join(folder, "landscape_progressive.jpg"))[2] is False
    assert pictures.size_of(SCRIPT) is None


def test_photos_are_grouped_by_size():
    assert [pictures.group_of((w, h)) for w, h in ((500, 375), (1000, 1000), (1600, 1200), (3000, 4000))] == [
        "500x375", "500x375", "1600x1200", "4000x3000"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(parties.TOP, "tests/data/pictures")
        found = pictures.Photos([folder], os.path.join(scratch, "a"))
        assert list(found.groups) == ["500x375"] and found.web is found.groups["500x375"]
        assert all(pictures.size_of(path) for path in found.web.paths)
        assert pictures.size_of(found.web.typical)[2]
        assert found.web.title == "{} x {}".format(*pictures.size_of(found.web.typical))
        empty = os.path.join(scratch, "empty")
        os.mkdir(empty)
        try:
            pictures.Photos([empty], os.path.join(scratch, "b"))
        except OSError as problem:
            assert empty in str(problem)
        else:
            raise AssertionError("photos in an empty folder")


def fails(says, function, *words):
    try:
        function(*words)
    except parties.Failed as problem:
        assert says in str(problem), problem
    else:
        raise AssertionError(f"no failure: {says}")


def test_photos_to_calibrate_with_are_others():
    assert pictures.evenly(list(range(10)), 4) == [0, 2, 5, 7] and pictures.evenly([1, 2], 4) == [1, 2]
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(2 * fidelity.LEAST_PHOTOS):
            os.makedirs(os.path.join(scratch, str(i)))
            with open(os.path.join(scratch, str(i), "a.jpg"), "wb"):
                pass
        apart, measured = fidelity.split(scratch, None)
        assert len(apart) == len(measured) == fidelity.LEAST_PHOTOS and not set(apart) & set(measured)
        fails(f"{2 * fidelity.LEAST_PHOTOS} photos of --calibration-photos", fidelity.split, scratch, scratch)
        with tempfile.TemporaryDirectory() as others:
            for i in range(fidelity.LEAST_PHOTOS):
                shutil.copy(apart[0], os.path.join(others, f"{i}.jpg"))
            assert fidelity.split(scratch, others) == (pictures.jpegs_below(others), pictures.jpegs_below(scratch))
            os.symlink(apart[0], os.path.join(others, "a.jpg"))
            fails("1 photos of --calibration-photos", fidelity.split, scratch, others)
        shutil.rmtree(os.path.join(scratch, "0"))
        fails(str(fidelity.LEAST_PHOTOS), fidelity.split, scratch, None)


def test_fidelity():
    try:
        import numpy
    except ImportError:
        return "python3-numpy is not installed"
    exact = numpy.array([[4.0, 0, -4], [1, 3, 2]])
    assert fidelity.row("x", exact, 1.1 * exact + [[7], [-2]]) == "| x | 20.0 dB | 100.0 % |\n"
    other = numpy.array([[4.0, 0, -4], [3, 1, 2]])
    assert fidelity.row("x", exact, other).endswith(" | 50.0 % |\n")
    return None


def test_pixels_for_the_peer():
    try:
        import numpy
    except ImportError:
        return "python3-numpy is not installed"
    recipe = types.SimpleNamespace(size=32, short=32, filter="bilinear", crop_mode="center")
    squashing = types.SimpleNamespace(**{**vars(recipe), "crop_mode": "squash"})
    program = types.SimpleNamespace(image_cli=parties.Program(service.harness.BUILD).image_cli)
    missing = types.SimpleNamespace(image_cli="/nonexistent/image_cli")
    photo = os.path.join(parties.TOP, "tests/data/pictures/mare.jpg")
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "pixels.npy")
        fails("crop_mode squash", fidelity.pixels, program, squashing, [photo], out)
        fails("/nonexistent/image_cli is not built", fidelity.pixels, missing, recipe, [photo], out)
        if not os.access(program.image_cli, os.X_OK):
            return "tests/image/image_cli is not built"
        fails("a photo cannot be decoded", fidelity.pixels, program, recipe, [SCRIPT], out)
        found = numpy.load(fidelity.pixels(program, recipe, [photo, photo], out))
        assert found.shape == (2, 32, 32, 3) and found.std() > 10, found.shape
    return None


def test_usage():
    code, _, complaints = bench("--quick", "--parts", "start,fidelity")
    assert code == 2 and "fidelity is of a learned network" in complaints, complaints
    code, _, complaints = bench("--parts", "nothing")
    assert code == 2 and "inference, fidelity, http, pictures, start" in complaints, complaints


def main():
    tests = [(name, function) for name, function in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, function) in enumerate(tests, 1):
        title, skip = name[5:].replace("_", " "), None
        try:
            skip = function()
            print(f"ok {number} - {title}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except (AssertionError, parties.Failed, LookupError):
            failed += 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print(f"not ok {number} - {title}", flush=True)
    return 1 if failed else 0


sys.exit(main())
