"""The bounds against every state that small neurons and pools can reach: none leaves, many meet."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from neurodeploy.ir import reference
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.fixed_point import DECAY_ONE, trunc0_decay
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import POOL_RULES, IntegerNeuron, MaxPool, PoolRule
from neurodeploy.testing.parts import net, project, spikes, window
from tests.ir.adversaries import assert_inside
from tests.ir.reachable import Reachable, one_neuron, reachable

KINDS = [
    *("plain", "none", "zero", "signed", "signed_zero", "memory", "leaky", "leaky_zero", "gains"),
    *("compared", "compared_signed", "compared_memory"),
]
DECAYS = [0, 1, 700, 2048, 4095, DECAY_ONE]


def some_neuron(kind: str, rng: np.random.Generator) -> tuple[IntegerNeuron, int, int, int]:
    """A neuron with small numbers, the range of its input, and T."""
    T = int(rng.integers(1, 5))
    powers = rng.random() < 0.5
    # Powers of two show what they take too much and leave at payloads of 8.
    low, high = (
        -int(rng.integers(0, 25 if powers else 9)),
        int(rng.integers(1, 26 if powers else 10)),
    )
    largest = 4 if powers else 9
    more: dict[str, Any] = {"payload_code": "power_of_two" if powers else "integer"}
    compared, memory = kind.startswith("compared"), kind.endswith("memory")
    if compared:
        powers, more = False, {}
    if "signed" in kind or memory or (kind in ("none", "gains") and rng.random() < 0.5):
        more["negative_threshold"] = np.int64(rng.integers(1, largest))
    if "leaky" in kind:
        more |= {n: int(rng.choice(DECAYS)) for n in ("current_decay", "membrane_decay")}
    if kind == "gains" or compared or (kind == "memory" and rng.random() < 0.5):
        gains = rng.integers(0, 4, (2, T))
        gains[1, -1] = max(gains[1, -1], 1)
        more |= {n: tuple(g.tolist()) for n, g in zip(("input_gain", "firing_gain"), gains)}  # noqa: B905
    if compared:
        more["comparison"] = tuple(rng.choice([1, 1000, 2048, 4096, 5000, 12288], T).tolist())
    payloads = [1] if compared else [1, 2, 4, 8, 16] if powers else [1, 2, 3, 50]
    reset = "zero" if "zero" in kind else "none" if kind == "none" else "subtract"
    model = IntegerNeuron(
        np.int64(rng.integers(1, largest)),
        np.int64(rng.integers(-3, 4)),
        np.int64(rng.integers(-6, 9)),
        reset=reset,  # type: ignore[arg-type]
        payload_max=int(rng.choice(payloads)),
        memory=memory,
        **more,
    )
    return model, low, high, T


@pytest.mark.parametrize("kind", KINDS)
def test_no_reachable_state_leaves_the_bounds(kind: str) -> None:
    for seed in range(70):
        model, low, high, T = some_neuron(kind, np.random.default_rng([KINDS.index(kind), seed]))
        found = reachable(model, low, high, T)
        bound = prove_bounds(one_neuron(model, low, high, T))["h"]
        here = f"{kind} {seed}"
        assert (bound.a_low.item(), bound.a_high.item()) == (low, high)
        assert bound.v_low.item() <= found.v[0], here
        assert found.v[1] <= bound.v_high.item(), here
        assert bound.spike_low <= found.spikes[0], here
        assert found.spikes[1] <= bound.spike_high, here
        assert not model.memory or found.emitted <= bound.emitted, here
        # Of u, and of v where nothing but the input moves it or a spike forgets it, the proof is
        # no wider than the truth.
        assert (bound.u_low.item(), bound.u_high.item()) == found.u, here
        if kind in ("none", "zero", "signed_zero"):
            assert (bound.v_low.item(), bound.v_high.item()) == _with_start(found, model), here
        elif kind == "plain" and model.payload_code == "integer":
            assert bound.v_high.item() == _with_start(found, model)[1], here


def _with_start(found: Reachable, model: IntegerNeuron) -> tuple[int, int]:
    """A window starts at v0, which is a state too."""
    start = int(model.initial_membrane)
    return min(found.v[0], start), max(found.v[1], start)


@pytest.mark.parametrize(("theta", "most"), [(1, 1), (2, 5), (50, 49), (50, 200)])
def test_a_zero_reset_leaves_one_below_the_threshold_and_the_largest_input(
    theta: int, most: int
) -> None:
    model = IntegerNeuron(np.int64(theta), np.int64(0), np.int64(0), reset="zero")
    assert prove_bounds(one_neuron(model, -1, most, 3))["h"].v_high.item() == theta - 1 + most
    assert reachable(model, -1, most, 3).v[1] == theta - 1 + most


@pytest.mark.parametrize("decay", [1, 77, 2048, 4095, 4096])
def test_a_leak_stops_growth_at_its_fixed_point(decay: int) -> None:
    model = IntegerNeuron(None, np.int64(5), np.int64(0), membrane_decay=decay)
    bound = prove_bounds(one_neuron(model, -40, 40, 3000 if decay > 1 else 50))["h"]
    top = bound.v_high.item()
    if decay > 1:
        # One more step adds nothing, and v never exceeds (u + b) * 4096 / dv.
        assert trunc0_decay(np.int64(top), decay) + 45 == top
    assert top <= 45 * DECAY_ONE / decay
    v, most = np.int64(0), 0
    for _ in range(3000 if decay > 1 else 50):
        v = trunc0_decay(v, decay) + 45
        most = max(most, int(v))
    assert most == top


@pytest.mark.parametrize("gains", [(4, 2, 2), (6, 0, 3), (0, 1, 0), (1, 1, 1)])
@pytest.mark.parametrize("signed", [False, True])
def test_pools_with_gains_meet_their_bounds(gains: tuple[int, ...], signed: bool) -> None:
    """The digits of a maximum are the change of the largest sum, in the gain of their step."""
    low, T = (-1 if signed else 0), len(gains)
    model = MaxPool(1, window((2,), (2,)), "maximum", signed, gains)
    x, p = spikes("x", (1, 2), low, 1), Population("p", model.output_shape, model)
    link = Sparse(np.array([1, 1]), np.arange(2), np.arange(2), (1, 2), (1, 2))
    netlist = net("pool", [x, p], [project("x", "p", link)], ["p"], T)
    every = np.array(list(itertools.product(range(low, 2), repeat=2 * T))).reshape(-1, T, 1, 2)
    assert_inside(netlist, {"x": every})
    run = reference.run_reference(netlist, {"x": every}, membranes=["p"])
    most = (every * np.array(gains).reshape(1, T, 1, 1)).cumsum(axis=1).max(axis=3)
    np.testing.assert_array_equal(run.membranes["p"][..., 0], most)
    told = (run.spikes["p"][..., 0] * np.array(gains).reshape(1, T, 1)).cumsum(axis=1)
    np.testing.assert_array_equal(told, most)
    bound = prove_bounds(netlist)["p"]
    assert run.membranes["p"].max() == bound.v_high.item() == sum(gains)
    assert (int(run.spikes["p"].min()), 1) == (bound.spike_low, bound.spike_high)


@pytest.mark.parametrize("rule", POOL_RULES)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_pools_meet_their_bounds_and_no_more(rule: PoolRule, signed: bool, padding: int) -> None:
    T, low, high = 3, (-1 if signed else 0), (1 if signed else 2)
    where = window((2,), (2,), (1,), [(padding, padding)])
    for weights in ([1, 1], [2, 3], [0, 1], *([[-2, 1], [-1, -3]] if signed else [])):
        model = MaxPool(1, where, rule, signed)
        x, p = spikes("x", (1, 2), low, high), Population("p", model.output_shape, model)
        link = Sparse(np.array(weights), np.arange(2), np.arange(2), (1, 2), (1, 2))
        netlist = net("pool", [x, p], [project("x", "p", link)], ["p"], T)
        every = np.array(list(itertools.product(range(low, high + 1), repeat=2 * T)))
        stimulus = {"x": every.reshape(-1, T, 1, 2)}
        assert_inside(netlist, stimulus)
        run = reference.run_reference(netlist, stimulus, membranes=["p"])
        bound = prove_bounds(netlist)["p"]
        v, s = run.membranes["p"], run.spikes["p"]
        np.testing.assert_array_equal(v.max(axis=(0, 1)), bound.v_high)
        np.testing.assert_array_equal(np.minimum(v.min(axis=(0, 1)), 0), bound.v_low)
        if weights[0] == weights[1]:
            assert (int(s.min()), int(s.max())) == (bound.spike_low, bound.spike_high)


@pytest.mark.parametrize("back", [1, 2, 5])
@pytest.mark.parametrize(("theta", "low", "high"), [(2, -12, 5), (2, -12, 6), (3, -18, 9)])
def test_what_memory_takes_back_too_much_is_reached(
    theta: int, low: int, high: int, back: int
) -> None:
    model = IntegerNeuron(
        np.int64(theta), np.int64(0), np.int64(0), np.int64(back),
        payload_max=8, payload_code="power_of_two", memory=True,
    )  # fmt: skip
    bound = prove_bounds(one_neuron(model, low, high, 5))["h"]
    assert reachable(model, low, high, 5).v == (bound.v_low.item(), bound.v_high.item())


def test_what_memory_takes_back_is_rounded_up_to_thresholds() -> None:
    # 4 emitted in a step that counts 2; of -5 and thresholds of 2, three are owed and four taken.
    model = IntegerNeuron(
        np.int64(2), np.int64(0), np.int64(8), np.int64(1),
        payload_max=8, payload_code="power_of_two", memory=True,
        input_gain=(0, 1, 20), firing_gain=(2, 1, 0),
    )  # fmt: skip
    assert reachable(model, -5, 1, 3).v[1] == 4 * 2 - 5 + 20
    assert prove_bounds(one_neuron(model, -5, 1, 3))["h"].v_high.item() == 4 * 2 - 5 + 20
