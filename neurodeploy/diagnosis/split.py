"""The error of one population, split by cause.

Elementwise, and by construction adding up to what the population coded minus its activation x:

- clipping: ``clip(x, lo, hi) - x`` with the range of the code
- quantization: the ideal code of x, minus that
- inherited: the ideal code of the input that arrived, minus the ideal code of x; corrections of the
  bias count as input
- unevenness: what the population coded, minus the ideal code of the input that arrived
- weight bits: what it codes in the integer netlist, minus what it codes in the real-valued one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.diagnosis.code import ideal_values, reach, values_of_input
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Neuron

CAUSES = ("clipping", "quantization", "inherited", "unevenness", "weight_bits")
NEW = ("clipping", "quantization", "unevenness", "own_weight_bits")
"""Causes that lie in the layer itself; ``own_weight_bits``: of its weights on unspoilt input."""


@dataclass(frozen=True, slots=True)
class ErrorParts:
    """Parts of an error, ``[B, *shape]`` each, in the units of the source network.

    Parameters
    ----------
    parts : mapping
        By cause; ``weight_bits`` only where there is an integer netlist.
    own_weight_bits : array or None
        What the population's own integer weights change about the ideal code of its input.
    """

    parts: Mapping[str, AnyArray]
    own_weight_bits: AnyArray | None

    @property
    def new(self) -> AnyArray:
        """Error that the layer adds to those that reach it."""
        found = self.parts["clipping"] + self.parts["quantization"] + self.parts["unevenness"]
        return np.asarray(found if self.own_weight_bits is None else found + self.own_weight_bits)


@dataclass(frozen=True, slots=True)
class Version:
    """One population of the real-valued or the integer netlist.

    Parameters
    ----------
    population : Population
    accumulated : array ``[B, *input_shape]``
        What the spikes of the real-valued netlist add up to through its weights.
    coded : array ``[B, *shape]``
        What it codes in its own netlist, in the units of the source network.
    """

    population: Population
    accumulated: AnyArray
    coded: AnyArray


def split(x: AnyArray, timesteps: int, real: Version, integer: Version | None) -> ErrorParts:
    """Split the error of a population.

    Parameters
    ----------
    x : array ``[B, *shape]``
        The activations that it should code.
    timesteps : int
    real : Version
    integer : Version or None
        The same population, quantized.
    """
    x = x.astype(np.float64)
    population = real.population
    clipped = ideal = x
    if isinstance(population.model, Neuron) and population.model.fires:
        clipped = np.clip(x, *reach(population, timesteps))
        ideal = ideal_values(population, x, timesteps)
    arrived = values_of_input(population, real.accumulated, timesteps)
    parts = {
        "clipping": clipped - x,
        "quantization": ideal - clipped,
        "inherited": arrived - ideal,
        "unevenness": real.coded - arrived,
    }
    if integer is None:
        return ErrorParts(parts, None)
    parts["weight_bits"] = integer.coded - real.coded
    quantized = values_of_input(integer.population, integer.accumulated, timesteps)
    return ErrorParts(parts, quantized - arrived)
