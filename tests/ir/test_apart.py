"""Populations cut out of a netlist hear what was recorded, in the steps in which it arrives."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.ir.apart import cut_out, late_projections
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.netlist import IntegerNetlist, Output
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import current, net, neuron, project, spikes


def whole(lag: int) -> IntegerNetlist:
    gains = (0,) * lag + (1,) * (6 - lag)
    cells = [spikes("x", (3,), -2, 4), neuron("a", (3,), 2, firing_gain=gains if lag else ())]
    cells += [current("c", (3,), 0, 9), neuron("b", (3,), 3)]
    links = [
        project("x", "a", identity((3,))),
        project("a", "b", identity((3,), 2)),
        project("c", "b", identity((3,))),
    ]
    return net("n", cells, links, ["b"], 6)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_what_was_cut_out_does_what_it_did(lag: int) -> None:
    netlist, random = whole(lag), np.random.default_rng(0)
    x = {"x": random.integers(-2, 5, (4, 6, 3)), "c": random.integers(0, 10, (4, 3))}
    record = run_reference(netlist, x)
    assert record.spikes["b"].any()
    b = netlist.by_name["b"]
    sources = {
        "a": (netlist.by_name["a"], record.spikes["a"]),
        "c": (netlist.by_name["c"], x["c"]),
    }
    apart, stimulus = cut_out(
        IntegerNetlist, [b], netlist.incoming["b"], sources, [Output("b", "counts")], 6
    )
    assert [p.name for p in apart.populations] == ["a", "c", "b"]
    assert [o.population for o in apart.outputs] == ["b"]
    assert apart.by_name["c"].model == Input("current", 0, int(x["c"].max()))
    assert apart.by_name["a"].model == Input("spikes", 0, 1)
    again = run_reference(apart, stimulus).spikes["b"]
    # What rolls around the window comes after its end.
    np.testing.assert_array_equal(again[:, : 6 - lag], record.spikes["b"][:, : 6 - lag])


def test_delays_that_align_nothing_are_late() -> None:
    netlist = whole(0)
    assert late_projections(netlist) == []
    first, *rest = netlist.projections
    cells = netlist.populations
    late = net("n", cells, [first, *rest, project("x", "b", identity((3,)), 1)], ["b"], 6)
    assert late_projections(late) == ["x->b"]
