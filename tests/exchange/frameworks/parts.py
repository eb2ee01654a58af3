"""Parts of networks: layers with weights as after training."""

from __future__ import annotations

from typing import Any

from torch import nn


def scaled(layer: Any, gain: float) -> Any:
    """A layer with larger weights."""
    layer.weight.data *= gain
    return layer


def normed(channels: int, kind: Any = nn.BatchNorm2d) -> Any:
    """Batch normalization with statistics as after training."""
    layer = kind(channels)
    layer.running_mean.normal_(0, 0.2)
    layer.running_var.uniform_(0.1, 0.5)
    layer.weight.data.uniform_(0.5, 1.5)
    layer.bias.data.normal_(0.1, 0.2)
    return layer
