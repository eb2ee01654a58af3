"""The builder of small netlists: what it builds, what it is called, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import NetlistError
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder

W = np.arange(-9, 9).reshape(2, 1, 3, 3)
V = np.arange(54).reshape(3, 18) - 27
ZERO = np.array(0)


def test_a_chain_is_the_netlist_that_is_written_out() -> None:
    built = (
        NetlistBuilder(T=16)
        .input("x", (1, 8, 8))
        .conv(W, threshold=60)
        .maxpool(2)
        .dense(V, bias=[1, 2, 3], delay=4, exponent=2, bits=7)
        .output()
    )
    size, pooled = Window((8, 8), (3, 3), (1, 1), ((0, 0),) * 2, (1, 1)), (2, 3, 3)
    half = Window((6, 6), (2, 2), (2, 2), ((0, 0),) * 2, (1, 1))
    written = IntegerNetlist(
        "net",
        (
            Population("x", (1, 8, 8), Input("spikes", 0, 1)),
            Population("conv_1", (2, 6, 6), IntegerNeuron(np.array(60), ZERO, ZERO)),
            Population("maxpool_2", pooled, MaxPool(2, half)),
            Population("dense_3", (3,), IntegerNeuron(None, np.array([1, 2, 3]), ZERO)),
        ),
        (
            IntegerProjection("x", "conv_1", Conv(W, 1, size)),
            IntegerProjection("conv_1", "maxpool_2", identity((2, 6, 6))),
            IntegerProjection("maxpool_2", "dense_3", Dense(V, pooled), 4, np.array(2), 7),
        ),
        (Output("dense_3", "membrane"),),
        16,
    )
    assert built == written


def test_branches_loops_and_every_field_of_a_neuron() -> None:
    gains = (0, 1, 2, 3)
    options: dict[str, Any] = {
        "negative_threshold": 5,
        "initial_membrane": [1, 2],
        "payload_max": 8,
        "payload_code": "power_of_two",
        "memory": True,
        "input_gain": gains,
        "firing_gain": gains[::-1],
        "coding": "sum",
        "unit": 0.5,
        "source": "fc",
    }
    b = NetlistBuilder(T=4, name="branches").input("x", 3, kind="current", low=-9, high=9)
    b.dense([[1, 2, 3], [4, 5, 6]], name="a", threshold=7, **options)
    b.sparse([[0, 2, 0]], 1, after="x", name="b", threshold=3, reset="zero", membrane_decay=9)
    b.neurons("c", 2, 4, current_decay=100).connect("a", "c", np.eye(2, dtype=int), delay=2)
    b.connect("c", "c", identity((2,), 3), exponent=[1, 2]).connect("b", "c", [[1], [2]])
    netlist = b.output("c", Output("a", "counts", 2.0))
    model = netlist.by_name["a"].model
    assert isinstance(model, IntegerNeuron)
    assert (model.memory, model.payload_max, model.input_gain) == (True, 8, gains)
    assert (netlist.by_name["a"].coding, netlist.by_name["a"].source) == ("sum", "fc")
    links = {(q.pre, q.post): q for q in netlist.projections}
    assert links["a", "c"].delay == 2
    assert isinstance(links["x", "b"].connectivity, Sparse)
    assert links["x", "b"].connectivity.weight.tolist() == [2]
    assert links["c", "c"].exponent.tolist() == [1, 2]
    assert netlist.schedule.cyclic
    assert netlist.outputs == (Output("c", "counts"), Output("a", "counts", 2.0))


def test_pools_take_the_sign_of_their_source() -> None:
    b = NetlistBuilder().input("x", (2, 4, 4), low=-1).maxpool(2, name="m").sumpool(2, 3)
    model, link = b["m"].model, b.output().projections[-1].connectivity
    assert isinstance(model, MaxPool)
    assert isinstance(link, SumPool)
    assert (model.signed, link.weight.tolist()) == (True, [3, 3])
    unsigned = NetlistBuilder().input("x", (2, 4, 4)).maxpool(2, rule="winner")["maxpool_1"].model
    assert isinstance(unsigned, MaxPool)
    assert (unsigned.signed, unsigned.rule) == (False, "winner")


def test_weights_and_stimuli_are_drawn_the_same_from_the_same_seed() -> None:
    def drawn(seed: int) -> tuple[IntegerNetlist, Any]:
        b = NetlistBuilder(T=5, seed=seed).input("x", (1, 5, 5)).conv(4, threshold=30)
        b.input("y", 3, kind="current", low=-4, high=4).dense(2, threshold=30)
        return b.connect("conv_1", "dense_3", 0.5).output(), b.stimulus(samples=6, rate=0.5)

    (one, given), (same, again), (other, _) = drawn(1), drawn(1), drawn(2)
    assert one == same != other
    assert {n: x.shape for n, x in given.items()} == {"x": (6, 5, 1, 5, 5), "y": (6, 3)}
    for name, values in given.items():
        np.testing.assert_array_equal(values, again[name])
    assert run_reference(one, given).spikes["conv_1"].any()


def test_stimuli_of_a_wide_range_are_drawn_at_once() -> None:
    most = 2**31 - 1
    drawn = NetlistBuilder(T=9).input("x", 40, low=-most, high=most).stimulus(rate=1.0)["x"]
    assert (np.abs(drawn) > most // 100).mean() > 0.9
    assert set(NetlistBuilder().input("x", 99, low=-1, high=2).stimulus(rate=1.0)["x"].flat) == {
        *(-1, 1, 2)
    }


def no_population(b: NetlistBuilder) -> object:
    return b.dense(3)


def small(b: NetlistBuilder) -> NetlistBuilder:
    return b.input("x", 3)


def image(b: NetlistBuilder) -> NetlistBuilder:
    return b.input("x", (3, 4, 4))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (no_population, r"net: has no population yet; begin with input\(name, shape\)"),
        (lambda b: small(b).input("x", 2), "population 'x' is there already; pass another name"),
        (lambda b: small(b).dense(2, after="y"), "net: no population 'y'; populations: x"),
        (lambda b: small(b).dense(2, treshold=3), "dense_1: no option 'treshold' of neurons; opt"),
        (
            lambda b: small(b).conv(2),
            r"a convolution .* over 'x' of shape \(3,\); expected",
        ),
        (lambda b: small(b).sparse(1.5, 2), "1.5 of the pairs of 'x' .*; expected a share above 0"),
        (lambda b: small(b).sparse([[1, 2]], 1), r"weights of shape \(1, 2\) .* expected \(1, 3\)"),
        (lambda b: small(b).dense([[1, 2, 3]], bits=2), "exceed 2 bits"),
        (lambda b: small(b).dense([[1, 2]], threshold=3), "dense"),
        (lambda b: small(b).dense([[0.5, 1, 2]]), "needs integer weights"),
        (lambda b: small(b).dense(2).dense(2).output(), "'dense_1' has no threshold: no spikes"),
        (lambda b: small(b).dense(2, threshold=0), "threshold 0 is below the smallest legal 1"),
        (lambda b: small(b).dense(2).output("h"), "no population 'h'"),
        (lambda b: small(b).dense(-2), "-2 neurons or channels; expected at least 1"),
        (lambda b: small(b).dense(True), "True neurons or channels; expected at least 1"),
        (lambda b: small(b).dense([[1, 2], [1]]), "weights in rows of different length"),
        (lambda b: small(b).layer(3), "a layer of int; expected a Connectivity"),
        (lambda b: small(b).dense(2, threshold=3, input_gain=5), "input_gain of type int; exp"),
        (lambda b: small(b).dense(2, mean="a"), "'dense_1': mean: expected numbers"),
        (lambda b: image(b).conv(4, groups=0), "groups 0 does not divide channels 3 -> 4"),
        (
            lambda b: image(b).sumpool(2, [1, 2, 3, 4]),
            "4 weights of a sum .* 3 channels, or",
        ),
        (lambda b: image(b).sumpool(2, [1, 2]), "2 weights of a sum .* 3 channels, or so many"),
        (lambda b: small(b).stimulus(-1), "a stimulus of -1 samples"),
        (lambda b: NetlistBuilder(seed="a"), "seed 'a'; expected a whole number"),
    ],
)
def test_nonsense_is_refused_in_one_line(build: Any, message: str) -> None:
    with pytest.raises(NetlistError, match=message) as told:
        build(NetlistBuilder())
    assert "\n" not in str(told.value)


def test_a_builder_shows_what_it_has() -> None:
    assert repr(NetlistBuilder(T=3).input("x", 2)) == "NetlistBuilder(net: T = 3, x)"


def test_nothing_of_pytest_is_needed(fresh_python: Any) -> None:
    out = fresh_python(
        "import sys\n"
        "import neurodeploy.testing\n"
        "print(sorted({'pytest', 'torch', 'hypothesis'} & set(sys.modules)))"
    )
    assert out.strip() == "[]"
