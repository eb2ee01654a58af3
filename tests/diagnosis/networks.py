"""A small trained-looking network, its data, and its conversions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.network import Network

SHAPE = (1, 6, 6)


def dataset(split: str, samples: int = 24, labels: bool = True) -> Samples:
    """Random images in [0, 1]."""
    rng = np.random.default_rng(samples)
    x = rng.random((samples, *SHAPE)).astype(np.float32)
    y = rng.integers(0, 3, samples) if labels else None
    return Samples(x, y, split=split, name="random")


def module(outputs: int = 3) -> nn.Module:
    """Convolution, pooling and two dense layers; populations relu_1, max_pool_2, relu_5, output."""
    torch.manual_seed(3)
    layers = (
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 12),
        nn.ReLU(),
        nn.Linear(12, outputs),
    )
    network = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for layer in (network[0], network[4], network[6]):
            # Activations that differ between samples, rather than biases alone.
            layer.weight.mul_(3.0)
            layer.bias.mul_(0.3)
    return network


def converted(timesteps: int = 8, outputs: int = 3, **options: Any) -> Network:
    """The network as a real-valued netlist, calibrated on random images."""
    data = dataset("train", 32, labels=outputs > 1)
    options = {"method": "rate", "timesteps": timesteps, "calibration_samples": 32, **options}
    return nd.convert(module(outputs), data, **options)
