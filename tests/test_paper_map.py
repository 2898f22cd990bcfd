#!/usr/bin/python3
"""src/nn/PAPER.md and VARIANTS.md name only what exists: files, and functions or tables that those
files define.

In a line of a page, a name in back quotes belongs to the next file in back quotes after it.
"""
import os
import re
import sys

from tap import Tap

SOURCE = os.environ.get('top_srcdir', '.')
# What each page has a row for.
PAGES = {
    'PAPER.md': ['rule 1', 'rule 2', 'Table 1', 'Table 2', 'Equation 1', 'Equation 2', 'Equation 3',
                 'equation 4', 'Figure 3(b)', 'Figure 3(c)', 'Figure 4'],
    'VARIANTS.md': ['deep stem', 'tiered stem', '(rs)', '(d,', '(aa)', '(blur)', '(se)', '(ese)',
                    '(eca)', 'first 1x1', '(senet)', '(legacy)', '(pruned)'],
}


def defines(text, name):
    """A function, a test case, a table or a row of this name, in C or Python."""
    word = re.escape(name)
    return re.search(rf"^START_TEST\({word}\)$|^def {word}\(|^    '{word}': \(|"
                     rf'^[a-z][^;=]*\b{word}\([^;]*\)\s*\{{|'
                     rf'^(static |const |\}} )[^;()]*\b{word}(\[\])? = \{{', text, re.M) is not None


def problems_of(line):
    """Names of a line that do not exist."""
    found, names = [], []
    for span in re.findall(r'`([^`]+)`', line):
        if '/' not in span:
            names.append(span)
            continue
        path = os.path.join(SOURCE, span)
        if os.path.isfile(path):
            with open(path, encoding='utf-8') as file:
                text = file.read()
            found += [f'{span} has no {name}' for name in names if not defines(text, name)]
        elif not os.path.isdir(path):
            found.append(f'there is no {span}')
        names = []
    return found + [f'no file behind {name}' for name in names]


def check_page(tap, page, statements):
    with open(os.path.join(SOURCE, 'src', 'nn', page), encoding='utf-8') as file:
        lines = file.read().splitlines()
    rows = [line for line in lines if line.startswith('| ')][2:]
    cells = [line.split('|')[1] for line in rows]
    tap.check([p for line in lines for p in problems_of(line)],
              f'every file and function of {page} exists')
    tap.check([f'no row for {s}' for s in statements if not any(s in c for c in cells)] +
              [f'a row without a test: {row}' for row in rows if '`tests/' not in row],
              f'every statement of {page} has a row, and every row a test')


def main():
    wrong = [
        '`src/nn/absent.c`', '`no_such_function` in `src/nn/layer.c`', '`layer_parameters`',
        '`layer_parameters` in `src/nn/pool.c`', '`no_such_test` in `tests/nn/test_forms.c`',
        '`weight_count`, `no_such_function` in `src/nn/layer.c`',
        '`no_such_row` in `tests/model/test_parity.py`',
        # called there, not defined
        '`network_create` in `tests/nn/production.c`',
    ]
    tap = Tap()
    for page, statements in PAGES.items():
        check_page(tap, page, statements)
    tap.check([f'passed: {line}' for line in wrong if not problems_of(line)],
              'made-up names are found out')
    return tap.end()


sys.exit(main())
