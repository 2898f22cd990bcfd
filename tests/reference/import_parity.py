#!/usr/bin/python3
"""resnext import: files that PyTorch itself saved give folders that verify, with PyTorch's logits.

Both forms of torch.save, tensors with channels last, a checkpoint of timm's training script with
averaged weights, and one in Lightning's form. Needs torch and torchvision, and for one case timm;
skips without them. Any Python that has them can run it.
"""
import argparse
import collections
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('top_srcdir', '.')
BUILD = os.environ.get('top_builddir', '.')
TOOL, FORWARD = (os.path.join(BUILD, name) for name in ('resnext', 'tests/model/forward'))
sys.path.insert(0, os.path.join(SOURCE, 'tests'))
from tap import Tap, or_skip, skip_all

with or_skip():
    import numpy as np
    import torch
    import torchvision
try:
    import timm
    from timm.utils import CheckpointSaver, ModelEmaV2
except ImportError:
    timm = None

TOLERANCE = 4e-6  # of the largest logit
SIZE = 96
OLD = {'_use_new_zipfile_serialization': False}


def pictures(count):
    """Soft shapes, normalised."""
    return torch.nn.functional.interpolate(torch.randn(count, 3, 6, 6), SIZE, mode='bilinear',
                                           align_corners=False)


@torch.no_grad()
def trained_looking(network):
    """Gives a network batch-norm statistics, and scale and shift that matter. Those at the end of a
    block are small: a network of random weights would else magnify each rounding error."""
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            scale = 0.2 if name.endswith('bn3') else 1
            torch.nn.init.uniform_(module.weight, 0.5 * scale, 1.5 * scale)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None
    network.train()(pictures(16))
    return network.eval()


def torchvision_network():
    return trained_looking(torchvision.models.resnext50_32x4d(num_classes=7))


def state_dicts(path):
    network = torchvision_network()
    for form, options in (('zip', {}), ('the older form', OLD)):
        torch.save(network.state_dict(), path, **options)
        yield f'a state dict, {form}', network, ()
        torch.save(network.to(memory_format=torch.channels_last).state_dict(), path, **options)
        yield f'channels last, {form}', network, ()
        network.to(memory_format=torch.contiguous_format)
    torch.save(torch.nn.DataParallel(network).state_dict(), path)
    yield 'DataParallel', network, ()
    torch.save(dict(network.named_parameters()) | dict(network.named_buffers()), path)
    yield 'parameters', network, ()
    half = torchvision_network().half()
    torch.save(half.state_dict(), path)
    yield 'half precision', half.float(), ()
    double = torchvision_network()
    torch.save(double.double().state_dict(), path)
    yield 'double precision', double.float(), ()


def lightning(path):
    network = torchvision_network()
    optimizer = torch.optim.Adam(network.parameters())
    network(pictures(1)).sum().backward()
    optimizer.step()
    torch.save({
        'epoch': 3, 'global_step': 100, 'pytorch-lightning_version': '2.1.0',
        'state_dict': collections.OrderedDict((f'model.{k}', v)
                                              for k, v in network.state_dict().items()),
        'loops': {'fit_loop': {'state_dict': {}, 'epoch_progress': {'current': {'ready': 4}}}},
        'callbacks': {'ModelCheckpoint{}': {'best_model_score': torch.tensor(0.5), 'dirpath': '/a'}},
        'optimizer_states': [optimizer.state_dict()], 'lr_schedulers': [],
        'hparams_name': 'kwargs', 'hyper_parameters': {'lr': 1e-3}}, path)
    yield 'Lightning', network, ()


def timm_checkpoint(path):
    if not timm:
        return
    network = trained_looking(timm.create_model('resnext50_32x4d', num_classes=7))
    average = ModelEmaV2(network, decay=0.5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    network(pictures(2)).square().sum().backward()
    optimizer.step()
    average.update(network)
    args = argparse.Namespace(model='resnext50_32x4d', img_size=SIZE, mean=None, crop_pct=None,
                              std=None, interpolation='', num_classes=7, opt='sgd')
    with tempfile.TemporaryDirectory() as folder:
        saver = CheckpointSaver(network, optimizer, args=args, model_ema=average,
                                checkpoint_dir=folder, recovery_dir=folder)
        saver.save_checkpoint(1, metric=0.5)
        os.replace(os.path.join(folder, 'last.pth.tar'), path)
        yield 'timm, averaged weights', average.module.eval(), ()
        yield 'timm, the last weights', network.eval(), ('--key', 'state_dict')


@torch.no_grad()
def off_by(network, folder):
    """How far the logits are off, as a share of the largest."""
    torch.manual_seed(3)
    batch = pictures(2)
    expected = network(batch).numpy()
    done = subprocess.run([FORWARD, folder], stdout=subprocess.PIPE, check=True,
                          input=batch.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
    got = np.frombuffer(done.stdout, np.float32).reshape(expected.shape)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def main():
    if not os.access(TOOL, os.X_OK) or not os.access(FORWARD, os.X_OK):
        skip_all('the tool is not built')
    torch.set_num_threads(1)
    torch.manual_seed(5)
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        path, number = os.path.join(scratch, 'file.pth'), 0
        for make in (state_dicts, lightning, timm_checkpoint):
            for name, network, options in make(path):
                number += 1
                out = os.path.join(scratch, str(number))
                for words in (('import', '--size', str(SIZE), *options, path, out), ('verify', out)):
                    subprocess.run([TOOL, *words], stdout=subprocess.DEVNULL, check=True)
                off = off_by(network, out)
                tap.ok(off <= TOLERANCE, f'{name}: off by {off:.1e} of the largest logit')
        torch.save(torchvision_network(), path)
        done = subprocess.run([TOOL, 'import', path, os.path.join(scratch, 'out')],
                              stderr=subprocess.PIPE, check=False, text=True)
        tap.ok(done.returncode == 1 and 'torchvision.models.resnet.ResNet' in done.stderr,
               f'a whole module is refused by its name (PyTorch {torch.__version__})')
    return tap.end()


sys.exit(main())
