#!/usr/bin/python3
"""Fails if a relative link of a Markdown page below a folder leads to no file or no heading."""
import os
import re
import sys
import urllib.parse

PAGES = ("README.md", "BENCHMARKS.md", "CAPACITY.md", "RECIPES.md", "SECURITY.md", "clients/README.md",
         "clients/python/README.md", "models/resnext29-cifar10/README.md", "src/nn/PAPER.md",
         "src/nn/VARIANTS.md", "tests/FAULTS.md", "tests/reference/README.md")
LINK = re.compile(r'\]\(([^()\s]+)\)|(?:src|srcset|href)="([^"]+)"')


def text_of(path):
    """A page without its blocks of code."""
    with open(path, encoding="utf-8") as file:
        return re.sub(r"^```.*?^```", "", file.read(), flags=re.M | re.S)


def headings(path):
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text_of(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(top, page):
    """The links of a page that lead nowhere."""
    for match in LINK.finditer(text_of(os.path.join(top, page))):
        link = match.group(1) or match.group(2)
        if urllib.parse.urlparse(link).scheme:
            continue
        name, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(top, os.path.dirname(page), name)) if name else os.path.join(top, page)
        if not os.path.exists(target) or (anchor and anchor not in headings(target)):
            yield link


def main():
    found = [f"{page}: {link}" for page in PAGES for link in broken(sys.argv[1], page)]
    for line in found:
        print(f"# {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
