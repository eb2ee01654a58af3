"""How many steps settle the bounds of a stream, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.steady import MOST_STEPS, _needed, expect_streamable, steady_bounds
from neurodeploy.testing.parts import net, neuron, pool, project, spikes, window


def hears(weight: int, theta: Any = 5, high: int = 1, **fields: Any) -> IntegerNetlist:
    cells = [spikes("x", (1,), 0, high), neuron("h", (1,), theta, **fields)]
    return net("n", cells, [project("x", "h", Dense(np.array([[weight]]), (1,)))], ["h"], 4)


@pytest.mark.parametrize(
    ("netlist", "steps"),
    [
        # 64 steps, 20 time constants of one step, and the threshold in steps of what arrives.
        (hears(1, theta=5), 64 + 20 + 5),
        (hears(3, theta=60), 64 + 20 + 20),
        (hears(1, theta=60, high=4), 64 + 20 + 15),
        (hears(1, theta=60, bias=2), 64 + 20 + 20),
        (hears(1, theta=60, initial_membrane=-40), 64 + 20 + 100),
        # Nothing drives it to its threshold.
        (hears(-1, theta=60), 64 + 20),
        (hears(-2, theta=60, floor=-90), 64 + 20 + 45),
        (hears(-2, theta=60, floor=-90, bias=-1), 64 + 20 + 30),
        # With a leak, 20 of its time constants.
        (hears(1, theta=60, membrane_decay=2048), 64 + 40),
        (hears(1, theta=60, membrane_decay=2048, current_decay=1024), 64 + 80),
        (hears(1, theta=60, current_decay=2048), 64 + 40 + 60),
        (hears(1, theta=2**30, membrane_decay=1), MOST_STEPS),
        (hears(1, theta=2**30), MOST_STEPS),
    ],
)
def test_steps_after_which_bounds_have_settled(netlist: IntegerNetlist, steps: int) -> None:
    assert _needed(netlist, netlist.by_name["h"]) == steps
    assert _needed(netlist, netlist.by_name["x"]) == 2


@pytest.mark.parametrize("theta", [1, 500])
def test_single_steps_up_and_down_settle(theta: int) -> None:
    assert steady_bounds(hears(1, theta=theta))["h"].settled
    assert steady_bounds(hears(-1, theta=theta, floor=-500))["h"].settled


@pytest.mark.parametrize("weight", [-1, -7, -100])
def test_the_steps_that_fit_are_told(weight: int) -> None:
    with pytest.raises(CapacityError) as caught:
        steady_bounds(hears(weight))
    fits = (2**23 - 1) // -weight
    assert f"the bound of h grows with T (no leak, or no floor); up to T = {fits} it fits" in str(
        caught.value
    )


def test_pools_of_what_arrives_now_are_steady() -> None:
    for rule, steady in (("now", True), ("maximum", False), ("winner", False)):
        cells = [spikes("x", (1, 2)), pool("p", 1, window((2,), 2), rule)]
        pooled = net("n", cells, [project("x", "p", identity((1, 2)))], [], 4)
        if steady:
            expect_streamable(pooled)
        else:
            with pytest.raises(CapacityError, match="p accumulates its input over the sample"):
                expect_streamable(pooled)
