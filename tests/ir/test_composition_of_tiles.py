"""A convolution of sums over tiles is a convolution again."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.ir.composition import compose
from neurodeploy.ir.connectivity import Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window


def layers(kernel: int, padding: int, stride: int, tile: int, size: int) -> tuple[Conv, SumPool]:
    rng = np.random.default_rng(0)
    pool = Window((size,) * 2, (tile,) * 2, (tile,) * 2, ((0, 0),) * 2, (1, 1))
    window = Window(
        pool.output_size, (kernel,) * 2, (stride,) * 2, ((padding, padding),) * 2, (1, 1)
    )
    weight = rng.normal(size=(4, 3, kernel, kernel))
    return Conv(weight, 3, window), SumPool(rng.random(3), pool)


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "tile", "size"), [(3, 1, 1, 2, 8), (2, 0, 2, 3, 12)]
)
def test_it_equals_both_in_turn(
    kernel: int, padding: int, stride: int, tile: int, size: int
) -> None:
    second, first = layers(kernel, padding, stride, tile, size)
    whole = compose(second, first, "x")
    assert isinstance(whole, Conv)
    x = np.random.default_rng(1).normal(size=(2, 3, size, size))
    np.testing.assert_allclose(whole.apply(x), second.apply(first.apply(x)), atol=1e-12)


def test_cells_that_no_tile_covers_stay_a_list() -> None:
    second, first = layers(3, 1, 1, 2, 9)
    whole = compose(second, first, "x")
    assert isinstance(whole, Sparse)
    x = np.random.default_rng(1).normal(size=(2, 3, 9, 9))
    np.testing.assert_allclose(whole.apply(x), second.apply(first.apply(x)), atol=1e-12)
