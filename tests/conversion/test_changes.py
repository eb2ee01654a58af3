"""Codes of digits, of changes and of differences: AMOS, sigma-delta, bistable, differential."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

from neurodeploy.errors import ConversionError, UsageError  # noqa: E402
from neurodeploy.execution import run_engine  # noqa: E402
from neurodeploy.ir.decoding import decode  # noqa: E402
from neurodeploy.ir.neurons import MaxPool, RealNeuron  # noqa: E402
from tests.conversion.frames import encode_frames  # noqa: E402
from tests.conversion.method_networks import (  # noqa: E402
    PLAIN,
    X,
    answer,
    convert,
    hidden,
    levels,
    line,
    network,
    relative,
    run,
    source,
)


def test_amos_writes_binary_digits() -> None:
    """sum_i T_i z_i = floor(x / last + 1/2) last, the most telling digit first."""
    x = levels(-16, 16)
    options: dict[str, Any] = {"digits": 4, "normalization": "max"}
    converted = convert("amos", line([1.0], 0.27), x, input_levels=16, **options)
    digits = hidden(converted.netlist)
    last = 1.27 / 15
    np.testing.assert_allclose([p.unit.item() for p in digits], last * np.array([8, 4, 2, 1]))
    found = run(converted, np.concatenate((x, x)))
    pre = np.concatenate((x, x))[:, 0].astype(np.float64) + 0.27
    code = np.clip(np.floor(pre / last + 0.5), 0, 15).astype(int)
    for i, population in enumerate(digits):
        np.testing.assert_array_equal(
            found.spikes[population.name][:, 0, 0], code >> (3 - i) & 1, population.name
        )


@pytest.mark.parametrize("pooling", ["exact", "identity"])
def test_sigma_delta_settles_at_the_quantized_activations(pooling: str) -> None:
    """Layer by layer max(floor(a / theta + 1/2), 0) theta, computed on its own."""
    module = network()
    options: dict[str, Any] = {"levels": 12, "max_pooling": pooling}
    converted = convert("sigma-delta", module, timesteps=2, input_levels=255, **options, **PLAIN)
    netlist = converted.netlist
    thetas = [p.unit for p in hidden(netlist) if isinstance(p.model, RealNeuron)]
    if pooling == "identity":
        # The tree of maxima has neurons of its own; only the ends are compared.
        assert relative(answer(converted, X), source(module, X)) < 0.1
        return

    with torch.no_grad():
        top = module[:3](torch.tensor(X)).numpy().max(axis=(0, 2, 3))
    # A channel that is silent takes the largest of its layer.
    np.testing.assert_allclose(thetas[0], np.where(top > 0, top, top.max()) / 12, rtol=1e-5)

    def coded(a: torch.Tensor, theta: np.ndarray) -> torch.Tensor:
        step = torch.tensor(theta).reshape(-1, 1, 1)
        return torch.clamp(torch.floor(a / step + 0.5), min=0) * step

    double = module.double()
    with torch.no_grad():
        x = torch.tensor(np.rint(X.astype(np.float64) * 255) / 255)
        a = nn.functional.max_pool2d(coded(double[1](double[0](x)), thetas[0]), 2)
        wanted = double[7](coded(double[4](a), thetas[1]).flatten(1)).numpy()
    # A value on the edge of two levels may fall to either side.
    found = answer(converted, X)
    assert (np.abs(found - wanted) < 1e-6).mean() > 0.95


def test_initial_membranes_of_changes_move_once() -> None:
    module = network()
    given: dict[str, Any] = {"timesteps": 32, "levels": 4, "bias_correction": 0}
    errors = [
        relative(
            answer(convert("sigma-delta", module, membrane_correction=n, **given), X),
            source(module, X),
        )
        for n in (0, 1)
    ]
    assert errors[1] < 1.2 * errors[0]


@pytest.mark.parametrize("options", [{"timesteps": 6}, {"timesteps": 1, "hysteresis": 0.5}])
def test_changes_of_leaky_activations_are_right_or_refused(options: dict[str, Any]) -> None:
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.3), nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.3)),
        *(nn.Flatten(), nn.Linear(144, 4)),
    ).eval()
    try:
        converted = convert("sigma-delta", module, leaky="imbalanced", levels=256, **options)
    except (ConversionError, UsageError):
        return
    frames = np.random.default_rng(5).random((4, converted.netlist.timesteps, 1, 10, 10))
    frames = frames.astype(np.float32)
    frames[:, 1::2] *= 0.2
    ((name, encoding),) = converted.encodings.items()
    found = run_engine(converted.netlist, {name: encode_frames(encoding, frames)})
    answered = decode(converted.netlist, converted.netlist.outputs[0], found)
    assert relative(answered, source(module, frames[:, -1])) < 0.05


def test_bistable_networks_are_quantized_networks() -> None:
    """After one cycle n = clip(floor((P a + theta / 2) / theta), 0, P), whatever came when."""
    module, P = network(), 6
    converted = convert("bistable", module, timesteps=2 * P, input_levels=255, **PLAIN)
    thetas = [
        p.model.threshold for p in hidden(converted.netlist) if not isinstance(p.model, MaxPool)
    ]

    def coded(a: torch.Tensor, theta: np.ndarray) -> torch.Tensor:
        step = torch.tensor(theta).reshape(-1, 1, 1)
        return torch.clamp(torch.floor((P * a + step / 2) / step), 0, P) * step / P

    double = module.double()
    with torch.no_grad():
        x = torch.tensor(np.rint(X.astype(np.float64) * 255) / 255)
        a = nn.functional.max_pool2d(coded(double[1](double[0](x)), thetas[0]), 2)
        wanted = double[7](coded(double[4](a), thetas[1]).flatten(1)).numpy()
    # A value on the edge of two levels may fall to either side.
    assert (np.abs(answer(converted, X) - wanted) < 1e-6).mean() > 0.95


def test_bistable_layers_take_turns() -> None:
    converted = convert("bistable", network(), timesteps=16, cycles=2, bias_correction=0)
    found = run(converted, X[:4])
    for population in hidden(converted.netlist):
        spikes = found.spikes[population.name]
        # Of its own window: four steps of gathering, four of firing, twice.
        turns = spikes.reshape(4, 2, 2, 4, -1) if isinstance(population.model, RealNeuron) else None
        if turns is not None:
            assert not turns[:, :, 0].any(), population.name
            assert turns[:, 0, 1].any(), population.name
            assert turns[:, 1, 1].any(), population.name


def power_of_two(k: np.ndarray) -> np.ndarray:
    """The nearest one, the larger of two; 0 stays."""
    return np.where(k > 0, 2.0 ** np.floor(np.log2(np.maximum(k, 1) * 4 / 3)), 0)


def test_differential_neurons_follow_the_published_recursion() -> None:
    """m = v + cr + x, v <- m - s, cr <- cr + (x - s) / t; abar is the sum of s / t."""
    x = levels(-16, 16)
    options: dict[str, Any] = {"initial_membrane": 0.0, "bias_correction": 0}
    converted = convert(
        "differential",
        line([1.0], 0.27),
        x,
        timesteps=2,
        input_levels=16,
        normalization="max",
        **options,
    )
    (population,) = hidden(converted.netlist)
    theta = population.unit.item()
    assert theta == pytest.approx(1.27 / 8)
    pre = x[:, 0].astype(np.float64)
    v, cr, value, wanted = np.zeros(33), np.full(33, 0.27), np.zeros(33), []
    for t, arriving in ((1, pre), (2, np.zeros(33))):
        m = v + cr + arriving
        up = power_of_two(np.minimum(np.maximum(np.floor(m / theta + 1e-9), 0), 8))
        # No more is taken back than would bring the value to 0.
        most = np.floor(t * value / theta + 1e-9)
        down = power_of_two(
            np.minimum(np.where(m < 0, np.minimum(np.ceil(-m / theta), most), 0), 8)
        )
        s = up - np.where(down > most, down / 2, down)
        v, cr = m - s * theta, cr + (arriving - s * theta) / t
        value = value + s * theta / t
        wanted.append(s)
    found = run(converted, x).spikes[population.name][..., 0]
    np.testing.assert_array_equal(found, np.stack(wanted, axis=1))
    assert (found < 0).any()


@pytest.mark.parametrize("gain", ["harmonic", "halved"])
def test_later_differences_refine_the_value(gain: str) -> None:
    """A constant is known to about theta / T after T steps, and the bias enters once."""
    x = levels(-16, 16)
    for T in (4, 16):
        converted = convert(
            "differential",
            line([1.0], 0.27),
            x,
            timesteps=T,
            input_levels=16,
            normalization="max",
            bias_correction=0,
            gain=gain,
        )
        (population,) = hidden(converted.netlist)
        found = answer(converted, x)[:, 0]
        expected = np.maximum(x[:, 0] + 0.27, 0)
        assert np.abs(found - expected).max() <= population.unit.item() / T
