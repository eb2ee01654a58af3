"""What a membrane holds: thresholds, biases and initial membranes in whole units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron
from neurodeploy.ir.siblings import Sibling, Siblings


def in_units(population: Population, unit: FloatArray) -> Population:
    """A real-valued population in membrane units, ``[C]``."""
    model = population.model
    assert isinstance(model, RealNeuron)
    spread = unit.reshape(-1, *(1,) * (len(population.shape) - 1))

    def units(value: FloatArray) -> IntArray:
        if value.ndim <= 1 and value.shape != population.shape:
            return np.rint(np.broadcast_to(value, unit.shape) / unit).astype(np.int64)
        return np.rint(value / spread).astype(np.int64)

    theta = None if model.threshold is None else np.maximum(units(model.threshold), 1)
    negative = model.negative_threshold
    neuron = IntegerNeuron(
        threshold=theta,
        bias=units(model.bias),
        initial_membrane=units(model.initial_membrane),
        negative_threshold=None if negative is None else np.maximum(units(negative), 1),
        reset=model.reset,
        payload_max=model.payload_max,
        payload_code=model.payload_code,
        memory=model.memory,
        input_gain=model.input_gain,
        firing_gain=model.firing_gain,
        current_decay=_decay(population, "current_decay"),
        membrane_decay=_decay(population, "membrane_decay"),
    )
    worth = population.unit
    if theta is None and worth is not None:
        # An integrator is read in membrane units; what one was worth, times its real value.
        worth = np.broadcast_to(worth, unit.shape) * unit
    return replace(population, model=neuron, unit=worth)


def whole_threshold(theta: FloatArray, unit: FloatArray) -> IntArray:
    """Thresholds in membrane units, one for each channel: at least 1 of them."""
    whole: IntArray = np.rint(np.broadcast_to(theta, unit.shape) / unit).astype(np.int64)
    return np.maximum(whole, 1)


def _decay(population: Population, name: str) -> int:
    """A decay in 1/4096; one that is not 0 or 1 must not become so."""
    real: float = getattr(population.model, name)
    whole = round(real * DECAY_ONE)
    if whole in (0, DECAY_ONE) and whole != real * DECAY_ONE:
        raise QuantizationError(
            f"{population.name}: {name} {real:g} against steps of 1/{DECAY_ONE}; use "
            f"{whole // DECAY_ONE}, or a decay of at least half a step from it"
        )
    return whole


def least_threshold(siblings: Siblings) -> FloatArray | None:
    """The smallest threshold of each channel, ``[C]``; of an integrator None."""
    found = [
        smallest(x.model.threshold, x.population) for x in siblings if x.model.threshold is not None
    ]
    return np.minimum.reduce(found) if found else None


def reach_of(sibling: Sibling, timesteps: int) -> FloatArray:
    """What a membrane must hold beside its weights: a threshold, biases over a run; ``[C]``."""
    model, population = sibling.model, sibling.population
    steps = sum(model.input_gain) if model.input_gain else timesteps
    reach = steps * _largest(model.bias, population)
    if model.threshold is not None:
        highest = max(model.firing_gain, default=1)
        reach = np.maximum(reach, _largest(model.threshold, population) * highest)
    return reach


def smallest(values: FloatArray, population: Population) -> FloatArray:
    """The smallest value of each channel, ``[C]``."""
    full = population.spread(values).reshape(population.shape[0], -1)
    return np.asarray(full.min(axis=1), dtype=np.float64)


def _largest(values: FloatArray, population: Population) -> FloatArray:
    """The largest magnitude of each channel, ``[C]``."""
    full = population.spread(values).reshape(population.shape[0], -1)
    return np.asarray(np.abs(full).max(axis=1), dtype=np.float64)
