"""The common part of codes that listen before they fire: a spike is worth what its step says.

A neuron listens for L steps, and fires in the next F, of which each has a worth h. What it hears is
worth the same, as the one before it fires while it listens::

    step t of F + L:   v <- v + g[t] a[t]       g = h[0] .. h[F - 1], then 0
                       s compared and taken off at h[t - L] theta, from step L on

with v0 = bias + theta / 2, so that a neuron which has heard everything before it fires rounds its
sum to the nearest of the values that the worths add up to. Windows open L + 1 steps after those of
the layer before. The image comes once: what hears nothing else takes it with gain 1, so that its
weights keep their bits. A pool emits the digits of its maximum as they come
(:class:`neurodeploy.ir.neurons.MaxPool`).

Worths are the powers of two or, with ``digit_worths`` "repeated", 1, 2, 2, 4, 4, 8, 8, ... from the
last step back: what came too late for one step may still be sent in the next, and as many steps
tell far fewer values apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from neurodeploy.conversion.calibration.thresholds import Activations, Calibration
from neurodeploy.conversion.lowering.activation_graph import ActivationGraph, Layer, ReluLayer
from neurodeploy.conversion.methods.sum_coding import SumCoding, added
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population, RealNetlist
from neurodeploy.ir.neurons import MAX_GAIN, Input, MaxPool, RealNeuron

DigitWorths = Literal["binary", "repeated"]


def check_listening(silent: int, timesteps: int) -> None:
    """Refuse steps of listening that leave none to fire, whichever of both numbers was given.

    Raises
    ------
    UsageError
    """
    if timesteps < 2:
        raise UsageError(
            f"timesteps {timesteps}: it listens before it fires; use 2 --timesteps or more"
        )
    if not 1 <= silent < timesteps:
        raise UsageError(
            f"listening {silent}: expected 1 to T - 1 = {timesteps - 1} steps at timesteps "
            f"{timesteps}; use more --timesteps, or name --listening"
        )


@dataclass(frozen=True, slots=True)
class Listening(SumCoding):
    """Options of every code that listens first, beside those of layer-by-layer methods.

    Parameters
    ----------
    digit_worths : {"binary", "repeated"}
        Worths of the steps in which it fires: powers of two, or the same ones twice.
    """

    digit_worths: DigitWorths = "binary"

    def __post_init__(self) -> None:
        SumCoding.__post_init__(self)
        if self.digit_worths not in get_args(DigitWorths):
            raise UsageError(f"digit worths {self.digit_worths!r}: expected binary or repeated")
        check_listening(self.silent, self.timesteps)
        if self.gains[0] > MAX_GAIN:
            raise UsageError(
                f"timesteps {self.timesteps}: the first spike would be worth {self.gains[0]} of "
                f"the last ones, at most {MAX_GAIN} are possible; use fewer"
            )

    @property
    def silent(self) -> int:
        """Steps in which a neuron listens before it fires, L."""
        raise NotImplementedError

    @property
    def gains(self) -> tuple[int, ...]:
        """Worths of the steps in which it fires, h, in the last one's: none larger than before."""
        steps = reversed(range(self.timesteps - self.silent))
        if self.digit_worths == "binary":
            return tuple(1 << t for t in steps)
        return tuple(1 << ((t + 1) // 2) for t in steps)

    @property
    def shares(self) -> tuple[int, ...]:
        """Shares of the threshold that the membrane is compared with in these steps, in 1/4096.

        Empty: the threshold.
        """
        return ()

    def thresholds(self, layer: ReluLayer, activations: Activations) -> FloatArray:
        """Values of the first spike of each channel: all of them add up to its range."""
        levels = sum(self.gains)
        return self.ranges(layer, activations, levels) / levels * self.gains[0]

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist: that of the layers, and the steps of each of them.

        Raises
        ------
        ConversionError
            If calibration leaves a layer without a threshold.
        """
        netlist = SumCoding.__call__(self, graph, calibration, encodings)
        populations = []
        # What comes once, in the first step: images, and their maxima.
        once: set[str] = set()
        for layer, population in zip(graph.layers, netlist.populations, strict=True):
            heard = {q.pre for q in netlist.incoming[population.name]}
            image_alone = heard <= once
            if image_alone and isinstance(population.model, Input | MaxPool):
                once.add(population.name)
            else:
                population = self._timed(population, layer, image_alone)
            populations.append(population)
        return replace(netlist, populations=tuple(populations))

    def _timed(self, population: Population, layer: Layer, image_alone: bool) -> Population:
        """A population with the gains of its steps."""
        model = population.model
        later = (0,) * self.silent
        if isinstance(model, MaxPool):
            return replace(population, model=replace(model, input_gain=self.gains + later))
        assert isinstance(model, RealNeuron)
        first = 1 if image_alone else self.gains[0]
        heard = (1,) + (0,) * (self.timesteps - 1) if image_alone else self.gains + later
        # The membrane holds the value `first` times, in which the last spike is worth one h[0]th of
        # the first.
        last = first / self.gains[0]
        bias = model.bias * first
        if model.threshold is None:
            neuron = replace(model, bias=np.zeros(()), initial_membrane=bias, input_gain=heard)
            return replace(population, model=neuron)
        share = self.initial_membrane
        if isinstance(layer, ReluLayer) and layer.levels == sum(self.gains):
            share = layer.shift
        scaled = model.threshold * last
        negative = model.negative_threshold
        neuron = replace(
            model,
            threshold=scaled,
            negative_threshold=None if negative is None else negative * last,
            bias=np.zeros(()),
            initial_membrane=added(bias, scaled * share, population),
            input_gain=heard,
            firing_gain=later + self.gains,
            # Where nothing fires nothing is compared.
            comparison=(DECAY_ONE,) * self.silent + self.shares if self.shares else (),
        )
        return replace(population, model=neuron)
