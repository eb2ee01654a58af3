"""Activity: what every neuron did in a run, summed over samples and steps.

An update of a neuron is *active* if it has a state, an input or a bias, or fires::

    active[t] = v[t - 1] != 0 or v[t] != 0 or a spike reached it or b != 0 or s[t] != 0

with v[-1] = v0 and what the host writes for ``current`` inputs in b. Neurocores know no windows:
before its window a neuron holds v0, after it the v of its last step (where it leaks, this is an
upper bound), and b acts in all T + max depth steps. What neurons would fire there is not counted
(:mod:`neurodeploy.hardware.cut.windows` tells which could). All other updates are inactive: nothing
happened. An input that cancels exactly is an input all the same, as in SANA-FE (Boyle et
al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971). An accumulator of max-pooling is active from
the first spike that reaches it to the end, and throughout if the host writes it a bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.price.arrivals import arrivals, host_bias
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, Neuron
from neurodeploy.ir.record import RunRecord


@dataclass(frozen=True, slots=True)
class PopulationActivity:
    """Counts of one population over all samples and T + max depth steps.

    Parameters
    ----------
    spikes : int64 ``shape``
        Emissions other than 0, whatever their sign and payload.
    active : int64 ``shape``
        Active updates; 0 for inputs.
    accumulators : int64 ``input_shape`` or None
        Active updates of the accumulators of max-pooling.
    """

    spikes: IntArray
    active: IntArray
    accumulators: IntArray | None = None

    def __add__(self, other: PopulationActivity) -> PopulationActivity:
        both = None
        if self.accumulators is not None and other.accumulators is not None:
            both = self.accumulators + other.accumulators
        return PopulationActivity(self.spikes + other.spikes, self.active + other.active, both)


@dataclass(frozen=True, slots=True)
class Activity:
    """Counts of a whole run.

    Parameters
    ----------
    populations : mapping of population to PopulationActivity
    samples, timesteps : int
    """

    populations: Mapping[str, PopulationActivity]
    samples: int
    timesteps: int

    def spikes(self) -> dict[str, IntArray]:
        """Emissions of every neuron by population: int64 ``shape`` each."""
        return {name: counts.spikes for name, counts in self.populations.items()}

    def __add__(self, other: Activity) -> Activity:
        if self.timesteps != other.timesteps:
            raise ValueError(f"runs of {self.timesteps} and {other.timesteps} steps do not add up")
        return Activity(
            {name: mine + other.populations[name] for name, mine in self.populations.items()},
            self.samples + other.samples,
            self.timesteps,
        )


def membranes_needed(netlist: IntegerNetlist | RealNetlist) -> list[str]:
    """Populations whose membranes a run must record."""
    return [p.name for p in netlist.populations if not isinstance(p.model, Input)]


def activity_from_record(netlist: IntegerNetlist | RealNetlist, record: RunRecord) -> Activity:
    """Count a run in which all spikes and all membranes were recorded.

    Raises
    ------
    ValueError
        If the record lacks a population.
    """
    samples = next(iter(record.spikes.values())).shape[0]
    found: dict[str, PopulationActivity] = {}
    for population in netlist.populations:
        emitted = _of(record.spikes, population, "spikes")
        spikes = (emitted != 0).sum(axis=(0, 1), dtype=np.int64)
        if isinstance(population.model, Input):
            found[population.name] = PopulationActivity(spikes, np.zeros_like(spikes))
            continue
        active = active_updates(netlist, population, record).sum(axis=(0, 1), dtype=np.int64)
        held = None
        if isinstance(population.model, MaxPool):
            since = first_held(netlist, population, record)
            held = (_steps(netlist, record) - since).sum(axis=0, dtype=np.int64)
        found[population.name] = PopulationActivity(spikes, active, held)
    return Activity(found, samples, record.timesteps)


def active_updates(
    netlist: IntegerNetlist | RealNetlist, population: Population, record: RunRecord
) -> AnyArray:
    """Mask of a population's active updates: bool ``[B, T + max depth, *shape]``."""
    membrane = _of(record.membranes, population, "membranes") != 0
    samples, steps = len(membrane), _steps(netlist, record)
    first = netlist.schedule.depth[population.name]
    last = first + record.timesteps
    active: AnyArray = np.zeros((samples, steps, *population.shape), dtype=bool)
    window = active[:, first:last]
    window |= membrane | (_of(record.spikes, population, "spikes") != 0)
    window[:, 1:] |= membrane[:, :-1]
    active[:, last:] = membrane[:, -1:]
    if isinstance(population.model, Neuron):
        active[:, : first + 1] |= population.spread(population.model.initial_membrane) != 0
        window |= arrivals(netlist, population, record)
        bias = population.spread(population.model.bias) + host_bias(netlist, population, record)
        active |= (bias != 0)[:, None]
    return active


def first_held(
    netlist: IntegerNetlist | RealNetlist, population: Population, record: RunRecord
) -> IntArray:
    """First of all steps from which each accumulator of a pool has had an input.

    int64 ``[B, *input_shape]``; T + max depth where it never has one.
    """
    arriving = arrivals(netlist, population, record)
    since = arriving.argmax(axis=1) + netlist.schedule.depth[population.name]
    first = np.where(arriving.any(axis=1), since, _steps(netlist, record))
    first[host_bias(netlist, population, record) != 0] = 0
    return first


def _steps(netlist: IntegerNetlist | RealNetlist, record: RunRecord) -> int:
    return record.timesteps + netlist.schedule.max_depth


def _of(arrays: Mapping[str, AnyArray], population: Population, what: str) -> AnyArray:
    if population.name not in arrays:
        raise ValueError(f"the record has no {what} of {population.name!r}")
    return arrays[population.name]
