"""Rate coding with a head start.

References
----------
Bu et al. 2022, arXiv 2202.01440 (initial membranes).
"""

from dataclasses import dataclass, replace

from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.errors import UsageError


@dataclass(frozen=True, slots=True)
class Eager(RateCoding):
    """Options of rate coding, and how far membranes are at the start.

    Parameters
    ----------
    head_start : float
        Initial membrane in thresholds.
    """

    head_start: float = 0.75

    def __post_init__(self) -> None:
        RateCoding.__post_init__(self)
        if not 0 <= self.head_start < 1:
            raise UsageError(f"head_start {self.head_start}: expected 0 to below 1")

    def neuron(self, layer, theta):
        """A binary neuron that starts near its threshold."""
        neuron = RateCoding.neuron(self, layer, theta)
        return replace(neuron, initial_membrane=theta * self.head_start)
