#!/usr/bin/python3 -B
"""Scripts that are run by hand say in one line what they lack."""
import os
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
sys.path.insert(0, os.path.join(TOP, "tests"))
from tap import Tap

try:
    import numpy
    import PIL
    MODULES = True
except ImportError:
    MODULES = False


def said(*words, flags=(), build=BUILD):
    """What a script that fails says."""
    script, *rest = words
    done = subprocess.run([sys.executable, "-B", *flags, os.path.join(TOP, script), *rest], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          env={**os.environ, "top_srcdir": TOP, "top_builddir": build})
    return done.stdout if done.returncode else "exit code 0"


def check(tap, what, text, *wanted):
    holds = len(text.splitlines()) == 1 and all(word in text for word in wanted)
    tap.check([] if holds else text.splitlines(), what)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as nothing:
        for words in (["models/train.py", "--out", nothing, nothing], ["models/convert_keras.py", "a", "b"],
                      ["tests/reference/make_photo_answers.py"], ["tests/reference/measure_fast.py", "a", "b"]):
            check(tap, f"{words[0]} without modules", said(*words, flags=["-S"]), "No module named", "apt-get install")
        measure = ["tests/reference/measure_fast.py", "model", nothing]
        if MODULES:
            check(tap, f"{measure[0]} without a build", said(*measure, build=nothing), "image_cli is missing: make")
            if os.path.exists(os.path.join(BUILD, "tests/image/image_cli")):
                check(tap, f"{measure[0]} without pictures", said(*measure), "no *.jpg in " + nothing)
        for script in ("tests/load/table.py", "tests/load/soak.py"):
            check(tap, f"{script} without a build", said(script, build=nothing), "is not built: make")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
