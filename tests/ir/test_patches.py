"""Patches: what rows of weights meet, and how far few of them can be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.ir.connectivity import Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.patches import has_rows, patches, shrinkage

WINDOWS = {
    "padded": Window((5, 4), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    "strided": Window((7, 7), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    "dilated": Window((9,), (3,), (1,), ((2, 2),), (2,)),
}


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_a_row_meets_what_its_convolution_hears(window: Window, groups: int) -> None:
    random = np.random.default_rng(5)
    conv = Conv(random.normal(size=(8, 4 // groups, *window.kernel)), 4, window, groups)
    emitted = random.integers(0, 9, (3, 4, *window.input_size))
    given = conv.apply(emitted.astype(np.float64)).reshape(3, 8, -1)
    for group in range(groups):
        met = patches(conv, emitted, group)
        own = slice(group * 8 // groups, (group + 1) * 8 // groups)
        rows = conv.weight.reshape(8, -1)[own]
        # All positions of a sample are drawn here, in an order of their own.
        found = (met @ rows.T).reshape(3, -1, rows.shape[0]).transpose(0, 2, 1)
        assert np.allclose(np.sort(found, axis=2), np.sort(given[:, own], axis=2))


def test_shrinkage_is_never_whole() -> None:
    # One sample says nothing of a moment that is nearly round: all of its spread is an error.
    assert np.isclose(shrinkage(np.array([[2.0, 1.0]]), np.diag([1.0, 1.01])), 0.99 / 0.01)


def test_shrinkage_by_hand() -> None:
    """Two orthogonal samples of two inputs tell nothing apart; one direction alone tells all."""
    apart = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert shrinkage(apart, apart.T @ apart / 2) == 0.0
    along = np.ones((50, 2))
    assert shrinkage(along, along.T @ along / 50) == 0.0
    # E|x|^4 = 16 and |H|^2 = 9 + 1: the square error (16 - 10) / 4, of |H - 2 I|^2 = 10 - 8.
    uneven = np.array([[2.0, 0.0]] * 3 + [[0.0, 2.0]])
    moment = uneven.T @ uneven / 4
    assert np.allclose(moment, np.diag([3.0, 1.0]))
    share = (16 - 10) / 4 / (10 - 8)
    assert np.isclose(shrinkage(uneven, moment), share / (1 - share))


def test_lists_and_pools_have_no_rows() -> None:
    window = Window((4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    assert not has_rows(SumPool(np.ones(2), window))
    assert not has_rows(Sparse(np.ones(1), np.zeros(1, int), np.zeros(1, int), (2,), (2,)))
