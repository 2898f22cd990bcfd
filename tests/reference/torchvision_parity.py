#!/usr/bin/python3
"""The tool's logits equal those of torchvision's own networks, in each type of weights.

The whole way is compared: JPEG, Pillow's pixels, torchvision's forward pass. The weights are
torchvision's random ones, with batch-norm statistics of made-up pictures. Needs Debian's
python3-torch, python3-torchvision, python3-pil and python3-numpy; skips without them.
"""
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
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
    import reference

NAMES = ['resnet18', 'resnet50', 'resnext50_32x4d', 'wide_resnet50_2']
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = 1e-5  # of the largest logit
SIZE = 160
WANTS = {'input_size': [3, SIZE, SIZE], 'interpolation': 'bicubic', 'crop_pct': 0.9,
         'crop_mode': 'center', 'mean': [0.485, 0.456, 0.406], 'std': [0.229, 0.224, 0.225]}


def picture(path):
    """A JPEG with soft shapes and some noise."""
    random = np.random.default_rng(7)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), np.uint8))
    soft = np.asarray(coarse.resize((300, 220), Image.BICUBIC), np.float32)
    noisy = soft + random.normal(0, 12, soft.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)


@torch.no_grad()
def trained_looking(name):
    """A network of torchvision's with batch-norm statistics, and scale and shift that matter."""
    torch.manual_seed(len(name))
    network = getattr(torchvision.models, name)()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None
    network.train()(torch.randn(4, 3, 96, 96))
    return network


@torch.no_grad()
def compare(network, name, dtype, jpeg, folder):
    """How far the tool is off, as a share of the largest logit."""
    tensors = {key: t if t.dtype == torch.int64 else t.to(dtype)
               for key, t in network.state_dict().items()}
    reference.write_model(folder, tensors, {'architecture': name, 'pretrained_cfg': WANTS})
    network.load_state_dict({key: t.to(torch.float32) if t.is_floating_point() else t
                             for key, t in tensors.items()})
    expected = network.eval()(reference.prepare(jpeg, WANTS))[0].numpy()
    done = subprocess.run([TOOL, 'classify', '--json', '--logits', folder, jpeg],
                          stdout=subprocess.PIPE, check=True)
    answer = json.loads(done.stdout)
    if answer['predictions'][0]['class_id'] != int(expected.argmax()):
        return float('inf')
    return float(np.abs(np.array(answer['logits']) - expected).max() / np.abs(expected).max())


def main():
    if not os.access(TOOL, os.X_OK):
        skip_all('the tool is not built')
    torch.set_num_threads(1)
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        jpeg = os.path.join(scratch, 'picture.jpg')
        picture(jpeg)
        for name in NAMES:
            network = trained_looking(name)
            for dtype in DTYPES:
                off = compare(network, name, dtype, jpeg, os.path.join(scratch, 'model'))
                tap.ok(off <= TOLERANCE, f'{name} in {dtype}: off by {off:.1e} of the largest logit')
    return tap.end()


sys.exit(main())
