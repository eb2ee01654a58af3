"""Signed spikes with memory: a neuron takes back what it fired too early.

The count of every neuron follows ``clip(floor((v0 + sum of input) / theta), 0, t)``: spikes that
came unevenly leave no trace once the input has evened out.

References
----------
Wang, Zhang, Chen & Qu 2022, "Signed neuron with memory", doi 10.24963/ijcai.2022/347.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.convert.layers import ReluLayer
from neurodeploy.convert.layerwise import LayerwiseMethod, SpikeCode


@dataclass(frozen=True, slots=True)
class SignedMemory(LayerwiseMethod):
    """Options of every layer-by-layer method."""

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed spike a step, with memory."""
        return SpikeCode(memory=True)
