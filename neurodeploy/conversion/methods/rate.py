"""Rate coding with binary spikes.

References
----------
Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696; Rueckauer et al. 2017,
doi 10.3389/fnins.2017.00682 (soft reset, biases, constant input); Bu et al. 2022,
arXiv 2202.01440 (initial membrane theta / 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurodeploy.conversion.calibration.thresholds import Activations
from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.neuron import RESETS, Reset
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class RateCoding(LayerwiseMethod):
    """Options of rate coding, beside those of every layer-by-layer method.

    Parameters
    ----------
    reset : {"subtract", "zero"}
        Of the membrane after a spike.
    levels : int
        Spikes that the range of a channel takes, at most T; 0: T. Fewer are coarser and cost less:
        ``theta = range T / levels``.
    """

    reset: Reset = "subtract"
    levels: int = 0

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if self.reset not in RESETS or self.reset == "none":
            raise UsageError(f"reset {self.reset!r}: expected 'subtract' or 'zero'")
        if not 0 <= self.levels <= self.timesteps:
            raise UsageError(
                f"levels {self.levels}: expected 1 to T = {self.timesteps} spikes, or 0 for T"
            )

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Value of a unit spike, with fewer of them where so many levels are enough."""
        if not self.levels:
            return LayerwiseMethod.thresholds(self, layer, activations)
        return self.ranges(layer, activations, self.levels) * self.timesteps / self.levels

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A binary neuron with the chosen reset."""
        return replace(LayerwiseMethod.neuron(self, layer, theta), reset=self.reset)
