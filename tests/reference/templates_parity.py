#!/usr/bin/python3
"""Every named template, and one of each variant, from `resnext init` to logits, held against PyTorch
on the same weights.

usage: templates_parity.py [--all]

Without --all only the templates of at most 45 million parameters. Each model is made, compared and
removed before the next; the largest takes 2 GB of disk and 8 GB of memory, and is skipped where
there is less. Needs Debian's python3-torch, python3-pil and python3-numpy; skips without them.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('top_srcdir', '.')
TOOL = os.path.join(os.environ.get('top_builddir', '.'), 'resnext')
sys.path.insert(0, os.path.join(SOURCE, 'tests'))
from tap import Tap, or_skip, skip_all

with or_skip():
    import numpy as np
    import torch
    import reference

# One of each variant; timm_parity.py has all names.
VARIANTS = ['resnet50c', 'resnet18d', 'resnet26t', 'resnetrs50', 'resnetaa50', 'resnetblur18',
            'seresnet18', 'seresnext26d_32x4d', 'ecaresnet26t', 'ecaresnetlight', 'senet154',
            'legacy_seresnet18', 'legacy_seresnet50', 'seresnextaa101d_32x8d',
            'blocks=1,1:C=1:d=64:attn=ese', 'blocks=1,1:C=4:d=16:stride=1x1']
PICTURE = os.path.join(SOURCE, 'tests', 'data', 'pictures', 'flowers_422.jpg')
TOLERANCE = 1e-4  # of the largest logit; PyTorch itself is off by up to 1e-5 from its own float64
SMALL = 45e6      # parameters
FLOAT_BYTES = 4
# In memory at once: the file, its tensors in the network, and some space.
COPIES = 4
LEAST_DEVIATION, MOST_DEVIATION = 0.25, 3  # of a block's output


def run(*arguments):
    return subprocess.run([TOOL, *arguments], stdout=subprocess.PIPE, check=True).stdout


def known_names():
    """What the tool says when it does not know a name."""
    done = subprocess.run([TOOL, 'info', 'unknown'], stderr=subprocess.PIPE, text=True, check=False)
    return done.stderr.split('known are ')[1].split(';')[0].strip().split(', ')


def parameters(name):
    return json.loads(run('info', '--json', name))['parameters']


def free_bytes(field):
    with open('/proc/meminfo', encoding='ascii') as file:
        lines = dict(line.split(':') for line in file)
    return int(lines[field].split()[0]) * 1024


def lacks(folder, count):
    """What this machine has too little of for so many parameters, or None."""
    if shutil.disk_usage(folder).free < 1.2 * FLOAT_BYTES * count:
        return 'disk'
    if free_bytes('MemAvailable') < COPIES * FLOAT_BYTES * count:
        return 'memory'
    return None


def watch_blocks(network):
    """A list that a forward pass fills with the standard deviation of each block's output."""
    deviations = []
    for module in network.modules():
        if isinstance(module, reference.Unit):
            module.register_forward_hook(lambda _, __, y: deviations.append(float(y.std())))
    return deviations


def compare(name, folder):
    """Problems in words, and a line of figures."""
    run('init', '--seed', '7', name, folder)
    answer = json.loads(run('classify', '--json', '--logits', folder, PICTURE))
    model = reference.Model(folder)
    deviations = watch_blocks(model.network)
    expected = model.logits(PICTURE).numpy()
    logits = np.array(answer['logits'])
    problems = []
    if logits.shape != expected.shape:
        return [f'{logits.size} logits, not {expected.size}'], ''
    off = float(np.abs(logits - expected).max() / np.abs(expected).max())
    if not off <= TOLERANCE:
        problems.append(f'off by {off:.1e} of the largest logit')
    if answer['predictions'][0]['class_id'] != int(expected.argmax()):
        problems.append('another top class')
    if min(deviations) < LEAST_DEVIATION or max(deviations) > MOST_DEVIATION:
        problems.append('activations vanish or explode')
    return problems, (f'off by {off:.1e} of the largest logit; activations {min(deviations):.2f} '
                      f'to {max(deviations):.2f}')


def main():
    if sys.argv[1:] not in ([], ['--all']):
        sys.exit(__doc__.strip())
    if not os.access(TOOL, os.X_OK):
        skip_all('the tool is not built')
    torch.set_num_threads(1)
    sizes = {name: parameters(name) for name in known_names() + VARIANTS}
    chosen = [name for name, count in sizes.items() if sys.argv[1:] or count <= SMALL]
    tap = Tap()
    for name in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            too_little = lacks(scratch, sizes[name])
            if too_little:
                tap.skip(name, f'too little {too_little}')
                continue
            problems, figures = compare(name, os.path.join(scratch, 'model'))
        tap.check(problems, f'{name}: {figures}')
    return tap.end()


sys.exit(main())
