"""Lower bounds: how many cores a population takes at least, whatever the cut.

For cuts into boxes, one population per core; a population with listed synapses, whose cores may
hold any of its neurons, counts as a map of one position and as many channels. A box of c channels
and h x w positions takes, of each limit, at least::

    neurons              c h w     (a max-pooling population: and its accumulators), each of as
                         many compartments as the board builds it of
    synapse memory       rate(c) * c * (inputs per group) * A(h) * A(w)    over projections
    input axons          P(h) P(w) * ceil(sources reached / channels per axon)
    output axons         h w * ceil(c / channels per axon) * D

with ``rate`` the fewest bits per synapse that the format allows for axons of such boxes, A the
synapses along one axis that an interval of this length stores (of all its places, the fewest), P
the source positions that it meets, and D the cores that hold a target: no fewer than its channels
divided by the most that fit a core. The largest box within the limits, divided into the neurons of
the population, bounds the cores. Listed synapses bound the memory alone, by their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import SynapseFormat
from neurodeploy.hardware.cut.demand import RESOURCES, is_listed, on_chip
from neurodeploy.hardware.cut.intervals import (
    meets_nothing,
    sources_met,
    sources_spanned,
    stored_synapses,
)
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, MaxPool


@dataclass(frozen=True, slots=True)
class LayerBound:
    """Fewest cores of one population.

    Parameters
    ----------
    cores : int
        By all limits at once.
    by_resource : mapping of resource to int or None
        By each limit alone; None where the board does not tell it.
    """

    cores: int
    by_resource: Mapping[str, int | None]


def layer_bounds(netlist: IntegerNetlist, board: Board) -> dict[str, LayerBound]:
    """Bounds of all populations that lie on cores."""
    return {
        p.name: _bound(netlist, p, board)
        for p in netlist.populations
        if not isinstance(p.model, Input)
    }


def _bound(netlist: IntegerNetlist, population: Population, board: Board) -> LayerBound:
    if is_listed(netlist, population):
        boxes = _Boxes(population.size, (), _outer(()))
    else:
        boxes = _Boxes.of(population, board)
    most = boxes.limits(netlist, population, board)
    if board.limit("output_axons") is not None:
        most["output_axons"] = boxes.by_output_axons(netlist, population, board)
    alone = {name: boxes.cores(channels, population.size) for name, channels in most.items()}
    listed = 0
    if "synapse_memory_bits" in alone:
        incoming = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
        listed = _listed_memory(incoming, board)
        alone["synapse_memory_bits"] = max(alone["synapse_memory_bits"], listed)
    together = boxes.cores(np.minimum.reduce(list(most.values())), population.size)
    return LayerBound(
        max(together, listed), {resource: alone.get(resource) for resource in RESOURCES}
    )


def channel_limits(
    netlist: IntegerNetlist, population: Population, board: Board
) -> dict[str, IntArray]:
    """Most channels of a box, by the limits that do not depend on other populations' cuts.

    Per resource an array ``[n_1, ..., n_d]``: entry ``[i, j]`` for boxes of i + 1 by j + 1
    positions, up to the positions that a core's neurons could fill. A box with more channels
    certainly exceeds the limit; one with so many may.
    """
    return _Boxes.of(population, board).limits(netlist, population, board)


@dataclass(frozen=True, slots=True, eq=False)
class _Boxes:
    """All boxes of a population that its neurons may fill, by their lengths along spatial axes.

    Parameters
    ----------
    channels : int
        Of the population.
    lengths : tuple of int64 ``[n_i]``
        1, 2, ... along each spatial axis.
    positions : int64 ``[n_1, ..., n_d]``
        Positions of each box.
    """

    channels: int
    lengths: tuple[IntArray, ...]
    positions: IntArray

    @classmethod
    def of(cls, population: Population, board: Board) -> _Boxes:
        limit = board.require_limit("neurons")
        lengths = tuple(np.arange(1, min(n, limit) + 1) for n in population.shape[1:])
        return cls(population.shape[0], lengths, _outer(lengths))

    def limits(
        self, netlist: IntegerNetlist, population: Population, board: Board
    ) -> dict[str, IntArray]:
        """Most channels of each box, by the limits that do not depend on other cuts."""
        most = {"neurons": self.by_neurons(population, board)}
        # What max-pooling accumulates lies on the core of its window: bounded by neurons alone.
        if not isinstance(population.model, MaxPool):
            incoming = [q for q in netlist.incoming[population.name] if on_chip(netlist, q)]
            if board.synapses is not None and board.limit("synapse_memory_bits") is not None:
                most["synapse_memory_bits"] = self.by_memory(incoming, board)
            if board.limit("input_axons") is not None:
                most["input_axons"] = self.by_input_axons(incoming, board)
        return most

    def cores(self, channels: IntArray, size: int) -> int:
        """Cores for ``size`` neurons if a box can have so many channels."""
        largest = int((np.minimum(channels, self.channels) * self.positions).max())
        return -(-size // max(1, largest))

    def by_neurons(self, population: Population, board: Board) -> IntArray:
        """Most channels of each box by the limit of neurons; so with the other limits."""
        each = self.positions
        if isinstance(population.model, MaxPool):
            window = population.model.window
            held = [sources_spanned(window, i, n.size) for i, n in enumerate(self.lengths)]
            each = each + _outer(held)
        return board.require_limit("neurons") // (each * board.compartments(population))

    def by_memory(self, incoming: list[IntegerProjection], board: Board) -> IntArray:
        storage, limit = board.synapses, board.limit("synapse_memory_bits")
        assert storage is not None
        assert limit is not None
        synapses = np.zeros(self.positions.shape)
        counted = [q for q in incoming if not isinstance(q.connectivity, Sparse)]
        for projection in counted:
            inputs, axes = self._stored(projection.connectivity, storage.shared_convolution)
            synapses += inputs * _outer(axes)
        if not counted:
            return np.full(self.positions.shape, self.channels)
        rates = [
            _least_bits(q.connectivity, q.weight_bits, self.channels, storage) for q in counted
        ]
        # Bits per stored synapse of one channel, times channels: not rising everywhere.
        bits = np.minimum.reduce(rates) * np.arange(1, self.channels + 1)
        order = np.argsort(bits, kind="stable")
        most = np.maximum.accumulate(order + 1)
        allowed = np.full(self.positions.shape, np.inf)
        np.divide(limit * (1.0 + 1e-12), synapses, out=allowed, where=synapses > 0)
        fitting = np.searchsorted(bits[order], allowed, side="right")
        fewest: IntArray = np.where(fitting > 0, most[np.maximum(fitting, 1) - 1], 0)
        return fewest

    def by_input_axons(self, incoming: list[IntegerProjection], board: Board) -> IntArray:
        limit = board.limit("input_axons")
        assert limit is not None
        shared = _channels_per_axon(board)
        fixed = np.zeros(self.positions.shape, dtype=np.int64)
        most = np.full(self.positions.shape, self.channels)
        for projection in incoming:
            connectivity = projection.connectivity
            if isinstance(connectivity, Sparse):
                continue
            if isinstance(connectivity, Dense):
                per_position = -(-connectivity.pre_shape[0] // shared)
                fixed = fixed + per_position * math.prod(connectivity.pre_shape[1:])
                continue
            inputs, groups, per_group = _grouping(connectivity)
            met = _outer(
                [
                    sources_met(_window_of(connectivity), i, n.size)
                    for i, n in enumerate(self.lengths)
                ]
            )
            if groups == 1:
                fixed = fixed + met * -(-inputs // shared)
            else:
                # Sources of c / per_group groups, of which ``shared`` stand for one axon.
                reached = limit // np.maximum(met, 1) * shared // inputs
                most = np.minimum(most, np.where(met > 0, reached * per_group, most))
        return np.where(fixed <= limit, most, 0)

    def by_output_axons(
        self, netlist: IntegerNetlist, population: Population, board: Board
    ) -> IntArray:
        limit = board.limit("output_axons")
        assert limit is not None
        reached = 0
        for projection in netlist.outgoing[population.name]:
            target = netlist.by_name[projection.post]
            reached += _destinations(projection, netlist, target, board)
        per_block = self.positions * reached
        blocks = np.where(per_block > 0, limit // np.maximum(per_block, 1), self.channels)
        most: IntArray = np.minimum(blocks * _channels_per_axon(board), self.channels)
        return most

    def _stored(self, connectivity: Connectivity, shared: bool) -> tuple[int, list[IntArray]]:
        """Inputs per output channel, and stored synapses by length along each axis."""
        if isinstance(connectivity, Dense):
            return math.prod(connectivity.pre_shape), []
        inputs, _, _ = _grouping(connectivity)
        window = _window_of(connectivity)
        return inputs, [
            stored_synapses(window, i, n.size, shared) for i, n in enumerate(self.lengths)
        ]


def _destinations(
    projection: IntegerProjection, netlist: IntegerNetlist, target: Population, board: Board
) -> int:
    """Cores of the target that every source neuron reaches at least; 0 if some reach none."""
    connectivity = projection.connectivity
    if isinstance(connectivity, Sparse):
        return 0
    fan_out = connectivity.post_shape[0]
    if not isinstance(connectivity, Dense):
        _, groups, _ = _grouping(connectivity)
        fan_out = -(-fan_out // groups)
        window = _window_of(connectivity)
        if any(meets_nothing(window, i) for i in range(len(window.kernel))):
            return 0
    most = board.require_limit("neurons") // board.compartments(target)
    limit = board.limit("synapse_memory_bits")
    if limit is not None and board.synapses is not None and not isinstance(target.model, MaxPool):
        # A core with a neuron of a channel stores the inputs of at least one position of it.
        one = 0.0
        for other in netlist.incoming[target.name]:
            if on_chip(netlist, other) and not isinstance(other.connectivity, Sparse):
                rate = board.synapses.least_bits_per_synapse(other.weight_bits)
                one += rate * int(other.connectivity.fan_in().min())
        most = min(most, int(limit / one + 1e-9)) if one else most
    return -(-fan_out // max(1, most))


def _grouping(connectivity: Connectivity) -> tuple[int, int, int]:
    """Input channels of one output channel, groups, output channels of a group."""
    if isinstance(connectivity, SumPool):
        return 1, connectivity.weight.size, 1
    assert isinstance(connectivity, Conv)
    groups = connectivity.groups
    return connectivity.channels_in // groups, groups, connectivity.post_shape[0] // groups


def _window_of(connectivity: Connectivity) -> Window:
    assert isinstance(connectivity, Conv | SumPool)
    return connectivity.window


def _channels_per_axon(board: Board) -> int:
    return 1 if board.synapses is None else board.synapses.channels_per_axon


def _least_bits(
    connectivity: Connectivity, weight_bits: int, channels: int, storage: SynapseFormat
) -> FloatArray:
    """Fewest bits per stored synapse of boxes of 1, 2, ... channels: ``[channels]``.

    An axon's synapses are the channels of its group in the box times kernel cells met per axis.
    """
    cells = {1}
    per_group, groups = channels, 1
    if not isinstance(connectivity, Dense):
        _, groups, per_group = _grouping(connectivity)
        window = _window_of(connectivity)
        for k, s, d in zip(window.kernel, window.stride, window.dilation, strict=True):
            # A source coordinate meets every (stride / gcd)-th cell at most.
            taps = -(-k // (s // math.gcd(s, d)))
            cells = {a * b for a in cells for b in range(1, taps + 1)}
    most = max(cells) * min(channels, per_group)
    each = np.array(
        [storage.bits_per_axon(n, weight_bits) / n for n in range(1, _sizes(most, storage) + 1)]
    )
    # Beyond full blocks the rate repeats itself, never below the least of one block and a rest.
    beyond = float(each.min())
    least = np.array(
        [
            min(float(each[c * m - 1]) if c * m <= each.size else beyond for m in cells)
            for c in range(1, min(channels, per_group) + 1)
        ]
    )
    if groups > 1:
        # Groups cut by the box's edge have fewer of their channels in it.
        least = np.minimum.accumulate(least)
    return np.concatenate([least, np.full(channels - least.size, least.min())])


def _sizes(most: int, storage: SynapseFormat) -> int:
    return min(most, 64 * storage.block_synapses)


def _listed_memory(incoming: list[IntegerProjection], board: Board) -> int:
    assert board.synapses is not None
    bits = 0.0
    for projection in incoming:
        if isinstance(projection.connectivity, Sparse):
            rate = board.synapses.least_bits_per_synapse(projection.weight_bits)
            bits += rate * projection.connectivity.pre.size
    limit = board.limit("synapse_memory_bits")
    assert limit is not None
    return math.ceil(bits / limit - 1e-9)


def _outer(factors: tuple[IntArray, ...] | list[IntArray]) -> IntArray:
    """Products of one entry per axis: ``[n_1, ..., n_d]``."""
    result: IntArray = np.ones((), dtype=np.int64)
    for factor in factors:
        result = result[..., None] * factor
    return result
