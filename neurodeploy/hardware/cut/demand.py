"""Demand of a population, cut in a given way, on each core."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Assignment, Cut, channel_block
from neurodeploy.hardware.cut.axons import AxonSharing, Reach
from neurodeploy.hardware.cut.listed_reach import sparse_reach
from neurodeploy.hardware.cut.product_reach import (
    AxisReach,
    ProductReach,
    further_axes,
    product_axis,
)
from neurodeploy.hardware.cut.reach import assigned_reach, reach
from neurodeploy.hardware.cut.tiling import Intervals, Tiling, held_intervals, lengths, outer
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.connectivity import Dense, Sparse
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    Projection,
    RealNetlist,
)
from neurodeploy.ir.neurons import MaxPool

RESOURCES: tuple[str, ...] = ("neurons", "synapse_memory_bits", "input_axons", "output_axons")
"""Names of the per-core limits that a cut has to respect, as in board files."""

RESOURCE_WORDS: dict[str, str] = {
    "neurons": "neurons",
    "synapse_memory_bits": "bits of synapse memory",
    "input_axons": "input axons",
    "output_axons": "output axons",
}

REMEDIES: dict[str, str] = {
    "neurons": "choose a board with larger cores",
    "synapse_memory_bits": "use fewer weight bits, a smaller fan-in or a board with more memory",
    "input_axons": "reduce the fan-in or choose a board with more input axons",
    "output_axons": "reduce the fan-out or choose a board with more output axons",
}
"""Remedy for each."""


def on_chip(netlist: IntegerNetlist | RealNetlist, projection: Projection) -> bool:
    """Whether the synapses of a projection lie on cores.

    Those of a ``current`` input do not: its constant contribution ``W . q`` is computed once per
    sample on the host and written into the cores as biases.
    """
    return not netlist.by_name[projection.pre].is_current_input


def is_listed(netlist: IntegerNetlist, population: Population) -> bool:
    """Whether a population can be cut by its graph.

    Its synapses on the cores are listed, beside some from sources elsewhere that reach all neurons;
    those of convolutions are better served by boxes.
    """
    incoming = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
    kinds = [type(q.connectivity) for q in incoming if q.pre != population.name]
    own = [type(q.connectivity) for q in incoming if q.pre == population.name]
    return (
        not isinstance(population.model, MaxPool)
        and Sparse in (*kinds, *own)
        and set(kinds) <= {Sparse, Dense}
        and set(own) <= {Sparse}
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources of every box of a cut: int64 ``[n_tiles]`` by resource."""

    by_resource: Mapping[str, IntArray]

    def excess(self, board: Board) -> tuple[str, int, int] | None:
        """The first limit that a box exceeds: (resource, used, limit); None if all fit."""
        for resource in RESOURCES:
            limit = board.limit(resource)
            used = int(self.by_resource[resource].max())
            if limit is not None and used > limit:
                return resource, used, limit
        return None


class Demand:
    """Resources of one population under any cut, with everything reusable kept."""

    def __init__(self, netlist: IntegerNetlist, population: Population, board: Board) -> None:
        self.population = population
        self._board = board
        self._compartments = board.compartments(population)
        storage = board.synapses
        self._channels = 1 if storage is None else storage.channels_per_axon
        self._slots = 1 if storage is None or self._channels == 1 else storage.shared_axon_slots
        self._incoming = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
        self._outgoing = [q for q in netlist.outgoing[population.name] if q.post != population.name]
        self._axes: dict[tuple[int, int, int], AxisReach] = {}
        self._cuts: dict[tuple[int, int], tuple[Intervals, Intervals]] = {}
        self._sparse = any(isinstance(q.connectivity, Sparse) for q in self._incoming)
        self._blocks: list[int | None] = [None] * len(self._incoming)
        self._leaving: list[Reach] = []

    def set_neighbours(self, tilings: Mapping[str, Cut], netlist: IntegerNetlist) -> None:
        """Take the cuts of sources and targets into account, as far as they are known."""
        self._blocks = [
            channel_block(tilings[q.pre]) if q.pre in tilings else None for q in self._incoming
        ]
        self._leaving = []
        for projection in self._outgoing:
            if projection.post in tilings:
                post = netlist.by_name[projection.post]
                self._leaving.append(projection_reach(projection, post, tilings[post.name]))

    def usage(self, tiling: Cut) -> Usage:
        """Resources of every box of ``tiling``."""
        held: Sequence[Intervals] = ()
        if isinstance(tiling, Assignment):
            neurons = tiling.sizes()
        else:
            cuts, held = self._cut(tiling)
            neurons = outer([lengths(cut) for cut in cuts])
            if isinstance(self.population.model, MaxPool):
                neurons = neurons + outer([lengths(cut) for cut in held])
        memory = np.zeros(tiling.n_tiles, dtype=np.int64)
        axons_in = np.zeros(tiling.n_tiles, dtype=np.int64)
        neurons = neurons * self._compartments
        own = AxonSharing(self._channels, channel_block(tiling), self._slots)
        axons_out = np.zeros(tiling.n_tiles, dtype=np.int64)
        for leaving in self._leaving:
            axons_out += leaving.output_axons(tiling, own)
        for index, projection in enumerate(self._incoming):
            part = self._reach(index, projection, tiling, held)
            recurrent = projection.pre == projection.post
            axons_in += part.input_axons(own if recurrent else self._sharing(index))
            if self._board.synapses is not None:
                memory += part.memory_bits(self._board.synapses, projection.weight_bits)
            if recurrent:
                axons_out += part.output_axons(tiling, own)
        found = (neurons, memory, axons_in, axons_out)
        return Usage(dict(zip(RESOURCES, found, strict=True)))

    def packets(self, tiling: Tiling, spikes: Mapping[str, IntArray]) -> int:
        """Packets that reach the boxes of ``tiling``, counted by projection."""
        _, held = self._cut(tiling)
        total = 0
        for index, projection in enumerate(self._incoming):
            part = self._reach(index, projection, tiling, held)
            total += int(part.packets(spikes[projection.pre]).sum())
        return total

    def may_fit(self, tiling: Tiling) -> bool:
        """False where the largest box certainly exceeds a limit; cheap for products of axes."""
        cuts, held = self._cut(tiling)
        neurons = math.prod(int(lengths(cut).max()) for cut in cuts)
        if isinstance(self.population.model, MaxPool):
            neurons += math.prod(int(lengths(cut).max()) for cut in held)
        if neurons * self._compartments > self._board.require_limit("neurons"):
            return False
        if self._sparse:
            return self._may_store(tiling)
        limit = self._board.limit("input_axons")
        if limit is None:
            return True
        axons = 0
        for index, projection in enumerate(self._incoming):
            part = self._reach(index, projection, tiling, held)
            assert isinstance(part, ProductReach)
            axons += part.most_input_axons(self._sharing(index))
        return axons <= limit

    def _may_store(self, tiling: Tiling) -> bool:
        """False where listed synapses, as densely as memory takes them, exceed it in some box."""
        limit = self._board.limit("synapse_memory_bits")
        if limit is None:
            return True
        return bool(tiling.sum_by_tile(self._listed_bits).max() <= limit)

    @functools.cached_property
    def _listed_bits(self) -> FloatArray:
        """Least bits of memory of the listed synapses of each neuron."""
        bits: FloatArray = np.zeros(self.population.shape)
        storage = self._board.synapses
        listed = [q for q in self._incoming if isinstance(q.connectivity, Sparse)]
        if storage is None or isinstance(self.population.model, MaxPool):
            return bits
        for q in listed:
            bits += q.connectivity.fan_in() * storage.least_bits_per_synapse(q.weight_bits)
        return bits

    def _sharing(self, index: int) -> AxonSharing:
        return AxonSharing(self._channels, self._blocks[index], self._slots)

    def _cut(self, tiling: Tiling) -> tuple[list[Intervals], list[Intervals]]:
        found = []
        for axis, tile in enumerate(tiling.tile):
            if (axis, tile) not in self._cuts:
                cut = tiling.intervals(axis)
                self._cuts[axis, tile] = cut, held_intervals(self.population, axis, cut)
            found.append(self._cuts[axis, tile])
        return [cut for cut, _ in found], [held for _, held in found]

    def _reach(
        self, index: int, projection: IntegerProjection, tiling: Cut, held: Sequence[Intervals]
    ) -> Reach:
        connectivity = projection.connectivity
        if isinstance(tiling, Assignment):
            return assigned_reach(connectivity, tiling)
        if isinstance(connectivity, Sparse):
            return sparse_reach(connectivity, held)
        axes = []
        for axis, tile in enumerate(tiling.tile):
            if (index, axis, tile) not in self._axes:
                self._axes[index, axis, tile] = product_axis(connectivity, axis, held[axis])
            axes.append(self._axes[index, axis, tile])
        return ProductReach((*axes, *further_axes(connectivity)))


def projection_reach(projection: IntegerProjection, post: Population, tiling: Cut) -> Reach:
    """Reach of a projection into the boxes of its target's cut."""
    if isinstance(tiling, Assignment):
        return assigned_reach(projection.connectivity, tiling)
    cuts = [held_intervals(post, i, tiling.intervals(i)) for i in range(len(post.shape))]
    return reach(projection.connectivity, cuts)
