"""Does a deep residual network keep its activations? ResNet-32 and -56, random and trained.

    python -m benchmarks.conversion.depth
    python -m benchmarks.conversion.depth --blocks 9 --networks trained --images 355
    python -m benchmarks.conversion.depth --blocks 9 --networks trained --cifar10 CIFAR10

ResNet-32 as on CIFAR (3 stages of 5 blocks, 16 to 64 channels, shortcuts that subsample and pad),
on the digits of scikit-learn enlarged to 16 x 16, or on the photographs of CIFAR-10 averaged down
to that, which are not so easy. With random weights, its batch norms have seen
the data; trained, it has learned them for a minute or two, from a fixed seed. Both are converted
anew for each T, method and width of weights; fewer than 8 bits are rounded against data. The table
gives the correlation of every layer's coded values with the source network's activations (the least
of all layers, and the last one's), how many answers are those of the source network, and spikes and
steps of an inference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import neurodeploy as nd
from neurodeploy.datasets import Samples, as_samples

SIDE = 16
BATCH = 64
LEARNING_RATE = 0.02
METHODS: tuple[tuple[str, int, int], ...] = (
    ("rate", 32, 8),
    ("ternary", 16, 8),
    ("bistable", 32, 8),
    ("signed-memory", 32, 8),
    ("graded", 4, 8),
    ("graded", 4, 4),
    ("radix", 12, 8),
    ("radix", 12, 4),
    ("radix", 16, 8),
    ("momentum", 8, 8),
    ("momentum", 10, 8),
)
"""Methods, T, and bits of the weights."""
FULL_BITS = 8
HEADS = (
    *("weights", "method       ", "T ", "bits", "least correlation", "last layer", "source %"),
    *("spiking %", "agree %", "spikes ", "steps"),
)


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


def resnet(channels: int, blocks: int = 5, width: int = 16) -> nn.Module:
    """A CIFAR ResNet of 6 ``blocks`` + 2 layers, for ten classes."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    channels = width
    for stage in range(3):
        for _ in range(blocks):
            layers.append(Block(channels, width << stage))
            channels = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


Images = np.ndarray[Any, Any]


def images(text: str, resized: Callable[[Images], Images]) -> tuple[Samples, Samples]:
    """The training and the test images that a text names, resized to 16 x 16."""
    training, test = (as_samples(text, split) for split in ("train", "test"))
    name = f"{text.partition(':')[0]} {SIDE}x{SIDE}"

    def made(data: Samples) -> Samples:
        return Samples(resized(np.asarray(data.x)), data.y, split=data.split, name=name, levels=255)

    return made(training), made(test)


def enlarged(x: Images) -> Images:
    """Each pixel four times."""
    return x.repeat(2, axis=2).repeat(2, axis=3)


def averaged(x: Images) -> Images:
    """Four pixels to one, on the grid of 255 levels again."""
    windows = x.reshape(len(x), -1, SIDE, 2, SIDE, 2)
    return np.rint(windows.mean(axis=(3, 5), dtype=np.float32) * 255) / np.float32(255)


def seen(module: nn.Module, x: np.ndarray[Any, Any], passes: int = 20) -> nn.Module:
    """The module in evaluation mode, its batch norms having seen the data."""
    module.train()
    with torch.no_grad():
        for first in range(passes):
            module(torch.tensor(x[first * BATCH % len(x) :][:BATCH]))
    return module.eval()


def train(module: nn.Module, data: Samples, epochs: int) -> nn.Module:
    """Stochastic gradient descent with one cycle of the learning rate."""
    x, y = torch.tensor(np.asarray(data.x)), torch.tensor(np.asarray(data.y))
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
    parser.add_argument("--networks", default="random,trained", help="of these, by commas")
    parser.add_argument("--methods", help="of those above, by commas; default: all")
    parser.add_argument("--cifar10", type=Path, help="folder of its binary files, for digits")
    parser.add_argument("--weights", type=Path, help="trained ones: read, or written here")
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cifar10: Path | None = options.cifar10
    training, test = (
        images(f"cifar10:{cifar10}", averaged) if cifar10 else images("digits", enlarged)
    )
    test = test.first(options.images)
    chosen = [m for m in METHODS if options.methods is None or m[0] in options.methods.split(",")]
    depth = 6 * options.blocks + 2
    print(f"ResNet-{depth}, {len(test)} test images of {test.name}", flush=True)
    print(row(*HEADS), flush=True)
    for name in options.networks.split(","):
        module = resnet(test.x.shape[1], options.blocks)
        if name == "random":
            module = seen(module, np.asarray(training.x))
        elif options.weights is not None and options.weights.is_file():
            module.load_state_dict(torch.load(options.weights, weights_only=True))
            module.eval()
        else:
            module = train(module, training, options.epochs)
            if options.weights is not None:
                torch.save(module.state_dict(), options.weights)
        for (method, timesteps), cases in itertools.groupby(chosen, key=lambda m: m[:2]):
            net = nd.convert(module, training, method=method, timesteps=timesteps)
            for _, _, bits in cases:
                print(row(name, *measured(net, training, test, bits)), flush=True)
    return 0


def measured(net: nd.Network, training: Samples, test: Samples, bits: int) -> tuple[str, ...]:
    """The cells of a converted network, its weights rounded to so many bits."""
    integer = nd.quantize(net, bits, data=training if bits < FULL_BITS else None)
    found = nd.evaluate(integer, test)
    by_layer = [r for r in found.layer_correlation.values() if r is not None]
    assert found.agreement is not None
    return (
        net.provenance["method"]["name"],
        str(net.netlist.timesteps),
        str(bits),
        f"{min(by_layer):.4f}",
        f"{by_layer[-1]:.4f}",
        f"{100 * (found.source_accuracy or 0):.1f}",
        f"{100 * (found.accuracy or 0):.1f}",
        f"{100 * found.agreement:.1f}",
        f"{found.spikes_per_inference:.0f}",
        str(net.netlist.n_steps),
    )


def row(*cells: str) -> str:
    """One line of the table, as soon as it is known."""
    return "  ".join(c.ljust(len(h)) for c, h in zip(cells, HEADS, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
