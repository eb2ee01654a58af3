"""Bounds: nothing leaves the proved intervals, worst-case input reaches them, and refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from neurodeploy.errors import CapacityError
from neurodeploy.ir import reference
from neurodeploy.ir.bounds import (
    STATE_LIMIT,
    check_bounds,
    projection_interval,
    prove_bounds,
)
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.testing.parts import current, integrator, net, neuron, project, spikes
from tests.conformance.cases import CASES, case
from tests.ir.adversaries import any_stimulus, assert_inside
from tests.ir.strategies import netlists, seeds


@given(netlists(), seeds)
@settings(max_examples=120)
def test_no_input_leaves_the_bounds(netlist: IntegerNetlist, seed: int) -> None:
    assert_inside(netlist, any_stimulus(netlist, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", CASES)
def test_conformance_cases_stay_inside(name: str) -> None:
    c = case(name)
    assert_inside(c.netlist, any_stimulus(c.netlist, np.random.default_rng(7)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("decays", [(4096, 0), (1000, 0), (4096, 77), (500, 300)])
def test_worst_case_input_reaches_the_bound(sign: int, decays: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    weight = rng.integers(-100, 100, (4, 5))
    du, dv = decays
    cell = integrator(
        "v", (4,), bias=sign * 9, initial_membrane=-4, current_decay=du, membrane_decay=dv
    )
    x = spikes("x", (5,), -3, 7)
    link = project("x", "v", Dense(weight, (5,)), exponent=[0, 1, 2, 3])
    netlist = net("worst", [x, cell], [link], ["v"])
    # Sample n drives neuron n as far as it goes.
    drive = np.where(sign * weight > 0, 7, -3)
    stimulus = {"x": np.repeat(drive[:, None], netlist.timesteps, axis=1)}
    trace = reference.run_reference(netlist, stimulus).membranes["v"]
    reached = np.array([sign * (sign * trace[n, :, n]).max() for n in range(4)])
    bound = prove_bounds(netlist)["v"]
    np.testing.assert_array_equal(reached, bound.v_high if sign > 0 else bound.v_low)


def test_worst_case_input_comes_near_with_a_soft_reset() -> None:
    x = spikes("x", (3,))
    netlist = net(
        "near",
        [x, neuron("h", (1,), 50)],
        [project("x", "h", Dense(np.array([[40, 30, -20]]), (3,)))],
        ["h"],
    )
    # Per step at most 70 come in and 50 go out: after twelve steps 12 * 20 + 50 are left at most.
    stimulus = {"x": np.tile([1, 1, 0], (1, 12, 1))}
    trace = reference.run_reference(netlist, stimulus, membranes=["h"]).membranes["h"]
    assert int(trace.max()) == 12 * 20
    assert trace.max() + 50 <= prove_bounds(netlist)["h"].v_high.item() <= trace.max() + 2 * 70


def _growing(timesteps: int, weight: int = 127, e: int = 4) -> IntegerNetlist:
    x = current("x", (1,))
    link = project("x", "v", Dense(np.array([[weight]]), (1,)), exponent=e)
    return net("growing", [x, integrator("v", (1,))], [link], ["v"], timesteps)


def test_overflow_on_worst_case_input_only_is_refused() -> None:
    # 255 * 127 * 16 = 518160 per step: 16 steps fit, 17 do not, whatever the data would do.
    assert check_bounds(prove_bounds(_growing(16))) == []
    assert check_bounds(prove_bounds(_growing(17))) == [("v", 17 * 518160)]
    assert check_bounds(prove_bounds(_growing(17), 16)) == []


def test_huge_values_do_not_wrap_around_in_the_proof() -> None:
    # 2^31 * 2^15 * 2^22 exceeds 64 bits; a proof that wraps would accept it.
    x = current("x", (2,), -(2**31) + 1, 2**31 - 1)
    for timesteps in (1, 3, 40):
        for weights in ([[-(2**15), 2**15 - 1]], [[-(2**15), -(2**15)]], [[2**14, 0]]):
            link = project("x", "v", Dense(np.array(weights), (2,)), exponent=22, bits=16)
            cell = integrator("v", (1,), current_decay=0)
            netlist = net("huge", [x, cell], [link], ["v"], timesteps)
            ((name, magnitude),) = check_bounds(prove_bounds(netlist))
            assert name == "v"
            assert magnitude > STATE_LIMIT


def test_projection_interval_by_hand() -> None:
    link = project("x", "v", Dense(np.array([[3, -4], [5, 6]]), (2,)), exponent=[1, 0])
    low, high = projection_interval(link, -1, 2)
    assert low.tolist() == [(-3 - 8) * 2, -11]
    assert high.tolist() == [(6 + 4) * 2, 22]


def test_bounds_cover_every_shorter_run() -> None:
    c = case("current_decay_and_leak")
    whole = prove_bounds(c.netlist)
    for timesteps in (1, 5, 11):
        part = prove_bounds(replace(c.netlist, timesteps=timesteps))
        for name, b in part.items():
            assert (whole[name].v_low <= b.v_low).all()
            assert (whole[name].v_high >= b.v_high).all()


@pytest.mark.parametrize("order", list(itertools.permutations(["p", "q", "n"])))
def test_pools_in_a_cycle_with_a_neuron_are_bounded_in_any_order(order: tuple[str, ...]) -> None:
    one = Window((2,), (1,), (1,), ((0, 0),), (1,))
    shape = (1, 2)
    populations = {
        "p": Population("p", shape, MaxPool(1, one)),
        "q": Population("q", shape, MaxPool(1, one)),
        "n": Population("n", shape, IntegerNeuron(np.array(3), np.array(1), np.array(0))),
    }
    links = [("n", "p", 2), ("p", "q", 3), ("q", "n", 1)]
    netlist = IntegerNetlist(
        "loop",
        tuple(populations[n] for n in order),
        tuple(IntegerProjection(a, b, identity(shape, w)) for a, b, w in links),
        (),
        5,
    )
    bounds = prove_bounds(netlist)
    assert (bounds["p"].spike_high, bounds["q"].spike_high) == (2, 6)
    assert_inside(netlist, {})


def test_a_cycle_of_pools_alone_has_no_bound() -> None:
    one = Window((2,), (1,), (1,), ((0, 0),), (1,))
    pools = tuple(Population(n, (1, 2), MaxPool(1, one)) for n in "pq")
    links = tuple(IntegerProjection(a, b, identity((1, 2), 1)) for a, b in ("pq", "qp"))
    with pytest.raises(CapacityError, match="remove the cycle"):
        prove_bounds(IntegerNetlist("loop", pools, links, (), 5))
