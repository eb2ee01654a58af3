"""Limits of one crossbar core, read from a board; the only place where limits enter."""

from __future__ import annotations

from dataclasses import dataclass, fields

from neurodeploy.errors import BoardError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.description import CROSSBAR_LIMITS


@dataclass(frozen=True, slots=True)
class CrossbarLimits:
    """Limits of a crossbar board, all inclusive.

    Parameters
    ----------
    axons, neurons, axon_types : int
        Of one core.
    weight_min, weight_max : int
        One weight per neuron and axon type.
    delay_max : int
        Ticks; the smallest delay is 1.
    membrane_floor, membrane_max : int
        A membrane saturates at both.
    leak_min, leak_max, threshold_min, threshold_max, initial_min, initial_max : int
    n_cores : int
        Of the whole board.
    """

    axons: int
    neurons: int
    axon_types: int
    weight_min: int
    weight_max: int
    delay_max: int
    membrane_floor: int
    membrane_max: int
    leak_min: int
    leak_max: int
    threshold_min: int
    threshold_max: int
    initial_min: int
    initial_max: int
    n_cores: int

    @property
    def turnable_weight(self) -> int:
        """Largest weight that an axon can have with either sign."""
        return min(self.weight_max, -self.weight_min)

    @classmethod
    def from_board(cls, board: Board) -> CrossbarLimits:
        """Read the limits of a board.

        Raises
        ------
        BoardError
            If the board has no crossbar cores or leaves a limit unknown.
        """
        if board.kind != "crossbar":
            raise BoardError(
                f"board {board.name}: kind {board.kind!r}; target truenorth needs a board of kind "
                "'crossbar', for example truenorth"
            )
        need = board.require_limit
        if need("destinations") < 1:
            raise BoardError(
                f"board {board.name}: limits.destinations {need('destinations')}; a neuron needs 1"
            )
        alike = [f.name for f in fields(cls) if f.name in CROSSBAR_LIMITS]
        return cls(
            **{name: need(name) for name in alike},
            membrane_max=2 ** (need("membrane_bits") - 1) - 1,
            initial_min=max(need("initial_membrane_min"), need("membrane_floor")),
            initial_max=need("initial_membrane_max"),
            n_cores=board.grid.n_cores,
        )
