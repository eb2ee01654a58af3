"""Stock Lava processes: exact where they are used, refused by name where they are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.errors import CapacityError
from neurodeploy.ir.connectivity import Conv, Dense, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, PoolRule
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.lava.stock import bias_parts, stock_violations
from neurodeploy.targets.lava.target import Run, run_all
from neurodeploy.targets.registry import TARGETS
from tests.targets.lava.networks import (
    assert_exact,
    chain,
    chain_stimulus,
    compiled,
    computing,
    integrator,
    many_groups,
    neuron,
    random_stock_net,
    window,
)

STOCK = {
    "lava.proc.conv.process.Conv",
    "lava.proc.dense.process.Dense",
    "lava.proc.dense.process.DelayDense",
    "lava.proc.lif.process.LIF",
    "lava.proc.lif.process.LIFReset",
}


def stock_chain(**fields: object) -> IntegerNetlist:
    """Four inputs and two layers that stock processes express."""
    rng = np.random.default_rng(3)
    given = {"reset": "zero", **fields}
    return IntegerNetlist(
        "stock",
        (
            Population("in", (4,), Input("current", 0, 9)),
            Population("a", (3,), neuron(40, **given)),
            Population("out", (2,), neuron(15, reset="zero")),
        ),
        (
            IntegerProjection("in", "a", Dense(rng.integers(0, 4, (3, 4)), (4,))),
            IntegerProjection("a", "out", Dense(rng.integers(-128, 128, (2, 3)), (3,))),
        ),
        (Output("out", "counts"),),
        30,
    )


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_stock_networks_equal_the_reference_and_are_stock() -> None:
    nets = [*(random_stock_net(seed) for seed in range(3)), many_groups()]
    # One sample without a bias needs no reset.
    nets.append((stock_chain(), chain_stimulus(1)))
    runs = [Run(compiled(n, models="stock"), s, membranes=computing(n)) for n, s in nets]
    for (netlist, stimulus), run, found in zip(nets, runs, run_all(runs), strict=True):
        expected = run_reference(netlist, stimulus, membranes=computing(netlist))
        assert set(found.spikes) == set(expected.spikes)
        assert_exact(netlist, found, expected)
        network = [
            p
            for p in run.deployment.processes
            if not p.process.startswith("neurodeploy.targets.lava.processes.")
        ]
        assert {p.process for p in network} <= STOCK
        lifs = [p for p in network if p.process.startswith("lava.proc.lif.process.LIF")]
        assert sorted(p.name for p in lifs) == sorted(computing(netlist))
        assert {p.model for p in lifs} <= {
            "lava.proc.lif.models.PyLifModelBitAcc",
            "lava.proc.lif.models.PyLifResetModelBitAcc",
        }
        assert len(network) == len(lifs) + len(netlist.projections)
    assert {p.process.split(".")[-1] for p in runs[0].deployment.processes} >= {
        "Conv",
        "Dense",
        "DelayDense",
        "LIFReset",
    }
    assert "lava.proc.lif.process.LIF" in {p.process for p in runs[-1].deployment.processes}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"reset": "subtract"}, "a: reset subtract against zero"),
        ({"initial_membrane": 5}, "a: initial membrane 5 against 0"),
        ({"negative_threshold": 9}, "a: signed spikes"),
        ({"payload_max": 3}, "a: graded spikes 3 against 1"),
        ({"payload_max": 4, "payload_code": "power_of_two"}, "a: graded spikes 4 against 1"),
        (
            {"negative_threshold": 1, "memory": True, "reset": "subtract"},
            "a: memory of emitted spikes",
        ),
        ({"membrane_decay": 10}, "a: leak dv 10 against 0"),
        ({"current_decay": 4095}, "a: current decay du 4095 against 4096"),
        ({"bias": 4097}, "a: bias 4097 against a mantissa of 4095 with an exponent up to 7"),
        ({"bias": -8192}, "a: bias 8192 against a mantissa of 4095 with an exponent up to 7"),
        ({"saturation": 5000}, f"a: saturation 5000 against {2**23 - 1} of firing neurons"),
    ],
)
def test_neurons_that_stock_lif_is_not(fields: dict[str, object], reason: str) -> None:
    found = [str(v) for v in stock_violations(stock_chain(**fields))]
    assert any(v.startswith(reason) for v in found), found
    with pytest.raises(CapacityError, match="target lava refuses a: "):
        compiled(stock_chain(**fields), models="stock")


def test_what_goes_straight_through_is_no_matrix() -> None:
    shape = (5, 40, 40)
    large = replace(
        stock_chain(),
        populations=(
            Population("in", shape, Input("spikes", 0, 1)),
            Population("out", shape, neuron(15, reset="zero")),
        ),
        projections=(IntegerProjection("in", "out", identity(shape, np.arange(1, 6))),),
    )
    assert stock_violations(large) == []
    (q,) = large.projections
    for wrong in (
        replace(q, delay=2),
        replace(q, connectivity=identity((8000,))),
        replace(q, connectivity=q.connectivity.with_weight(np.arange(8000) % 100)),
    ):
        size = wrong.connectivity.post_shape
        populations = tuple(replace(p, shape=size) for p in large.populations)
        netlist = replace(large, populations=populations, projections=(wrong,))
        found = [str(v) for v in stock_violations(netlist)]
        assert any("entries as a dense matrix 64000000 against 16777216" in v for v in found)


@pytest.mark.parametrize("rule", ["maximum", "winner"])
@pytest.mark.parametrize("signed", [False, True])
def test_pools_have_no_stock_process(rule: PoolRule, signed: bool) -> None:
    netlist = stock_chain()
    pool = MaxPool(1, window((2,), (2,), (2,), ((0, 0),), (1,)), rule, signed)
    populations = (*netlist.populations, Population("pool", pool.output_shape, pool))
    found = [str(v) for v in stock_violations(replace(netlist, populations=populations))]
    assert (
        "pool: max-pooling has no stock process; convert with --method hard-reset, or use target "
        "lava with models=own" in found
    )


def test_state_bound_is_that_of_lif() -> None:
    netlist = replace(stock_chain(reset="none"), timesteps=3000)
    found = [str(v) for v in stock_violations(netlist)]
    assert found[0].startswith("a: worst-case stock LIF state in weight units over T = 3000 steps")
    assert "131071" in found[0]


def test_recurrence_and_delays_are_refused() -> None:
    netlist = stock_chain()
    loop = IntegerProjection("a", "a", Dense(np.eye(3, dtype=int), (3,)))
    found = [str(v) for v in stock_violations(_with(netlist, loop))]
    assert any("a: recurrence" in v for v in found)
    early = IntegerProjection("in", "out", Dense(np.ones((2, 4), dtype=int), (4,)), delay=1)
    found = [str(v) for v in stock_violations(_with(netlist, early))]
    assert found == [
        "in->out: delay that is not the difference of the depths 1 against 2; use target lava with "
        "models=own"
    ]
    far = replace(netlist.projections[1], delay=70)
    found = [
        str(v)
        for v in stock_violations(replace(netlist, projections=(netlist.projections[0], far)))
    ]
    assert any("delay 70 against 64" in v for v in found)


def test_what_convolutions_cannot_do() -> None:
    # No whole cells of its kernel make up for the difference.
    lopsided = window((4, 4), (2, 2), (1, 1), ((1, 2), (1, 2)), (3, 3))
    conv = Conv(np.ones((2, 2, 2, 2), dtype=int), 2, lopsided)
    pool = MaxPool(2, window((4, 4), (2, 2), (2, 2)))
    netlist = IntegerNetlist(
        "conv",
        (
            Population("in", (2, 4, 4), Input("spikes", 0, 1)),
            Population("a", (2, 4, 4), neuron(3, reset="zero")),
            Population("b", (2, 4, 4), neuron(3, reset="zero")),
            Population("pool", (2, 2, 2), pool),
            Population("out", (2, 4, 4), integrator()),
        ),
        (
            IntegerProjection("in", "a", conv),
            IntegerProjection("a", "b", conv, exponent=np.int64(8), weight_bits=8),
            IntegerProjection(
                "in", "b", Conv(np.ones((2, 2, 1, 1), dtype=int), 2, window((4, 4), (1, 1)))
            ),
            IntegerProjection("a", "pool", identity((2, 4, 4))),
            IntegerProjection(
                "b",
                "out",
                Conv(np.full((2, 2, 1, 1), 100), 2, window((4, 4), (1, 1))),
                exponent=np.array([0, 1]),
            ),
        ),
        (Output("out", "membrane"),),
        5,
    )
    found = [str(v) for v in stock_violations(netlist)]
    for reason in (
        "pool: max-pooling has no stock process",
        "in->a: padding ((1, 2), (1, 2)) with dilation (3, 3) against the same on both sides",
        "a->b: 8-bit weight with its exponent 256 against 127",
        "in->b: delay of a convolution 2 against 1",
        "b->out: 8-bit weight with its exponent 200 against 127",
    ):
        assert any(v.startswith(reason) for v in found), (reason, found)


def test_default_nets_are_not_stock() -> None:
    with pytest.raises(CapacityError, match=r"and [0-9]+ more"):
        compiled(chain(5), models="stock")


def test_bias_parts_cover_the_even_numbers_twice_as_far() -> None:
    bias = np.array([4095, -4095, 4096, -8190, 8190, 4097, 0, -1])
    mantissa, exponent = bias_parts(bias)
    exact = (mantissa << exponent) == bias << 6
    assert exact.tolist() == [True, True, True, True, True, False, True, True]
    assert np.abs(mantissa).max() <= 4095
    assert exponent.max() <= 7
    # In units of 1/64 small biases are finer.
    mantissa, exponent = bias_parts(np.array([3, -4095, 4097]), 6)
    assert ((mantissa << exponent) == [3, -4095, 4097]).tolist() == [True, True, False]


SATURATION = 2**23 - 1


def saturating(**fields: object) -> IntegerNetlist:
    """Neurons that are driven to both ends of their membrane, and back from the lower one."""
    # Reached in three steps, above the threshold of one neuron and below that of the other.
    given = {"threshold": np.array([64 * 131071 + 1, 64 * 90001 + 1]), **fields}
    model = IntegerNeuron(
        bias=np.array([300, -4000]),
        initial_membrane=np.zeros((), dtype=int),
        reset="zero",
        **{"saturation": SATURATION, **given},  # type: ignore[arg-type]
    )
    return IntegerNetlist(
        "ends",
        (
            Population("in", (2,), Input("spikes", 0, 1000)),
            Population("a", (2,), model),
            Population("out", (1,), integrator()),
        ),
        (
            IntegerProjection(
                "in", "a", Dense(np.array([[-100, 31], [-100, 31]]), (2,)), exponent=np.int64(6)
            ),
            IntegerProjection("a", "out", Dense(np.array([[1, 5]]), (2,))),
        ),
        (Output("out", "membrane"),),
        24,
    )


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_saturation_at_both_ends_equals_the_reference() -> None:
    netlist = saturating()
    stimulus = np.zeros((3, 24, 2), dtype=np.int64)
    stimulus[0, :6, 0], stimulus[0, 6:, 1] = 900, 1000  # far below, and back up
    stimulus[1, :, 1] = 990
    stimulus[2, ::2, 0], stimulus[2, 1::2, 1] = 1000, 1000
    given = {"in": stimulus}
    expected = run_reference(netlist, given, membranes=("a", "out"))
    free = run_reference(saturating(saturation=None), given, membranes=("a", "out"))
    assert expected.membranes["a"].min() == -SATURATION
    assert free.membranes["a"].min() < -SATURATION
    # The upper end is hit on the way to a spike: four steps stay below, the fifth leaps over it.
    assert 4 * (990 * 31 * 64 + 300) < 64 * 131071 + 1 < SATURATION < 5 * (990 * 31 * 64 + 300)
    assert expected.spikes["a"][1, 4, 0] == 1
    assert not np.array_equal(expected.spikes["a"], free.spikes["a"])
    for target, options in (("lava", {"models": "stock"}), ("lava-stock", {})):
        deployment = TARGETS.get(target)().compile(Network(netlist), None, options)
        found = deployment.run(given, membranes=("a", "out"))
        assert_exact(netlist, found, expected)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"saturation": None}, "a: worst-case stock LIF state in weight units"),
        ({"saturation": SATURATION - 1}, "a: saturation 8388606 against 8388607"),
        ({"threshold": np.array(6400)}, "a: threshold 6400 against 1 above a multiple of 64"),
        ({"threshold": np.array(64 * 131072 + 1)}, "a: threshold 8388609 against 8388545"),
    ],
)
def test_saturation_is_accepted_exactly_where_it_is_named(
    fields: dict[str, object], reason: str
) -> None:
    assert not stock_violations(saturating())
    found = [str(v) for v in stock_violations(saturating(**fields))]
    assert any(v.startswith(reason) for v in found), found


def test_currents_of_saturating_neurons_must_not_wrap() -> None:
    netlist = saturating()
    loud = replace(netlist.by_name["in"], model=Input("spikes", 0, 1400))
    first = replace(netlist.projections[0], exponent=np.int64(5))
    populations = (loud, *netlist.populations[1:])
    found = [str(v) for v in stock_violations(replace(netlist, populations=populations))]
    assert found == [
        "a: worst-case input of one step in weight units 140000 against 131071; use fewer weight "
        "bits, or an input of fewer levels"
    ]
    fine = replace(netlist, projections=(first, netlist.projections[1]))
    found = [str(v) for v in stock_violations(fine)]
    assert any(
        v.startswith("in->a: exponent into a saturating population 5 against 6") for v in found
    )


def _with(netlist: IntegerNetlist, projection: IntegerProjection) -> IntegerNetlist:
    return replace(netlist, projections=(*netlist.projections, projection))
