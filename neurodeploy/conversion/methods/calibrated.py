"""Calibration by layer: weights, initial membranes, biases, on the spikes that really arrive.

References
----------
Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.conversion.methods.rate import RateCoding


@dataclass(frozen=True, slots=True)
class Calibrated(RateCoding):
    """Options of rate coding; every layer-by-layer method has these calibrations as options."""

    bias_correction: int = 1
    membrane_correction: int = 1
    threshold_search: bool = True
    weight_correction: bool = True
