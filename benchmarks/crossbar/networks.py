"""lenet_mnist with the mean in place of the maximum: crossbars keep no maximum.

Its layers have the trained network's names, so that they take its weights.
"""

from __future__ import annotations

from torch import nn


def averaged_lenet() -> nn.Module:
    """Two convolutions and two linear layers; fan-in 25, 400, 1568 and 128."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
