"""The text of netlists: golden, and different wherever the netlist is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron
from neurodeploy.ir.printer import digest, geometry_text, print_netlist, values_text

GOLDEN = Path(__file__).parent / "golden"


def square(n: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int = 1) -> Window:
    return Window((n, n), (kernel,) * 2, (stride,) * 2, (pad, pad), (dilation,) * 2)


def integer_netlist() -> IntegerNetlist:
    pool = square(4, 2, 2, (0, 0))
    conv = Conv(np.arange(-9, 9).reshape(2, 1, 3, 3), 1, square(4, 3, 1, (1, 1)))
    populations = (
        Population("pixels", (1, 4, 4), Input("current", -2, 255), np.array(0.25), "x"),
        Population(
            "conv",
            (2, 4, 4),
            IntegerNeuron(np.array([3, 5]), np.array(-1), np.array(2), np.array(7)),
        ),
        Population(
            "plain", (2, 4, 4), IntegerNeuron(np.array(9), np.array(0), np.array(0), reset="zero")
        ),
        Population("pool", (2, 2, 2), MaxPool(2, pool)),
        Population(
            "leaky",
            (3,),
            IntegerNeuron(
                np.array(40),
                np.arange(3),
                np.zeros(3, int),
                payload_max=15,
                current_decay=1024,
                membrane_decay=128,
            ),
            np.array([0.5, 1.5, 2.0]),
        ),
        Population("sum", (2,), IntegerNeuron(None, np.array(0), np.array(0), reset="none")),
    )
    point = Conv(np.ones((2, 1, 1, 1), int), 1, square(4, 1, 1, (0, 0)))
    loop = Sparse(np.array([1]), np.array([0]), np.array([2]), (3,), (3,))
    dense = Dense(np.arange(24).reshape(3, 8), (2, 2, 2))
    projections = (
        IntegerProjection("pixels", "conv", conv, exponent=np.array([0, 3]), weight_bits=5),
        IntegerProjection("pixels", "plain", point, weight_bits=2),
        IntegerProjection("plain", "pool", identity((2, 4, 4)), weight_bits=2),
        IntegerProjection("pool", "leaky", dense, weight_bits=6),
        IntegerProjection("leaky", "leaky", loop, delay=4),
        IntegerProjection("conv", "sum", Dense(np.ones((2, 32), int), (2, 4, 4)), weight_bits=2),
        IntegerProjection("leaky", "sum", Dense(np.ones((2, 3), int), (3,)), weight_bits=2),
    )
    outputs = (Output("sum", "membrane"), Output("leaky", "counts", 0.5))
    return IntegerNetlist("golden", populations, projections, outputs, 16)


def test_golden() -> None:
    assert print_netlist(integer_netlist()) == (GOLDEN / "integer.txt").read_text()


def real_netlist() -> RealNetlist:
    window = square(5, 3, 2, (0, 1), dilation=1)
    populations = (
        Population("x", (2, 5, 5), Input("spikes", 0, 1)),
        Population("y", (2, 2, 2), RealNeuron(np.array(0.1), np.array(0.0), np.array(0.05))),
    )
    projections = (
        RealProjection("x", "y", SumPool(np.array([0.25, 0.5]), window)),
        RealProjection("x", "y", Conv(np.ones((2, 1, 3, 3)), 2, window, groups=2), delay=3),
    )
    return RealNetlist("real", populations, projections, (Output("y", "counts"),), 8, 0.5e-3)


def test_golden_real() -> None:
    assert print_netlist(real_netlist()) == (GOLDEN / "real.txt").read_text()


def one_weight(netlist: IntegerNetlist) -> IntegerNetlist:
    first, *rest = netlist.projections
    weight = first.connectivity.weight.copy()
    weight[1, 0, 1, 1] += 1
    changed = replace(first, connectivity=first.connectivity.with_weight(weight))
    return replace(netlist, projections=(changed, *rest))


def one_threshold(netlist: IntegerNetlist) -> IntegerNetlist:
    populations = list(netlist.populations)
    model = populations[1].model
    assert isinstance(model, IntegerNeuron)
    populations[1] = replace(populations[1], model=replace(model, threshold=np.array([3, 6])))
    return replace(netlist, populations=tuple(populations))


def one_delay(netlist: IntegerNetlist) -> IntegerNetlist:
    *rest, last = netlist.projections
    return replace(netlist, projections=(*rest, replace(last, delay=9)))


def one_index(netlist: IntegerNetlist) -> IntegerNetlist:
    projections = list(netlist.projections)
    moved = Sparse(np.array([1]), np.array([1]), np.array([2]), (3,), (3,))
    projections[4] = replace(projections[4], connectivity=moved)
    return replace(netlist, projections=tuple(projections))


@pytest.mark.parametrize("change", [one_weight, one_threshold, one_delay, one_index])
def test_one_change_changes_one_line_or_more(change) -> None:
    netlist = integer_netlist()
    before = print_netlist(netlist).splitlines()
    after = print_netlist(change(netlist)).splitlines()
    assert len(before) == len(after)
    assert before != after


def test_cells_that_stand_apart_are_told() -> None:
    apart = Window((5, 4), (2, 3), (1, 1), ((1, 1), (0, 2)), (1, 1), (2, 3))
    text = "2x3 stride=1x1 padding=1x0:2"
    assert geometry_text(SumPool(np.ones(2), apart)) == f"sumpool {text} spacing=2x3"
    plain = replace(apart, spacing=())
    assert geometry_text(SumPool(np.ones(2), plain)) == f"sumpool {text}"


def test_equal_netlists_print_alike() -> None:
    assert print_netlist(integer_netlist()) == print_netlist(integer_netlist())


def test_a_digest_sees_type_shape_and_order() -> None:
    values = np.arange(6)
    other = [values.astype(float), values.reshape(2, 3), values[::-1]]
    assert len({digest(v) for v in (values, *other)}) == 4
    assert digest(values.reshape(2, 3)) == digest(np.asfortranarray(values.reshape(2, 3)))
    assert digest(values) == digest(values.astype(">i8"))


def test_values_print_without_loss_where_they_are_scalar() -> None:
    assert values_text(np.array(0.1)) == "0.1"
    assert values_text(np.array(-7)) == "-7"
    assert values_text(np.array([4, 4])).startswith("4[2]#")
    assert values_text(np.zeros((0, 2))) == "none[0x2]"
