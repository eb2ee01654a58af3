"""Train a winner-take-all network by STDP, and write it as a real-valued netlist.

::

    python examples/stdp/train_stdp.py --mnist FOLDER --neurons 400 -o stdp.ndn

Without ``--mnist`` it learns the small digits that scikit-learn carries. Labels are used for one
thing only: once the neurons have learned, each is assigned to the classes that it fires for.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from plasticity import Competitors, Rule
from stdp_samples import images
from winner_take_all import network

import neurodeploy as nd
from neurodeploy.api import expect_writable

REPORTS = 10
"""How often progress is told."""


def train(
    competitors: Competitors,
    data: nd.Samples,
    presentations: int,
    rng: np.random.Generator,
    *,
    plastic: bool = True,
) -> npt.NDArray[np.float64]:
    """Show so many images; spikes of each neuron per class in the second half ``[10, N]``."""
    assert data.y is not None
    x = data.x.reshape(len(data.x), -1)
    rounds = -(-presentations // len(x))
    order = np.concatenate([rng.permutation(len(x)) for _ in range(rounds)])[:presentations]
    heard = np.zeros((int(data.y.max()) + 1, len(competitors.weight)))
    started, spikes = time.perf_counter(), 0
    for done, i in enumerate(order, 1):
        fired = competitors.learn(x[i], rng, plastic=plastic)
        spikes += int(fired.sum())
        if 2 * done > presentations:
            heard[data.y[i]] += fired
        if done * REPORTS // presentations > (done - 1) * REPORTS // presentations:
            left = (time.perf_counter() - started) * (presentations - done) / done
            told = f"{done} of {presentations} images: {spikes / done:.1f} spikes each"
            print(f"{told}, {left:.0f} s left", file=sys.stderr)
    return heard
