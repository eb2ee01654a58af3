"""The synapses of one population, decomposed over axon copies."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.basis import Basis, Levels, digits, fewest_copies
from neurodeploy.targets.truenorth.limits import CrossbarLimits

MAX_COPIES = 16
"""Copies per input that the search goes up to even where they do not fit, to tell the number."""

MAX_BLOCK_SOURCES = 3
"""Up to so many sources, all ways of sharing axon types among them are compared."""


class FanInViolation(Violation):
    """Synapses that a core cannot hold, which partial sums may cure."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AxonSource:
    """Presynaptic population and delay: what one axon of a core listens to."""

    pre: str
    delay: int


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Synapses with a weight other than 0 onto one population.

    Parameters
    ----------
    name : str
    n_neurons : int
    sources : tuple of AxonSource
    post, key, weight : int64 ``[S]``
        Synapses: neuron, input, ``weight << exponent``.
    key_source, key_neuron : int64 ``[K]``
        Inputs: index into ``sources``, and the neuron there.
    """

    name: str
    n_neurons: int
    sources: tuple[AxonSource, ...]
    post: IntArray
    key: IntArray
    weight: IntArray
    key_source: IntArray
    key_neuron: IntArray

    def fan_in(self) -> IntArray:
        """Inputs per neuron and source: int64 ``[n_neurons, sources]``."""
        n = len(self.sources)
        flat = self.post * n + self.key_source[self.key]
        return np.bincount(flat, minlength=self.n_neurons * n).reshape(self.n_neurons, n)


@dataclass(frozen=True, slots=True, eq=False)
class Decomposition:
    """A layer on axon copies.

    Parameters
    ----------
    values : int64 ``[n_neurons, types]``
        Weight table.
    slot_key, slot_type : int64 ``[slots]``
        Every axon copy that any neuron uses: its input and its axon type.
    neuron, slot : int64 ``[crossings]``
        Crossbar synapses, sorted by neuron.
    copies : tuple of int, one per source
        R.
    levels : tuple of tuple of int, one per source
        All distinct non-zero weights.
    """

    values: IntArray
    slot_key: IntArray
    slot_type: IntArray
    neuron: IntArray
    slot: IntArray
    copies: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]


def extract(netlist: IntegerNetlist, name: str) -> Layer:
    """Collect the synapses onto a population, weights of one source and delay added up."""
    population = netlist.by_name[name]
    delay = {id(q): d for q, d in zip(netlist.projections, netlist.schedule.delays, strict=True)}
    sources: list[AxonSource] = []
    parts: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    for projection in netlist.incoming[name]:
        source = AxonSource(projection.pre, delay[id(projection)])
        if source not in sources:
            sources.append(source)
        post, pre, weight = projection.connectivity.to_coo()
        live = np.flatnonzero(weight)
        post, pre, weight = post[live], pre[live], weight[live]
        shift = np.broadcast_to(projection.shift(), projection.connectivity.post_shape)
        weight = np.left_shift(weight, shift.reshape(-1)[post])
        parts.append((post, np.full(post.size, sources.index(source)), pre, weight))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Layer(name, population.size, (), none, none, none, none, none)
    post, source_of, pre, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    widest = max(netlist.by_name[s.pre].size for s in sources)
    flat, key = np.unique(source_of * widest + pre, return_inverse=True)
    synapse, where = np.unique(post * flat.size + key.reshape(-1), return_inverse=True)
    total = np.zeros(synapse.size, dtype=np.int64)
    np.add.at(total, where.reshape(-1), weight)
    live = np.flatnonzero(total)
    synapse, total = synapse[live], total[live]
    used, key = np.unique(synapse % max(flat.size, 1), return_inverse=True)
    key_source, key_neuron = np.divmod(flat[used], widest)
    return Layer(
        name,
        population.size,
        tuple(sources),
        synapse // max(flat.size, 1),
        key.reshape(-1),
        total,
        key_source,
        key_neuron,
    )


def least_fan_in(projections: Iterable[IntegerProjection]) -> int:
    """Largest number of non-zero weights onto a neuron, without expanding the synapses.

    Projections of one source and delay share axons: what they have in common counts once.
    """
    found: dict[tuple[str, int | None], IntArray] = {}
    for q in projections:
        mask = (q.connectivity.weight != 0).astype(np.int64)
        inputs = q.connectivity.with_weight(mask).row_sums()[0]
        found[q.pre, q.delay] = np.maximum(found.get((q.pre, q.delay), 0), inputs)
    return int(sum(found.values(), start=np.zeros(1, dtype=np.int64)).max())


def decompose(layer: Layer, limits: CrossbarLimits) -> Decomposition | Violation:
    """Choose the basis with the fewest axons for the neuron with the most inputs."""
    fan_in = layer.fan_in()
    sets = _level_sets(layer)
    best: tuple[int, int, list[tuple[tuple[int, ...], Basis]]] | None = None
    for blocks in _blocks(len(layer.sources)):
        for bases in _bases(sets, blocks, fan_in, limits):
            per_source = {s: basis.n_copies for block, basis in bases for s in block}
            cost = np.asarray([per_source[s] for s in range(len(layer.sources))], dtype=np.int64)
            axons = int((fan_in @ cost).max(initial=0))
            types = sum(len(basis.copies) for _, basis in bases)
            if best is None or (axons, types) < best[:2]:
                best = (axons, types, bases)
    if best is None:
        return _no_basis(layer, sets, fan_in, limits)
    return _assemble(layer, sets, best[2])


def _level_sets(layer: Layer) -> list[dict[int, Levels]]:
    """Per source: neuron to its non-zero levels."""
    found: list[dict[int, set[int]]] = [defaultdict(set) for _ in layer.sources]
    if layer.post.size:
        # Sorting one column is several times as fast as sorting rows.
        least, span = int(layer.weight.min()), int(np.ptp(layer.weight)) + 1
        where = layer.key_source[layer.key] * layer.n_neurons + layer.post
        where, level = np.divmod(np.unique(where * span + layer.weight - least), span)
        source, neuron = np.divmod(where, layer.n_neurons)
        for s, n, w in zip(source.tolist(), neuron.tolist(), (level + least).tolist(), strict=True):
            found[s][n].add(w)
    return [{n: frozenset(s) for n, s in neurons.items()} for neurons in found]


def _union(sets: list[dict[int, Levels]], block: tuple[int, ...]) -> dict[int, Levels]:
    neurons = {n for source in block for n in sets[source]}
    nothing: Levels = frozenset()
    return {n: nothing.union(*(sets[s].get(n, nothing) for s in block)) for n in neurons}


def _blocks(n_sources: int) -> Iterator[list[tuple[int, ...]]]:
    """Ways to let sources share axon types: partitions of the sources."""
    if not n_sources:
        yield []
        return
    if n_sources > MAX_BLOCK_SOURCES:
        yield [tuple(range(n_sources))]
        return
    for labels in itertools.product(range(n_sources), repeat=n_sources):
        used = sorted(set(labels), key=labels.index)
        if used == list(range(len(used))):
            yield [tuple(s for s in range(n_sources) if labels[s] == b) for b in used]


def _bases(
    sets: list[dict[int, Levels]],
    blocks: list[tuple[int, ...]],
    fan_in: IntArray,
    limits: CrossbarLimits,
) -> Iterator[list[tuple[tuple[int, ...], Basis]]]:
    """All splits of the axon types over the blocks that work, each with its bases."""
    most = _most_copies(fan_in, limits)
    unions = [set(_union(sets, block).values()) for block in blocks]
    for split in itertools.product(range(1, limits.axon_types + 1), repeat=len(blocks)):
        full = sum(split) == limits.axon_types if len(blocks) > 1 else split == (limits.axon_types,)
        if blocks and not full:
            continue
        found = [
            fewest_copies(levels, n_types, limits.weight_min, limits.weight_max, most)
            for levels, n_types in zip(unions, split, strict=True)
        ]
        bases = [b for b in found if b is not None]
        if len(bases) == len(found):
            yield list(zip(blocks, bases, strict=True))


def _most_copies(fan_in: IntArray, limits: CrossbarLimits) -> int:
    """Largest number of copies that is tried: what fits, but enough to tell by how much not."""
    return max(MAX_COPIES, min(2 * MAX_COPIES, limits.axons // max(int(fan_in.sum(1).max()), 1)))


def _no_basis(
    layer: Layer, sets: list[dict[int, Levels]], fan_in: IntArray, limits: CrossbarLimits
) -> FanInViolation:
    widest = max((s for neurons in sets for s in neurons.values()), key=len)
    inputs = int(fan_in.sum(1).max())
    return FanInViolation(
        layer.name,
        f"fan-in {inputs} with {len(widest)} weight levels in {min(widest)}..{max(widest)} (all: "
        f"{int(layer.weight.min())}..{int(layer.weight.max())}) on {limits.axon_types} axon types "
        f"of values {limits.weight_min}..{limits.weight_max}; axon copies an input:",
        f"none found up to {_most_copies(fan_in, limits)}",
        limits.axons // inputs,
        "quantize with fewer --weight-bits or --max-fraction-bits",
    )


def _assemble(
    layer: Layer,
    sets: list[dict[int, Levels]],
    bases: list[tuple[tuple[int, ...], Basis]],
) -> Decomposition:
    n_types = sum(len(basis.copies) for _, basis in bases)
    values = np.zeros((layer.n_neurons, n_types), dtype=np.int64)
    k = np.zeros((layer.post.size, n_types), dtype=np.int64)
    copies = [0] * len(layer.sources)
    source_of = layer.key_source[layer.key]
    first = 0
    for block, basis in bases:
        types = slice(first, first + len(basis.copies))
        first += len(basis.copies)
        tables: dict[tuple[int, ...], int] = {}
        table_of = np.zeros(layer.n_neurons, dtype=np.int64)
        for neuron, levels in _union(sets, block).items():
            own = basis.values[levels]
            values[neuron, types] = own
            table_of[neuron] = tables.setdefault(own, len(tables))
        mine = np.flatnonzero(np.isin(source_of, block))
        least = int(layer.weight.min(initial=0))
        span = int(layer.weight.max(initial=0)) - least + 1
        pairs = table_of[layer.post[mine]] * span + layer.weight[mine] - least
        distinct, index = np.unique(pairs, return_inverse=True)
        reach = {i: digits(basis.copies, own) for own, i in tables.items()}
        chosen = [reach[pair // span][pair % span + least] for pair in distinct.tolist()]
        if chosen:
            k[mine, types] = np.asarray(chosen, dtype=np.int64)[index.reshape(-1)]
        for s in block:
            copies[s] = basis.n_copies
    return Decomposition(
        values,
        *_slots(layer, k),
        tuple(copies),
        tuple(
            tuple(np.unique(layer.weight[source_of == s]).tolist())
            for s in range(len(layer.sources))
        ),
    )


def _slots(layer: Layer, k: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Axon copies in use, and the crossbar synapses onto them."""
    most = np.zeros((layer.key_source.size, k.shape[1]), dtype=np.int64)
    np.maximum.at(most, layer.key, k)
    start = np.zeros(most.size + 1, dtype=np.int64)
    np.cumsum(most.reshape(-1), out=start[1:])
    slot_key, slot_type = np.divmod(
        np.repeat(np.arange(most.size), most.reshape(-1)), k.shape[1] or 1
    )
    neurons: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    slots: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    for copy in range(int(k.max(initial=0))):
        synapse, kind = np.nonzero(k > copy)
        neurons.append(layer.post[synapse])
        slots.append(start[layer.key[synapse] * k.shape[1] + kind] + copy)
    neuron, slot = np.concatenate(neurons), np.concatenate(slots)
    order = np.lexsort((slot, neuron))
    return slot_key, slot_type, neuron[order], slot[order]
