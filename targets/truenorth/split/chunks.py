"""Chunks of an approximated population's inputs, and the units of their partial sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Conv
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.constants import constants_of
from neurodeploy.targets.truenorth.layers import Decomposition, Layer
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.packing import cores_and_feeds, pack
from neurodeploy.targets.truenorth.split.cutting import (
    chunkings,
    copies_violation,
    decompose_turnable,
    on_chip,
    segmentations,
    size_violation,
)
from neurodeploy.targets.truenorth.split.rails import (
    Sums,
    axons_per_rail,
    choose_units,
    expected_error,
    input_rates,
    sums_of,
)
from neurodeploy.targets.truenorth.units import sites

SHARES = (1.0, 0.8, 0.65, 0.55, 0.45, 0.38, 0.33, 0.28, 0.25, 0.2)
"""Shares of a core's axons that a neuron's chunk may take."""

SAMPLED = 4
"""Chunks that are packed to estimate the cores of a cut."""


@dataclass(frozen=True, slots=True, eq=False)
class ApproximateCut:
    """A way to cut one population, and what it comes to.

    Parameters
    ----------
    chunk : int64 ``[K]``
    sums : Sums
    unit : int64 ``[channels, 2]``
        What a spike of the positive and of the negative rails is worth; 0: none.
    error : float
        Expected root mean square error of a final neuron's summed input, in its own spikes.
    """

    chunk: IntArray
    sums: Sums
    unit: IntArray
    error: float


def cut_population(
    netlist: IntegerNetlist, layer: Layer, limits: CrossbarLimits
) -> ApproximateCut | Violation:
    """Cut the inputs such that few cores are taken, then choose the units.

    The expected error hardly depends on the number of chunks, hence the cores decide: of the rails,
    of the final neurons, which receive each rail on an axon, and of the copies that feed the rails.
    """
    population = netlist.by_name[layer.name]
    n, channels = layer.n_neurons, population.shape[0]
    found = size_violation(layer, limits) or _chunks(netlist, layer, limits)
    if isinstance(found, Violation):
        return found
    fan_in = int(layer.fan_in().sum(axis=1).max())
    rates = input_rates(netlist, layer)
    most, fewest = limits.turnable_weight, 0
    for chunk in found:
        sums = sums_of(layer, chunk, rates)
        unit = choose_units(layer, sums, channels, most, netlist.timesteps)
        spread = np.repeat(unit, n // channels, axis=0)
        axons = int(((sums.bound > 0) * axons_per_rail(spread, most)).sum(axis=(0, 2)).max())
        if axons <= limits.axons:
            error = _error(population, sums, spread, netlist.timesteps)
            return ApproximateCut(chunk, sums, unit, error)
        fewest = min(fewest or axons, axons)
    return Violation(
        layer.name,
        f"fan-in {fan_in} in partial sums of what a core can hear: axons for those of a neuron",
        fewest,
        limits.axons,
        "quantize with fewer --weight-bits, or use a smaller layer",
    )


def _error(population: Population, sums: Sums, spread: IntArray, timesteps: int) -> float:
    _, _, theta = constants_of(population)
    squares = np.zeros(theta.size)
    for sign in (0, 1):
        squares += expected_error(spread[:, sign], sums, sign, timesteps).sum(axis=0)
    return float(np.sqrt((squares / theta**2).mean()))


def _chunks(
    netlist: IntegerNetlist, layer: Layer, limits: CrossbarLimits
) -> list[IntArray] | Violation:
    """Chunk of every input: the cut with the fewest cores, then those with the fewest chunks."""
    every = np.unique(layer.key_source).tolist()
    # Sources may share chunks, or may not: alone their weights need fewer axon copies.
    groupings = [[every]] if len(every) == 1 else [[every], [[s] for s in every]]
    ways: list[tuple[float, IntArray, IntArray]] = []
    refused: list[Violation] = []
    for groups in groupings:
        cheapest: IntArray = np.zeros(layer.key_source.size, dtype=np.int64)
        coarsest = cheapest.copy()
        total, first, last = 0.0, 0, 0
        for sources in groups:
            piece = _Piece.of(layer, sources, limits)
            if isinstance(piece, Violation):
                refused.append(piece)
                break
            chunks = piece.chunkings(netlist, limits)
            if not chunks:
                refused.append(copies_violation(layer.name, piece.parts, limits))
                break
            cores, best = piece.cheapest(netlist, chunks, limits)
            few = min(chunks, key=lambda chunk: int(chunk.max()))
            total += cores
            cheapest[piece.keys], coarsest[piece.keys] = best + first, few + last
            first, last = int(cheapest.max()) + 1, int(coarsest.max()) + 1
        else:
            ways.append((total, cheapest, coarsest))
    if not ways:
        return refused[0]
    ways.sort(key=lambda way: way[0])
    return [ways[0][1], *(way[2] for way in sorted(ways, key=lambda way: int(way[2].max())))]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The synapses of some sources, which share chunks.

    Parameters
    ----------
    layer : Layer
    parts : Decomposition
        With values that can be turned.
    keys : int64 ``[k]``
        Which inputs of the whole layer its inputs are.
    """

    layer: Layer
    parts: Decomposition
    keys: IntArray

    @classmethod
    def of(cls, layer: Layer, sources: Sequence[int], limits: CrossbarLimits) -> _Piece | Violation:
        """Chunks of these sources; a violation where their weights have no axon copies."""
        live = np.flatnonzero(np.isin(layer.key_source[layer.key], sources))
        keys, key = np.unique(layer.key[live], return_inverse=True)
        own = replace(
            layer,
            sources=tuple(layer.sources[s] for s in sources),
            post=layer.post[live],
            key=key.reshape(-1),
            weight=layer.weight[live],
            key_source=np.searchsorted(sources, layer.key_source[keys]),
            key_neuron=layer.key_neuron[keys],
        )
        parts = decompose_turnable(own, limits)
        return parts if isinstance(parts, Violation) else cls(own, parts, keys)

    def cheapest(
        self, netlist: IntegerNetlist, chunks: Sequence[IntArray], limits: CrossbarLimits
    ) -> tuple[float, IntArray]:
        """The cut with the fewest cores, and about how many these are."""
        cores = [self._cores(netlist, chunk, limits, SAMPLED) for chunk in chunks]
        whole: set[int] = set()
        while True:
            # Few chunks may mislead: what looks best is packed whole before it is believed.
            best = int(np.argmin(cores))
            if best in whole:
                return cores[best], chunks[best]
            cores[best] = self._cores(netlist, chunks[best], limits, None)
            whole.add(best)

    def chunkings(self, netlist: IntegerNetlist, limits: CrossbarLimits) -> list[IntArray]:
        """Ways to cut it: the chunk of every input, from 0."""
        segments = segmentations(netlist, self.layer)
        if any(isinstance(q.connectivity, Conv) for q in netlist.incoming[self.layer.name]):
            # A channel stays whole if it can: the neighbours in a convolution share it, and its
            # part of the kernel stays a convolution.
            by_channel = chunkings(self.layer, self.parts, segments[:1], limits, SHARES)
            return by_channel or chunkings(self.layer, self.parts, segments[1:], limits, SHARES)
        return chunkings(self.layer, self.parts, segments, limits, SHARES)

    def _cores(
        self, netlist: IntegerNetlist, chunk: IntArray, limits: CrossbarLimits, most: int | None
    ) -> float:
        """Cores of rails, of what feeds and what receives them; from so many chunks, or all."""
        layer, parts = self.layer, self.parts
        population = netlist.by_name[layer.name]
        sums = sums_of(layer, chunk, None)
        from_chip = on_chip(netlist, layer)
        site = sites(population.shape)
        crossing_chunk = chunk[parts.slot_key[parts.slot]]
        spread = np.linspace(0, sums.n_chunks - 1, min(most or sums.n_chunks, sums.n_chunks))
        sampled = np.unique(spread.round().astype(np.int64))
        total = 0.0
        for k in sampled.tolist():
            mine = np.flatnonzero(crossing_chunk == k)
            neuron, slot = parts.neuron[mine], parts.slot[mine]
            exists = sums.bound[k] > 0
            rail = np.concatenate([2 * neuron[exists[neuron, s]] + s for s in (0, 1)])
            slot = np.concatenate([slot[exists[neuron, s]] for s in (0, 1)])
            own, rail = np.unique(rail, return_inverse=True)
            order = np.lexsort((slot, rail))
            packed = pack(
                rail[order],
                slot[order],
                parts.slot_key,
                np.ones(own.size, dtype=np.int64),
                parts.slot_key.size,
                limits.axons,
                limits.neurons,
                not from_chip.any(),
                None if site is None else site[own // 2],
            )
            cores = cores_and_feeds(packed, parts.slot_key, from_chip, limits.neurons)
            total += cores + own.size / limits.axons
        return total * sums.n_chunks / sampled.size
