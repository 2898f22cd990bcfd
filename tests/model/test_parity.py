#!/usr/bin/python3
"""Logits equal PyTorch's, for networks of every form that is served and every type of weights.

The input is made-up numbers, so that nothing but the network is compared. Needs Debian's
python3-torch, python3-pil and python3-numpy; skips without them.
"""
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('top_srcdir', '.')
BUILD = os.environ.get('top_builddir', '.')
sys.path[:0] = [os.path.join(SOURCE, 'tests'), os.path.join(SOURCE, 'tests', 'reference')]
from tap import Tap, or_skip

with or_skip():
    import numpy as np
    import torch
    import reference

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TOLERANCE = 2e-5  # of the largest logit
PICTURES = 2
BASIC, BOTTLENECK = reference.basic, reference.bottleneck

# name: type, input size, arguments of reference.build: stem kernel, stem channels, kind of block,
# blocks, widths, outputs, groups, classes
MADE = {
    'two_stages_C3': ('float32', 33, (3, 12, BOTTLENECK, (2, 1), (24, 48), (40, 80), 3, 7)),
    'first_stage_without_projection': (
        'float32', 32, (3, 16, BOTTLENECK, (2, 1), (8, 16), (16, 32), 2, 3)),
    'C1_odd_input': ('float32', 97, (7, 20, BOTTLENECK, (1, 2, 1), (10, 20, 40),
                                     (30, 60, 120), 1, 11)),
    'eight_stages': ('float32', 64, (3, 8, BOTTLENECK, (1,) * 8, (8,) * 8, (12,) * 8, 4, 2)),
    'one_stage_one_class': ('float32', 8, (3, 8, BOTTLENECK, (1,), (8,), (8,), 2, 1)),
    'one_path_a_channel': ('float32', 24, (3, 16, BOTTLENECK, (1, 1), (32, 64), (32, 64), 32, 5)),
    'basic_half': ('float16', 70, (7, 16, BASIC, (2, 1, 1), (16, 32, 64), (16, 32, 64), 1, 10)),
    'basic_cifar_brain': ('bfloat16', 32, (3, 16, BASIC, (3, 3, 3), (16, 32, 64), (16, 32, 64),
                                           1, 10)),
    'wide_half': ('float16', 64, (7, 16, BOTTLENECK, (1, 1), (64, 128), (32, 64), 1, 6)),
    'resnext50_stages_brain': ('bfloat16', 64, (7, 64, BOTTLENECK, (1, 1, 1, 1),
                                                (128, 256, 512, 1024), (256, 512, 1024, 2048),
                                                32, 20)),
}
FOLDERS = ['tests/data/tiny-imagenet-style', 'tests/data/tiny-resnet18-style',
           'models/resnext29-cifar10', '../shared/models/mini-imagenet-random']


@torch.no_grad()
def make(folder, seed, dtype, size, arguments):
    """A folder with a network whose every number matters."""
    torch.manual_seed(seed)
    network = reference.build(*arguments)
    reference.initialise(network)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, -1.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = None
    network.train()(torch.randn(8, 3, size, size))
    tensors = {name: t if t.dtype == torch.int64 else t.to(getattr(torch, dtype))
               for name, t in network.state_dict().items()}
    reference.write_model(folder, tensors, {'pretrained_cfg': {
        'input_size': [3, size, size], 'interpolation': 'bilinear', 'crop_pct': 1.0,
        'crop_mode': 'center', 'mean': MEAN, 'std': STD}})


def expected_logits(folder, inputs):
    tensors = reference.read_safetensors(os.path.join(folder, 'model.safetensors'))
    network = reference.network_from_tensors(tensors)
    with torch.no_grad():
        return network(inputs).numpy()


def input_size(folder):
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        return reference.preprocess_config(json.load(file))['input_size'][1]


def compare(tap, number, name, folder):
    size = input_size(folder)
    torch.manual_seed(number)
    inputs = torch.randn(PICTURES, 3, size, size)
    expected = expected_logits(folder, inputs)
    pixels = np.ascontiguousarray(inputs.permute(0, 2, 3, 1).numpy())
    done = subprocess.run([os.path.join(BUILD, 'tests', 'model', 'forward'), folder],
                          input=pixels.tobytes(), stdout=subprocess.PIPE, check=False)
    logits = np.frombuffer(done.stdout, np.float32)
    if done.returncode != 0 or logits.size != expected.size:
        tap.ok(False, f'{name}: exit code {done.returncode}')
        return
    off = np.abs(logits.reshape(expected.shape) - expected).max() / np.abs(expected).max()
    tap.ok(off <= TOLERANCE, f'{name}: off by {off:.1e} of the largest logit')


def main():
    torch.set_num_threads(1)
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, made) in enumerate(MADE.items(), 1):
            folder = os.path.join(scratch, name)
            make(folder, number, *made)
            compare(tap, number, name, folder)
    for number, name in enumerate(FOLDERS, len(MADE) + 1):
        folder = os.path.join(SOURCE, name)
        if os.path.isdir(folder):
            compare(tap, number, name, folder)
        else:
            tap.skip(name, 'it is absent')
    return tap.end()


sys.exit(main())
