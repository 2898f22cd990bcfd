#!/usr/bin/python3
"""models/train.py learns, stops and goes on, and writes what it has in memory."""
import os
import sys
import tempfile

TOP = os.environ.get('top_srcdir', '.')
sys.path[:0] = [os.path.join(TOP, 'tests'), os.path.join(TOP, 'models')]
from tap import Tap, or_skip

with or_skip():
    import numpy as np
    import torch
    from PIL import Image
import train  # noqa: E402
import reference  # noqa: E402

COLORS = {'blue': (40, 60, 190), 'gold': (210, 170, 50), 'green': (50, 150, 60)}
EACH = 32


def draw_set(folder, seed):
    """Noise in one color a class."""
    source = np.random.RandomState(seed)
    for name, color in COLORS.items():
        os.makedirs(os.path.join(folder, name))
        for i in range(EACH):
            pixels = np.clip(np.array(color) + source.normal(0, 40, (32, 32, 3)), 0, 255)
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(os.path.join(folder, name, f'{i}.jpg'), quality=90)


class Interrupted(Exception):
    pass


def recorder(lines, stop_after=None):
    def report(line):
        lines.append(line)
        if len(lines) == stop_after:
            raise Interrupted
    return report


@torch.no_grad()
def loss_of(network, pictures):
    logits = network.eval()(train.to_input(pictures.pixels))
    return float(torch.nn.functional.cross_entropy(logits, pictures.classes))


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.state_dict().values(),
                                                 second.state_dict().values()))


def check_attention(scratch, shown, pictures, kind):
    out = os.path.join(scratch, kind)
    options = train.parse([shown, '--out', out, '--epochs', '1', '--batch', '12', '--no-bf16',
                           '--width', '16', '--attention', kind])
    network = train.fit(options, pictures, report=lambda line: None)
    model = reference.Model(out)
    yield same(network, model.network), f'{kind}: what it wrote is what it trained'
    yield model.config['architecture'] == f'{kind}resnext29_8x2d' and \
        model.network.layer1[0].conv2.out_channels == 16, f'{kind}: as narrow as asked for'
    tensors = reference.read_safetensors(os.path.join(out, 'model.safetensors'))
    yield reference.attention_of(tensors) == kind, f'{kind}: blocks have it'


def check_all(scratch):
    """Yields (holds, what must hold)."""
    shown, unseen = os.path.join(scratch, 'shown'), os.path.join(scratch, 'unseen')
    draw_set(shown, 1)
    draw_set(unseen, 2)
    pictures = train.load_pictures(shown)
    yield pictures.names == sorted(COLORS) and len(pictures.classes) == 3 * EACH, \
        'pictures are read'
    few = train.load_pictures(shown, 9)
    yield few.classes.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2], 'a subset has as many of each class'

    out = os.path.join(scratch, 'out')
    arguments = [shown, '--out', out, '--epochs', '2,1', '--batch', '12', '--no-bf16']
    lines = []
    network = train.fit(train.parse(arguments), pictures, report=recorder(lines))
    yield len(lines) == 3 and 'run 2/2 epoch 1/1 loss' in lines[2], 'it reports every epoch'
    fresh = train.State(train.parse(arguments), len(COLORS), train.RUNS).network
    before, after = loss_of(fresh, pictures), loss_of(network, pictures)
    yield after < 0.5 * before, f'the loss falls: {before:.3f} to {after:.3f}'
    top1, _ = train.evaluate(out, unseen, report=lambda line: None)
    yield top1 > 0.9, f'it knows pictures it has not seen: {top1:.3f}'

    x = train.to_input(pictures.pixels[::7])
    model = reference.Model(out)
    with torch.no_grad():
        yield same(network, model.network) and \
            torch.allclose(network(x), model.network(x), atol=1e-5), \
            'what it wrote gives the same logits'
    yield model.labels == sorted(COLORS), 'labels are written'
    yield sorted(os.listdir(out)) == ['config.json', 'model.safetensors'], 'nothing else is left'

    again = os.path.join(scratch, 'again')
    arguments[2] = again
    try:
        train.fit(train.parse(arguments), pictures, report=recorder([], stop_after=2))
        stopped = False
    except Interrupted:
        stopped = not os.path.exists(os.path.join(again, 'model.safetensors'))
    lines = []
    resumed = train.fit(train.parse(arguments + ['--resume']), pictures, report=recorder(lines))
    yield stopped and len(lines) == 1 and same(resumed, network), \
        'resumed after two epochs it ends with the same weights'

    try:
        train.fit(train.parse(arguments), pictures, report=recorder([], stop_after=1))
    except Interrupted:
        pass
    try:
        train.fit(train.parse(arguments + ['--resume', '--seed', '5']), pictures)
        refused = False
    except SystemExit as error:
        refused = 'other options' in str(error)
    yield refused, 'a checkpoint of another training is refused'
    for kind in ('se', 'eca'):
        yield from check_attention(scratch, shown, pictures, kind)


def main():
    torch.set_num_threads(1)
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        for holds, what in check_all(scratch):
            tap.ok(holds, what)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
