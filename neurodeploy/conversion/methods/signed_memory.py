"""Signed spikes with memory: a neuron takes back what it fired too early.

The count of every neuron follows ``clip(floor((v0 + sum of input) / theta), 0, t)``: spikes that
came unevenly leave no trace once the input has evened out. The published neuron takes back at
``v <= -theta``; this one does so below 0, which halves the share of wrong counts (``take_back`` 1
gives the published rule).

References
----------
Wang, Zhang, Chen & Qu 2022, "Signed neuron with memory", doi 10.24963/ijcai.2022/347.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod, SpikeCode
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class SignedMemory(LayerwiseMethod):
    """Options of signed spikes with memory, beside those of every layer-by-layer method.

    Parameters
    ----------
    take_back : float
        Where the neuron takes back, in thetas below zero, [0, 1]; 0: as soon as it is below zero.
    """

    take_back: float = 0.0

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "signed"

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if not 0 <= self.take_back <= 1:
            raise UsageError(f"take back {self.take_back}: expected a share in [0, 1]")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed spike a step, with memory."""
        return SpikeCode(memory=True)

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A neuron with its second threshold."""
        neuron = LayerwiseMethod.neuron(self, layer, theta)
        if not self.take_back or layer.slope is not None:
            return neuron
        return replace(neuron, negative_threshold=theta * self.take_back)
