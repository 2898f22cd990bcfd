#!/usr/bin/env python3
"""Writes tests/data/timm_networks.tsv: the ResNets of timm that templates make, with their parameters and
the number of their convolutions and fully connected layers.

usage: timm_networks.py > tests/data/timm_networks.tsv
Needs timm 1.0.31 and torch from pip. No weights are made.
"""
import timm
import torch

LAYERS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Linear)

names = timm.list_models(module='resnet') + timm.list_models(module='senet')
for name in names:
    if name == 'resnet50_gn' or name.endswith('_pruned'):
        continue  # group norm is not served; widths of pruned networks are in their weights alone
    with torch.device('meta'):
        network = timm.create_model(name)
    parameters = sum(p.numel() for p in network.parameters())
    print(name, parameters, sum(isinstance(m, LAYERS) for m in network.modules()), sep='\t')
