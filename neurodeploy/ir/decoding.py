"""From membranes and counts back to the units of the source network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Output, RealNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.record import RunRecord


def output_trace(netlist: IntegerNetlist | RealNetlist, output: Output, run: RunRecord) -> AnyArray:
    """The running answer, undivided: ``[B, T, *shape]``.

    Membrane: ``v[t] - v0``. Counts: signed spikes up to and including step t.
    """
    if output.decode == "counts":
        return np.cumsum(run.spikes[output.population], axis=1)
    population = netlist.by_name[output.population]
    assert isinstance(population.model, Neuron)
    return run.membranes[output.population] - population.spread(population.model.initial_membrane)


def decode_prefix(
    netlist: IntegerNetlist | RealNetlist, output: Output, trace: AnyArray, step: int
) -> FloatArray:
    """Source-network units after ``step`` steps (1 .. T): ``trace[:, step - 1] / step * unit``.

    ``trace`` is :func:`output_trace`; a population without unit counts in its own.
    """
    population = netlist.by_name[output.population]
    values = trace[:, step - 1] / step
    if population.unit is not None:
        values = values * population.spread(population.unit)
    return np.asarray(values - output.offset)


def decode(netlist: IntegerNetlist | RealNetlist, output: Output, run: RunRecord) -> FloatArray:
    """The answer of a whole run in the units of the source network: float64 ``[B, *shape]``."""
    return decode_prefix(netlist, output, output_trace(netlist, output, run), run.timesteps)


@dataclass(frozen=True, slots=True)
class Classes:
    """Decided classes ``[B]``; ties go to the lowest index and are told."""

    labels: IntArray
    tied: AnyArray


def classify(scores: AnyArray) -> Classes:
    """Index of the largest score of ``[B, n]``, the lowest index on a tie."""
    flat = scores.reshape(scores.shape[0], -1)
    best = flat.max(axis=1, keepdims=True)
    return Classes(flat.argmax(axis=1).astype(np.int64), (flat == best).sum(axis=1) > 1)
