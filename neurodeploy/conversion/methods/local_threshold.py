"""Local threshold balancing: thresholds that grow by what they clip.

References
----------
Bu et al. 2024, "Inference-scale complexity in ANN-SNN conversion", arXiv 2409.03368.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.conversion.methods.rate import RateCoding


@dataclass(frozen=True, slots=True)
class LocalThreshold(RateCoding):
    """Options of rate coding, balanced thresholds by default."""

    normalization: str = "balance"
