"""The common part of codes of changes: payloads add up to a value, which the bias enters once.

A neuron starts at ``v0 = bias + rounding``, and what arrives changes the sum; an integrator is read
by v itself. A still image is sent once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, Layer, ReluLayer
from neurodeploy.conversion.methods.sum_coding import SumCoding, added
from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class ChangeCoding(SumCoding):
    """Options of every code of changes: those of every layer-by-layer method."""

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "graded"

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
        return SumCoding.worths(self, graph, calibration)

    def rounding(self, share: float) -> float:
        """Share of the last threshold, in thresholds."""
        return share

    def finished(self, population: Population, layer: Layer) -> Population:
        """A population whose payloads add up to its value."""
        population = SumCoding.finished(self, population, layer)
        model = population.model
        if not isinstance(model, RealNeuron):
            return population
        share = self.initial_membrane
        if isinstance(layer, ReluLayer) and layer.levels is not None:
            share = layer.shift
        start = added(model.bias, _scaled_threshold(model, self.rounding(share)), population)
        neuron = replace(model, bias=np.zeros(()), initial_membrane=start)
        return replace(population, model=neuron)


def _scaled_threshold(model: RealNeuron, share: float) -> FloatArray:
    return np.zeros(()) if model.threshold is None else model.threshold * share
