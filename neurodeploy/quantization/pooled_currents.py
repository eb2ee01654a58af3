"""Maxima of weighted input, as natively trained networks pool their currents, in whole numbers.

A pool takes whole numbers as they are. Where weights lead into one that pools what arrives now, a
population without memory goes before it, which sends the current in levels of the weight grid:
signed payloads, threshold one level, zero reset. What hears the pool counts levels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Sparse, identity
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron
from neurodeploy.quantization.input_statistics import Heard

FINER = 2
"""Levels in a step of the weight grid. More would force the grid onto them, fewer round more."""


def in_levels(
    netlist: RealNetlist, heard: Heard, bits_of: Callable[[str], int]
) -> tuple[RealNetlist, Heard]:
    """The netlist with currents in levels before the pools of currents, and what is heard there.

    Parameters
    ----------
    netlist : RealNetlist
    heard : Heard
        What populations emit, by name.
    bits_of : callable
        Width of the weights into a population.
    """
    levels = {
        p.name: _levels(p, netlist, bits_of(p.name))
        for p in netlist.populations
        if isinstance(p.model, MaxPool) and p.model.rule == "now" and _is_weighted(p, netlist)
    }
    if not levels:
        return netlist, heard
    populations: list[Population] = []
    projections: list[RealProjection] = []
    names = {p.name for p in netlist.populations}
    sends: dict[str, str] = {}
    for population in netlist.populations:
        if population.name in levels:
            sends[population.name] = _free(f"{population.name}.current", names)
            populations.append(_currents(sends[population.name], population, netlist, levels))
            model = population.model
            assert isinstance(model, MaxPool)
            signed = dataclasses.replace(model, signed=True)
            population = dataclasses.replace(population, model=signed)
        populations.append(population)
    for q in netlist.projections:
        connectivity = q.connectivity
        if q.pre in levels:
            connectivity = connectivity.scale_inputs(levels[q.pre])
        post = sends.get(q.post, q.post)
        projections.append(dataclasses.replace(q, post=post, connectivity=connectivity))
    for name, before in sends.items():
        shape = netlist.by_name[name].input_shape
        projections.append(RealProjection(before, name, identity(shape, 1.0)))
    emitted = {
        name: values / _by_channel(levels[name], netlist.by_name[name].shape)
        if name in levels
        else values
        for name, values in heard.emissions.items()
    }
    made = dataclasses.replace(
        netlist, populations=tuple(populations), projections=tuple(projections)
    )
    return made, Heard(emitted)


def _is_weighted(pool: Population, netlist: RealNetlist) -> bool:
    weights = (q.connectivity.weight for q in netlist.incoming[pool.name])
    return any(not np.array_equal(np.rint(w), w) for w in weights)


def _levels(pool: Population, netlist: RealNetlist, bits: int) -> FloatArray:
    """What a level of every channel is worth, ``[C]``."""
    channels = pool.input_shape[0]
    largest: FloatArray = np.zeros(channels)
    for q in netlist.incoming[pool.name]:
        weight = np.abs(q.connectivity.weight)
        if isinstance(q.connectivity, Sparse):
            cells = math.prod(pool.input_shape[1:])
            np.maximum.at(largest, q.connectivity.post // cells, weight)
        else:
            largest = np.maximum(largest, weight.reshape(channels, -1).max(axis=1))
    largest[largest == 0] = 1.0
    return np.asarray(largest / (FINER * (2 ** (bits - 1) - 1)))


def _currents(
    name: str, pool: Population, netlist: RealNetlist, levels: dict[str, FloatArray]
) -> Population:
    """Neurons without memory that send what arrives now, in levels."""
    level = levels[pool.name]
    most = np.zeros(pool.input_shape)
    for q in netlist.incoming[pool.name]:
        above, below = q.connectivity.row_sums()
        most = most + (above - below) * _largest_emission(netlist.by_name[q.pre])
    payload = int(np.ceil(most / _by_channel(level, pool.input_shape)).max(initial=1)) + 1
    model = RealNeuron(
        level,
        level / 2,  # to the nearest level, where it is above 0
        np.zeros(()),
        negative_threshold=level,
        reset="zero",
        payload_max=payload,
        membrane_decay=1.0,
    )
    return Population(name, pool.input_shape, model)


def _largest_emission(population: Population) -> int:
    model = population.model
    if isinstance(model, Input):
        return max(-model.low, model.high)
    return model.payload_max if isinstance(model, RealNeuron) else 1


def _by_channel(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return values.reshape(-1, *(1,) * (len(shape) - 1))


def _free(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    names.add(name)
    return name
