"""The targets by name, and which of them runs a board."""

from __future__ import annotations

from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.registry import Entry, Registry
from neurodeploy.targets.base import Target

TARGETS: Registry[type[Target]] = Registry(
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
