"""Summary of a run whose rasters are not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of a run, population by population.

    Parameters
    ----------
    timesteps : int
        T.
    samples : int
        B.
    traces : mapping
        Output population -> ``[B, T, *shape]``: the running answer before division, as
        :func:`neurodeploy.ir.decoding.output_trace` gives it.
    spikes : mapping
        For the populations asked for: int64 ``[*shape]``, spikes (emissions other than 0) of every
        neuron over all samples and steps, whatever their payload.
    spikes_per_sample : mapping
        Population -> int64 ``[B]``: spikes of all its neurons. Inputs are included.
    payload : mapping
        For the same as ``spikes``: ``[*shape]``, signed sum of the payloads.
    rates : mapping
        For the populations asked for: ``[B, *shape]``, signed sum of the payloads of each sample
        over its window, in 32 bits where they hold it; of an integrator, ``v - v0``
        at the end of it. Divided by T and times the population's unit, it is the activation that
        the population codes.
    active : mapping
        For the populations asked for: int64 ``[*shape]``, neuron-steps over all samples in which
        the neuron entered the step with v or u other than 0, or had input or bias.
    """

    timesteps: int
    samples: int
    traces: Mapping[str, AnyArray]
    spikes: Mapping[str, IntArray]
    spikes_per_sample: Mapping[str, IntArray]
    payload: Mapping[str, AnyArray]
    rates: Mapping[str, AnyArray]
    active: Mapping[str, IntArray]


def join_summaries(parts: Sequence[Summary]) -> Summary:
    """The summary of several batches of one netlist as if they were one."""

    def total(maps: list[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
        return {name: np.sum([m[name] for m in maps], axis=0) for name in maps[0]}

    def stacked(maps: list[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
        return {name: np.concatenate([m[name] for m in maps]) for name in maps[0]}

    return Summary(
        parts[0].timesteps,
        sum(p.samples for p in parts),
        stacked([p.traces for p in parts]),
        total([p.spikes for p in parts]),
        stacked([p.spikes_per_sample for p in parts]),
        total([p.payload for p in parts]),
        stacked([p.rates for p in parts]),
        total([p.active for p in parts]),
    )
