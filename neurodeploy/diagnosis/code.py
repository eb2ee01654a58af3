"""The ideal code: what a population would emit in all for a value, were time no matter.

A neuron whose membrane would end at w if it never fired emits, in sum over its window::

    clip(floor(w / theta), 0, T payload_max)                        without negative spikes, or
                                                                    with memory
    -min(floor(-w / theta_neg), T payload_max)  where w < 0         signed without memory

Where steps have gains, a spike of step t counts h[t] times: T is their sum, and what is emitted a
multiple of the last that fires, from the share of it on that a comparison names.

An activation x stands for the constant input that codes it: ``w = v0 + x T / unit theta``, with
theta_neg in the place of theta below 0, where a spike is worth as much and takes theta_neg.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population, RealNetlist
from neurodeploy.ir.neurons import MaxPool, Neuron
from neurodeploy.verification.agreement import rate_unit


def most_emitted(model: Neuron, timesteps: int) -> int:
    """Payloads that it can emit over a sample, each as often as its step counts."""
    gains = model.firing_gain[:timesteps]
    return (sum(gains) if gains else timesteps) * model.payload_max


def reach(population: Population, timesteps: int) -> tuple[AnyArray, AnyArray]:
    """Least and largest value that a firing population can code, ``[*shape]``."""
    model = population.model
    assert isinstance(model, Neuron)
    top = rate_unit(population, timesteps) * most_emitted(model, timesteps)
    return (-top if _goes_below_zero(model) else np.zeros_like(top)), top


def ideal_sum(population: Population, membrane: AnyArray, timesteps: int) -> AnyArray:
    """Sum of payloads of a firing population for membranes ``[B, *shape]`` before any reset."""
    model = population.model
    assert isinstance(model, Neuron)
    assert model.threshold is not None
    top = most_emitted(model, timesteps)
    grain, spare = _last_step(model)
    least = population.spread(model.threshold) * grain
    emitted = (membrane + least * spare if spare else membrane) // least * grain
    if not _goes_below_zero(model):
        return np.asarray(np.clip(emitted, 0, top))
    assert model.negative_threshold is not None
    below = -(-membrane // population.spread(model.negative_threshold))
    return np.asarray(np.clip(np.where(membrane < 0, below, emitted), -top, top))


def _last_step(model: Neuron) -> tuple[int, float]:
    """Gain of the last step that fires, and how much below a threshold it does."""
    fires = [(h, t) for t, h in enumerate(model.firing_gain) if h]
    if not fires:
        return 1, 0.0
    gain, t = fires[-1]
    return gain, 1 - model.comparison[t] / DECAY_ONE if model.comparison else 0.0


def membrane_of(population: Population, values: AnyArray, timesteps: int) -> FloatArray:
    """The membrane before any reset that stands for coded values ``[B, *shape]``."""
    model = population.model
    assert isinstance(model, Neuron)
    assert model.threshold is not None
    charge = population.spread(model.threshold)
    if _goes_below_zero(model):
        assert model.negative_threshold is not None
        charge = np.where(values < 0, population.spread(model.negative_threshold), charge)
    v0 = population.spread(model.initial_membrane)
    if population.coding == "sum":
        # There it holds the bias, which values know already: they are rounded to the nearest.
        grain, spare = _last_step(model)
        v0 = population.spread(model.threshold) * (grain * (0.5 - spare))
    return np.asarray(v0 + values / rate_unit(population, timesteps) * charge)


def ideal_values(population: Population, values: AnyArray, timesteps: int) -> FloatArray:
    """The ideal code of values ``[B, *shape]``, in their units."""
    emitted = ideal_sum(population, membrane_of(population, values, timesteps), timesteps)
    return np.asarray(emitted * rate_unit(population, timesteps))


def values_of_input(population: Population, accumulated: AnyArray, timesteps: int) -> FloatArray:
    """The ideal code of accumulated input, in the units of the source network.

    An integrator and a pool code it as it is: they have neither a range nor steps.
    """
    model = population.model
    if isinstance(model, MaxPool):
        total = model.maximum(accumulated)
    elif isinstance(model, Neuron) and model.fires:
        total = ideal_sum(population, accumulated, timesteps)
    else:
        total = accumulated - population.origin
    return np.asarray(total * rate_unit(population, timesteps))


def accumulate(
    netlist: RealNetlist | IntegerNetlist, name: str, sums: Mapping[str, AnyArray]
) -> AnyArray:
    """Input of a population over its window, v0 and biases included: ``[B, *input_shape]``.

    Parameters
    ----------
    sums : mapping
        Population -> payloads added up over the window, ``[B, *shape]``.
    """
    population = netlist.by_name[name]
    total: AnyArray = np.zeros(population.input_shape, dtype=np.int64)
    if isinstance(population.model, Neuron):
        bias = population.spread(population.model.bias)
        gains = population.model.input_gain
        steps = sum(gains) if gains else netlist.timesteps
        total = population.spread(population.model.initial_membrane) + steps * bias
    for projection in netlist.incoming[name]:
        share = population.heard_share(netlist.by_name[projection.pre])
        if isinstance(projection, IntegerProjection):
            heard = projection.synaptic_input(sums[projection.pre])
        else:
            heard = projection.connectivity.apply(sums[projection.pre].astype(np.float64))
        total = total + (heard if share == 1 else heard * share)
    return total


def _goes_below_zero(model: Neuron) -> bool:
    return model.signed and not model.memory
