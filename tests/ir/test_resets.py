"""What a spike can leave: intervals beside every membrane in them, stepped by the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.fixed_point import trunc0_decay
from neurodeploy.ir.population import Population
from neurodeploy.ir.reference import PopulationState
from neurodeploy.ir.resets import (
    _owed,
    _remainder,
    after_comparison,
    after_reset,
    most_emitted,
    reset_later,
)
from neurodeploy.testing.parts import neuron

CODES: list[dict[str, Any]] = [
    *({"payload_max": most} for most in (1, 2, 3, 5)),
    *({"payload_max": most, "payload_code": "power_of_two"} for most in (1, 2, 4, 8)),
]


def stepped(membranes: IntArray, theta: int, **fields: Any) -> tuple[IntArray, IntArray]:
    """What membranes become in a step without input, and what they emit."""
    cells = neuron("h", membranes.shape, theta, initial_membrane=membranes, **fields)
    state = PopulationState(cells, 1, np.int64)
    emitted = state.step(np.zeros((1, *membranes.shape), np.int64))
    return state.v[0], emitted[0]


def one(theta: int, **fields: Any) -> tuple[Population, Any]:
    cell = neuron("h", (1,), theta, **fields)
    return cell, cell.model


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("theta", [1, 2, 5])
def test_the_most_that_a_soft_reset_leaves_and_owes(theta: int, code: dict[str, Any]) -> None:
    _, model = one(theta, **code)
    fires = np.arange(theta, 14 * theta)
    left, _ = stepped(fires, theta, **code)
    most, least = np.maximum.accumulate(left), np.minimum.accumulate(left)
    found = _remainder(fires, np.int64(theta), model)
    assert (found >= most).all()
    # Of powers of two, half of a power is left the most before the next one is taken.
    powers = code.get("payload_code") == "power_of_two"
    last = code["payload_max"]
    ends = fires + 1 >= (2 * last if powers else 1) * theta
    for power in 2 ** np.arange(1, last.bit_length()):
        ends |= 2 * (fires + 1) == 3 * power * theta
    np.testing.assert_array_equal(found[ends], np.maximum(most, theta - 1)[ends])
    owed = _owed(fires, np.int64(theta), model)
    np.testing.assert_array_equal(owed, np.maximum(-least, 0))


SIGNS: list[dict[str, Any]] = [{}, {"negative_threshold": 3}, {"negative_threshold": 7}]
RESETS: list[dict[str, Any]] = [
    *({"reset": "subtract", **code} for code in CODES),
    {"reset": "zero"},
    {"reset": "none"},
    *({"reset": "value", "reset_value": value} for value in (-2, 0, 3)),
]
LOWS, HIGHS = (-30, -22, -9, -7, -6, -3, -2, 0), (0, 2, 3, 4, 7, 11, 12, 40)


@pytest.mark.parametrize("sign", SIGNS, ids=str)
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_intervals_hold_what_every_membrane_becomes(
    reset: dict[str, Any], sign: dict[str, Any]
) -> None:
    theta, fields = 4, {**reset, **sign}
    cell, model = one(theta, **fields)
    powers = model.payload_code == "power_of_two"
    for low in LOWS:
        for high in HIGHS:
            every = np.arange(low, high + 1)
            left, emitted = stepped(every, theta, **fields)
            bottom, top = after_reset(cell, model, np.array([low]), np.array([high]), 0)
            assert bottom[0] <= left.min()
            assert left.max() <= top[0]
            if not powers:
                assert (bottom[0], top[0]) == (left.min(), left.max())
            most = most_emitted(cell, model, np.array([high]), 0)
            assert emitted.max() <= most <= (2 if powers else 1) * max(emitted.max(), 0)


@pytest.mark.parametrize("sign", SIGNS, ids=str)
@pytest.mark.parametrize("share", [1, 2048, 2049, 4095, 6144, 3 * 4096])
@pytest.mark.parametrize("gain", [1, 3])
def test_comparisons_with_a_share_hold_it_too(share: int, gain: int, sign: dict[str, Any]) -> None:
    theta = 4
    fields = {"firing_gain": (gain,), "comparison": (share,), **sign}
    cell, model = one(theta, **fields)
    for low in LOWS:
        for high in HIGHS:
            left, emitted = stepped(np.arange(low, high + 1), theta, **fields)
            bottom, top = after_comparison(cell, model, np.array([low]), np.array([high]), 0)
            assert (bottom[0], top[0]) == (left.min(), left.max())
            assert most_emitted(cell, model, np.array([high]), 0) == max(emitted.max(), 0)


@pytest.mark.parametrize("sign", SIGNS, ids=str)
@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("decay", [0, 700, 4096])
def test_a_reset_one_step_later_holds_it_too(
    decay: int, code: dict[str, Any], sign: dict[str, Any]
) -> None:
    theta, fields = 4, {**code, **sign}
    cell, model = one(theta, reset="subtract-next", membrane_decay=decay, **fields)
    for low in LOWS:
        for high in HIGHS:
            every = np.arange(low, high + 1)
            soft, _ = stepped(every, theta, **fields)
            # What a soft reset takes, taken after the leak.
            left = trunc0_decay(every, np.int64(decay)) - (every - soft)
            ends = (np.array([low]), np.array([high]))
            bottom, top = reset_later(cell, model, *ends, ends[0], np.array([decay]))
            assert bottom[0] <= left.min()
            assert left.max() <= top[0]
            if not (decay or sign or "payload_code" in code):
                assert (bottom[0], top[0]) == (left.min(), left.max())


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("floor", [-6, -2, 0])
def test_a_membrane_that_was_raised_to_its_floor_is_reset_from_there(
    floor: int, code: dict[str, Any]
) -> None:
    theta, fields = 4, {**code, "negative_threshold": 7}
    cell, model = one(theta, reset="subtract-next", floor=floor, **fields)
    none = np.array([0])
    for low in LOWS:
        for high in HIGHS:
            every = np.arange(low, high + 1)
            soft, _ = stepped(every, theta, **fields)
            left = np.maximum(every, floor) - (every - soft)
            raised = np.array([max(low, floor)]), np.array([max(high, floor)])
            bottom, top = reset_later(cell, model, *raised, np.array([low]), none)
            assert bottom[0] <= left.min()
            assert left.max() <= top[0]
