"""Sigma-delta coding: neurons send changes of their quantized activation.

A neuron adds up what arrives (sigma) and sends by how many thresholds its activation has moved
(delta), a signed payload. What is constant is sent once; after the changes have passed, every
membrane holds exactly the quantized activation::

    v <- v + a,   s = floor(v / theta) >= -m,   v <- v - s theta,   m <- m + s

with v0 = bias + theta / 2: m is ``max(floor((bias + sum of input) / theta + 1/2), 0)``. Values are
sums of payloads, not rates, and the bias acts once.

References
----------
O'Connor & Welling 2016, "Sigma delta quantized networks", arXiv 1611.02024; Orchard et al. 2021,
doi 10.1109/SiPS52927.2021.00053 (graded spikes of Loihi 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.convert.layers import ActivationGraph, ReluLayer
from neurodeploy.convert.layerwise import LayerwiseMethod, SpikeCode
from neurodeploy.convert.thresholds import Activations, Calibration, choose_ranges
from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName, Encoding
from neurodeploy.ir.netlist import Population, RealNetlist
from neurodeploy.ir.neurons import RealNeuron

# Room of a payload above the largest activation of calibration.
HEAD_ROOM = 2


@dataclass(frozen=True, slots=True)
class SigmaDelta(LayerwiseMethod):
    """Options of sigma-delta coding, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T. A still image has arrived after one; a video takes one or more a
        frame.
    levels : int
        Thresholds up to the range of an activation.
    hysteresis : float
        How far below zero an activation has to fall before it is taken back, in thetas, [0, 1).
    """

    timesteps: int = 1
    levels: int = 64
    hysteresis: float = 0.0

    default_input: ClassVar[str] = "delta"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("delta",)

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "graded"

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if not 1 <= self.levels <= 2**12:
            raise UsageError(f"levels {self.levels}: expected 1 to 4096")
        if not 0 <= self.hysteresis < 1:
            raise UsageError(f"hysteresis {self.hysteresis}: expected a share in [0, 1)")
        if self.decode != "membrane":
            raise UsageError(f"decode {self.decode!r}: changes are read by the membrane they fill")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """Signed changes with memory."""
        if layer.levels is not None:
            return SpikeCode(layer.levels, memory=True)
        # A range that saturates ends there; any other may be passed by what calibration missed.
        room = 1 if layer.maximum is not None else HEAD_ROOM
        return SpikeCode(self.levels * room, memory=True)

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """What a unit of change is worth; of a quantized activation, one of its levels."""
        if layer.levels is not None:
            assert layer.maximum is not None
            return np.full(layer.shape[0], layer.maximum / layer.levels)
        ranges = choose_ranges(
            activations,
            self.normalization,
            self.scope,
            self.levels,
            self.percentile,
            layer.maximum,
            layer.name,
        )
        return ranges / self.levels

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist.

        Raises
        ------
        ConversionError
            If calibration leaves a layer without a threshold, the input is no ``delta``, or an
            activation saturates and there are several steps.
        """
        for layer in graph.layers:
            saturates = isinstance(layer, ReluLayer) and layer.maximum is not None
            if saturates and self.timesteps > 1:
                raise ConversionError(
                    f"{layer.name}: its activation saturates, and changes over {self.timesteps} "
                    "steps may add up beyond that; use --timesteps 1, or another method"
                )
        netlist = LayerwiseMethod.__call__(self, graph, calibration, encodings)
        shifts = {
            layer.name: layer.shift
            for layer in graph.layers
            if isinstance(layer, ReluLayer) and layer.levels is not None
        }
        populations = tuple(
            self._summing(p, shifts.get(p.name, self.initial_membrane)) for p in netlist.populations
        )
        return replace(netlist, populations=populations)

    def _summing(self, population: Population, shift: float) -> Population:
        """A population whose payloads add up to its value."""
        model = population.model
        if not isinstance(model, RealNeuron):
            return replace(population, coding="sum")
        start = _added(model.bias, _scaled_threshold(model, shift), population)
        negative = model.negative_threshold
        if negative is not None and self.hysteresis:
            assert model.threshold is not None
            negative = model.threshold * self.hysteresis
        neuron = replace(
            model, bias=np.zeros(()), initial_membrane=start, negative_threshold=negative
        )
        return replace(population, model=neuron, coding="sum")


def _scaled_threshold(model: RealNeuron, share: float) -> FloatArray:
    return np.zeros(()) if model.threshold is None else model.threshold * share


def _added(bias: FloatArray, start: FloatArray, population: Population) -> FloatArray:
    if bias.ndim <= 1 and start.ndim <= 1:
        return np.asarray(bias + start)
    return np.asarray(population.spread(bias) + population.spread(start))
