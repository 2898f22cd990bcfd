#!/usr/bin/python3 -B
"""models/check_answers.py tells right answers from wrong ones, with the small model."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get('top_srcdir', '.'))
BUILD = os.path.abspath(os.environ.get('top_builddir', 'build'))
sys.path.insert(0, os.path.join(TOP, 'tests'))
from tap import Tap, skip_all

TOOL = os.path.join(BUILD, 'resnext')
MODEL = os.path.join(TOP, 'models', 'resnext29-cifar10')
RIGHT = {'class_id': 7, 'label': 'horse', 'score': 0.995088}  # PyTorch of mare.jpg


def run(folder, model=MODEL, photo='mare.jpg', **changes):
    """(exit code, what it says) with these answers."""
    path = os.path.join(folder, 'answers.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({photo: {**RIGHT, **changes}}, file)
    done = subprocess.run([sys.executable, '-B', os.path.join(TOP, 'models', 'check_answers.py'), model, path, TOOL],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def main():
    if not os.path.exists(TOOL):
        skip_all('resnext is not built')
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(TOP, 'tests', 'data', 'pictures', 'mare.jpg'), folder)
        code, text = run(folder)
        tap.ok(code == 0 and 'mare.jpg in f32: horse, 0.9951\n' in text and 'in int8: horse' in text,
               'right answers in float32 and int8')
        code, text = run(folder, class_id=6, label='frog')
        tap.ok(code == 1 and text.count('WRONG, PyTorch says frog') == 2, 'another class is wrong in both')
        code, text = run(folder, label='colt')
        tap.ok(code == 1 and text.count('WRONG, PyTorch says colt') == 2, 'so is another label of the class')
        code, text = run(folder, score=0.9935)
        tap.ok(code == 1 and text.count('WRONG') == 1, 'another score is wrong in float32')
        tap.ok(run(folder, photo='absent.jpg')[0] == 1, 'a photo that is not there is a failure')
        tap.ok(run(folder, model=folder)[0] == 1, 'so is a model that is not there')
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
