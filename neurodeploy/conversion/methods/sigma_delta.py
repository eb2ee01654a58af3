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

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.conversion.calibration.thresholds import Activations
from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.methods.change_coding import ChangeCoding
from neurodeploy.conversion.methods.layerwise import SpikeCode
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.neurons import RealNeuron

# Room of a payload above the largest activation of calibration.
HEAD_ROOM = 2


@dataclass(frozen=True, slots=True)
class SigmaDelta(ChangeCoding):
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

    def __post_init__(self) -> None:
        ChangeCoding.__post_init__(self)
        if not 1 <= self.levels <= 2**12:
            raise UsageError(f"levels {self.levels}: expected 1 to 4096")
        if not 0 <= self.hysteresis < 1:
            raise UsageError(f"hysteresis {self.hysteresis}: expected a share in [0, 1)")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """Signed changes with memory."""
        if layer.levels is not None:
            return SpikeCode(layer.levels, memory=True)
        # A range that saturates ends there; any other may be passed by what calibration missed.
        room = 1 if layer.maximum is not None else HEAD_ROOM
        return SpikeCode(self.levels * room, memory=True)

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Value of a unit of change; of a quantized activation, one of its levels."""
        if layer.levels is not None:
            assert layer.maximum is not None
            return np.full(layer.shape[0], layer.maximum / layer.levels)
        return self.ranges(layer, activations, self.levels) / self.levels

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A neuron that takes back from its hysteresis on."""
        neuron = ChangeCoding.neuron(self, layer, theta)
        if not self.hysteresis:
            return neuron
        return replace(neuron, negative_threshold=theta * self.hysteresis)
