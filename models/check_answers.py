#!/usr/bin/python3
"""Classifies photos with a model and compares the answers with those of PyTorch.

usage: check_answers.py MODEL ANSWERS.json RESNEXT

ANSWERS.json, as tests/reference/make_photo_answers.py writes it, lies beside the photos. RESNEXT is
the tool. Class and label have to be the same, in float32 also the score. Prints a line for each photo;
the exit code is 1 if an answer is wrong.
"""
import json
import os
import subprocess
import sys

TOLERANCE = {'f32': 1e-3, 'int8': 1.0}  # of the score


def classify(tool, model, photos, precision):
    """{photo: its first prediction}."""
    done = subprocess.run([tool, 'classify', model, *photos, '--json', '--precision', precision],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit('check_answers.py: resnext classify failed')
    answers = map(json.loads, done.stdout.splitlines())
    return {answer['file']: answer['predictions'][0] for answer in answers}


def is_right(found, wanted, tolerance):
    return all(found[key] == wanted[key] for key in ('class_id', 'label')) and \
        abs(found['score'] - wanted['score']) <= tolerance


def compare(precision, name, found, wanted):
    right = is_right(found, wanted, TOLERANCE[precision])
    line = f'{name} in {precision}: {found["label"]}, {found["score"]:.4f}'
    if not right:
        line += f'; WRONG, PyTorch says {wanted["label"]}, {wanted["score"]:.4f}'
    print(line, flush=True)
    return right


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    model, path, tool = sys.argv[1:]
    with open(path, encoding='utf-8') as file:
        answers = json.load(file)
    photos = {os.path.join(os.path.dirname(path), name): wanted for name, wanted in answers.items()}
    right = bool(photos)
    for precision in TOLERANCE:
        found = classify(tool, model, photos, precision)
        for photo, wanted in photos.items():
            right &= compare(precision, os.path.basename(photo), found[photo], wanted)
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
