"""Interface of targets: they check and compile netlists, and read deployments back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import BoardKind
from neurodeploy.hardware.fit import Verdict, judge
from neurodeploy.hardware.fit import Violation as Violation
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, check_bounds, prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network
from neurodeploy.targets.deployment import Deployment as Deployment


def state_bits(limit: int) -> int:
    """Width, sign included, whose states all stay within ``limit``."""
    return (limit + 1).bit_length()


def state_violations(
    netlist: IntegerNetlist,
    limit: int = STATE_LIMIT,
    what: str = "24-bit state",
    bounds: Mapping[str, PopulationBounds] | None = None,
) -> list[Violation]:
    """Populations whose states are not proved to stay within ``limit``; over T without bounds."""
    return [
        Violation(
            name,
            f"worst-case {what} over T = {netlist.timesteps} steps",
            magnitude,
            limit,
            f"quantize with --state-bits {state_bits(limit)}, or use fewer time steps",
        )
        for name, magnitude in check_bounds(bounds or prove_bounds(netlist), limit)
    ]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a target can run here.

    Parameters
    ----------
    works : bool
    detail : str
        Versions and places, or the reason why not.
    remedy : str or None
        What to do where it does not work.
    """

    works: bool
    detail: str
    remedy: str | None = None


class Target(ABC):
    """A compiler from integer netlists to one kind of executable.

    ``option_defaults`` lists the options and their defaults; a section ``Options`` in the class's
    docstring, of the form of ``Parameters``, tells users their values and meaning.
    ``default_board`` is the board that ``compile`` uses if none is named (None: the target needs
    none), ``board_kind`` the kind of cores that it takes (None: any). Netlists are cut into
    neurocores here; a target of any other kind judges boards in ``check`` and counts the events of
    its own cores in :meth:`Deployment.traffic`.
    ``packages`` names the distributions that it needs. ``quantization`` has the fields of
    :class:`neurodeploy.quantization.integers.Quantization` with which netlists are quantized for
    it, ``methods`` the conversion methods whose netlists it computes (none: any).
    ``approximations`` are options with which it computes, approximately, more than it holds.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    option_defaults: ClassVar[Mapping[str, Any]] = {}
    default_board: ClassVar[str | None] = None
    board_kind: ClassVar[BoardKind | None] = None
    packages: ClassVar[tuple[str, ...]] = ()
    quantization: ClassVar[Mapping[str, Any]] = {}
    methods: ClassVar[tuple[str, ...]] = ()
    approximations: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    has_program: ClassVar[bool] = False
    """Whether deployments have a :meth:`Deployment.program`."""

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """None if the target can run here, else one sentence with the reason and the remedy."""

    @classmethod
    def readiness(cls) -> Readiness:
        """State of the target's requirements: :meth:`unavailable`, looked at more closely."""
        reason = cls.unavailable()
        if reason is None:
            return Readiness(True, "needs nothing more")
        detail, _, remedy = reason.partition("; ")
        return Readiness(False, detail, remedy or None)

    @abstractmethod
    def check(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """All reasons why the netlist cannot be computed exactly; empty if it can."""

    @abstractmethod
    def lower(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Compile a netlist that passed :meth:`check`."""

    @abstractmethod
    def load(
        self, folder: Path, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Deployment:
        """Read the compiled files that :meth:`Deployment.write_files` wrote."""

    def compile(
        self,
        network: Network,
        board: Board | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Deployment:
        """Check and compile.

        Raises
        ------
        CapacityError
            With the first violation and the number of others.
        UsageError
            For an option that the target does not have, or a board of another kind.
        """
        complete = self.complete_options(options or {})
        stated, found = self.stated(network, board, complete)
        refuse(self.name, found)
        deployment = self.lower(stated, board, complete)
        if stated is not network:
            deployment.given = network
        return deployment

    def restate(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Network | list[Violation]:
        """The network that a deployment states and equals: the given one.

        A target with an option that approximates returns a rewritten one, whose provenance tells
        what was done under :data:`RESTATED`, or why it cannot. The target computes what it states
        exactly; ``verify`` measures how far that deviates from what was given.
        """
        return network

    def stated(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> tuple[Network, list[Violation]]:
        """Result of :meth:`restate`, and all reasons why it cannot be computed exactly.

        Raises
        ------
        UsageError
            For a board of another kind than the target takes.
        """
        self._expect_kind(board)
        found = self.restate(network, board, options)
        if isinstance(found, list):
            return network, found
        return found, self.violations(found.integer, board, options)

    def violations(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """Findings of :meth:`check`, and the reasons why the board cannot run the netlist.

        Raises
        ------
        UsageError
            For a board of another kind than the target takes.
        """
        self._expect_kind(board)
        found = list(self.check(netlist, board, options))
        if board is not None and self.judges(board):
            found += self.verdict(netlist, board).violations
        return found

    def fits(self, netlist: IntegerNetlist, board: Board) -> list[Violation]:
        """Why a board cannot run a netlist, by default options; empty if it can."""
        return list(self.verdict(netlist, board).violations)

    def verdict(self, netlist: IntegerNetlist, board: Board) -> Verdict:
        """Whether a board can run a netlist: everything that asks so asks here.

        Boards of neurocores are judged by what their files tell
        (:func:`neurodeploy.hardware.fit.judge`), others by :meth:`check`, with default options.
        """
        if self.judges(board):
            return judge(netlist, board)
        found = self.check(netlist, board, self.complete_options({}))
        return Verdict(board.name, tuple(found))

    def judges(self, board: Board) -> bool:
        """Whether what a board can run is told by its file alone."""
        return board.kind == "neurocore" and self.board_kind in (None, "neurocore")

    def _expect_kind(self, board: Board | None) -> None:
        if board is not None and self.board_kind not in (None, board.kind):
            raise UsageError(
                f"target {self.name}: board {board.name} has {board.kind} cores, expected "
                f"{self.board_kind} cores; choose another board or target ('neurodeploy boards' "
                "lists them)"
            )

    def complete_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the defaults; refuse unknown options."""
        unknown = sorted(set(options) - set(self.option_defaults))
        if unknown:
            known = ", ".join(sorted(self.option_defaults)) or "none"
            raise UsageError(f"target {self.name}: no option {unknown[0]!r}; options: {known}")
        return {**self.option_defaults, **options}


def refuse(target: str, violations: Sequence[Violation]) -> None:
    """Raise CapacityError if there are violations."""
    if violations:
        more = len(violations) - 1
        others = f" (and {more} more: 'neurodeploy compile --check' lists all)" if more else ""
        raise CapacityError(f"target {target} refuses {violations[0]}{others}")
