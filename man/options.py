#!/usr/bin/python3
"""Writes the option tables of etc/resnextd.conf and man/resnextd.conf.5 from src/conf/options.def
and the lists of names that it refers to.

Run it after a change of these. With --check it changes nothing and fails if it would.
Both files keep what stands outside the two marked lines."""

import ast
import os
import re
import sys
import textwrap

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def read(path):
    """A file of the sources, without its comments."""
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)


def names():
    """The tables of names: those made from lists as in src/base/names.h, and of the kernels."""
    found = {"kernel_isa_choices": ["auto", *re.findall(r"^ISA\((\w+)", read("src/kernel/kernels.def"), re.M)]}
    for path in "src/base/log.h", "src/base/picture.h", "src/kernel/element.h":
        for name, body in re.findall(r"#define (\w+)_NAMES\(NAME\)((?:.*\\\n)*.*)", read(path)):
            found[name.lower() + "_names"] = re.findall(r'NAME\(\w+, "([^"]+)"\)', body)
    return found


def options():
    """Each option as (kind, key, when, arguments); a choice's names are a list."""
    tables = names()
    text = re.sub(r"\b(?:enum \w+|unsigned), (\w+)", lambda match: str(tables[match[1]]).replace("'", '"'),
                  read("src/conf/options.def"))
    call = re.compile(r'^(INTEGER|CHOICE|TEXT|TEXT_LIST)\((\w+), (RELOAD|RELOAD_IF_SET|RESTART),((?:[^"()]|"(?:[^"\\]|\\.)*")*)\)', re.M)
    found = [(kind, key, when, ast.literal_eval("(" + rest + ",)"))
             for kind, key, when, rest in call.findall(text)]
    left = re.sub(r"^#undef .*", "", call.sub("", text), flags=re.M).strip()
    if left:
        sys.exit("options.def has something that this script does not understand: " + left)
    return found


def sentences(kind, when, arguments):
    """The help text, then range and default."""
    if kind == "INTEGER":
        initial, least, most, unit, _ = arguments
        limits = f"{least} to {most} {unit}; default {initial}."
    elif kind == "CHOICE":
        limits = f"One of {', '.join(arguments[1])}; default {arguments[0]}."
    elif kind == "TEXT_LIST" and arguments[0]:
        limits = f"Default {arguments[0]}."
    else:
        limits = "Not set by default."
    if when == "RESTART":
        limits += " A change needs a restart."
    elif when == "RELOAD_IF_SET":
        limits += " Setting or unsetting it needs a restart."
    return arguments[-1][0].upper() + arguments[-1][1:] + ".", limits


def sample():
    for kind, key, when, arguments in options():
        comment = " ".join(sentences(kind, when, arguments))
        yield from textwrap.wrap(comment, 96, initial_indent="# ", subsequent_indent="# ")
        initial = "" if kind == "TEXT" else arguments[0]
        value = str(initial) if kind == "INTEGER" else f'"{initial}"'
        if kind == "TEXT_LIST":
            value = f"[ {value} ]" if initial else "[ ]"
        yield f"#{key} = {value};"
        yield ""


def lines_of(text):
    """Lines for mdoc, which wants every sentence to begin one."""
    for sentence in re.split(r"(?<=\.) (?=[A-Z])", text):
        yield from textwrap.wrap(sentence, 78)


def manual():
    for kind, key, when, arguments in options():
        text, limits = sentences(kind, when, arguments)
        yield f".It Ic {key}"
        yield from lines_of(text)
        yield ".br"
        yield from lines_of(limits)


def renewed(text, lines, mark):
    """`text` with `lines` between the lines that end in BEGIN and END."""
    begin, end = f"{mark} BEGIN options.def\n", f"{mark} END options.def\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return before + begin + "".join(line + "\n" for line in lines) + end + after


def main():
    check = sys.argv[1:] == ["--check"]
    stale = False
    for path, lines, mark in (("etc/resnextd.conf", sample(), "#"),
                              ("man/resnextd.conf.5", manual(), '.\\"')):
        full = os.path.join(TOP, path)
        with open(full, encoding="utf-8") as file:
            old = file.read()
        new = renewed(old, lines, mark)
        if old == new:
            continue
        stale = True
        if check:
            print(f"{path} is not what options.def says; run man/options.py", file=sys.stderr)
        else:
            with open(full, "w", encoding="utf-8") as file:
                file.write(new)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
