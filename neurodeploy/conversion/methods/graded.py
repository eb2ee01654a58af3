"""Graded spikes with memory: one signed whole number, or power of two, per step.

A payload carries what would take many binary spikes, so that a few steps suffice. Powers of two
cost a shift instead of a multiplication; what they round off stays in the membrane and follows in
the next steps. Loihi 2 carries payloads of up to 32 bits (Orchard et al. 2021,
doi 10.1109/SiPS52927.2021.00053).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from neurodeploy.conversion.calibration.thresholds import Activations
from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.lowering.context import LinearCode
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod, SpikeCode
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.neuron import PAYLOAD_CODES, PayloadCode
from neurodeploy.ir.neurons import RealNeuron

LINEAR_LEVELS = 4
"""Times as many levels on each side of a linear layer: it rounds towards zero, which errs twice as
much, and the layers around it are narrow, so that sums in them have room."""


@dataclass(frozen=True, slots=True)
class Graded(LayerwiseMethod):
    """Options of graded coding, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T; 1 to 4 are usual.
    payload : {"integer", "power_of_two"}
        Magnitudes of a spike.
    levels : int
        Values above zero that a whole run can code, over all units of an activation: a spike
        carries up to levels / T, rounded up. What a state may become grows with them, and so may
        cost weight bits.
    bias_correction : int
        Rounds: two, as in few steps a bias moves units that saturate by less than itself.
    """

    timesteps: int = 4
    bias_correction: int = 2
    payload: PayloadCode = "integer"
    levels: int = 128

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "graded"
    linear: ClassVar[LinearCode] = "signed"

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if self.payload not in PAYLOAD_CODES:
            raise UsageError(f"payload {self.payload!r}: expected {' or '.join(PAYLOAD_CODES)}")
        if not 1 <= self.levels <= 2**16:
            raise UsageError(f"levels {self.levels}: expected 1 to 65536")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed payload a step, with memory; of a quantized activation, one in all."""
        if layer.levels is not None:
            return SpikeCode(layer.levels, memory=self.timesteps == 1)
        # The units of a smooth activation share its range, and add up in the next layer's bounds.
        levels = self.levels * (LINEAR_LEVELS if layer.is_linear else 1)
        payload_max = -(-levels // (layer.units * self.timesteps))
        if self.payload == "power_of_two":
            payload_max = 1 << (payload_max - 1).bit_length()
        return SpikeCode(payload_max, self.payload, memory=True)

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Value of a unit spike in one step; of a quantized activation, one of its levels in all.

        So a run has no finer values than the source network, however many its steps.
        """
        if layer.levels is not None:
            assert layer.maximum is not None
            return np.full(layer.shape[0], layer.maximum / layer.levels * self.timesteps)
        return LayerwiseMethod.thresholds(self, layer, activations)

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A graded neuron; of a quantized activation, with its shift as initial membrane.

        That fires in its last step alone: payloads of several steps would add up beyond the highest
        level, and less in each would not reach it where the input comes unevenly.
        """
        neuron = LayerwiseMethod.neuron(self, layer, theta)
        if layer.levels is None:
            return neuron
        fires = (0,) * (self.timesteps - 1) + (1,) if self.timesteps > 1 else ()
        return replace(neuron, initial_membrane=theta * layer.shift, firing_gain=fires)
