#!/usr/bin/python3 -B
"""The Containerfile: who runs in the image, and what stays out of it. tests/deb/test_deb.sh makes one."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
from tap import Tap


def text_of(name):
    with open(os.path.join(os.environ["top_srcdir"], name), encoding="utf-8") as file:
        return file.read()


def main():
    tap, text = Tap(), text_of("Containerfile")
    user = re.findall(r"^USER (\d+):\d+$", text, re.M)
    tap.ok(len(user) == 1 and int(user[0]) > 0, "the image runs as nobody's root")
    named = re.findall(r"apt-get (?:-\S+ )*install((?: [^ &\\]+)*)", text)
    tap.ok([word for words in named for word in words.split() if word[0] not in "-/"] == [],
           "what the build needs is named in debian/control alone")
    # Docker reads this name only; buildah and podman know it as well.
    tap.ok("build*" in text_of(".dockerignore").splitlines(), "what was built outside stays outside")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
