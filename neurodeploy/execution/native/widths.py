"""What is proved about the states of an integer netlist before the native engine holds them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import PopulationBounds, proved_range
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron

NARROW = 2**31
WIDE = 2**44
"""Limit of the intervals of :mod:`neurodeploy.ir.bounds`: nothing is proved beyond."""

QUOTIENTS = 2**22
"""Below it, quotients of 32 bits are one step of integers away from those of floats."""


def needs_64_bits(
    netlist: IntegerNetlist, timesteps: int, bounds: Mapping[str, PopulationBounds]
) -> bool:
    """Whether states take 64 bits instead of 32.

    Raises
    ------
    CapacityError
        If a state or a payload is not proved to fit.
    """
    wide = False
    for population in netlist.populations:
        name = population.name
        low, high = proved_range(population, bounds)
        if max(-low, high) >= NARROW:
            raise CapacityError(
                f"{name}: worst-case payload {max(-low, high)} is not proved below {NARROW}, "
                "the engine's range; use fewer time steps, fewer weight bits or smaller inputs"
            )
        if population.size * timesteps + 1 >= 2**32:
            raise CapacityError(
                f"{name}: {population.size} neurons over {timesteps} steps exceed {2**32 - 1} "
                "neuron-steps of one sample; use fewer time steps"
            )
        proved = bounds.get(name)
        if proved is None:
            continue
        largest = _largest_state(population, proved, timesteps)
        if largest >= WIDE:
            raise CapacityError(
                f"{name}: worst-case state {largest} is not proved below {WIDE}, the engine's "
                "exact range; use fewer time steps, fewer weight bits or smaller inputs"
            )
        wide |= largest >= NARROW or _largest_spike(population) >= QUOTIENTS
    return wide


def _largest_spike(population: Population) -> int:
    """Largest payload that is a quotient."""
    return population.model.payload_max if isinstance(population.model, IntegerNeuron) else 0


def _largest_state(population: Population, proved: PopulationBounds, timesteps: int) -> int:
    """Largest magnitude of anything that the kernels hold for a population."""
    largest, model = proved.magnitude, population.model
    if isinstance(model, IntegerNeuron):
        gain = max(model.input_gain, default=1)
        firing = max(model.firing_gain, default=1)
        largest = max(
            # What is added in one step, before the gain is known to have been applied or not.
            largest + int(np.abs(model.bias).max()) * gain,
            int(np.abs(model.initial_membrane).max()),
            timesteps * model.payload_max * firing if model.memory else 0,
            proved.unclipped,
        )
        for threshold in (model.threshold, model.negative_threshold):
            if threshold is not None:
                compared = model.highest(int(threshold.max()))
                largest = max(largest, int(threshold.max()) * firing, compared)
        for level in (model.reset_value, model.floor):
            if level is not None:
                largest = max(largest, int(np.abs(level).max()))
    return largest
