"""Agreement with a source network that is small enough to compute by hand."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import neurodeploy as nd
from neurodeploy.datasets import Dataset
from neurodeploy.ir.analog import AnalogGraph, AnalogNode, Linear, ReLU
from neurodeploy.ir.analog import Input as Source
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.verify import accuracy
from neurodeploy.verify.agreement import Correlation, evaluate_source
from tests.verify.networks import neuron, project

T = 8
WEIGHT = np.array([[2, -1, 0], [0, 1, 1]])
# relu(W x) is (2, 0), (0, 1), (0.5, 1), (0, 1).
X = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]])


def network(sign: int = 1) -> Artifact:
    """One layer, its activation as a rate, and a readout; ``sign`` -1 swaps the classes."""
    graph = AnalogGraph(
        "hand",
        (
            AnalogNode("input", Source((3,)), (), (3,)),
            AnalogNode("linear", Linear(WEIGHT.astype(np.float64), np.zeros(2)), ("input",), (2,)),
            AnalogNode("relu", ReLU(), ("linear",), (2,)),
        ),
        ("input",),
        ("relu",),
    )
    unit = np.asarray(2.0)
    populations = (
        Population("in", (3,), Input("spikes", 0, 1)),
        Population("relu", (2,), neuron(2, initial=1), unit, "relu"),
    )
    weight = WEIGHT if sign > 0 else WEIGHT[::-1].copy()
    projections = (project("in", "relu", Dense(weight, (3,))),)
    net = IntegerNetlist("hand", populations, projections, (Output("relu", "counts"),), T)
    return Artifact(net, {"in": Encoding("rate", 8, 0.0, 1.0)}, graph)


def data(x: np.ndarray) -> Dataset:
    y = np.array([0, 1, 0, 1])[: len(x)]
    return Dataset("hand", "npz", None, x, y, None, (0.0, 1.0), 8, np.arange(len(x)))


def test_same_classes_and_the_same_rates() -> None:
    result = nd.verify(nd.compile(network(), "truenorth"), "reference", data(X))
    assert result.agreement is not None
    assert result.agreement.top1 == 1.0
    r = result.agreement.correlation["relu"]
    assert r is not None
    assert r > 0.95
    assert result.to_dict()["agreement"] == {"top1": 1.0, "layer_correlation": {"relu": r}}
    evaluated = nd.evaluate(network(), data(X))
    assert (evaluated.agreement, evaluated.source_accuracy) == (1.0, 0.75)
    assert evaluated.layer_correlation["relu"] == pytest.approx(r)


def test_evaluation_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large networks are compared with their sources a few samples at a time."""
    whole = nd.evaluate(network(), data(X))
    seen: list[int] = []
    source = accuracy.evaluate_source
    monkeypatch.setattr(
        accuracy, "evaluate_source", lambda g, x, n: (seen.append(len(x)), source(g, x, n))[1]
    )
    told: list[tuple[int, int]] = []
    for width in (1, 3):
        seen.clear(), told.clear()
        held = accuracy._Tally(network()).bytes_per_sample
        monkeypatch.setattr(accuracy, "COMPARED_BYTES", width * held)
        parts = nd.evaluate(network(), data(X), progress=lambda *done: told.append(done))
        assert seen == [width] * (len(X) // width) + [len(X) % width] * (len(X) % width > 0)
        assert [done for done, _ in told] == np.cumsum(seen).tolist()
        assert {n for _, n in told} == {len(X)}
        for f in fields(whole):
            one, other = getattr(whole, f.name), getattr(parts, f.name)
            if f.name in ("layer_correlation", "output_rmse"):
                assert one == pytest.approx(other), f.name
            else:
                assert one == other, f.name


def test_other_classes() -> None:
    result = nd.verify(nd.compile(network(-1), "truenorth"), "reference", data(X))
    assert result.exact  # exact, and yet another network
    assert result.agreement is not None
    assert result.agreement.top1 == 0.0
    r = result.agreement.correlation["relu"]
    assert r is not None
    assert r < 0


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    joined = Correlation()
    joined.add(a, b)
    return joined.value


def test_correlation_by_hand() -> None:
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert correlation(a, 5 * a - 2) == pytest.approx(1)
    assert correlation(a, -a) == pytest.approx(-1)
    assert correlation(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(0)
    assert correlation(np.array([1, 2, 3]), np.array([1, 3, 2])) == pytest.approx(0.5)


@given(
    pairs=arrays(
        np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.integers(-9, 9)
    ),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
def test_correlation_in_parts(pairs: np.ndarray, cuts: list[int]) -> None:
    joined = Correlation()
    for part in np.split(pairs, sorted(cuts)):
        joined.add(part[:, 0], part[:, 1])
    a, b = pairs.T
    if (a == a[0]).all() or (b == b[0]).all():
        assert joined.value is None
    else:
        assert joined.value == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)


def test_a_constant_has_no_correlation() -> None:
    varying = np.arange(7.0)
    # The mean of seven times 0.1 is not 0.1, and what is left would correlate.
    for constant in (np.zeros(7), np.full(7, 0.1), np.full(7, 1 / 3)):
        assert correlation(constant, varying) is None
        assert correlation(varying, constant) is None
    assert correlation(np.zeros(0), np.zeros(0)) is None


def test_the_source_network_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network().analog
    assert graph is not None
    with_torch = evaluate_source(graph, X, ["linear", "relu"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    without = evaluate_source(graph, X, ["linear", "relu"])
    for name in ("linear", "relu"):
        np.testing.assert_allclose(with_torch[name], without[name], atol=1e-6)
    np.testing.assert_allclose(without["relu"], np.maximum(X @ WEIGHT.T, 0), atol=1e-6)
