"""A small YOLO-style network: six convolutions, batch normalization, three max-pools, raw maps out.

``detector.py:leaky_detector`` and ``detector.py:relu_detector`` are what ``neurodeploy convert``
takes.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch
from boxes import CHANNELS
from torch import nn

WIDTHS = (16, 32, 64, 64, 64)
POOLED = 3
LEAKY_SLOPE = 0.1
BATCH = 100


def detector(slope: float) -> nn.Sequential:
    """``[B, 1, 64, 64]`` to ``[B, 15, 8, 8]``; slope 0: ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = 1
    for number, width in enumerate(WIDTHS, 1):
        layers[f"conv{number}"] = nn.Conv2d(before, width, 3, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"act{number}"] = nn.LeakyReLU(slope) if slope else nn.ReLU()
        if number <= POOLED:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        before = width
    layers["maps"] = nn.Conv2d(before, CHANNELS, 1)
    return nn.Sequential(layers)


def leaky_detector() -> nn.Sequential:
    return detector(LEAKY_SLOPE)


def relu_detector() -> nn.Sequential:
    return detector(0.0)


def maps_of(network: nn.Module, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Raw maps of the source network in evaluation mode: ``[N, 15, 8, 8]``."""
    with torch.no_grad():
        return np.concatenate([network(part).numpy() for part in torch.from_numpy(x).split(BATCH)])
