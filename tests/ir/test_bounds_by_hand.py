"""Bounds of one neuron, step by step, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import (
    PROVABLE,
    STATE_LIMIT,
    check_bounds,
    projection_interval,
    prove_bounds,
    require_proved,
    spike_range,
)
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.testing.parts import integrator, net, neuron, pool, project, spikes, window


def proved(
    cell: Any, weights: tuple[int, ...] = (), low: int = 0, high: int = 1, T: int = 4
) -> Any:
    """Of a neuron behind an input of each weight."""
    links = []
    if weights:
        links.append(project("x", "h", Dense(np.array([weights]), (len(weights),)), bits=16))
    cells = [spikes("x", (max(len(weights), 1),), low, high), cell]
    return prove_bounds(net("n", cells, links, [], T))["h"]


def ends(bounds: Any) -> dict[str, tuple[int, int]]:
    return {
        name: (
            int(getattr(bounds, f"{name}_low").min()),
            int(getattr(bounds, f"{name}_high").max()),
        )
        for name in ("a", "u", "v")
    }


@pytest.mark.parametrize(
    ("fields", "weights", "expected"),
    [
        # 3 - 2 a step; unsigned spikes leave theta - 1 or what is above it.
        ({"threshold": None}, (3, -2), {"a": (-2, 3), "u": (-2, 3), "v": (-8, 12)}),
        ({"threshold": None, "bias": 1}, (3, -2), {"a": (-2, 3), "u": (-2, 3), "v": (-4, 16)}),
        ({"threshold": None, "initial_membrane": 5}, (3, -2), {"v": (-3, 17)}),
        ({"threshold": 5, "reset": "zero"}, (3, -2), {"v": (-8, 7)}),
        ({"threshold": 5}, (9,), {"v": (0, 21)}),
        ({"threshold": 5, "payload_max": 2}, (9,), {"v": (0, 13)}),
        ({"threshold": None, "floor": -3}, (3, -2), {"v": (-5, 12)}),
        ({"threshold": None, "saturation": 6}, (3, -2), {"v": (-6, 6)}),
        ({"threshold": None, "membrane_decay": 4096}, (3, -2), {"v": (-2, 3)}),
        ({"threshold": None, "membrane_decay": 2048}, (4, -4), {"v": (-7, 7)}),
        ({"threshold": None, "current_decay": 2048}, (4, -4), {"u": (-7, 7), "v": (-24, 24)}),
        ({"threshold": None, "input_gain": (1, 0, 2, 3)}, (3, -2), {"u": (-6, 9), "v": (-12, 18)}),
        ({"threshold": 9, "reset": "value", "reset_value": -7}, (3, -2), {"v": (-9, 11)}),
    ],
    ids=str,
)
def test_intervals(
    fields: dict[str, Any], weights: tuple[int, ...], expected: dict[str, tuple[int, int]]
) -> None:
    found = ends(proved(neuron("h", (1,), **fields), weights))
    assert {name: found[name] for name in expected} == expected


def test_what_is_counted_beside_the_intervals() -> None:
    plain = proved(neuron("h", (1,), 5), (3, -2))
    assert (plain.emitted, plain.unclipped) == (0, 0)
    clipped = proved(integrator("h", (1,), saturation=6), (3, -2))
    assert clipped.unclipped == 9
    down = proved(integrator("h", (1,), saturation=6), (1, -5))
    assert down.unclipped == 11
    given = {"memory": True, "negative_threshold": 1}
    remembers = proved(neuron("h", (1,), 5, payload_max=3, **given), (9, -9))
    # 9, 4 + 9, 8 + 9, ... : one spike, then two, then three.
    assert remembers.emitted == 1 + 2 + 2 + 2
    gained = proved(neuron("h", (1,), 5, firing_gain=(2, 0, 1, 1), **given), (9, -9))
    assert gained.emitted == 0 * 2 + 1 + 1


@pytest.mark.parametrize(
    ("fields", "T", "settled"),
    [
        ({"threshold": 5, "membrane_decay": 4096}, 2, True),
        ({"threshold": 5, "membrane_decay": 4096}, 1, False),
        ({"threshold": None}, 50, False),
        ({"threshold": 5, "floor": 0}, 9, True),
    ],
)
def test_whether_more_steps_would_change_them(
    fields: dict[str, Any], T: int, settled: bool
) -> None:
    assert proved(neuron("h", (1,), **fields), (3, -2), T=T).settled is settled


def test_sums_stop_where_nothing_is_proved() -> None:
    for high, fits in ((2**30 - 1, True), (2**30, False)):
        found = proved(integrator("h", (1,)), (2**14,), 0, high, T=1)
        assert found.proved is fits
        assert found.magnitude == min(2**14 * high, PROVABLE)
        if fits:
            require_proved({"h": found})
        else:
            with pytest.raises(CapacityError, match="h: worst-case values are not proved below"):
                require_proved({"h": found})
    assert ends(proved(integrator("h", (1,)), (-(2**14),), 0, 2**31 - 1))["v"] == (-PROVABLE, 0)


def test_the_limit_of_a_state_is_exact() -> None:
    fits = proved(integrator("h", (1,)), (1,), 0, STATE_LIMIT, T=1)
    beyond = proved(integrator("h", (1,)), (1,), 0, STATE_LIMIT + 1, T=1)
    assert check_bounds({"a": fits, "b": beyond}) == [("b", STATE_LIMIT + 1)]
    assert check_bounds({"a": fits}, STATE_LIMIT - 1) == [("a", STATE_LIMIT)]


def test_an_interval_of_a_projection() -> None:
    link = project("x", "h", Dense(np.array([[3, -2], [0, 1]]), (2,)), exponent=[0, 2])
    low, high = projection_interval(link, -1, 4)
    assert (low.tolist(), high.tolist()) == ([-3 - 8, -4], [12 + 2, 16])


@pytest.mark.parametrize(
    ("cell", "declared"),
    [
        (spikes("x", (1,), -3, 2), (-3, 2)),
        (neuron("h", (1,), 5, payload_max=4), (0, 4)),
        (neuron("h", (1,), 5, payload_max=4, negative_threshold=2), (-4, 4)),
        (integrator("h", (1,)), (0, 0)),
    ],
)
def test_declared_ranges(cell: Any, declared: tuple[int, int]) -> None:
    assert spike_range(cell) == declared


@pytest.mark.parametrize(
    ("rule", "gains", "a", "u", "v"),
    [
        ("maximum", (), (-2, 6), (-8, 24), (-8, 24)),
        ("now", (), (-2, 6), (-2, 6), (-2, 6)),
        ("maximum", (4, 2, 0, 1), (-2, 6), (-14, 42), (-14, 42)),
    ],
)
def test_pools(
    rule: Any, gains: tuple[int, ...], a: tuple[int, int], u: tuple[int, int], v: tuple[int, int]
) -> None:
    pools = pool("h", 1, window((2,), 2), rule, True, gains)
    cells = [spikes("x", (1, 2), -1, 3), pools]
    netlist = net("n", cells, [project("x", "h", identity((1, 2), 2))], [], 4)
    found = prove_bounds(netlist)["h"]
    assert ends(found) == {"a": a, "u": u, "v": v}
    assert (found.spike_low, found.spike_high, found.settled) == (-2, 6, rule == "now")
    assert prove_bounds(netlist, populations=[]) == {}


def test_a_cycle_of_pools_has_no_bound() -> None:
    pools = [pool(name, 1, window((1,), 1), "now") for name in ("p", "q")]
    links = [project("p", "q", identity((1, 1))), project("q", "p", identity((1, 1)))]
    with pytest.raises(CapacityError, match="p: max-pooling inside a cycle of max-pooling"):
        prove_bounds(net("n", pools, links, [], 4))
