"""Ternary momentum: spikes worth less and less, which take back what came too early.

A neuron listens for L steps, one or two, and then fires while more arrives. A spike is sent as soon
as half of what it is worth is there, and taken back where too much was sent::

    v <- v + h[t] a[t]
    s  = +1 if v >= h[t] theta / 2;   -1 if v <= -h[t] theta / 2 and m >= h[t]
    v <- v - s h[t] theta,   m <- m + s h[t]

with v0 = bias and the worths h = ..., 8, 4, 2, 1, as of the published neuron, which doubles its
membrane in every step, ``v <- 2 v + a``. m, what was sent so far, is never below 0: that rectifies.
Of T = L + F steps F send, and a layer runs L + 1 steps behind the one before it. A digit of either
sign makes up for what the one before got wrong by up to its own worth, so that no worth has to come
twice: of ResNet-20 with eight steps that fire the answers err by 2.4 % of their spread, and by 6.6
with ``digit_worths`` "repeated", which tells 45 values apart in place of 255 (on training images).

References
----------
Gu, Gu, Shen & Huang 2024, "TMN: A lightweight neuron model for efficient nonlinear spike
representation", arXiv 2408.17245 (first as "Ternary momentum neuron"); of its abstract, the text
was not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from neurodeploy.conversion.lowering.activation_graph import ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod, SpikeCode
from neurodeploy.conversion.methods.listening import Listening
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class Momentum(Listening):
    """Options of ternary momentum, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps in which a layer is active, T: those in which it only listens, then one a worth.
    listening : int
        Steps before the first spike is sent.
    """

    timesteps: int = 10
    initial_membrane: float = 0.0
    listening: int = 2

    emits: ClassVar[Literal["binary", "signed", "graded"]] = "signed"

    @property
    def silent(self) -> int:
        """Steps in which a neuron listens before it fires."""
        return self.listening

    @property
    def shares(self) -> tuple[int, ...]:
        """Half of the threshold, in every step."""
        return (DECAY_ONE // 2,) * len(self.gains)

    def code(self, layer: ReluLayer) -> SpikeCode:
        """One signed spike a step, with memory."""
        return SpikeCode(memory=True)

    def neuron(self, layer: ReluLayer, theta: FloatArray) -> RealNeuron:
        """A neuron that gives back as much as a spike takes."""
        return replace(LayerwiseMethod.neuron(self, layer, theta), negative_threshold=theta)
