"""From data to what every executor receives."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.datasets import Normalization, Samples
from neurodeploy.errors import DataError, UsageError
from neurodeploy.execution import batches
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.network import Network
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.testing import NetlistBuilder

SHAPE = (3, 2, 2)
T = 6


def network(kind: str = "spikes", **encoding: object) -> Network:
    given = {"encoder": "current" if kind == "current" else "poisson", "levels": 255}
    fields = {**given, "low": 0.0, "high": 1.0, **encoding}
    top = 255 if kind == "current" else 1
    netlist = IntegerNetlist(
        "net",
        (
            Population("x", SHAPE, Input(kind, 0, top)),
            Population("out", (2,), IntegerNeuron(np.array(9), np.array(0), np.array(4))),
        ),
        (IntegerProjection("x", "out", Dense(np.ones((2, 12), dtype=int), SHAPE)),),
        (Output("out", "counts"),),
        T,
    )
    return Network(netlist, {"x": Encoding(**fields)})


def dataset(n: int = 12, **fields: object) -> Samples:
    random = np.random.default_rng(0)
    given = {
        "name": "test",
        "split": None,
        "x": random.random((n, *SHAPE)).astype(np.float32),
        "y": random.integers(0, 2, n),
        "norm": None,
        "levels": None,
        "indices": np.arange(n),
    }
    return Samples(**{**given, **fields})


def raster(net: Network, data: Samples, samples: int | None = None) -> np.ndarray:
    stimulus, _ = stimulus_for(net, data, samples)
    return stimulus["x"]


def test_a_raster_depends_on_the_index_of_its_sample_alone() -> None:
    net, data = network(), dataset()
    whole = raster(net, data)
    assert whole.shape == (12, T, *SHAPE)
    for chosen in ([7], [3, 4, 5], [9, 1, 4, 11], [11, 10, 2, 3]):
        np.testing.assert_array_equal(raster(net, data.subset(chosen)), whole[chosen])
    np.testing.assert_array_equal(raster(net, data, 5), whole[:5])
    twice = raster(net, data.subset([4, 4]))
    np.testing.assert_array_equal(twice[0], twice[1])


def test_current_is_one_integer_per_neuron() -> None:
    data = dataset()
    given = raster(network("current"), data)
    np.testing.assert_array_equal(given, np.rint(data.x.astype(np.float64) * 255))


def by_hand() -> tuple[Network, dict[str, np.ndarray]]:
    """A netlist of two inputs, one of them a current, and integers for it."""
    b = NetlistBuilder(T=T).input("x", (1, 3)).input("c", 2, kind="current", low=-9, high=9)
    b.dense(np.ones((2, 3), int), threshold=2, after="x", name="h").connect(
        "c", "h", np.ones((2, 2), int)
    )
    return Network(b.output()), b.stimulus(4)


def test_a_netlist_written_by_hand_takes_integers_everywhere() -> None:
    net, given = by_hand()
    deployment = net.compile("brian2")
    for n in (None, 3):
        record = nd.run(deployment, given, n)
        assert len(record.spikes["h"]) == len(deployment.run(given, n).spikes["h"]) == (n or 4)
        found = nd.verify(deployment, ["reference", "engine"], given, n)
        assert found.exact
        assert found.samples == (n or 4)
        assert net.energy("loihi1", given, n).samples == (n or 4)
    with pytest.raises(DataError, match="the first 5 of 4 samples"):
        deployment.verify(given, 5)
    with pytest.raises(DataError, match=r"stimulus for inputs \['x'\]; the netlist has inputs"):
        deployment.verify({"x": given["x"]})
    with pytest.raises(UsageError, match="integers by input go to run, verify and energy"):
        net.evaluate(given)
    with pytest.raises(UsageError, match="--fast estimates from activations; give data"):
        net.energy("loihi1", given, fast=True)


def test_bytes_of_a_sample_are_encoded_by_every_stage() -> None:
    """They are 0 ... 255 of 255, as in Samples, and not integers of the encoding."""
    net, values = network("current", levels=51), np.full((2, *SHAPE), 50, np.uint8)
    deployment = nd.compile(net, "brian2")
    found = deployment.run({"x": values})
    np.testing.assert_array_equal(found.spikes["x"], 10)
    assert nd.run(deployment, {"x": values}).classes.shape == (2,)
    np.testing.assert_array_equal(nd.run(deployment, {"x": values.astype(int)}).spikes["x"], 50)
    rasters = np.ones((2, T, *SHAPE), np.uint8)
    assert nd.compile(network(), "brian2").run({"x": rasters}).spikes["x"].all()


def test_samples_come_back_with_their_labels() -> None:
    data = dataset()
    _, used = stimulus_for(network(), data, 4)
    assert len(used) == 4
    np.testing.assert_array_equal(used.y, data.y[:4])


OWN = {"mean": (0.4914009, 0.5, 0.25), "std": (0.2, 0.25, 0.1)}


def test_the_same_normalization_is_taken() -> None:
    data = dataset(norm=Normalization(**OWN))
    raster(network(**OWN), data)
    for scalar, spelled in (((0.5,), (0.5,) * 3), ((0.5,) * 3, (0.5,))):
        net = network(mean=scalar, std=scalar)
        raster(net, dataset(norm=Normalization(spelled, spelled)))


def test_another_normalization_is_refused_and_the_remedy_can_be_typed() -> None:
    other = dataset(norm=Normalization((0.491401, 0.5, 0.25), OWN["std"]))
    with pytest.raises(DataError, match="which is part of it: leave #norm out") as caught:
        raster(network(**OWN), other)
    assert "converted with 0.4914009,0.5,0.25/0.2,0.25,0.1" in str(caught.value)
    with pytest.raises(DataError, match="converted without: leave #norm out"):
        raster(network(), dataset(norm=Normalization((0.5,), (0.5,))))
    same = raster(network(**OWN), dataset(norm=Normalization(**OWN)))
    np.testing.assert_array_equal(raster(network(**OWN), dataset()), same)


def test_evaluation_holds_no_more_for_more_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, the raster would take 8 bytes for each of its values."""
    net, data = network(), dataset(6000)
    whole = 8 * T * math.prod(SHAPE) * len(data)
    monkeypatch.setattr(batches, "BATCH_BYTES", whole // 100)
    nd.evaluate(net, data, 100)  # what is loaded once
    tracemalloc.start()
    nd.evaluate(net, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < whole / 5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"samples of shape \(3, 4\); the network takes"):
        raster(network(), dataset(x=np.zeros((12, 3, 4), dtype=np.float32)))
    with pytest.raises(DataError, match="leave the range"):
        raster(network(), dataset(x=np.full((12, *SHAPE), 9, dtype=np.float32), range=(0, 9)))
    with pytest.raises(DataError, match="first 13 of 12 samples"):
        raster(network(), dataset(), 13)
    with pytest.raises(DataError, match="no samples; at least 1"):
        raster(network(), dataset().subset([]))


def test_artifacts_that_data_cannot_feed() -> None:
    bare = replace(network(), encodings={})
    with pytest.raises(UsageError, match="has no encoded input"):
        stimulus_for(bare, dataset())
