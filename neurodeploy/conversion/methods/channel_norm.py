"""Channel-wise normalization and signed neurons with an imbalanced threshold.

A leaky ReLU of slope alpha fires +1 at theta and -1 at -theta / alpha, and takes off what was
crossed: a negative spike stands for as much as a positive one, and takes 1 / alpha as much input.

References
----------
Kim et al. 2020, "Spiking-YOLO", doi 10.1609/aaai.v34i07.6787, equations 5 to 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from neurodeploy.conversion.lowering.context import Leaky
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod


@dataclass(frozen=True, slots=True)
class ChannelNorm(LayerwiseMethod):
    """Options of every layer-by-layer method."""

    normalization: str = "percentile"
    leaky: Leaky = "imbalanced"

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "signed"
