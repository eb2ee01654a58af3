"""TerMapping: spikes of three values, balanced thresholds below the largest activation.

A second threshold at -theta takes back what was fired too much. What has not been emitted cannot be
taken back: without that limit a double threshold computes clip(x, -1, 1), not a rectifier. The text
of the paper was not at hand; its abstract and this argument were.

References
----------
Yu et al. 2022, doi 10.1109/TNNLS.2020.3043415 (TerMapping).
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
class Ternary(LayerwiseMethod):
    """Options of TerMapping, beside those of every layer-by-layer method.

    Parameters
    ----------
    normalization : {"mse", "percentile", "max", "balance"}
        ``mse`` chooses theta below the largest activation on the calibration data.
    take_back : float
        The second threshold, in thetas below zero, (0, 1].
    """

    initial_membrane: float = 0.0
    bias_correction: int = 0
    take_back: float = 1.0

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "signed"

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if not 0 < self.take_back <= 1:
            raise UsageError(f"take back {self.take_back}: expected a share in (0, 1]")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed spike a step."""
        return SpikeCode(memory=True)

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A neuron with its second threshold."""
        neuron = LayerwiseMethod.neuron(self, layer, theta)
        if layer.slope is not None:
            return neuron
        return replace(neuron, negative_threshold=theta * self.take_back)
