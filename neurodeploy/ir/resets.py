"""Where a reset can lead from an interval of membranes: the proof of one spike.

A soft reset takes as many thresholds as the spike carries, rounded to what a payload can be; a hard
one leads to a value. ``low`` and ``high`` are int64 arrays of a population's shape.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.fixed_point import trunc0_decay
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import IntegerNeuron


def reset_later(
    population: Population,
    model: IntegerNeuron,
    low: IntArray,
    high: IntArray,
    below: IntArray,
    decay: IntArray,
) -> tuple[IntArray, IntArray]:
    """Interval of ``trunc0(v * (4096 - dv) / 4096) - theta s`` for the last step's v and s.

    ``below``: the lowest v before a floor raised it, which the spike was made of.
    """
    if model.threshold is None:
        return trunc0_decay(low, decay), trunc0_decay(high, decay)
    theta = population.spread(model.threshold)
    least, most = np.minimum(low, theta - 1), np.minimum(high, theta - 1)
    theta_neg = None
    if model.negative_threshold is not None:
        theta_neg = population.spread(model.negative_threshold)
        least, most = np.maximum(least, 1 - theta_neg), np.maximum(most, 1 - theta_neg)
    bottom, top = trunc0_decay(least, decay), trunc0_decay(most, decay)
    down, up = _left_later(high, theta, model, decay)
    fires = high >= theta
    bottom = np.where(fires, np.minimum(bottom, down), bottom)
    top = np.where(fires, np.maximum(top, up), top)
    if theta_neg is not None:
        down, up = _left_later(-below, theta_neg, model, decay)
        if model.floor is not None:
            # Raised to the floor, and then by as many thresholds as it was below.
            floor = population.spread(model.floor)
            most = np.maximum(-below, theta_neg) // theta_neg
            scale = 2 if model.payload_code == "power_of_two" else 1
            most = np.minimum(scale * most, model.payload_max) * theta_neg
            down = np.minimum(down, -(trunc0_decay(floor, decay) + most))
        fires = below <= -theta_neg
        bottom = np.where(fires, np.minimum(bottom, -up), bottom)
        top = np.where(fires, np.maximum(top, -down), top)
    return bottom, top


def _left_later(
    v: IntArray, theta: IntArray, model: IntegerNeuron, decay: IntArray
) -> tuple[IntArray, IntArray]:
    """Interval of what a later reset leaves of any membrane up to ``v`` that fires.

    The leak only lowers what is left. The more thresholds are taken, the more of them the leak had
    taken before: the lowest is that of the largest spike, at the least membrane that emits it.
    """
    k = np.minimum(np.maximum(v, theta) // theta, model.payload_max)
    largest, smallest = k, k * theta
    if model.payload_code == "power_of_two":
        # From three quarters of it on, a power of two is the nearest.
        largest = np.minimum(2 * k, model.payload_max)
        smallest = 3 * largest * theta // 4
    lowest = trunc0_decay(smallest, decay) - largest * theta
    fired = np.maximum(v, theta)
    return lowest, _remainder(fired, theta, model, trunc0_decay(fired, decay))


def most_emitted(population: Population, model: IntegerNeuron, high: IntArray, t: int) -> int:
    """Largest payload of any v up to ``high`` in step ``t``."""
    assert model.threshold is not None
    theta = population.spread(model.threshold) * model.gains(t)[1]
    if model.comparison:
        return int((high >= model.level(theta, t)).any())
    k = np.minimum(np.maximum(high, 0) // theta, model.payload_max)
    # A power of two may be the next one.
    most = k if model.payload_code == "integer" else np.minimum(2 * k, model.payload_max)
    return int(most.max())


def after_comparison(
    population: Population, model: IntegerNeuron, low: IntArray, high: IntArray, t: int
) -> tuple[IntArray, IntArray]:
    """Interval after the reset of any v in [low, high] that is compared with a share of theta."""
    assert model.threshold is not None
    theta = population.spread(model.threshold) * model.gains(t)[1]
    level = model.level(theta, t)
    fires = high >= level
    top = np.where(fires, np.maximum(np.minimum(high, level - 1), high - theta), high)
    down = np.where(fires, np.minimum(low, np.maximum(low, level) - theta), low)
    if model.negative_threshold is None:
        return down, top
    back = population.spread(model.negative_threshold) * model.gains(t)[1]
    level_back = model.level(back, t)
    given = theta if model.memory else back
    takes = low <= -level_back
    top = np.where(takes, np.maximum(top, np.minimum(high, -level_back) + given), top)
    if model.memory:
        # With nothing to take back it stays.
        return down, top
    left = np.minimum(np.maximum(low, 1 - level_back), low + given)
    fired = np.where(fires, np.maximum(low, level) - theta, left)
    return np.where(takes, np.minimum(left, fired), down), top


def after_reset(
    population: Population, model: IntegerNeuron, low: IntArray, high: IntArray, t: int
) -> tuple[IntArray, IntArray]:
    """Interval after the reset of any v in [low, high] in step ``t``."""
    if model.threshold is None or model.reset == "none":
        return low, high
    gain = model.gains(t)[1]
    theta = population.spread(model.threshold) * gain
    fires = high >= theta
    owed = _owed(high, theta, model)
    if model.reset in ("zero", "value"):
        to = np.zeros((), dtype=np.int64) if model.reset_value is None else model.reset_value
        to = population.spread(to)
        top = np.where(fires, np.maximum(np.minimum(high, theta - 1), to), high)
        bottom = np.where(fires, np.minimum(low, to), low)
        if model.negative_threshold is not None:
            theta_neg = population.spread(model.negative_threshold)
            back = low <= -theta_neg
            # What does not fire stays above -theta_neg; what the other side fired ends at ``to``.
            bottom = np.where(back, np.minimum(np.maximum(low, 1 - theta_neg), to), bottom)
            top = np.where(back, np.maximum(top, to), top)
        return bottom, top
    top = np.where(fires, _remainder(high, theta, model), high)
    # Soft reset leaves at least -owed, so a lower bound below that stands.
    bottom = np.where(fires, np.minimum(low, -owed), low)
    if model.negative_threshold is not None:
        theta_neg = population.spread(model.negative_threshold) * gain
        back = low <= -theta_neg
        if model.memory:
            # With nothing to take back the membrane stays; with enough it ends below theta, of
            # powers of two that much above. Here the number of thresholds is rounded up.
            over = theta - 1 + _owed(theta - 1 - low, theta, model)
            top = np.where(back, np.maximum(top, over), top)
        else:
            rest = -_remainder(-low, theta_neg, model)
            bottom = np.where(back, np.minimum(rest, np.where(fires, -owed, rest)), bottom)
            top = np.where(back, np.maximum(top, _owed(-low, theta_neg, model)), top)
    return bottom, top


def _remainder(
    v: IntArray, theta: IntArray, model: IntegerNeuron, leaked: IntArray | None = None
) -> IntArray:
    """The most that a soft reset can leave of any membrane up to ``v`` >= theta.

    ``leaked``: what the leak leaves of ``v``, where it comes before the reset.
    """
    k = np.minimum(v // theta, model.payload_max)
    left = theta - 1
    if model.payload_code == "power_of_two":
        # Below 3p / 2 thresholds only p are taken.
        left = np.maximum(left, (_power(k) // 2) * theta - 1)
    unbounded = np.maximum((v if leaked is None else leaked) - k * theta, left)
    return np.where(k < model.payload_max, left, unbounded)


def _power(k: IntArray) -> IntArray:
    """The largest power of two up to ``k``, at least 1."""
    exponent = np.frexp(np.maximum(k, 1).astype(np.float64))[1] - 1
    return np.asarray(np.left_shift(np.int64(1), exponent.astype(np.int64)))


def _owed(v: IntArray, theta: IntArray, model: IntegerNeuron) -> IntArray:
    """The most that a spike of any membrane up to ``v`` exceeds it: of powers of two only."""
    if model.payload_code == "integer" or model.reset != "subtract":
        return np.zeros_like(v)
    # From 3p / 2 thresholds on, 2p are taken; up to there only the power below was exceeded.
    k = np.minimum(np.maximum(v, 0) // theta, model.payload_max)
    power = _power(k)
    return np.asarray(np.where(2 * k >= 3 * power, power // 2, power // 4) * theta)
