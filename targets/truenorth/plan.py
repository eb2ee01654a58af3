"""From a netlist to packed cores: every decision, before any array of the chip is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.fanout import Destinations, RelayCore, destinations, relay
from neurodeploy.targets.truenorth.layers import Decomposition, Layer
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.packing import PackedCore, cores_and_feeds, pack, slots_of
from neurodeploy.targets.truenorth.split.bursts import PartialSums, pack_finals
from neurodeploy.targets.truenorth.timing import TickTiming, cycle_of
from neurodeploy.targets.truenorth.units import (
    BIAS_KEY,
    DOWN_KEY,
    HOLD_KEY,
    RELEASE_KEY,
    UP_KEY,
    Unit,
)

FAN_OUT = ("auto", "copies", "splitters")


@dataclass(slots=True, eq=False)
class CorePlan:
    """Everything decided about a netlist.

    ``units`` are in the order of the netlist's schedule, partial neurons before final ones;
    ``layers`` and ``parts`` are the populations' own synapses, ``splits`` those of them that are
    cut; ``early`` counts spikes before a window. ``packed``, ``wanted`` and ``relays`` hold, per
    unit: its cores, the destinations its own neurons serve, and its splitter cores. ``bound`` is
    the least number of cores that can hold these neurons, copies and axon instances.
    """

    netlist: IntegerNetlist
    limits: CrossbarLimits
    timing: TickTiming
    units: dict[str, Unit]
    layers: dict[str, Layer]
    parts: dict[str, Decomposition]
    splits: Mapping[str, PartialSums] = field(default_factory=dict)
    early: Mapping[str, int] = field(default_factory=dict)
    packed: dict[str, list[PackedCore]] = field(default_factory=dict)
    wanted: dict[str, Destinations] = field(default_factory=dict)
    relays: dict[str, list[RelayCore]] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)

    @property
    def n_cores(self) -> int:
        """Cores in use, splitters included."""
        return sum(map(len, self.packed.values())) + sum(map(len, self.relays.values()))

    @property
    def ticks(self) -> int:
        """Ticks of one sample: until the last window closes."""
        latest = max((self.timing.start[u] for u in self.units), default=0)
        return latest + (self.netlist.timesteps - 1) * self.timing.period + 1

    def is_host(self, pre: str) -> bool:
        """Whether a source is an input: the host sends its spikes."""
        return pre not in self.units and isinstance(self.netlist.by_name[pre].model, Input)

    def report(self) -> list[dict[str, Any]]:
        """Report of every population's cores and axons, as JSON values."""
        return [self._entry(name) for name in self.netlist.schedule.order if name in self.layers]

    def _entry(self, name: str) -> dict[str, Any]:
        layer, parts, split = self.layers[name], self.parts[name], self.splits.get(name)
        units = [u for u in self.units.values() if u.population == name]
        partial = [u for u in units if u.role == "partial"]
        sources = [
            {"pre": s.pre, "delay": s.delay, "R": copies, "levels": list(levels)}
            for s, copies, levels in zip(layer.sources, parts.copies, parts.levels, strict=True)
        ]
        ramp = None if split is None else split.ramp
        return {
            "population": name,
            "cores": sum(len(self.packed[u.name]) for u in units),
            "partial_cores": sum(len(self.packed[u.name]) for u in partial),
            "splitter_cores": len(self.relays.get(name, [])),
            "core_bound": sum(self.bound[u.name] for u in units),
            "neurons": layer.n_neurons,
            "partial_neurons": sum(u.size for u in partial),
            "copies": sum(core.neurons.size for core in self.packed[name]),
            "axons": sum(core.slots.size for u in units for core in self.packed[u.name]),
            "fan_in": int(layer.fan_in().sum(axis=1).max(initial=0)),
            "sources": sources,
            "bias_axons": sum(u.bar.count(BIAS_KEY) for u in units),
            "gate_axons": max(u.bar.count(HOLD_KEY, RELEASE_KEY, UP_KEY, DOWN_KEY) for u in units),
            "burst": 0 if split is None else split.cut.burst,
            "ramp": 0 if ramp is None else ramp.ticks,
            "early_spikes": self.early.get(name, 0),
        }

    def place_all(self, fan_out: str) -> tuple[frozenset[str], list[Violation]]:
        """Pack every unit, the last first, since cores that follow decide the copies.

        Returns the populations that are better relayed (with ``fan_out="auto"``, if the timing does
        not relay them yet) and the violations.
        """
        cycles = cycle_of(self.netlist)
        better: set[str] = set()
        for name in reversed(list(self.units)):
            if name in self.packed:
                continue
            population = self.units[name].population
            members = [
                n for n, u in self.units.items() if u.population in cycles.get(population, ())
            ]
            if self.units[name].role == "sum":
                # Sums and their repayments receive each other.
                members = members or [n for n, u in self.units.items() if self._answers(name, u)]
            if members:
                violation = self._place_cycle(members)
                if violation is not None:
                    return frozenset(better), [violation]
                continue
            if self._place(name) and fan_out == "auto":
                better.add(name)
            if self.n_cores > self.limits.n_cores and not better:
                break
        if self.n_cores > self.limits.n_cores and not better:
            busiest = max(self.packed, key=lambda n: len(self.packed[n]))
            return frozenset(), [
                Violation(
                    self.units[busiest].population,
                    f"cores (of them {len(self.packed[busiest])} for this population; more may "
                    "follow)",
                    self.n_cores,
                    self.limits.n_cores,
                    "use fewer weight bits, smaller layers or a larger board",
                )
            ]
        return frozenset(better), []

    def _answers(self, name: str, unit: Unit) -> bool:
        same = unit.population == self.units[name].population
        return same and unit.role in ("sum", "repay")

    def _place(self, name: str) -> bool:
        """Pack a unit outside cycles; tell whether splitter cores would take fewer cores."""
        wanted = self._destinations(name)
        if name in self.timing.relayed:
            self.relays[name], wanted = relay(wanted, self.limits)
            self._keep(name, wanted, self._pack(name, wanted))
            return False
        packed = self._pack(name, wanted)
        self._keep(name, wanted, packed)
        if len(packed) <= self._floor(name, wanted) or self.units[name].role == "partial":
            return False
        relays, served = relay(wanted, self.limits)
        through = self._pack(name, served)
        copies = self._cost(name, packed)
        splitters = self._cost(name, through) + len(relays)
        return splitters < copies

    def _place_cycle(self, members: list[str]) -> Violation | None:
        """Pack a strongly connected component: copies and cores decide each other."""
        copies: dict[str, IntArray] = {
            m: np.ones(self.units[m].size, dtype=np.int64) for m in members
        }
        while True:
            for m in members:
                self.packed[m] = self._pack_copies(m, copies[m])
            wanted = {m: self._destinations(m) for m in members}
            for m in members:
                if m in self.timing.relayed:
                    self.relays[m], wanted[m] = relay(wanted[m], self.limits)
            needed: dict[str, IntArray] = {
                m: np.maximum(copies[m], wanted[m].counts(copies[m].size)) for m in members
            }
            if all(np.array_equal(needed[m], copies[m]) for m in members):
                for m in members:
                    self._keep(m, wanted[m], self.packed[m])
                return None
            copies = needed
            if sum(int(c.sum()) for c in copies.values()) > self.limits.n_cores * (
                self.limits.neurons
            ):
                return Violation(
                    members[0],
                    f"copies of the cycle {', '.join(members)} grow without end: every core of it "
                    "needs copies of all its inputs; neurons",
                    sum(int(c.sum()) for c in copies.values()),
                    self.limits.n_cores * self.limits.neurons,
                    "use fewer recurrent neurons or fewer weight bits",
                )

    def _keep(self, name: str, wanted: Destinations, packed: list[PackedCore]) -> None:
        self.wanted[name], self.packed[name] = wanted, packed
        axons = sum(core.slots.size for core in packed)
        self.bound[name] = max(self._floor(name, wanted), -(-axons // self.limits.axons))

    def _floor(self, name: str, wanted: Destinations) -> int:
        copies = np.maximum(wanted.counts(self.units[name].size), 1)
        n_slots = self.units[name].bar.slot_key.size
        return max(
            -(-int(copies.sum()) // self.limits.neurons), -(-n_slots // self.limits.axons), 1
        )

    def _cost(self, name: str, packed: list[PackedCore]) -> float:
        key, on_chip = self.units[name].bar.slot_key, ~self._from_host(name)
        return cores_and_feeds(packed, key, on_chip, self.limits.neurons)

    def _from_host(self, name: str) -> IntArray:
        layer = self.units[name].layer
        host = np.array([self.is_host(s.pre) for s in layer.sources], dtype=bool)
        flags: IntArray = host[layer.key_source]
        return flags

    def _destinations(self, name: str) -> Destinations:
        read = any(o.population == name for o in self.netlist.outputs)
        return destinations(self.units, name, read, self.packed, self.timing)

    def _pack(self, name: str, wanted: Destinations) -> list[PackedCore]:
        counts = wanted.counts(self.units[name].size)
        return self._pack_copies(name, np.maximum(counts, 1))

    def _pack_copies(self, name: str, copies: IntArray) -> list[PackedCore]:
        unit = self.units[name]
        return pack_unit(unit, copies, self.limits, bool(self._from_host(name).all()))


def pack_unit(
    unit: Unit, copies: IntArray, limits: CrossbarLimits, cut_freely: bool
) -> list[PackedCore]:
    """Pack one unit, see :func:`neurodeploy.targets.truenorth.packing.pack`.

    Whole populations are packed by equal inputs and by position: the way with fewer cores for the
    unit and for the neurons that feed its axons is taken.
    """
    bar = unit.bar
    # Neurons that share no axon, such as those that add up rails, need no search.
    apart = bool((bar.slot_key >= 0).all()) and int(np.bincount(bar.slot).max(initial=0)) == 1
    if unit.role in ("final", "sum") or apart:
        shared = np.flatnonzero(bar.slot_key < 0)
        start = np.searchsorted(bar.neuron, np.arange(unit.size + 1))
        cores = pack_finals(
            bar.axons_per_neuron() - shared.size,
            copies,
            limits.axons - shared.size,
            limits.neurons,
        )
        return [PackedCore(n, slots_of(n, start, bar.slot)) for n in cores]
    ways = [unit.site] if unit.role == "partial" else [None, unit.site]
    found = [
        pack(
            bar.neuron,
            bar.slot,
            bar.slot_key,
            copies,
            bar.slot_key.size,
            limits.axons,
            limits.neurons,
            cut_freely,
            site,
        )
        for site in ways[: 1 if unit.site is None else None]
    ]

    def cost(cores: list[PackedCore]) -> float:
        fed = 0 if cut_freely else sum(core.slots.size for core in cores)
        return len(cores) + fed / limits.neurons

    return min(found, key=cost)
