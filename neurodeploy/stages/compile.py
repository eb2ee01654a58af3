"""From integers to a deployment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.network import Network
from neurodeploy.stages.load import opened_network, wrong_kind
from neurodeploy.targets.base import Deployment, Violation
from neurodeploy.targets.registry import TARGETS


def chosen_board(board: str | Board) -> Board:
    """A board by name, path or as it is.

    Raises
    ------
    UsageError
        For anything else.
    """
    if isinstance(board, Board):
        return board
    if isinstance(board, str | os.PathLike):
        try:
            return load_board(board)
        except UnknownNameError as error:
            if str(board) in TARGETS.entries():
                error.args = (
                    f"unknown board {str(board)!r}: that is a target, which runs on boards; known: "
                    f"{', '.join(board_names())}",
                )
            raise
    raise wrong_kind("board", board, "a board, its name or the path of its .toml file")


def names_several(given: object) -> bool:
    """Whether boards are given as several: as a list, a text with commas, or ``all``."""
    if isinstance(given, str):
        return "," in given or given == "all"
    return isinstance(given, list | tuple)


def board_list(given: str | Board | Sequence[str | Board]) -> list[str | Board]:
    """Boards one by one: of a text with commas, of ``all`` that come with neurodeploy.

    Raises
    ------
    UsageError
        For an empty name.
    """
    if given == "all":
        return [*board_names()]
    if not isinstance(given, str):
        # One that is no board is refused where it is opened.
        return [*given] if isinstance(given, Sequence) else [given]
    names = [name.strip() for name in given.split(",")]
    if "" in names:
        raise UsageError(f"board {given!r}: an empty name; separate names by one comma")
    return [*names]


def check(
    net: Network | str | Path, target: str, board: str | Board | None = None, **options: Any
) -> list[Violation]:
    """All reasons why a target cannot compute a network exactly; empty if it can.

    With an option that approximates: why not, or why it cannot compute the approximation exactly.
    """
    return stated(net, target, board, **options)[1]


def stated(
    net: Network | str | Path, target: str, board: str | Board | None = None, **options: Any
) -> tuple[Network, list[Violation]]:
    """Statement of a deployment that was not made, and the findings of :func:`check`.

    It is the given network unless an option approximates; then its provenance has ``restated``.
    """
    instance, chosen = _target("check", target, board)
    found: tuple[Network, list[Violation]] = instance.stated(
        opened_network(net, "check"), chosen, instance.complete_options(options)
    )
    return found


def compile(
    net: Network | str | Path, target: str, board: str | Board | None = None, **options: Any
) -> Deployment:
    """Compile a quantized network for a target.

    Parameters
    ----------
    net : Network or path
    target : str
        See ``neurodeploy targets``.
    board : str or Board, optional
        See ``neurodeploy boards``, or a TOML file. [default: the target's]
    **options
        Of the target.

    Raises
    ------
    CapacityError
        If the target cannot compute it exactly.
    TargetUnavailableError
        If the target's software is needed to compile and missing.
    """
    instance, chosen = _target("compile", target, board)
    network = opened_network(net, "compile")
    deployment: Deployment = instance.compile(network, chosen, options)
    return deployment


def _target(verb: str, name: str, board: str | Board | None) -> tuple[Any, Board | None]:
    if not isinstance(name, str):
        raise wrong_kind(verb, name, f"a network, then a target's name: {', '.join(TARGETS)}")
    target = TARGETS.get(name)()
    wanted = board if board is not None else target.default_board
    return target, None if wanted is None else chosen_board(wanted)
