"""Weight grids: exponents keep branches apart, and no candidate beats the chosen unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.quantization.grids import (
    MAX_SPREAD,
    SHARES,
    Rows,
    choose_grid,
    round_to_grid,
    rows_and_columns,
    rows_of,
    weight_range,
)


def rows(*values: np.ndarray) -> list[Rows]:
    return [Rows(np.atleast_2d(v), np.ones(len(np.atleast_2d(v)))) for v in values]


def choose(parts: list[Rows], bits: list[int], least: float = 0.0):
    channels = len(parts[0].values)
    return choose_grid(parts, bits, np.ones(channels), np.full(channels, least))


def error(parts: list[Rows], bits: list[int], unit: np.ndarray, exponents) -> np.ndarray:
    total = np.zeros(unit.shape)
    for part, width, exponent in zip(parts, bits, exponents, strict=True):
        step = (unit * np.exp2(exponent))[:, None]
        total += np.square(round_to_grid(part.values, step, width) * step - part.values).sum(1)
    return total


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_no_share_of_the_range_has_less_error(bits: int, seed: int) -> None:
    parts = rows(np.random.default_rng(seed).normal(size=(3, 40)))
    grid = choose(parts, [bits])
    assert (grid.exponents[0] == 0).all()
    chosen = error(parts, [bits], grid.unit, grid.exponents)
    full = parts[0].largest / (2 ** (bits - 1) - 1)
    for share in SHARES:
        tried = error(parts, [bits], full * share, [np.zeros(3)])
        assert (chosen <= tried * (1 + 1e-6)).all()


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_on_a_grid_survive_unchanged(bits: int) -> None:
    low, high = -(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1
    weights = np.arange(low, high + 1) * 0.037
    grid = choose(rows(weights), [bits])
    step = (grid.unit * np.exp2(grid.exponents[0]))[:, None]
    np.testing.assert_allclose(round_to_grid(weights[None], step, bits) * step, weights[None])


@pytest.mark.parametrize("ratio", [0.02, 1.0, 5.0, 60.0, 900.0])
def test_branches_of_very_different_scale_keep_their_resolution(ratio: float) -> None:
    random = np.random.default_rng(0)
    small, large = random.normal(size=(4, 90)), random.normal(size=(4, 3)) * ratio
    grid = choose(rows(small, large), [4, 4])
    for part, exponent in zip((small, large), grid.exponents, strict=True):
        step = (grid.unit * np.exp2(exponent))[:, None]
        left = round_to_grid(part, step, 4) * step - part
        # A grid of 4 bits has about 20 dB of its own; one grid for both has 0 at a ratio of 60.
        assert 10 * np.log10(np.square(part).sum() / np.square(left).sum()) > 14
    assert (np.minimum(*grid.exponents) == 0).all()


def test_a_vanishing_branch_takes_no_bits_from_the_other() -> None:
    grid = choose(rows(np.full((1, 9), 1e-20), np.array([[0.5, -1.0]])), [8, 8])
    assert grid.exponents[1][0] <= MAX_SPREAD
    assert grid.unit[0] > 1e-7


def test_zero_rows_and_the_least_unit() -> None:
    grid = choose_grid(rows(np.zeros((2, 3))), [8], np.array([0.25, 2.0]), np.zeros(2))
    np.testing.assert_array_equal(grid.unit, [0.25, 2.0])
    grid = choose(rows(np.array([[1.0, -0.5]])), [8], least=0.1)
    assert grid.unit[0] >= 0.1


def test_rows_weigh_what_a_neuron_receives() -> None:
    random = np.random.default_rng(0)
    window = Window((5, 5), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
    conv = Conv(random.normal(size=(4, 2, 3, 3)), 2, window)
    pool = SumPool(random.normal(size=4), window)
    for layer in (conv, pool, Dense(random.normal(size=(3, 8)), (8,))):
        as_sparse = Sparse(
            layer.to_coo()[2], *layer.to_coo()[:2], layer.pre_shape, layer.post_shape
        )
        a, b = rows_of(layer), rows_of(as_sparse)
        np.testing.assert_allclose(
            np.square(a.values).sum(1) * a.multiplicity, np.square(b.values).sum(1) * b.multiplicity
        )
        np.testing.assert_allclose(a.largest, b.largest)


@pytest.mark.parametrize(
    ("bits", "low", "high"), [(1, -1, 0), (2, -2, 1), (8, -128, 127), (16, -32768, 32767)]
)
def test_the_ends_of_a_width(bits: int, low: int, high: int) -> None:
    assert weight_range(bits) == (low, high)
    assert weight_range(bits, symmetric=True) == (-high, high)
    values = np.array([low - 1.0, low, -0.5, 0.5, 1.5, high, high + 1.0])
    found = round_to_grid(values, np.ones(()), bits)
    assert found.tolist() == np.clip([low, low, 0, 0, 2, high, high], low, high).tolist()
    assert round_to_grid(values, np.ones(()), bits, symmetric=True).min() == -high


def test_a_list_fills_its_rows_from_the_left() -> None:
    post, pre = np.array([5, 0, 3, 1, 2]), np.array([0, 1, 2, 3, 4])
    layer = Sparse(np.arange(1.0, 6.0), post, pre, (6,), (3, 2))
    row, column = rows_and_columns(layer)
    assert row.tolist() == [2, 0, 1, 0, 1]
    assert column.tolist() == [0, 0, 0, 1, 1]
    found = rows_of(layer)
    assert found.values.tolist() == [[2.0, 4.0], [3.0, 5.0], [1.0, 0.0]]
    assert found.largest.tolist() == [4.0, 5.0, 1.0]
    assert found.multiplicity.tolist() == [0.5] * 3
    nothing = Sparse(np.zeros(0), np.zeros(0, int), np.zeros(0, int), (6,), (3, 2))
    assert rows_of(nothing).values.tolist() == [[0.0]] * 3


def test_rows_count_as_often_as_a_neuron_hears_them() -> None:
    """Of a padded window the one that meets most cells."""
    conv = Conv(np.ones((2, 3, 3)), 3, Window((4,), (3,), (1,), ((1, 1),), (1,)))
    assert rows_of(conv).multiplicity.tolist() == [1.0, 1.0]
    pool = SumPool(np.ones(2), Window((4,), (2,), (2,), ((0, 0),), (1,)))
    assert rows_of(pool).multiplicity.tolist() == [2.0, 2.0]


def test_exponents_by_hand() -> None:
    """Weights on grids of a quarter, of four, and none; at least one branch has exponent 0."""
    small, large = np.array([[0.25, -0.75], [0.0, 0.0]]), np.array([[12.0, 4.0], [3.0, -1.0]])
    grid = choose(rows(small, large), [3, 3])
    assert grid.unit.tolist() == [0.25, 1.0]
    assert grid.exponents[0].tolist() == [0, 0]
    assert grid.exponents[1].tolist() == [4, 0]
    # A least unit above both: exponent 0 all the same.
    coarse = choose(rows(small, large), [3, 3], least=8.0)
    assert coarse.unit.tolist() == [8.0, 8.0]
    assert [e.tolist() for e in coarse.exponents] == [[0, 0], [0, 0]]


def test_a_grid_for_both_signs_has_no_further_level() -> None:
    """-4 fits three bits, and 4 does not: the step is that of the larger side."""
    part = rows(np.array([[-4.0, 3.0, 2.0, 1.0]]))
    either = choose_grid(part, [3], np.ones(1), np.zeros(1), symmetric=True)
    one = choose_grid(part, [3], np.ones(1), np.zeros(1))
    assert one.unit[0] == pytest.approx(1.0)
    assert either.unit[0] > 1.1
