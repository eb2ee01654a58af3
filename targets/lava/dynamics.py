"""Neurons of the own Lava models: contract arithmetic in int64, and the window of a population."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.ir.population import Population
from neurodeploy.targets.lava.kernels import window_maximum, window_winner

_UNITY_BITS = 12


@dataclass(frozen=True, slots=True)
class Timing:
    """When samples follow one another.

    Parameters
    ----------
    timesteps : int or None
        T, the length of a window; None: one window that never closes.
    interval : int
        Steps from the start of one sample to the start of the next, >= T.
    samples : int or None
        How many samples follow one another; None: no end.
    start_step : int
        Lava time step (the first is 1) of step 0 of the first sample.
    """

    timesteps: int | None
    interval: int
    samples: int | None = None
    start_step: int = 1

    def locate(self, time_step: int, depth: int) -> tuple[int, int] | None:
        """Sample and step within the window of a population of ``depth``; None if dormant."""
        since = time_step - self.start_step - depth
        if since < 0:
            return None
        if self.timesteps is None:
            return 0, since
        sample, t = divmod(since, self.interval)
        if t >= self.timesteps or (self.samples is not None and sample >= self.samples):
            return None
        return sample, t


class NeuronState:
    """Current and membrane of one population over several lanes.

    ``u <- trunc0(u (4096 - du) / 4096) + a``, ``v <- trunc0(v (4096 - dv) / 4096) + u + b``,
    then the spikes and the reset in the same step. ``emitted`` is the sum of payloads of the
    window, which a neuron with memory may take back. With gains, step t adds ``g[t] (a + b)`` and
    compares with ``h[t]`` thresholds, or the share of them that a comparison names. Resets one step
    later, saturation, refractory periods and floors follow :mod:`neurodeploy.ir.neurons`.
    """

    def __init__(self, population: Population, model: IntegerNeuron, lanes: int) -> None:
        self._shape = (lanes, *population.shape)
        self._keep_u, self._keep_v = (
            population.spread((1 << _UNITY_BITS) - np.asarray(decay))
            for decay in (model.current_decay, model.membrane_decay)
        )
        self._bias = population.spread(model.bias)
        self._v0 = population.spread(model.initial_membrane)
        self._theta = None if model.threshold is None else population.spread(model.threshold)
        negative = model.negative_threshold
        self._theta_neg = None if negative is None else population.spread(negative)
        self._payload_max = model.payload_max
        self._powers = model.payload_code == "power_of_two"
        self._memory = model.memory
        self._reset_mode = model.reset
        self._reset_value, self._floor = (
            None if value is None else population.spread(value)
            for value in (model.reset_value, model.floor)
        )
        self._saturation = None if model.saturation is None else int(model.saturation)
        self._refractory = model.refractory
        self._input_gain = model.input_gain
        self._firing_gain = model.firing_gain
        self._comparison = model.comparison
        self.restart()

    def restart(self) -> None:
        """Open a window: u = 0, v = v0."""
        self.u = np.zeros(self._shape, dtype=np.int64)
        self.v = np.broadcast_to(self._v0, self._shape).astype(np.int64)
        self.emitted = np.zeros(self._shape if self._memory else (), dtype=np.int64)
        self._t = 0
        self._charge: AnyArray = np.zeros((), dtype=np.int64)
        self._countdown: AnyArray = np.zeros(
            self._shape if self._refractory else (), dtype=np.int64
        )

    def step(self, a: IntArray) -> IntArray:
        """Integrate ``a`` and return the signed payloads, both ``[lanes, *shape]``."""
        g = self._input_gain[self._t] if self._input_gain else 1
        h = self._firing_gain[self._t] if self._firing_gain else 1
        share = self._comparison[self._t] if self._comparison else 1 << _UNITY_BITS
        self._t += 1
        self.u = _kept(self.u, self._keep_u) + a
        held, able = self.v, self._countdown == 0
        self.v = _kept(self.v, self._keep_v) + (self.u + self._bias) * g - self._charge
        if self._saturation is not None:
            np.clip(self.v, -self._saturation, self._saturation, out=self.v)
        spikes = np.zeros(self._shape, dtype=np.int64)
        if self._theta is not None and h != 0:
            spikes = self._fire(self._theta * h, h, able, share)
        if self._floor is not None:
            np.maximum(self.v, self._floor, out=self.v)
        if self._refractory:
            self.v = np.where(able, self.v, held)
            waits = np.where(spikes != 0, self._refractory, 0)
            self._countdown = np.where(able, waits, self._countdown - 1)
        return spikes

    def _fire(self, theta: IntArray, h: int, able: AnyArray, share: int) -> IntArray:
        """Spikes of those that are not refractory, and their reset."""
        positive = self._count(self.v, theta, _level(theta, share)) * able
        charge = positive * theta
        spikes = positive
        if self._theta_neg is not None:
            theta_neg = self._theta_neg * h
            level = _level(theta_neg, share)
            if self._memory:
                spikes = positive - self._taken_back(theta, level, self.emitted // h)
                charge = spikes * theta
                self.emitted = self.emitted + spikes * h
            else:
                negative = self._count(-self.v, theta_neg, level) * able
                charge = charge - negative * theta_neg
                spikes = positive - negative
        if self._reset_mode == "subtract":
            self.v = self.v - charge
        elif self._reset_mode == "subtract-next":
            self._charge = charge
        elif self._reset_mode == "zero":
            self.v[spikes != 0] = 0
        elif self._reset_value is not None:
            self.v = np.where(spikes != 0, self._reset_value, self.v)
        return spikes

    def _count(self, v: IntArray, theta: IntArray, level: IntArray) -> IntArray:
        reached = v >= level
        if self._payload_max == 1:
            return reached.astype(np.int64)
        return self._coded(np.where(reached, np.minimum(v // theta, self._payload_max), 0))

    def _taken_back(self, theta: IntArray, level: IntArray, emitted: IntArray) -> IntArray:
        owed = np.minimum(-(self.v // theta), self._payload_max)
        owed = np.where(self.v <= -level, np.minimum(owed, emitted), 0)
        coded = self._coded(owed)
        return np.where(coded > emitted, coded >> 1, coded)

    def _coded(self, k: IntArray) -> IntArray:
        """The magnitude nearest to ``k`` >= 0 that a spike can carry."""
        if not self._powers:
            return k
        power = np.ones_like(k)
        for exponent in range(1, self._payload_max.bit_length()):
            # 2^e is nearest from three quarters of it on.
            power = np.where(4 * k >= 3 << exponent, 1 << exponent, power)
        return np.where(k > 0, power, 0)


def _level(theta: IntArray, share: int) -> IntArray:
    """A share of a threshold in 1/4096, rounded up: what the membrane is compared with."""
    return (theta * share + (1 << _UNITY_BITS) - 1) >> _UNITY_BITS


def _kept(x: IntArray, keep: IntArray) -> IntArray:
    if (keep == 1 << _UNITY_BITS).all():
        return x
    scaled = x * keep
    # An arithmetic shift rounds down; adding 2^12 - 1 to negative products rounds toward zero.
    up = np.where(scaled < 0, (1 << _UNITY_BITS) - 1, 0)
    kept: IntArray = np.right_shift(scaled + up, _UNITY_BITS)
    return kept


class PoolState:
    """Maximum of the input accumulated so far; emits its change, or the input of the winner."""

    def __init__(self, population: Population, model: MaxPool, lanes: int) -> None:
        self._window = model.window
        self._rule = model.rule
        self._signed = model.signed
        self._gains = model.input_gain
        self._input_shape = (lanes, *model.input_shape)
        self._shape = (lanes, *population.shape)
        self.restart()

    def restart(self) -> None:
        """Open a window: nothing accumulated, maximum 0."""
        self._accumulated = np.zeros(self._input_shape, dtype=np.int64)
        self._t = 0
        self.v = np.zeros(self._shape, dtype=np.int64)

    def step(self, a: IntArray) -> IntArray:
        """Accumulate ``a`` ``[lanes, *input_shape]`` and return what is emitted."""
        if self._rule == "now":
            self.v = window_maximum(a, self._window, self._signed)
            return self.v
        gain = self._gains[self._t] if self._gains else 1
        self._t += 1
        self._accumulated += a * gain
        before = self.v
        self.v = window_maximum(self._accumulated, self._window, self._signed)
        if self._rule == "winner":
            return window_winner(self._accumulated, a, self._window, self._signed)
        # Every gain divides those before it, and so what they add up to.
        return (self.v - before) // gain if gain else np.zeros_like(self.v)


def state_of(population: Population, lanes: int) -> NeuronState | PoolState:
    """The state of a population that is not an input."""
    if isinstance(population.model, IntegerNeuron):
        return NeuronState(population, population.model, lanes)
    assert isinstance(population.model, MaxPool)
    return PoolState(population, population.model, lanes)


def n_lava_steps(rounds: int, timesteps: int, max_depth: int) -> int:
    """Lava steps of ``rounds`` samples back to back."""
    return rounds * timesteps + max_depth


def lanes_for(batch: int, largest_population: int) -> int:
    """Samples side by side: as many as keep one spike array below 2^20 elements."""
    fitting = max(1, 2**20 // max(1, largest_population))
    rounds = math.ceil(batch / min(batch, fitting)) if batch else 1
    return max(1, math.ceil(batch / rounds))
