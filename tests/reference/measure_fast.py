#!/usr/bin/python3
"""What decode = fast costs: pixels and answers of a folder of JPEGs, decoded fast and exactly.

usage: measure_fast.py MODEL FOLDER

Prints how far the preprocessed pixels are apart, how far the embeddings, and how many pictures keep their
top class. Needs a build (top_builddir) and Debian's python3-numpy and python3-pil."""
import glob
import http.client
import json
import os
import subprocess
import sys
import time

try:
    import numpy as np
    import PIL  # which compare_pixels needs
except ImportError as missing:
    sys.exit(f"measure_fast.py: {missing}: apt-get install python3-numpy python3-pil")
import compare_pixels

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../integration"))
from harness import free_port

DAEMON = os.path.join(os.environ.get("top_builddir", "."), "resnextd")


def answers(model, paths, decode):
    """(top class, embedding) of each file, from the daemon."""
    address = free_port()
    daemon = subprocess.Popen([DAEMON, "--model", model, "--listen", "%s:%d" % address, "--decode", decode,
                               "--precision", "f32", "--log-level", "error"])
    try:
        return [ask(address, path) for path in paths]
    finally:
        daemon.terminate()
        daemon.wait()


def ask(address, path):
    with open(path, "rb") as file:
        data = file.read()
    classified = call(address, "/classify?top_k=1", data)["predictions"][0]["class_id"]
    return classified, np.array(call(address, "/embed", data)["embedding"])


def call(address, target, data, tries=100):
    try:
        connection = http.client.HTTPConnection(*address)
        connection.request("POST", target, data)
        answer = json.loads(connection.getresponse().read())
        if "error" in answer:
            sys.exit(f"measure_fast.py: {target}: {answer['error']['message']}")
        return answer
    except ConnectionRefusedError:  # it starts
        if tries == 0:
            sys.exit("measure_fast.py: the daemon does not start; it says why above")
        time.sleep(0.1)
        return call(address, target, data, tries - 1)


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def print_pixels(spec, paths):
    pairs = zip(compare_pixels.ours(paths, spec), compare_pixels.ours(paths, spec, "fast"))
    apart = [np.abs(np.frombuffer(a, np.uint8).astype(int) - np.frombuffer(b, np.uint8)) for a, b in pairs]
    print(f"pixels, of 255: {np.mean([d.mean() for d in apart]):.2f} apart on average, "
          f"{np.mean([np.percentile(d, 99) for d in apart]):.1f} at the 99th percentile")


def main(model, folder):
    for program in (compare_pixels.CLI, DAEMON):
        if not os.path.exists(program):
            sys.exit(f"measure_fast.py: {program} is missing: make -C build all tests/image/image_cli, "
                     "and top_builddir=build before this command")
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*.jpg")))
    if not paths:
        sys.exit(f"measure_fast.py: there is no *.jpg in {folder}")
    print_pixels((224, 256, "bilinear", "center", "ignore"), paths)
    exact, fast = answers(model, paths, "exact"), answers(model, paths, "fast")
    same = sum(a[0] == b[0] for a, b in zip(exact, fast))
    least = min(cosine(a[1], b[1]) for a, b in zip(exact, fast))
    print(f"{same} of {len(paths)} pictures keep their top class; cosine of the embeddings at least {least:.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
