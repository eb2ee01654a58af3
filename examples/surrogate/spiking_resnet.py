"""A small residual network of snnTorch neurons: convolutions, batch normalization, a shortcut.

``forward`` is one step. The same image enters in each of them, and their answers are added up.
"""

from __future__ import annotations

import snntorch as snn
from snntorch import surrogate
from torch import Tensor, nn

BETA = 0.5
"""What a membrane keeps from one step to the next."""


def spiking() -> snn.Leaky:
    """Leaky neurons; above 1 they fire, and lose 1 in the next step."""
    return snn.Leaky(beta=BETA, spike_grad=surrogate.atan(), init_hidden=True)


class SpikingResNet(nn.Module):
    """From images ``[B, 1, side, side]`` to the answers of one step ``[B, 10]``."""

    def __init__(self, side: int, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False)
        self.stem_norm, self.stem_spikes = nn.BatchNorm2d(channels), spiking()
        self.inner = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.inner_norm, self.inner_spikes = nn.BatchNorm2d(channels), spiking()
        self.outer = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.outer_norm, self.outer_spikes = nn.BatchNorm2d(channels), spiking()
        self.down = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.down_norm, self.down_spikes = nn.BatchNorm2d(2 * channels), spiking()
        self.answer = nn.Linear(2 * channels * (-(-side // 4)) ** 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem_spikes(self.stem_norm(self.stem(x)))
        inner = self.inner_spikes(self.inner_norm(self.inner(stem)))
        # The shortcut: spikes of the stem reach the membranes beside the second convolution.
        outer = self.outer_spikes(self.outer_norm(self.outer(inner)) + stem)
        down = self.down_spikes(self.down_norm(self.down(outer)))
        return self.answer(down.flatten(1))


def mnist_network() -> nn.Module:
    """Give the untrained network for images of 28 x 28 pixels."""
    return SpikingResNet(28)


def digits_network() -> nn.Module:
    """Give the untrained network for the images of 8 x 8 pixels that scikit-learn carries."""
    return SpikingResNet(8)
