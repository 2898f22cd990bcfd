#!/usr/bin/python3
"""Every network of timm's resnet and senet modules, saved as timm saves it and served as it is: the
logits are those of timm's own pipeline, and of reference.py.

usage: timm_parity.py [--all] [--precision f32|bf16|int8] [--reference] [NAME ...]

A NAME is a part of the names of the networks to compare. The weights are random, with the
statistics of the drawn pictures, which also calibrate int8. --reference compares
reference.py only, without the tool. Without --all only the networks of at most 45 million
parameters. Needs timm 1.0, for example of a virtual environment whose Python runs this:

    python3 -m venv other && other/bin/pip install timm pillow==13.0.0
    top_builddir=build other/bin/python tests/reference/timm_parity.py

Skips without timm.
"""
import argparse
import functools
import glob
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('top_srcdir', '.')
TOOL = os.path.join(os.environ.get('top_builddir', '.'), 'resnext')
sys.path.insert(0, os.path.join(SOURCE, 'tests'))
from tap import Tap, or_skip, skip_all

with or_skip():
    import timm
    import torch
    from PIL import Image
    import reference

PICTURES = os.path.join(SOURCE, 'tests', 'data', 'pictures')
PICTURE = os.path.join(PICTURES, 'flowers_422.jpg')
MODULES = ('resnet', 'senet')
# Of the largest logit; PyTorch itself is off by up to 2e-5 from its own float64.
# Weights that learned nothing magnify rounding: resnext50_32x4d is off by 7e-2 in bf16, by 0.15 in int8.
TOLERANCES = {'f32': 1e-4, 'bf16': 0.1, 'int8': 0.2}
SMALL = 45e6  # parameters
EDGE = 128  # of the pictures that give the statistics
# Group norm needs statistics of each picture, and so cannot be folded into a convolution.
REFUSED = ('resnet50_gn',)
HARD_SIGMOID = 'seresnet18 with hard sigmoids'
# Odd maps, and what no name of timm's says.
EXTRA = {f'{name} at {edge}': dict(model_name=name,
                                   pretrained_cfg_overlay={'input_size': (3, edge, edge)})
         for name, edge in (('resnet50d', 225), ('resnetaa50', 225), ('resnetblur18', 225),
                            ('seresnet18', 161), ('legacy_seresnext26_32x4d', 161))}
EXTRA.update({
    'resnet18 with ese': dict(model_name='resnet18', block_args={'attn_layer': 'ese'}),
    HARD_SIGMOID: dict(model_name='seresnet18'),
    'resnet14t with a convolution for the pool': dict(model_name='resnet14t',
                                                      replace_stem_pool=True)})


@functools.lru_cache
def drawn_pictures():
    transform = timm.data.create_transform((3, EDGE, EDGE), crop_mode='squash')
    images = [Image.open(path).convert('RGB') for path in sorted(glob.glob(f'{PICTURES}/*.jpg'))]
    return torch.stack([transform(image) for image in images])


@torch.no_grad()
def trained_looking(name, arguments):
    """Statistics of the drawn pictures; scales, shifts and gates that matter."""
    torch.manual_seed(len(arguments['model_name']))
    network = timm.create_model(**arguments)
    for module in network.modules():
        if isinstance(module, timm.layers.SEModule) and name == HARD_SIGMOID:
            module.gate = torch.nn.Hardsigmoid()
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None
    network.train()(drawn_pictures())
    return network.eval()


@torch.no_grad()
def expected_logits(network):
    wants = timm.data.resolve_data_config({}, model=network)
    with Image.open(PICTURE) as image:
        return network(timm.data.create_transform(**wants)(image.convert('RGB'))[None])[0]


def run(*arguments):
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{arguments[0]}: {done.stderr.strip()}')
    return done.stdout


def served_logits(folder, precision):
    if precision == 'int8':
        run('calibrate', folder, PICTURES)
    answer = run('classify', '--json', '--logits', '--precision', precision, folder, PICTURE)
    return torch.tensor(json.loads(answer)['logits'])


def off(logits, expected):
    """As a share of the largest logit."""
    if logits.shape != expected.shape:
        return float('inf')
    return float((logits - expected).abs().max() / expected.abs().max())


def save(network, name, folder):
    config = {'gate_layer': 'hard_sigmoid'} if name == HARD_SIGMOID else None
    timm.models.save_for_hf(network, folder, model_config=config, safe_serialization=True)


def compare(name, network, folder, options):
    """Problems in words, and a line of figures."""
    save(network, name, folder)
    expected = expected_logits(network)
    distances = {}
    if options.precision == 'f32':
        distances['reference.py'] = off(reference.Model(folder).logits(PICTURE), expected)
    if not options.reference:
        try:
            distances['resnext'] = off(served_logits(folder, options.precision), expected)
        except RuntimeError as error:
            return [str(error)], 'not served'
    problems = [f'{who} is off by {distance:.1e}' for who, distance in distances.items()
                if not distance <= TOLERANCES[options.precision]]
    return problems, ', '.join(f'{who} off by {distance:.1e}'
                               for who, distance in distances.items())


def is_refused(name, network, folder):
    save(network, name, folder)
    try:
        run('verify', folder)
    except RuntimeError:
        return True
    return False


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--precision', choices=TOLERANCES, default='f32')
    parser.add_argument('--reference', action='store_true')
    parser.add_argument('names', nargs='*')
    return parser.parse_args()


def chosen(options):
    """{name: arguments of timm.create_model}"""
    names = {name: dict(model_name=name)
             for module in MODULES for name in timm.list_models(module=module)}
    return {name: arguments for name, arguments in (names | EXTRA).items()
            if not options.names or any(part in name for part in options.names)}


def main():
    options = parse()
    if not options.reference and not os.access(TOOL, os.X_OK):
        skip_all('the tool is not built')
    torch.set_num_threads(1)
    tap = Tap()
    for name, arguments in chosen(options).items():
        with torch.device('meta'):
            size = sum(p.numel() for p in timm.create_model(**arguments).parameters())
        if size > SMALL and not options.all:
            continue
        network = trained_looking(name, arguments)
        with tempfile.TemporaryDirectory() as folder:
            if name not in REFUSED:
                problems, figures = compare(name, network, folder, options)
                tap.check(problems, f'{name}: {figures}')
            elif not options.reference:
                tap.ok(is_refused(name, network, folder), f'{name} is refused')
    return tap.end()


sys.exit(main())
