"""Does a deep residual network keep its activations? ResNet-32, random and trained.

    python -m benchmarks.conversion.depth

ResNet-32 as on CIFAR (3 stages of 5 blocks, 16 to 64 channels, shortcuts that subsample and pad),
on the digits of scikit-learn enlarged to 16 x 16. With random weights, its batch norms have seen
the data; trained, it has learned them for a minute or two. Both are converted anew for each T and
method; the table gives the correlation of every layer's coded values with the source network's
activations: the least of all layers, and the last one's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import neurodeploy as nd
from neurodeploy.datasets import Samples, load_dataset
from neurodeploy.render.text import render_table

SIDE = 16
BATCH = 64
LEARNING_RATE = 0.02
METHODS = (("rate", 32), ("signed-memory", 32), ("graded", 4))


class Block(nn.Module):
    """Two convolutions beside a shortcut without parameters."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.stride = 1 if channels_in == channels else 2
        self.conv1 = nn.Conv2d(channels_in, channels, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.more = channels - channels_in

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short = x
        if self.more:
            half = self.more // 2
            short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.more - half))
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + short)


def resnet(blocks: int = 5, width: int = 16) -> nn.Module:
    """A CIFAR ResNet of 6 ``blocks`` + 2 layers, for one channel and ten classes."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    channels = width
    for stage in range(3):
        for _ in range(blocks):
            layers.append(Block(channels, width << stage))
            channels = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def enlarged_digits() -> tuple[Samples, Samples]:
    """The training and the test digits, 16 x 16."""
    parts = []
    for split in ("train", "test"):
        data = load_dataset("digits", split)
        x = np.asarray(data.x).repeat(2, axis=2).repeat(2, axis=3)
        name = f"digits {SIDE}x{SIDE}"
        parts.append(Samples(x, data.y, split=split, name=name, levels=255))
    return parts[0], parts[1]


def seen(module: nn.Module, x: np.ndarray[Any, Any], passes: int = 20) -> nn.Module:
    """The module in evaluation mode, its batch norms having seen the data."""
    module.train()
    with torch.no_grad():
        for first in range(passes):
            module(torch.tensor(x[first * BATCH % len(x) :][:BATCH]))
    return module.eval()


def train(module: nn.Module, data: Samples, epochs: int) -> nn.Module:
    """Stochastic gradient descent with one cycle of the learning rate."""
    x, y = torch.from_numpy(np.asarray(data.x)), torch.from_numpy(np.asarray(data.y))
    module.train()
    optimizer = torch.optim.SGD(
        module.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5 * LEARNING_RATE, steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return module.eval()


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversion.depth")
    parser.add_argument("--blocks", type=int, default=5, help="per stage: 6 n + 2 layers")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training, test = enlarged_digits()
    networks = {
        "random": seen(resnet(options.blocks), np.asarray(training.x)),
        "trained": train(resnet(options.blocks), training, options.epochs),
    }
    rows = []
    for name, module in networks.items():
        for method, timesteps in METHODS:
            net = nd.convert(module, training, method=method, timesteps=timesteps)
            found = nd.diagnose(nd.quantize(net, 8), test, options.images)
            by_layer = [row.correlation for row in found.layers if row.correlation is not None]
            evaluation = found.evaluations[0]
            print(f"{name} {method} T = {timesteps}: {len(by_layer)} layers", file=sys.stderr)
            rows.append(
                (
                    *(name, method, str(timesteps)),
                    f"{min(by_layer):.4f}",
                    f"{by_layer[-1]:.4f}",
                    f"{100 * (evaluation.source_accuracy or 0):.1f}",
                    f"{100 * (evaluation.accuracy or 0):.1f}",
                )
            )
    depth = 6 * options.blocks + 2
    print(f"ResNet-{depth}, {options.images} test digits, 8-bit weights")
    heads = ("weights", "method", "T", "least correlation", "last layer", "source %", "spiking %")
    print(render_table(heads, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
