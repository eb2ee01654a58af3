"""Conversion of networks tailored to spikes.

The network takes absolute values after preprocessing, has ReLU, no biases and average pooling; its
weights are copied, Poisson spikes go in, spikes are counted, and a spike resets the membrane.

References
----------
Cao, Chen & Khosla 2015, "Spiking deep convolutional neural networks for energy-efficient object
recognition", doi 10.1007/s11263-014-0788-3, sections 3.1 and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.context import AveragePooling
from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName
from neurodeploy.ir.netlist import Decode
from neurodeploy.ir.neuron import Reset


@dataclass(frozen=True, slots=True)
class Cao(RateCoding):
    """Options of rate coding."""

    timesteps: int = 128
    normalization: str = "percentile"
    scope: str = "layer"
    initial_membrane: float = 0.0
    decode: Decode = "counts"
    average_pooling: AveragePooling = "spiking"
    bias_correction: int = 0
    reset: Reset = "zero"

    default_input: ClassVar[str] = "poisson"
    encoders: ClassVar[tuple[EncoderName, ...]] = ("poisson", "rate")

    def worths(self, graph: ActivationGraph, calibration: Calibration) -> dict[str, FloatArray]:
        """Value of a unit spike of every rectified layer, by name.

        Raises
        ------
        ConversionError
            Naming the layer that is not in the tailored form, or that calibration leaves silent.
        """
        for rewrite in graph.rewrites:
            raise ConversionError(
                f"{rewrite.node}: max-pooling is not in the tailored form of the cao method; "
                "train with average pooling, or use another method"
            )
        for layer in graph.layers:
            if isinstance(layer, PoolLayer):
                raise ConversionError(
                    f"{layer.name}: max-pooling is not in the tailored form of the cao method; "
                    "train with average pooling, or use another method"
                )
            if isinstance(layer, ReluLayer) and _is_other_than_relu(layer):
                raise ConversionError(
                    f"{layer.name}: its activation is not ReLU, which the cao method needs; train "
                    "with ReLU, or use another method"
                )
            if not isinstance(layer, InputLayer) and layer.affine.bias.any():
                raise ConversionError(
                    f"{layer.name}: a bias (or a batch normalization that shifts) is not in the "
                    "tailored form of the cao method; train without, or use another method"
                )
        return RateCoding.worths(self, graph, calibration)


def _is_other_than_relu(layer: ReluLayer) -> bool:
    parts = layer.part_of is not None or layer.slope is not None or layer.levels is not None
    return parts or layer.maximum is not None
