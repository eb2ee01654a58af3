"""Agreement with a source network that is small enough to compute by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.errors import DataError
from neurodeploy.execution import batches
from neurodeploy.execution.native.library import available
from neurodeploy.execution.native.moments import moments as native_moments
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.network import Network
from neurodeploy.source.analog import AnalogGraph, AnalogNode, Linear, ReLU
from neurodeploy.source.analog import Input as Source
from neurodeploy.stages import samples as stimulus
from neurodeploy.verification import accuracy, agreement
from neurodeploy.verification.agreement import Correlation, evaluate_source
from tests.verification.networks import dataset, layered, neuron, packed, project

T = 8
WEIGHT = np.array([[2, -1, 0], [0, 1, 1]])
# relu(W x) is (2, 0), (0, 1), (0.5, 1), (0, 1).
X = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]])


def network(sign: int = 1) -> Network:
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
    return Network(net, {"in": Encoding("rate", 8, 0.0, 1.0)}, graph)


def data(x: np.ndarray, range: tuple[float, float] | None = None) -> Samples:
    y = np.array([0, 1, 0, 1])[: len(x)]
    return Samples(x, y, range=range, levels=8, name="hand")


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


def same_evaluation(one: accuracy.Evaluation, other: accuracy.Evaluation) -> None:
    """All figures, those that are rounded sums to the last digits."""
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name in ("layer_correlation", "output_rmse"):
            assert a == pytest.approx(b), f.name
        elif f.name == "relative_error":
            assert {n: e.mean for n, e in a.items()} == pytest.approx(
                {n: e.mean for n, e in b.items()}
            )
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, f.name


def test_evaluation_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large networks run, and are compared with their sources, a few samples at a time."""
    whole = nd.evaluate(network(), data(X))
    encoded: list[int] = []
    encode = stimulus.encode
    monkeypatch.setattr(
        stimulus, "encode", lambda e, x, *rest: (encoded.append(len(x)), encode(e, x, *rest))[1]
    )
    told: list[tuple[int, int]] = []
    monkeypatch.setenv("NEURODEPLOY_THREADS", "1")  # threads take turns within a batch
    for room, width in ((1, 1), (3, 2)):  # divisors of the groups that are summed
        encoded.clear(), told.clear()
        held = accuracy.tally_of(network(), True).bytes_per_sample
        monkeypatch.setattr(batches, "BATCH_BYTES", room * held)
        parts = nd.evaluate(network(), data(X), progress=lambda *done: told.append(done))
        assert encoded == [width] * (len(X) // width) + [len(X) % width] * (len(X) % width > 0)
        assert [done for done, _ in told] == np.cumsum(encoded).tolist()
        assert {n for _, n in told} == {len(X)}
        same_evaluation(whole, parts)


@pytest.mark.parametrize("with_torch", [True, False])
def test_the_source_network_batch_by_batch(
    with_torch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of threads gives the same, to the last bit; batches are as small as told."""
    if not with_torch:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    whole = nd.evaluate(network(), data(X))
    monkeypatch.setattr(agreement, "BATCH", 2)
    monkeypatch.setattr(agreement, "ACTIVATION_BYTES", 2 * 4 * 2)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("NEURODEPLOY_THREADS", threads)
        found.append(nd.evaluate(network(), data(X)))
    assert found[0] == found[1]
    same_evaluation(whole, found[0])
    graph = network().analog
    assert graph is not None
    values = agreement.over_source(graph, X, ["relu"], lambda part, v: (part, v["relu"]))
    assert [part for part, _ in values] == [slice(0, 2), slice(2, 4)]
    together = evaluate_source(graph, X, ["relu"])["relu"]
    np.testing.assert_array_equal(np.concatenate([v for _, v in values]), together)
    monkeypatch.setattr(agreement, "ACTIVATION_BYTES", 1)
    assert agreement.over_source(graph, X, ["relu"], lambda part, _: part.start) == [0, 1, 2, 3]


def test_softmax_draws_are_those_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample's spikes of a softmax do not depend on the part that it is in."""
    net = layered(membrane=True)
    output = replace(net.outputs[0], decode="softmax")
    drawn = packed(replace(net, outputs=(output,)))
    samples = dataset(40)
    whole = nd.evaluate(drawn, samples)
    assert len(set(whole.prefix_accuracy.values())) > 1
    for width in (1, 7):
        held = accuracy.tally_of(drawn, True).bytes_per_sample
        monkeypatch.setattr(batches, "BATCH_BYTES", width * held)
        assert nd.evaluate(drawn, samples) == whole


def test_samples_out_of_range_are_refused_before_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "summarizer", None)
    for value, message in ((np.nan, "NaN"), (1.5, "leave the range")):
        bad = X.copy()
        bad[-1, -1] = value
        with pytest.raises(DataError, match=message):
            nd.evaluate(network(), data(bad, range=(0.0, 2.0)))


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


@pytest.mark.parametrize("tile", [None, 1, 5, 12, 1000])
@pytest.mark.parametrize("rows", [1, 4, 9])
def test_correlation_of_rates_in_units(
    tile: int | None, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts times what a spike is worth, at once or tile by tile, and joined part by part."""
    at_once = []

    def moments(*arrays: np.ndarray) -> np.ndarray | None:
        at_once.append(None if tile else native_moments(*arrays))
        return at_once[-1]

    monkeypatch.setattr(agreement, "moments", moments)
    if tile:
        monkeypatch.setattr(agreement, "TILE", tile)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (9, 3, 4)).astype(np.int32)
    unit = np.broadcast_to(rng.uniform(0.1, 2, (3, 1)), (3, 4))
    theirs = (counts * unit + rng.normal(size=(9, 3, 4))).astype(np.float32)
    joined = Correlation()
    for i in range(0, 9, rows):
        part = Correlation()
        part.add(counts[i : i + rows], theirs[i : i + rows], unit)
        joined.join(part)
    expected = np.corrcoef((counts * unit).ravel(), theirs.ravel())[0, 1]
    assert joined.value == pytest.approx(expected, abs=1e-12)
    assert all(sums is not None for sums in at_once) == (tile is None and available())
    once = Correlation()
    once.add(counts * unit, theirs)
    assert once.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.skipif(not available(), reason="there is no C compiler")
@pytest.mark.parametrize("constant", ["ours", "theirs", "neither"])
def test_correlation_at_once_of_what_does_not_vary(constant: str) -> None:
    rng = np.random.default_rng(0)
    ours = rng.integers(0, 9, (3, 13)).astype(np.int32)
    theirs = rng.normal(size=(3, 13)).astype(np.float32)
    (ours if constant == "ours" else theirs if constant == "theirs" else ours[:0])[:] = 3
    found = Correlation()
    found.add(ours, theirs, 0.1)
    expected = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] if constant == "neither" else None
    assert found.value == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_correlation_far_from_zero() -> None:
    """Sums of squares alone would lose all digits."""
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, 100_000))
    joined = Correlation()
    for part in range(0, 100_000, 1000):
        cut = slice(part, part + 1000)
        joined.add(1e9 + a[cut], a[cut] + noise[cut])
    assert joined.value == pytest.approx(np.corrcoef(a, a + noise)[0, 1], abs=1e-6)


def test_different_constants_vary_together() -> None:
    """Each part is constant, all together are not."""
    joined = Correlation()
    joined.add(np.zeros(4), np.ones(4))
    assert joined.value is None
    joined.add(np.ones(4), np.zeros(4))
    assert joined.value == pytest.approx(-1)


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
