"""Stimulus of a Brian2 Network, and the record from its monitors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.targets.brian2.plan import Group, Plan


def feed(brian2: Any, network: Any, plan: Plan, stimulus: Mapping[str, IntArray]) -> None:
    """Set the inputs of a Network to ``[batch, *shape]`` or ``[batch, T, *shape]``.

    Of a stream, ``T`` are the steps of its next piece.
    """
    for group in plan.groups:
        if group.kind == "current":
            network[group.object].q = stimulus[group.name].reshape(-1).astype(np.float64)
        elif group.kind == "spikes":
            values = stimulus[group.name]
            steps = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
            namespace = network[group.object].namespace
            namespace["raster"] = brian2.TimedArray(
                steps.astype(np.float64), dt=plan.dt * brian2.second, name=f"{group.object}_raster"
            )
            if plan.endless:
                namespace["piece_start"] = network.t


def recorded_spikes(
    network: Any, plan: Plan, group: Group, span: tuple[int, int] | None = None
) -> IntArray:
    """Emissions of a group: int64 ``[batch, T, *shape]``, aligned by its window.

    ``span``: the first step of the window that is read and the one after the last; all T without.
    """
    made = network[group.object]
    batch = made.N // group.size
    first, end = span or (0, plan.timesteps)
    T = end - first
    if group.kind == "current":
        values = np.rint(np.asarray(made.q[:])).reshape(batch, 1, *group.shape)
        return np.repeat(values.astype(np.int64), T, axis=1)
    if group.kind == "spikes":
        steps = np.rint(np.asarray(made.namespace["raster"].values)).astype(np.int64)
        return np.moveaxis(steps.reshape(T, batch, *group.shape), 0, 1)
    result = np.zeros((batch, T, group.size), dtype=np.int64)
    for ending, sign in (("spikes", 1), ("negative_spikes", -1)):
        name = f"{group.object}_{ending}"
        if name not in network:
            continue
        monitor = network[name]
        sample, neuron = np.divmod(np.asarray(monitor.i[:]), group.size)
        step = _steps(monitor, plan) - group.depth - first
        payload = np.rint(np.asarray(monitor.s[:])) if group.graded else sign
        result[sample, step, neuron] = payload
    return result.reshape(batch, T, *group.shape)


def recorded_membranes(
    network: Any, plan: Plan, group: Group, span: tuple[int, int] | None = None
) -> IntArray:
    """Membranes of a group: int64 ``[batch, T, *shape]``, aligned by its window or a span of it."""
    made, monitor = network[group.object], network[f"{group.object}_membrane"]
    first, end = span or (0, plan.timesteps)
    step, batch = _steps(monitor, plan) - group.depth, made.N // group.size
    inside = np.asarray(monitor.v)[:, (step >= first) & (step < end)]
    values = np.rint(inside).astype(np.int64).reshape(batch, group.size, end - first)
    return np.moveaxis(values, 2, 1).reshape(batch, end - first, *group.shape)


def forget(brian2: Any, network: Any) -> None:
    """Empty the monitors of a Network, whose records were read."""
    for thing in network.objects:
        if isinstance(thing, brian2.EventMonitor | brian2.StateMonitor):
            thing.resize(0)
            # An EventMonitor leaves its length to its own code.
            thing.variables["N"].set_value(0)


def _steps(monitor: Any, plan: Plan) -> IntArray:
    # Times are stored in seconds; k * dt is within rounding of the step.
    return np.rint(np.asarray(monitor.t) / plan.dt).astype(np.int64)
