"""Spikes and membranes of a few samples, as much of them as can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.execution.batches import EncodedInput, raster_bytes, run_batched
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray, per_neuron
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.record import Progress, RunRecord
from neurodeploy.verification.executors import fastest_executor

SHOWN_NEURONS = 64
"""Neurons of a population that a raster keeps, evenly spread over it."""

SHOWN_TRACES = 10
"""Membranes of an output that are kept; of a hidden population, some of the most active."""

HIDDEN_TRACES = 3
MOST_BINS = 20
"""Ranges of the share of steps with a spike, at most; beside them, no spike at all."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Membrane of one neuron: its values ``[T]`` and its threshold, None where it never fires."""

    neuron: int
    values: AnyArray
    threshold: float | None


@dataclass(frozen=True, slots=True)
class SampleActivity:
    """One sample.

    Parameters
    ----------
    index : int
        Among the samples of the run.
    rasters : mapping
        Population -> payloads ``[T, n]`` of some of its neurons, 0 for no spike.
    traces : mapping
        Population -> some of its membranes.
    """

    index: int
    rasters: Mapping[str, IntArray]
    traces: Mapping[str, tuple[Trace, ...]]


@dataclass(frozen=True, slots=True)
class SpikeActivity:
    """What a network does in every step, over some samples.

    Parameters
    ----------
    samples, timesteps : int
    neurons : mapping
        Population that can spike -> its size.
    first_step : mapping
        Population -> step in which its window opens.
    spikes_per_step : mapping
        Population -> mean spikes of a sample in each step of its window, ``[T]``.
    rates : mapping
        Population -> neurons of each sample, counted by the share of steps in which they spike: a
        bin for none, then equal ones, as many as steps or :data:`MOST_BINS`.
    shown : tuple of SampleActivity
        The first samples.
    """

    samples: int
    timesteps: int
    neurons: Mapping[str, int]
    first_step: Mapping[str, int]
    spikes_per_step: Mapping[str, FloatArray]
    rates: Mapping[str, IntArray]
    shown: tuple[SampleActivity, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values, without rasters and membranes."""
        return {
            "samples": self.samples,
            "timesteps": self.timesteps,
            "first_step": dict(self.first_step),
            "spikes_per_step": {n: v.tolist() for n, v in self.spikes_per_step.items()},
            "neurons_by_rate": {n: v.tolist() for n, v in self.rates.items()},
        }


def watch(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Mapping[str, EncodedInput],
    shown: int,
    progress: Progress | None = None,
) -> SpikeActivity:
    """Run samples on the fast engine and keep what can be looked at.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    stimulus : mapping
        Input population -> its samples.
    shown : int
        Of so many samples rasters and membranes are kept.
    """
    T = netlist.timesteps
    firing = [p for p in netlist.populations if not (p.is_integrator or p.is_current_input)]
    watched = _watched(netlist)
    execute = fastest_executor(netlist)
    sums = {p.name: np.zeros(T) for p in firing}
    bins = min(T, MOST_BINS)
    rates = {p.name: np.zeros(bins + 1, dtype=np.int64) for p in firing}
    kept: list[SampleActivity] = []
    samples = 0
    for batch in run_batched(stimulus, raster_bytes(netlist), progress=progress):
        record = execute(batch.stimulus, [p.name for p in watched])
        for population in firing:
            spikes = record.spikes[population.name].reshape(-1, T, population.size)
            emitted = spikes != 0
            sums[population.name] += emitted.sum(axis=(0, 2))
            rates[population.name] += _histogram(emitted.sum(axis=1), T, bins)
        count = len(next(iter(record.spikes.values())))
        for i in range(min(count, shown - len(kept))):
            kept.append(_shown(samples + i, i, record, firing, watched))
        samples += count
    return SpikeActivity(
        samples,
        T,
        {p.name: p.size for p in firing},
        {p.name: netlist.schedule.depth[p.name] for p in netlist.populations},
        {name: total / samples for name, total in sums.items()},
        rates,
        tuple(kept),
    )


def _watched(netlist: IntegerNetlist | RealNetlist) -> list[Population]:
    """Outputs with a membrane, and the first population that fires."""
    outputs = [netlist.by_name[o.population] for o in netlist.outputs]
    firing = [p for p in netlist.populations if isinstance(p.model, Neuron) and p.model.fires]
    found = {p.name: p for p in (*firing[:1], *outputs) if isinstance(p.model, Neuron)}
    return list(found.values())


def _histogram(counts: IntArray, steps: int, bins: int) -> IntArray:
    places = -(-counts.reshape(-1) * bins // steps)
    return np.bincount(places, minlength=bins + 1)


def _shown(
    index: int, place: int, record: RunRecord, firing: list[Population], watched: list[Population]
) -> SampleActivity:
    rasters = {}
    for population in firing:
        raster = record.spikes[population.name][place].reshape(record.timesteps, -1)
        rasters[population.name] = raster[:, evenly_spread(population.size)].astype(np.int64)
    traces = {}
    for population in watched:
        values = record.membranes[population.name][place].reshape(record.timesteps, -1)
        chosen: IntArray = np.arange(min(population.size, SHOWN_TRACES))
        if not population.is_integrator:
            emitted = record.spikes[population.name][place].reshape(record.timesteps, -1)
            active = np.count_nonzero(emitted, axis=0)
            chosen = np.sort(np.argsort(-active, kind="stable")[:HIDDEN_TRACES])
        traces[population.name] = tuple(
            Trace(int(i), values[:, i].copy(), _threshold(population, int(i))) for i in chosen
        )
    return SampleActivity(index, rasters, traces)


def evenly_spread(size: int) -> IntArray:
    """Neurons of a raster: all of them, or some evenly spread."""
    return np.unique(np.linspace(0, size - 1, min(size, SHOWN_NEURONS)).round().astype(np.int64))


def _threshold(population: Population, neuron: int) -> float | None:
    model = population.model
    if not isinstance(model, Neuron) or model.threshold is None:
        return None
    return float(per_neuron(model.threshold, population.shape).reshape(-1)[neuron])
