"""Codes that listen first, on a network with everything: exact on every target, or refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import NeurodeployError  # noqa: E402
from neurodeploy.execution import run_engine  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.fixed_point import DECAY_ONE  # noqa: E402
from neurodeploy.ir.netlist import IntegerNetlist  # noqa: E402
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool  # noqa: E402
from neurodeploy.ir.record import RunRecord, Stimulus  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.network import Network  # noqa: E402
from neurodeploy.targets.registry import TARGETS  # noqa: E402

METHODS: dict[str, dict[str, Any]] = {
    "radix": {"timesteps": 8},
    "radix repeated": {"timesteps": 9, "listening": 2, "digit_worths": "repeated"},
    "momentum": {"timesteps": 9},
    "momentum repeated": {"timesteps": 9, "digit_worths": "repeated"},
    "reserve": {"timesteps": 9},
}
X = np.random.default_rng(0).random((24, 2, 6, 6)).astype(np.float32)
SAMPLES = 2


class Everything(nn.Module):
    """Leaky and smooth activations, a residual sum, maxima, a saturating activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 3, padding=1)
        self.dense, self.last = nn.Linear(12, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.first(x), 0.3)
        x = nn.functional.silu(self.second(x) + x)
        x = nn.functional.max_pool2d(x, 2)
        return self.last(nn.functional.relu6(self.dense(torch.flatten(x, 1))))


@cache
def converted(method: str) -> Network:
    torch.manual_seed(1)
    data = Samples(X, name="made up")
    options = {"activation_units": 3, "bias_correction": 0, **METHODS[method]}
    return nd.convert(Everything().eval(), data, method=method.partition(" ")[0], **options)


@cache
def quantized(method: str) -> Network:
    return nd.quantize(converted(method), 8)


@cache
def run(method: str) -> tuple[IntegerNetlist, Stimulus, list[str], RunRecord]:
    network = quantized(method)
    netlist = network.integer
    assert netlist is not None
    ((name, encoding),) = network.encodings.items()
    stimulus = {name: encode(encoding, X[:SAMPLES], netlist.timesteps)}
    watched = [p.name for p in netlist.populations if isinstance(p.model, IntegerNeuron | MaxPool)]
    return netlist, stimulus, watched, run_reference(netlist, stimulus, membranes=watched)


def assert_equal(found: RunRecord, expected: RunRecord, populations: list[str]) -> None:
    for name in populations:
        if name in expected.spikes:
            np.testing.assert_array_equal(found.spikes[name], expected.spikes[name], name)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], name)


@pytest.mark.parametrize("method", METHODS)
def test_the_engine_and_brian2_compute_them(method: str) -> None:
    netlist, stimulus, watched, expected = run(method)
    values = np.unique(np.concatenate([expected.spikes[n].ravel() for n in watched]))
    assert values.min() == (-1 if "momentum" in method else 0)
    active = [n for n in watched if n in expected.spikes and expected.spikes[n].any()]
    assert len(active) > len(watched) / 2
    found = run_engine(netlist, stimulus, record=watched, membranes=watched)
    assert_equal(found, expected, watched)
    if (reason := TARGETS.get("brian2").unavailable()) is not None:
        pytest.skip(reason)
    found = nd.compile(quantized(method), "brian2").run(stimulus, membranes=watched)
    assert_equal(found, expected, watched)


@pytest.mark.parametrize("method", METHODS)
def test_registers_of_few_bits_hold_the_highest_threshold_of_a_step(method: str) -> None:
    """What a membrane is compared with, and what a spike takes off, after gains."""
    highest = []
    for network in (quantized(method), nd.quantize(converted(method), 8, threshold_bits=16)):
        models = [p.model for p in network.integer.populations]
        firing = [m for m in models if isinstance(m, IntegerNeuron) and m.threshold is not None]
        levels = [-(-m.threshold * m.highest_level // DECAY_ONE) for m in firing]
        highest.append(max(int(level.max()) for level in levels))
    assert highest[0] > 2**16
    assert highest[1] < 2**16


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_computes_them() -> None:
    from neurodeploy.targets.lava.target import LavaDeployment, Run, run_all

    runs = []
    for method in METHODS:
        _, stimulus, watched, _ = run(method)
        deployment = nd.compile(quantized(method), "lava")
        assert isinstance(deployment, LavaDeployment)
        runs.append(Run(deployment, stimulus, membranes=watched))
    for method, found in zip(METHODS, run_all(runs), strict=True):
        _, _, watched, expected = run(method)
        assert_equal(found, expected, watched)


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_run_them_refuses_them_by_name(method: str, tmp_path: Path) -> None:
    network = quantized(method)
    for target, options in (("truenorth", {}), ("lava", {"models": "stock"})):
        violations = nd.check(network, target, **options)
        refused = {v.where for v in violations if v.resource.startswith("gains of steps")}
        assert refused >= {p.name for p in network.netlist.populations if p.lag}, target
    with pytest.raises(NeurodeployError) as caught:
        nd.export(network, "nir", tmp_path / "net.nir")
    assert "\n" not in str(caught.value)
    told = [str(v) for v in nd.check(network, "lava", board="loihi1")]
    assert any("gains of steps" in line for line in told)
    assert not any("gains" in str(v) for v in nd.check(network, "lava", board="loihi2"))
