"""The common part of codes whose payloads add up to a value: of changes, and of digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import Layer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName
from neurodeploy.ir.netlist import Population


@dataclass(frozen=True, slots=True)
class SumCoding(LayerwiseMethod):
    """Options of every code that adds up: those of every layer-by-layer method."""

    default_input: ClassVar[str] = "delta"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("delta",)

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if self.decode != "membrane":
            raise UsageError(f"decode {self.decode!r}: changes are read by the membrane they fill")
        if self.leaky != "units":
            raise UsageError(
                f"leaky {self.leaky!r}: a neuron that takes back cannot send negative values too; "
                "changes of a leaky activation need 'units'"
            )
        if self.max_pooling == "winner":
            raise UsageError(
                "max pooling 'winner': the changes of the winner do not add up to the maximum "
                "once another one wins; use 'exact' or 'identity'"
            )

    def finished(self, population: Population, layer: Layer) -> Population:
        """A population whose payloads add up to its value."""
        return replace(population, coding="sum")


def added(bias: FloatArray, start: FloatArray, population: Population) -> FloatArray:
    """The sum of two quantities of a population, each a scalar, per channel or per neuron."""
    if bias.ndim <= 1 and start.ndim <= 1:
        return np.asarray(bias + start)
    return np.asarray(population.spread(bias) + population.spread(start))
