"""The common part of codes of changes: payloads add up to a value, the bias enters once.

A neuron starts at ``v0 = bias + rounding``, and what arrives changes the sum; an integrator is read
by v itself. A still image is sent once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, Layer, ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class ChangeCoding(LayerwiseMethod):
    """Options of every code of changes: those of every layer-by-layer method."""

    default_input: ClassVar[str] = "delta"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("delta",)

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "graded"

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

    def worths(self, graph: ActivationGraph, calibration: Calibration) -> dict[str, FloatArray]:
        """Value of a unit spike of every rectified layer, by name.

        Raises
        ------
        ConversionError
            If an activation saturates and there are several steps, or calibration leaves a layer
            without a threshold.
        """
        for layer in graph.layers:
            saturates = isinstance(layer, ReluLayer) and layer.maximum is not None
            if saturates and self.timesteps > 1:
                raise ConversionError(
                    f"{layer.name}: its activation saturates, and changes over {self.timesteps} "
                    "steps may add up beyond that; use --timesteps 1, or another method"
                )
        return LayerwiseMethod.worths(self, graph, calibration)

    def rounding(self, share: float) -> float:
        """Share of the last threshold, in thresholds."""
        return share

    def finished(self, population: Population, layer: Layer) -> Population:
        """A population whose payloads add up to its value."""
        model = population.model
        if not isinstance(model, RealNeuron):
            return replace(population, coding="sum")
        share = self.initial_membrane
        if isinstance(layer, ReluLayer) and layer.levels is not None:
            share = layer.shift
        start = added(model.bias, _scaled_threshold(model, self.rounding(share)), population)
        neuron = replace(model, bias=np.zeros(()), initial_membrane=start)
        return replace(population, model=neuron, coding="sum")


def _scaled_threshold(model: RealNeuron, share: float) -> FloatArray:
    return np.zeros(()) if model.threshold is None else model.threshold * share


def added(bias: FloatArray, start: FloatArray, population: Population) -> FloatArray:
    """The sum of two quantities of a population, each a scalar, per channel or per neuron."""
    if bias.ndim <= 1 and start.ndim <= 1:
        return np.asarray(bias + start)
    return np.asarray(population.spread(bias) + population.spread(start))
