"""Membrane quantities: thresholds, biases and initial membranes in whole units."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron
from neurodeploy.ir.siblings import Sibling, Siblings
from neurodeploy.quantization.native import native_fields, whole_decay

SATURATION = 2**23 - 1
"""Largest membrane of a stock LIF process, in its own units."""


def in_units(
    population: Population, unit: FloatArray, grain: int = 0, mantissa: int = 0
) -> Population:
    """A real-valued population in membrane units, ``[C]``.

    With a ``grain`` of so many fractional bits, thresholds are exceeded at whole weight units, and
    the membrane saturates at 24 bits. With a ``mantissa`` biases have so many bits of one, and an
    exponent.
    """
    model = population.model
    assert isinstance(model, RealNeuron)
    spread = unit.reshape(-1, *(1,) * (len(population.shape) - 1))

    def units(value: FloatArray) -> IntArray:
        if value.ndim <= 1 and value.shape != population.shape:
            return np.rint(np.broadcast_to(value, unit.shape) / unit).astype(np.int64)
        return np.rint(value / spread).astype(np.int64)

    theta = None if model.threshold is None else on_grain(units(model.threshold), grain)
    negative = None
    if model.negative_threshold is not None:
        negative = np.maximum(units(model.negative_threshold), 1) + model.strict
    bias = units(model.bias)
    if mantissa:
        bias = with_mantissa(bias, mantissa)
    if model.strict:
        # On integers above a threshold is from the next one on; on a grain it is that already.
        theta = theta if theta is None or grain else theta + 1
    fields = {
        "current_decay": _decay(population, "current_decay"),
        "membrane_decay": _decay(population, "membrane_decay"),
        **native_fields(population, theta, units),
    }
    if grain and theta is not None:
        fields["saturation"] = SATURATION
    neuron = IntegerNeuron(
        threshold=theta,
        bias=bias,
        initial_membrane=units(model.initial_membrane),
        negative_threshold=negative,
        reset=model.reset,
        payload_max=model.payload_max,
        payload_code=model.payload_code,
        memory=model.memory,
        input_gain=model.input_gain,
        firing_gain=model.firing_gain,
        comparison=model.comparison,
        **fields,
    )
    worth = population.unit
    if theta is None and worth is not None:
        # An integrator is read in membrane units; what one was worth, times its real value.
        worth = np.broadcast_to(worth, unit.shape) * unit
    return replace(population, model=neuron, unit=worth)


def whole_threshold(theta: FloatArray, unit: FloatArray, grain: int = 0) -> IntArray:
    """Thresholds in membrane units, one for each channel: at least 1 of them."""
    whole: IntArray = np.rint(np.broadcast_to(theta, unit.shape) / unit).astype(np.int64)
    return on_grain(whole, grain)


def few_values(whole: FloatArray, most: int) -> FloatArray:
    """Each value rounded down to one of ``most`` of them, so that none shrinks by much: ``[C]``.

    Values within a factor of each other share the smallest; the factor is the least that leaves
    few enough. Those below 1 stay: their thresholds become 1, one of the values then. 0: as many as
    there are.
    """
    values = np.unique(np.maximum(whole, 1))
    if not most or len(values) <= most:
        return whole
    # The least factor is one between two of the values.
    factors = np.unique(values[:, None] / values)
    factors = factors[factors >= 1]
    low, high = 0, len(factors) - 1
    while low < high:
        middle = (low + high) // 2
        if len(_smallest_of_groups(values, factors[middle])) <= most:
            high = middle
        else:
            low = middle + 1
    kept = np.array(_smallest_of_groups(values, factors[low]))
    rounded = kept[np.maximum(np.searchsorted(kept, whole, side="right") - 1, 0)]
    return np.where(whole >= 1, rounded, whole)


def _smallest_of_groups(values: FloatArray, factor: float) -> list[float]:
    """The first of the rising values, then the first beyond ``factor`` times the last taken."""
    kept = [float(values[0])]
    for value in values[1:].tolist():
        if value / kept[-1] > factor:
            kept.append(value)
    return kept


def on_grain(theta: IntArray, grain: int) -> IntArray:
    """The nearest thresholds of at least 1 that are 1 above a multiple of ``2 ** grain``."""
    above: IntArray = np.maximum(theta, 1) - 1
    return (((above + (1 << grain) // 2) >> grain) << grain) + 1


def with_mantissa(bias: IntArray, bits: int) -> IntArray:
    """Biases rounded to mantissas of so many bits beside their sign, times powers of two."""
    magnitude = np.abs(bias)
    exponent = np.maximum(np.frexp(magnitude.astype(np.float64))[1] - bits, 0)
    step = np.left_shift(np.int64(1), exponent.astype(np.int64))
    mantissa = np.minimum(np.rint(magnitude / step).astype(np.int64), 2**bits - 1)
    return np.asarray(np.sign(bias) * mantissa * step)


def _decay(population: Population, name: str) -> int:
    """A decay of all neurons in 1/4096; :func:`warn_of_decays` tells what that moves."""
    real = np.asarray(getattr(population.model, name))
    return 0 if real.ndim else int(whole_decay(real))


def least_threshold(siblings: Siblings) -> FloatArray | None:
    """The smallest threshold of each channel, ``[C]``; of an integrator None."""
    found = [
        smallest(x.model.threshold, x.population) for x in siblings if x.model.threshold is not None
    ]
    return np.minimum.reduce(found) if found else None


def reach_of(sibling: Sibling, timesteps: int) -> FloatArray:
    """State that a membrane needs beside its weights: a threshold, biases over a run; ``[C]``."""
    model, population = sibling.model, sibling.population
    steps = sum(model.input_gain) if model.input_gain else timesteps
    decay = float(np.min(model.membrane_decay))
    if decay:
        # What leaks in every step adds up to so many steps of it at most.
        steps = min(steps, math.ceil(1 / decay))
    reach = steps * _largest(model.bias, population)
    for value in (model.floor, model.reset_value):
        if value is not None:
            reach = np.maximum(reach, _largest(value, population))
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
