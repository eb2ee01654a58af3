"""What is packed together: a population, or the partial or the final neurons of one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.targets.truenorth.bursts import Split, final_decomposition
from neurodeploy.targets.truenorth.cores import LINEAR, ZERO
from neurodeploy.targets.truenorth.gates import Gate
from neurodeploy.targets.truenorth.layers import Decomposition, Layer
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.prelude import Prelude

BIAS_KEY, HOLD_KEY, RELEASE_KEY = -1, -2, -3
"""Inputs of the axon slots on which the host sends in every step, whatever the sample."""

Role = Literal["whole", "partial", "final"]


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
    role : {"whole", "partial", "final"}
    layer : Layer
    bar : Crossbar
    cells : Cells
    owner, sign : int64 ``[n]``
        Neuron of the population; rail of partial neurons, else 0.
    site : int64 ``[n]`` or None
        For :func:`neurodeploy.targets.truenorth.packing.pack`.
    """

    name: str
    population: str
    role: Role
    layer: Layer
    bar: Crossbar
    cells: Cells
    owner: IntArray
    sign: IntArray
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
    bar = _crossbar(parts, _bias_slots(parts, prelude))
    cells = _cells(population, prelude.leak, prelude.initial, limits)
    return _unit(population, "whole", layer, bar, cells)


def gated_unit(
    population: Population, layer: Layer, parts: Decomposition, gate: Gate, limits: CrossbarLimits
) -> Unit:
    """A population that hears all inputs of a step in one tick of many."""
    bar = _crossbar(parts, _gate_slots(parts, gate))
    cells = _cells(population, gate.leak, gate.initial, limits)
    return _unit(population, "whole", layer, bar, cells)


def final_unit(population: Population, split: Split, gate: Gate, limits: CrossbarLimits) -> Unit:
    """The neurons of a split population that add up its partial sums."""
    parts = final_decomposition(split)
    bar = _crossbar(parts, _gate_slots(parts, gate))
    cells = _cells(population, gate.leak, gate.initial, limits)
    return _unit(population, "final", split.final, bar, cells)


def partial_unit(population: Population, split: Split) -> Unit:
    """The neurons that hold a split population's partial sums."""
    parts, zero = split.parts, np.zeros_like(split.owner)
    bar = Crossbar(parts.slot_key, parts.slot_type, parts.neuron, parts.slot, parts.values)
    cells = Cells(zero, zero, zero + 1, zero, zero + LINEAR)
    # The channels of one position of a convolution, for each chunk.
    spatial = population.shape[1:] if len(population.shape) > 1 else ()
    n_places = math.prod(spatial)
    site = split.chunk * n_places + split.owner % n_places
    layer, name = split.partial, population.name
    return Unit(layer.name, name, "partial", layer, bar, cells, split.owner, split.sign, site)


def _unit(population: Population, role: Role, layer: Layer, bar: Crossbar, cells: Cells) -> Unit:
    owner = np.arange(population.size)
    name = population.name
    return Unit(name, name, role, layer, bar, cells, owner, np.zeros_like(owner))


def _cells(
    population: Population, leak: IntArray, initial: IntArray, limits: CrossbarLimits
) -> Cells:
    model = population.model
    assert isinstance(model, IntegerNeuron)
    assert model.threshold is not None
    theta = np.array(population.spread(model.threshold), dtype=np.int64).reshape(-1)
    floor = np.full(theta.size, limits.membrane_floor)
    reset = np.full(theta.size, ZERO if model.reset == "zero" else LINEAR)
    return Cells(leak, initial, theta, floor, reset)


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """Further slots of one type: how many each neuron takes, and what each is worth to it."""

    key: int
    kind: int
    copies: IntArray
    value: IntArray


def _bias_slots(parts: Decomposition, prelude: Prelude) -> list[_Slots]:
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
