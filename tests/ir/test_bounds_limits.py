"""What no 64 bits hold is refused by name, at construction or before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, NetlistError
from neurodeploy.ir.bounds import PROVABLE, check_bounds, prove_bounds, require_proved
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neuron import MAX_QUANTITY
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import current, integrator, net, neuron, project, spikes


@pytest.mark.parametrize("value", [2**62, -(2**63), MAX_QUANTITY + 1])
def test_quantities_beyond_any_proof_are_refused(value: int) -> None:
    with pytest.raises(NetlistError, match="bias exceeds"):
        IntegerNeuron(np.array(3), np.array(value), np.array(0))
    with pytest.raises(NetlistError, match="bias exceeds"):
        IntegerNeuron(np.array(3), np.array(2**64 - 1, dtype=np.uint64), np.array(0))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"comparison": (4096,)}, "comparison for 1 steps and firing_gain for 0"),
        ({"comparison": (1, 2), "firing_gain": (1,)}, "comparison for 2 steps and firing_gain for"),
        ({"comparison": (0,), "firing_gain": (1,)}, "comparison outside 1..65536"),
        ({"comparison": (65537,), "firing_gain": (1,)}, "comparison outside 1..65536"),
        ({"comparison": (1.5,), "firing_gain": (1,)}, "comparison of a step"),
        (
            {"comparison": (1,), "firing_gain": (1,), "payload_max": 2},
            "needs binary spikes, not pay",
        ),
    ],
)
def test_comparisons_that_are_none_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(NetlistError, match=told):
        IntegerNeuron(np.array(5), np.array(0), np.array(0), **given)


@pytest.mark.parametrize(
    ("gains", "rule", "told"),
    [
        ((2, 4), "maximum", "input_gain 4 of a pool does not divide 2 before it"),
        ((6, 0, 4), "maximum", "input_gain 4 of a pool does not divide 6 before it"),
        ((2, 1), "now", "pooling rule 'now' has no input_gain"),
        ((-1,), "maximum", "input_gain outside 0..1048576"),
    ],
)
def test_gains_of_pools_that_leave_fractions_are_refused(
    gains: tuple[int, ...], rule: Any, told: str
) -> None:
    with pytest.raises(NetlistError, match=told):
        MaxPool(1, Window((2,), (2,), (2,), ((0, 0),), (1,)), rule, input_gain=gains)


@pytest.mark.parametrize(("theta", "gain"), [(2**44, 2**16), (2**44, 2**20), (2**25, 2**20)])
@pytest.mark.parametrize("name", ["threshold", "negative_threshold"])
def test_a_threshold_times_a_gain_beyond_the_limit_is_refused(
    theta: int, gain: int, name: str
) -> None:
    given: dict[str, Any] = {"threshold": np.array(1), name: np.array([1, theta])}
    with pytest.raises(NetlistError) as caught:
        IntegerNeuron(
            bias=np.array(0), initial_membrane=np.array(0), firing_gain=(1, gain), **given
        )
    assert str(caught.value) == (
        f"{name} {theta} times firing_gain {gain} is {theta * gain}, beyond {MAX_QUANTITY} in "
        f"magnitude; use a smaller {name}, or smaller gains"
    )


@pytest.mark.parametrize("bias", [2**25, -(2**25)])
def test_a_bias_times_a_gain_beyond_the_limit_is_refused(bias: int) -> None:
    with pytest.raises(
        NetlistError, match=f"bias {bias} times input_gain 1048576 is {bias * 2**20}"
    ):
        IntegerNeuron(None, np.array([3, bias]), np.array(0), input_gain=(2**20,))


def test_products_at_the_limit_are_accepted_and_run() -> None:
    cell = neuron("h", (1,), 2**24, bias=2**23, firing_gain=(2**20,) * 3, input_gain=(2**19,) * 3)
    netlist = net("edge", [spikes("x", (1,)), cell], [], ["h"], 3)
    # v rises by 2^42 a step towards a threshold of 2^44.
    run = run_reference(netlist, {"x": np.zeros((1, 3, 1), np.int64)}, membranes=["h"])
    assert run.membranes["h"].ravel().tolist() == [2**42, 2**43, 3 * 2**42]
    assert prove_bounds(netlist)["h"].v_high.item() == 3 * 2**42


@pytest.mark.parametrize("payload_max", [0, MAX_QUANTITY + 1, 2**63, 2**70])
def test_a_payload_beyond_the_limit_is_refused(payload_max: int) -> None:
    with pytest.raises(NetlistError, match=f"payload_max {payload_max}; expected 1 to"):
        IntegerNeuron(np.array(3), np.array(0), np.array(0), payload_max=payload_max)


def _pool(weight: int, low: int, timesteps: int) -> IntegerNetlist:
    window = Window((2,), (2,), (1,), ((0, 0),), (1,))
    model = MaxPool(1, window, signed=True)
    x = current("x", (1, 2), low, 2**31 - 1)
    link = project("x", "h", identity((1, 2), weight), exponent=22, bits=16)
    return net("pool", [x, Population("h", model.output_shape, model)], [link], ["h"], timesteps)


def _sum(gain: int = 1, timesteps: int = 2**8, payload: int = 2**31 - 1) -> IntegerNetlist:
    gains = (gain,) * timesteps if gain > 1 else ()
    x = current("x", (1,), 0, payload)
    link = project("x", "h", Dense(np.array([[1]]), (1,)), exponent=6)
    return net("sum", [x, integrator("h", (1,), input_gain=gains)], [link], ["h"], timesteps)


def _many_emitted(timesteps: int) -> IntegerNetlist:
    x = current("x", (1,), 0, 2**31 - 1)
    cell = neuron("h", (1,), 1, negative_threshold=1, memory=True, payload_max=2**43)
    link = project("x", "h", Dense(np.array([[1]]), (1,)), exponent=12)
    return net("emitted", [x, cell], [link], ["h"], timesteps)


UNPROVED: dict[str, IntegerNetlist] = {
    "time steps": _sum(),
    "the gain of the input": _sum(2**8, 1),
    # What arrives is proved, but 2^64 less is what 64 bits make of it times the gain.
    "a gain that wraps": net(
        "wraps",
        [current("x", (1,), 0, 2**31 - 1), integrator("h", (1,), input_gain=(2**20,))],
        [project("x", "h", Dense(np.array([[1]]), (1,)), exponent=13)],
        ["h"],
        1,
    ),
    "exponents": net(
        "exponents",
        [current("x", (1,), 0, 2**31 - 1), integrator("h", (1,))],
        [project("x", "h", Dense(np.array([[1]]), (1,)), exponent=14)],
        ["h"],
        1,
    ),
    "what a pool adds up": _pool(2**9, 0, 4),
    "what a pool takes down": _pool(2**9, -(2**31 - 1), 4),
    "what memory counts": _many_emitted(18),
}


@pytest.mark.parametrize("name", UNPROVED)
def test_what_is_not_proved_runs_nowhere(name: str) -> None:
    netlist = UNPROVED[name]
    assert [n for n, _ in check_bounds(prove_bounds(netlist), limit=2**62)] == ["h"]
    x = netlist.inputs[0]
    given = {"x": np.ones((1, *((netlist.timesteps,) if not x.is_current_input else ()), *x.shape))}
    given = {n: values.astype(np.int64) for n, values in given.items()}
    with pytest.raises(CapacityError, match=f"h: .*not proved below {PROVABLE}.*; use fewer time"):
        require_proved(prove_bounds(netlist))
    with pytest.raises(CapacityError, match=f"h: .*not proved below {PROVABLE}.*; use fewer time"):
        run_reference(netlist, given)


def test_a_cell_of_a_pool_that_never_wins_is_bounded_too() -> None:
    window = Window((2,), (2,), (1,), ((0, 0),), (1,))
    model = MaxPool(1, window, signed=True)
    x = current("x", (1, 2), 0, 255)
    # The first cell falls by 127 * 255 << 8 a step, while the maximum never leaves 0.
    link = IntegerProjection("x", "h", identity((1, 2)).with_weight(np.array([-127, 0])), None, 8)
    cells = [x, Population("h", model.output_shape, model)]
    bounds = prove_bounds(net("falls", cells, [link], ["h"], 3))["h"]
    assert bounds.u_low.tolist() == [[-3 * (127 * 255 << 8), 0]]
    assert bounds.v_low.tolist() == [[0]]
    assert bounds.magnitude == 3 * (127 * 255 << 8) > 2**23
