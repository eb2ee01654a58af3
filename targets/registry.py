"""The targets by name, and which of them runs a board."""

from __future__ import annotations

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.registry import Entry, Registry
from neurodeploy.targets.base import Target


class _Targets(Registry[type[Target]]):
    """Targets; who names a chip as one is told which targets run its boards."""

    def get(self, name: str) -> type[Target]:
        try:
            return super().get(name)
        except UnknownNameError as error:
            boards = [b for b in board_names() if str(name) and b.startswith(str(name))]
            if not boards:
                raise
            kinds = {load_board(board).kind for board in boards}
            fitting = [n for n, target in usable_targets().items() if target.board_kind in kinds]
            error.args = (
                f"unknown target {name!r}: that is a chip; use --target {' or '.join(fitting)} "
                f"with --board {' or '.join(boards)}",
            )
            raise


TARGETS: Registry[type[Target]] = _Targets(
    "target",
    {
        "lava": Entry(
            "neurodeploy.targets.lava.target:LavaTarget",
            "Lava processes (Loihi's framework), fixed point, real lava-nc",
        ),
        "lava-stock": Entry(
            "neurodeploy.targets.lava.target:StockLavaTarget",
            "Lava's stock Conv, Dense and LIF alone: what Loihi 1 runs",
        ),
        "brian2": Entry(
            "neurodeploy.targets.brian2.target:Brian2Target",
            "a Brian2 Network, the independent reference simulation",
        ),
        "truenorth": Entry(
            "neurodeploy.targets.truenorth.target:TrueNorthTarget",
            "crossbar cores of 256 axons x 256 neurons, one destination per neuron",
        ),
    },
    group="neurodeploy.targets",
    needs=("name", "check", "lower", "load"),
)


def usable_targets() -> dict[str, type[Target]]:
    """All targets, in the order of the registry; plug-ins that cannot be imported are left out."""
    found = {}
    for name in TARGETS.entries():
        try:
            found[name] = TARGETS.get(name)
        except UsageError:
            continue
    return found


def own_methods() -> set[str]:
    """Conversion methods that some target asks for, as it computes no other's netlists."""
    return {method for target in usable_targets().values() for method in target.methods}


def target_for(board: Board, named: str | None = None) -> str:
    """Name of the target that runs a board.

    Parameters
    ----------
    board : Board
    named : str, optional
        Taken if it runs such boards; otherwise the first whose kind of cores is the board's.

    Raises
    ------
    UnknownNameError
        If the one named does not exist.
    UsageError
        If no target runs boards of this kind.
    """
    if named is not None and TARGETS.get(named).board_kind in (None, board.kind):
        return named
    for name, target in usable_targets().items():
        if target.board_kind == board.kind:
            return name
    raise UsageError(
        f"board {board.name}: no target runs {board.kind} cores; 'neurodeploy targets' lists them"
    )
