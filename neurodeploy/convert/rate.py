"""Rate coding with binary spikes.

References
----------
Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696; Rueckauer et al. 2017,
doi 10.3389/fnins.2017.00682 (soft reset, biases, constant input); Bu et al. 2022,
arXiv 2202.01440 (initial membrane theta / 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurodeploy.convert.layers import ReluLayer
from neurodeploy.convert.layerwise import LayerwiseMethod
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.neurons import RESETS, RealNeuron, Reset


@dataclass(frozen=True, slots=True)
class RateCoding(LayerwiseMethod):
    """Options of rate coding, beside those of every layer-by-layer method.

    Parameters
    ----------
    reset : {"subtract", "zero"}
        Of the membrane after a spike.
    """

    reset: Reset = "subtract"

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if self.reset not in RESETS or self.reset == "none":
            raise UsageError(f"reset {self.reset!r}: expected 'subtract' or 'zero'")

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A binary neuron with the chosen reset."""
        return replace(LayerwiseMethod.neuron(self, layer, theta), reset=self.reset)
