#!/usr/bin/python3
"""tests/FAULTS.md has every row once, and names the tests of the rows: all that exist, and no other."""
import glob
import os
import re
import sys

from tap import Tap

SOURCE = os.environ.get('top_srcdir', '.')
PAGE = os.path.join('tests', 'FAULTS.md')
ROWS = range(1, 96)


def read(path):
    with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
        return file.read()


def existing():
    """(path, name) of every test of a row: the cases of scripts and of C suites."""
    paths = glob.glob(os.path.join(SOURCE, 'tests', '**', 'test_*.py'), recursive=True)
    paths += glob.glob(os.path.join(SOURCE, 'tests', '**', 'test_*.c'), recursive=True)
    for path in (os.path.relpath(path, SOURCE) for path in paths):
        text = read(path)
        for name in re.findall(r'^(?:def |START_TEST\()(rows?_\d\w*)\(?', text, re.M):
            yield path, name


def is_row(cells):
    """Of a line's cells between bars: a number, what must hold, tests, result, notes."""
    return len(cells) == 7 and cells[1].strip().isdigit()


def listed(page):
    """(row, [(path, name)]) for each row of the page. Names belong to the next path after them."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split('|')]
        if not is_row(cells):
            continue
        tests, names = [], []
        for span in re.findall(r'`([^`]+)`', cells[3]):
            if '/' not in span:
                names.append(span)
                continue
            tests += [(span, name) for name in names]
            names = []
        yield int(cells[1]), tests + [('', name) for name in names]


def problems_of(page, tests):
    """What is wrong with a page, given the tests that exist."""
    rows = list(listed(page))
    numbers = [number for number, _ in rows]
    found = [] if numbers == list(ROWS) else [f'the rows are {numbers}']
    for number, named in rows:
        found += [] if named else [f'row {number} has no test']
        found += [f'row {number} names {name}' for _, name in named
                  if not name.startswith(f'row_{number}_')]
        found += [f'{path} has no {name}' for path, name in named if (path, name) not in tests]
    everything = [test for _, named in rows for test in named]
    found += [f'{name} is named twice' for path, name in set(everything)
              if everything.count((path, name)) > 1]
    return found + [f'no row names {name} in {path}' for path, name in tests
                    if (path, name) not in everything]


def main():
    page, tests = read(PAGE), sorted(existing())
    name = re.search(r'`(row_20_\w+)`', page)[1]
    line = re.search(r'^\| 20 \|.*\n', page, re.M)[0]
    wrong = {
        'a row is missing': page.replace(line, ''),
        'a row is there twice': page.replace(line, line * 2),
        'a test has another name': page.replace(name, name + 's'),
        'a test is in another file': page.replace('`tests/integration/test_overload.py`',
                                                  '`tests/integration/test_http.py`'),
        'a test belongs to another row': page.replace('| 20 |', '| 21 |').replace(
            '| 21 | garbage', '| 20 | garbage'),
        'a row without a test': page.replace(line, '| 20 | nothing |  |  |  |\n'),
    }
    tap = Tap()
    tap.check(problems_of(page, tests), 'every row has its tests, every test its row')
    tap.check([f'passed: {what}' for what, text in wrong.items()
               if text == page or not problems_of(text, tests)] +
              ([] if problems_of(page, tests + [('tests/a/test_a.py', 'row_1_more')])
               else ['passed: a test that no row names']),
              'a page that is wrong is found out')
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
