"""From a netlist to packed cores: every decision, before any array of the chip is written."""

from __future__ import annotations

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
from neurodeploy.targets.truenorth.packing import PackedCore, pack
from neurodeploy.targets.truenorth.prelude import Prelude
from neurodeploy.targets.truenorth.timing import Timing, cycle_of

FAN_OUT = ("auto", "copies", "splitters")


@dataclass(frozen=True, slots=True, eq=False)
class Crossbar:
    """A population's neurons against all axon slots it could use, bias axons last.

    Parameters
    ----------
    slot_key : int64 ``[slots]``
        Input of the layer, -1 for bias axons.
    slot_type : int64 ``[slots]``
    neuron, slot : int64 ``[crossings]``, sorted by neuron
    values : int64 ``[n, types]``
    """

    slot_key: IntArray
    slot_type: IntArray
    neuron: IntArray
    slot: IntArray
    values: IntArray

    def axons_per_neuron(self) -> IntArray:
        """Axons that each neuron needs for itself."""
        return np.bincount(self.neuron, minlength=self.values.shape[0]).astype(np.int64)


def crossbar(decomposition: Decomposition, prelude: Prelude) -> Crossbar:
    """Add the bias axons to a decomposed layer."""
    needy = np.flatnonzero(prelude.bias_copies)
    n_types = decomposition.values.shape[1]
    free = bool(needy.size and prelude.bias_type[needy].max() == n_types)
    values = np.concatenate(
        [decomposition.values, np.zeros((decomposition.values.shape[0], int(free)), np.int64)], 1
    )
    values[needy, prelude.bias_type[needy]] = prelude.bias_value[needy]
    keys, types = [decomposition.slot_key], [decomposition.slot_type]
    neurons, slots = [decomposition.neuron], [decomposition.slot]
    n_slots = decomposition.slot_key.size
    for kind in range(values.shape[1]):
        mine = needy[prelude.bias_type[needy] == kind]
        most = int(prelude.bias_copies[mine].max(initial=0))
        keys.append(np.full(most, -1))
        types.append(np.full(most, kind))
        for copy in range(most):
            wanting = mine[prelude.bias_copies[mine] > copy]
            neurons.append(wanting)
            slots.append(np.full(wanting.size, n_slots + copy))
        n_slots += most
    neuron, slot = np.concatenate(neurons), np.concatenate(slots)
    order = np.lexsort((slot, neuron))
    return Crossbar(np.concatenate(keys), np.concatenate(types), neuron[order], slot[order], values)


@dataclass(slots=True, eq=False)
class Plan:
    """Everything decided about a netlist.

    ``packed``, ``wanted`` and ``relays`` hold, per population: its cores, the destinations its own
    neurons serve, and its splitter cores. ``bound`` is the least number of cores that can hold
    these neurons, copies and axon instances.
    """

    netlist: IntegerNetlist
    limits: CrossbarLimits
    timing: Timing
    layers: dict[str, Layer]
    decompositions: dict[str, Decomposition]
    preludes: dict[str, Prelude]
    crossbars: dict[str, Crossbar]
    packed: dict[str, list[PackedCore]] = field(default_factory=dict)
    wanted: dict[str, Destinations] = field(default_factory=dict)
    relays: dict[str, list[RelayCore]] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)

    @property
    def n_cores(self) -> int:
        """Cores in use, splitters included."""
        return sum(map(len, self.packed.values())) + sum(map(len, self.relays.values()))

    def report(self) -> list[dict[str, Any]]:
        """What every population got, as JSON values."""
        found = []
        for name in self.netlist.schedule.order:
            if name not in self.packed:
                continue
            layer, parts, prelude = (
                self.layers[name],
                self.decompositions[name],
                self.preludes[name],
            )
            sources = [
                {"pre": s.pre, "delay": s.delay, "R": copies, "levels": list(levels)}
                for s, copies, levels in zip(layer.sources, parts.copies, parts.levels, strict=True)
            ]
            found.append(
                {
                    "population": name,
                    "cores": len(self.packed[name]),
                    "splitter_cores": len(self.relays.get(name, [])),
                    "core_bound": self.bound[name],
                    "neurons": layer.n_neurons,
                    "copies": sum(core.neurons.size for core in self.packed[name]),
                    "axons": sum(core.slots.size for core in self.packed[name]),
                    "fan_in": int(layer.fan_in().sum(axis=1).max(initial=0)),
                    "sources": sources,
                    "bias_axons": int((self.crossbars[name].slot_key < 0).sum()),
                    "early_spikes": int(prelude.early.sum()),
                }
            )
        return found

    def place_all(self, fan_out: str) -> tuple[frozenset[str], list[Violation]]:
        """Pack every population, the last first, since cores that follow decide the copies.

        Returns the populations that are better split (with ``fan_out="auto"``, if the timing does
        not split them yet) and the violations.
        """
        cycles = cycle_of(self.netlist)
        better: set[str] = set()
        for name in reversed(self.netlist.schedule.order):
            if isinstance(self.netlist.by_name[name].model, Input) or name in self.packed:
                continue
            if name in cycles:
                violation = self._place_cycle(sorted(cycles[name]))
                if violation is not None:
                    return frozenset(better), [violation]
                continue
            split = self._place(name)
            if fan_out == "auto" and split:
                better.add(name)
            if self.n_cores > self.limits.n_cores and not better:
                break
        if self.n_cores > self.limits.n_cores and not better:
            busiest = max(self.packed, key=lambda n: len(self.packed[n]))
            return frozenset(), [
                Violation(
                    busiest,
                    f"cores (of them {len(self.packed[busiest])} for this population; more may "
                    "follow)",
                    self.n_cores,
                    self.limits.n_cores,
                    "use fewer weight bits, smaller layers or a larger board",
                )
            ]
        return frozenset(better), []

    def _place(self, name: str) -> bool:
        """Pack a population outside cycles; tell whether splitter cores would take fewer cores."""
        wanted = self._destinations(name)
        if name in self.timing.split:
            self.relays[name], wanted = relay(wanted, self.limits)
            self._keep(name, wanted, self._pack(name, wanted))
            return False
        packed = self._pack(name, wanted)
        self._keep(name, wanted, packed)
        if len(packed) <= self._floor(name, wanted):
            return False
        relays, served = relay(wanted, self.limits)
        through = self._pack(name, served)
        copies = self._cost(name, packed)
        splitters = self._cost(name, through) + len(relays)
        return splitters < copies

    def _place_cycle(self, members: list[str]) -> Violation | None:
        """Pack a strongly connected component: copies and cores decide each other."""
        copies: dict[str, IntArray] = {
            m: np.ones(self.netlist.by_name[m].size, dtype=np.int64) for m in members
        }
        while True:
            for m in members:
                self.packed[m] = self._pack_copies(m, copies[m])
            wanted = {m: self._destinations(m) for m in members}
            for m in members:
                if m in self.timing.split:
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
        copies = np.maximum(wanted.counts(self.netlist.by_name[name].size), 1)
        n_slots = self.crossbars[name].slot_key.size
        return max(
            -(-int(copies.sum()) // self.limits.neurons), -(-n_slots // self.limits.axons), 1
        )

    def _cost(self, name: str, packed: list[PackedCore]) -> float:
        """Cores, and the share of cores before them that their inputs from the chip take."""
        keys = self.crossbars[name].slot_key
        on_chip = np.append(~self._from_host(name), False)  # the last entry stands for bias axons
        inputs = sum(int(on_chip[keys[core.slots]].sum()) for core in packed)
        return len(packed) + inputs / self.limits.neurons

    def _from_host(self, name: str) -> IntArray:
        layer = self.layers[name]
        host = np.array(
            [isinstance(self.netlist.by_name[s.pre].model, Input) for s in layer.sources],
            dtype=bool,
        )
        flags: IntArray = host[layer.key_source]
        return flags

    def _destinations(self, name: str) -> Destinations:
        slot_keys = {n: c.slot_key for n, c in self.crossbars.items()}
        return destinations(self.netlist, name, self.layers, slot_keys, self.packed, self.timing)

    def _pack(self, name: str, wanted: Destinations) -> list[PackedCore]:
        counts = wanted.counts(self.netlist.by_name[name].size)
        return self._pack_copies(name, np.maximum(counts, 1))

    def _pack_copies(self, name: str, copies: IntArray) -> list[PackedCore]:
        bar = self.crossbars[name]
        return pack(
            bar.neuron,
            bar.slot,
            bar.slot_key,
            copies,
            bar.slot_key.size,
            self.limits.axons,
            self.limits.neurons,
            cut_freely=bool(self._from_host(name).all()),
        )
