"""Grid of a board's cores: tiles on chips, chips on a board, all in one joint grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurodeploy.hardware.boards.constant import Basis
from neurodeploy.ir.arrays import IntArray


class Hops(NamedTuple):
    """Way of a packet, per pair of cores: tiles east or west, north or south, chip borders."""

    x: IntArray
    y: IntArray
    crossings: IntArray


@dataclass(frozen=True, slots=True)
class Grid:
    """Cores of a board: ``chips_x`` x ``chips_y`` chips of ``tiles_x`` x ``tiles_y`` tiles.

    Chip c lies at ``(c // chips_y, c % chips_y)`` on the board, tile t of a chip at
    ``(t // tiles_y, t % tiles_y)`` on it. The tiles of neighbouring chips continue each other: in
    the joint grid tile (x, y) of a chip at (cx, cy) lies at (cx tiles_x + x, cy tiles_y + y), a
    packet takes the Manhattan distance, and a hop over the border of a chip is a crossing as well.
    """

    chips_x: int
    chips_y: int
    tiles_x: int
    tiles_y: int
    cores_per_tile: int
    basis: Basis
    source: str

    @property
    def chips(self) -> int:
        """Chips of the board."""
        return self.chips_x * self.chips_y

    @property
    def tiles_per_chip(self) -> int:
        """Tiles of one chip."""
        return self.tiles_x * self.tiles_y

    @property
    def cores_per_chip(self) -> int:
        """Cores of one chip."""
        return self.tiles_per_chip * self.cores_per_tile

    @property
    def n_cores(self) -> int:
        """Cores of the board."""
        return self.chips * self.cores_per_chip

    @property
    def width(self) -> int:
        """Tiles of the joint grid from west to east."""
        return self.chips_x * self.tiles_x

    @property
    def height(self) -> int:
        """Tiles of the joint grid from north to south."""
        return self.chips_y * self.tiles_y

    def tile_of(self, core: int) -> tuple[int, int, int]:
        """``(chip, x, y)`` of a core, numbered chip by chip, tile by tile."""
        chip, within = divmod(core, self.cores_per_chip)
        x, y = divmod(within // self.cores_per_tile, self.tiles_y)
        return chip, x, y

    def joint(self, chip: IntArray | int, x: IntArray | int, y: IntArray | int) -> IntArray:
        """Joint coordinates of tiles given by chip and place on it: int64 ``[..., 2]``."""
        chip_x, chip_y = np.divmod(np.asarray(chip, dtype=np.int64), self.chips_y)
        return np.stack(
            np.broadcast_arrays(chip_x * self.tiles_x + x, chip_y * self.tiles_y + y), axis=-1
        )

    def positions(self, cores: IntArray | int) -> IntArray:
        """Joint coordinates of the tiles of core slots: ``[...]`` to int64 ``[..., 2]``."""
        chip, within = np.divmod(np.asarray(cores, dtype=np.int64), self.cores_per_chip)
        x, y = np.divmod(within // self.cores_per_tile, self.tiles_y)
        return self.joint(chip, x, y)

    def hops_between(self, here: IntArray, there: IntArray) -> Hops:
        """Way between joint coordinates ``[..., 2]``, broadcast against each other.

        In dimension order, over the joint grid::

            x = |x1 - x2|    y = |y1 - y2|
            crossings = |x1 // tiles_x - x2 // tiles_x| + |y1 // tiles_y - y2 // tiles_y|
        """
        size = np.array([self.tiles_x, self.tiles_y])
        tiles = np.abs(here - there)
        chips = np.abs(here // size - there // size)
        return Hops(tiles[..., 0], tiles[..., 1], chips.sum(axis=-1))

    def hops(self, source: IntArray | int, target: IntArray | int) -> Hops:
        """Way between core slots (numbers below ``n_cores``), broadcast against each other."""
        return self.hops_between(self.positions(source), self.positions(target))
