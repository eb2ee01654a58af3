"""Accuracy of converted, 8-bit networks against their source: ``python -m benchmarks.accuracy``.

Needs the trained networks and data sets that lie beside the repository in ``../shared`` (or where
NEURODEPLOY_SHARED points). Every T is converted anew, calibrated on training images, with current
input and membrane decoding; test images only are evaluated. Two binary codes stand side by side:
``rate``, where every layer fires as it listens, and ``bistable``, where it listens first: answers
take more steps of latency and half the spikes, and stand when half of the output's window is over.
"Fall while listening" is the largest one in the second half of the steps that make the answer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neurodeploy as nd
from neurodeploy.ir.neurons import Neuron
from neurodeploy.render.text import render_table
from neurodeploy.verification.accuracy import Evaluation

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
METHODS = ("rate", "bistable")


@dataclass(frozen=True, slots=True)
class Found:
    """What one conversion gave.

    ``steps`` lie between the first input and the last of the output, which listens in ``heard``.
    """

    evaluation: Evaluation
    steps: int
    heard: int


def evaluate(row: Row, method: str, timesteps: int, samples: int, bits: int) -> Found:
    """Convert, quantize and evaluate one network for one T."""
    data = row.data.format(SHARED)
    converted = nd.convert(
        f"{SHARED}/models/zoo.py:{row.model}",
        data,
        weights=SHARED / f"models/{row.model}.pt",
        method=method,
        timesteps=timesteps,
    )
    net = nd.quantize(converted, bits)
    steps = timesteps + net.netlist.schedule.max_depth
    output = net.netlist.by_name[net.netlist.outputs[0].population].model
    assert isinstance(output, Neuron)
    heard = sum(output.input_gain) if output.input_gain else timesteps
    return Found(nd.evaluate(net, data, samples), steps, heard)


def figures(
    row: Row,
    method: str,
    timesteps: int,
    found: Found,
    limit: float,
    before: float | None,
    seconds: float,
) -> dict[str, object]:
    """One row of the table; ``before``: accuracy at the T before this one."""
    result = found.evaluation
    assert result.accuracy is not None
    assert result.source_accuracy is not None
    prefixes = result.prefix_accuracy
    # An answer that is complete does not fall any more: the steps that make it, alone.
    heard = {t: a for t, a in prefixes.items() if t <= found.heard}
    correlations = [c for c in result.layer_correlation.values() if c is not None]
    fallen = None if before is None else round(max(0, 100 * (before - result.accuracy)), 2)
    return {
        "model": row.model,
        "method": method,
        "T": timesteps,
        "steps": found.steps,
        "images": result.samples,
        "source %": round(100 * result.source_accuracy, 2),
        "integer %": round(100 * result.accuracy, 2),
        "loss": round(100 * (result.source_accuracy - result.accuracy), 2),
        "allowed": limit,
        "agreement %": round(100 * (result.agreement or 0), 2),
        "fall after T/2": round(100 * largest_prefix_fall(prefixes), 2),
        "below source": round(100 * largest_prefix_fall(prefixes, result.source_accuracy), 2),
        "fall while listening": round(100 * largest_prefix_fall(heard), 2),
        "fall from last T": fallen,
        "lowest layer r": round(min(correlations), 3),
        "spikes": round(result.spikes_per_inference),
        "s": round(seconds),
    }


def largest_prefix_fall(prefixes: Mapping[int, float], ceiling: float = 1.0) -> float:
    """Largest fall of the accuracy between two prefixes in the second half of a run.

    Accuracy above ``ceiling`` counts as the ceiling: a run that is better than its source network
    for a while has nothing to lose by coming to agree with it.
    """
    T = max(prefixes)
    values = np.array([min(prefixes[t], ceiling) for t in range(max(1, T // 2), T + 1)])
    return float((np.maximum.accumulate(values) - values).max())


def main() -> None:
    """Print the table as rows finish, then as a whole."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    parser.add_argument("--models", default=",".join(r.model for r in ROWS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--samples", type=int, help="first test images (default: as asked)")
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: no such folder; set NEURODEPLOY_SHARED to the reference networks")
    models, methods = options.models.split(","), options.methods.split(",")
    for given, known in ((models, [r.model for r in ROWS]), (methods, METHODS)):
        unknown = set(given) - set(known)
        if unknown:
            sys.exit(f"{min(unknown)}: expected some of {', '.join(known)}")
    results = []
    for row in (r for r in ROWS if r.model in models):
        for method in methods:
            before: float | None = None
            for timesteps, limit in row.limits.items():
                start = time.monotonic()
                samples = options.samples or row.samples
                found = evaluate(row, method, timesteps, samples, options.weight_bits)
                seconds = time.monotonic() - start
                results.append(figures(row, method, timesteps, found, limit, before, seconds))
                before = found.evaluation.accuracy
                print(results[-1], file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(render_table(list(results[0]), [list(r.values()) for r in results]))


if __name__ == "__main__":
    main()
