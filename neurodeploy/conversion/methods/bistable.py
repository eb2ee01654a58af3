"""Bistable neurons: they accumulate for P steps, then fire for P steps.

While a layer fires, the next one accumulates, so that a neuron decides when all it will receive in
a cycle has arrived. Spikes cannot come too early: after one cycle the count is exactly
``clip(floor((v0 + sum of input) / theta), 0, P)``, and the network a quantized one of P levels::

    phase 0, 2, ... of P steps:  v <- v + a[t] + b
    phase 1, 3, ... of P steps:  s = [v >= theta],   v <- v - s theta

T = 2 P cycles; what one cycle leaves in v enters the next. A layer runs P steps behind the one
before it, so the latency is T + P for each layer. The published synchronous neurons, which hold
back the spikes of a shortcut, are delays of its synapses here.

References
----------
Li, Zhao & Zeng 2022, "BSNN: Towards faster and better conversion of artificial neural networks to
spiking neural networks with bistable neurons", doi 10.3389/fnins.2022.991851.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from neurodeploy.conversion.calibration.thresholds import Activations
from neurodeploy.conversion.lowering.activation_graph import Layer, ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Input, RealNeuron


@dataclass(frozen=True, slots=True)
class Bistable(LayerwiseMethod):
    """Options of bistable neurons, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps in which a layer is active, T: two phases for each cycle.
    cycles : int
        How often a layer accumulates and fires.
    """

    timesteps: int = 32
    cycles: int = 1

    # What comes while a neuron fires is lost to it: only a constant input loses nothing.
    encoders: ClassVar[tuple[EncoderName, ...]] = ("current",)

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        if self.cycles < 1:
            raise UsageError(f"cycles {self.cycles}: at least 1 is needed")
        if self.timesteps % (2 * self.cycles):
            raise UsageError(
                f"timesteps {self.timesteps}: {self.cycles} cycles of two equal phases need a "
                f"multiple of {2 * self.cycles}"
            )

    @property
    def phase(self) -> int:
        """Steps of one phase, P."""
        return self.timesteps // (2 * self.cycles)

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Values of the spikes of a channel, P for each cycle being its range."""
        return self.ranges(layer, activations, self.timesteps // 2)

    def finished(self, population: Population, layer: Layer) -> Population:
        """The population with its phases: it accumulates while the one before it fires."""
        if isinstance(population.model, Input):
            return population
        # A rate counts all steps, of which only half add to the membrane or can fire.
        assert population.unit is not None
        population = replace(population, unit=population.unit * 2)
        model = population.model
        if not isinstance(model, RealNeuron):
            return population
        fires = tuple((t // self.phase) % 2 for t in range(self.timesteps))
        gathers = tuple(1 - f for f in fires)
        neuron = replace(model, input_gain=gathers, firing_gain=fires if model.fires else ())
        return replace(population, model=neuron)
