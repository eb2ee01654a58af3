"""Neurons that a spike reaches, whatever the weights on the way: input that cancels, too.

A synapse is one that is stored, so a weight of zero is one as well (see
:mod:`neurodeploy.hardware.price.traffic`). Contributions of ``current`` inputs do not arrive: the
host writes them into the neurons as biases.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population, RealNetlist
from neurodeploy.ir.record import RunRecord


def reached(connectivity: Connectivity, fired: AnyArray) -> AnyArray:
    """Neurons with a synapse from one that fired: bool ``[N, *pre_shape]`` to ``[N, *post_shape]``.

    From the structure alone, at a cost that does not grow with the number of output channels.
    """
    n = fired.shape[0]
    if isinstance(connectivity, Dense):
        some: AnyArray = np.any(fired.reshape(n, -1), axis=1)
        return np.repeat(some[:, None], connectivity.post_shape[0], axis=1)
    if isinstance(connectivity, SumPool):
        return _windows(connectivity.window, fired)
    if isinstance(connectivity, Conv):
        grouped = fired.reshape(n, connectivity.groups, -1, *connectivity.window.input_size)
        some = np.any(grouped, axis=2)
        found = _windows(connectivity.window, some)
        return np.repeat(found, connectivity.post_shape[0] // connectivity.groups, axis=1)
    if not isinstance(connectivity, Sparse):
        raise TypeError(f"no structure known of {type(connectivity).__name__}")
    total = np.zeros((n, int(np.prod(connectivity.post_shape))), dtype=bool)
    order = np.argsort(connectivity.post, kind="stable")
    post, starts = np.unique(connectivity.post[order], return_index=True)
    if post.size:
        flat = fired.reshape(n, -1)
        sources = connectivity.pre[order]
        for row in range(n):
            total[row, post] = np.logical_or.reduceat(flat[row, sources], starts)
    return total.reshape(n, *connectivity.post_shape)


def _windows(window: Window, fired: AnyArray) -> AnyArray:
    padded = window.pad(fired, False)
    found = np.zeros((*fired.shape[:2], *window.output_size), dtype=bool)
    for _, where in window.taps():
        found |= padded[where]
    return found


def arrivals(
    netlist: IntegerNetlist | RealNetlist, population: Population, record: RunRecord
) -> AnyArray:
    """Steps of a population's window in which a spike reaches each neuron or accumulator.

    bool ``[B, T, *input_shape]``. What arrives before the window opens or after it closes is
    dropped.
    """
    T, plan = record.timesteps, netlist.schedule
    samples = next(iter(record.spikes.values())).shape[0]
    found: AnyArray = np.zeros((samples, T, *population.input_shape), dtype=bool)
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        if projection.post != population.name or not on_chip(netlist, projection):
            continue
        offset = plan.depth[projection.pre] + delay - plan.depth[population.name]
        first, last = max(0, -offset), min(T, T - offset)
        if last <= first:
            continue
        fired = record.spikes[projection.pre][:, first:last] != 0
        hit = reached(projection.connectivity, fired.reshape(-1, *fired.shape[2:]))
        found[:, first + offset : last + offset] |= hit.reshape(
            samples, -1, *population.input_shape
        )
    return found


def host_bias(
    netlist: IntegerNetlist | RealNetlist, population: Population, record: RunRecord
) -> AnyArray:
    """Input that ``current`` inputs add in every step of each sample: ``[B, *input_shape]``."""
    samples = next(iter(record.spikes.values())).shape[0]
    number = np.int64 if isinstance(netlist, IntegerNetlist) else np.float64
    total: AnyArray = np.zeros((samples, *population.input_shape), dtype=number)
    for projection in netlist.incoming[population.name]:
        if not on_chip(netlist, projection):
            given = record.spikes[projection.pre][:, 0]
            if isinstance(projection, IntegerProjection):
                total = total + projection.synaptic_input(given)
            else:
                total = total + projection.connectivity.apply(given)
    return total
