"""What resnextd is measured against: ResNet and ResNeXt in PyTorch, pictures prepared by Pillow.

A model folder holds model.safetensors and config.json as timm publishes them; tensor names are
torchvision's, those of timm's variants, or of its senet module. The network is rebuilt from the
tensors; config.json says what they do not show. Float32 throughout.

Needs Debian's python3-torch, python3-pil and python3-numpy.
"""
import dataclasses
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

@dataclasses.dataclass
class Variant:
    """What makes a network differ from a plain ResNet or ResNeXt."""
    deep_stem: tuple = ()  # channels of its first two convolutions; (): one convolution
    stem_pool: str = 'max'  # 'ceil': legacy SENet; 'conv': ResNet-RS
    down: str = 'conv'  # 'avg': a 2x2 average before the shortcut's convolution
    antialias: str = ''  # 'avg', 'blur': what halves the maps instead of strided convolutions
    attention: str = ''  # 'se', 'ese', 'eca'
    hard_sigmoid: bool = False  # the gate's function
    stride_first: bool = False  # of bottlenecks: on the first 1x1
    relu_first: bool = False  # of basic blocks: a ReLU before the attention (legacy SENet)


PLAIN = Variant()


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation, arXiv 1709.01507."""

    def __init__(self, channels, reduced, gate):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, reduced, 1)
        self.fc2 = nn.Conv2d(reduced, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class EffectiveSqueezeExcite(nn.Module):
    """One layer instead of two, arXiv 1911.06667."""

    def __init__(self, channels, gate):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.fc(x.mean((2, 3), keepdim=True)))


class ChannelConvolution(nn.Module):
    """Efficient channel attention (ECA), arXiv 1910.03151."""

    def __init__(self, kernel, gate):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.conv(x.mean((2, 3))[:, None]))[:, 0, :, None, None]


def make_attention(variant, channels, size):
    """size: SE: channels between its layers; ECA: its kernel."""
    gate = F.hardsigmoid if variant.hard_sigmoid else torch.sigmoid
    if variant.attention == 'se':
        return SqueezeExcite(channels, size, gate)
    if variant.attention == 'ese':
        return EffectiveSqueezeExcite(channels, gate)
    return ChannelConvolution(size, gate) if variant.attention == 'eca' else nn.Identity()


class Blur(nn.Module):
    """[1 2 1] x [1 2 1] / 16 with stride 2, reflected edges: arXiv 1904.11486."""

    def forward(self, x):
        row = torch.tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(row, row).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), 'reflect'), kernel, stride=2, groups=x.shape[1])


def antialias_pool(variant):
    return Blur() if variant.antialias == 'blur' else nn.AvgPool2d(2)


def batch_norm_after(conv):
    return [conv, nn.BatchNorm2d(conv.out_channels)]


def convolve(channels_in, channels_out, kernel, stride=1, groups=1):
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups,
                     bias=False)


def make_shortcut(variant, channels_in, channels_out, kernel, stride):
    if not kernel:
        return nn.Identity()
    if variant.down == 'avg':
        pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
        return nn.Sequential(pool if stride > 1 else nn.Identity(),
                             *batch_norm_after(convolve(channels_in, channels_out, kernel)))
    return nn.Sequential(*batch_norm_after(convolve(channels_in, channels_out, kernel, stride)))


class Unit(nn.Module):
    """A residual block. kernels: of its convolutions; the stride sits on the first 3x3, or on the
    first, the groups on every 3x3. projection: kernel of the shortcut's convolution, 0 for none."""

    def __init__(self, kernels, channels, groups, stride, projection, variant=PLAIN, attention=0):
        super().__init__()
        self.depth = len(kernels)
        strided = 0 if variant.stride_first else kernels.index(3)
        self.filtered = strided + 1 if variant.antialias and stride > 1 else None
        for i, kernel in enumerate(kernels):
            conv = convolve(channels[i], channels[i + 1], kernel,
                            stride if i == strided and not self.filtered else 1,
                            groups if kernel == 3 else 1)
            self.add_module(f'conv{i + 1}', conv)
            self.add_module(f'bn{i + 1}', nn.BatchNorm2d(channels[i + 1]))
        self.relu_first = variant.relu_first and self.depth == 2
        self.aa = antialias_pool(variant)
        self.se = make_attention(variant, channels[-1], attention)
        self.downsample = make_shortcut(variant, channels[0], channels[-1], projection, stride)

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
            if i < self.depth or self.relu_first:
                y = F.relu(y)
            if i == self.filtered:
                y = self.aa(y)
        return F.relu(self.se(y) + self.downsample(x))


def bottleneck(channels_in, width, channels_out, groups, stride, projection, *variant):
    """1x1, grouped 3x3, 1x1: figure 3(c) of the ResNeXt paper. width: of both inner maps, or a
    pair."""
    inner = width if isinstance(width, tuple) else (width, width)
    return Unit((1, 3, 1), (channels_in, *inner, channels_out), groups, stride, projection,
                *variant)


def basic(channels_in, width, channels_out, groups, stride, projection, *variant):
    """3x3, 3x3: ResNet-18 and -34."""
    return Unit((3, 3), (channels_in, width, channels_out), groups, stride, projection, *variant)


def make_stem(kernel, channels, variant):
    if not variant.deep_stem:
        return convolve(3, channels, kernel, 2 if kernel == 7 else 1)
    first, second = variant.deep_stem
    return nn.Sequential(*batch_norm_after(convolve(3, first, 3, 2)), nn.ReLU(),
                         *batch_norm_after(convolve(first, second, 3)), nn.ReLU(),
                         convolve(second, channels, 3))


def make_stem_pool(channels, variant):
    if variant.stem_pool == 'conv':
        return nn.Sequential(*batch_norm_after(convolve(channels, channels, 3, 2)), nn.ReLU())
    if variant.stem_pool == 'ceil':
        return nn.MaxPool2d(3, 2, ceil_mode=True)
    if variant.antialias == 'blur':
        return nn.Sequential(nn.MaxPool2d(3, 1, 1), Blur())
    return antialias_pool(variant) if variant.antialias else nn.MaxPool2d(3, 2, 1)


class Network(nn.Module):
    """stem_kernel 7: the ImageNet stem (stride 2, then a pool); 3: the CIFAR stem, if it is not
    deep. stages: lists of residual blocks. [N, 3, H, W] -> logits [N, classes]."""

    def __init__(self, stem_kernel, stem_channels, stages, features, classes, variant=PLAIN):
        super().__init__()
        self.conv1 = make_stem(stem_kernel, stem_channels, variant)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        pooled = stem_kernel == 7 or variant.deep_stem
        self.maxpool = make_stem_pool(stem_channels, variant) if pooled else nn.Identity()
        self.stage_names = [f'layer{i + 1}' for i in range(len(stages))]
        for name, blocks in zip(self.stage_names, stages):
            self.add_module(name, nn.Sequential(*blocks))
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for name in self.stage_names:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


def attention_size(variant, channels):
    """As the papers choose it, in timm's rounding."""
    if variant.attention == 'se':
        return max(8, -(-channels // 128) * 8)
    kernel = int((math.log2(channels) + 1) / 2)
    return max(3, kernel + 1 - kernel % 2)


def build(stem_kernel, stem_channels, make_block, blocks, widths, outs, groups, classes,
          variant=PLAIN, down_kernel=1):
    """A network of alike blocks a stage; every stage but the first halves the map. widths: of each
    stage; a list has one for each block. down_kernel: of shortcuts that halve the map."""
    stages, channels = [], stem_channels
    for i, (count, width, out) in enumerate(zip(blocks, widths, outs)):
        stage = []
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            kernel = down_kernel if stride > 1 else int(j == 0 and channels != out)
            stage.append(make_block(channels, width[j] if isinstance(width, list) else width, out,
                                    groups, stride, kernel, variant,
                                    attention_size(variant, out)))
            channels = out
        stages.append(stage)
    return Network(stem_kernel, stem_channels, stages, channels, classes, variant)


def initialise(network):
    """He's initialisation for the convolutions, as torchvision does it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')


# Checkpoints.

LEGACY_STEM = {'conv1': 'conv1.0', 'bn1': 'conv1.1', 'conv2': 'conv1.3', 'bn2': 'conv1.4',
               'conv3': 'conv1.6', 'bn3': 'bn1'}


def is_legacy(tensors):
    return 'layer0.conv1.weight' in tensors


def current_names(tensors):
    """Tensors of timm's senet module ("legacy") by the names of its resnet module."""
    if not is_legacy(tensors):
        return tensors
    deep = 'layer0.conv3.weight' in tensors
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith('layer0.'):
            _, module, rest = name.split('.', 2)
            name = f'{LEGACY_STEM[module] if deep else module}.{rest}'
        name = name.replace('.se_module.', '.se.').replace('last_linear.', 'fc.')
        renamed[name] = tensor
    return renamed


def said(config, key, otherwise):
    """A setting of config.json, at its root or among the arguments that made the network."""
    arguments = config.get('model_args', {})
    for place in (arguments.get('block_args', {}), arguments, config):
        if place.get(key) is not None:
            return place[key]
    return otherwise


def antialias_of(config):
    named = re.search(r'res(net|next)(aa|blur)', config.get('architecture', ''))
    layer = said(config, 'aa_layer', named[2] if named else '').lower()
    return {'aa': 'avg', 'avgpool': 'avg', 'avgpool2d': 'avg',
            'blurpool': 'blur', 'blurpool2d': 'blur'}.get(layer, layer)


def attention_of(tensors):
    for name, attention in {'fc1.weight': 'se', 'fc.weight': 'ese', 'conv.weight': 'eca'}.items():
        if f'layer1.0.se.{name}' in tensors:
            return attention
    return ''


def variant_from(tensors, config):
    """From the tensors; config.json says what they do not show."""
    legacy = is_legacy(tensors) or config.get('architecture', '').startswith('legacy_')
    tensors = current_names(tensors)
    deep, attention = 'conv1.0.weight' in tensors, attention_of(tensors)
    gate = said(config, 'gate_layer', 'hard_sigmoid' if attention == 'ese' else 'sigmoid')
    dense = len(tensors['layer1.0.conv1.weight']) == tensors['layer1.0.conv2.weight'].shape[1]
    stride_first = said(config, 'downsample_in_bottleneck', False) or (legacy and dense)
    return Variant(
        deep_stem=tuple(len(tensors[f'conv1.{i}.weight']) for i in (0, 3)) if deep else (),
        stem_pool='ceil' if legacy else 'conv' if 'maxpool.0.weight' in tensors else 'max',
        down='avg' if any(name.endswith('downsample.2.weight') for name in tensors) else 'conv',
        antialias=antialias_of(config), attention=attention, hard_sigmoid=gate == 'hard_sigmoid',
        stride_first=stride_first, relu_first=legacy)


def block_from_tensors(tensors, prefix, stride, variant):
    def shape(name):
        tensor = tensors.get(f'{prefix}.{name}.weight')
        return None if tensor is None else tensor.shape

    shortcut = shape('downsample.1' if variant.down == 'avg' else 'downsample.0')
    size = {'se': lambda: shape('se.fc1')[0], 'eca': lambda: shape('se.conv')[2]}.get(
        variant.attention, lambda: 0)()
    (reduced, channels_in), (width, path_width) = shape('conv1')[:2], shape('conv2')[:2]
    rest = (stride, shortcut[2] if shortcut else 0, variant, size)
    if shape('conv3'):
        return bottleneck(channels_in, (reduced, width), shape('conv3')[0], reduced // path_width,
                          *rest)
    return basic(channels_in, reduced, width, 1, *rest)


def network_from_tensors(tensors, config=None):
    """The network whose checkpoint this is, in evaluation mode. Raises on a tensor too many or too
    few."""
    variant = variant_from(tensors, config or {})
    tensors = current_names(tensors)
    counts = {}
    for name in tensors:
        found = re.fullmatch(r'layer(\d+)\.(\d+)\.conv1\.weight', name)
        if found:
            stage = int(found[1])
            counts[stage] = max(counts.get(stage, 0), int(found[2]) + 1)
    stages = [[block_from_tensors(tensors, f'layer{stage}.{i}', 2 if stage > 1 and i == 0 else 1,
                                  variant)
               for i in range(counts[stage])] for stage in sorted(counts)]
    classes, features = tensors['fc.weight'].shape
    stem_channels, _, stem_kernel, _ = tensors[
        'conv1.6.weight' if variant.deep_stem else 'conv1.weight'].shape
    network = Network(stem_kernel, stem_channels, stages, features, classes, variant)
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
            read_safetensors(os.path.join(folder, 'model.safetensors')), self.config)

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
