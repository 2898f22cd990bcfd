#!/usr/bin/python3
"""Writes tests/data/goldens.json: the logits PyTorch gives for each test picture with each model.

usage: make_goldens.py [FOLDER]

Run draw_pictures.py and make_models.py first. Needs Debian's python3-torch, python3-pil and
python3-numpy.
"""
import glob
import json
import os
import sys

import numpy
import PIL.features
import torch

import reference

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_FOLDER = os.path.join(HERE, '..', 'data')
DEFAULT_MODEL = os.path.join('..', '..', 'models', 'resnext29-cifar10')
MODELS = [DEFAULT_MODEL, 'tiny-imagenet-style', 'tiny-resnet18-style']


def versions():
    return {'torch': torch.__version__, 'pillow': PIL.__version__, 'numpy': numpy.__version__,
            'libjpeg_turbo': PIL.features.version('libjpeg_turbo')}


def rows(folder):
    """One row a model and picture; paths relative to the folder."""
    pictures = sorted(glob.glob(os.path.join(folder, 'pictures', '*.jpg')))
    for name in MODELS:
        model = reference.Model(os.path.join(folder, name))
        for path in pictures:
            logits = model.logits(path)
            yield {'model': name, 'picture': os.path.relpath(path, folder),
                   'top1': int(logits.argmax()), 'label': model.labels[int(logits.argmax())],
                   'logits': [round(float(v), 6) for v in logits]}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__.strip())
    folder = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FOLDER
    torch.set_num_threads(1)
    lines = ',\n'.join(json.dumps(row) for row in rows(folder))
    with open(os.path.join(folder, 'goldens.json'), 'w', encoding='utf-8') as file:
        file.write(json.dumps(versions())[:-1] + ', "rows": [\n' + lines + '\n]}\n')


if __name__ == '__main__':
    main()
