"""Accuracy of converted, 8-bit networks against their source: ``python -m benchmarks.accuracy``.

Needs the trained networks and data sets that lie beside the repository in ``../shared`` (or where
NEURODEPLOY_SHARED points). Every T is converted anew, calibrated on training images, with current
input and membrane decoding; test images only are evaluated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import neurodeploy as nd
from neurodeploy.report.text import render_table
from neurodeploy.verify.accuracy import Evaluation, largest_prefix_fall

SHARED = Path(os.environ.get("NEURODEPLOY_SHARED", Path(__file__).parents[2] / "shared"))


@dataclass(frozen=True, slots=True)
class Row:
    """One network, its data, and what is asked of it: T -> largest loss in points."""

    model: str
    data: str
    samples: int
    limits: dict[int, float]


ROWS = (
    Row("lenet_mnist", "mnist:{}/data/mnist", 10_000, {16: 1.0, 32: 0.3}),
    Row("vgg_cifar10", "cifar10:{}/data/cifar10", 1000, {32: 1.0}),
    Row("resnet20_cifar10", "cifar10:{}/data/cifar10#norm=imagenet", 1000, {32: 2.5, 128: 1.0}),
)


def evaluate(row: Row, timesteps: int, samples: int, bits: int) -> Evaluation:
    """Convert, quantize and evaluate one network for one T."""
    data = row.data.format(SHARED)
    converted = nd.convert(
        f"{SHARED}/models/zoo.py:{row.model}",
        data,
        weights=SHARED / f"models/{row.model}.pt",
        method="rate",
        timesteps=timesteps,
    )
    return nd.evaluate(nd.quantize(converted, bits), data, samples)


def main() -> None:
    """Print the table as rows finish, then as a whole."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    parser.add_argument("--models", default=",".join(r.model for r in ROWS))
    parser.add_argument("--samples", type=int, help="first test images (default: as asked)")
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: no such folder; set NEURODEPLOY_SHARED to the reference networks")
    chosen = options.models.split(",")
    results = []
    for row in (r for r in ROWS if r.model in chosen):
        before: float | None = None
        for timesteps, limit in row.limits.items():
            start = time.monotonic()
            samples = options.samples or row.samples
            found = evaluate(row, timesteps, samples, options.weight_bits)
            assert found.accuracy is not None
            assert found.source_accuracy is not None
            correlations = [c for c in found.layer_correlation.values() if c is not None]
            results.append(
                {
                    "model": row.model,
                    "T": timesteps,
                    "images": samples,
                    "source %": round(100 * found.source_accuracy, 2),
                    "integer %": round(100 * found.accuracy, 2),
                    "loss": round(100 * (found.source_accuracy - found.accuracy), 2),
                    "allowed": limit,
                    "agreement %": round(100 * (found.agreement or 0), 2),
                    "fall after T/2": round(100 * largest_prefix_fall(found.prefix_accuracy), 2),
                    "below source": round(
                        100 * largest_prefix_fall(found.prefix_accuracy, found.source_accuracy), 2
                    ),
                    "fall from last T": (
                        None
                        if before is None
                        else round(max(0, 100 * (before - found.accuracy)), 2)
                    ),
                    "lowest layer r": round(min(correlations), 3),
                    "spikes": round(found.spikes_per_inference),
                    "s": round(time.monotonic() - start),
                }
            )
            before = found.accuracy
            print(f"{row.model} T={timesteps}: {results[-1]}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(render_table(list(results[0]), [list(r.values()) for r in results]))


if __name__ == "__main__":
    main()
