"""``auto``: what it chooses, for whom, and what it says where nothing fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.errors import ConversionError
from neurodeploy.ir.neurons import Input
from neurodeploy.stages import compile as compilation

X = np.random.default_rng(0).random((40, 1, 6, 6)).astype(np.float32)


def network() -> nn.Module:
    torch.manual_seed(2)
    torch.set_num_threads(1)
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)),
    ).eval()


def data() -> Samples:
    with torch.no_grad():
        y = network()(torch.tensor(X)).argmax(1).numpy()
    return Samples(X, y, name="made up")


def test_the_shortest_run_within_the_budget_is_taken() -> None:
    net = nd.convert(network(), data(), max_loss=20.0)
    told = net.provenance["auto"]
    assert told["met"]
    assert net.provenance["method"]["name"] == "graded"
    assert net.netlist.timesteps == told["tried"][-1]["timesteps"]
    assert all(t["timesteps"] <= net.netlist.timesteps for t in told["tried"])
    assert "the shortest run within 20 points" in told["reason"]


def test_crossbars_get_spikes_counts_and_weights_that_fit() -> None:
    net = nd.convert(network(), data(), target="truenorth", max_loss=30.0)
    method = net.provenance["method"]
    assert (method["name"], method["decode"]) == ("rate", "counts")
    assert method["max_pooling"] == "identity"
    (population,) = net.netlist.inputs
    assert isinstance(population.model, Input)
    assert population.model.kind == "spikes"
    refused = [t for t in net.provenance["auto"]["tried"] if t["refused"]]
    assert {t["method"] for t in refused} >= {"graded"}
    quantized = nd.quantize(net, 8, fit="truenorth")
    assert nd.check(quantized, "truenorth") == []
    assert nd.compile(quantized, "truenorth").target == "truenorth"


def test_what_is_refused_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "check", lambda *_: ["relu_1: made up for a test"])
    with pytest.raises(ConversionError) as caught:
        nd.convert(network(), data(), target="lava", max_timesteps=8)
    line = str(caught.value)
    assert line.startswith("auto: all 5 conversions are refused, the last one (rate at T = 8 ")
    assert "relu_1: made up for a test" in line
    assert "\n" not in line
