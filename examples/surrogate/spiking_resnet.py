"""A small residual network of snnTorch neurons: convolutions, batch normalization, a shortcut.

Its neurons spike in training already. ``forward`` is one step: the same image enters in each of
them, and the answers of all steps are added up.
"""

from __future__ import annotations

import snntorch as snn
from snntorch import surrogate
from torch import Tensor, nn

BETA = 0.5
"""What a membrane keeps from one step to the next."""


def spiking() -> snn.Leaky:
    """Leaky neurons with the threshold 1, which a spike subtracts in the next step."""
    return snn.Leaky(beta=BETA, spike_grad=surrogate.atan(), init_hidden=True)


class SpikingResNet(nn.Module):
    """From an image ``[B, 1, H, W]`` to the answers of one step ``[B, 10]``."""

    def __init__(self, channels: int = 16, side: int = 28) -> None:
        super().__init__()
        half, quarter = -(-side // 2), -(-side // 4)
        self.stem = nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False)
        self.norm0, self.spike0 = nn.BatchNorm2d(channels), spiking()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.spike1 = nn.BatchNorm2d(channels), spiking()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2, self.spike2 = nn.BatchNorm2d(channels), spiking()
        self.down = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm3, self.spike3 = nn.BatchNorm2d(2 * channels), spiking()
        self.answer = nn.Linear(2 * channels * quarter * quarter, 10)
        self.side, self.half = side, half

    def forward(self, x: Tensor) -> Tensor:
        stem = self.spike0(self.norm0(self.stem(x)))
        inner = self.spike1(self.norm1(self.conv1(stem)))
        # The shortcut ends in the membrane: spikes of the stem arrive beside the convolution's.
        block = self.spike2(self.norm2(self.conv2(inner)) + stem)
        return self.answer(self.spike3(self.norm3(self.down(block))).flatten(1))


def network() -> nn.Module:
    """Give the untrained network for MNIST's images."""
    return SpikingResNet()
