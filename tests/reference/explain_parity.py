#!/usr/bin/python3
"""Class activation maps and embeddings equal PyTorch's, from the JPEG to the last number.

Compared for every model whose goldens are kept, and for one that lies beside the source tree, on the
pictures of the tree and ten photos beside it where they are. A map is the sum over channels of
classifier weight x feature; an embedding is the mean of the features. Needs Debian's python3-torch,
python3-pil and python3-numpy; skips without them.
"""
import glob
import json
import os
import subprocess
import sys

SOURCE = os.environ.get('top_srcdir', '.')
TOOL = os.path.join(os.environ.get('top_builddir', '.'), 'resnext')
sys.path.insert(0, os.path.join(SOURCE, 'tests'))
from tap import Tap, or_skip

with or_skip():
    import numpy as np
    import torch
    import reference

MODELS = ['models/resnext29-cifar10', 'tests/data/tiny-imagenet-style',
          'tests/data/tiny-resnet18-style', '../shared/models/mini-imagenet-random']
TOLERANCE = 1e-4  # of the largest number
PHOTOS = 10


def pictures():
    shared = sorted(glob.glob(os.path.join(SOURCE, '../shared/data/photos/n*.jpg')))[:PHOTOS]
    return sorted(glob.glob(os.path.join(SOURCE, 'tests/data/pictures/*.jpg'))) + shared


def lines_of(*words):
    """The tool's JSON lines."""
    done = subprocess.run([TOOL, *words], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@torch.no_grad()
def features_of(model, path):
    """The last feature map, float32 [channels, rows, cols]."""
    network, kept = model.network, {}
    last = getattr(network, network.stage_names[-1])
    hook = last.register_forward_hook(lambda module, inputs, output: kept.update(it=output[0]))
    network(reference.prepare(path, model.wants))
    hook.remove()
    return kept['it']


def distance(got, want):
    want = want.numpy()
    return np.abs(np.asarray(got, np.float32).reshape(want.shape) - want).max() / np.abs(want).max()


def check_embeddings(folder, files, features):
    got = lines_of('embed', '--precision', 'f32', folder, '--json', *files)
    off = max(distance(line['embedding'], f.mean((1, 2))) for line, f in zip(got, features))
    unit = lines_of('embed', '--precision', 'f32', folder, '--json', '--normalize', *files)
    off_unit = max(distance(line['embedding'], torch.nn.functional.normalize(f.mean((1, 2)), dim=0))
                   for line, f in zip(unit, features))
    raw = subprocess.run([TOOL, 'embed', '--precision', 'f32', folder, *files], stdout=subprocess.PIPE, check=True).stdout
    same = np.array_equal(np.frombuffer(raw, '<f4').reshape(len(files), -1),
                          np.array([line['embedding'] for line in got], np.float32))
    yield len(got) == len(files) and off <= TOLERANCE, f'embeddings are off by {off:.1e}'
    yield off_unit <= TOLERANCE, f'embeddings of length 1 are off by {off_unit:.1e}'
    yield same, 'raw embeddings are those of JSON'


def check_maps(folder, model, files, features):
    weights = model.network.fc.weight.detach()
    worst = 0
    for i, (file, f) in enumerate(zip(files, features)):
        top = int((weights @ f.mean((1, 2)) + model.network.fc.bias.detach()).argmax())
        other = i % len(weights)
        for words, class_id in (((), top), (('--class', str(other)), other)):
            line, = lines_of('explain', '--precision', 'f32', folder, file, '--json', *words)
            assert line['class_id'] == class_id and line['label'] == model.labels[class_id], line
            grid = line['grid']
            assert [grid['rows'], grid['cols']] == list(f.shape[1:]), grid
            worst = max(worst, distance(grid['values'],
                                        torch.einsum('c,chw->hw', weights[class_id], f)))
    yield worst <= TOLERANCE, f'maps are off by {worst:.1e}'


def check_models(tap):
    files = pictures()
    for name in MODELS:
        folder = os.path.join(SOURCE, name)
        if not os.path.isdir(folder):
            tap.skip(name, 'it is absent')
            continue
        model = reference.Model(folder)
        features = [features_of(model, file) for file in files]
        for check in (check_embeddings(folder, files, features),
                      check_maps(folder, model, files, features)):
            for holds, what in check:
                tap.ok(holds, f'{name}, {len(files)} pictures: {what}')


def main():
    torch.set_num_threads(1)
    tap = Tap()
    check_models(tap)
    return tap.end()


sys.exit(main())
