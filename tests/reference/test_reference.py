#!/usr/bin/python3
"""The reference is torchvision's network, and tests/data is what the scripts here make."""
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..'))
from tap import Tap, or_skip

with or_skip():
    import torch
    import draw_pictures
    import make_form_goldens
    import make_goldens
    import make_models
    import reference

DATA = os.path.join(HERE, '..', 'data')
TOLERANCE = 1e-4  # other versions and other CPUs add up in another order
SMALL_MODELS = ('tiny-imagenet-style', 'tiny-resnet18-style')


def read(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def through_a_file(network, scratch):
    """The same network, written as safetensors and built again from the shapes."""
    path = os.path.join(scratch, 'x.safetensors')
    reference.write_safetensors(path, network.state_dict())
    return reference.network_from_tensors(reference.read_safetensors(path))


def equals_torchvision(models, arguments, scratch):
    network = models.ResNet(**arguments)
    x = torch.randn(2, 3, 97, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.train()(x)
        theirs, ours = network.eval()(x), through_a_file(network, scratch)(x)
    return torch.allclose(theirs, ours, atol=1e-5)


def check_torchvision(scratch):
    try:
        from torchvision.models import resnet
    except ImportError as error:
        yield True, f'equals torchvision # SKIP {error}'
        return
    torch.manual_seed(0)
    kinds = {'basic blocks': dict(block=resnet.BasicBlock, layers=[2, 2, 1, 1], num_classes=7),
             'bottlenecks': dict(block=resnet.Bottleneck, layers=[1, 2, 1, 1], num_classes=7),
             'groups': dict(block=resnet.Bottleneck, layers=[1, 1, 2, 1], num_classes=7, groups=8,
                            width_per_group=4)}
    for name, arguments in kinds.items():
        yield equals_torchvision(resnet, arguments, scratch), f'equals torchvision: {name}'


def same_rows(again, kept, what):
    """All but the logits must be the same, which may be None."""
    again = list(again)
    heads = [[{**row, 'logits': row['logits'] is None} for row in rows] for rows in (again, kept)]
    off = [abs(x - y) for a, b in zip(again, kept)
           for x, y in zip(a['logits'] or (), b['logits'] or ())]
    holds = heads[0] == heads[1] and all(distance <= TOLERANCE for distance in off)
    return holds, f'{what} made again are off by {max(off):.1e}'


def check_data(scratch):
    goldens = json.loads(read(DATA, 'goldens.json'))
    pictures = os.path.join(scratch, 'pictures')
    draw_pictures.draw(pictures)
    names = sorted(os.listdir(pictures))
    yield names == sorted(os.listdir(os.path.join(DATA, 'pictures'))), 'no picture too many or few'
    if make_goldens.versions() == {key: goldens[key] for key in make_goldens.versions()}:
        differ = [name for name in names
                  if read(pictures, name) != read(DATA, 'pictures', name)]
        yield not differ, f'pictures drawn again are the same {differ or ""}'
    else:
        yield True, 'pictures drawn again are the same # SKIP other versions than in goldens.json'

    for name in SMALL_MODELS:
        make_models.MAKERS[name](scratch)
        for file in sorted(os.listdir(os.path.join(DATA, name))):
            if file == 'model.safetensors':
                continue
            yield read(scratch, name, file) == read(DATA, name, file), f'{name}/{file} made again'
        new, old = (reference.read_safetensors(os.path.join(folder, name, 'model.safetensors'))
                    for folder in (scratch, DATA))
        yield new.keys() == old.keys() and all(
            torch.allclose(new[key].float(), old[key].float(), rtol=1e-2, atol=1e-2)
            for key in old), f'{name}: the same tensors made again'

    yield same_rows(make_goldens.rows(DATA), goldens['rows'], 'goldens')
    forms = json.loads(read(DATA, 'forms.json'))
    yield same_rows(make_form_goldens.rows(), forms['rows'], 'goldens of the forms')


def main():
    torch.set_num_threads(1)
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        for check in (check_torchvision, check_data):
            for holds, what in check(scratch):
                tap.ok(holds, what)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
