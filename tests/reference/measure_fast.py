#!/usr/bin/python3
"""What decode = fast costs: pixels and answers of the JPEGs below a folder, decoded fast and exactly.

usage: measure_fast.py MODEL FOLDER

Prints how many pictures get other pixels and how far these are apart; of those pictures, how many keep
their top class, and how far the embeddings are apart. If file or folder names tell the class (a synset as
in n02123045_cat.jpg, or a label of the model as a folder), also the accuracy of both ways, of all
pictures whose class is known. Needs a build (top_builddir) and Debian's python3-numpy and python3-pil."""
import glob
import http.client
import json
import os
import re
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
SYNSETS = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                       "../../models/labels/imagenet-1k-synsets.txt")


def answers(model, paths, decode):
    """Path -> (top class, embedding), from the daemon."""
    address = free_port()
    daemon = subprocess.Popen([DAEMON, "--model", model, "--listen", "%s:%d" % address, "--decode", decode,
                               "--precision", "f32", "--log-level", "error"])
    try:
        return {path: ask(address, path) for path in paths}
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


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def class_names(model):
    """Label, and synset if it knows the thousand classes of ImageNet -> class id."""
    labels, synsets = lines(os.path.join(model, "labels.txt")), lines(SYNSETS)
    names = {label: i for i, label in enumerate(labels)}
    return names | ({synset: i for i, synset in enumerate(synsets)} if len(labels) == len(synsets) else {})


def class_of(path, names):
    """The class id that a path tells, or None."""
    folder = os.path.basename(os.path.dirname(path))
    synset = re.match(r"n\d{8}", os.path.basename(path))
    return names.get(synset[0] if synset else None, names.get(folder))


def find_different(model, paths):
    """Those that get other pixels; prints how far these are apart."""
    spec = compare_pixels.model_spec(model)
    apart = {path: np.abs(np.frombuffer(a, np.uint8).astype(np.int16) - np.frombuffer(b, np.uint8)) for path, a, b
             in zip(paths, compare_pixels.ours(paths, spec), compare_pixels.ours(paths, spec, "fast"))}
    apart = {path: pixels for path, pixels in apart.items() if pixels.any()}
    print(f"{len(apart)} of {len(paths)} pictures get other pixels", end="")
    if apart:
        print(f": of 255, {np.mean([d.mean() for d in apart.values()]):.2f} apart on average, "
              f"{np.mean([np.percentile(d, 99) for d in apart.values()]):.1f} at the 99th percentile", end="")
    print(flush=True)
    return list(apart)


def compare_answers(exact, fast):
    same = sum(exact[path][0] == fast[path][0] for path in fast)
    least = min(cosine(exact[path][1], fast[path][1]) for path in fast)
    print(f"{same} of {len(fast)} pictures with other pixels keep their top class; "
          f"cosine of the embeddings at least {least:.4f}")


def compare_accuracy(exact, fast, truths):
    """A picture that gets the same pixels gets the same answer."""
    right = [sum(found.get(path, exact[path])[0] == truth for path, truth in truths.items())
             for found in (exact, fast)]
    print(f"top-1 accuracy of the {len(truths)} pictures whose class is known: "
          f"exact {right[0] / len(truths):.1%}, fast {right[1] / len(truths):.1%}")


def main(model, folder):
    for program in (compare_pixels.CLI, DAEMON):
        if not os.path.exists(program):
            sys.exit(f"measure_fast.py: {program} is missing: make -C build all tests/image/image_cli, "
                     "and top_builddir=build before this command")
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "**/*.jpg"), recursive=True))
    if not paths:
        sys.exit(f"measure_fast.py: there is no *.jpg in {folder}")
    names = class_names(model)
    truths = {path: class_of(path, names) for path in paths}
    truths = {path: truth for path, truth in truths.items() if truth is not None}
    different = find_different(model, paths)
    exact = answers(model, sorted({*different, *truths}), "exact")
    fast = answers(model, different, "fast")
    if fast:
        compare_answers(exact, fast)
    if truths:
        compare_accuracy(exact, fast, truths)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
