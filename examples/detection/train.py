"""Make canvases, train the detector on the CPU, and save what ``evaluate.py`` reads.

::

    python examples/detection/train.py --mnist FOLDER -o detection

Without ``--mnist`` the small digits that scikit-learn carries are enlarged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from arguments import positive
from boxes import ANCHOR, CELL, detect, mean_average_precision
from canvases import SIDE, Canvases, cell_of, digits, draw
from detector import LEAKY_SLOPE, detector, maps_of
from torch import Tensor, nn
from torch.nn import functional

from neurodeploy.errors import NeurodeployError

GRID = SIDE // CELL
BATCH = 32
REPORTS = 10
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-4
BOX_WEIGHT = 2.0
EMPTY_WEIGHT = 0.5


def targets(canvases: Canvases) -> tuple[Tensor, Tensor]:
    """What the maps should say ``[N, 5, 8, 8]`` (the fifth: a centre is here), and classes."""
    n = len(canvases.x)
    maps = np.zeros((n, 5, GRID, GRID), np.float32)
    classes = np.zeros((n, GRID, GRID), np.int64)
    for image, label, x0, y0, x1, y1 in canvases.boxes:
        row, column = cell_of(x0, y0, x1, y1)
        maps[int(image), :, row, column] = (
            (x0 + x1) / 2 / CELL - column,
            (y0 + y1) / 2 / CELL - row,
            np.log((x1 - x0) / ANCHOR),
            np.log((y1 - y0) / ANCHOR),
            1.0,
        )
        classes[int(image), row, column] = int(label)
    return torch.from_numpy(maps), torch.from_numpy(classes)


def loss_of(maps: Tensor, wanted: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of place, objectness and class, squared error of the logarithmic size."""
    present = wanted[:, 4] > 0
    n = present.sum().clamp(min=1)
    objectness = functional.binary_cross_entropy_with_logits(
        maps[:, 4],
        wanted[:, 4],
        weight=torch.where(present, 1.0, EMPTY_WEIGHT),
        reduction="sum",
    )
    cells = maps.permute(0, 2, 3, 1)[present]
    aims = wanted.permute(0, 2, 3, 1)[present]
    place = functional.binary_cross_entropy_with_logits(cells[:, :2], aims[:, :2], reduction="sum")
    size = functional.mse_loss(cells[:, 2:4], aims[:, 2:4], reduction="sum")
    kind = functional.cross_entropy(cells[:, 5:], classes[present], reduction="sum")
    return (objectness + BOX_WEIGHT * (place + size) + kind) / n


def train(canvases: Canvases, slope: float, steps: int, seed: int) -> nn.Sequential:
    """Train for so many batches; the learning rate rises and falls once."""
    torch.manual_seed(seed)
    network = detector(slope)
    x = torch.from_numpy(canvases.x)
    wanted, classes = targets(canvases)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    order = torch.empty(0, dtype=torch.int64)
    network.train()
    started = time.perf_counter()
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = torch.randperm(len(x))
        chosen, order = order[:BATCH], order[BATCH:]
        loss = loss_of(network(x[chosen]), wanted[chosen], classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step * REPORTS // steps > (step - 1) * REPORTS // steps:
            left = (time.perf_counter() - started) * (steps - step) / step
            told = f"step {step} of {steps}: loss {loss.item():.3f}, {left:.0f} s left"
            print(told, file=sys.stderr)
    return network.eval()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--mnist", help="folder of MNIST's four files; scikit-learn's digits else")
    parser.add_argument("--slope", type=float, default=LEAKY_SLOPE, choices=(0.0, LEAKY_SLOPE))
    for option, default, meaning in (
        ("--steps", 2500, f"batches of {BATCH} canvases"),
        ("--canvases", 10000, "to train on"),
        ("--test-canvases", 500, "of digits kept apart"),
        ("--calibration-canvases", 512, "the first so many of those to train on"),
        ("--threads", 2, "of the processor"),
    ):
        parser.add_argument(option, type=positive, default=default, help=f"{meaning} (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.seed < 0:
        parser.error(f"--seed {given.seed}: 0 or more is needed")
    fewest = max(BATCH, given.calibration_canvases)
    if given.canvases < fewest:
        parser.error(f"--canvases {given.canvases}: at least {fewest} are needed")
    torch.set_num_threads(given.threads)
    print(f"drawing {given.canvases + given.test_canvases} canvases", file=sys.stderr)
    try:
        given.output.mkdir(parents=True, exist_ok=True)
        training = draw(digits(given.mnist, "train"), given.canvases, given.seed)
        test = draw(digits(given.mnist, "test"), given.test_canvases, given.seed + 1)
    except NeurodeployError as error:
        sys.exit(f"train.py: {error}")
    except OSError as error:
        sys.exit(f"train.py: {error.filename}: {error.strerror}; choose another --output")
    started = time.perf_counter()
    network = train(training, given.slope, given.steps, given.seed)
    seconds = time.perf_counter() - started
    score = mean_average_precision(detect(maps_of(network, test.x)), test.boxes)
    torch.save(network.state_dict(), given.output / "detector.pt")
    calibration = training.x[: given.calibration_canvases]
    np.savez_compressed(given.output / "calibration.npz", x=calibration)
    np.savez_compressed(given.output / "test.npz", x=test.x, boxes=test.boxes)
    facts = {"slope": given.slope, "steps": given.steps, "seed": given.seed, "map": score}
    (given.output / "detector.json").write_text(json.dumps(facts) + "\n")
    print(f"trained in {seconds:.0f} s; mAP@0.5 on {len(test.x)} test canvases {score:.4f}")


if __name__ == "__main__":
    main()
