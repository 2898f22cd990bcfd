#!/usr/bin/python3
"""Draws tests/bench/speed_light.svg and speed_dark.svg from the first table of BENCHMARKS.md.

Run it after a change of that table. With --check it changes nothing and fails if it would."""
import os
import re
import sys
from xml.sax.saxutils import escape

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
OURS = "resnextd"
PRECISIONS = ("float32", "bf16", "int8")
ROW = "resnext50_32x4d, {}, 1 thread, batch 1"
THEMES = {  # text, quiet text, our bars, the others' bars
    "light": ("#1f2328", "#59636e", "#0c6f66", "#c3c9d0"),
    "dark": ("#f0f6fc", "#9198a1", "#3fb6a8", "#4b535d"),
}
WIDTH, LEFT, RIGHT = 760, 260, 70
TOP_EDGE, BAR, STEP, GAP = 62, 16, 22, 22


def timings(page):
    """{precision: [(program, "N ms"), ...]}, fastest first, of the first table."""
    table = re.match(r"(\|.*\n)+", page[page.index("| measured "):]).group()
    found, what = {}, ""
    for line in table.splitlines()[2:]:
        measured, ours, other, theirs, _ = (cell.strip() for cell in line.strip("|").split("|"))
        what = measured or what
        for precision in PRECISIONS:
            if what == ROW.format(precision):
                bars = found.setdefault(precision, {OURS: ours} if ours else {})
                bars[other] = theirs
    return {p: sorted(found[p].items(), key=lambda bar: milliseconds(bar[1])) for p in PRECISIONS}


def milliseconds(cell):
    return float(cell.removesuffix(" ms"))


def drawing(groups, theme):
    strong, quiet, ours, others = THEMES[theme]
    longest = max(milliseconds(time) for bars in groups.values() for _, time in bars)
    rows, y = [], TOP_EDGE
    for precision, bars in groups.items():
        rows.append(f'<text x="0" y="{y + 13}" font-weight="600">{precision}</text>')
        for name, time in bars:
            is_ours = name == OURS
            width = round((WIDTH - LEFT - RIGHT) * milliseconds(time) / longest, 1)
            weight = ' font-weight="600"' if is_ours else f' fill="{quiet}"'
            rows += [
                f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end"{weight}>{escape(name)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{ours if is_ours else others}"/>',
                f'<text x="{round(LEFT + width + 8, 1)}" y="{y + 13}"{weight}>{time}</text>']
            y += STEP
        y += GAP
    height = y - GAP
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13" fill="{strong}">',
        "<title>Milliseconds per image of ResNeXt-50 on one thread</title>",
        '<text x="0" y="18" font-size="16" font-weight="600">ResNeXt-50 32x4d: milliseconds per image</text>',
        f'<text x="0" y="38" fill="{quiet}">One thread, batch 1, AMD EPYC (Zen 4). Shorter is better.</text>']
    return "\n".join([*head, *rows, "</svg>", ""])


def main():
    check = sys.argv[1:] == ["--check"]
    with open(os.path.join(TOP, "BENCHMARKS.md"), encoding="utf-8") as file:
        groups = timings(file.read())
    stale = 0
    for theme in THEMES:
        name = f"tests/bench/speed_{theme}.svg"
        path, new, old = os.path.join(TOP, name), drawing(groups, theme), None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                old = file.read()
        if old == new:
            continue
        if check:
            print(f"{name} is not what BENCHMARKS.md says; run tests/bench/plot.py", file=sys.stderr)
            stale = 1
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
    return stale


if __name__ == "__main__":
    sys.exit(main())
