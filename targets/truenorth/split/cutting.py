"""Cutting the inputs of a population into chunks that a core can take, for either way to split.

For every neuron and chunk, a positive *rail* follows the sum of what the chunk brings, and a
negative one the same sum with all signs turned; either is left out where that sum is never above 0.
So the axons of a chunk are those of a decomposition whose values can be turned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.layers import Decomposition, Layer, decompose
from neurodeploy.targets.truenorth.limits import CrossbarLimits


def size_violation(layer: Layer, limits: CrossbarLimits) -> Violation | None:
    """More synapses than the crossbars of the board have, however they are cut."""
    least = -(-layer.post.size // (limits.axons * limits.neurons))
    if least <= limits.n_cores:
        return None
    return Violation(
        layer.name,
        f"{layer.post.size} synapses on crossbars of {limits.axons} x {limits.neurons}: "
        "cores at least",
        least,
        limits.n_cores,
        "use a smaller layer or a larger board",
    )


def decompose_turnable(layer: Layer, limits: CrossbarLimits) -> Decomposition | Violation:
    """Decompose a layer on values that an axon can have with all signs turned, too."""
    most = limits.turnable_weight
    return decompose(layer, replace(limits, weight_min=-most, weight_max=most))


def copies_violation(name: str, parts: Decomposition, limits: CrossbarLimits) -> Violation:
    """An input that alone takes more axons than a core has: no chunk can hold it."""
    copies = max(parts.copies, default=0)
    return Violation(
        name, "axon copies of one input", copies, limits.axons, "use fewer weight bits"
    )


def segmentations(netlist: IntegerNetlist, layer: Layer) -> tuple[IntArray, IntArray]:
    """Segments that chunks do not cut, int64 ``[K]`` each: channels, and inputs by themselves.

    Channels are counted on over the sources. The neighbours in a convolution share them.
    """
    first = 0
    found: IntArray = np.zeros(layer.key_source.size, dtype=np.int64)
    for s, source in enumerate(layer.sources):
        population = netlist.by_name[source.pre]
        n_channels = population.shape[0] if len(population.shape) > 1 else population.size
        mine = np.flatnonzero(layer.key_source == s)
        found[mine] = first + layer.key_neuron[mine] // (population.size // n_channels)
        first += n_channels
    return found, np.arange(layer.key_source.size)


def chunkings(
    layer: Layer,
    parts: Decomposition,
    segments: Sequence[IntArray],
    limits: CrossbarLimits,
    shares: Sequence[float],
) -> list[IntArray]:
    """Ways to cut the inputs, each a chunk per input: int64 ``[K]``; empty if none is possible.

    Parameters
    ----------
    layer : Layer
    parts : Decomposition
        Of ``layer``.
    segments : sequence of int64 ``[K]``
        Inputs of one segment stay together; each segmentation gives ways of its own.
    limits : CrossbarLimits
    shares : sequence of float
        Of a core's axons, for one neuron.
    """
    cost = np.bincount(parts.slot_key, minlength=layer.key_source.size).astype(np.int64)
    found: list[IntArray] = []
    for segment in segments:
        for share in shares:
            chunk = _chunks(layer, cost, segment, int(share * limits.axons))
            if chunk is not None and not any(np.array_equal(chunk, other) for other in found):
                found.append(chunk)
    return found


def _chunks(layer: Layer, cost: IntArray, segment: IntArray, budget: int) -> IntArray | None:
    """Consecutive segments up to the budget of the neuron with most inputs; balanced."""
    order = np.argsort(segment[layer.key], kind="stable")
    n_segments = int(segment.max(initial=0)) + 1
    bounds = np.searchsorted(segment[layer.key][order], np.arange(n_segments + 1)).tolist()
    posts, costs = layer.post[order], cost[layer.key][order]

    def fill(limit: int) -> IntArray | None:
        chunk_of: IntArray = np.zeros(n_segments, dtype=np.int64)
        load: IntArray = np.zeros(layer.n_neurons, dtype=np.int64)
        chunk = 0
        for s, (begin, end) in enumerate(itertools.pairwise(bounds)):
            post, cost = posts[begin:end], costs[begin:end]
            np.add.at(load, post, cost)
            if load[post].max(initial=0) > limit:
                chunk += 1
                load[:] = 0
                np.add.at(load, post, cost)
                if load[post].max(initial=0) > limit:
                    return None
            chunk_of[s] = chunk
        return chunk_of

    best = fill(budget)
    if best is None:
        return None
    low, high = 0, budget
    while high - low > max(1, budget // 16):
        middle = (low + high) // 2
        found = fill(middle)
        if found is None or found[-1] > best[-1]:
            low = middle
        else:
            best, high = found, middle
    return best[segment]


def sums_by_chunk(layer: Layer, chunk: IntArray, values: AnyArray) -> FloatArray:
    """Values of the synapses, added up by chunk and neuron: float64 ``[chunks, n]``."""
    n_chunks = int(chunk.max(initial=0)) + 1
    where = chunk[layer.key] * layer.n_neurons + layer.post
    found: AnyArray = np.bincount(where, values, n_chunks * layer.n_neurons)
    return found.reshape(n_chunks, layer.n_neurons)


def largest_sums(layer: Layer, chunk: IntArray) -> IntArray:
    """Proved maxima of the partial sums, and of them negated: int64 ``[chunks, n, 2]``."""
    both = [sums_by_chunk(layer, chunk, np.maximum(s * layer.weight, 0)) for s in (1, -1)]
    return np.stack(both, axis=2).astype(np.int64)


def rails_of(largest: IntArray) -> IntArray:
    """Rails of each neuron: int64 ``[n]``."""
    return np.asarray((largest > 0).sum(axis=(0, 2)), dtype=np.int64)


def on_chip(netlist: IntegerNetlist, layer: Layer) -> AnyArray:
    """Whether an input is a neuron of the chip, not a spike of the host: bool ``[K]``."""
    host = [isinstance(netlist.by_name[s.pre].model, Input) for s in layer.sources]
    found: AnyArray = ~np.array(host, dtype=bool)[layer.key_source]
    return found
