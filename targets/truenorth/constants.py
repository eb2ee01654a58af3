"""The constants of a population's neurons, one entry per neuron."""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron


def constants_of(population: Population) -> tuple[IntArray, IntArray, IntArray]:
    """Bias b, initial membrane v0 and threshold theta of neurons that fire: int64 ``[n]`` each."""
    model = population.model
    assert isinstance(model, IntegerNeuron)
    assert model.threshold is not None
    return (
        _flat(population, model.bias),
        _flat(population, model.initial_membrane),
        _flat(population, model.threshold),
    )


def floors_of(population: Population, lowest: int) -> IntArray:
    """Floors of the neurons, ``lowest`` where they have none or one below it: int64 ``[n]``."""
    model = population.model
    assert isinstance(model, IntegerNeuron)
    if model.floor is None:
        return np.full(population.size, lowest)
    return np.maximum(_flat(population, model.floor), lowest)


def _flat(population: Population, value: AnyArray) -> IntArray:
    return np.array(population.spread(value), dtype=np.int64).reshape(-1)
