"""Every conversion method through every target: the spikes of the reference, or a refusal."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.conversion.registry import METHODS  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import CapacityError, ConversionError, NeurodeployError  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.netlist import IntegerNetlist  # noqa: E402
from neurodeploy.ir.neurons import IntegerNeuron  # noqa: E402
from neurodeploy.ir.record import RunRecord, Stimulus  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.network import Network  # noqa: E402
from neurodeploy.targets.registry import TARGETS  # noqa: E402

NAMES = sorted(METHODS.entries())
# Few steps, and all that a method has: leaky neurons, both payload codes, winner pooling.
SMALL: dict[str, dict[str, Any]] = {
    "amos": {"digits": 2},
    "ecc": {"timesteps": 10},
    "cao": {"timesteps": 12},
    "sigma-delta": {"timesteps": 3, "levels": 12},
    "graded": {"timesteps": 3, "payload": "power_of_two", "levels": 48},
    "augmented": {"timesteps": 5, "take_back": 0.5},
    "rate": {"timesteps": 10, "max_pooling": "winner", "reset": "zero"},
    "calibrated": {"timesteps": 8},
    "ternary": {"timesteps": 12, "take_back": 0.1},
    "signed-memory": {"timesteps": 8},
    "local-threshold": {"timesteps": 8},
    "radix": {"timesteps": 8},
    "momentum": {"timesteps": 8},
    "reserve": {"timesteps": 9},
    "channel-norm": {"timesteps": 20},
}
X = np.random.default_rng(0).random((24, 1, 6, 6)).astype(np.float32)
SAMPLES = 3


def network(method: str) -> nn.Module:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    bias = method != "cao"
    activation = nn.LeakyReLU(0.3) if method == "channel-norm" else nn.ReLU()
    pool = nn.MaxPool2d(2) if bias else nn.AvgPool2d(2)
    module = nn.Sequential(
        *(nn.Conv2d(1, 3, 3, bias=bias), activation, pool),
        *(nn.Flatten(), nn.Linear(12, 5, bias=bias), nn.ReLU(), nn.Linear(5, 3, bias=bias)),
    )
    with torch.no_grad():
        if not bias:
            module[-1].weight.abs_()
    return module.eval()


@cache
def quantized(method: str, bits: int = 8, fit: str | None = None, **options: Any) -> Network:
    data = Samples(X, name="made up")
    given = {**SMALL.get(method, {}), **options}
    real = nd.convert(network(method), data, method=method, **given)
    return nd.quantize(real, bits, fit=fit)


def stimulus_of(network: Network) -> tuple[IntegerNetlist, Stimulus]:
    netlist = network.integer
    assert netlist is not None
    ((name, encoding),) = network.encodings.items()
    return netlist, {name: encode(encoding, X[:SAMPLES], netlist.timesteps)}


def assert_exact(netlist: IntegerNetlist, found: RunRecord, expected: RunRecord) -> None:
    inputs = {p.name for p in netlist.inputs}
    assert set(found.spikes) >= set(expected.spikes) - inputs
    assert set(found.membranes) == set(expected.membranes)
    for kind in ("spikes", "membranes"):
        values = getattr(expected, kind)
        for name, array in getattr(found, kind).items():
            np.testing.assert_array_equal(array, values[name], f"{kind} of {name}")
    fired = {n: s for n, s in expected.spikes.items() if n not in inputs}
    # Nothing is shown where nothing happens.
    assert sum(bool(s.any()) for s in fired.values()) >= len(fired) - 1


@pytest.mark.parametrize("method", NAMES)
def test_the_networks_are_what_the_methods_are_about(method: str) -> None:
    """Signed neurons send both signs, graded ones more than 1; binary ones neither."""
    netlist, stimulus = stimulus_of(quantized(method))
    emits = getattr(METHODS.get(method), "emits", None)
    run = run_reference(netlist, stimulus)
    firing = [p.name for p in netlist.populations if isinstance(p.model, IntegerNeuron)]
    sent = np.concatenate([run.spikes[n].ravel() for n in firing])
    if emits == "binary":
        assert set(sent) == {0, 1}
    elif emits == "signed":
        assert set(sent) == {-1, 0, 1}
    else:
        assert sent.max() > 1


@pytest.mark.parametrize("method", NAMES)
def test_brian2_spikes_as_the_reference(method: str) -> None:
    if (reason := TARGETS.get("brian2").unavailable()) is not None:
        pytest.skip(reason)
    network = quantized(method)
    netlist, stimulus = stimulus_of(network)
    found = nd.compile(network, "brian2").run(stimulus)
    assert_exact(netlist, found, run_reference(netlist, stimulus))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_spikes_as_the_reference() -> None:
    """All methods in one worker: starting Lava is what takes long."""
    from neurodeploy.targets.lava.target import LavaDeployment, Run, run_all

    runs, cases = [], []
    for method in NAMES:
        network = quantized(method)
        netlist, stimulus = stimulus_of(network)
        deployment = nd.compile(network, "lava")
        assert isinstance(deployment, LavaDeployment)
        runs.append(Run(deployment, stimulus))
        cases.append((netlist, stimulus))
    for method, (netlist, stimulus), found in zip(NAMES, cases, run_all(runs), strict=True):
        try:
            assert_exact(netlist, found, run_reference(netlist, stimulus))
        except AssertionError as error:
            raise AssertionError(f"{method}: {error}") from error


@pytest.mark.parametrize("method", NAMES)
def test_crossbars_run_binary_methods_and_refuse_others_by_name(method: str) -> None:
    """With spikes in, counts out and maxima out of neurons, where the method has these options."""
    cls = METHODS.get(method)
    emits, fields = getattr(cls, "emits", None), set(getattr(cls, "__dataclass_fields__", ()))
    options: dict[str, Any] = {}
    if "rate" in getattr(cls, "encoders", ()):
        options = {"input": "spikes", "decode": "counts", "max_pooling": "identity"}
        options = {k: v for k, v in options.items() if k == "input" or k in fields}
    if emits == "binary" and len(options) == 3:
        network = quantized(method, bits=3, fit="truenorth", **options)
        netlist, stimulus = stimulus_of(network)
        found = nd.compile(network, "truenorth").run(stimulus)
        assert_exact(netlist, found, run_reference(netlist, stimulus))
        return
    network = quantized(method, **options)
    with pytest.raises(CapacityError) as caught:
        nd.compile(network, "truenorth")
    line = str(caught.value)
    assert "\n" not in line
    # What cannot be is named, and what about it.
    named = [n for n in network.netlist.by_name if f"refuses {n}: " in line]
    assert named, line
    assert any(word in line for word in ("signed", "graded", "payload", "input")), line
    if len(options) == 3:
        assert "signed" in line or "graded" in line, line


@pytest.mark.parametrize("target", ["brian2", "lava", "truenorth"])
def test_real_valued_netlists_are_refused(target: str) -> None:
    data = Samples(X, name="made up")
    real = nd.convert(network("rate"), data, method="rate", timesteps=4)
    with pytest.raises(NeurodeployError, match="quantize") as caught:
        nd.compile(real, target)
    assert not isinstance(caught.value, ConversionError)
    assert "\n" not in str(caught.value)
