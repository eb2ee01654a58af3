"""Moving neurons until every core respects all its limits at once.

Partitioners balance one size; what a core needs of axons and of memory is no sum over its neurons.
The fullest core gives neurons to cores with room for all that comes with them, at the least cost
in packets; only where there is no room anywhere, it is cut in two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.cut.demand import REMEDIES, RESOURCE_WORDS, RESOURCES
from neurodeploy.hardware.cut.graph.hypergraph import offsets, spans
from neurodeploy.hardware.cut.graph.neuron_graph import CoreLimits, NeuronGraph
from neurodeploy.ir.arrays import AnyArray, IntArray

Halve = Callable[[IntArray], IntArray]
"""Cuts a set of neurons in two that are not empty: 0 or 1 for each."""


def repair(graph: NeuronGraph, limits: CoreLimits, core: IntArray, halve: Halve) -> IntArray:
    """Cores of all neurons, int64 ``[n]``, with all limits respected; cores may be added.

    Raises
    ------
    CapacityError
        If a core of one neuron needs more output axons than there are.
    """
    state = _Repair(graph, limits, core)
    while True:
        worst = state.fullest()
        if worst is None:
            return state.core
        crowded, resource = worst
        if state.relieve(crowded, resource):
            continue
        neurons = np.flatnonzero(state.core == crowded)
        if neurons.size == 1:
            raise CapacityError(
                f"{graph.name}: neuron {int(neurons[0])} alone needs "
                f"{int(state.used[resource][crowded])} {RESOURCE_WORDS[resource]} to reach its "
                f"cores, a core of board {limits.board} has {limits.limit(resource)}; "
                f"{REMEDIES[resource]}"
            )
        state.split(neurons, halve(neurons))


class _Repair:
    def __init__(self, graph: NeuronGraph, limits: CoreLimits, core: IntArray) -> None:
        self.graph, self.limits = graph, limits
        self.core = core.copy()
        axon = np.repeat(np.arange(graph.n_axons), graph.axon_sizes)
        self._incoming = axon[np.argsort(graph.targets, kind="stable")]
        self._in_start = offsets(graph.fan_in())
        senders = np.flatnonzero(graph.source >= 0)
        self._own = senders[np.argsort(graph.source[senders], kind="stable")]
        self._own_start = offsets(np.bincount(graph.source[senders], minlength=graph.n))
        widths, self._width = np.unique(graph.weight_bits, return_inverse=True)
        # An axon can meet every neuron of a core, and of a crowded one before it is relieved.
        most = int(graph.axon_sizes.max()) + 1 if graph.n_axons else 1
        self._bits = np.array([limits.axon_bits(w, most) for w in widths.tolist()]).reshape(
            -1, most + 1
        )
        self._count_all()

    def _count_all(self) -> None:
        self.n_cores = int(self.core.max()) + 1
        self.used = self.limits.usage(self.graph, self.core, self.n_cores)

    def fullest(self) -> tuple[int, str] | None:
        """The core that exceeds a limit by the largest factor, and which limit."""
        worst: tuple[float, int, str] | None = None
        for resource in RESOURCES:
            limit = self.limits.limit(resource)
            if limit is None:
                continue
            k = int(self.used[resource].argmax())
            factor = int(self.used[resource][k]) / limit
            if factor > 1 and (worst is None or factor > worst[0]):
                worst = factor, k, resource
        return None if worst is None else worst[1:]

    def split(self, neurons: IntArray, side: IntArray) -> None:
        """Put one side of a core's neurons on a new core."""
        self.core[neurons[side == 1]] = self.n_cores
        self._count_all()

    def relieve(self, crowded: int, resource: str) -> bool:
        """Move neurons away from a core until it fits; whether any moved."""
        limit = self.limits.limit(resource)
        assert limit is not None  # it was exceeded
        moved = False
        for neuron in self._ranked(crowded, resource).tolist():
            if self.used[resource][crowded] <= limit:
                return True
            moved |= self._move_away(neuron, resource)
        return moved

    def _ranked(self, crowded: int, resource: str) -> IntArray:
        """Neurons of a core by rising cost of moving them; those that free nothing are left out."""
        neurons = np.flatnonzero(self.core == crowded)
        degree = np.diff(self._in_start)[neurons]
        axons = self._incoming[spans(self._in_start[neurons], degree)]
        row = np.repeat(np.arange(neurons.size), degree)
        found, place = np.unique(axons, return_inverse=True)
        counts = self._counts(found)
        here = counts[place, crowded]
        alone = np.bincount(row[here == 1], minlength=neurons.size)
        # Axons that a neuron shares with every core that has room for one more.
        ties = np.zeros((neurons.size, self.n_cores), dtype=np.int64)
        np.add.at(ties, row, counts[place] > 0)
        ties[:, crowded] = 0
        ties[:, ~self._open()] = 0
        cost = degree - ties.max(axis=1) - alone
        relief = self._relief(resource, neurons, axons, row, here)
        order = np.lexsort((neurons, cost / np.maximum(relief, 1)))
        ranked: IntArray = neurons[order][relief[order] > 0]
        return ranked

    def _relief(
        self,
        resource: str,
        neurons: IntArray,
        axons: IntArray,
        row: IntArray,
        here: IntArray,
    ) -> IntArray:
        """Amount of a resource that a core saves without each neuron alone."""
        if resource == "neurons":
            return np.ones(neurons.size, dtype=np.int64)
        if resource == "output_axons":
            sent = np.diff(self._own_start)[neurons] + self.graph.leaving[neurons]
            return np.asarray(sent, dtype=np.int64)
        if resource == "input_axons":
            return np.bincount(row[here == 1], minlength=neurons.size).astype(np.int64)
        bits, each = self._bits[self._width[axons]], np.arange(axons.size)
        freed = np.full(neurons.size, bool(self.graph.dense), dtype=np.int64)
        np.add.at(freed, row, bits[each, here] - bits[each, here - 1])
        return freed

    def _open(self) -> AnyArray:
        room = np.ones(self.n_cores, dtype=bool)
        for resource in RESOURCES:
            limit = self.limits.limit(resource)
            if limit is not None:
                room &= self.used[resource] < limit
        return room

    def _counts(self, axons: IntArray) -> IntArray:
        """Synapses of these axons on every core: ``[n_axons, n_cores]``."""
        sizes = self.graph.axon_sizes[axons]
        cores = self.core[self.graph.targets[spans(self.graph.start[axons], sizes)]]
        keys = np.repeat(np.arange(axons.size), sizes) * self.n_cores + cores
        counts = np.bincount(keys, minlength=axons.size * self.n_cores)
        return counts.reshape(axons.size, self.n_cores)

    def _move_away(self, neuron: int, resource: str) -> bool:
        """Move a neuron to the core where it costs the fewest packets, if there is one."""
        graph, limits, used = self.graph, self.limits, self.used
        here = int(self.core[neuron])
        axons = self._incoming[self._in_start[neuron] : self._in_start[neuron + 1]]
        counts = self._counts(axons)
        absent, last = counts == 0, counts[:, here] == 1
        bits = self._bits[self._width[axons]]
        each = np.arange(axons.size)
        gained = bits[each[:, None], counts + 1] - bits[each[:, None], counts]
        freed = bits[each, counts[:, here]] - bits[each, counts[:, here] - 1]
        neurons = used["neurons"]
        always, before = limits.dense_use(graph, neurons)
        after = limits.dense_use(graph, neurons + 1)[1]
        without = limits.dense_use(graph, neurons[here : here + 1] - 1)[1][0]
        emptied = bool(neurons[here] == 1)
        # Cores that the neuron's own axons reach, before and after the move.
        own = self._own[self._own_start[neuron] : self._own_start[neuron + 1]]
        sends = int((self._counts(own) > 0).sum() + graph.leaving[neuron])
        source = graph.source[axons]
        to_itself = source == neuron
        sends_after = sends + absent[to_itself].sum(axis=0) - int(last[to_itself].sum())
        add = {
            "neurons": np.ones(self.n_cores, dtype=np.int64),
            "synapse_memory_bits": gained.sum(axis=0) + after - before,
            "input_axons": absent.sum(axis=0) + always * (neurons == 0),
            "output_axons": sends_after,
        }
        drop = {
            "neurons": 1,
            "synapse_memory_bits": int(freed.sum() + before[here] - without),
            "input_axons": int(last.sum()) + always * emptied,
            "output_axons": sends,
        }
        if drop[resource] <= 0:
            return False
        others = np.flatnonzero((source >= 0) & ~to_itself)
        at_source = np.where(source >= 0, self.core[np.maximum(source, 0)], -1)
        at_source[to_itself] = -1
        new_part = absent & (at_source[:, None] != np.arange(self.n_cores))
        old_part = last & (at_source != here)
        packets = graph.rate[axons] @ new_part - int(graph.rate[axons] @ old_part)
        ok = np.arange(self.n_cores) != here
        for name in RESOURCES:
            limit = limits.limit(name)
            if limit is not None:
                ok &= used[name] + add[name] <= limit
        allowed = limits.limit("output_axons")
        for target in np.flatnonzero(ok)[np.argsort(packets[ok], kind="stable")][:4].tolist():
            # Senders of these axons reach one core more, or one less.
            change = np.zeros(self.n_cores, dtype=np.int64)
            np.add.at(change, at_source[others], absent[others, target].astype(np.int64))
            np.subtract.at(change, at_source[others], last[others].astype(np.int64))
            change[target] += add["output_axons"][target]
            change[here] -= drop["output_axons"]
            total = used["output_axons"] + change
            if allowed is not None and ((total > allowed) & (change > 0)).any():
                continue
            for name in RESOURCES[:3]:
                used[name][target] += add[name][target]
                used[name][here] -= drop[name]
            used["output_axons"] = total
            self.core[neuron] = target
            return True
        return False
