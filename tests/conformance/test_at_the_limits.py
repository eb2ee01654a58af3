"""Numbers on both sides of the widths of integers and floats, on every path of the engine."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import CapacityError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import PROVABLE, prove_bounds
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import POOL_RULES, Input, MaxPool, PoolRule
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import (
    current,
    integrator,
    net,
    neuron,
    pool,
    project,
    spikes,
    window,
)
from tests.conformance.fuzz.check import difference
from tests.conformance.fuzz.paths import PATHS, available
from tests.ir.adversaries import any_stimulus

WIDTHS = [8, 15, 16, 24, 31, 32, 40]


def assert_exact(netlist: IntegerNetlist, stimulus: dict[str, IntArray]) -> None:
    everything = [p.name for p in netlist.populations]
    reference = run_reference(netlist, stimulus, membranes=everything)
    paths, _ = available()
    assert paths
    for path in paths:
        record, _ = path.run(netlist, stimulus, everything)
        assert difference(netlist, record, reference) is None, path.name


def at_the_edges(netlist: IntegerNetlist) -> dict[str, IntArray]:
    """Extremes in turn, bursts, signs of rows, and one less than the largest."""
    given = any_stimulus(netlist, np.random.default_rng(0))
    for name, values in given.items():
        model = netlist.by_name[name].model
        assert isinstance(model, Input)
        less = np.clip(values - np.sign(values), model.low, model.high)
        given[name] = np.concatenate([values, less])
    return given


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_bias_that_a_gain_takes_beyond_every_membrane(bits: int, offset: int, sign: int) -> None:
    # v starts as far below 0 as it ends above: what is added is wider than what is ever kept.
    gain = 2 ** min(bits - 2, 18)
    bias = 2**bits // gain
    half = sign * (bias * gain // 2)
    cells = [
        integrator(
            "sum",
            (2,),
            bias=sign * bias,
            initial_membrane=[-half, offset - half],
            input_gain=(gain,),
        ),
        neuron(
            "h",
            (2,),
            max(1, 2 ** (bits - 1) + offset),
            bias=sign * bias,
            initial_membrane=-half,
            negative_threshold=2 ** (bits - 1),
            payload_max=3,
            input_gain=(gain,),
            firing_gain=(1,),
        ),
    ]
    x = spikes("x", (2,), -1, 1)
    links = [project("x", c.name, identity((2,))) for c in cells]
    netlist = net("bias", [x, *cells], links, ["sum"], 1)
    added = int(cells[0].model.bias) * gain  # type: ignore[union-attr]
    assert prove_bounds(netlist)["sum"].magnitude < abs(added)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("code", ["integer", "power_of_two"])
def test_thresholds_times_gains(bits: int, offset: int, code: str) -> None:
    gain = 2 ** min(bits - 2, 18)
    theta = 2**bits // gain + offset
    most = 2 ** min(bits - 2, 30)
    gains = (gain, 0, 1, gain, 3 * gain if bits < 40 else gain, 1)
    more = {"firing_gain": gains, "payload_max": 8, "payload_code": code}
    cells = [
        neuron("h", (2,), [theta, 1], initial_membrane=[0, theta * gain // 2], **more),
        neuron("s", (2,), theta, negative_threshold=[1, theta], **more),
        neuron("m", (2,), theta, negative_threshold=[1, theta], memory=True, **more),
    ]
    x = current("x", (2,), -most, most)
    links = [project("x", c.name, identity((2,))) for c in cells]
    netlist = net("thresholds", [x, *cells], links, ["h"], 6)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", [*WIDTHS, 33, 43])
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("name", ["threshold", "negative_threshold"])
def test_a_threshold_that_a_gain_takes_beyond_every_membrane(
    bits: int, offset: int, name: str
) -> None:
    # Nothing but the threshold is wide: cut to 32 bits it would be 0 or small, and fire.
    gain = 2 ** min(bits - 2, 18)
    given = {"threshold": 3, "negative_threshold": 3, name: 2**bits // gain}
    gains = (1, gain, gain, 1, gain)
    cell = neuron(
        "h",
        (2,),
        given["threshold"],
        negative_threshold=given["negative_threshold"],
        initial_membrane=offset,
        payload_max=4,
        firing_gain=gains,
    )
    x = current("x", (2,), -9, 9)
    netlist = net("threshold", [x, cell], [project("x", "h", identity((2,)))], ["h"], 5)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", [*WIDTHS, 33, 43])
@pytest.mark.parametrize("offset", [-1, 1])
@pytest.mark.parametrize("share", [2047, 2**16])
def test_levels_of_comparison(bits: int, offset: int, share: int) -> None:
    # The largest level is as wide as named; shares leave fractions, which are rounded up.
    theta = max(1, min(2**bits * 4096 // share, 2 ** (bits - 1)) + offset)
    gains, shares = (1, 2, 0, 1, 1), (share, 4096, 9, share, max(1, share // 3))
    more = {"firing_gain": gains, "comparison": shares, "initial_membrane": [offset, theta]}
    cells = [
        neuron("h", (2,), theta, **more),
        neuron("s", (2,), theta, negative_threshold=[1, theta], **more),
        neuron("m", (2,), theta, negative_threshold=[1, theta], memory=True, **more),
    ]
    most = 2 ** min(bits - 2, 30)
    x = current("x", (2,), -most, most)
    links = [project("x", c.name, identity((2,))) for c in cells]
    netlist = net("levels", [x, *cells], links, ["h"], 5)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("cells", [2, 3])
def test_sums_of_pools_with_gains(bits: int, signed: bool, cells: int) -> None:
    # What changed is divided before it is emitted: as a payload it would be too wide.
    gain = 2 ** min(bits - 3, 20)
    most = 2 ** min(bits - 2, 38) // gain or 1
    size = (2 * cells,) if cells == 3 else (4, 4)
    where = window(size, 2 if cells == 2 else cells, 2 if cells == 2 else cells)
    x = spikes("x", (2, *size), -most if signed else 0, most)
    taken = pool("p", 2, where, signed=signed, input_gain=(gain, gain // 2, 0, 1))
    netlist = net("pool", [x, taken], [project("x", "p", identity(x.shape))], ["p"], 4)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", [28, 29, 30, 31, 32])
def test_what_is_formed_within_a_step_has_room(bits: int) -> None:
    """The proofs count the bias times the largest gain, though no membrane shows it."""
    from neurodeploy.execution.native.program import build_program
    from neurodeploy.execution.pytorch.precision import prove_precision

    gain = 2**11
    cell = integrator(
        "h", (1,), bias=2**bits // gain, initial_membrane=-(2 ** (bits - 1)), input_gain=(gain,)
    )
    netlist = net("bias", [cell], [], ["h"], 1)
    assert prove_bounds(netlist)["h"].magnitude == 2 ** (bits - 1)
    # In PyTorch, twice the membrane and the bias; natively, the membrane and the product.
    assert (prove_precision(netlist, 1).states["h"].itemsize == 8) is (bits >= 31)
    assert build_program(netlist, 1).wide is (bits >= 31)


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_sums_of_rows_and_membranes(bits: int, reset: str) -> None:
    # Rows of seven weights reach 2^bits in one step, and leak where states have room for it.
    weight = 2 ** min(bits - 3, 15) - 1
    payload = max(1, (2**bits - 1) // (7 * weight))
    rows = np.array([[weight] * 7, [-weight] * 7, [weight, -weight] * 3 + [weight]])
    for dv in (0, 1, 4000):
        cells = [
            neuron(
                "h",
                (3,),
                [2**bits, 2 ** (bits - 1), 1],
                negative_threshold=2**bits,
                reset=reset,
                payload_max=127,
                membrane_decay=dv,
                current_decay=dv or 4096,
            ),
            integrator("sum", (3,), membrane_decay=dv),
        ]
        x = spikes("x", (7,), -payload, payload)
        links = [project("x", c.name, Dense(rows, (7,)), bits=16) for c in cells]
        netlist = net("rows", [x, *cells], links, ["sum"], 5)
        if any(b.magnitude >= 2**40 for b in prove_bounds(netlist).values()):
            continue
        assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("rule", POOL_RULES)
def test_what_pools_add_up(bits: int, rule: PoolRule) -> None:
    model = MaxPool(2, window((3,), (2,), padding=[(1, 0)]), rule, signed=True)
    pool = Population("p", model.output_shape, model)
    # What arrives in one step stays below 31 bits; more time steps add up more.
    top, shift, steps = min(2**bits // 4, 2**20), min(max(0, bits - 22), 9), 1 + max(4, bits - 20)
    x = current("x", (2, 3), -top, top // 3 + 1)
    link = project("x", "p", identity((2, 3)), exponent=shift)
    netlist = net("pool", [x, pool], [link], ["p"], steps)
    assert_exact(netlist, at_the_edges(netlist))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_what_is_not_proved_is_refused_by_every_path(path) -> None:
    if path.missing() is not None:
        pytest.skip(f"{path.name}: {path.missing()}")
    x = current("x", (1,), 0, 2**30)
    link = project("x", "h", Dense(np.array([[1]]), (1,)), exponent=6)
    netlist = net("wide", [x, integrator("h", (1,))], [link], ["h"], 2**8)
    assert prove_bounds(netlist)["h"].magnitude == PROVABLE
    with pytest.raises(CapacityError, match=r"^h: "):
        path.run(netlist, {"x": np.array([[2**30]])}, [])
