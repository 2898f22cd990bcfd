"""What resnextd is measured against: ResNet and ResNeXt in PyTorch, pictures prepared by Pillow.

A model folder holds model.safetensors and config.json as timm publishes them; tensor names are
torchvision's. The network is rebuilt from the tensors' shapes alone. Float32 throughout.

Needs Debian's python3-torch, python3-pil and python3-numpy.
"""
import json
import math
import os
import re
import struct

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional as F

import pillow

DTYPES = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16, 'I64': torch.int64}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
HEADER_ALIGN = 8
FILTERS = {'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC}


# safetensors: 8 bytes of header length, a JSON header, the tensors' bytes.

def read_safetensors(path):
    """{name: tensor}, each in the type it is stored in."""
    with open(path, 'rb') as file:
        length, = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(length))
        body = bytearray(file.read())
    header.pop('__metadata__', None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        dtype = DTYPES[entry['dtype']]
        flat = torch.frombuffer(body[begin:end], dtype=dtype)
        tensors[name] = flat.reshape(entry['shape'])
    return tensors


def write_safetensors(path, tensors):
    """Writes the tensors sorted by name, each in the type it has."""
    header, chunks, offset = {'__metadata__': {'format': 'pt'}}, [], 0
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        same_width = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        chunk = same_width.numpy().tobytes()
        header[name] = {'dtype': DTYPE_NAMES[tensor.dtype], 'shape': list(tensor.shape),
                        'data_offsets': [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % HEADER_ALIGN)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        file.writelines(chunks)


# The network.

class Unit(nn.Module):
    """A residual block. kernels: of its convolutions; the stride sits on the first 3x3, the groups
    on every 3x3."""

    def __init__(self, kernels, channels, groups, stride, projection):
        super().__init__()
        self.depth = len(kernels)
        strided = kernels.index(3)
        for i, kernel in enumerate(kernels):
            conv = nn.Conv2d(channels[i], channels[i + 1], kernel, stride if i == strided else 1,
                             padding=kernel // 2, groups=groups if kernel == 3 else 1, bias=False)
            self.add_module(f'conv{i + 1}', conv)
            self.add_module(f'bn{i + 1}', nn.BatchNorm2d(channels[i + 1]))
        if projection:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False),
                nn.BatchNorm2d(channels[-1]))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
            if i < self.depth:
                y = F.relu(y)
        return F.relu(y + self.downsample(x))


def bottleneck(channels_in, width, channels_out, groups, stride, projection):
    """1x1, grouped 3x3, 1x1: figure 3(c) of the ResNeXt paper."""
    return Unit((1, 3, 1), (channels_in, width, width, channels_out), groups, stride, projection)


def basic(channels_in, width, channels_out, groups, stride, projection):
    """3x3, 3x3: ResNet-18 and -34."""
    return Unit((3, 3), (channels_in, width, channels_out), groups, stride, projection)


class Network(nn.Module):
    """stem_kernel 7: the ImageNet stem (stride 2, then max pool); 3: the CIFAR stem. stages: lists
    of residual blocks. [N, 3, H, W] -> logits [N, classes]."""

    def __init__(self, stem_kernel, stem_channels, stages, features, classes):
        super().__init__()
        imagenet = stem_kernel == 7
        self.conv1 = nn.Conv2d(3, stem_channels, stem_kernel, 2 if imagenet else 1,
                               padding=stem_kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.pool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        self.stage_names = [f'layer{i + 1}' for i in range(len(stages))]
        for name, blocks in zip(self.stage_names, stages):
            self.add_module(name, nn.Sequential(*blocks))
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for name in self.stage_names:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


def build(stem_kernel, stem_channels, make_block, blocks, widths, outs, groups, classes):
    """A network of identical blocks a stage; every stage but the first halves the map."""
    stages, channels = [], stem_channels
    for i, (count, width, out) in enumerate(zip(blocks, widths, outs)):
        stage = []
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            stage.append(make_block(channels, width, out, groups, stride,
                                    j == 0 and (stride > 1 or channels != out)))
            channels = out
        stages.append(stage)
    return Network(stem_kernel, stem_channels, stages, channels, classes)


def initialise(network):
    """He's initialisation for the convolutions, as torchvision does it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')


def block_from_tensors(tensors, prefix, stride):
    shape = tensors[f'{prefix}.conv2.weight'].shape
    projection = f'{prefix}.downsample.0.weight' in tensors
    width, channels_in = tensors[f'{prefix}.conv1.weight'].shape[:2]
    if f'{prefix}.conv3.weight' in tensors:
        out = tensors[f'{prefix}.conv3.weight'].shape[0]
        return bottleneck(channels_in, width, out, width // shape[1], stride, projection)
    return basic(channels_in, width, shape[0], 1, stride, projection)


def network_from_tensors(tensors):
    """The network whose checkpoint this is, in evaluation mode. Raises on a tensor too many or too
    few."""
    counts = {}
    for name in tensors:
        found = re.fullmatch(r'layer(\d+)\.(\d+)\.conv1\.weight', name)
        if found:
            stage = int(found[1])
            counts[stage] = max(counts.get(stage, 0), int(found[2]) + 1)
    stages = [[block_from_tensors(tensors, f'layer{stage}.{i}', 2 if stage > 1 and i == 0 else 1)
               for i in range(counts[stage])] for stage in sorted(counts)]
    classes, features = tensors['fc.weight'].shape
    stem_channels, _, stem_kernel, _ = tensors['conv1.weight'].shape
    network = Network(stem_kernel, stem_channels, stages, features, classes)
    state = {name: t if t.dtype == torch.int64 else t.float() for name, t in tensors.items()}
    for name in network.state_dict():
        if name.endswith('num_batches_tracked'):
            state.setdefault(name, torch.tensor(0))
    network.load_state_dict(state)
    return network.eval()


# Pictures.

def preprocess_config(config):
    """What config.json says of the pictures; old files say it at the root."""
    return config.get('pretrained_cfg', config)


def resized_edges(width, height, short, squash):
    if squash:
        return short, short
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def crop_pixels(image, wants):
    """The uint8 pixels [size, size, 3] that the network sees: upright, RGB, resized in the order of
    Pillow 13's passes, whichever is installed, cut from the centre."""
    size = wants['input_size'][1]
    short = wants.get('resize_size') or math.floor(size / wants.get('crop_pct', 1.0))
    image = ImageOps.exif_transpose(image).convert('RGB')
    edges = resized_edges(*image.size, short, wants.get('crop_mode', 'center') == 'squash')
    if edges != image.size:
        image = pillow.resize(image, edges, FILTERS[wants.get('interpolation', 'bilinear')])
    left, top = (int(round((edge - size) / 2)) for edge in edges)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def normalise(pixels, wants):
    """uint8 [..., 3] -> float32 [..., 3]."""
    scaled = torch.from_numpy(np.asarray(pixels, np.float32)) / 255
    return (scaled - torch.tensor(wants['mean'])) / torch.tensor(wants['std'])


def prepare(path, wants):
    """A JPEG file as the network's input, [1, 3, size, size]."""
    with Image.open(path) as image:
        pixels = crop_pixels(image, wants)
    return normalise(pixels, wants).permute(2, 0, 1)[None].contiguous()


# Model folders.

def read_labels(folder, config):
    """Names of the classes: label_names as a list or a map from id to name, else labels.txt, else
    numbers."""
    names, path = config.get('label_names'), os.path.join(folder, 'labels.txt')
    if isinstance(names, dict):
        return [names[str(i)] for i in range(len(names))]
    if names is None and os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            return file.read().splitlines()
    return names or [f'class {i}' for i in range(config['num_classes'])]


class Model:
    """A model folder: .network, .config, .wants (of pictures), .labels."""

    def __init__(self, folder):
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            self.config = json.load(file)
        self.wants = preprocess_config(self.config)
        self.labels = read_labels(folder, self.config)
        self.network = network_from_tensors(
            read_safetensors(os.path.join(folder, 'model.safetensors')))

    @torch.no_grad()
    def logits(self, path):
        """Logits [classes] of one JPEG file."""
        return self.network(prepare(path, self.wants))[0]


def write_model(folder, tensors, config):
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, 'model.safetensors'), tensors)
    with open(os.path.join(folder, 'config.json'), 'w', encoding='utf-8') as file:
        json.dump(config, file, indent=1)
        file.write('\n')
