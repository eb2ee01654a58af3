"""Networks, data and runs that the tests of conversion methods share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.conversion.lowering.activation_graph import ReluLayer  # noqa: E402
from neurodeploy.conversion.lowering.affine import population_term  # noqa: E402
from neurodeploy.conversion.registry import METHODS  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.execution import run_engine  # noqa: E402
from neurodeploy.ir.connectivity import identity  # noqa: E402
from neurodeploy.ir.decoding import decode  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.netlist import (  # noqa: E402
    IntegerNetlist,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, RealNeuron  # noqa: E402
from neurodeploy.ir.record import RunRecord  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402
from neurodeploy.network import Network  # noqa: E402
from tests.conversion.modules import norm  # noqa: E402

NAMES = sorted(METHODS.entries())
# What makes a method finer, where it is not its time steps.
FINER: dict[str, tuple[str, tuple[int, ...]]] = {
    "amos": ("digits", (3, 5, 9)),
    "graded": ("levels", (8, 32, 256)),
    "momentum": ("timesteps", (6, 10, 18)),
    "radix": ("timesteps", (6, 10, 20)),
    "reserve": ("timesteps", (5, 17, 129)),
    "sigma-delta": ("levels", (4, 16, 128)),
}
DEFAULT_FINER = ("timesteps", (4, 16, 128))
SMALL = {"amos": {"digits": 4}, "sigma-delta": {"levels": 16}}
X = np.random.default_rng(0).random((24, 1, 10, 10)).astype(np.float32)
PLAIN = {"normalization": "max", "bias_correction": 0}


def dataset(x: np.ndarray = X, low: float = 0.0, high: float = 1.0) -> Samples:
    return Samples(x, range=(low, high), name="made up")


def network() -> nn.Module:
    """Batch norm, max-pooling and biases; the same weights every time."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), norm(nn.BatchNorm2d(4)), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 4)),
    ).eval()


def tailored() -> nn.Module:
    """No biases, average pooling, and logits that spikes can count."""
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 5, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(45, 4, bias=False)),
    ).eval()
    with torch.no_grad():
        module[-1].weight.abs_()
    return module


def suited(method: str) -> nn.Module:
    return tailored() if method == "cao" else network()


def line(weight: Any, bias: Any = 0.0, activation: nn.Module | None = None) -> nn.Module:
    """One hidden layer whose activations are plain to see, and their sum."""
    matrix = torch.tensor(np.atleast_2d(np.asarray(weight, dtype=np.float32)))
    first, last = nn.Linear(matrix.shape[1], matrix.shape[0]), nn.Linear(matrix.shape[0], 1)
    with torch.no_grad():
        first.weight.copy_(matrix)
        first.bias.copy_(torch.tensor(np.asarray(bias, dtype=np.float32)).expand(len(matrix)))
        last.weight.fill_(1.0)
        last.bias.zero_()
    return nn.Sequential(first, activation or nn.ReLU(), last).eval()


def levels(low: int, high: int, of: int = 16) -> np.ndarray:
    """One sample per input level: the encoder adds no error."""
    return (np.arange(low, high + 1) / of).astype(np.float32)[:, None]


def convert(method: str, module: nn.Module, x: np.ndarray = X, **options: Any) -> Network:
    low = min(0.0, float(np.floor(x.min())))
    return nd.convert(module, dataset(x, low), method=method, **options)


def run(network: Network, x: np.ndarray, netlist: Any = None) -> RunRecord:
    netlist = netlist or network.netlist
    ((name, encoding),) = network.encodings.items()
    return run_engine(netlist, {name: encode(encoding, x, netlist.timesteps)})


def answer(network: Network, x: np.ndarray, netlist: Any = None) -> np.ndarray:
    netlist = netlist or network.netlist
    return decode(netlist, netlist.outputs[0], run(network, x, netlist))


def source(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(module(torch.tensor(x)).numpy())


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def hidden(netlist: RealNetlist | IntegerNetlist) -> list[Population]:
    """The populations between inputs and outputs."""
    ends = {o.population for o in netlist.outputs}
    return [p for p in netlist.populations if p.name not in ends and not isinstance(p.model, Input)]


def layer(n: int, slope: float | None = None, units: int = 1) -> ReluLayer:
    bare = population_term("in", (n,))
    slopes = None if slope is None else np.full(n, slope)
    return ReluLayer("h", bare, None, slope=slopes, units=units)


def spikes_of(neuron: RealNeuron, drive: np.ndarray) -> np.ndarray:
    """What a neuron emits for whole inputs ``[T, n]``."""
    T, n = drive.shape
    netlist = RealNetlist(
        "alone",
        (
            Population("in", (n,), Input("spikes", min(0, drive.min()), max(1, drive.max()))),
            Population("h", (n,), neuron),
        ),
        (RealProjection("in", "h", identity((n,), np.ones(n))),),
        (Output("h", "counts"),),
        T,
    )
    return run_reference(netlist, {"in": drive[None]}).spikes["h"][0]


def uneven(T: int = 24, n: int = 200, seed: int = 3) -> np.ndarray:
    """Inputs that lead too far and come back."""
    random = np.random.default_rng(seed)
    return random.integers(-4, 6, (T, n)) + np.where(np.arange(T) < T // 3, 3, -1)[:, None]
