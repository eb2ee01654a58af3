"""Reserve: equal spikes, which a neuron sends only once it holds more than they take.

A neuron listens for one step and fires in the next F, all spikes being worth the same. At first it
waits until it holds a reserve of R thresholds beside the one that a spike takes, and at last none::

    step t of T = L + F:   v <- v + a[t] + b                                   while t < F
                           s = [v >= theta (1 + R (1 - (t - L) / (F - 1)))]    from step L on
                           v <- v - s theta

with v0 = theta / 2. What inhibition still takes back is in the reserve, and not in spikes that
cannot be taken back. It needs no gains other than 0 and 1, for chips whose membranes cannot double:
a level of comparison that falls from step to step, beside the charge of a spike, is all. R = 0 is
rate coding behind one step of listening. A layer runs L + 1 steps behind the one before it.

References
----------
Between the waiting of bistable neurons (Li, Zhao & Zeng 2022, doi 10.3389/fnins.2022.991851) and
firing at once; no publication of the falling level is known to this file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from neurodeploy.conversion.calibration.thresholds import Activations
from neurodeploy.conversion.lowering.activation_graph import Layer, ReluLayer
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.conversion.methods.listening import check_listening
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import EncoderName
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neuron import MAX_COMPARISON
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron

MOST_RESERVE = MAX_COMPARISON // DECAY_ONE - 1


@dataclass(frozen=True, slots=True)
class Reserve(LayerwiseMethod):
    """Options of coding with a reserve, beside those of every layer-by-layer method.

    Parameters
    ----------
    timesteps : int
        Steps in which a layer is active, T: those in which it only listens, then F that fire.
    listening : int
        Steps before the first spike is sent.
    reserve : float
        Thresholds that are held back at first, R.
    """

    timesteps: int = 33
    listening: int = 1
    reserve: float = 1.0

    # What comes in the last steps is lost to a neuron: only a constant input loses nothing.
    encoders: ClassVar[tuple[EncoderName, ...]] = ("current",)

    def __post_init__(self) -> None:
        LayerwiseMethod.__post_init__(self)
        check_listening(self.listening, self.timesteps)
        if not 0 <= self.reserve <= MOST_RESERVE:
            raise UsageError(
                f"reserve {self.reserve}: expected 0 to {MOST_RESERVE} thresholds held back"
            )

    @property
    def firing(self) -> int:
        """Steps in which it may fire, F."""
        return self.timesteps - self.listening

    @property
    def levels(self) -> tuple[int, ...]:
        """What the membrane is compared with in every step, in 1/4096 of the threshold."""
        last = max(self.firing - 1, 1)
        kept = (self.reserve * (1 - t / last) for t in range(self.firing))
        return (DECAY_ONE,) * self.listening + tuple(round(DECAY_ONE * (1 + r)) for r in kept)

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Values of a spike in every step of a channel, F of them being its range."""
        return self.ranges(layer, activations, self.firing)

    def finished(self, population: Population, layer: Layer) -> Population:
        """The population with its steps."""
        model = population.model
        if isinstance(model, Input):
            return population
        # A rate counts all steps, of which F add to the membrane or can fire.
        assert population.unit is not None
        population = replace(population, unit=population.unit * (self.timesteps / self.firing))
        if isinstance(model, MaxPool):
            return population
        assert isinstance(model, RealNeuron)
        heard = (1,) * self.firing + (0,) * self.listening
        if not model.fires:
            return replace(population, model=replace(model, input_gain=heard))
        fires = (0,) * self.listening + (1,) * self.firing
        neuron = replace(model, input_gain=heard, firing_gain=fires, comparison=self.levels)
        return replace(population, model=neuron)
