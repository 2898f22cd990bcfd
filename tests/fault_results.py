#!/usr/bin/python3
"""Prints tests/FAULTS.md with the results of a build folder's last test logs; --update writes them there.

usage: fault_results.py BUILD [--update]

A row has passed if each of its tests did. Tests that make check does not run, as those under systemd, count
if their output was kept as BUILD/PATH.log."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import test_fault_table

WORST_FIRST = ('failed', 'not run', 'skipped', 'passed')


def outcomes(build, path):
    """{name: result} from a test's log in TAP; a test that runs several times has its worst."""
    log = os.path.join(build, re.sub(r'\.c$', '', path) + '.log')
    found = {}
    if not os.path.exists(log):
        return found
    with open(log, encoding='utf-8', errors='replace') as file:
        lines = re.findall(r'^(not ok|ok) \d+ - (.*)', file.read(), re.M)
    for verdict, text in lines:
        name = re.search(r'row[ _]\d+[ _][a-z0-9_ ]+', text)
        if name:
            result = 'failed' if verdict != 'ok' else 'skipped' if '# SKIP' in text else 'passed'
            name = name[0].strip().replace(' ', '_')
            found[name] = worst([result, found.get(name, 'passed')])
    return found


def worst(results):
    return min(results, key=WORST_FIRST.index)


def with_results(page, build):
    """The page, its third column filled anew."""
    logs, lines = {}, []
    rows = dict(test_fault_table.listed(page))
    for line in page.splitlines(keepends=True):
        cells = line.split('|')
        if test_fault_table.is_row(cells):
            tests = rows[int(cells[1])]
            for path, _ in tests:
                logs.setdefault(path, outcomes(build, path))
            cells[4] = f' {worst([logs[path].get(name, "not run") for path, name in tests])} '
        lines.append('|'.join(cells))
    return ''.join(lines)


def main(words):
    if len(words) not in (1, 2) or words[1:] not in ([], ['--update']):
        print(__doc__, file=sys.stderr)
        return 2
    page = with_results(test_fault_table.read(test_fault_table.PAGE), words[0])
    if words[1:]:
        with open(os.path.join(test_fault_table.SOURCE, test_fault_table.PAGE), 'w', encoding='utf-8') as file:
            file.write(page)
    else:
        print(page, end='')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
