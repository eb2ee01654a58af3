"""Rounding whose errors cancel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.ir.connectivity import Conv, Dense, Sparse
from neurodeploy.ir.geometry import Window
from neurodeploy.quantization.grids import round_to_grid
from neurodeploy.quantization.rounding import balanced, round_weights


@settings(max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from([1, 2, 9]),
    st.integers(2, 8),
)
def test_errors_cancel_in_kernels_and_rows(
    seed: int, rows: int, kernels: int, n: int, bits: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, kernels, n))
    # No weight near the end of the range, where it could not move.
    step = np.abs(values).max(axis=(1, 2)) / (2 ** (bits - 1) - 2) if bits > 2 else np.full(rows, 9)
    whole = balanced(values, step, bits)
    error = values / step[:, None, None] - whole
    assert np.abs(error).max() < 1
    row = np.abs(error.sum(axis=(1, 2)))
    nearest = np.abs((values / step[:, None, None]) - np.rint(values / step[:, None, None]))
    assert nearest.max() <= 0.5
    if n > 1:
        # One more weight of a kernel may have moved for its row.
        assert np.abs(error.sum(axis=2)).max() < 1.5 + 1e-9
    assert (row <= 0.5 + 1e-9).all() or kernels * n < 4


def test_rows_cancel_better_than_nearest() -> None:
    values = np.random.default_rng(0).normal(size=(16, 32, 9))
    step = np.full(16, 0.4)
    nearest = values / 0.4 - round_to_grid(values, np.full((16, 1, 1), 0.4), 6)
    found = values / 0.4 - balanced(values, step, 6)
    assert np.abs(found.sum(axis=(1, 2))).max() <= 0.5 + 1e-9
    assert np.abs(nearest.sum(axis=(1, 2))).max() > 2
    assert np.abs(found.sum(axis=2)).mean() < np.abs(nearest.sum(axis=2)).mean() / 1.5


def test_by_hand() -> None:
    """Errors 0.4 0.4 0.4 sum to 1.2: the first of them goes up; a second kernel stays."""
    values = np.array([[[1.4, 2.4, 3.4], [1.0, -2.0, 0.1]]])
    assert balanced(values, np.ones(1), 4).tolist() == [[[2, 2, 3], [1, -2, 0]]]


def test_what_lies_on_the_grid_stays() -> None:
    whole = np.random.default_rng(1).integers(-8, 8, (5, 4, 9))
    np.testing.assert_array_equal(balanced(whole * 0.25, np.full(5, 0.25), 4), whole)


def test_the_ends_of_the_range_hold() -> None:
    values = np.full((1, 1, 9), 7.4)
    assert balanced(values, np.ones(1), 4).max() == 7
    assert balanced(-values - 1.0, np.ones(1), 4).min() == -8


@pytest.mark.parametrize("kind", ["conv", "dense", "flattened", "sparse"])
def test_every_connectivity_keeps_its_shape_and_step(kind: str) -> None:
    rng = np.random.default_rng(2)
    step = np.array([0.1, 0.2, 0.4])
    if kind == "conv":
        window = Window((4, 4), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
        connectivity = Conv(rng.normal(size=(3, 2, 3, 3)), 2, window, 1)
        scale = step[:, None, None, None]
    elif kind == "sparse":
        post, pre = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])
        connectivity = Sparse(rng.normal(size=4), post, pre, (3,), (3,))
        scale = step[post]
    else:
        shape = (8,) if kind == "dense" else (2, 2, 2)
        connectivity = Dense(rng.normal(size=(3, 8)), shape)
        scale = step[:, None]
    found = round_weights(connectivity, step, 8)
    assert found.shape == connectivity.weight.shape
    assert np.abs(found * scale - connectivity.weight).max() < scale.max()
    assert (np.abs(found * scale - connectivity.weight) < scale).all()
