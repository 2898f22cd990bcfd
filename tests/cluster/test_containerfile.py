#!/usr/bin/python3 -B
"""The Containerfile installs what the programs are linked with, and nothing else."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
from tap import Tap, skip_all

TOP, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
IN_EVERY_IMAGE = {"libc6", "libgcc-s1"}
OF_TEST_BUILDS = {"libasan8", "libubsan1", "libtsan2"}


def needed(program):
    """Packages of the libraries that a program names itself, as Debian calls them."""
    headers = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^\s+NEEDED\s+(\S+)$", headers, re.M)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    packages = set()
    for name in names:
        path = re.search(rf"^\s+{re.escape(name)} => (\S+)", linked, re.M)
        if path:
            packages.add(owner(os.path.realpath(path[1])))
    return packages


def owner(path):
    for candidate in (path, path.removeprefix("/usr")):
        done = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise AssertionError(f"no package has {path}")


def text_of(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def main():
    if not os.path.exists("/usr/bin/dpkg") or not os.path.exists("/usr/bin/objdump"):
        skip_all("this needs dpkg and objdump")
    tap, text = Tap(), text_of("Containerfile")
    listed = set(re.search(r"--no-install-recommends((?: |\\\n|[a-z0-9.+-])+) && ", text)[1]
                 .replace("\\\n", " ").split())
    wanted = {package for name in ("resnextd", "resnext") for package in needed(os.path.join(BUILD, name))}
    wanted -= IN_EVERY_IMAGE | OF_TEST_BUILDS
    tap.check([f"missing: {package}" for package in sorted(wanted - listed)]
              + [f"needless: {package}" for package in sorted(listed - wanted)],
              "the image has the libraries that the programs need")
    user = re.findall(r"^USER (\d+):\d+$", text, re.M)
    tap.ok(len(user) == 1 and int(user[0]) > 0, "the image runs as nobody's root")
    # Docker reads this name only; buildah and podman know it as well.
    tap.ok("build*" in text_of(".dockerignore").splitlines(), "what was built outside stays outside")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
