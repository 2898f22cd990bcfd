#!/usr/bin/python3 -B
"""Runs resnext while the system refuses memory, files, reads or threads. The result is exit code 1 and
one line, or the normal output. Nothing is half-written or leaked."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import folders
import harness
import torch_files
from harness import SLOW, case, path
from interposer import KINDS, Interposer, named, sample

SAMPLES = int(os.environ.get("RESNEXT_TEST_FAULTS", "4"))  # of each kind; check-long: all
LONG = SAMPLES > 100
PICTURES = os.path.join(harness.DATA, "pictures")
TINY = os.path.join(harness.DATA, "tiny-resnet18-style")
NOT_THE_SAME = ("images_per_s",)


def run(words, kind="malloc", number=0):
    """(exit code, standard output, lines of standard error except advice, {kind: calls}, whether a call
    failed)"""
    with Interposer(kind, number) as watched:
        done = subprocess.run([harness.TOOL, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=30 * SLOW, env={**os.environ, **watched.environment},
                              preexec_fn=harness.die_with_parent)
        said = [line for line in done.stderr.decode().splitlines() if "pictures are few" not in line]
        calls = {name: watched.calls(name) for name in KINDS}
        with named(f"{kind} {number}, {said}"):
            assert done.returncode in (0, 1), f"exit code {done.returncode}"
            watched.check_end()
        return done.returncode, done.stdout, said, calls, watched.failed(kind)


def comparable(output):
    """Standard output without times."""
    if not output.startswith(b"{"):
        return re.sub(rb"\d+ ms", b"", output)
    return [{k: v for k, v in o.items() if k not in NOT_THE_SAME} for o in objects(output)]


def objects(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]


def tree(folder):
    """{name: bytes} of the files in `folder`."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                found[os.path.relpath(file.name, folder)] = file.read()
    return found


def check_failure(name, output, said):
    """Checks that one problem is reported: a line, or with --json the object of a failed file."""
    problems = said + ["resnext: " + o["error"]["message"] for o in objects(output) if "error" in o]
    assert len(problems) == 1 and problems[0].startswith("resnext: "), f"{name}: {problems}"
    assert len(problems[0]) > len("resnext: ") + 10, f"{name}: {problems}"


def torture(make, folder=None, spares_pictures=False):
    """Fails each call, or a sample of them, of `make()`'s command, which writes into `folder`; if it
    `spares_pictures`, it does so without the picture that it names."""
    words = make()
    before = tree(folder) if folder else None
    code, want, said, calls, _ = run(words)
    assert code == 0 and not said, f"{words}: {code} {said}"
    written = tree(folder) if folder else None
    tries = failures = 0
    for kind in KINDS:
        for number in sample(calls[kind], SAMPLES):
            name = f"{words[0]}, {kind} {number}"
            words = make()
            code, output, said, _, failed = run(words, kind, number)
            tries += 1
            if code == 0:
                assert comparable(output) == comparable(want), f"{name}: {output} {said}"
                assert not folder or tree(folder) == written, f"{name}: {list(tree(folder))}"
            else:
                assert failed, f"{name}: no call failed, and {said}"
                check_failure(name, output, said)
                spared = spares_pictures and ".jpg: " in said[0]
                assert spared or not folder or tree(folder) == before, f"{name}: left {list(tree(folder))}"
                failures += 1
    print(f"# {words[0]}: {tries} tries, {failures} failures", flush=True)
    assert failures > 2, f"{words}: {failures} failures in {tries} tries"


def picture(name):
    return os.path.join(PICTURES, name)


def fresh(name, source=None):
    """An empty folder, or a copy of one."""
    shutil.rmtree(path(name), ignore_errors=True)
    if source:
        shutil.copytree(source, path(name), copy_function=shutil.copyfile)
    else:
        os.mkdir(path(name))
    return path(name)


def labelled():
    """DIR/class/picture, for eval."""
    folder = fresh("labelled")
    for label, name in (("7", "mare.jpg"), ("6", "toad.jpg"), ("8", "freighter.jpg"),
                        ("9", "lorry.jpg"), ("9", "saloon.jpg")):
        os.makedirs(os.path.join(folder, label), exist_ok=True)
        shutil.copyfile(picture(name), os.path.join(folder, label, name))
    return folder


TIME = 900 if LONG else 60


@case(own=None, seconds=TIME)
def calls_that_fail_in_classify():
    pictures = [picture("mare.jpg"), picture("toad.jpg")]
    torture(lambda: ["classify", harness.MODEL, *pictures, "--json", "--threads", "1"])


@case(own=None, seconds=TIME)
def calls_that_fail_in_classify_a_folder_in_two_threads():
    folder = labelled()
    torture(lambda: ["classify", TINY, folder, "--threads", "2"])


@case(own=None, seconds=TIME)
def calls_that_fail_in_eval():
    folder = labelled()
    torture(lambda: ["eval", harness.MODEL, folder, "--json"])


@case(own=None, seconds=TIME)
def calls_that_fail_in_calibrate():
    pictures = labelled()

    def make():
        return ["calibrate", fresh("calibrated", TINY), pictures]
    torture(make, path("calibrated"), spares_pictures=True)


@case(own=None, seconds=TIME)
def calls_that_fail_in_a_cascade():
    """Each picture is computed in both networks."""
    with open(os.path.join(harness.MODEL, folders.CALIBRATION), encoding="utf-8") as file:
        calibration = json.load(file)
    calibration["version"] = 2
    calibration["layers"].pop("avg_pool", None)
    calibration["cascade"] = {"margin": 1e30, "agreement": 0.999, "fraction": 1}
    folder = folders.make("cascade", calibration=calibration)
    torture(lambda: ["classify", "--precision", "int8", folder, picture("mare.jpg"), "--json", "--threads", "1"])
    torture(lambda: ["verify", "--precision", "int8", folder])


@case(own=None, seconds=TIME)
def calls_that_fail_in_explain():
    def make():
        return ["explain", harness.MODEL, picture("mare.jpg"), "--out",
                os.path.join(fresh("explained"), "map.jpg")]
    torture(make, path("explained"))


@case(own=None, seconds=TIME)
def calls_that_fail_in_explain_in_numbers():
    torture(lambda: ["explain", harness.MODEL, picture("mare.jpg"), "--json"])


@case(own=None, seconds=TIME)
def calls_that_fail_in_embed():
    torture(lambda: ["embed", TINY, picture("mare.jpg"), "--json"])


@case(own=None, seconds=TIME)
def calls_that_fail_in_preprocess():
    def make():
        return ["preprocess", TINY, picture("mare.jpg"), "--output",
                os.path.join(fresh("preprocessed"), "out.ppm")]
    torture(make, path("preprocessed"))


@case(own=None, seconds=TIME)
def calls_that_fail_in_init():
    def make():
        return ["init", "blocks=1:C=2:d=4:stem=cifar:stem_width=8",
                os.path.join(fresh("made"), "model")]
    torture(make, path("made"))


@case(own=None, seconds=TIME)
def calls_that_fail_in_import():
    checkpoint = path("checkpoint.pth")

    def make():
        return ["import", "--size", "72", checkpoint, os.path.join(fresh("imported"), "model")]
    for form in (torch_files.new, torch_files.old):
        with open(checkpoint, "wb") as file:
            file.write(form(torch_files.state_dict(*folders.read(TINY))))
        torture(make, path("imported"))


@case(own=None, seconds=TIME)
def calls_that_fail_in_verify_and_info():
    torture(lambda: ["verify", harness.MODEL])
    torture(lambda: ["info", TINY, "--json"])


if __name__ == "__main__":
    harness.main()
