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
VARIANT = reference.Variant

# name: type, input size, arguments of reference.build: stem kernel, stem channels, kind of block,
# blocks, widths, outputs, groups, classes, variant, kernel of shortcuts that halve the map
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
    'deep_stem': ('float32', 64, (7, 16, BASIC, (1, 1), (16, 32), (16, 32), 1, 5,
                                  VARIANT(deep_stem=(8, 8)))),
    'tiered_stem_odd_input': ('float16', 75, (7, 32, BOTTLENECK, (1, 1), (16, 32), (32, 64), 4, 5,
                                              VARIANT(deep_stem=(12, 16)))),
    'convolution_for_the_pool': ('float32', 64, (7, 16, BASIC, (1, 1), (16, 32), (16, 32), 1, 5,
                                                 VARIANT(stem_pool='conv'))),
    'average_in_the_shortcut': ('float32', 66, (7, 16, BOTTLENECK, (1, 1, 1), (16, 32, 64),
                                                (32, 64, 128), 2, 5, VARIANT(down='avg'))),
    'antialias_by_averages': ('float32', 65, (7, 16, BOTTLENECK, (1, 1, 1), (16, 32, 64),
                                              (32, 64, 128), 2, 5, VARIANT(antialias='avg'))),
    'antialias_by_blurs': ('float32', 75, (7, 16, BASIC, (1, 1, 1), (16, 32, 64), (16, 32, 64), 1,
                                           5, VARIANT(antialias='blur', down='avg'))),
    'se_in_bottlenecks': ('float32', 64, (7, 16, BOTTLENECK, (1, 2), (16, 32), (64, 128), 4, 5,
                                          VARIANT(attention='se'))),
    'se_in_basic_blocks': ('float32', 39, (3, 16, BASIC, (1, 2), (16, 24), (16, 24), 1, 5,
                                           VARIANT(attention='se'))),
    'se_with_hard_sigmoids': ('bfloat16', 32, (3, 16, BOTTLENECK, (1, 1), (16, 32), (32, 64), 1, 5,
                                               VARIANT(attention='se', hard_sigmoid=True))),
    'ese': ('float32', 32, (3, 16, BOTTLENECK, (1, 1), (16, 32), (32, 64), 2, 5,
                            VARIANT(attention='ese', hard_sigmoid=True))),
    'eca': ('float32', 32, (3, 16, BOTTLENECK, (1, 1), (16, 64), (64, 256), 2, 5,
                            VARIANT(attention='eca'))),
    'stride_on_the_first_1x1': ('float32', 65, (7, 16, BOTTLENECK, (1, 1, 1), (16, 32, 64),
                                                (32, 64, 128), 1, 5, VARIANT(stride_first=True))),
    'senet': ('float32', 64, (7, 16, BOTTLENECK, (1, 1), [[(8, 16)], [(16, 32)]], (32, 64), 4, 5,
                              VARIANT(attention='se', deep_stem=(8, 8)), 3)),
    'legacy_bottlenecks': ('float32', 67, (7, 16, BOTTLENECK, (1, 1), (16, 32), (32, 64), 1, 5,
                                           VARIANT(attention='se', stem_pool='ceil',
                                                   stride_first=True, relu_first=True))),
    'legacy_basic_blocks': ('float32', 64, (7, 16, BASIC, (1, 2), (16, 32), (16, 32), 1, 5,
                                            VARIANT(attention='se', stem_pool='ceil',
                                                    relu_first=True))),
    'legacy_senet': ('float32', 64, (7, 16, BOTTLENECK, (1, 1), [[(8, 16)], [(16, 32)]], (32, 64),
                                     4, 5, VARIANT(attention='se', deep_stem=(8, 8),
                                                   stem_pool='ceil', relu_first=True), 3)),
    'pruned': ('float32', 32, (3, 12, BOTTLENECK, (3, 2), [[(5, 7), (9, 3), (4, 4)],
                                                           [(11, 13), (2, 6)]], (20, 33), 1, 5,
                               VARIANT(attention='eca', down='avg'))),
}
FOLDERS = ['tests/data/tiny-imagenet-style', 'tests/data/tiny-resnet18-style',
           'models/resnext29-cifar10', '../shared/models/mini-imagenet-random']


def settings_of(variant):
    """What the tensors do not show."""
    settings = {}
    if variant.antialias:
        settings['aa_layer'] = variant.antialias
    if variant.hard_sigmoid:
        settings['gate_layer'] = 'hard_sigmoid'
    if variant.stride_first and variant.stem_pool != 'ceil':
        settings['downsample_in_bottleneck'] = True
    return settings


def legacy_names(tensors):
    """The names of timm's senet module."""
    stem = {'conv1': 'conv1', 'bn1': 'bn1'}
    if 'conv1.0.weight' in tensors:
        stem = {new: old for old, new in reference.LEGACY_STEM.items()}
    renamed = {}
    for name, tensor in tensors.items():
        module, rest = name.rsplit('.', 1)
        module = f'layer0.{stem[module]}' if module in stem else module
        module = 'last_linear' if module == 'fc' else module.replace('.se.', '.se_module.')
        renamed[f'{module}.{rest}'] = tensor
    return renamed


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
    variant = arguments[8] if len(arguments) > 8 else reference.PLAIN
    if variant.stem_pool == 'ceil':
        tensors = legacy_names(tensors)
    reference.write_model(folder, tensors, {**settings_of(variant), 'pretrained_cfg': {
        'input_size': [3, size, size], 'interpolation': 'bilinear', 'crop_pct': 1.0,
        'crop_mode': 'center', 'mean': MEAN, 'std': STD}})


def expected_logits(folder, inputs):
    tensors = reference.read_safetensors(os.path.join(folder, 'model.safetensors'))
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        network = reference.network_from_tensors(tensors, json.load(file))
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
