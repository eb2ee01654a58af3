"""AugMapping: a spike carries how often the threshold was crossed.

``k = floor(v / theta)``, ``v <- v - k theta``. With theta at the largest activation k hardly
exceeds 1, so theta is a share of it, chosen on the calibration data for the coefficients that a
spike may carry.

References
----------
Yu et al. 2022, doi 10.1109/TNNLS.2020.3043415 (AugMapping).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.methods.layerwise import SpikeCode
from neurodeploy.conversion.methods.ternary import Ternary
from neurodeploy.errors import UsageError


@dataclass(frozen=True, slots=True)
class Augmented(Ternary):
    """Options of TerMapping, and the largest coefficient.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T.
    coefficient : int
        Most threshold crossings that one spike carries.
    """

    timesteps: int = 8
    coefficient: int = 4

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "graded"

    def __post_init__(self) -> None:
        Ternary.__post_init__(self)
        if not 1 <= self.coefficient <= 2**16:
            raise UsageError(f"coefficient {self.coefficient}: expected 1 to 65536")

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed spike with a coefficient a step."""
        return SpikeCode(self.coefficient, memory=True)
