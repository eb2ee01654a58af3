"""Every state that one neuron can reach, found by trying every input in every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.reference import PopulationState
from neurodeploy.testing.parts import net, project, spikes


@dataclass(frozen=True)
class Reachable:
    """Least and most of v before the reset, u times the gain, m and spikes over the window."""

    v: tuple[int, int]
    u: tuple[int, int]
    emitted: int
    spikes: tuple[int, int]


def one_neuron(model: IntegerNeuron, low: int, high: int, timesteps: int) -> IntegerNetlist:
    """A neuron that receives every integer of [low, high] in every step."""
    x, h = spikes("x", (1,), low, high), Population("h", (1,), model)
    return net("one", [x, h], [project("x", "h", Dense(np.array([[1]]), (1,)))], ["h"], timesteps)


def reachable(model: IntegerNeuron, low: int, high: int, timesteps: int) -> Reachable:
    """Try every sequence of inputs; equal states are followed once."""
    states = np.array([[0, int(model.initial_membrane), 0]])
    inputs = np.arange(low, high + 1)
    population = Population("h", (1,), model)
    found: list[IntArray] = []
    for t in range(timesteps):
        step = _Step(population, np.repeat(states, inputs.size, axis=0), t)
        emitted = step.step(np.tile(inputs, len(states)).reshape(-1, 1))
        gain, _ = model.gains(t)
        seen = [step.before, step.u * gain, step.emitted, emitted]
        found.append(np.concatenate(seen, axis=1))
        # Only memory reads what was emitted.
        counted = step.emitted if model.memory else np.zeros_like(step.emitted)
        states = np.unique(np.concatenate([step.u, step.v, counted], axis=1), axis=0)
    least, most = np.concatenate(found).min(axis=0), np.concatenate(found).max(axis=0)
    v, u, m, s = zip(least.tolist(), most.tolist(), strict=True)
    return Reachable(v, u, m[1], s)


class _Step(PopulationState):
    """One step from given states ``[n, (u, v, m)]``."""

    def __init__(self, population: Population, states: IntArray, t: int) -> None:
        super().__init__(population, len(states), np.int64)
        self.u, self.v, self.emitted = (states[:, i : i + 1] for i in range(3))
        self.t = t

    def _fire(self, model: object, h: int, able: np.ndarray) -> np.ndarray:
        self.before = self.v
        return super()._fire(model, h, able)  # type: ignore[arg-type]
