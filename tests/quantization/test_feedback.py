"""Rounding in sequence: what layers before lost is taken back, and integers stay exact."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.quantization import feedback
from neurodeploy.quantization.feedback import can_feed_back
from neurodeploy.quantization.scaling import ScaledLayer
from neurodeploy.verification.totals import run_integers

X = np.random.default_rng(5).random((220, 2, 8, 8)).astype(np.float32)
TRAINING = Samples(X[:160], None, split="train", name="made up")
FURTHER = X[160:]


class Residual(nn.Module):
    """Blocks of convolutions with shortcuts, grouped ones, a maximum and both kinds of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.inner = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.pool = nn.MaxPool2d(2)
        self.leaky = nn.LeakyReLU(0.1)
        self.last = nn.Linear(128, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        for a, b in (self.inner[:2], self.inner[2:]):
            x = torch.relu(x + b(torch.relu(a(x))))
        x = self.leaky(self.grouped(self.pool(x)))
        return self.last(x.flatten(1))


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(4)
    return Residual().eval()


def converted(module: nn.Module, method: str, timesteps: int) -> Network:
    return nd.convert(module, TRAINING, method=method, timesteps=timesteps)


@pytest.fixture(scope="module")
def graded(module: nn.Module) -> Network:
    return converted(module, "graded", 4)


def error(net: Network) -> float:
    """Root mean squared error of the answers on samples that nothing was fitted on."""
    found = nd.evaluate(net, Samples(FURTHER, None, name="further"))
    (rmse,) = found.output_rmse.values()
    return float(rmse)


@pytest.mark.parametrize("bits", [3, 4])
def test_answers_come_nearer_to_the_source(graded: Network, bits: int) -> None:
    without = nd.quantize(graded, bits, data=TRAINING, feedback=False)
    along = nd.quantize(graded, bits, data=TRAINING)
    assert error(along) < 0.9 * error(without)


@pytest.mark.parametrize(("method", "timesteps"), [("rate", 8), ("bistable", 16), ("ternary", 8)])
def test_every_code_takes_it_and_stays_exact(
    module: nn.Module, method: str, timesteps: int
) -> None:
    net = nd.quantize(converted(module, method, timesteps), 4, data=TRAINING.first(32))
    rows = net.provenance["quantization"]["report"]
    assert all(row["fed_back"] and row["compensated"] for row in rows)
    stimulus, _ = nd.api.stimulus_for(net, Samples(FURTHER, None, name="further"), 3)
    engine, reference = run_integers(net.netlist, stimulus), run_reference(net.netlist, stimulus)
    for name, spikes in reference.spikes.items():
        assert (engine.spikes[name] == spikes).all()


def test_twice_the_same_is_the_same(graded: Network) -> None:
    first, second = (nd.quantize(graded, 4, data=TRAINING) for _ in range(2))
    for a, b in zip(first.netlist.projections, second.netlist.projections, strict=True):
        assert (a.connectivity.weight == b.connectivity.weight).all()


def test_widths_hold_after_it(graded: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it moves beyond a width is taught again on a coarser scale, and nothing else is."""
    taught: list[str] = []

    def counted(netlist: Any, layer: ScaledLayer, *given: Any) -> Any:
        taught.append(layer.siblings[0].population.name)
        return teach(netlist, layer, *given)

    teach = feedback._taught
    monkeypatch.setattr(feedback, "_taught", counted)
    net = nd.quantize(graded, 8, data=TRAINING.first(16), state_bits=14)
    bounds = prove_bounds(net.netlist)
    assert all(bound.magnitude < 2**13 for name, bound in bounds.items() if name != "input")
    assert len(taught) == len(set(taught)) + 1
    assert taught == sorted(taught, key=taught.index)


def test_pruned_weights_stay_pruned(module: nn.Module) -> None:
    pruned = Residual().eval()
    pruned.load_state_dict(module.state_dict())
    with torch.no_grad():
        pruned.inner[1].weight[:, ::2] = 0
    net = nd.quantize(converted(pruned, "graded", 4), 4, data=TRAINING)
    sparse = [
        q.connectivity.weight
        for q in net.netlist.projections
        if q.connectivity.weight.shape == (8, 8, 3, 3) and (q.connectivity.weight == 0).mean() > 0.4
    ]
    assert any((weight[:, ::2] == 0).all() for weight in sparse)


def test_without_data_or_corrected_biases_nothing_is_fed_back(graded: Network) -> None:
    for net in (
        nd.quantize(graded, 4),
        nd.quantize(graded, 4, data=TRAINING.first(16), bias_correction=False),
    ):
        assert not any(row["fed_back"] for row in net.provenance["quantization"]["report"])


def test_what_cannot_run_layer_by_layer_is_left(graded: Network) -> None:
    assert can_feed_back(graded.netlist)
    late = [
        dataclasses.replace(q, delay=1) if isinstance(q.connectivity, Sparse) else q
        for q in graded.netlist.projections
    ]
    assert not can_feed_back(dataclasses.replace(graded.netlist, projections=tuple(late)))
