"""Smooth activations out of saturating units: how good the fits are, and what they become."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from neurodeploy.conversion.lowering.units import MAX_UNITS, Units, fitted_units
from neurodeploy.source.functions import FUNCTIONS

GRID = np.linspace(-8, 8, 3201)
CURVED = sorted(set(FUNCTIONS) - {"hardsigmoid"})
# The largest error on [-8, 8] and the error expected for x ~ N(0, 2^2), six units (the default).
BOUNDS = {
    "silu": (0.04, 0.010),
    "gelu": (0.016, 0.006),
    "gelu_tanh": (0.016, 0.006),
    "hardswish": (0.05, 0.018),
    "softplus": (0.026, 0.010),
    "elu": (0.015, 0.0035),
    "sigmoid": (0.014, 0.004),
    "tanh": (0.024, 0.008),
}


def truth(name: str, x: float) -> float:
    """The functions again, by their definitions."""
    return {
        "silu": lambda: x / (1 + math.exp(-x)),
        "gelu": lambda: 0.5 * x * math.erfc(-x / math.sqrt(2)),
        "gelu_tanh": lambda: 0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x**3))),
        "hardswish": lambda: x * min(max(x + 3, 0), 6) / 6,
        "softplus": lambda: math.log1p(math.exp(x)),
        "elu": lambda: x if x > 0 else math.exp(x) - 1,
        "sigmoid": lambda: 1 / (1 + math.exp(-x)),
        "tanh": lambda: math.tanh(x),
        "hardsigmoid": lambda: min(max(x / 6 + 0.5, 0), 1),
    }[name]()


def errors(name: str, n_units: int) -> tuple[float, float]:
    """The largest error, and the root mean square for x ~ N(0, 2^2)."""
    expected = np.array([truth(name, x) for x in GRID])
    error = np.abs(fitted_units(name, n_units)(GRID) - expected)
    weight = np.exp(-0.5 * np.square(GRID / 2))
    return float(error.max()), float(np.sqrt((weight * error**2).sum() / weight.sum()))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_six_units_are_within_their_bound(name: str) -> None:
    largest, expected = errors(name, 6)
    assert largest <= BOUNDS.get(name, (2e-3, 2e-4))[0]
    assert expected <= BOUNDS.get(name, (2e-3, 2e-4))[1]


@pytest.mark.parametrize("name", CURVED)
def test_more_units_err_less(name: str) -> None:
    found = [errors(name, n)[1] for n in (2, 4, 6, 8, MAX_UNITS)]
    assert all(more < fewer for fewer, more in pairwise(found)), found
    # Straight pieces err by the square of their width: three times as many, nine times less.
    assert found[-1] < found[1] / 5


@pytest.mark.parametrize("n_units", [2, 3, 4, 6])
def test_what_is_straight_in_pieces_is_nearly_exact(n_units: int) -> None:
    assert max(errors("hardsigmoid", n_units)) < 4e-3


@pytest.mark.parametrize("n_units", [2, MAX_UNITS])
def test_what_is_straight_in_pieces_is_exact(n_units: int) -> None:
    assert max(errors("hardsigmoid", n_units)) < 1e-6


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("n_units", [2, 6, MAX_UNITS])
def test_units_follow_one_another(name: str, n_units: int) -> None:
    units = fitted_units(name, n_units)
    smooth = FUNCTIONS[name]
    assert len(units.start) == len(units.width) == len(units.slope) == n_units
    ends = np.add(units.start, units.width)
    np.testing.assert_allclose(ends[:-1], units.start[1:], atol=1e-12)
    # Only what grows without end has a unit without end, of the same slope.
    assert math.isinf(units.width[-1]) == (smooth.slope == 1)
    assert all(map(math.isfinite, units.width[:-1]))
    if smooth.slope:
        assert units.slope[-1] == 1.0
    assert units.offset == smooth.left
    assert units(np.array([-1e4]))[0] == smooth.left


def test_a_unit_is_a_clip() -> None:
    units = Units(-1.0, (0.0, 2.0), (2.0, np.inf), (0.5, -3.0))
    # -1 + 0.5 clip(x, 0, 2) - 3 max(x - 2, 0)
    found = units(np.array([-5.0, 0.0, 1.0, 2.0, 3.0, 10.0]))
    np.testing.assert_allclose(found, [-1, -1, -0.5, 0, -3, -24])


@pytest.mark.parametrize("name", CURVED)
def test_far_away_the_error_stays_what_it_is(name: str) -> None:
    far = np.array([-100.0, -30.0, 30.0, 100.0])
    expected = np.array([truth(name, x) for x in far])
    assert np.abs(fitted_units(name, 6)(far) - expected).max() < 0.02


@dataclass(frozen=True)
class Activated:
    """What a spiking network makes of one activation of its input."""

    x: np.ndarray
    found: np.ndarray
    names: list[str]


def spiking(activation: str, method: str, **options: object) -> Activated:
    """``f(8 x)`` for x on the 33 levels of [-1, 1]."""
    torch = pytest.importorskip("torch", reason="conversion needs torch")
    from torch import nn

    import neurodeploy as nd
    from neurodeploy.datasets import Samples
    from neurodeploy.execution import run_engine
    from neurodeploy.ir.decoding import decode
    from neurodeploy.ir.encoding import encode

    module = nn.Sequential(nn.Linear(1, 1), getattr(nn, activation)(), nn.Linear(1, 1)).eval()
    with torch.no_grad():
        for layer, weight in ((module[0], 8.0), (module[2], 1.0)):
            layer.weight.fill_(weight)
            layer.bias.zero_()
    x = (np.arange(-16, 17) / 16).astype(np.float32)[:, None]
    data = Samples(x, range=(-1.0, 1.0), name="a line")
    network = nd.convert(module, data, method=method, input_levels=16, **options)
    ((name, encoding),) = network.encodings.items()
    netlist = network.netlist
    run = run_engine(netlist, {name: encode(encoding, x, netlist.timesteps)})
    answer = decode(netlist, netlist.outputs[0], run)
    return Activated(8 * x[:, 0].astype(np.float64), answer[:, 0], list(netlist.by_name))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("rate", {"timesteps": 512, "bias_correction": 0, "normalization": "max"}),
        ("graded", {"timesteps": 4, "levels": 4096, "bias_correction": 0, "normalization": "max"}),
        ("amos", {"digits": 12, "normalization": "max"}),
        ("sigma-delta", {"levels": 1024, "bias_correction": 0, "normalization": "max"}),
    ],
)
@pytest.mark.parametrize(
    ("activation", "function"), [("SiLU", "silu"), ("Hardswish", "hardswish"), ("ELU", "elu")]
)
def test_spiking_units_add_up_to_the_fit(
    activation: str, function: str, method: str, options: dict[str, object]
) -> None:
    line = spiking(activation, method, **options)
    layers = {n.split(".")[0] for n in line.names}
    assert sum("_unit" in n for n in layers) == 6
    fitted = fitted_units(function, 6)(line.x)
    assert np.abs(line.found - fitted).max() < 0.02
    # Saturation is in it: the fit is within its bound of the function.
    wanted = np.array([truth(function, x) for x in line.x])
    assert np.abs(line.found - wanted).max() < BOUNDS[function][0] + 0.02


def test_more_units_are_closer_in_spikes_too() -> None:
    worst = []
    for units in (2, 6, 12):
        line = spiking("SiLU", "amos", digits=12, normalization="max", activation_units=units)
        wanted = np.array([truth("silu", x) for x in line.x])
        worst.append(float(np.sqrt(np.square(line.found - wanted).mean())))
    assert worst[0] > 2 * worst[1] > 4 * worst[2]
