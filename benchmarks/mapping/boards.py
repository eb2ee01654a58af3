"""Boards that are large enough: meshes of cores, and chips of Loihi side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.loading import load_board


def mesh(neurons: int) -> Board:
    """One core a tile, each of 1024 neurons and without any other limit; Loihi 1's energies.

    A square, with a tenth more cores than ``neurons`` fill. Every neuron counts as one.
    """
    start = load_board("loihi1").events_alone()
    side = math.ceil(math.sqrt(1.1 * neurons / 1024 + 16))
    return replace(
        start,
        name="mesh",
        synapses=None,
        neurons={},
        limits={"neurons": start.limits["neurons"]},
        grid=Grid(1, 1, side, side, 1, "assumed", "one core a tile"),
    )


def chips(name: str, n_chips: int) -> Board:
    """``n_chips`` chips of a board, with all its limits, near a square of tiles."""
    start = load_board(name).events_alone()
    columns = max(1, round(math.sqrt(n_chips * start.grid.tiles_y / start.grid.tiles_x)))
    rows = -(-n_chips // columns)
    grid = replace(start.grid, chips_x=columns, chips_y=rows)
    return replace(start, name=f"{name} x {columns * rows}", grid=grid)


BOARDS: dict[str, Callable[[int], Board]] = {
    "mesh": mesh,
    # As many as Hala Point has of Loihi 2 and Pohoiki Springs of Loihi 1.
    "loihi2": lambda _: chips("loihi2", 1152),
    "loihi1": lambda _: chips("loihi1", 768),
}
