"""Fan-out one: who needs a neuron's spikes, and splitter cores that multiply them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.packing import PackedCore
from neurodeploy.targets.truenorth.timing import TickTiming
from neurodeploy.targets.truenorth.units import Unit

HOST_PLACE = "host"


@dataclass(frozen=True, slots=True, eq=False)
class Destinations:
    """Axons (or the host) that need the spikes of one population, sorted by neuron.

    Parameters
    ----------
    neuron : int64 ``[E]``
        Neuron of the population.
    post : tuple of str
        Populations, with their own cores; ``"host"`` stands for the host.
    place, core, axon : int64 ``[E]``
        Index into ``post``, and the core there and its axon.
    ticks : int64 ``[E]``
        From emission to arrival.
    """

    neuron: IntArray
    post: tuple[str, ...]
    place: IntArray
    core: IntArray
    axon: IntArray
    ticks: IntArray

    def counts(self, n_neurons: int) -> IntArray:
        """Destinations per neuron."""
        return np.bincount(self.neuron, minlength=n_neurons).astype(np.int64)

    def take(self, index: IntArray) -> Destinations:
        """The destinations at ``index``."""
        parts = (a[index] for a in (self.place, self.core, self.axon, self.ticks))
        return Destinations(self.neuron[index], self.post, *parts)


@dataclass(frozen=True, slots=True, eq=False)
class RelayCore:
    """A splitter core: relay r repeats axon ``relay_axon[r]`` towards one destination.

    Parameters
    ----------
    axon_neuron : int64 ``[axons]``
        Neuron that each axon listens to.
    relay_axon : int64 ``[relays]``
    onward : Destinations
        One per relay; ``ticks`` counts from the relay.
    ticks : int
        From the population to this core.
    """

    axon_neuron: IntArray
    relay_axon: IntArray
    onward: Destinations
    ticks: int


def destinations(
    units: Mapping[str, Unit],
    name: str,
    read: bool,
    packed: Mapping[str, list[PackedCore]],
    timing: TickTiming,
) -> Destinations:
    """Collect who listens to a unit, over all packed cores that follow it; ``read``: the host."""
    post: list[str] = []
    rows: list[IntArray] = []
    for follower, unit in units.items():
        layer, keys = unit.layer, unit.bar.slot_key
        mine = np.array([s.pre == name for s in layer.sources], dtype=bool)
        if not mine.any():
            continue
        post.append(follower)
        travel = np.array(
            [
                timing.travel(s.pre, follower, s.delay) if s.pre == name else 0
                for s in layer.sources
            ],
            dtype=np.int64,
        )
        for i, core in enumerate(packed[follower]):
            key = keys[core.slots]
            axon = np.flatnonzero(key >= 0)
            source = layer.key_source[key[axon]]
            axon, source = axon[mine[source]], source[mine[source]]
            neuron = layer.key_neuron[key[axon]]
            full = np.full(axon.size, len(post) - 1), np.full(axon.size, i)
            rows.append(np.stack([neuron, *full, axon, travel[source]]))
    if read:
        post.append(HOST_PLACE)
        neuron = np.arange(units[name].size)
        zero = np.zeros_like(neuron)
        rows.append(np.stack([neuron, zero + len(post) - 1, zero, zero, zero]))
    table = np.concatenate([np.zeros((5, 0), dtype=np.int64), *rows], axis=1)
    table = table[:, np.argsort(table[0], kind="stable")]
    return Destinations(table[0], tuple(post), *table[1:])


def relay(wanted: Destinations, limits: CrossbarLimits) -> tuple[list[RelayCore], Destinations]:
    """Splitter cores for all destinations but the host.

    Returns the cores and what the population itself has to serve: axons of splitter cores, as
    place ``"relay"``, and the host.
    """
    host = wanted.post.index(HOST_PLACE) if HOST_PLACE in wanted.post else -1
    direct = np.flatnonzero(wanted.place == host)
    cores: list[RelayCore] = []
    rows: list[IntArray] = []
    onward = np.flatnonzero(wanted.place != host)
    short = wanted.ticks[onward] <= limits.delay_max + 1
    for ticks, entries in ((1, onward[short]), (limits.delay_max, onward[~short])):
        for axon_neuron, relay_axon, taken in _fill(wanted, entries, limits):
            ahead = wanted.take(taken)
            ahead = Destinations(
                ahead.neuron, ahead.post, ahead.place, ahead.core, ahead.axon, ahead.ticks - ticks
            )
            core = np.full(axon_neuron.size, len(cores))
            axon, delay = np.arange(axon_neuron.size), np.full(axon_neuron.size, ticks)
            rows.append(np.stack([axon_neuron, np.zeros_like(core), core, axon, delay]))
            cores.append(RelayCore(axon_neuron, relay_axon, ahead, ticks))
    neuron = wanted.neuron[direct]
    zero = np.zeros_like(neuron)
    rows.append(np.stack([neuron, zero + 1, zero, zero, zero]))
    table = np.concatenate(rows, axis=1)
    table = table[:, np.argsort(table[0], kind="stable")]
    return cores, Destinations(table[0], ("relay", HOST_PLACE), *table[1:])


def _fill(
    wanted: Destinations, entries: IntArray, limits: CrossbarLimits
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """Distribute destinations over splitter cores: (axon's neuron, relay's axon, entries)."""
    found: list[tuple[IntArray, IntArray, IntArray]] = []
    axons: list[int] = []
    relays: list[int] = []
    taken: list[int] = []

    def close() -> None:
        if taken:
            found.append(
                (
                    np.array(axons, dtype=np.int64),
                    np.array(relays, dtype=np.int64),
                    np.array(taken, dtype=np.int64),
                )
            )
        for part in (axons, relays, taken):
            part.clear()

    if not entries.size:
        return []
    neurons, start = np.unique(wanted.neuron[entries], return_index=True)
    for neuron, own in zip(neurons.tolist(), np.split(entries, start[1:]), strict=True):
        rest = own.tolist()
        if len(rest) > limits.neurons - len(taken) or len(axons) == limits.axons:
            close()
        while rest:
            part, rest = rest[: limits.neurons], rest[limits.neurons :]
            axons.append(neuron)
            relays.extend([len(axons) - 1] * len(part))
            taken.extend(part)
            if rest:
                close()
    close()
    return found
