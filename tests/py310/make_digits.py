"""Make ``data/digits.ndn``, which the tests of this folder start from: it takes torch, they do not.

Run it in the main environment, from the root of the repository, when the file format changes::

    .venv/bin/python -m tests.py310.make_digits
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import as_samples

WHERE = Path(__file__).with_name("data") / "digits.ndn"
EPOCHS = 40


def digits() -> nn.Module:
    """At most 48 inputs to a neuron: crossbars hold it with 3-bit weights."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 24, 4, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training = as_samples("digits", "train")
    x, y = torch.tensor(training.x), torch.tensor(training.y)
    network = digits()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net = nd.convert(
        network.eval(),
        training,
        method="rate",
        timesteps=16,
        input="spikes",
        decode="counts",
        name="digits",
    )
    WHERE.parent.mkdir(exist_ok=True)
    nd.save(net, WHERE)
    result = nd.evaluate(net, "digits")
    print(f"{WHERE.name}: {WHERE.stat().st_size} bytes; source {result.source_accuracy:.3f}, ")
    print(f"spiking {result.accuracy:.3f} on {result.samples} test samples")


if __name__ == "__main__":
    main()
