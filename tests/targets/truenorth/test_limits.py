"""Limits of a core: what is at one is taken, and what is one beyond it is told with its number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import BoardError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.targets.truenorth.checks import (
    bound_violations,
    floor_violations,
    model_violations,
    wide_fan_in,
)
from neurodeploy.targets.truenorth.limits import CrossbarLimits
from neurodeploy.targets.truenorth.split.ramps import RampShape, ramp_shapes
from tests.targets.truenorth.crossbar_nets import (
    LIMITS,
    chain,
    dense,
    netlist,
    neurons,
    project,
    spike_input,
)

Numbers = tuple[Any, Any]


def told(fields: dict[str, Any], limits: CrossbarLimits = LIMITS) -> list[Numbers]:
    found = model_violations(chain([[1]], **fields), limits)
    return [(v.used, v.limit) for v in found if v.where == "a"]


@pytest.mark.parametrize(
    ("legal", "beyond", "numbers"),
    [
        ({"threshold": 262143}, {"threshold": 262144}, (262144, "3..262143")),
        ({"threshold": 3}, {"threshold": 2}, (2, "3..262143")),
        ({"payload_max": 1}, {"payload_max": 2}, (2, 1)),
        ({"floor": 0}, {"floor": 1, "initial_membrane": 1}, (1, 0)),
        ({"current_decay": 4096}, {"current_decay": 4095}, (4095, 4096)),
        ({"membrane_decay": 0}, {"membrane_decay": 1}, (1, 0)),
        ({"reset": "zero"}, {"reset": "none"}, ("none", "subtract or zero")),
        ({}, {"negative_threshold": 1}, (None, None)),
        ({}, {"refractory": 1}, (None, None)),
        ({}, {"firing_gain": (1,) * 8}, (None, None)),
    ],
)
def test_neurons_at_the_limits_of_a_core(
    legal: dict[str, Any], beyond: dict[str, Any], numbers: Numbers
) -> None:
    narrow = replace(LIMITS, threshold_min=3)
    assert told({"threshold": 9} | legal, narrow) == []
    assert told({"threshold": 9, "timesteps": 8} | beyond, narrow) == [numbers]


def test_membranes_at_both_ends() -> None:
    """Four steps of a weight of 5, threshold beyond reach; and of one of -5."""
    for sign in (1, -1):
        net = chain([[5 * sign]], threshold=1000, timesteps=4)
        ends = prove_bounds(net)["a"]
        low, high = int(ends.v_low.min()), int(ends.v_high.max())
        assert (low, high) == ((0, 20) if sign > 0 else (-20, 0))
        exact = replace(LIMITS, membrane_floor=low, membrane_max=high)
        assert "a" not in [v.where for v in bound_violations(net, exact)]
        for name, by, used in (("membrane_floor", 1, low), ("membrane_max", -1, high)):
            narrow = replace(exact, **{name: getattr(exact, name) + by})
            (violation,) = (v for v in bound_violations(net, narrow) if v.where == "a")
            assert violation.used == used
            assert violation.limit == f"{narrow.membrane_floor}..{narrow.membrane_max}"


def test_the_state_bits_that_fit_are_told() -> None:
    net = chain([[5]], threshold=1000, timesteps=4)
    (violation,) = bound_violations(net, replace(LIMITS, membrane_floor=-7, membrane_max=8))
    assert "--state-bits 4," in violation.remedy


def test_only_floors_are_in_the_way_of_several_ticks() -> None:
    assert not floor_violations(chain([[1]]))
    assert [v.where for v in floor_violations(chain([[1]], floor=0))] == ["a"]


def fan_in(n: int, levels: list[int], axons: int) -> Any:
    weight = np.resize(levels, (1, n))
    net = netlist(
        [spike_input("in", n), neurons("a", 1, threshold=50)], [project("in", "a", dense(weight))]
    )
    return wide_fan_in(net, "a", replace(LIMITS, axons=axons))


def test_a_fan_in_of_as_many_axons_fits() -> None:
    assert fan_in(20, [1], 20) is None
    found = fan_in(21, [1], 20)
    assert (found.used, found.limit) == (21, 20)
    assert "a fan-in of at most 20 fits" in found.remedy
    copied = fan_in(21, [1, 2, 3], 20)
    assert (copied.used, copied.limit) == (42, 20)
    assert "a fan-in of at most 10 fits" in copied.remedy
    assert "levels 1..3" in str(copied)


def test_boards_that_are_no_crossbar_are_refused() -> None:
    board = load_board("truenorth")
    limits = dict(board.limits)
    limits["destinations"] = replace(limits["destinations"], value=0)
    with pytest.raises(BoardError, match=r"limits\.destinations 0; a neuron needs 1"):
        CrossbarLimits.from_board(replace(board, limits=limits))
    assert LIMITS.membrane_max == 2**19 - 1
    assert LIMITS.turnable_weight == 255
    assert replace(LIMITS, weight_min=-9).turnable_weight == 9
    assert replace(LIMITS, weight_max=9).turnable_weight == 9


def test_the_sizes_of_a_ramp() -> None:
    shape = RampShape(axons=4, ticks=5, repayers=3)
    assert (shape.lifts, shape.repaid) == (20, (7, 7, 6))
    assert RampShape(2, 3, 1).repaid == (6,)
    # Up and down after the burst, or the longest repayment.
    assert shape.period(burst=6) == 16
    assert shape.period(burst=1) == 12
    assert RampShape(8, 5, 1).period(burst=1) == 45
    assert shape.delay(burst=6) == 11


@pytest.mark.parametrize(
    ("need", "burst", "sizes"),
    [
        (1, 9, [(2, 2, 1), (4, 1, 1), (8, 1, 1), (16, 1, 2)]),
        (1000, 9, [(2, 6, 1), (4, 2, 1), (8, 1, 1), (16, 1, 2)]),
        (5000, 9, [(4, 25, 3), (8, 5, 3), (16, 2, 3)]),
        (20000, 30, [(8, 18, 3), (16, 8, 4)]),
        # As many repay neurons as axons: nothing is left of a lift.
        (1000, 1, []),
    ],
)
def test_ramps_lift_by_what_is_needed(
    need: int, burst: int, sizes: list[tuple[int, int, int]]
) -> None:
    found = ramp_shapes(need, burst, LIMITS)
    assert [(s.axons, s.ticks, s.repayers) for s in found] == sizes
    for shape in found:
        assert shape.repayers < shape.axons
        assert max(shape.repaid) <= LIMITS.weight_max
        # Beside what repaying takes of them, lifts of the largest number reach as far.
        least = LIMITS.turnable_weight - shape.ticks - 1
        assert least * (shape.lifts - shape.repayers * (shape.ticks + 1)) >= need
