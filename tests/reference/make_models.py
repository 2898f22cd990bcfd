#!/usr/bin/python3
"""Makes the small test models tests/data/tiny-imagenet-style and tests/data/tiny-resnet18-style.

usage: make_models.py [FOLDER]

The weights are random (seeded); batch-norm statistics and the classifier's bias are set from the
drawn pictures, so that the logits depend on the picture. Run draw_pictures.py first.
Needs Debian's python3-torch, python3-pil and python3-numpy.
"""
import glob
import os
import sys

import torch
from torch import nn

import reference

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_FOLDER = os.path.join(HERE, '..', 'data')
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LABELS = ['amber', 'azure', 'beige', 'black', 'bronze', 'coral', 'crimson', 'emerald', 'fuchsia',
          'gold', 'indigo', 'ivory', 'khaki', 'lilac', 'maroon', 'ochre', 'olive', 'rosé', 'teal',
          'umber']


def randomise(network, seed):
    torch.manual_seed(seed)
    reference.initialise(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    nn.init.normal_(network.fc.weight, 0, 0.4)


@torch.no_grad()
def fit_statistics(network, inputs):
    """Batch-norm statistics over `inputs`; logits with mean 0 over them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    network.train()(inputs)
    network.eval()
    network.fc.bias.sub_(network(inputs).mean(0))


def make(folder, network, seed, config, dtype):
    wants = reference.preprocess_config(config)
    pictures = sorted(glob.glob(os.path.join(folder, 'pictures', '*.jpg')))
    inputs = torch.cat([reference.prepare(path, wants) for path in pictures])
    randomise(network, seed)
    fit_statistics(network, torch.cat([inputs, inputs.flip(3)]))
    return {name: t if t.dtype == torch.int64 else t.to(dtype)
            for name, t in network.state_dict().items()}


def tiny_imagenet_style(folder):
    """ImageNet stem, bottlenecks with C = 4, float16, bicubic, labels as a map from id to name."""
    config = {
        'architecture': 'resnext26_4x4d', 'num_classes': len(LABELS), 'num_features': 256,
        # in the order of the ids as text, which is not that of the classes
        'label_names': {key: LABELS[int(key)] for key in sorted(map(str, range(len(LABELS))))},
        'pretrained_cfg': {
            'tag': 'tiny', 'input_size': [3, 96, 96], 'fixed_input_size': False,
            'interpolation': 'bicubic', 'crop_pct': 0.9, 'crop_mode': 'center', 'mean': MEAN,
            'std': STD, 'num_classes': len(LABELS), 'pool_size': [3, 3], 'first_conv': 'conv1',
            'classifier': 'fc'}}
    network = reference.build(7, 16, reference.bottleneck, (1, 2, 1, 1), (16, 32, 64, 128),
                              (32, 64, 128, 256), 4, len(LABELS))
    tensors = make(folder, network, 2, config, torch.float16)
    reference.write_model(os.path.join(folder, 'tiny-imagenet-style'), tensors, config)


def tiny_resnet18_style(folder):
    """Basic blocks, bfloat16, no num_batches_tracked, the old flat config.json, labels.txt; an odd
    number of pixels at most stages."""
    config = {
        'architecture': 'resnet18', 'num_classes': len(LABELS), 'num_features': 64,
        'input_size': [3, 72, 72], 'pool_size': [3, 3], 'crop_pct': 0.875, 'crop_mode': 'squash',
        'interpolation': 'bilinear', 'mean': MEAN, 'std': STD, 'first_conv': 'conv1',
        'classifier': 'fc'}
    widths = (8, 16, 32, 64)
    network = reference.build(7, 8, reference.basic, (2, 2, 2, 2), widths, widths, 1, len(LABELS))
    tensors = make(folder, network, 3, config, torch.bfloat16)
    tensors = {k: t for k, t in tensors.items() if not k.endswith('num_batches_tracked')}
    out = os.path.join(folder, 'tiny-resnet18-style')
    reference.write_model(out, tensors, config)
    with open(os.path.join(out, 'labels.txt'), 'w', encoding='utf-8') as file:
        file.writelines(label + '\n' for label in reversed(LABELS))


MAKERS = {'tiny-imagenet-style': tiny_imagenet_style, 'tiny-resnet18-style': tiny_resnet18_style}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (['-h'], ['--help']):
        sys.exit(__doc__.strip())
    folder = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FOLDER
    torch.set_num_threads(1)  # the order of sums, and with it the last bit, depends on threads
    for maker in MAKERS.values():
        maker(folder)


if __name__ == '__main__':
    main()
