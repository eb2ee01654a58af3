"""Levels fitted to the weights: sums of few values, nearer than the uniform grid of a width."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from neurodeploy.errors import QuantizationError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.connectivity import Dense, Sparse
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.quantization import levels
from neurodeploy.quantization.integers import Quantization
from neurodeploy.quantization.levels import UNIFORM, fit_levels
from neurodeploy.render.quantization import quantization_parts
from neurodeploy.stages.fit import fit_layer_bits
from neurodeploy.targets.registry import TARGETS
from tests.quantization.netlists import feed_forward, neuron


def sums(copies: tuple[int, ...], values: list[int]) -> set[int]:
    codes = itertools.product(*(range(m + 1) for m in copies))
    return {sum(k * v for k, v in zip(code, values, strict=True)) for code in codes}


@pytest.mark.parametrize("bits", sorted(UNIFORM))
def test_the_values_of_a_width_make_its_uniform_grid(bits: int) -> None:
    copies, values = UNIFORM[bits]
    assert set(range(-(2 ** (bits - 1)), 2 ** (bits - 1))) <= sums(copies, list(values))


@pytest.mark.parametrize("bits", sorted(UNIFORM))
@pytest.mark.parametrize("shape", ["normal", "laplace", "uniform"])
def test_fitted_levels_are_sums_and_beat_the_uniform_grid(bits: int, shape: str) -> None:
    rng = np.random.default_rng(bits)
    draw = (
        rng.uniform(-1, 1, (20, 150)) if shape == "uniform" else getattr(rng, shape)(size=(20, 150))
    )
    largest = 2 ** (bits + 2) - 1
    weights = draw / np.abs(draw).max(axis=1, keepdims=True) * largest
    values, levels = fit_levels(weights, np.ones_like(weights), bits, largest)
    copies, _ = UNIFORM[bits]
    for row, own in zip(levels, values, strict=True):
        assert set(row.tolist()) <= sums(copies, own.tolist())
    assert np.abs(levels).max() <= largest
    top = 2 ** (bits - 1)
    error = np.square(levels - weights).sum(axis=1)
    uniform = np.full(error.shape, np.inf)
    for share in np.linspace(0.4, 1.0, 25):
        step = share * largest / (top - 1)
        grid = np.clip(np.rint(weights / step), -top, top - 1) * step
        uniform = np.minimum(uniform, np.square(grid - weights).sum(axis=1))
    # Uniform weights are what the uniform grid is best at, and its step need not be whole.
    assert error.sum() <= uniform.sum() * (1.1 if shape == "uniform" else 0.99)


def test_padding_changes_nothing_and_stays_zero() -> None:
    weights = np.random.default_rng(1).normal(size=(4, 60)) * 8
    values, levels = fit_levels(weights, np.ones_like(weights), 3, 31)
    padded = np.concatenate([weights, np.zeros((4, 30))], axis=1)
    used = np.concatenate([np.ones((4, 60)), np.zeros((4, 30))], axis=1)
    same_values, wider = fit_levels(padded, used, 3, 31)
    np.testing.assert_array_equal(same_values, values)
    np.testing.assert_array_equal(wider[:, :60], levels)
    assert not wider[:, 60:].any()


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_crossbars_find_the_values_again(bits: int) -> None:
    rng = np.random.default_rng(bits)
    rows, columns = np.nonzero(rng.random((9, 40)) < 0.8)
    net = feed_forward(
        ("a", (12,), neuron(3.0), {"x": Dense(rng.normal(size=(12, 40)), (40,))}),
        (
            "b",
            (9,),
            neuron(2.0),
            {"x": Sparse(rng.normal(size=rows.size), rows, columns, (40,), (9,))},
        ),
        shape=(40,),
        timesteps=8,
    )
    board = load_board("truenorth")
    chosen = fit_layer_bits(net, Quantization(bits, levels="fitted"), board)
    assert chosen.layer_bits == {"a": bits, "b": bits}
    integer, report = chosen(net)
    assert [row["weight_bits"] for row in report] == [bits, bits]
    for name in ("a", "b"):
        projection = integer.incoming[name][0]
        assert projection.weight_bits == bits + 3
        post, _, weight = projection.connectivity.to_coo()
        assert max(len(set(weight[post == j].tolist()) - {0}) for j in range(9)) < 2**bits
    deployment = TARGETS.get("truenorth")().compile(Network(integer), board)
    assert [layer["sources"][0]["R"] for layer in deployment.layers] == [bits, bits]
    spikes = (rng.random((3, 8, 40)) < 0.4).astype(np.int64)
    expected, found = run_reference(integer, {"x": spikes}), deployment.run({"x": spikes})
    for name in ("a", "b"):
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name])


def test_layers_too_wide_for_fitted_levels_say_so_and_none_at_all_is_refused() -> None:
    rng = np.random.default_rng(0)
    net = feed_forward(
        ("a", (3,), neuron(3.0), {"x": Dense(rng.normal(size=(3, 6)), (6,))}),
        ("b", (2,), neuron(2.0), {"a": Dense(rng.normal(size=(2, 3)), (3,))}),
        timesteps=8,
    )
    widths = {"a": 6, "b": 3}
    fitted, report = Quantization(8, widths, levels="fitted")(net)
    uniform, plain = Quantization(8, widths)(net)
    np.testing.assert_array_equal(
        fitted.projections[0].connectivity.weight, uniform.projections[0].connectivity.weight
    )
    assert [row["grid"] for row in report] == ["uniform", "fitted"]
    assert "fitted" in "\n".join(quantization_parts(report))
    assert "uniform" not in "\n".join(quantization_parts(plain))
    with pytest.raises(QuantizationError, match=r"'fitted' against 6 weight bits: .* 2 to 5 bits"):
        Quantization(6, levels="fitted")(net)
    with pytest.raises(QuantizationError, match="levels 'log'; expected one of uniform, fitted"):
        Quantization(3, levels="log")


def test_values_for_fixed_digits_have_the_least_square_error() -> None:
    """Of weights that are sums of values already, and of one that is padding."""
    random = np.random.default_rng(0)
    chosen = random.integers(0, 3, (1, 12, 2)).astype(float)
    used = np.ones((1, 12))
    used[0, 3] = 0.0
    wanted = np.array([[5.0, -3.0]])
    weights = (chosen * wanted[:, None]).sum(-1)
    weights[0, 3] = 99.0
    before = np.array([[1.0, 1.0]])
    found = levels._least_squares(weights, chosen, used, before, 100)
    assert found.tolist() == wanted.tolist()
    assert levels._least_squares(weights, chosen, used, before, 4).tolist() == [[4.0, -3.0]]
    # A type that nobody uses keeps its value.
    chosen[..., 1] = 0.0
    kept = levels._least_squares(weights * 0, chosen, used, np.array([[7.0, 6.0]]), 100)
    assert kept.tolist() == [[0.0, 6.0]]
