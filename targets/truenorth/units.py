"""Units of packing: a population, or the partial or the final neurons of one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.targets.truenorth.constants import constants_of, floors_of
from neurodeploy.targets.truenorth.cores import LINEAR, ZERO
from neurodeploy.targets.truenorth.layers import AxonSource, Decomposition, Layer
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.prelude import Prelude
from neurodeploy.targets.truenorth.split.bursts import (
    PartialSums,
    final_decomposition,
    repay_name,
    sum_name,
)
from neurodeploy.targets.truenorth.split.gates import Gate
from neurodeploy.targets.truenorth.split.ramps import Ramp

BIAS_KEY, HOLD_KEY, RELEASE_KEY, UP_KEY, DOWN_KEY = -1, -2, -3, -4, -5
"""Inputs of the axon slots on which the host sends in every step, whatever the sample."""

SUM, REPAY = 2, 3
"""Marks of sum and repay neurons, beside 1 and -1 for the rails of partial sums."""

Role = Literal["whole", "partial", "final", "sum", "repay"]


@dataclass(frozen=True, slots=True, eq=False)
class Crossbar:
    """Neurons against all axon slots they could use, those of the host's own spikes last.

    Parameters
    ----------
    slot_key : int64 ``[slots]``
        Input of the layer, or one of the keys below 0.
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

    def count(self, *keys: int) -> int:
        """Slots with these keys."""
        return int(np.isin(self.slot_key, keys).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The constants of chip neurons, int64 ``[n]`` each; ``reset`` as in the core files."""

    leak: IntArray
    initial: IntArray
    threshold: IntArray
    floor: IntArray
    reset: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Neurons that are packed together.

    Parameters
    ----------
    name : str
        The population's, except for partial neurons.
    population : str
    role : {"whole", "partial", "final", "sum", "repay"}
    layer : Layer
    bar : Crossbar
    cells : Cells
    owner, mark : int64 ``[n]``
        Neuron of the population; rail of partial neurons, or what else it is; 0 for the
        population's own.
    site : int64 ``[n]`` or None
        For :func:`neurodeploy.targets.truenorth.packing.pack`; of whole populations, where it pays.
    """

    name: str
    population: str
    role: Role
    layer: Layer
    bar: Crossbar
    cells: Cells
    owner: IntArray
    mark: IntArray
    site: IntArray | None = None

    @property
    def size(self) -> int:
        """Neurons, copies not counted."""
        return int(self.owner.size)


def quiet_unit(
    population: Population,
    layer: Layer,
    parts: Decomposition,
    prelude: Prelude,
    limits: CrossbarLimits,
) -> Unit:
    """A population where a step is a tick: bias as leak, and bias axons where that fails."""
    bar = _crossbar(parts, _bias_slots(prelude))
    cells = _cells(population, prelude.leak, prelude.initial, limits)
    return replace(_unit(population, "whole", layer, bar, cells), site=sites(population.shape))


def gated_unit(
    population: Population, layer: Layer, parts: Decomposition, gate: Gate, limits: CrossbarLimits
) -> Unit:
    """A population that receives all inputs of a step in one tick of many."""
    bar = _crossbar(parts, _gate_slots(parts, gate))
    cells = _cells(population, gate.leak, gate.initial, limits)
    return _unit(population, "whole", layer, bar, cells)


def final_unit(
    population: Population, split: PartialSums, gate: Gate, limits: CrossbarLimits
) -> Unit:
    """The neurons of a split population that add up its partial sums."""
    parts = final_decomposition(split)
    bar = _crossbar(parts, _gate_slots(parts, gate))
    cells = _cells(population, gate.leak, gate.initial, limits)
    return _unit(population, "final", split.final, bar, cells)


def partial_unit(population: Population, split: PartialSums) -> Unit:
    """The neurons that hold a split population's partial sums."""
    parts, zero = split.parts, np.zeros_like(split.owner)
    bar = Crossbar(parts.slot_key, parts.slot_type, parts.neuron, parts.slot, parts.values)
    cells = Cells(zero, zero, zero + 1, zero, zero + LINEAR)
    # The channels of one position of a convolution, for each chunk.
    places = compact(population.shape[1:])
    site = split.chunk * places.size + places[split.owner % places.size]
    layer, name = split.partial, population.name
    return Unit(layer.name, name, "partial", layer, bar, cells, split.owner, split.sign, site)


def ramp_units(
    population: Population, split: PartialSums, ramp: Ramp, limits: CrossbarLimits
) -> list[Unit]:
    """Sum, repay and latch neurons of a split population, instead of final ones."""
    name, n = population.name, population.size
    shape, owner = ramp.shape, np.arange(n)
    zero = np.zeros(n, dtype=np.int64)
    g = shape.repayers
    repaid = np.array(shape.repaid, dtype=np.int64)

    # Sums: rails, repayments of the type of the way up, and the two ramps.
    final, rails = final_decomposition(split), split.owner.size
    signs = final.values.shape[1]
    n_repay = n * g
    layer = Layer(
        sum_name(name),
        n,
        (*split.final.sources, AxonSource(repay_name(name), 0)),
        np.concatenate([split.final.post, np.arange(n_repay) // g]),
        np.concatenate([split.final.key, rails + np.arange(n_repay)]),
        np.concatenate([split.final.weight, np.repeat(ramp.up, g)]),
        np.repeat([0, 1], [rails, n_repay]),
        np.concatenate([split.final.key_neuron, np.arange(n_repay)]),
    )
    neuron = np.concatenate([final.neuron, np.arange(n_repay) // g])
    slot = np.concatenate([final.slot, rails + np.arange(n_repay)])
    order = np.lexsort((slot, neuron))
    parts = Decomposition(
        np.concatenate([final.values, ramp.up[:, None]], axis=1),
        np.arange(rails + n_repay),
        np.concatenate([final.slot_type, np.full(n_repay, signs)]),
        neuron[order],
        slot[order],
        (1, 1),
        (final.levels[0], tuple(np.unique(ramp.up).tolist())),
    )
    every = np.full(n, shape.axons)
    ramps = [
        _Slots(UP_KEY, signs, every, ramp.up),
        _Slots(DOWN_KEY, signs + 1, every, ramp.down),
    ]
    floor = np.full(n, limits.membrane_floor)
    cells = Cells(ramp.leak, ramp.initial, ramp.threshold, floor, zero + LINEAR)
    sums = Unit(layer.name, name, "sum", layer, _crossbar(parts, ramps), cells, owner, zero + SUM)

    # Repayments: one spike of the sum makes many.
    each, of = np.tile(repaid, n), np.arange(n_repay) // g
    hears = Layer(
        repay_name(name), n_repay, (AxonSource(layer.name, 0),), of, of, each, zero, np.arange(n)
    )
    none = np.zeros(n_repay, dtype=np.int64)
    bar = Crossbar(np.arange(n), zero, np.arange(n_repay), of, each[:, None])
    cells = Cells(none, none, none + 1, none, none + LINEAR)
    repays = Unit(hears.name, name, "repay", hears, bar, cells, of, none + REPAY)

    # Latches stand for the population: threshold 2, one for the spike and one for the release.
    one = np.ones(n, dtype=np.int64)
    kept = Layer(name, n, (AxonSource(layer.name, 0),), owner, owner, one, zero, owner)
    latch_parts = Decomposition(one[:, None], owner, zero, owner, owner, (1,), ((1,),))
    clears = [_Slots(RELEASE_KEY, 1, one, one), _Slots(HOLD_KEY, 2, one, -one)]
    cells = Cells(zero, zero, one + 1, zero, zero + ZERO)
    latch = Unit(name, name, "whole", kept, _crossbar(latch_parts, clears), cells, owner, zero)
    return [repays, sums, latch]


def sites(shape: tuple[int, ...]) -> IntArray | None:
    """Position of every neuron, neighbours close to each other; None where there is one only."""
    places = compact(shape[1:])
    return None if places.size == 1 else np.tile(places, shape[0])


def compact(spatial: tuple[int, ...]) -> IntArray:
    """Rank of every position on a Z-order curve: neighbours share more inputs than a row does."""
    code = np.zeros(math.prod(spatial), dtype=np.int64)
    axes = np.unravel_index(np.arange(code.size), spatial) if spatial else ()
    for bit in range(max(spatial, default=1).bit_length()):
        for place, axis in enumerate(reversed(axes)):
            code |= ((axis >> bit) & 1) << (bit * len(spatial) + place)
    rank = np.empty_like(code)
    rank[np.argsort(code)] = np.arange(code.size)
    return rank


def _unit(population: Population, role: Role, layer: Layer, bar: Crossbar, cells: Cells) -> Unit:
    owner = np.arange(population.size)
    name = population.name
    return Unit(name, name, role, layer, bar, cells, owner, np.zeros_like(owner))


def _cells(
    population: Population, leak: IntArray, initial: IntArray, limits: CrossbarLimits
) -> Cells:
    model = population.model
    assert isinstance(model, IntegerNeuron)
    _, _, theta = constants_of(population)
    floor = floors_of(population, limits.membrane_floor)
    reset = np.full(theta.size, ZERO if model.reset == "zero" else LINEAR)
    return Cells(leak, initial, theta, floor, reset)


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """Further slots of one type: how many each neuron takes, and what each is worth to it."""

    key: int
    kind: int
    copies: IntArray
    value: IntArray


def _bias_slots(prelude: Prelude) -> list[_Slots]:
    """Bias axons, of the layer's types or of one of their own."""
    found = []
    needy = prelude.bias_copies > 0
    for kind in np.unique(prelude.bias_type[needy]).tolist():
        mine = needy & (prelude.bias_type == kind)
        found.append(
            _Slots(
                BIAS_KEY,
                kind,
                np.where(mine, prelude.bias_copies, 0),
                np.where(mine, prelude.bias_value, 0),
            )
        )
    return found


def _gate_slots(parts: Decomposition, gate: Gate) -> list[_Slots]:
    kind, found = parts.values.shape[1], []
    every = np.full(gate.hold.size, gate.copies)
    for key, value in ((HOLD_KEY, gate.hold), (RELEASE_KEY, gate.release)):
        if value.any():
            found.append(_Slots(key, kind, every, value))
            kind += 1
    return found


def _crossbar(parts: Decomposition, added: Iterable[_Slots]) -> Crossbar:
    """Add the host's slots to a decomposed layer."""
    values, n_slots = parts.values, parts.slot_key.size
    keys, types = [parts.slot_key], [parts.slot_type]
    neurons, slots = [parts.neuron], [parts.slot]
    for more in added:
        wanting = np.flatnonzero(more.copies)
        if more.kind == values.shape[1]:
            values = np.concatenate([values, np.zeros((values.shape[0], 1), np.int64)], 1)
        values = values.copy()
        values[wanting, more.kind] = more.value[wanting]
        most = int(more.copies.max(initial=0))
        keys.append(np.full(most, more.key))
        types.append(np.full(most, more.kind))
        for copy in range(most):
            some = np.flatnonzero(more.copies > copy)
            neurons.append(some)
            slots.append(np.full(some.size, n_slots + copy))
        n_slots += most
    neuron, slot = np.concatenate(neurons), np.concatenate(slots)
    order = np.lexsort((slot, neuron))
    return Crossbar(np.concatenate(keys), np.concatenate(types), neuron[order], slot[order], values)
