"""A small convolutional network for scikit-learn's digits, trained in seconds.

Every neuron has at most 72 inputs, so that with 3-bit weights (three axon copies each) it fits a
crossbar of 256 axons.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from neurodeploy.datasets import Samples

EPOCHS = 30
BATCH = 64


def digits_net() -> nn.Module:
    """Untrained: three convolutions with batch normalization, one linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),  # 16 x 8 x 8, fan-in 9
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=2, bias=False),  # 32 x 4 x 4, fan-in 72
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, groups=8, bias=False),  # 64 x 1 x 1, fan-in 64
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Layers this small are slower on several threads, and many times so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(dataset: Samples, seed: int = 0) -> nn.Module:
    """Train the network; the caller's random state is left as it was."""
    assert dataset.y is not None
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        network = digits_net()
        x, y = torch.tensor(dataset.x), torch.tensor(dataset.y)
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
        steps = EPOCHS * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
        network.train()
        for _ in range(EPOCHS):
            for chosen in torch.split(torch.randperm(len(x)), BATCH):
                loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return network.eval()
