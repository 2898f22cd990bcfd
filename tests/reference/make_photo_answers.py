#!/usr/bin/python3
"""Writes what PyTorch answers for the photos of tests/data/photos: answers.json there.

usage: make_photo_answers.py [FOLDER]

FOLDER is the model, by default the one that ./bootstrap imagenet makes.
Needs Debian's python3-torch, python3-pil and python3-numpy.
"""
import json
import os
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
PHOTOS = os.path.join(TOP, 'tests', 'data', 'photos')

try:
    import reference
except ImportError as missing:
    sys.exit(f'make_photo_answers.py: {missing}: apt-get install python3-torch python3-pil '
             'python3-numpy')


def answer(model, labels, name):
    scores = model.logits(os.path.join(PHOTOS, name)).softmax(0)
    best = int(scores.argmax())
    return {'class_id': best, 'label': labels[best], 'score': round(float(scores[best]), 6)}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__.strip())
    model = reference.Model(sys.argv[1] if len(sys.argv) > 1 else
                            os.path.join(TOP, 'models', 'resnet50-imagenet'))
    with open(os.path.join(TOP, 'models', 'labels', 'imagenet-1k.txt'), encoding='utf-8') as file:
        labels = file.read().splitlines()
    answers = {name: answer(model, labels, name) for name in sorted(os.listdir(PHOTOS))
               if name.endswith('.jpg')}
    with open(os.path.join(PHOTOS, 'answers.json'), 'w', encoding='utf-8') as file:
        json.dump(answers, file, indent=1)
        file.write('\n')


if __name__ == '__main__':
    main()
