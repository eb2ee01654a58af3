"""What ``auto`` may spend: loss, time steps, and the cores of what has to hold the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.conversion.option_types import expect_kind
from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.stages.compile import chosen_board
from neurodeploy.targets.registry import TARGETS, own_methods, usable_targets
from neurodeploy.verification.accuracy import task_of

if TYPE_CHECKING:
    from neurodeploy.source.analog import AnalogGraph

AUTO = "auto"
MAX_LOSS = 1.0
MAX_ERROR = 2.0


@dataclass(frozen=True, slots=True)
class Budget:
    """Budget of ``auto``.

    Parameters
    ----------
    target : str or None
        The target that has to compute it exactly; None: any.
    board : str, Board or None
        That has to hold it.
    max_loss : float
        Points of accuracy that may be lost against the source network; of classes without labels
        a fifth of the samples that may be answered otherwise.
    max_timesteps : int or None
        Longest run.
    max_error : float
        Where answers are no classes: error of the worst output in per cent of its spread.
    """

    target: str | None = None
    board: str | Board | None = None
    max_loss: float = MAX_LOSS
    max_timesteps: int | None = None
    max_error: float = MAX_ERROR

    def __post_init__(self) -> None:
        expect_kind("max loss", self.max_loss, float)
        if not 0 <= self.max_loss <= 100:
            raise UsageError(f"max loss {self.max_loss}: expected 0 to 100 points")
        if not self.max_error > 0:
            raise UsageError(f"max error {self.max_error}: expected per cent above 0")
        if self.max_timesteps is not None:
            expect_kind("max timesteps", self.max_timesteps, int)
            if self.max_timesteps < 1:
                raise UsageError(f"max timesteps {self.max_timesteps}: at least 1 is needed")

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that the target restricts to; none: the ladder's."""
        return () if self.target is None else TARGETS.get(self.target).methods

    @property
    def chosen_board(self) -> Board | None:
        """The board, by default the target's."""
        named = self.board
        if named is None and self.target is not None:
            named = TARGETS.get(self.target).default_board
        return None if named is None else chosen_board(named)

    @property
    def binary_board(self) -> str | None:
        """The board, if its cores send spikes that carry no more than that they happened."""
        board = self.chosen_board
        if board is None:
            return None
        binary = board.kind == "crossbar" or board.limit("payload_bits") == 1
        return board.name if binary else None

    @property
    def neurocores(self) -> bool:
        """Whether cores of the kind whose limits are judged one by one have to run it."""
        board = self.chosen_board
        return board is not None and board.kind == "neurocore"

    @property
    def others(self) -> tuple[str, ...]:
        """Targets with methods of their own that run the board, where no target is named."""
        board = self.chosen_board
        if self.target is not None or board is None:
            return ()
        kinds = (None, board.kind)
        return tuple(n for n, t in usable_targets().items() if t.methods and t.board_kind in kinds)

    def options(self, method: str) -> dict[str, Any]:
        """What the board asks of a method, where nothing else is given.

        Maxima by plain neurons where its cores have no others, unless the method has a way of its
        own; from crossbars spikes alone are read.
        """
        if self.crossbar:
            return {"decode": "counts", "max_pooling": "identity"}
        board = self.chosen_board
        able = None if board is None else board.neurons.get("maximum")
        if able is None or able.compartments or method in own_methods():
            return {}
        return {"max_pooling": "identity"}

    @property
    def crossbar(self) -> bool:
        """Whether crossbar cores have to run it, which take and send spikes alone."""
        board = self.chosen_board
        return board is not None and board.kind == "crossbar"


def budget_for(
    method: str,
    target: str | None,
    board: str | Board | None,
    max_loss: float | None,
    max_error: str | float | None,
    max_timesteps: int | None,
) -> Budget | None:
    """The budget of ``auto``; None for other methods, which take none.

    Raises
    ------
    UsageError
        For a limit that is out of range, or given for another method.
    """
    if method == AUTO:
        loss = MAX_LOSS if max_loss is None else max_loss
        error = MAX_ERROR if max_error is None else _per_cent(max_error)
        return Budget(target, board, loss, max_timesteps, error)
    given = {
        "target": target,
        "board": board,
        "max_loss": max_loss,
        "max_error": max_error,
        "max_timesteps": max_timesteps,
    }
    for key, value in given.items():
        if value is not None:
            raise UsageError(f"{key} {value}: is for --method auto, got {method}; leave it out")
    return None


def expect_task(
    graph: AnalogGraph,
    budget: Budget,
    labelled: bool,
    classifier: bool,
    max_loss: float | None,
    max_error: str | float | None,
) -> None:
    """Refuse a budget for another kind of answers than the network gives.

    Raises
    ------
    UsageError
    """
    classes = task_of(graph, labelled, classifier) == "classes"
    if classes and max_error is not None:
        raise UsageError("max error: is for answers that are no classes; use --max-loss")
    if not classes and max_loss is not None:
        raise UsageError(
            f"max loss {budget.max_loss:g}: nothing says that the outputs are classes; use "
            "--max-error 2%, give labels, or say --classifier"
        )


def _per_cent(given: str | float) -> float:
    """``2%``, ``"2"`` or 2: all are 2 per cent."""
    try:
        return float(given.strip().removesuffix("%") if isinstance(given, str) else given)
    except (ValueError, TypeError):
        raise UsageError(f"max error {given!r}: expected per cent, as in 2%") from None
