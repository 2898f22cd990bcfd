#!/usr/bin/python3
"""The whole way from a JPEG file to logits, held against what PyTorch and Pillow gave.

tests/data holds our own pictures and models, and is always checked. The larger sets (photos, the
CIFAR-10 sample) lie outside the tree, in top_srcdir/../shared, and are checked where they exist.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

from tap import Tap

TOP_SRCDIR = os.environ.get('top_srcdir', '.')
TOP_BUILDDIR = os.environ.get('top_builddir', '.')
TOOL = os.path.join(TOP_BUILDDIR, 'resnext')
DATA = os.path.join(TOP_SRCDIR, 'tests', 'data')
CIFAR_MODEL = os.path.join(TOP_SRCDIR, 'models', 'resnext29-cifar10')
SHARED = os.path.join(TOP_SRCDIR, '..', 'shared')
TOLERANCE = 2e-4
TIMEOUT_S = 600


def run_tool(*arguments):
    """The JSON objects it prints, one a line. Raises if it fails."""
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(arguments[:3])} ... gave exit code {done.returncode}: '
                           f'{done.stderr.strip()[-500:]}')
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(answers, wanted):
    """answers: of `resnext classify --json --logits`. wanted: [(file, top-1 class, its label or
    None, logits)]. What is wrong, in words."""
    problems = []
    if [answer['file'] for answer in answers] != [row[0] for row in wanted]:
        return ['not one answer a file, in order']
    worst = 0.0
    for answer, (file, top1, label, logits) in zip(answers, wanted):
        if len(answer['logits']) != len(logits):
            problems.append(f'{file}: {len(answer["logits"])} logits, not {len(logits)}')
            continue
        off = [abs(mine - theirs) for mine, theirs in zip(answer['logits'], logits)]
        worst = max(worst, *off)
        if not all(distance <= TOLERANCE for distance in off):  # NaN is not, either
            problems.append(f'{file}: logits are off by {max(off):.6f}')
        best = answer['predictions'][0]
        if best['class_id'] != top1 or (label is not None and best['label'] != label):
            problems.append(f'{file}: {best["class_id"]} ({best["label"]}), not {top1} ({label})')
    print(f'# {len(wanted)} pictures, largest difference {worst:.2e}')
    return problems


def compare(tap, what, model, wanted, *options):
    files = [row[0] for row in wanted]
    try:
        problems = differences(run_tool('classify', '--json', '--logits', '--precision', 'f32',
                                        *options, model, *files), wanted)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        problems = [f'{type(error).__name__}: {error}']
    tap.check(problems, what)


def check_own_pictures(tap):
    with open(os.path.join(DATA, 'goldens.json'), encoding='utf-8') as file:
        rows = json.load(file)['rows']
    pictures = set(glob.glob(os.path.join(DATA, 'pictures', '*.jpg')))
    for model in sorted({row['model'] for row in rows}):
        wanted = [(os.path.join(DATA, row['picture']), row['top1'], row['label'], row['logits'])
                  for row in rows if row['model'] == model]
        missing = pictures - {row[0] for row in wanted}
        tap.check(sorted(missing), f'{os.path.basename(model)}: every picture has a golden')
        compare(tap, f'{os.path.basename(model)}: logits of our pictures',
                os.path.join(DATA, model), wanted)


def folder_with(scratch, model, changes):
    """A copy of a model folder with other values in its pretrained_cfg."""
    folder = os.path.join(scratch, 'changed-model')
    shutil.copytree(model, folder)
    path = os.path.join(folder, 'config.json')
    os.chmod(folder, 0o755)
    with open(path, encoding='utf-8') as file:
        config = json.load(file)
    config['pretrained_cfg'].update(changes)
    os.remove(path)
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file)
    return folder


def check_photos(tap, scratch):
    goldens = os.path.join(SHARED, 'data', 'golden_mini_imagenet.json')
    variants = {'bilinear_0.965': {},
                'bicubic_0.95': {'interpolation': 'bicubic', 'crop_pct': 0.95}}
    if not os.path.exists(goldens):
        for name in variants:
            tap.skip(f'photos, {name}', f'no {goldens}')
        return
    with open(goldens, encoding='utf-8') as file:
        content = json.load(file)
    model = os.path.join(SHARED, content['model'])
    for name, changes in variants.items():
        wanted = [(os.path.join(SHARED, 'data', 'photos', row['image']), row[name]['top1'], None,
                   row[name]['logits']) for row in content['rows']]
        compare(tap, f'photos, {name}',
                folder_with(scratch, model, changes) if changes else model, wanted,
                '--exif-orientation', 'ignore')  # as those logits were made


def check_cifar_predictions(folder, predicted):
    files = [os.path.join(folder, name) for name in sorted(predicted)]
    answers = run_tool('classify', '--json', '--precision', 'f32', CIFAR_MODEL, *files)
    problems = []
    if [answer['file'] for answer in answers] != files:
        problems.append('not one answer a file, in order')
    for answer in answers:
        name = os.path.relpath(answer['file'], folder)
        best = answer['predictions'][0]['class_id']
        if best != predicted.get(name):
            problems.append(f'{name}: {best}, not {predicted.get(name)}')
    return problems


def check_cifar_accuracy(folder, expected):
    answer, = run_tool('eval', '--json', '--precision', 'f32', CIFAR_MODEL, folder)
    wanted = {'images': expected['images'], 'failed': 0, 'top1': expected['top1'],
              'top5': expected['top5']}
    return [f'{key} is {answer.get(key)}, not {value}' for key, value in wanted.items()
            if answer.get(key) is None or abs(answer[key] - value) > 1e-9]


def check_cifar(tap, scratch):
    archive = os.path.join(SHARED, 'data', 'cifar10_dev.tar')
    checks = {'CIFAR-10 sample: class of every picture':
              lambda folder, expected: check_cifar_predictions(folder, expected['predicted']),
              'CIFAR-10 sample: accuracy': check_cifar_accuracy}
    if not os.path.exists(archive):
        for what in checks:
            tap.skip(what, f'no {archive}')
        return
    with open(os.path.join(SHARED, 'data', 'cifar10_dev_expected.json'), encoding='utf-8') as file:
        expected = json.load(file)
    subprocess.run(['tar', '-xf', archive, '-C', scratch], check=True)
    folder = os.path.join(scratch, 'cifar10_dev')
    for what, check in checks.items():
        try:
            problems = check(folder, expected)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            problems = [f'{type(error).__name__}: {error}']
        tap.check(problems, what)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        check_own_pictures(tap)
        check_photos(tap, scratch)
        check_cifar(tap, scratch)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
