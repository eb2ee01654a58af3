"""A small convolutional network for the embedded digits, trained in seconds.

Train it, and leave the weights where ``neurodeploy convert`` reads them::

    python examples/digits_network.py digits.pt

Every neuron has at most 72 inputs, so that 3-bit weights fit crossbars of 256 axons.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import neurodeploy as nd


def network() -> nn.Module:
    """Give the untrained network: three convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, groups=8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def main(path: str) -> None:
    """Train on the training split and save the weights to ``path``."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    train, test = nd.Samples("digits@train"), nd.Samples("digits@test")
    x, y = torch.tensor(train.x), torch.tensor(train.y)
    module = network()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(6):
        for chosen in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[chosen]), y[chosen]).backward()
            optimizer.step()
    with torch.no_grad():
        right = module(torch.tensor(test.x)).argmax(1) == torch.tensor(test.y)
    print(f"{100 * right.float().mean():.1f} % of {len(right)} test digits")
    torch.save(module.state_dict(), path)


if __name__ == "__main__":
    main(sys.argv[1])
