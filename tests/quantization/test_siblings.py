"""Populations that hear the same: equal integers, or exactly negated ones, and one unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.siblings import sibling_groups
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.integers import Quantization
from tests.quantization.netlists import feed_forward, neuron, square

THETA = {"a": 2.0, "b": 3.5, "minus": 1.1, "c": 2.0}


def network(**entry) -> RealNetlist:
    """Convolutions of x: equal ones, a negated one and another one, and two that hear all."""
    random = np.random.default_rng(3)
    heard = random.normal(size=(4, 2, 3, 3))
    # On the grid of full range -1 is -128, which negated is no integer of 8 bits.
    heard[:, 0, 0, 0] = -np.abs(heard).max(axis=(1, 2, 3)) * 1.004
    weights = {"a": heard, "b": heard.copy(), "minus": -heard, "c": random.normal(size=heard.shape)}
    shape = (4, 6, 6)
    last = {n: Dense(random.normal(size=(5, 144)), shape) for n in weights}
    mean = random.uniform(1.0, 6.0, size=(2, 6, 6))
    netlist = feed_forward(
        *(
            (
                n,
                shape,
                neuron(np.full(4, THETA[n]), random.normal(size=4) * 0.3),
                {"x": Conv(w, 2, square(6, 3, pad=1))},
            )
            for n, w in weights.items()
        ),
        ("up", (5,), neuron(np.full(5, 2.5)), last),
        (
            "down",
            (5,),
            neuron(np.full(5, 9.0)),
            {n: Dense(-w.weight, shape) for n, w in last.items()},
        ),
        ("out", (2,), neuron(None), {n: Dense(np.eye(2, 5), (5,)) for n in ("up", "down")}),
        shape=(2, 6, 6),
        **entry,
    )
    populations = tuple(
        replace(p, mean=mean) if p.name == "x" else replace(p, mean=np.full(p.shape, 0.3))
        for p in netlist.populations
    )
    return replace(netlist, populations=populations)


def names(netlist: RealNetlist, **options) -> list[list[tuple[str, int]]]:
    groups = sibling_groups(netlist, **options)
    return [[(x.population.name, x.sign) for x in siblings] for siblings in groups]


def emissions(netlist: RealNetlist) -> dict[str, object]:
    random = np.random.default_rng(5)
    return {
        p.name: random.integers(0, 9, size=(40, *p.shape))
        for p in netlist.populations
        if p.name != "out"
    }


def test_groups_are_found_by_what_is_heard() -> None:
    found = names(network())
    assert found == [
        [("a", 1), ("b", 1), ("minus", -1)],
        [("c", 1)],
        [("up", 1), ("down", -1)],
        [("out", 1)],
    ]


def test_populations_of_other_widths_or_delays_stay_apart() -> None:
    netlist = network()
    assert [("a", 1), ("minus", -1)] in names(netlist, kind=lambda name: name == "b")
    late = tuple(replace(q, delay=3) if q.post == "b" else q for q in netlist.projections)
    assert [("a", 1), ("minus", -1)] in names(replace(netlist, projections=late))


def test_one_projection_of_another_sign_is_no_sibling() -> None:
    netlist = network()
    turned = tuple(
        replace(q, connectivity=q.connectivity.with_weight(-q.connectivity.weight))
        if (q.pre, q.post) == ("b", "down")
        else q
        for q in netlist.projections
    )
    assert [("up", 1)] in names(replace(netlist, projections=turned))


@pytest.mark.parametrize(
    ("options", "data"),
    [({}, False), ({"weight_bits": 4}, True), ({"weight_bits": 3, "levels": "fitted"}, False)],
)
def test_siblings_share_their_integers(options: dict[str, object], data: bool) -> None:
    netlist = network()
    heard = Heard(emissions(netlist)) if data else None
    integer, report = Quantization(**options)(netlist, heard)
    by_pair = {(q.pre, q.post): q for q in integer.projections}
    a, b, minus = (by_pair["x", n] for n in ("a", "b", "minus"))
    assert a.connectivity is b.connectivity
    assert (minus.connectivity.weight == -a.connectivity.weight).all()
    for q in (b, minus):
        assert (q.exponent == a.exponent).all()
        assert q.weight_bits == a.weight_bits
    for n in THETA:
        up, down = by_pair[n, "up"], by_pair[n, "down"]
        assert (down.connectivity.weight == -up.connectivity.weight).all()
        assert (down.exponent == up.exponent).all()
    rows = {row["layer"]: row for row in report}
    assert [row["layer"] for row in report] == ["a", "b", "minus", "c", "up", "down", "out"]
    for key in ("weight_snr_db", "input_snr_db", "levels", "lost_bits", "compensated"):
        assert rows["a"][key] == rows["b"][key] == rows["minus"][key]
    assert rows["a"]["compensated"] is data


def test_thresholds_count_in_one_unit() -> None:
    """The smallest is a whole number of units, the others round by half a unit at most."""
    integer, _ = Quantization(8)(network())
    theta = {n: integer.by_name[n].model.threshold for n in ("a", "b", "minus")}
    unit = THETA["minus"] / theta["minus"]
    assert theta["minus"].min() >= 256
    for n, whole in theta.items():
        assert (np.abs(whole * unit - THETA[n]) <= unit / 2 + 1e-12).all()


def test_a_state_that_is_too_wide_costs_all_siblings_alike() -> None:
    wide, _ = Quantization(8)(network())
    narrow, report = Quantization(8, state_bits=14)(network())
    for integer in (wide, narrow):
        weights = [q.connectivity.weight for q in integer.projections if q.pre == "x"]
        assert (weights[0] == weights[1]).all()
        assert (weights[0] == -weights[2]).all()
    assert (narrow.by_name["a"].model.threshold < wide.by_name["a"].model.threshold).all()
    assert max(row["state_bound"] for row in report) < 2**13


def test_biases_take_back_rounding_with_the_sign_of_the_weights() -> None:
    netlist = network()
    kept, _ = Quantization(4)(netlist)
    raw, _ = Quantization(4, bias_correction=False)(netlist)
    change = {n: kept.by_name[n].model.bias - raw.by_name[n].model.bias for n in THETA}
    assert np.abs(change["a"]).max() > 4
    assert np.abs(change["a"] - change["b"]).max() <= 1
    assert np.abs(change["a"] + change["minus"]).max() <= 1


def test_a_threshold_that_rounds_changes_what_its_spikes_are_worth() -> None:
    """Without fractional bits thresholds are a few units: the weights behind make up for it."""
    netlist = network()
    integer, _ = Quantization(8, max_fraction_bits=0)(netlist)
    ratios = {}
    for n in ("a", "b", "minus"):
        theta = integer.by_name[n].model.threshold
        unit = THETA["minus"] / integer.by_name["minus"].model.threshold
        ratios[n] = theta * unit / THETA[n]
        wanted = netlist.by_name[n].unit * ratios[n]
        np.testing.assert_allclose(integer.by_name[n].unit, wanted)
    assert np.abs(ratios["b"] - 1).max() > 2e-3
    unit = 2.5 / integer.by_name["up"].model.threshold
    by_pair = {(q.pre, q.post): q for q in integer.projections}
    for real in netlist.projections:
        if real.post == "up" and real.pre in ratios:
            whole = by_pair[real.pre, "up"]
            step = (unit * 2.0**whole.exponent)[:, None]
            wanted = real.connectivity.scale_inputs(ratios[real.pre]).weight / step
            clipped = np.clip(wanted, -127, 127)
            assert np.abs(whole.connectivity.weight - clipped).max() <= 1
            if real.pre == "b":
                apart = whole.connectivity.weight * step - real.connectivity.weight
                left = (whole.connectivity.weight - wanted) * step
                assert np.abs(apart).sum() > np.abs(left).sum()
