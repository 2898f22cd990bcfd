#!/usr/bin/python3
"""The tool's logits equal those of transformers, for folders as its save_pretrained writes them.

The pixels are compared byte for byte, and then the whole way: JPEG, image processor (on Pillow),
forward pass. The networks are ResNetForImageClassification and TimmWrapperForImageClassification with
random weights and batch-norm statistics of made-up pictures; the pictures are photos of ../shared,
where present, and one made here. Needs transformers 5, timm, torch and Pillow 13 from pip; skips
without them:

    python3 -m venv other && other/bin/pip install transformers timm torch pillow
    top_builddir=build other/bin/python tests/reference/huggingface_parity.py
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

os.environ.update(HF_HUB_OFFLINE='1', HF_HUB_DISABLE_PROGRESS_BARS='1')
with or_skip():
    import numpy as np
    import timm
    import torch
    import transformers
    from PIL import Image, ImageOps
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

PHOTOS = os.path.join(SOURCE, '../shared/data/photos')
TOLERANCE = 1e-5  # of the largest logit
IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
CLASSES = 7
NETWORKS = {
    'bottleneck': {'hidden_sizes': [32, 64, 128, 256], 'depths': [1, 2, 3, 1]},
    'basic': {'hidden_sizes': [16, 32, 64, 128], 'depths': [2, 2, 1, 1], 'layer_type': 'basic'},
    'stride on the first 1x1': {'hidden_sizes': [32, 64, 128], 'depths': [2, 2, 2],
                                'downsample_in_bottleneck': True},
}
# Odd sizes, so that the crop begins at half a pixel, which transformers rounds down.
PROCESSORS = {
    'ConvNext 224': (ConvNextImageProcessorPil, {'size': {'shortest_edge': 224}, **IMAGENET}),
    'ConvNext 97': (ConvNextImageProcessorPil,
                    {'size': {'shortest_edge': 97}, 'crop_pct': 0.9, 'resample': 2, **IMAGENET}),
    'ConvNext 384': (ConvNextImageProcessorPil, {'size': {'shortest_edge': 384}}),
    'ViT 160': (ViTImageProcessorPil, {'size': {'height': 160, 'width': 160}}),
    'Bit 129 of 160': (BitImageProcessorPil, {'size': {'shortest_edge': 160},
                                              'crop_size': {'height': 129, 'width': 129}}),
    'Bit 121 of 144 x 144': (BitImageProcessorPil, {'size': {'height': 144, 'width': 144},
                                                    'crop_size': {'height': 121, 'width': 121}}),
    'CLIP 223 of 224': (CLIPImageProcessorPil, {'size': {'shortest_edge': 224}, 'crop_size':
                                                {'height': 223, 'width': 223}}),
    'CLIP without normalisation': (CLIPImageProcessorPil, {'do_normalize': False}),
}
TIMM = {'input_size': [3, 128, 128], 'interpolation': 'bicubic', 'crop_pct': 0.9, 'crop_mode':
        'center', 'mean': IMAGENET['image_mean'], 'std': IMAGENET['image_std'],
        'architecture': 'resnet18', 'first_conv': 'conv1', 'classifier': 'fc'}


def make_picture(path):
    """A JPEG with soft shapes and some noise."""
    random = np.random.default_rng(7)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), np.uint8))
    soft = np.asarray(coarse.resize((301, 220), Image.BICUBIC), np.float32)
    noisy = soft + random.normal(0, 12, soft.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def pictures(scratch):
    photos = sorted(os.listdir(PHOTOS)) if os.path.isdir(PHOTOS) else []
    return [make_picture(os.path.join(scratch, 'picture.jpg'))] + [
        os.path.join(PHOTOS, name) for name in photos if name.endswith('.jpg')][:5]


@torch.no_grad()
def trained_looking(network, edge=96):
    """The same network with batch-norm statistics, and scale and shift that matter."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None
    network.train()(torch.randn(4, 3, edge, edge))
    return network.eval()


def load(path):
    """As transformers' load_image, which its pipeline calls."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert('RGB')


def answer(folder, paths):
    """The tool's logits, [pictures][classes]."""
    done = subprocess.run([TOOL, 'classify', '--json', '--logits', folder, *paths],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return np.array([json.loads(line)['logits'] for line in done.stdout.splitlines()])


def crop(folder, path):
    """The tool's pixels, [size, size, 3], from a P6 picture."""
    data = subprocess.run([TOOL, 'preprocess', folder, path], stdout=subprocess.PIPE, check=True).stdout
    _, edges, _, pixels = data.split(b'\n', 3)
    width, height = map(int, edges.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def compare_pixels(tap, processor, paths, folder):
    """Bytes, not numbers: without the processor's last steps."""
    wrong = [os.path.basename(path) for path in paths if not np.array_equal(
        processor(load(path), do_rescale=False, do_normalize=False)['pixel_values'][0].transpose(1, 2, 0),
        crop(folder, path))]
    return tap.check(wrong, f'pixels of {os.path.basename(folder)}')


@torch.no_grad()
def compare(tap, name, network, processor, paths, folder):
    pixels = torch.cat([processor(load(path), return_tensors='pt')['pixel_values'] for path in paths])
    expected = np.stack([network(one[None]).logits[0].numpy() for one in pixels])
    try:
        got = answer(folder, paths)
    except RuntimeError as error:
        return tap.ok(False, f'{name}: {error}')
    off = np.abs(got - expected).max() / np.abs(expected).max()
    return tap.ok(off <= TOLERANCE, f'{name}: off by {off:.1e} of the largest logit')


def compare_resnets(tap, paths, scratch):
    for name, shape in NETWORKS.items():
        torch.manual_seed(len(name))
        names = {i: f'kind {i}' for i in range(CLASSES)}
        config = transformers.ResNetConfig(embedding_size=16, id2label=names, **shape)
        network = trained_looking(transformers.ResNetForImageClassification(config))
        folder = os.path.join(scratch, name)
        network.save_pretrained(folder)
        for kind, (make, arguments) in PROCESSORS.items():
            processor = make(**arguments)
            processor.save_pretrained(folder)
            compare(tap, f'{name}, {kind}', network, processor, paths, folder)


def compare_processors(tap, paths, scratch):
    network = transformers.ResNetForImageClassification(transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8], depths=[1], num_labels=CLASSES))
    for kind, (make, arguments) in PROCESSORS.items():
        folder, processor = os.path.join(scratch, kind), make(**arguments)
        network.save_pretrained(folder)
        processor.save_pretrained(folder)
        compare_pixels(tap, processor, paths, folder)


def compare_wrapper(tap, paths, scratch):
    torch.manual_seed(1)
    config = transformers.TimmWrapperConfig(architecture='resnet18', num_labels=CLASSES,
                                            pretrained_cfg=TIMM)
    network = trained_looking(transformers.TimmWrapperForImageClassification(config))
    folder = os.path.join(scratch, 'wrapper')
    network.save_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    compare(tap, 'timm wrapper', network, processor, paths, folder)


def main():
    if not os.access(TOOL, os.X_OK):
        skip_all('the tool is not built')
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        paths = pictures(scratch)
        compare_processors(tap, paths, scratch)
        compare_resnets(tap, paths, scratch)
        compare_wrapper(tap, paths, scratch)
    return tap.end()


sys.exit(main())
