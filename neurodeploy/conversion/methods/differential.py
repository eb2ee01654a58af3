"""Differential coding: a later spike corrects the value by less.

A spike of step t is worth theta / t, so that values are ``theta sum_t s[t] / t``: the first steps
give the rough value, the later ones refine it, and what does not change costs nothing. A neuron
adds up what arrives with the same weights::

    v <- v + g[t] a[t],   s = +-2^j nearest to v / (g[t] theta),   v <- v - g[t] s theta

with v0 = g[1] bias, g[t] = G / t, here in whole numbers (``halved``: the powers of two below them):
the code is what the gains say, so their rounding costs nothing. The bias enters once, in v0, and a
still image is sent once. Negative spikes take back no more than was emitted, which rectifies.

References
----------
Huang et al. 2025, "Differential coding for training-free ANN-to-SNN conversion", arXiv 2503.00301;
its neuron with several thresholds is a payload of powers of two here. That ``v + t (...)`` of the
paper and the gains above are the same follows from dividing its membrane by t.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from neurodeploy.conversion.lowering.activation_graph import Layer, ReluLayer
from neurodeploy.conversion.lowering.context import AveragePooling, LoweringOptions, MaxPooling
from neurodeploy.conversion.methods.change_coding import ChangeCoding
from neurodeploy.conversion.methods.layerwise import SpikeCode
from neurodeploy.errors import UsageError
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import RealNeuron

Gain = Literal["harmonic", "halved"]
# Gains are G / t rounded: finer ones cost bits of the state and gain nothing.
STEPS_PER_GAIN = 4
MAX_THRESHOLDS = 12


@dataclass(frozen=True, slots=True)
class Differential(ChangeCoding):
    """Options of differential coding, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps of one sample, T.
    thresholds_per_neuron : int
        Powers of two that a spike can carry, n: payloads up to 2^(n - 1).
    gain : {"harmonic", "halved"}
        What step t is worth: 1 / t, or the power of two from there down.
    """

    timesteps: int = 4
    max_pooling: MaxPooling = "identity"
    average_pooling: AveragePooling = "fold"
    thresholds_per_neuron: int = 4
    gain: Gain = "harmonic"

    def __post_init__(self) -> None:
        ChangeCoding.__post_init__(self)
        if not 1 <= self.thresholds_per_neuron <= MAX_THRESHOLDS:
            raise UsageError(
                f"thresholds per neuron {self.thresholds_per_neuron}: expected 1 to "
                f"{MAX_THRESHOLDS}"
            )
        if self.gain not in ("harmonic", "halved"):
            raise UsageError(f"gain {self.gain!r}: expected harmonic or halved")

    @property
    def lowering(self) -> LoweringOptions:
        """Differences cannot be pooled as counts: maxima become plain neurons, averages fold."""
        for option, value, only in (
            ("max pooling", self.max_pooling, "identity"),
            ("average pooling", self.average_pooling, "fold"),
        ):
            if value != only:
                raise UsageError(f"{option} {value!r}: differential coding takes {only!r} alone")
        return LoweringOptions("identity", "fold", "units", self.activation_units, True)

    @property
    def gains(self) -> tuple[int, ...]:
        """G of every step."""
        steps = range(1, self.timesteps + 1)
        if self.gain == "halved":
            first = 1 << (self.timesteps.bit_length() - 1)
            return tuple(first >> (t.bit_length() - 1) for t in steps)
        first = 1 if self.timesteps == 1 else STEPS_PER_GAIN * self.timesteps
        return tuple(round(first / t) for t in steps)

    def code(self, layer: ReluLayer) -> SpikeCode:
        """Signed powers of two with memory."""
        return SpikeCode(1 << (self.thresholds_per_neuron - 1), "power_of_two", memory=True)

    def rounding(self, share: float) -> float:
        """Share of the last threshold, in thetas."""
        return share * self.gains[-1] / self.gains[0]

    def finished(self, population: Population, layer: Layer) -> Population:
        """A population whose payloads, times the gain of their step, add up to its value."""
        population = ChangeCoding.finished(self, population, layer)
        model = population.model
        if not isinstance(model, RealNeuron):
            return population
        neuron = replace(
            model,
            initial_membrane=model.initial_membrane * self.gains[0],
            input_gain=self.gains,
            firing_gain=self.gains if model.fires else (),
        )
        return replace(population, model=neuron)
