#!/usr/bin/python3
"""Writes the English names of the 1000 ImageNet classes, one a line, in order of class id.

usage: make_imagenet_labels.py > imagenet-1k.txt
Needs Debian's python3-torchvision, whose list of names this is.
"""
from torchvision.models import _meta

assert len(_meta._IMAGENET_CATEGORIES) == 1000
print("\n".join(_meta._IMAGENET_CATEGORIES))
