"""Leaky neurons that compete for images and learn them by spike-timing-dependent plasticity.

One step, for weights W, spikes s of the pixels and the neurons that fired in the step before::

    v <- v exp(-1 / leak_steps) + W s - inhibition for each other neuron that fired
    v >= threshold fires, and v <- 0;  then v <- max(v, floor)

While they learn, only the neuron that is furthest above its threshold fires. Its threshold rises,
so that all neurons take part (homeostasis). A pixel that fired shortly before it gains weight, one
that fires shortly after it loses some; after each image the weights of a neuron add up to the same.

References
----------
Diehl & Cook 2015, "Unsupervised learning of digit recognition using spike-timing-dependent
plasticity", doi 10.3389/fncom.2015.00099.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]
Learning = Literal["weights", "thresholds", "nothing"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Constants of neurons and of learning; a step is a millisecond.

    Parameters
    ----------
    timesteps : int
        Steps that an image is shown for.
    rate : float
        Chance of a pixel of full intensity to fire in a step (Poisson).
    leak_steps : float or None
        Time constant of the membrane. None: no leak.
    inhibition : float
        What a spike takes from every other neuron, one step later.
    floor : float or None
        Lowest membrane. None: there is none.
    threshold, threshold_step : float
        At the beginning, and how much a spike adds to it.
    trace_steps : float
        Time constant of what remains of a spike for learning.
    potentiation, depression : float
        Learning rates where the pixel fires before the neuron, and after it.
    mean_weight : float
        The weights of a neuron are scaled to this mean; while they grow, none exceeds 1.
    """

    timesteps: int = 250
    rate: float = 0.064
    leak_steps: float | None = 100.0
    inhibition: float = 120.0
    floor: float | None = -13.0
    threshold: float = 13.0
    threshold_step: float = 0.05
    trace_steps: float = 20.0
    potentiation: float = 0.01
    depression: float = 1e-4
    mean_weight: float = 0.1


@dataclass(slots=True, eq=False)
class Competitors:
    """Neurons that see all pixels and inhibit each other.

    Parameters
    ----------
    rule : Rule
    weight : float32 array ``[N, pixels]``
    threshold : float32 array ``[N]``
    """

    rule: Rule
    weight: Floats
    threshold: Floats
    _fading: Floats = field(init=False)

    def __post_init__(self) -> None:
        ages = np.arange(self.rule.timesteps)
        self._fading = np.exp(-ages / self.rule.trace_steps).astype(np.float32)

    @classmethod
    def drawn(cls, rule: Rule, neurons: int, pixels: int, rng: np.random.Generator) -> Competitors:
        """Neurons that have learned nothing yet."""
        weight = rng.random((neurons, pixels), dtype=np.float32)
        found = cls(rule, weight, np.full(neurons, rule.threshold, np.float32))
        found._normalize(range(neurons))
        return found

    def show(self, image: Floats, rng: np.random.Generator, learning: Learning) -> Integers:
        """Show an image ``[pixels]`` in [0, 1]; give the spikes of each neuron ``[N]``."""
        chances = image * np.float32(self.rule.rate)
        seen = np.flatnonzero(image)
        fired = np.zeros((self.rule.timesteps, image.size), np.bool_)
        fired[:, seen] = rng.random((len(fired), seen.size), dtype=np.float32) < chances[seen]
        return self.hear(fired, learning)

    def hear(self, fired: Bits, learning: Learning) -> Integers:
        """Receive a raster ``[T, pixels]``; give the spikes of each neuron ``[N]``.

        Thresholds rise while they learn, and while ``weights`` do.
        """
        rule, weight, threshold = self.rule, self.weight, self.threshold
        seen = np.flatnonzero(fired.any(axis=0))
        spikes = fired[:, seen].astype(np.float32)
        drive = spikes @ weight[:, seen].T
        leak = np.float32(1.0 if rule.leak_steps is None else np.exp(-1 / rule.leak_steps))
        membrane = np.zeros(len(weight), np.float32)
        winners = np.zeros(0, np.int64)
        when: dict[int, list[int]] = {}
        for t in range(len(spikes)):
            membrane *= leak
            membrane += drive[t]
            if winners.size:
                membrane -= rule.inhibition * winners.size
                membrane[winners] += rule.inhibition
            winners = np.flatnonzero(membrane >= threshold)
            if winners.size > 1 and learning != "nothing":
                winners = winners[[(membrane - threshold)[winners].argmax()]]
            for winner in winners:
                when.setdefault(int(winner), []).append(t)
            membrane[winners] = 0
            if learning != "nothing":
                threshold[winners] += rule.threshold_step
            if learning == "weights":
                for winner in winners:
                    weight[winner, seen] += rule.potentiation * self._remaining(spikes[: t + 1])
                    np.minimum(weight[winner], 1, out=weight[winner])
                    drive[t + 1 :, winner] = spikes[t + 1 :] @ weight[winner, seen]
            if rule.floor is not None:
                np.maximum(membrane, rule.floor, out=membrane)
        if learning == "weights":
            for neuron, steps in when.items():
                self._weaken(neuron, steps, seen, spikes)
            self._normalize(when)
        counts = np.zeros(len(weight), np.int64)
        for neuron, steps in when.items():
            counts[neuron] = len(steps)
        return counts

    def _remaining(self, spikes: Floats) -> Floats:
        """What remains of each pixel's last spike, ``[seen]``."""
        age = spikes[::-1].argmax(axis=0)
        return np.where(spikes.any(axis=0), self._fading[age], np.float32(0))

    def _weaken(self, neuron: int, steps: list[int], seen: Integers, spikes: Floats) -> None:
        """Take weight from pixels that fired after a neuron: once an image, since it is little."""
        remaining = np.zeros(len(spikes), np.float32)
        for first, following in zip(steps, [*steps[1:], len(spikes)], strict=True):
            remaining[first + 1 : following] = self._fading[1 : following - first]
        row = self.weight[neuron]
        row[seen] -= self.rule.depression * (remaining @ spikes)
        np.maximum(row, 0, out=row)

    def _normalize(self, neurons: Iterable[int]) -> None:
        for neuron in neurons:
            row = self.weight[neuron]
            row *= self.rule.mean_weight / row.mean()
