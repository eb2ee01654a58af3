"""Which of the boards that come with neurodeploy would hold a network."""

from __future__ import annotations

from collections.abc import Collection

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.board import Board, board_names, load_board
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.network import Network


def smallest_board(network: Network, kinds: Collection[str]) -> str | None:
    """Name of the smallest board of these kinds that holds a network; None if none does.

    The smallest has the fewest chips and, among those, the fewest cores.
    """
    boards = [board for board in map(load_board, board_names()) if board.kind in kinds]
    boards.sort(key=lambda board: (board.grid.chips, board.grid.n_cores))
    return next((board.name for board in boards if _holds(board, network)), None)


def _holds(board: Board, network: Network) -> bool:
    if board.kind == "crossbar":
        from neurodeploy.targets.registry import TARGETS

        target = TARGETS.get("truenorth")()
        return not target.check(network.integer, board, target.complete_options({}))
    try:
        partition(network.integer, board)
    except CapacityError:
        return False
    return True
