"""AMOS and sigma-delta: what one step has to give, on every executor at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import ConversionError, UsageError  # noqa: E402
from neurodeploy.execution import run_engine  # noqa: E402
from neurodeploy.ir.decoding import decode  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.network import Network  # noqa: E402
from tests.conversion.frames import encode_frames  # noqa: E402


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 9, 4)),
    ).eval()


X = np.random.default_rng(0).random((24, 1, 10, 10)).astype(np.float32)
DATA = Samples(X, name="made up")


def converted(method: str, module: nn.Module | None = None, **options: Any) -> Network:
    return nd.convert(module or network(), DATA, method=method, **options)


def answer(network: Network, netlist: IntegerNetlist | RealNetlist, raster: Any) -> Any:
    (name,) = network.encodings
    (output,) = netlist.outputs
    return decode(netlist, output, run_reference(netlist, {name: raster}))


def source(x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(network()(torch.tensor(x)).numpy())


def relative(found: np.ndarray, x: np.ndarray = X) -> float:
    expected = source(x)
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


@pytest.mark.parametrize("method", ["amos", "sigma-delta"])
def test_one_step_gives_the_answer_and_finer_codes_a_better_one(method: str) -> None:
    key, values = ("digits", (3, 6, 9)) if method == "amos" else ("levels", (6, 48, 400))
    errors = []
    for value in values:
        network = converted(method, **{key: value}, normalization="max")
        assert network.netlist.timesteps == 1
        (encoding,) = network.encodings.values()
        errors.append(relative(answer(network, network.netlist, encode(encoding, X, 1))))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.01


@pytest.mark.parametrize("target", ["engine", "brian2"])
@pytest.mark.parametrize("method", ["amos", "sigma-delta"])
def test_integers_are_exact(method: str, target: str) -> None:
    network = nd.quantize(converted(method, **({"digits": 4} if method == "amos" else {})), 8)
    netlist = network.integer
    (name,) = network.encodings
    stimulus = {name: encode(network.encodings[name], X[:3], netlist.timesteps)}
    expected = run_reference(netlist, stimulus)
    if target == "engine":
        found = run_engine(netlist, stimulus)
    else:
        pytest.importorskip("brian2", reason="brian2 is not installed")
        found = nd.compile(network, "brian2").run(stimulus)
    assert sum(np.abs(s).sum() for s in expected.spikes.values()) > 0
    for population, spikes in expected.spikes.items():
        if population in found.spikes:
            np.testing.assert_array_equal(found.spikes[population], spikes, population)
    assert len(found.spikes) >= len(expected.spikes) - 1


def test_amos_spikes_once_at_most() -> None:
    network = converted("amos", digits=5)
    (name,) = network.encodings
    run = run_reference(network.netlist, {name: encode(network.encodings[name], X, 1)})
    for population, spikes in run.spikes.items():
        if population != name:
            assert set(np.unique(spikes)) <= {0, 1}


def test_a_still_image_is_sent_once_and_a_video_costs_what_moves() -> None:
    network = converted("sigma-delta", timesteps=4)
    netlist = network.netlist
    (name,) = network.encodings
    encoding = network.encodings[name]
    still = run_reference(netlist, {name: encode(encoding, X, 4)})
    for population, spikes in still.spikes.items():
        assert not spikes[:, 1:].any(), population
    frames = np.repeat(X[:, None], 4, axis=1)
    frames[:, 1:, :, 4, 4] = 0.5  # one pixel changes, once
    moving = run_reference(netlist, {name: encode_frames(encoding, frames)})
    last = answer(network, netlist, encode_frames(encoding, frames))
    again = answer(network, netlist, encode(encoding, frames[:, -1], 4))
    np.testing.assert_allclose(last, again, atol=1e-9)
    layers = [n for n in moving.spikes if n != name]
    first = sum(int((moving.spikes[n][:, 0] != 0).sum()) for n in layers)
    later = sum(int((moving.spikes[n][:, 1:] != 0).sum()) for n in layers)
    assert 0 < later < first / 3


def test_refusals() -> None:
    with pytest.raises(ConversionError, match="cannot read an input coded by 'current'"):
        converted("sigma-delta", input="current")
    with pytest.raises(ConversionError, match="cannot read an input coded by 'delta'"):
        converted("rate", input="delta")
    clipped = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(128, 3))
    with pytest.raises(ConversionError, match=r"its activation saturates"):
        converted("sigma-delta", clipped.eval(), timesteps=2)
    with pytest.raises(UsageError, match="amos takes 1"):
        converted("amos", timesteps=2)
