"""Core slots: which cores of a board a mapping may use, and curves through them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.ir.arrays import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Slots for the cores of a mapping; several of them can lie on one tile.

    Parameters
    ----------
    grid : Grid
    chip : int64 ``[n_slots]``
    position : int64 ``[n_slots, 2]``
        Joint coordinates of the slot's tile.
    """

    grid: Grid
    chip: IntArray
    position: IntArray

    @property
    def n_slots(self) -> int:
        """Slots of the region."""
        return self.chip.size

    def on_chip(self) -> IntArray:
        """Coordinates of every slot's tile on its own chip: ``[n_slots, 2]``."""
        return self.position % (self.grid.tiles_x, self.grid.tiles_y)


def index_order(grid: Grid, n_cores: int) -> Region:
    """The first slots of the board, in row-column order."""
    cores = np.arange(n_cores, dtype=np.int64)
    return Region(grid, cores // grid.cores_per_chip, grid.positions(cores))


def near_square(grid: Grid, n_cores: int) -> Region:
    """The fewest chips, and on them the fewest tiles, that hold the cores, near a square.

    Chips form a block of the board that is as square as possible in tiles; all but one are full.
    The cores of a chip that is not filled lie on tiles nearest to those of the others.
    """
    chips = -(-n_cores // grid.cores_per_chip)
    wide, _ = _block(chips, grid.chips_x, grid.chips_y, grid.tiles_x, grid.tiles_y)
    # Column by column, as chips are numbered: the last one stands at the edge of the block.
    high = -(-chips // wide)
    places = [divmod(i, high) for i in range(chips)]
    chip_of = np.array([x * grid.chips_y + y for x, y in places], dtype=np.int64)
    full = _tiles(grid, chip_of[:-1])
    rest = n_cores - (chips - 1) * grid.cores_per_chip
    last = _tiles(grid, chip_of[-1:])[_nearest(grid, places, -(-rest // grid.cores_per_tile))]
    tiles = np.concatenate([full, last])
    slots = np.repeat(tiles, grid.cores_per_tile, axis=0)[:n_cores]
    return Region(grid, slots[:, 0], slots[:, 1:])


def _block(n: int, most_x: int, most_y: int, size_x: int, size_y: int) -> tuple[int, int]:
    """Columns and rows of the squarest block of ``n`` cells of the given sides."""
    found = [
        (columns, -(-n // columns))
        for columns in range(1, min(n, most_x) + 1)
        if -(-n // columns) <= most_y
    ]

    def oblong(block: tuple[int, int]) -> tuple[int, int, int]:
        width, height = block[0] * size_x, block[1] * size_y
        return width + height, abs(width - height), block[0]

    return min(found, key=oblong)


def _tiles(grid: Grid, chips: IntArray) -> IntArray:
    """``(chip, x, y)`` in joint coordinates of all tiles of ``chips``, chip by chip."""
    x, y = np.divmod(np.arange(grid.tiles_per_chip), grid.tiles_y)
    chip = np.repeat(chips, grid.tiles_per_chip)
    joint = grid.joint(chip, np.tile(x, chips.size), np.tile(y, chips.size))
    return np.concatenate([chip[:, None], joint], axis=1)


def _nearest(grid: Grid, places: list[tuple[int, int]], n_tiles: int) -> IntArray:
    """Tiles to use on the last of the chips at ``places``: int64 ``[n_tiles]``."""
    x, y = np.divmod(np.arange(grid.tiles_per_chip), grid.tiles_y)
    if len(places) == 1:
        columns, rows = _block(n_tiles, grid.tiles_x, grid.tiles_y, 1, 1)
        outside = (x >= columns) | (y >= rows)
        order = np.lexsort((y, x, outside))
    else:
        own_x, own_y = places[-1]
        middle_x = sum(px for px, _ in places[:-1]) / (len(places) - 1) + 0.5
        middle_y = sum(py for _, py in places[:-1]) / (len(places) - 1) + 0.5
        away = np.abs(own_x * grid.tiles_x + x + 0.5 - middle_x * grid.tiles_x)
        away += np.abs(own_y * grid.tiles_y + y + 0.5 - middle_y * grid.tiles_y)
        order = np.lexsort((y, x, away))
    chosen: IntArray = np.sort(order[:n_tiles])
    return chosen


def hilbert_index(x: IntArray, y: IntArray, order: int) -> IntArray:
    """Index of cell (x, y) along a Hilbert curve through ``2^order`` x ``2^order`` cells.

    Hilbert 1891, Math. Ann. 38, 459-460.
    """
    index = np.zeros_like(x)
    for side in (1 << k for k in reversed(range(order))):
        right, upper = (x & side) > 0, (y & side) > 0
        index += side * side * ((3 * right) ^ upper)
        x, y = x & (side - 1), y & (side - 1)
        turned = ~upper & right
        x, y = np.where(turned, side - 1 - x, x), np.where(turned, side - 1 - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return index


def along_hilbert(region: Region) -> IntArray:
    """Slots in the order of a Hilbert curve through the region; slots of a tile together."""
    x, y = (region.position - region.position.min(axis=0)).T
    order = max(1, math.ceil(math.log2(max(int(x.max()), int(y.max())) + 1)))
    return np.argsort(hilbert_index(x, y, order), kind="stable")
