#!/usr/bin/python3
"""Trains resnext29-cifar10, the default model: see models/resnext29-cifar10/README.md.

PICTURES is a folder, or a tar archive of one, with a directory of JPEGs for each class. The
result, in --out, is a model folder: model.safetensors and config.json. Progress is saved there
after every epoch; --resume goes on from it.

Needs Debian's python3-torch (1.13), python3-pil and python3-numpy.
"""
import argparse
import copy
import dataclasses
import io
import math
import os
import sys
import tarfile
import time

try:
    import numpy as np
    import torch
    from PIL import Image
    from torch.nn import functional as F
except ImportError as missing:
    sys.exit(f'train.py: {missing}: apt-get install python3-torch python3-pil python3-numpy')

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests',
                                'reference'))
import reference  # noqa: E402

SIZE, SMALL_SIZE = 32, 24
SHIFT = 4
WIDTH, BLOCKS, CARDINALITY = 32, (3, 3, 3), 8
WANTS = {'input_size': [3, SIZE, SIZE], 'interpolation': 'bilinear', 'crop_pct': 1.0,
         'crop_mode': 'center', 'mean': [0.4914, 0.4822, 0.4465], 'std': [0.247, 0.2435, 0.2616]}
MOMENTUM = 0.9
AVERAGE_FACTOR, AVERAGE_EVERY = 0.98, 5
WARM_UP = 0.25  # share of a run in which the learning rate rises
EVALUATION_BATCH = 500


@dataclasses.dataclass
class Run:
    """One cycle of the learning rate, from the weights the run before left."""
    epochs: int
    small_epochs: int  # of them, the first so many on pictures of SMALL_SIZE
    peak_rate: float
    smoothing: float
    decay: float
    cutout: int


RUNS = [Run(26, 14, 0.2, 0.1, 5e-4, 8), Run(10, 0, 0.06, 0.03, 3e-4, 0)]


# Pictures.

def read_files(source):
    """(class name, JPEG bytes) of every picture in a folder or tar archive."""
    if os.path.isdir(source):
        for name in sorted(os.listdir(source)):
            directory = os.path.join(source, name)
            for file in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
                with open(os.path.join(directory, file), 'rb') as stream:
                    yield name, stream.read()
        return
    with tarfile.open(source, 'r|*') as archive:
        for member in archive:
            if member.isfile():
                yield os.path.basename(os.path.dirname(member.name)), \
                    archive.extractfile(member).read()


@dataclasses.dataclass
class Pictures:
    pixels: torch.Tensor  # uint8 [N, SIZE, SIZE, 3]
    classes: torch.Tensor  # int64 [N]
    names: list  # of the classes, sorted


def load_pictures(source, subset=None):
    """subset: about so many pictures, as many of each class."""
    by_class = {}
    for name, data in read_files(source):
        by_class.setdefault(name, []).append(data)
    if not by_class:
        raise SystemExit(f'{source}: no pictures; wanted is a directory of JPEGs for each class')
    names = sorted(by_class)
    each = None if subset is None else max(1, subset // len(names))
    pixels, classes = [], []
    for i, name in enumerate(names):
        for data in by_class[name][:each]:
            with Image.open(io.BytesIO(data)) as image:
                pixels.append(reference.crop_pixels(image, WANTS))
            classes.append(i)
    return Pictures(torch.from_numpy(np.stack(pixels)), torch.tensor(classes), names)


def to_input(pixels):
    """uint8 [N, S, S, 3] -> normalised float32 [N, 3, S, S]."""
    return reference.normalise(pixels, WANTS).permute(0, 3, 1, 2)


def shift_and_flip(x, generator):
    """Moves each picture by up to SHIFT pixels either way, mirrors half of them."""
    count, _, size, _ = x.shape
    padded = F.pad(x, (SHIFT,) * 4)
    along = torch.arange(size)
    rows, columns = (along + torch.randint(2 * SHIFT + 1, (count, 1), generator=generator)
                     for _ in range(2))
    flipped = torch.rand(count, generator=generator) < 0.5
    columns[flipped] = columns[flipped].flip(1)
    picture = torch.arange(count)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cut_out(x, edge, generator):
    """Blanks a square of `edge` pixels, somewhere in each picture."""
    count, _, size, _ = x.shape
    along = torch.arange(size)
    first = torch.randint(size - edge + 1, (2, count, 1), generator=generator)
    inside = (along >= first) & (along < first + edge)
    return x.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def augment(pixels, run, size, generator):
    x = shift_and_flip(to_input(pixels), generator)
    if run.cutout:
        x = cut_out(x, run.cutout, generator)
    if size != SIZE:
        x = F.interpolate(x, (size, size), mode='bilinear', antialias=True)
    return x.contiguous(memory_format=torch.channels_last)


# Training.

class Average:
    """The exponential average of a network's weights and statistics. The first updates weigh more,
    so that the random start is forgotten."""

    def __init__(self, network):
        self.network = copy.deepcopy(network).eval()
        self.updates = 0

    @torch.no_grad()
    def update(self, network):
        self.updates += 1
        factor = min(AVERAGE_FACTOR, self.updates / (self.updates + 10))
        for mine, new in zip(self.network.state_dict().values(), network.state_dict().values()):
            if mine.is_floating_point():
                mine.lerp_(new, 1 - factor)
            else:
                mine.copy_(new)


def rate_at(progress, peak):
    """One cycle: a line up, half a cosine down to 0. progress: 0..1."""
    if progress < WARM_UP:
        return peak * progress / WARM_UP
    return peak * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def make_optimizer(network, run):
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim == 1]
    return torch.optim.SGD([{'params': weights, 'weight_decay': run.decay}, {'params': rest}],
                           lr=run.peak_rate, momentum=MOMENTUM, nesterov=True)


def train_epoch(state, run, number, pictures, options):
    """One pass over the pictures. Returns mean loss and the share that was right."""
    # a generator of its own for each epoch: resuming needs no more than the epoch's number
    generator = torch.Generator().manual_seed(options.seed * 1000003 + state.run * 1009 + number)
    order = torch.randperm(len(pictures.classes), generator=generator)
    batches = order.split(options.batch)
    size = SMALL_SIZE if number < run.small_epochs else SIZE
    state.network.train()
    loss_sum = right = 0
    for i, batch in enumerate(batches):
        rate = rate_at((number + (i + 1) / len(batches)) / run.epochs, run.peak_rate)
        for group in state.optimizer.param_groups:
            group['lr'] = rate
        x, wanted = augment(pictures.pixels[batch], run, size, generator), pictures.classes[batch]
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=options.bf16):
            logits = state.network(x)
        loss = F.cross_entropy(logits.float(), wanted, label_smoothing=run.smoothing)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        if (i + 1) % AVERAGE_EVERY == 0 or i + 1 == len(batches):
            state.average.update(state.network)
        loss_sum += loss.item() * len(batch)
        right += int((logits.argmax(1) == wanted).sum())
    return loss_sum / len(order), right / len(order)


@torch.no_grad()
def accuracy(network, pictures):
    """(top-1, top-5), as shares, in float32."""
    top1 = top5 = 0
    for pixels, wanted in zip(pictures.pixels.split(EVALUATION_BATCH),
                              pictures.classes.split(EVALUATION_BATCH)):
        logits = network(to_input(pixels))
        best = logits.topk(min(5, logits.shape[1])).indices
        hits = best == wanted[:, None]
        top1 += int(hits[:, 0].sum())
        top5 += int(hits.sum())
    return top1 / len(pictures.classes), top5 / len(pictures.classes)


def make_network(options, classes):
    """A ResNeXt-29 whose stem and first stage have options.width channels."""
    widths = [options.width << stage for stage in range(len(BLOCKS))]
    network = reference.build(3, options.width, reference.bottleneck, BLOCKS, widths,
                              [4 * width for width in widths], CARDINALITY, classes,
                              reference.Variant(attention=options.attention))
    reference.initialise(network)
    for block in network.modules():
        if isinstance(block, reference.Unit):  # each begins as its shortcut: the start is calm
            torch.nn.init.zeros_(block.bn3.weight)
    return network.to(memory_format=torch.channels_last)


class State:
    """What an interrupted training needs to go on: `run` and `epoch` are the next to do."""

    def __init__(self, options, classes, runs):
        torch.manual_seed(options.seed)
        self.settings = [options.seed, options.batch, options.bf16, options.width,
                         options.attention, classes, [dataclasses.astuple(run) for run in runs]]
        self.network = make_network(options, classes)
        self.start_run(0, runs[0])

    def start_run(self, number, run):
        if number:
            self.network.load_state_dict(self.average.network.state_dict())
        self.run, self.epoch = number, 0
        self.optimizer = make_optimizer(self.network, run)
        self.average = Average(self.network)

    def save(self, path):
        content = {'settings': self.settings, 'run': self.run, 'epoch': self.epoch,
                   'updates': self.average.updates, 'network': self.network.state_dict(),
                   'average': self.average.network.state_dict(),
                   'optimizer': self.optimizer.state_dict()}
        torch.save(content, path + '.new')
        os.replace(path + '.new', path)

    def load(self, path, runs):
        content = torch.load(path)
        if content['settings'] != self.settings:
            raise SystemExit(f'{path}: saved by a training with other options; use the same, '
                             'or leave out --resume')
        self.start_run(content['run'], runs[content['run']])
        self.epoch = content['epoch']
        self.network.load_state_dict(content['network'])
        self.average.network.load_state_dict(content['average'])
        self.average.updates = content['updates']
        self.optimizer.load_state_dict(content['optimizer'])


def shortened(runs, epochs):
    """The runs with other numbers of epochs; the share at SMALL_SIZE stays, 0 leaves a run out."""
    chosen = [dataclasses.replace(run, epochs=n,
                                  small_epochs=round(run.small_epochs * n / run.epochs))
              for run, n in zip(runs, epochs) if n]
    if not chosen:
        raise SystemExit('--epochs: at least one run must have an epoch')
    return chosen


def write_result(options, network, names):
    config = {'architecture': f'{options.attention}resnext29_{CARDINALITY}x'
                              f'{options.width // CARDINALITY}d',
              'num_classes': len(names), 'num_features': network.fc.in_features,
              'label_names': names,
              'pretrained_cfg': dict(WANTS, num_classes=len(names), first_conv='conv1',
                                     classifier='fc')}
    reference.write_model(options.out, network.state_dict(), config)


def fit(options, pictures, test=None, report=print):
    """Trains, writes the model folder options.out and returns the averaged network."""
    runs = shortened(RUNS, options.epochs)
    os.makedirs(options.out, exist_ok=True)
    checkpoint = os.path.join(options.out, 'checkpoint.pt')
    state = State(options, len(pictures.names), runs)
    if options.resume:
        state.load(checkpoint, runs)
    while True:
        run = runs[state.run]
        while state.epoch < run.epochs:
            began = time.monotonic()
            loss, right = train_epoch(state, run, state.epoch, pictures, options)
            speed = len(pictures.classes) / (time.monotonic() - began)
            state.epoch += 1
            state.save(checkpoint)
            line = (f'run {state.run + 1}/{len(runs)} epoch {state.epoch}/{run.epochs} '
                    f'loss {loss:.4f} train {right:.4f} {speed:.0f} images/s')
            if test:
                line += f' test {accuracy(state.average.network, test)[0]:.4f}'
            report(line)
        if state.run + 1 == len(runs):
            break
        state.start_run(state.run + 1, runs[state.run + 1])
    write_result(options, state.average.network, pictures.names)
    os.remove(checkpoint)
    return state.average.network


def evaluate(folder, source, report=print):
    """Reads the model folder back and measures it. Classes go by their names."""
    model, pictures = reference.Model(folder), load_pictures(source)
    strangers = set(pictures.names) - set(model.labels)
    if strangers:
        raise SystemExit(f'{source}: the model does not know {", ".join(sorted(strangers))}')
    own_ids = torch.tensor([model.labels.index(name) for name in pictures.names])
    pictures.classes = own_ids[pictures.classes]
    top1, top5 = accuracy(model.network, pictures)
    report(f'{folder}: {len(pictures.classes)} images, top-1 {top1:.4f}, top-5 {top5:.4f}')
    return top1, top5


def epoch_counts(text):
    parts = text.split(',')
    if len(parts) > len(RUNS) or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f'{text}: wanted are 1 to {len(RUNS)} numbers')
    return [int(part) for part in parts]


def positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'{text}: a number above 0 is wanted')
    return int(text)


def width(text):
    if positive(text) % CARDINALITY:
        raise argparse.ArgumentTypeError(f'{text}: a multiple of {CARDINALITY} is wanted')
    return int(text)


def attention(text):
    return '' if text == 'none' else text


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pictures', metavar='PICTURES', nargs='?', help='to train with')
    parser.add_argument('--out', metavar='FOLDER', required=True, help='the model folder')
    parser.add_argument('--test', metavar='PICTURES', help='to measure with, after every epoch')
    parser.add_argument('--evaluate', metavar='PICTURES',
                        help='train nothing: measure the model in --out with these')
    parser.add_argument('--epochs', metavar='N[,N]', type=epoch_counts,
                        default=[run.epochs for run in RUNS],
                        help='epochs of each run; the recipe: 26,10')
    parser.add_argument('--subset', metavar='N', type=positive,
                        help='train with about N pictures only')
    parser.add_argument('--width', metavar='N', type=width, default=WIDTH,
                        help=f'channels of the first stage; default: {WIDTH}')
    parser.add_argument('--attention', type=attention, choices=['', 'se', 'eca'], default='',
                        metavar='none|se|eca', help='of each block; default: none')
    parser.add_argument('--batch', metavar='N', type=positive, default=128, help='default: 128')
    parser.add_argument('--seed', metavar='N', type=int, default=0, help='default: 0')
    parser.add_argument('--threads', metavar='N', type=positive, help='default: one a CPU')
    parser.add_argument('--bf16', action=argparse.BooleanOptionalAction, default=True,
                        help='multiply in bfloat16')
    parser.add_argument('--resume', action='store_true', help='go on after the last whole epoch')
    options = parser.parse_args(arguments)
    if not options.pictures and not options.evaluate:
        parser.error('PICTURES or --evaluate is needed')
    return options


def work(options):
    if options.evaluate:
        evaluate(options.out, options.evaluate)
        return
    pictures = load_pictures(options.pictures, options.subset)
    print(f'{len(pictures.classes)} pictures of {len(pictures.names)} classes', flush=True)
    test = load_pictures(options.test) if options.test else None
    fit(options, pictures, test, report=lambda line: print(line, flush=True))
    if options.test:
        evaluate(options.out, options.test)


def main():
    options = parse(sys.argv[1:])
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        work(options)
    except (OSError, tarfile.TarError) as error:
        sys.exit(f'train.py: {error}')


if __name__ == '__main__':
    main()
