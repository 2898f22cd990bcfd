#!/usr/bin/python3 -B
"""Thousands of JPEGs, good and damaged, held against Pillow and PyTorch.

RESNEXT_TEST_PICTURES says how many (150), RESNEXT_TEST_SEED which: file I of seed S is always the
same. Each is decoded by Pillow, prepared for a few specifications and, by PyTorch, classified; our
pixels must be the same to the byte, the scores of the daemon's answer the same within 2e-4. What one
of the two refuses belongs to a class of CLASSES, which says why that is right, or is a disagreement
and fails. Never a 5xx, never a closed connection. A file that fails is kept in the build folder.

Pillow goes on after libjpeg's warnings and does not tell of them. So libjpeg itself is asked, by a
test program that takes down its warnings and stops at none ("image_cli witness")."""
import collections
import functools
import glob
import json
import os
import random
import subprocess
import sys
import time
import traceback
import warnings

SOURCE = os.environ.get("top_srcdir", ".")
sys.path[:0] = [os.path.join(SOURCE, "tests"), os.path.join(SOURCE, "tests/integration")]
import harness
import mutations
from tap import or_skip

with or_skip():
    import torch
    from PIL import Image, ImageDraw, ImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    import compare_pixels
    import reference

PICTURES = int(os.environ.get("RESNEXT_TEST_PICTURES", "150"))  # check-long: 2000
SEED = os.environ.get("RESNEXT_TEST_SEED", "1")
CHUNK = 20
FAULTS_MAX = 40
MAX_PIXELS = 100_000_000  # the default of max_pixels
EXTREME = 20              # long edge / short edge, beyond which Pillow resizes to huge pictures
OTHER_MODEL = os.path.join(harness.SHARED, "models/mini-imagenet-random")
OTHER_EVERY = 10
PHOTOS = sorted(glob.glob(os.path.join(harness.DATA, "pictures/*.jpg"))
                + glob.glob(os.path.join(harness.SHARED, "data/photos/*.jpg")))
CLASSES = {
    "same": "the same pixels, and the same scores where asked",
    "both refuse": "422, or 415 where the file does not start as a JPEG",
    "too large": "422: more than max_pixels; Pillow is not asked to take the memory",
    "too many scans": "422: more than 100 scans, each of which costs a pass over the picture; real "
                      "files have about ten",
    "damaged": "422 where libjpeg warns that coded data are damaged or missing: it fills in what it "
               "guesses, Pillow takes that for the picture, and a class of it would mean nothing",
    "zeros": "422 where the file ends with zeros that libjpeg takes for coded data, as what was cut and "
             "filled up does",
    "reader": "200 where Pillow's own reader of headers, which is not libjpeg's, stops at what does "
              "not touch the pixels; they are compared with those of Pillow's decoder, called "
              "without that reader",
    "behind": "200 where Pillow refuses a picture whose rows it has, for what stands behind the last "
              "one; they are compared with what it has by then",
}
# libjpeg's warnings that leave no doubt about the pixels.
HARMLESS = ("extraneous bytes before marker", "Unknown Adobe color transform", "unknown JFIF revision",
            "Invalid SOS parameters for sequential JPEG", "Inconsistent progression sequence")
# Where libjpeg does not warn, or not of what comes of it.
MISREAD = ("Inconsistent progression sequence", "no scan of one of its components")


# --- the files ---

@functools.lru_cache(maxsize=None)
def photo(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def scribble(rng, size):
    """Text and lines: edges at every distance."""
    image = Image.new("RGB", size, rng.choice(["white", "black", "#204060"]))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        colour = tuple(rng.randbytes(3))
        draw.text((x, y), "The quick brown fox 0123456789", fill=colour)
        draw.line((x, y, rng.randrange(size[0]), rng.randrange(size[1])), fill=colour)
    return image


def drawn(rng, size):
    kind = rng.choice(["photo", "photo", "photo", "noise", "gradient", "text", "flat"])
    if kind == "photo":
        return photo(rng.choice(PHOTOS)).resize(size)
    if kind == "noise":
        return Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
    if kind == "gradient":
        bands = [Image.linear_gradient("L"), Image.radial_gradient("L"),
                 Image.linear_gradient("L").rotate(90)]
        return Image.merge("RGB", rng.sample(bands, 3)).resize(size)
    return scribble(rng, size) if kind == "text" else Image.new("RGB", size, tuple(rng.randbytes(3)))


def edges(rng, damaged):
    kind = rng.random()
    if kind < 0.1:
        return rng.choice([(1, 1), (1, 4000), (4000, 1), (1, 2), (2, 1), (8, 8), (7, 9), (16, 17),
                           (3, 700), (900, 5), (1, 65500), (65500, 1)])
    if kind > 0.985 and not damaged:
        return rng.randint(2000, 4000), rng.randint(2000, 4000)
    longest = 300 if damaged else 1200
    return tuple(int(longest ** rng.random()) + rng.randint(0, 40) for _ in range(2))


def encoded(rng, path, damaged):
    """A file of our own coding, and the words that made it."""
    width, height = edges(rng, damaged)
    words = compare_pixels.generated_sample(rng, compare_pixels.GENERATED)
    words.update(width=width, height=height, restart_blocks=rng.choice([0, 0, 0, 1, 5, 30]))
    if width * height < 10000 and rng.random() < 0.02:
        words.update(scans=3)
    with open(path, "wb") as file:
        file.write(drawn(rng, (width, height)).tobytes())
    words = [*(f"{key}={value}" for key, value in words.items())]
    run = subprocess.run([compare_pixels.CLI, "make", *words, f"picture={path}"], check=True,
                         stdout=subprocess.PIPE)
    return run.stdout, " ".join(words)


class Case:
    """One file: .data, .path, .words (how it was made), and what libjpeg says of it."""

    def __init__(self, index, damaged):
        rng = random.Random(f"{SEED}/{index}/{damaged}")
        self.index, self.damaged = index, damaged
        self.path = harness.path(f"{index}.jpg")
        if rng.random() < 0.08:
            self.words = rng.choice(PHOTOS)
            with open(self.words, "rb") as file:
                self.data = file.read()
        else:
            self.data, self.words = encoded(rng, self.path, damaged)
        self.data = mutations.dressed(rng, self.data)
        if damaged:
            self.data = mutations.damaged(rng, self.data)
        harness.write(f"{index}.jpg", self.data)
        self.image, self.refusal = pillow(self.path)
        self.says = ""

    def __str__(self):
        return f"seed {SEED}, {'damaged ' if self.damaged else ''}file {self.index} ({self.words})"


# --- the reference ---

def pillow(path):
    """(loaded picture, None), or (None, why not)."""
    try:
        image = JpegImageFile(path)
        if image.width * image.height > MAX_PIXELS:
            return None, "too large"
        image.load()
        return image, None
    except Exception as refusal:  # of whatever kind: what counts is that it refuses
        return None, f"{type(refusal).__name__}: {refusal}"


def with_its_rows(path):
    """The picture if Pillow refuses it for what stands behind its rows only, else None. Of one that
    ends early it makes a picture, too, which is not ours then."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return pillow(path)[0]
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def exif_of(data):
    """{"exif": the first EXIF segment}, or {}."""
    found = (data[start + 4:end] for start, end, _ in mutations.of(data, [0xe1]))
    return next(({"exif": body} for body in found if body.startswith(b"Exif\0\0")), {})


def without_reader(data, size):
    """Pillow's decoder alone, told the size; None if it refuses as well."""
    for mode, raw in (("RGB", "RGB"), ("L", "L"), ("CMYK", "CMYK;I")):
        try:
            image = Image.frombytes(mode, size, data, "jpeg", raw, "")
        except (ValueError, OSError):
            continue
        image.info.update(exif_of(data))
        return image
    return None


@torch.no_grad()
def reference_scores(model, pixels):
    size = model.wants["input_size"][1]
    pixels = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(size, size, 3)
    batch = reference.normalise(pixels, model.wants).permute(2, 0, 1)[None]
    return torch.softmax(model.network(batch)[0], 0).tolist()


# --- the comparison ---

def extreme(case):
    return case.image and max(case.image.size) > EXTREME * min(case.image.size)


def classify(connection, case, model, name):
    """The answer: predictions of all classes, or the error."""
    target = f"/classify?model={name}&top_k={len(model.labels)}"
    answer = connection.ask("POST", target, body=case.data)
    if answer.status == 200:
        return answer
    code = harness.check_error(answer, (415, 422))["code"]
    is_jpeg = case.data.startswith(b"\xff\xd8\xff") or case.data == b"\xff\xd8"
    assert code in (("image_undecodable", "image_too_large") if is_jpeg else ("not_jpeg",)), answer
    return code


def check_answers(connection, case, image, models):
    """Scores over HTTP against PyTorch on Pillow's pixels."""
    for name, model in models:
        answer = classify(connection, case, model, name)
        assert not isinstance(answer, str), f"our pixels are there, but {name} says {answer}"
        pixels = compare_pixels.crop_bytes(image, model.spec)
        harness.check_scores(harness.predictions(answer), reference_scores(model, pixels))


def damage_of(case):
    """libjpeg's warnings that speak of damage."""
    return [w for w in case.says.split("; ")[1:] if not any(text in w for text in HARMLESS)]


def refused(case, error):
    """The class of a file that we refuse."""
    if "image_too_large" in error and case.refusal == "too large":
        return "too large", ""
    if case.image is None:
        return "both refuse", ""
    if damage_of(case):
        return "damaged", damage_of(case)[0]
    for text in MISREAD:
        if text in error:
            return "damaged", text
    if "more than 100 scans" in error:
        return "too many scans", ""
    if case.data.endswith(b"\0"):
        return "zeros", ""
    raise AssertionError(f"we refuse: {error}; libjpeg: {case.says}")


def compare(connection, case, ours, models):
    """The class of one file. `ours`: {specification: pixels or error}; raises on a disagreement."""
    errors = [got for got in ours.values() if isinstance(got, str)]
    assert len(errors) in (0, len(ours)), f"some specifications only: {errors}"
    if errors:
        code = classify(connection, case, models[0][1], models[0][0])
        assert isinstance(code, str) and errors[0].startswith(f"error {code} "), (code, errors[0])
        return refused(case, errors[0])
    assert case.says.startswith("decodes") and not damage_of(case), f"we decode: {case.says}"
    image, found = case.image, ("same", "")
    if image is None and (image := with_its_rows(case.path)):
        found = "behind", case.refusal
    if image is None:
        found = "reader", case.refusal
        answer = classify(connection, case, models[0][1], models[0][0])
        size = json.loads(answer.body)["image"]
        image = without_reader(case.data, (size["width"], size["height"]))
        assert image, f"we decode, and Pillow does not: {case.refusal}"
    for spec, got in ours.items():
        fault = compare_pixels.difference(got, compare_pixels.crop_bytes(image, spec))
        assert not fault, f"{spec}: {fault}"
    check_answers(connection, case, image, models)
    return found


def our_pixels(cases, specs_of):
    """For each case {specification: pixels or error}."""
    pixels = compare_pixels.ours_of([(spec, "13", [case.path]) for case, specs in zip(cases, specs_of) for spec in specs])
    return [{spec: next(pixels) for spec in specs} for specs in specs_of]


def load_models():
    """(name, Model with .spec): the default one and, where it is, one that sees 224 x 224."""
    models = []
    for name, folder in ((harness.MODEL_NAME, harness.MODEL), ("other", OTHER_MODEL)):
        if os.path.isdir(folder):
            model = reference.Model(folder)
            model.spec = compare_pixels.model_spec(folder)
            models.append((name, model))
    return models


def run_chunk(connection, cases, models, report):
    """Compares these files; `report` is called with each one's class, or with what is wrong."""
    rng = random.Random(f"{SEED}/{cases[0].index}")
    plain, tiny = (compare_pixels.generated_spec(rng, is_tiny) for is_tiny in (False, True))
    chosen = [models[:1] if extreme(c) or c.index % OTHER_EVERY else models for c in cases]
    specs = [[tiny if extreme(c) else plain, *(model.spec for _, model in chosen[i])]
             for i, c in enumerate(cases)]
    says = subprocess.run([compare_pixels.CLI, "witness", *(c.path for c in cases)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.splitlines()
    for case, ours, its_models, case.says in zip(cases, our_pixels(cases, specs), chosen, says):
        try:
            report(case, compare(connection, case, ours, its_models), None)
        except Exception:
            report(case, None, traceback.format_exc(limit=-2))
        os.unlink(case.path)


def check_variety(classes, count, damaged):
    """The files are worth comparing: most good ones are seen, and damaged ones have every fate."""
    seen = collections.Counter()
    for (name, _), number in classes.items():
        seen[name] += number
    wanted = {"same": 0.15, "both refuse": 0.15, "damaged": 0.02} if damaged else {"same": 0.9}
    for name, share in wanted.items():
        assert seen[name] >= share * count, f"only {seen[name]} of {count} are {name!r}"


def run_all(daemon, count, damaged):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of broken EXIF
    models, classes, faults, start = load_models(), collections.Counter(), [], time.monotonic()

    def report(case, found, fault):
        if found:
            classes[found] += 1
            return
        kept = os.path.join(harness.BUILD, f"differential-{SEED}-{case.index}{'d' * damaged}.jpg")
        with open(kept, "wb") as file:
            file.write(case.data)
        faults.append(f"{case}: {fault}")
        print("# " + faults[-1].replace("\n", "\n# "), flush=True)

    with daemon.connect(60) as connection:
        for first in range(0, count, CHUNK):
            cases = [Case(index, damaged) for index in range(first, min(first + CHUNK, count))]
            run_chunk(connection, cases, models, report)
            assert len(faults) < FAULTS_MAX, "too many disagreements to go on, see above"
    print(f"# seed {SEED}: {count} files in {time.monotonic() - start:.0f} s")
    for (name, detail), number in sorted(classes.items()):
        print(f"# {number:6} {name}{detail and ': ' + detail}")
    for name in {name: None for name, _ in classes}:
        print(f"# {name}: {CLASSES[name]}")
    assert not faults, f"{len(faults)} of {count} files disagree, see above"
    check_variety(classes, count, damaged)


OPTIONS = ["--request-timeout-ms", "60000",
           *(["--model", f"other={OTHER_MODEL}"] if os.path.isdir(OTHER_MODEL) else [])]


@harness.case(OPTIONS, seconds=120 + PICTURES)
def good_files_are_seen_as_pillow_and_pytorch_see_them(daemon):
    run_all(daemon, PICTURES * 2 // 5, False)


@harness.case(OPTIONS, seconds=120 + PICTURES)
def damaged_files_are_refused_or_seen_as_pillow_sees_them(daemon):
    run_all(daemon, PICTURES - PICTURES * 2 // 5, True)


if __name__ == "__main__":
    harness.main()
