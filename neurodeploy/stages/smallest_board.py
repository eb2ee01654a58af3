"""The smallest board of those that come with neurodeploy that holds a network."""

from __future__ import annotations

from collections.abc import Collection

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.hardware.fit import judge
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS, target_for


def smallest_board(
    network: Network, kinds: Collection[str], target: str | None = None
) -> str | None:
    """Name of the smallest board of these kinds that holds a network; None if none does.

    The smallest has the fewest chips and, among those, the fewest cores. ``target`` is asked about
    the boards that it runs, the first target of their kind about the others.
    """
    boards = [board for board in map(load_board, board_names()) if board.kind in kinds]
    boards.sort(key=lambda board: (board.grid.chips, board.grid.n_cores))
    return next((board.name for board in boards if _holds(board, network, target)), None)


def _holds(board: Board, network: Network, target: str | None) -> bool:
    runs = TARGETS.get(target_for(board, target))()
    # What takes long, cutting it into cores, comes last.
    if runs.judges(board) and not judge(network.integer, board, cut=False).fits:
        return False
    return not runs.fits(network.integer, board)
