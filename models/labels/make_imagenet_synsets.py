#!/usr/bin/python3
"""Writes the WordNet ids of the 1000 ImageNet classes, one a line, in order of class id.

usage: make_imagenet_synsets.py > imagenet-1k-synsets.txt
Needs timm (pip install --no-deps timm), whose list this is. The names of imagenet-1k.txt beside it are
compared with the words that timm has for each.
"""
import importlib.util
import os

info = os.path.join(os.path.dirname(importlib.util.find_spec("timm").origin), "data", "_info")
with open(os.path.join(info, "imagenet_synsets.txt"), encoding="utf-8") as file:
    synsets = file.read().split()
with open(os.path.join(info, "imagenet_synset_to_lemma.txt"), encoding="utf-8") as file:
    words = dict(line.rstrip("\n").split("\t") for line in file)
with open(os.path.join(os.path.dirname(__file__), "imagenet-1k.txt"), encoding="utf-8") as file:
    names = file.read().splitlines()

assert len(synsets) == len(names) == 1000
for synset, name in zip(synsets, names):
    # "crane bird" and "maillot tank suit" are told apart from their namesakes.
    assert name.lower().startswith(words[synset].split(",")[0].lower()), (synset, name, words[synset])
print("\n".join(synsets))
