from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.hardware.place.region import (
    along_hilbert,
    hilbert_index,
    index_order,
    near_square,
)
from tests.hardware.mapping.boards import grid


@settings(max_examples=150)
@given(
    chips=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    tiles=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    cores_per_tile=st.integers(1, 4),
    share=st.floats(0.0, 1.0),
)
def test_slots_are_legal_and_few(
    chips: tuple[int, int], tiles: tuple[int, int], cores_per_tile: int, share: float
) -> None:
    board_grid = grid(chips, tiles, cores_per_tile)
    n = max(1, round(share * board_grid.n_cores))
    for region in (near_square(board_grid, n), index_order(board_grid, n)):
        assert region.n_slots == n
        place = region.on_chip()
        np.testing.assert_array_equal(board_grid.joint(region.chip, *place.T), region.position)
        assert (place >= 0).all()
        assert (place < tiles).all()
        assert region.chip.min() >= 0
        assert region.chip.max() < board_grid.chips
        _, used = np.unique(region.position, axis=0, return_counts=True)
        assert used.max() <= cores_per_tile
        assert np.unique(region.chip).size == -(-n // board_grid.cores_per_chip)
        assert used.size == -(-n // cores_per_tile) or board_grid.chips > 1
        assert sorted(along_hilbert(region)) == list(range(n))


def test_a_region_is_near_a_square() -> None:
    region = near_square(grid(tiles=(100, 100)), 280)
    assert (np.ptp(region.position, axis=0) + 1).tolist() == [17, 17]
    chips = near_square(grid((8, 4), (8, 4), 4), 9 * 128)
    # Chips of 8 x 4 tiles: 2 columns of 4 and one of 1, or the like.
    assert (np.ptp(chips.position, axis=0) + 1).max() <= 24


def test_a_board_is_used_to_its_last_core() -> None:
    board_grid = grid((3, 2), (2, 3), 2)
    region = near_square(board_grid, board_grid.n_cores)
    assert np.unique(region.position, axis=0).shape[0] == board_grid.width * board_grid.height


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_hilbert_curve_goes_from_neighbour_to_neighbour(order: int) -> None:
    side = 1 << order
    x, y = np.divmod(np.arange(side * side), side)
    index = hilbert_index(x, y, order)
    assert sorted(index) == list(range(side * side))
    walk = np.argsort(index)
    steps = np.abs(np.diff(x[walk])) + np.abs(np.diff(y[walk]))
    assert (steps == 1).all()
