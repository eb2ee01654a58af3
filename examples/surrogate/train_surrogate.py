"""Train the spiking network by surrogate gradients, and save its weights.

::

    python examples/surrogate/train_surrogate.py --mnist FOLDER -o weights.pt

It needs snnTorch. Without ``--mnist`` it learns the small digits that scikit-learn carries.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path

import torch
from snntorch import utils
from spiking_resnet import digits_network, mnist_network
from torch import Tensor, nn

import neurodeploy as nd
from neurodeploy.api import expect_writable, write_bytes_whole

BATCH = 100
LEARNING_RATE = 4e-3
REPORTS = 10


def answers(network: nn.Module, x: Tensor, timesteps: int) -> Tensor:
    """The answers of all steps, added up: ``[B, 10]``."""
    utils.reset(network)
    total = network(x)
    for _ in range(timesteps - 1):
        total = total + network(x)
    return total


def train(network: nn.Module, data: nd.Samples, timesteps: int, epochs: int) -> None:
    """Train with Adam; the learning rate rises and falls once."""
    x, y = torch.tensor(data.x), torch.tensor(data.y)
    optimizer = torch.optim.Adam(network.parameters())
    total = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=total)
    network.train()
    started, step = time.perf_counter(), 0
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(answers(network, x[chosen], timesteps), y[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step * REPORTS // total > (step - 1) * REPORTS // total:
                left = (time.perf_counter() - started) * (total - step) / step
                told = f"step {step} of {total}: loss {loss.item():.3f}, {left:.0f} s left"
                print(told, file=sys.stderr)
    network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, data: nd.Samples, timesteps: int) -> float:
    """Share of samples whose class is right."""
    x, y = torch.tensor(data.x), torch.tensor(data.y)
    right = [
        int((answers(network, part, timesteps).argmax(1) == labels).sum())
        for part, labels in zip(x.split(500), y.split(500), strict=True)
    ]
    return sum(right) / len(x)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="file of weights to write")
    parser.add_argument("--mnist", help="folder of MNIST's four files; scikit-learn's digits else")
    parser.add_argument("--timesteps", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--epochs", type=int, help="(2; 30 of the small digits)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    epochs = given.epochs or (30 if given.mnist is None else 2)
    for name, value in (("timesteps", given.timesteps), ("epochs", epochs)):
        if value < 1:
            parser.error(f"--{name} {value}: a whole number above zero is needed")
    torch.manual_seed(given.seed)
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        expect_writable(given.output)
        kind = "digits" if given.mnist is None else f"mnist:{given.mnist}"
        training, test = nd.Samples(f"{kind}@train"), nd.Samples(f"{kind}@test")
        network = digits_network() if given.mnist is None else mnist_network()
        train(network, training, given.timesteps, epochs)
        seconds = time.perf_counter() - started
        utils.reset(network)
        content = io.BytesIO()
        torch.save(network.state_dict(), content)
        write_bytes_whole(given.output, content.getvalue())
    except nd.NeurodeployError as error:
        sys.exit(f"train_surrogate.py: {error}")
    share = accuracy(network, test, given.timesteps)
    print(f"trained in {seconds:.0f} s; {100 * share:.2f} % of {len(test)} test images")


if __name__ == "__main__":
    main()
