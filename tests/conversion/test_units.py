"""Smooth activations out of saturating units: how good the fits are, and what they become."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from neurodeploy.conversion.lowering.observation import observed
from neurodeploy.conversion.lowering.units import MAX_UNITS, Units, fitted_units, units_of
from neurodeploy.errors import ConversionError
from neurodeploy.source.analog import AnalogGraph, AnalogNode, Input
from neurodeploy.source.functions import FUNCTIONS, PROGRAMS, Function, elu

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
    error = np.abs(units_of(Function(name), n_units, "")(GRID) - expected)
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


STRAIGHT = {
    # Program, units right of the first break, slope left of it, steps.
    "hard-sigmoid": (FUNCTIONS["hardsigmoid"], 1, 0.0, 0),
    "absolute value": ("x abs", 1, -1.0, 0),
    "clamp": ("x -0.5 max 2 min", 1, 0.0, 0),
    "clamped leaky ReLU": ("x 0 max x 0 min 0.2 mul add -0.4 max", 2, 0.0, 0),
    "threshold": ("x 0.1 gt x 0 where", 1, 0.0, 1),
    "hard-shrink": ("x x abs 0.5 gt mul", 1, 1.0, 2),
    "soft-shrink": ("x x sign 0.1 mul sub x abs 0.1 gt mul", 1, 1.0, 0),
    "sign": ("x sign", 0, 0.0, 1),
    "where in where": ("x 0 lt 0 x 1 gt 1 x where where", 1, 0.0, 0),
    "maximum with a number": ("x 0.2 max", 1, 0.0, 0),
    "a line": ("x 2 mul 1 sub", 1, 2.0, 0),
    "falling stairs": ("0 x 1 ge 2 mul sub x -1 ge sub", 0, 0.0, 2),
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_straight_pieces_are_exact(name: str) -> None:
    program, n_units, below, n_steps = STRAIGHT[name]
    op = Function(program)
    units = units_of(op, 6, "")
    assert (len(units.start), units.below, len(units.steps)) == (n_units, below, n_steps)
    assert units.error == 0
    x = np.random.default_rng(0).normal(0, 2, 5000)
    np.testing.assert_allclose(units(x), op.value(x), atol=1e-12)


@pytest.mark.parametrize("program", ["x x mul", "x exp", "x 0 max sqrt", FUNCTIONS["silu"]])
def test_curves_are_not_straight(program: str) -> None:
    assert Function(program).pieces is None


NEW = {
    **{name: PROGRAMS[name] for name in ("mish", "square", "log_sigmoid")},
    **{"selu": elu(1.67, 1.05), "celu": elu(0.5, 1, 2.0), "softsign": "x 1 x abs add div"},
    "root": "x abs 0.5 add sqrt",
}


@pytest.mark.parametrize("name", sorted((*CURVED, *NEW)))
@pytest.mark.parametrize("scale", [0.01, 0.2, 3.0])
def test_fits_follow_what_calibration_saw(name: str, scale: float) -> None:
    x = np.sort(np.random.default_rng(1).normal(0.3, scale, 4000))
    op = Function(NEW.get(name, name), np.quantile(x, np.linspace(0, 1, 65)))
    units = units_of(op, 6, "")
    true = op.value(x)
    error = np.sqrt(np.square(units(x) - true).mean()) / true.std()
    # A parabola bends everywhere.
    assert error < (0.06 if name in ("square", "root") else 0.02)
    assert error == pytest.approx(units.error, rel=0.5, abs=5e-4)
    assert len(units.start) <= 6


def test_few_units_are_enough_where_a_curve_is_nearly_straight() -> None:
    seen = np.linspace(-0.02, 0.02, 65)
    assert len(units_of(Function("sigmoid", seen), 6, "").start) == 2


def test_what_is_not_finite_on_the_calibration_data_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"root \(net.py:3\): x sqrt is not finite.*clamp"):
        units_of(Function("x sqrt", [-1.0, 4.0]), 6, "root (net.py:3)")


@pytest.mark.parametrize("word", ["x exp", "x exp x neg exp add 0.5 mul", "2 x pow", "x log"])
def test_what_is_infinite_far_out_is_fitted_where_it_is_finite(word: str) -> None:
    units = fitted_units(word, 6)
    assert np.isfinite([units.offset, *units.start, *units.slope, units.error]).all()
    assert units.error < 0.1
    assert units.start[0] >= (0 if word == "x log" else -10)


def test_what_is_finite_nowhere_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"is not finite for inputs of -10 to 10.*with data"):
        fitted_units("0 x abs sub 1 sub sqrt", 6)


def test_functions_before_one_that_is_not_defined_know_their_inputs() -> None:
    nodes = (
        AnalogNode("input", Input((3,)), (), (3,)),
        AnalogNode("log", Function("x log"), ("input",), (3,)),
        AnalogNode("sigmoid", Function("sigmoid"), ("log",), (3,)),
    )
    graph = AnalogGraph("net", nodes, ("input",), ("sigmoid",))
    found = observed(graph, np.full((2, 3), -1, np.float32))
    assert [node.op.seen is None for node in found.nodes[1:]] == [False, True]


# What every function is far to the left, and its slope far to the right.
ENDS = {
    **dict.fromkeys(("silu", "gelu", "gelu_tanh", "hardswish", "softplus"), (0.0, 1)),
    **{"elu": (-1.0, 1), "sigmoid": (0.0, 0), "tanh": (-1.0, 0)},
}


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("n_units", [2, 6, MAX_UNITS])
def test_units_follow_one_another(name: str, n_units: int) -> None:
    units = fitted_units(name, n_units)
    left, slope = ENDS[name]
    assert len(units.start) == len(units.width) == len(units.slope) == n_units
    ends = np.add(units.start, units.width)
    np.testing.assert_allclose(ends[:-1], units.start[1:], atol=1e-12)
    # Only what grows without end has a unit without end, of the same slope.
    assert math.isinf(units.width[-1]) == (slope == 1)
    assert all(map(math.isfinite, units.width[:-1]))
    if slope:
        assert units.slope[-1] == pytest.approx(1, abs=1e-6)
    assert units.offset == pytest.approx(left, abs=1e-6)
    assert units(np.array([-1e4]))[0] == pytest.approx(left, abs=1e-6)


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
    assert 4 <= sum("_unit" in n for n in layers) <= 6
    fitted = units_of(Function(function, np.quantile(line.x, np.linspace(0, 1, 65))), 6, "")(line.x)
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


@pytest.mark.parametrize("scale", [0.04, 0.2, 1.0, 5.0])
def test_curves_code_as_well_as_relu_at_every_scale_of_their_inputs(scale: float) -> None:
    torch = pytest.importorskip("torch", reason="conversion needs torch")
    from torch import nn

    import neurodeploy as nd
    from neurodeploy.datasets import Samples

    def error(activation: nn.Module) -> float:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 16, bias=False), activation, nn.Linear(16, 3)).eval()
        with torch.no_grad():
            module[0].weight.mul_(scale)
        x = np.random.default_rng(0).uniform(-1, 1, (400, 4)).astype(np.float32)
        data, test = (Samples(part, range=(-1.0, 1.0), name="x") for part in (x[:256], x[256:]))
        network = nd.convert(module, data, method="graded", timesteps=4)
        (rmse,) = nd.evaluate(network, test).output_rmse.values()
        fits = network.provenance.get("curve_fits", [])
        assert len(fits) == (not isinstance(activation, nn.ReLU))
        assert all(row["error"] < 0.02 and row["node"] == "function_1" for row in fits)
        with torch.no_grad():
            spread = module(torch.tensor(x)).std(0).square().mean().sqrt()
        return float(rmse / spread)

    limit = 2 * error(nn.ReLU())
    for activation in (nn.Sigmoid(), nn.SiLU(), nn.Tanh(), nn.Mish()):
        assert error(activation) <= limit
