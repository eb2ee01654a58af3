"""Fan-in beyond a core, exactly: partial sums as bursts on a positive and a negative rail.

The inputs of a population are cut into chunks that a core can take. For every neuron and chunk two
partial neurons take the chunk's sum S, one of them with all signs turned. Their membranes have
their floor at 0 and their thresholds at 1: in the tick in which the inputs arrive the membrane
becomes max(S, 0) or max(-S, 0), one spike in this and each of the following ticks empties it. Sums
count in units of the common factor of a neuron's weights, which is what a rail's spike is worth.

After M ticks, M the largest proved sum, the final neuron has received everything and compares; a
gate (:mod:`neurodeploy.targets.truenorth.split.gates`) keeps it quiet until then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.targets.truenorth.layers import AxonSource, Decomposition, Layer
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.cutting import largest_sums, rails_of
from neurodeploy.targets.truenorth.split.ramps import RampShape


def partial_name(name: str) -> str:
    """Name of the partial neurons of a population; no population has such a name."""
    return f"{name}/partial"


def sum_name(name: str) -> str:
    """Name of the sum neurons of a population."""
    return f"{name}/sum"


def repay_name(name: str) -> str:
    """Name of the repay neurons of a population."""
    return f"{name}/repay"


def units(layer: Layer, limits: CrossbarLimits) -> IntArray:
    """Unit of a partial spike: a common factor of a neuron's weights that an axon can have."""
    found: IntArray = np.zeros(layer.n_neurons, dtype=np.int64)
    np.gcd.at(found, layer.post, layer.weight)
    found = np.maximum(found, 1).astype(np.int64)
    most = limits.turnable_weight
    for j in np.flatnonzero(found > most).tolist():
        found[j] = next(d for d in range(most, 0, -1) if found[j] % d == 0)
    return found


def in_units(layer: Layer, unit: IntArray) -> Layer:
    """The same synapses, each neuron's weights in its own unit."""
    return replace(layer, weight=layer.weight // unit[layer.post])


@dataclass(frozen=True, slots=True, eq=False)
class BurstCut:
    """A way to cut the inputs of a population, and what its partial sums can be.

    Parameters
    ----------
    chunk : int64 ``[K]``
    unit : int64 ``[n]``
    sums : int64 ``[chunks, n, 2]``
        Largest partial sum, in units, and largest of it negated.
    """

    chunk: IntArray
    unit: IntArray
    sums: IntArray

    @property
    def burst(self) -> int:
        """M."""
        return int(self.sums.max(initial=0))

    @property
    def signs(self) -> int:
        """Rails in use: positive, negative or both."""
        return int(self.sums.any(axis=(0, 1)).sum())

    @property
    def rails(self) -> IntArray:
        """Partial neurons of each neuron: int64 ``[n]``."""
        return rails_of(self.sums)

    @property
    def rise(self) -> IntArray:
        """The most that a final membrane rises in a step."""
        return np.asarray(self.sums[..., 0].sum(axis=0) * self.unit, dtype=np.int64)

    @property
    def fall(self) -> IntArray:
        """The most that a final membrane falls in a step."""
        return np.asarray(self.sums[..., 1].sum(axis=0) * self.unit, dtype=np.int64)


def cut_layer(layer: Layer, chunk: IntArray, unit: IntArray) -> BurstCut:
    """Prove the partial sums of a cut; ``layer`` has its weights in units."""
    return BurstCut(chunk, unit, largest_sums(layer, chunk))


@dataclass(frozen=True, slots=True, eq=False)
class PartialSums:
    """A population cut into partial sums.

    Parameters
    ----------
    cut : BurstCut
    partial : Layer
        Of the partial neurons, weights in units of their final neurons.
    owner, chunk, sign : int64 ``[p]``
        Final neuron and chunk of each partial neuron, and which rail it is: 1 or -1.
    parts : Decomposition
        Of the partial neurons.
    final : Layer
        Of the final neurons: every partial neuron is an input, worth plus or minus one unit.
    ramp : RampShape or None
        None: the final neurons have a gate.
    """

    cut: BurstCut
    partial: Layer
    owner: IntArray
    chunk: IntArray
    sign: IntArray
    parts: Decomposition
    final: Layer
    ramp: RampShape | None = None

    @property
    def delay(self) -> int:
        """Ticks from the inputs of a step to the comparison."""
        return self.cut.burst if self.ramp is None else self.ramp.delay(self.cut.burst)

    @property
    def period(self) -> int:
        """Least ticks of a step."""
        return self.cut.burst if self.ramp is None else self.ramp.period(self.cut.burst)


def split_layer(layer: Layer, parts: Decomposition, cut: BurstCut, name: str) -> PartialSums:
    """Build partial and final neurons for a way to cut the inputs.

    Parameters
    ----------
    layer : Layer
        Weights in units.
    parts : Decomposition
        Of ``layer``.
    cut : BurstCut
    name : str
        Of the partial neurons.
    """
    n, chunk, unit = layer.n_neurons, cut.chunk, cut.unit
    where = chunk[layer.key] * n + layer.post
    # Rails in the order chunk, neuron, sign; those that can never fire are left out.
    exists = cut.sums.reshape(-1) > 0
    number = np.cumsum(exists) - 1
    own = np.flatnonzero(exists)
    owner, sign = (own // 2) % n, 1 - 2 * (own % 2)
    post, (key, weight) = _on_rails(where, exists, number, (layer.key, layer.weight))
    partial = Layer(
        name,
        own.size,
        layer.sources,
        post,
        key,
        weight * sign[post],
        layer.key_source,
        layer.key_neuron,
    )
    crossing = chunk[parts.slot_key[parts.slot]] * n + parts.neuron
    neuron, (slot,) = _on_rails(crossing, exists, number, (parts.slot,))
    order = np.lexsort((slot, neuron))
    values = parts.values[owner] * sign[:, None]
    partial_parts = replace(parts, values=values, neuron=neuron[order], slot=slot[order])
    rail = np.arange(own.size)
    order = np.lexsort((rail, owner))
    final = Layer(
        layer.name,
        n,
        (AxonSource(name, 0),),
        owner[order],
        rail[order],
        (sign * unit[owner])[order],
        np.zeros(own.size, dtype=np.int64),
        rail,
    )
    return PartialSums(cut, partial, owner, own // 2 // n, sign, partial_parts, final)


def _on_rails(
    where: IntArray, exists: AnyArray, number: IntArray, columns: tuple[IntArray, ...]
) -> tuple[IntArray, list[IntArray]]:
    """Entries of neuron and chunk, repeated for each of its rails: rails, and the columns."""
    live = [np.flatnonzero(exists[2 * where + rail]) for rail in (0, 1)]
    rails: IntArray = np.concatenate(
        [number[2 * where[index] + rail] for rail, index in enumerate(live)]
    )
    both = np.concatenate(live)
    return rails, [column[both] for column in columns]


def final_decomposition(split: PartialSums) -> Decomposition:
    """One axon per rail: a type worth a unit, and one worth minus a unit, where they occur."""
    layer = split.final
    signs = sorted({int(s) for s in np.unique(split.sign)}, reverse=True)
    slot_type: IntArray = np.zeros(layer.key_neuron.size, dtype=np.int64)
    slot_type[split.sign == -1] = len(signs) - 1
    return Decomposition(
        split.cut.unit[:, None] * np.array(signs, dtype=np.int64)[None],
        np.arange(layer.key_neuron.size),
        slot_type,
        layer.post,
        layer.key,
        (1,),
        (tuple(np.unique(layer.weight).tolist()),),
    )


def pack_finals(
    axons: IntArray, copies: IntArray, max_axons: int, max_neurons: int
) -> list[IntArray]:
    """Fill cores with neurons that share no axon, in order: neurons, repeated where copied.

    Parameters
    ----------
    axons : int64 ``[n]``
        Of each neuron, at most ``max_axons``.
    copies : int64 ``[n]``
    max_axons, max_neurons : int
    """
    cores: list[list[IntArray]] = [[]]
    room, left = max_neurons, max_axons
    for j, (needed, wanted) in enumerate(zip(axons.tolist(), copies.tolist(), strict=True)):
        while wanted:
            if needed > left or not room or (room < wanted <= max_neurons):
                cores.append([])
                room, left = max_neurons, max_axons
            take = min(wanted, room)
            cores[-1].append(np.full(take, j))
            wanted -= take
            room, left = room - take, left - needed
    return [np.concatenate(core) for core in cores if core]
