"""What a population, cut in a given way, needs of each core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurodeploy.boards.board import Board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.mapping.reach import (
    AxisReach,
    ProductReach,
    Reach,
    product_axes,
    reach,
    sparse_reach,
)
from neurodeploy.mapping.tiling import Intervals, Tiling, held_intervals, lengths, outer

RESOURCES: tuple[str, ...] = ("neurons", "synapse_memory_bits", "input_axons", "output_axons")
"""Names of the per-core limits that a cut has to respect, as in board files."""

RESOURCE_WORDS: dict[str, str] = {
    "neurons": "neurons",
    "synapse_memory_bits": "bits of synapse memory",
    "input_axons": "input axons",
    "output_axons": "output axons",
}


def on_chip(netlist: IntegerNetlist, projection: IntegerProjection) -> bool:
    """Whether the synapses of a projection lie on cores.

    Those of a ``current`` input do not: its constant contribution ``W . q`` is computed once per
    sample on the host and written into the cores as biases.
    """
    model = netlist.by_name[projection.pre].model
    return not (isinstance(model, Input) and model.kind == "current")


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
    """Resources of one population under any cut, with everything reusable kept.

    Parameters
    ----------
    netlist : IntegerNetlist
    population : Population
    board : Board
    """

    def __init__(self, netlist: IntegerNetlist, population: Population, board: Board) -> None:
        self.population = population
        self._board = board
        self._incoming = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
        self._outgoing = [q for q in netlist.outgoing[population.name] if q.post != population.name]
        self._axes: dict[tuple[int, int, Intervals], AxisReach] = {}
        self._prefix = np.zeros(tuple(n + 1 for n in population.shape), dtype=np.int64)

    def set_destinations(self, tilings: Mapping[str, Tiling], netlist: IntegerNetlist) -> None:
        """Take the cuts of the targets into account, as far as they are known."""
        total = np.zeros(self.population.shape, dtype=np.int64)
        for projection in self._outgoing:
            if projection.post in tilings:
                post = netlist.by_name[projection.post]
                total += projection_reach(projection, post, tilings[post.name]).destinations()
        for axis in range(total.ndim):
            total = np.cumsum(total, axis=axis)
        self._prefix[tuple(slice(1, None) for _ in total.shape)] = total

    def usage(self, tiling: Tiling) -> Usage:
        """Resources of every box of ``tiling``."""
        population = self.population
        cuts = [tiling.intervals(i) for i in range(len(population.shape))]
        held = [held_intervals(population, i, cut) for i, cut in enumerate(cuts)]
        neurons = outer([lengths(cut) for cut in cuts])
        if isinstance(population.model, MaxPool):
            neurons = neurons + outer([lengths(cut) for cut in held])
        memory = np.zeros(tiling.n_tiles, dtype=np.int64)
        axons_in = np.zeros(tiling.n_tiles, dtype=np.int64)
        axons_out = self._output_axons(cuts)
        for index, projection in enumerate(self._incoming):
            part = self._reach(index, projection, held)
            axons_in += part.sources()
            if self._board.synapses is not None:
                memory += part.memory_bits(self._board.synapses, projection.weight_bits)
            if projection.pre == projection.post:
                axons_out += tiling.sum_by_tile(part.destinations())
        found = (neurons, memory, axons_in, axons_out)
        return Usage(dict(zip(RESOURCES, found, strict=True)))

    def _reach(self, index: int, projection: IntegerProjection, cuts: Sequence[Intervals]) -> Reach:
        connectivity = projection.connectivity
        if isinstance(connectivity, Sparse):
            return sparse_reach(connectivity, cuts)
        missing = [i for i, cut in enumerate(cuts) if (index, i, cut) not in self._axes]
        if missing or len(cuts) != len(connectivity.pre_shape):
            axes = product_axes(connectivity, cuts)
            if len(cuts) != len(axes):
                return ProductReach(axes)
            for i in missing:
                self._axes[index, i, cuts[i]] = axes[i]
        return ProductReach(tuple(self._axes[index, i, cut] for i, cut in enumerate(cuts)))

    def _output_axons(self, cuts: Sequence[Intervals]) -> IntArray:
        # Differences of the summed-area table along each axis give the sums over all boxes.
        total = self._prefix
        for axis, cut in enumerate(cuts):
            stops = [b for _, b in cut]
            starts = [a for a, _ in cut]
            total = total.take(stops, axis=axis) - total.take(starts, axis=axis)
        return total.reshape(-1)


def projection_reach(projection: IntegerProjection, post: Population, tiling: Tiling) -> Reach:
    """Reach of a projection into the boxes of its target's cut."""
    cuts = [held_intervals(post, i, tiling.intervals(i)) for i in range(len(post.shape))]
    return reach(projection.connectivity, cuts)
