"""Interleaved measurements, and the Markdown table made of them."""
import math
import statistics
import sys
import time

from parties import Failed, say


class Progress:
    """One line on a terminal, nothing elsewhere."""

    def __init__(self):
        self.started = time.monotonic()
        self.shows = sys.stderr.isatty()

    def step(self, what, done, total):
        if self.shows:
            print(f"\r\033[K{time.monotonic() - self.started:4.0f} s  {done}/{total}  {what}"[:110],
                  end="", file=sys.stderr, flush=True)

    def clear(self):
        if self.shows:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def interleave(title, subjects, rounds, progress):
    """Calls each subject (name -> function that returns a number) once a round, one after the other, so
    that noise hits all alike. Name -> numbers; one that fails is named and left out from then on."""
    figures = {name: [] for name in subjects}
    failed = set()
    for i in range(rounds):
        for j, (name, measure) in enumerate(subjects.items()):
            if name in failed:
                continue
            progress.step(f"{title}: {' '.join(map(str, name))}", i * len(subjects) + j + 1,
                          rounds * len(subjects))
            try:
                figures[name].append(measure())
            except Failed as reason:
                progress.clear()
                say(f"left out: {title}: {' '.join(map(str, name))}: {reason}")
                failed.add(name)
    progress.clear()
    return {name: numbers for name, numbers in figures.items() if name not in failed}


def significant(number):
    """Three digits or more, without an exponent."""
    digits = 2 - math.floor(math.log10(abs(number))) if number else 0
    return f"{number:.{max(0, digits)}f}"


def ratio(here, there):
    """The median of the rounds' quotients, with the range if there were several."""
    quotients = [a / b for a, b in zip(here, there)]
    middle = f"{statistics.median(quotients):.2f}"
    if len(quotients) == 1:
        return middle
    return f"{middle} ({min(quotients):.2f}-{max(quotients):.2f})"


class Table:
    """Rows: what was measured, here, against what, there, here / there."""

    def __init__(self):
        self.rows = []

    def add(self, what, here, unit, against="", there=None):
        """`here` and `there` are lists with a number a round."""
        if here is None:
            return
        row = [what, f"{significant(statistics.median(here))} {unit}", "", "", ""]
        if there is not None:
            row[2:] = [against, f"{significant(statistics.median(there))} {unit}", ratio(here, there)]
        self.rows.append(row)

    def markdown(self):
        lines = ["| measured | resnextd | against | that | resnextd / that |",
                 "| --- | ---: | --- | ---: | ---: |"]
        before = None
        for row in self.rows:
            shown = row if row[:2] != before else ["", "", *row[2:]]
            lines.append("| " + " | ".join(shown) + " |")
            before = row[:2]
        return "\n".join(lines) + "\n"
