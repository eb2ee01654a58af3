"""Neurons with listed synapses, and what cores that hold some of them need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.demand import REMEDIES, RESOURCE_WORDS, RESOURCES
from neurodeploy.hardware.cut.graph.hypergraph import Hypergraph, firsts, offsets
from neurodeploy.ir.arrays import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class NeuronGraph:
    """Neurons that are to be put on cores, and the axons that reach them.

    Parameters
    ----------
    name : str
        For messages.
    n : int
        Neurons.
    start, targets : int64 ``[n_axons + 1]``, ``[n_synapses]``
        Axon i has synapses with the neurons ``targets[start[i]:start[i + 1]]``, at least one, all
        different. A core with some of them takes one input axon, and stores these synapses.
    source : int64 ``[n_axons]``
        The neuron that sends on the axon; -1: one that lies elsewhere. A sender takes one output
        axon for every core that its axon reaches.
    weight_bits : int64 ``[n_axons]``
    rate : int64 ``[n_axons]``
        How often an axon is used, in any unit: what packets count.
    leaving : int64 ``[n]``
        Output axons that a neuron takes wherever it lies, for targets elsewhere.
    dense : tuple of (int, int)
        Further sources that reach all neurons: how many, and their weight bits.
    """

    name: str
    n: int
    start: IntArray
    targets: IntArray
    source: IntArray
    weight_bits: IntArray
    rate: IntArray
    leaving: IntArray
    dense: tuple[tuple[int, int], ...] = ()

    @property
    def n_axons(self) -> int:
        """Axons."""
        return self.source.size

    @property
    def axon_sizes(self) -> IntArray:
        """Synapses of every axon."""
        return np.diff(self.start)

    def fan_in(self) -> IntArray:
        """Axons that reach every neuron, those of ``dense`` not counted."""
        return np.bincount(self.targets, minlength=self.n).astype(np.int64)

    def edges(self) -> IntArray:
        """Pairs of connected neurons as ``a * n + b`` with a < b, sorted, every one once."""
        source = np.repeat(self.source, self.axon_sizes)
        inside = (source >= 0) & (source != self.targets)
        a, b = source[inside], self.targets[inside]
        keys = np.sort(np.minimum(a, b) * self.n + np.maximum(a, b))
        return keys[firsts(keys)]

    def hypergraph(self) -> Hypergraph:
        """A net for every axon: its targets, and its source if that is one of the neurons."""
        axon = np.repeat(np.arange(self.n_axons), self.axon_sizes)
        own = np.flatnonzero(self.source >= 0)
        keys = np.concatenate((axon * self.n + self.targets, own * self.n + self.source[own]))
        keys = np.sort(keys)
        keys = keys[firsts(keys)]
        sizes = np.bincount(keys // self.n, minlength=self.n_axons).astype(np.int64)
        return Hypergraph(offsets(sizes), keys % self.n, self.rate, np.ones(self.n, dtype=np.int64))

    def packets(self, core: IntArray) -> int:
        """Sum over axons of rate x (cores reached beside the sender's own)."""
        return self.hypergraph().connectivity(core, int(core.max()) + 1)


@dataclass(frozen=True, slots=True)
class CoreLimits:
    """Capacity of one core; None: unknown, not checked.

    Parameters
    ----------
    board : str
        For messages.
    neurons : int
    synapse_memory_bits, input_axons, output_axons : int or None
    storage : SynapseFormat or None
        Without it memory is not counted.
    """

    board: str
    neurons: int
    synapse_memory_bits: int | None = None
    input_axons: int | None = None
    output_axons: int | None = None
    storage: SynapseFormat | None = None

    @classmethod
    def of(cls, board: Board, compartments: int = 1) -> CoreLimits:
        """The limits of a board's cores, for neurons of so many compartments."""
        memory, axons_in, axons_out = (board.limit(r) for r in RESOURCES[1:])
        neurons = board.require_limit("neurons") // compartments
        return cls(board.name, neurons, memory, axons_in, axons_out, board.synapses)

    def limit(self, resource: str) -> int | None:
        """By the board's name of the limit."""
        found: int | None = getattr(self, resource)
        return found

    def axon_bits(self, weight_bits: int, most: int) -> IntArray:
        """Memory of an axon with 0, 1, ..., ``most`` synapses on a core."""
        if self.storage is None:
            return np.zeros(most + 1, dtype=np.int64)
        bits = [self.storage.bits_per_axon(n, weight_bits) for n in range(most + 1)]
        return np.array(bits, dtype=np.int64)

    def bits_by_axon(self, graph: NeuronGraph, axon: IntArray, count: IntArray) -> IntArray:
        """Memory of each of these axons with ``count`` synapses on a core."""
        bits = np.zeros(axon.size, dtype=np.int64)
        most = int(count.max()) if count.size else 0
        for width in np.unique(graph.weight_bits).tolist():
            chosen = graph.weight_bits[axon] == width
            bits[chosen] = self.axon_bits(width, most)[count[chosen]]
        return bits

    def dense_use(self, graph: NeuronGraph, neurons: IntArray) -> tuple[int, IntArray]:
        """Axons, and memory by number of neurons, that ``dense`` takes of a core."""
        memory = np.zeros(neurons.size, dtype=np.int64)
        for n_sources, width in graph.dense:
            table = self.axon_bits(width, int(neurons.max()) if neurons.size else 0)
            memory += n_sources * table[neurons]
        return sum(n for n, _ in graph.dense), memory

    def usage(self, graph: NeuronGraph, core: IntArray, n_cores: int) -> dict[str, IntArray]:
        """Use of every core by resource, int64 ``[n_cores]`` each."""
        axon = np.repeat(np.arange(graph.n_axons), graph.axon_sizes)
        keys = np.sort(axon * n_cores + core[graph.targets])
        begin = firsts(keys)
        count = np.diff(np.append(begin, keys.size))
        axon, where = keys[begin] // n_cores, keys[begin] % n_cores
        neurons = np.bincount(core, minlength=n_cores).astype(np.int64)
        always, memory = self.dense_use(graph, neurons)
        np.add.at(memory, where, self.bits_by_axon(graph, axon, count))
        entering = np.bincount(where, minlength=n_cores).astype(np.int64) + always * (neurons > 0)
        sent = graph.source[axon]
        leaving = np.bincount(core[sent[sent >= 0]], minlength=n_cores).astype(np.int64)
        np.add.at(leaving, core, graph.leaving)
        return dict(zip(RESOURCES, (neurons, memory, entering, leaving), strict=True))

    def shares(self, graph: NeuronGraph, core: IntArray, n_cores: int) -> dict[str, float]:
        """Use of all cores over the sum of their limits, of the limits that are known."""
        found = {}
        for resource, used in self.usage(graph, core, n_cores).items():
            limit = self.limit(resource)
            if limit is not None:
                found[resource] = float(used.sum()) / (limit * n_cores)
        return found

    def fewest_cores(self, graph: NeuronGraph) -> int:
        """A lower bound: as if every axon reached one core only."""
        found = [-(-graph.n // self.neurons)]
        axons = np.arange(graph.n_axons)
        if self.input_axons is not None:
            found.append(
                -(-graph.n_axons // max(self.input_axons - sum(n for n, _ in graph.dense), 1))
            )
        if self.synapse_memory_bits is not None:
            bits = int(self.bits_by_axon(graph, axons, graph.axon_sizes).sum())
            found.append(-(-bits // self.synapse_memory_bits))
        return max(found)

    def check_single_neurons(self, graph: NeuronGraph) -> None:
        """Refuse a neuron that exceeds a core even alone.

        Raises
        ------
        CapacityError
        """
        one = np.ones(1, dtype=np.int64)
        always, always_bits = self.dense_use(graph, one)
        bits = np.repeat(
            self.bits_by_axon(
                graph, np.arange(graph.n_axons), np.ones(graph.n_axons, dtype=np.int64)
            ),
            graph.axon_sizes,
        )
        memory = np.zeros(graph.n, dtype=np.int64)
        np.add.at(memory, graph.targets, bits)
        sending = np.bincount(graph.source[graph.source >= 0], minlength=graph.n)
        needs = (one, memory + always_bits, graph.fan_in() + always, sending + graph.leaving)
        for resource, need in zip(RESOURCES, needs, strict=True):
            limit, used = self.limit(resource), int(need.max())
            if limit is not None and used > limit:
                raise CapacityError(
                    f"{graph.name}: a single neuron needs {used} {RESOURCE_WORDS[resource]}, a "
                    f"core of board {self.board} has {limit}; {REMEDIES[resource]}"
                )
