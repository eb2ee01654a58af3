"""Limits of stock processes: what is at one is taken, what is one beyond it refused by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection
from neurodeploy.targets.lava import stock
from neurodeploy.targets.lava.stock import (
    bias_parts,
    folded_weight,
    in_weight_units,
    split_exponent,
    stock_convolution,
    stock_map,
    stock_violations,
)
from neurodeploy.testing.parts import integrator, net, neuron, project, spikes, window

RANDOM = np.random.default_rng(0)
TOP = 2**23 - 1


def told(
    connectivity: Connectivity | None = None,
    *,
    high: int = 1,
    link: dict[str, Any] | None = None,
    timesteps: int = 4,
    **fields: Any,
) -> list[str]:
    """Violations of an input and neurons behind a link, by default of weight 0."""
    given = {"threshold": 9, "reset": "zero", **fields}
    maps = Dense(np.zeros((1, 1), int), (1,)) if connectivity is None else connectivity
    cells = [spikes("x", maps.pre_shape, 0, high), neuron("h", maps.post_shape, **given)]
    links = [project("x", "h", maps, **{"bits": 16, **(link or {})})]
    found = stock_violations(net("n", cells, links, ["h"], timesteps))
    return [str(v).removeprefix("h: ").removeprefix("x->h: ").split(";")[0] for v in found]


def weight(*values: int) -> Dense:
    return Dense(np.array([values]), (len(values),))


def line(kernel: int, **given: Any) -> Conv:
    return Conv(np.ones((1, 1, kernel), int), 1, window((300,), kernel, **given))


def test_cells_that_stand_apart_are_listed_for_a_matrix() -> None:
    apart = Conv(RANDOM.integers(-9, 9, (2, 3, 2)), 3, window((4,), 2, padding=[(0, 1)], spacing=3))
    exponent = np.zeros(2, int)
    listed = stock_map(apart, 1, exponent)
    assert isinstance(listed, Sparse)
    x = RANDOM.integers(0, 2, (1, 3, 4))
    np.testing.assert_array_equal(listed.apply(x), apart.apply(x))
    assert not told(apart)
    # No Conv, whose delay would be one step.
    assert not told(apart, link={"delay": 3})


def test_too_many_synapses_for_a_matrix_are_never_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "listed", None)
    size = (128, 128)
    apart = Conv(np.ones((32, 32, 2, 2), int), 32, window(size, 2, spacing=2))
    assert any("entries as a dense matrix" in line for line in told(apart))


@pytest.mark.parametrize(
    ("legal", "beyond", "reason"),
    [
        ({"threshold": 131072}, {"threshold": 131073}, "threshold 131073 against 131072"),
        ({"bias": 4095}, {"bias": -4097}, "bias 4097 against a mantissa of 4095"),
        ({"bias": 8190, "threshold": 1}, {"bias": 8191, "threshold": 1}, "bias 8191 against"),
        (
            {"connectivity": weight(127, -128)},
            {"connectivity": weight(128)},
            "8-bit weight with its exponent 128 against 127",
        ),
        (
            {"connectivity": weight(-128)},
            {"connectivity": weight(-129)},
            "8-bit weight with its exponent 129 against 127",
        ),
        # An exponent that all share is Dense's own; one that a channel has goes into its weights.
        (
            {"connectivity": weight(127), "link": {"exponent": 3}},
            {"connectivity": Dense(np.full((2, 1), 64), (1,)), "link": {"exponent": [2, 3]}},
            "8-bit weight with its exponent 128 against 127",
        ),
        (
            {"connectivity": line(2), "link": {"exponent": 6}},
            {"connectivity": line(2), "link": {"exponent": 7}},
            "8-bit weight with its exponent 128 against 127",
        ),
        (
            {"connectivity": line(127)},
            {"connectivity": line(128)},
            "kernel, stride, padding or dilation 128 against 127",
        ),
        (
            {"connectivity": line(1, stride=127)},
            {"connectivity": line(1, stride=128)},
            "kernel, stride, padding or dilation 128 against 127",
        ),
        (
            {"connectivity": line(2, dilation=127)},
            {"connectivity": line(2, dilation=128)},
            "kernel, stride, padding or dilation 128 against 127",
        ),
        (
            {"connectivity": line(2, padding=127)},
            {"connectivity": line(2, padding=128)},
            "kernel, stride, padding or dilation 128 against 127",
        ),
        (
            {"connectivity": Sparse(np.ones(1, int), *np.zeros((2, 1), int), (2**12,), (2**12,))},
            {"connectivity": Sparse(np.ones(1, int), *np.zeros((2, 1), int), (2**12,), (4097,))},
            "entries as a dense matrix 16781312 against 16777216",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_limit_is_taken_and_no_more_is(
    legal: dict[str, Any], beyond: dict[str, Any], reason: str
) -> None:
    assert told(**legal) == []
    (found,) = told(**beyond)
    assert found.startswith(reason)


@pytest.mark.parametrize("sign", [1, -1])
def test_states_of_17_bits_are_exact(sign: int) -> None:
    """Four steps of a weight up to an input; the threshold is never reached."""
    fields: dict[str, Any] = {"connectivity": weight(sign), "threshold": 131072}
    assert told(high=131071, timesteps=1, **fields) == []
    (found,) = told(high=131072, timesteps=1, **fields)
    assert "131072 against 131071" in found
    assert told(high=32767, timesteps=4, **fields) == []
    assert told(high=32768, timesteps=4, **fields) != []


def test_input_of_saturating_neurons_is_whole_weights_of_17_bits() -> None:
    fields: dict[str, Any] = {"saturation": TOP, "threshold": 64 * 9 + 1}
    given: dict[str, Any] = {"connectivity": weight(1), "link": {"exponent": 6}, **fields}
    assert told(high=131071, **given) == []
    (found,) = told(high=131072, **given)
    assert found.startswith("worst-case input of one step in weight units 131072 against 131071")
    assert told(connectivity=weight(1), link={"exponent": 5}, **fields)[0].startswith(
        "exponent into a saturating population 5 against 6"
    )
    assert told(**given | {"threshold": 64 * 131071 + 1}) == []
    assert len(told(**given | {"threshold": 64 * 131072 + 1})) == 1
    assert told(**given | {"threshold": 64})[0].startswith("threshold 64 against 1 above a mult")
    # Biases have 6 bits below a weight unit here.
    assert told(**given, bias=4095) == []
    assert told(**given, bias=4097)[0].startswith("bias 4097 against")


def far(delay: int) -> list[str]:
    """A population that is as deep as a delay tells: the other path is aligned with it."""
    cells = [spikes("x", (1,)), neuron("h", (1,), 9, reset="zero")]
    found = stock_violations(net("n", cells, [project("x", "h", weight(1), delay)], ["h"], 4))
    return [str(v) for v in found]


def test_delays_of_64_steps() -> None:
    assert far(64) == []
    assert far(65)[0].startswith("x->h: delay 65 against 64")


def test_convolutions_arrive_in_the_next_step() -> None:
    cells = [spikes("x", (1, 300)), neuron("h", (1, 299), 9, reset="zero")]
    netlist: IntegerNetlist = net("n", cells, [project("x", "h", line(2), 2)], ["h"], 4)
    assert str(stock_violations(netlist)[0]).startswith("x->h: delay of a convolution 2 against 1")
    on_time = replace(netlist, projections=(replace(netlist.projections[0], delay=1),))
    assert stock_violations(on_time) == []


def test_integrators_need_no_reset() -> None:
    cells = [spikes("x", (1,)), integrator("h", (1,), reset="none")]
    assert stock_violations(net("n", cells, [project("x", "h", weight(1))], ["h"], 4)) == []


@pytest.mark.parametrize(
    ("bias", "fraction", "mantissa", "exponent"),
    [
        (0, 0, 0, 0),
        (1, 0, 64, 0),
        (63, 0, 63 * 64, 0),
        (64, 0, 2048, 1),
        (-4095, 0, -4095, 6),
        (4096, 0, 2048, 7),
        (8190, 0, 4095, 7),
        # Beyond it is clipped.
        (9000, 0, 4095, 7),
        (-5, 6, -5, 0),
        (4095, 6, 4095, 0),
        (4096, 6, 2048, 1),
        # What is below the mantissa is cut off toward zero.
        (-4097, 6, -2048, 1),
    ],
)
def test_parts_of_a_bias(bias: int, fraction: int, mantissa: int, exponent: int) -> None:
    found = bias_parts(np.array(bias), fraction)
    assert tuple(int(part) for part in found) == (mantissa, exponent)


def test_exponents_are_shared_and_folded() -> None:
    assert in_weight_units(np.array([6, 8]), True).tolist() == [0, 2]
    assert in_weight_units(np.array([6, 8]), False).tolist() == [6, 8]
    common, rest = split_exponent(np.array([5, 3, 4]))
    assert (common, rest.tolist()) == (3, [2, 0, 1])
    layer = Sparse(np.array([1, 3, 5]), np.array([0, 2, 3]), np.array([0, 0, 0]), (1,), (2, 2))
    assert folded_weight(layer, np.array([0, 2])).tolist() == [1, 12, 20]
    assert folded_weight(layer, np.array(1)).tolist() == [2, 6, 10]
    dense = Dense(np.array([[1, 2], [3, 4]]), (2,))
    assert folded_weight(dense, np.array([1, 0])).tolist() == [[2, 4], [3, 4]]


ZERO = np.zeros((), int)


@pytest.mark.parametrize(
    ("connectivity", "delay", "exponent", "straight"),
    [
        (identity((2, 3), np.array([4, 5])), 1, ZERO, True),
        (identity((2, 3), np.array([4, 5])), 2, ZERO, False),
        (identity((2, 3), np.array([4, 5])), 1, np.array([0, 1]), False),
        (identity((6,)), 1, ZERO, False),
        (identity((2, 3)).with_weight(np.array([4, 4, 4, 5, 5, 6])), 1, ZERO, False),
        (Sparse(np.ones(6, int), np.arange(6), np.arange(6), (2, 3), (3, 2)), 1, ZERO, False),
        (Sparse(np.ones(6, int), np.arange(6), np.arange(6)[::-1], (2, 3), (2, 3)), 1, ZERO, False),
        # A cell without a synapse differs from the others of its channel.
        (Sparse(np.ones(5, int), np.arange(5), np.arange(5), (2, 3), (2, 3)), 1, ZERO, False),
    ],
)
def test_what_goes_straight_through_is_a_convolution(
    connectivity: Sparse, delay: int, exponent: Any, straight: bool
) -> None:
    found = stock_map(connectivity, delay, exponent)
    assert isinstance(found, Conv) is straight
    x = RANDOM.integers(0, 9, (2, *connectivity.pre_shape))
    np.testing.assert_array_equal(found.apply(x), connectivity.apply(x))


@pytest.mark.parametrize(
    "layer",
    [
        Conv(RANDOM.integers(-9, 9, (4, 2, 3, 2)), 4, window((5, 6), (3, 2), 1, [(1, 2), 0]), 2),
        Conv(RANDOM.integers(-9, 9, (2, 2, 2, 2)), 2, window((5, 6), 2, 2, [(3, 1), (0, 2)], 2)),
        SumPool(RANDOM.integers(1, 9, 3), window((5, 6), 2, 2, [(0, 1), 1])),
        SumPool(RANDOM.integers(1, 9, 127), window((3,), 2)),
        SumPool(RANDOM.integers(1, 9, 128), window((3,), 2)),
        Conv(RANDOM.integers(-9, 9, (260, 2, 1)), 260, window((2,), 1), 130),
        Conv(RANDOM.integers(-9, 9, (131, 1, 1)), 131, window((2,), 1), 131),
    ],
    ids=["taller", "dilated", "pool", "127 groups", "128 groups", "130 groups", "131 groups"],
)
def test_convolutions_are_padded_alike_in_groups_that_are_counted(layer: Conv | SumPool) -> None:
    found = stock_convolution(layer)
    assert all(a == b for a, b in found.window.padding)
    assert found.groups <= 127
    x = RANDOM.integers(0, 9, (2, *layer.pre_shape))
    np.testing.assert_array_equal(found.apply(x), layer.apply(x))
    n = layer.groups if isinstance(layer, Conv) else layer.weight.size
    assert found.groups == max(g for g in range(1, 128) if n % g == 0)


def test_a_projection_of_nothing_has_no_weights_to_refuse() -> None:
    none = Sparse(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), (2,), (2,))
    assert IntegerProjection("x", "h", none).weight_bits == 8
    assert told(none) == []
