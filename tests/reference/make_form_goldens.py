#!/usr/bin/python3 -B
"""Writes tests/data/forms.json: the logits PyTorch gives with the default model for each coding and shape
of tests/integration/jpegs.py, as Pillow reads it; null where Pillow cannot.

usage: make_form_goldens.py [FILE]

Needs Debian's python3-torch, python3-pil and python3-numpy.
"""
import hashlib
import io
import json
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'integration'))

import jpegs
import make_goldens
import reference

MODEL = os.path.join(HERE, '..', '..', 'models', 'resnext29-cifar10')
DEFAULT_FILE = os.path.join(HERE, '..', 'data', 'forms.json')


def logits(model, data):
    try:
        return [round(float(v), 6) for v in model.logits(io.BytesIO(data))]
    except OSError:
        return None


def rows():
    """One row a form."""
    model = reference.Model(MODEL)
    for name, data in jpegs.forms().items():
        yield {'form': name, 'sha256': hashlib.sha256(data).hexdigest(), 'logits': logits(model, data)}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__.strip())
    torch.set_num_threads(1)
    lines = ',\n'.join(json.dumps(row) for row in rows())
    with open(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FILE, 'w', encoding='utf-8') as file:
        file.write(json.dumps(make_goldens.versions())[:-1] + ', "rows": [\n' + lines + '\n]}\n')


if __name__ == '__main__':
    main()
