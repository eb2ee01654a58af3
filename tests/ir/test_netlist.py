"""Netlists, projections and stimuli: what does not go together is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import DataError, NetlistError
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.ir.projection import MAX_EXPONENT
from neurodeploy.ir.record import RunRecord, checked_stimulus, joined_samples, joined_steps
from neurodeploy.network import Network, network_to_bytes
from neurodeploy.testing.parts import current, integrator, neuron, pool, spikes, window

ONES = Dense(np.ones((2, 3), int), (3,))


def net(**fields: Any) -> IntegerNetlist:
    given = {
        "name": "net",
        "populations": (spikes("x", (3,)), neuron("h", (2,)), integrator("y", (2,))),
        "projections": (
            IntegerProjection("x", "h", ONES),
            IntegerProjection("h", "y", identity((2,))),
        ),
        "outputs": (Output("y", "membrane"), Output("h", "counts")),
        "timesteps": 4,
    }
    return IntegerNetlist(**given | fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "two\nlines"}, "netlist name 'two\\\\nlines'; expected one line"),
        ({"name": 3}, "netlist name int; expected one line"),
        ({"timesteps": 0}, "net: timesteps 0; expected at least 1"),
        ({"dt": 0.0}, "net: dt 0.0 s; expected a positive time"),
        ({"dt": float("inf")}, "net: dt inf s"),
        ({"populations": ()}, "net: no populations"),
        (
            {"populations": (spikes("x", (3,)), neuron("h", (2,)), neuron("h", (2,)))},
            "net: population 'h' is defined twice",
        ),
        ({"projections": (IntegerProjection("x", "z", ONES),)}, "x->z: no population 'z'"),
        ({"projections": (IntegerProjection("z", "h", ONES),)}, "z->h: no population 'z'"),
        (
            {"projections": (IntegerProjection("h", "x", Dense(np.ones((3, 2), int), (2,))),)},
            "h->x: an input receives no projections",
        ),
        (
            {"projections": (IntegerProjection("y", "h", identity((2,))),)},
            "y->h: 'y' has no threshold: no spikes",
        ),
        ({"projections": (IntegerProjection("h", "y", ONES),)}, r"connectivity takes \(3,\), 'h'"),
        (
            {"projections": (IntegerProjection("x", "h", identity((3,))),)},
            r"x->h: connectivity gives \(3,\), 'h' takes \(2,\)",
        ),
        (
            {"projections": (RealProjection("x", "h", Dense(np.ones((2, 3)), (3,))),)},
            "x->h: RealProjection in a IntegerNetlist",
        ),
        ({"outputs": ("y",)}, "outputs: expected a tuple of Output"),
        ({"populations": None}, "populations: expected a tuple of Population"),
        ({"projections": (3,)}, "projections: expected a tuple of Projection"),
        ({"timesteps": 2**70}, "expected at most 1099511627776"),
        ({"dt": "1ms"}, "dt '1ms'; expected a number"),
        ({"outputs": (Output("y", "membrane", "a"),)}, "output 'y': offset 'a'; expected a num"),
        ({"outputs": (Output("y", "membrane"),) * 2}, "output 'y': is listed twice"),
        ({"outputs": (Output("z", "membrane"),)}, "output: no population 'z'"),
        ({"outputs": (Output("y", "median"),)}, "output 'y': decode 'median'"),
        ({"outputs": (Output("y", "membrane", float("nan")),)}, "output 'y': offset nan"),
        ({"outputs": (Output("h", "membrane"),)}, "output 'h': membrane decoding needs an integ"),
        ({"outputs": (Output("h", "softmax"),)}, "output 'h': softmax decoding needs an integ"),
        ({"outputs": (Output("y", "counts"),)}, "output 'y': counts need a threshold"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], told: str) -> None:
    assert net().timesteps == 4
    with pytest.raises(NetlistError, match=told):
        net(**fields)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Population("a", (2,), None), "model of type NoneType; expected an input, neuron"),
        (lambda: IntegerProjection("x", "h", None), "x->h: got NoneType; expected a Connectivity"),
        # It was -1 in 64 bits with a sign.
        (lambda: Dense(np.full((2, 3), 2**64 - 1, np.uint64), (3,)), "beyond 64 bits with a sign"),
        (lambda: neuron("h", (2,), 5, bias=None), "bias None; a number"),
        (lambda: neuron("h", (2,), 5, comparison=5), "comparison of type int; expected one for"),
        (lambda: MaxPool("1", window((4,), 2)), "channels '1'; expected a whole number"),
        (lambda: MaxPool(0, window((4,), 2)), "pooling of 0 channels; expected at least 1"),
        (lambda: MaxPool(1, None), "pooling over NoneType; expected a Window"),
        (lambda: Encoding("current", 255, "0", 1), "input low '0'; expected a number"),
        (lambda: Encoding("current", 255, 0, 1, 0.5, 0.5), "input mean 0.5; expected a tuple"),
        (lambda: Network(net(), {"x": 3}), "encodings: expected an Encoding for each input"),
        (lambda: Network(net(), real=net()), "real=IntegerNetlist; pass a RealNetlist"),
        (lambda: Network(net(), analog=3), "analog=int; pass an AnalogGraph"),
        (lambda: Network(net(), provenance=[1]), "encodings and provenance are mappings"),
        (
            lambda: network_to_bytes(Network(net(), provenance={"a": float("nan")})),
            "provenance: Out of range float .*; it holds JSON values",
        ),
    ],
)
def test_parts_of_another_kind_are_refused(make: Any, told: str) -> None:
    with pytest.raises(NetlistError, match=told) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_outputs_take_nothing_off_unless_told() -> None:
    plain = Output("y", "membrane")
    assert (plain.offset, plain.reads_membrane) == (0.0, True)
    assert Output("y", "softmax").reads_membrane
    assert not Output("h", "counts").reads_membrane


def test_neurons_are_of_the_netlist() -> None:
    integers = net()
    with pytest.raises(NetlistError, match="'h': IntegerNeuron in a RealNetlist; expected RealN"):
        RealNetlist("r", integers.populations, (), (), 4)


@pytest.mark.parametrize(("low", "weight", "signed"), [(0, 1, False), (-1, 1, True), (0, -1, True)])
def test_pools_are_signed_where_they_hear_what_is(low: int, weight: int, signed: bool) -> None:
    def pooled(told: bool) -> IntegerNetlist:
        parts = (spikes("x", (1, 2), low), pool("p", 1, window((2,), 2), signed=told))
        into = IntegerProjection("x", "p", identity((1, 2), weight))
        return IntegerNetlist("net", parts, (into,), (), 4)

    pooled(True)
    if signed:
        with pytest.raises(NetlistError, match="x->p: unsigned max-pooling needs unsigned input"):
            pooled(False)
    else:
        pooled(False)


def test_gains_are_of_as_many_steps_as_a_window_has() -> None:
    gained = neuron("h", (2,), firing_gain=(2, 1, 1, 1))
    ready = net(populations=(spikes("x", (3,)), gained, integrator("y", (2,))))
    assert (ready.window(), ready.window(4), net().window(9)) == (4, 4, 9)
    with pytest.raises(NetlistError, match="h: its gains are for 4 steps, not for 5; convert"):
        ready.window(5)
    with pytest.raises(NetlistError, match="timesteps 0; expected at least 1"):
        net().window(0)


def test_what_a_netlist_tells_of_itself() -> None:
    whole = net()
    assert repr(whole) == "IntegerNetlist(net: T = 4, 3 populations, 2 projections)"
    assert repr(RealNetlist("r", (spikes("x", (1,)),), (), (), 1)).endswith("0 projections)")
    assert "1 population," in repr(RealNetlist("r", (spikes("x", (1,)),), (), (), 1))
    assert [q.label for q in whole.incoming["h"]] == ["x->h"]
    assert [q.label for q in whole.outgoing["h"]] == ["h->y"]
    assert (whole.incoming["x"], whole.outgoing["y"]) == ((), ())
    assert [p.name for p in whole.inputs] == ["x"]
    assert whole.n_steps == 6
    assert whole == net()
    others: list[dict[str, Any]] = [{"name": "m"}, {"timesteps": 5}, {"dt": 2e-3}, {"outputs": ()}]
    assert all(whole != net(**fields) for fields in others)
    assert whole != RealNetlist("net", (spikes("x", (3,)),), (), (), 4)


@pytest.mark.parametrize(
    ("legal", "illegal", "told"),
    [
        ({"delay": 1}, {"delay": 0}, "x->h: delay 0; the smallest is 1"),
        # 2^64 + 1 was 1 to the engine.
        ({"delay": 2**20}, {"delay": 2**20 + 1}, "delay 1048577; the largest is 1048576"),
        ({"weight_bits": 1}, {"weight_bits": 0}, "x->h: weight_bits 0; expected 1 to 16"),
        ({"weight_bits": 16}, {"weight_bits": 17}, "x->h: weight_bits 17; expected 1 to 16"),
        ({"exponent": 0}, {"exponent": -1}, f"x->h: exponent outside 0..{MAX_EXPONENT}"),
        (
            {"exponent": np.array([0, MAX_EXPONENT])},
            {"exponent": np.array([0, MAX_EXPONENT + 1])},
            f"x->h: exponent outside 0..{MAX_EXPONENT}",
        ),
        ({"exponent": np.array([1, 2])}, {"exponent": np.array([1, 2, 3])}, "exponent of shape"),
        ({"exponent": np.int8(1)}, {"exponent": 1.0}, "exponent of shape"),
    ],
)
def test_limits_of_projections(legal: dict[str, Any], illegal: dict[str, Any], told: str) -> None:
    nothing = Dense(np.zeros((2, 3), int), (3,))
    IntegerProjection("x", "h", nothing, **legal)
    with pytest.raises(NetlistError, match=told):
        IntegerProjection("x", "h", nothing, **illegal)


@pytest.mark.parametrize(("bits", "low", "high"), [(1, -1, 0), (2, -2, 1), (8, -128, 127)])
def test_weights_have_the_width_that_is_told(bits: int, low: int, high: int) -> None:
    legal = Dense(np.array([[low, high]]), (2,))
    assert IntegerProjection("x", "h", legal, weight_bits=bits).weight_bits == bits
    for beyond in ([low - 1, 0], [low, high + 1]):
        with pytest.raises(NetlistError, match=f"exceed {bits} bits"):
            IntegerProjection("x", "h", Dense(np.array([beyond]), (2,)), weight_bits=bits)


def test_weights_are_of_the_projection() -> None:
    real = Dense(np.ones((2, 3)), (3,))
    with pytest.raises(NetlistError, match="x->h: a real-valued projection needs float weights"):
        RealProjection("x", "h", ONES)
    with pytest.raises(NetlistError, match="x->h: an integer projection needs integer weights"):
        IntegerProjection("x", "h", real)
    assert RealProjection("x", "h", real) == RealProjection("x", "h", real)
    assert RealProjection("x", "h", real) != RealProjection("x", "h", real, delay=2)
    first = IntegerProjection("x", "h", ONES, exponent=np.array([1, 2]))
    assert first != IntegerProjection("x", "h", ONES, exponent=np.array([1, 3]))
    assert first != IntegerProjection("x", "h", ONES, exponent=1)
    spiked = np.array([[1, 0, 1]])
    assert first.synaptic_input(spiked).tolist() == [[4, 8]]


def test_exponents_of_channels_reach_all_of_their_neurons() -> None:
    shifted = IntegerProjection("x", "h", identity((2, 3)), exponent=np.array([0, 2]))
    assert shifted.synaptic_input(np.ones((1, 2, 3), int)).tolist() == [[[1] * 3, [4] * 3]]


def listens(*populations: Any) -> IntegerNetlist:
    return IntegerNetlist("net", populations, (), (), 4)


def test_a_stimulus_is_checked_and_widened() -> None:
    both = listens(spikes("x", (2,), -1, 2), current("c", (3,), 0, 9))
    given = {"x": np.zeros((5, 4, 2), np.int8), "c": np.zeros((5, 3), np.uint8)}
    found, batch = checked_stimulus(both, given, 4)
    assert batch == 5
    assert {values.dtype for values in found.values()} == {np.dtype(np.int64)}
    narrow, _ = checked_stimulus(both, given, 4, as_given=True)
    assert narrow["x"].dtype == np.int8
    assert checked_stimulus(listens(neuron("h", (1,))), {}, 4) == ({}, 1)
    assert checked_stimulus(both, {n: v[:0] for n, v in given.items()}, 4)[1] == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"z": np.zeros((5, 3), int)}, r"stimulus for inputs \['c', 'x', 'z'\]; the netlist has"),
        ({"x": np.zeros((5, 3, 2), int)}, r"'x': stimulus of shape \(5, 3, 2\); .*\(samples, 4, 2"),
        ({"c": np.zeros((5, 4, 3), int)}, r"input 'c': stimulus of shape \(5, 4, 3\)"),
        ({"c": np.array(3)}, r"input 'c': stimulus of shape \(\)"),
        ({"c": np.zeros((5, 3))}, "input 'c': stimulus of dtype float64; expected integers"),
        ({"x": np.full((5, 4, 2), -2)}, r"values in \[-2, -2\] exceed the declared range \[-1, 2"),
        ({"x": np.full((5, 4, 2), 3)}, r"values in \[3, 3\] exceed"),
        ({"c": np.zeros((4, 3), int)}, r"different numbers of samples: \[4, 5\]"),
    ],
)
def test_a_stimulus_that_does_not_fit_is_refused(change: dict[str, Any], told: str) -> None:
    both = listens(spikes("x", (2,), -1, 2), current("c", (3,), 0, 9))
    legal = {"x": np.full((5, 4, 2), 2), "c": np.full((5, 3), 9)}
    checked_stimulus(both, legal | {"x": np.full((5, 4, 2), -1)}, 4)
    with pytest.raises(DataError, match=told):
        checked_stimulus(both, legal | change, 4)


def test_records_of_parts_are_joined_along_steps_or_samples() -> None:
    rows = np.arange(12).reshape(2, 3, 2)
    first = RunRecord(3, {"h": rows}, {"y": rows + 50}, {"h": 2})
    second = replace(first, spikes={"h": rows + 100})
    steps, samples = joined_steps([first, second]), joined_samples([first, second])
    assert (steps.timesteps, steps.spikes["h"].shape) == (6, (2, 6, 2))
    assert (samples.timesteps, samples.spikes["h"].shape) == (3, (4, 3, 2))
    assert samples.spikes["h"][2:].tolist() == (rows + 100).tolist()
    assert samples.membranes["y"][2:].tolist() == (rows + 50).tolist()
    assert samples.latency == {"h": 2}
    assert joined_steps([first]) is first
