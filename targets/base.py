"""Interface of targets: check, compile, and a deployment that runs, saves and loads.

A deployment is a folder::

    deployment.json   target, schema, versions, options, board, latency, digests of the files
    net.ndn           the network that it states (for verify, decode and energy)
    given.ndn         the network it was compiled from, only where that is another one
    ...               the target's own compiled files: what ``run`` executes

``run`` computes from the compiled files alone, never from ``net.ndn``: a weight changed in a
compiled file shows as a divergence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final, overload

from neurodeploy import __version__
from neurodeploy.errors import CapacityError, ExecutionError, UsageError
from neurodeploy.hardware.boards.board import Board, BoardKind
from neurodeploy.hardware.fit import Verdict, judge
from neurodeploy.hardware.fit import Violation as Violation
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, check_bounds, prove_bounds
from neurodeploy.ir.files import directory_whole
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus, is_stimulus
from neurodeploy.network import Network, save_network
from neurodeploy.notebook import Shown
from neurodeploy.targets.folder import ARTIFACT_FILE, GIVEN_FILE, RESTATED, write_header
from neurodeploy.targets.request import RunRequest
from neurodeploy.targets.stream import TargetStream

if TYPE_CHECKING:
    import neurodeploy as nd
    from neurodeploy.hardware.price.traffic import Traffic


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


class Deployment(Shown, ABC):
    """A compiled netlist, ready to run: targets implement :meth:`_run`, which :meth:`run` calls.

    Parameters
    ----------
    network : Network
    board : Board or None
    options : mapping
        The target's options, JSON values.

    Attributes
    ----------
    given : Network or None
        What the user gave, where an option made the target state another netlist instead: an
        approximation, whose deviation ``verify`` measures. None: ``network`` was given.
    """

    target: ClassVar[str]

    def __init__(self, network: Network, board: Board | None, options: Mapping[str, Any]) -> None:
        self.network = network
        self.board = board
        self.options = dict(options)
        self.given: Network | None = None
        self._last: Stimulus | None = None

    @property
    def netlist(self) -> IntegerNetlist:
        """The integer netlist that this deployment must equal."""
        return self.network.integer

    @property
    def restated(self) -> Mapping[str, Any] | None:
        """How the netlist was made from the given one; None if it is the given one."""
        if self.given is None:
            return None
        told: Mapping[str, Any] = self.network.provenance[RESTATED]
        return told

    def program(self) -> bytes:
        """A Python program that runs the netlist and needs the target's packages alone.

        Raises
        ------
        UsageError
            If the target has none.
        """
        raise UsageError(f"target {self.target}: has no program of its own")

    @property
    def latency(self) -> Mapping[str, int]:
        """Constant extra steps by population, already removed from what ``run`` returns."""
        return {}

    def __repr__(self) -> str:
        board = "" if self.board is None else f" on board {self.board.name}"
        return (
            f"Deployment({self.netlist.name} for target {self.target}{board}, "
            f"T = {self.netlist.timesteps})"
        )

    def verify(
        self,
        data: nd.SamplesLike,
        samples: int | None = None,
        *,
        against: str | Sequence[str] = "reference",
        **callbacks: Any,
    ) -> nd.Verification:
        """Compare it with others, spike for spike; see :func:`neurodeploy.verify`."""
        import neurodeploy as nd

        return nd.verify(self, against, data, samples, **callbacks)

    def stream(self, **options: Any) -> nd.Stream:
        """Run piece by piece, its state kept in between; see :func:`neurodeploy.stream`."""
        import neurodeploy as nd

        return nd.stream(self, **options)

    def open_stream(self, samples: int) -> TargetStream:
        """A run that stops after each piece of its input and goes on; here: refuse by name.

        Raises
        ------
        CapacityError
            If what it holds is not proved to fit for any number of steps.
        UsageError
            If the target keeps nothing between runs.
        """
        raise UsageError(
            f"stream: target {self.target} keeps no state between runs; stream the network on the "
            "engine, which gives the same spikes: deployment.network.stream()"
        )

    def energy(
        self,
        data: nd.SamplesLike,
        samples: int | None = None,
        *,
        board: str | Board | None = None,
        **options: Any,
    ) -> nd.EnergyReport:
        """On its board, or on another one; see :func:`neurodeploy.estimate_energy`."""
        import neurodeploy as nd

        return nd.estimate_energy(self, board, data, samples, **options)

    @overload
    def run(
        self,
        stimulus: Stimulus,
        samples: None = None,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
    ) -> RunRecord: ...

    @overload
    def run(
        self,
        stimulus: nd.SamplesLike,
        samples: int | None = None,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
    ) -> nd.Run: ...

    @final
    def run(
        self,
        stimulus: Stimulus | nd.SamplesLike,
        samples: int | None = None,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
    ) -> RunRecord | nd.Run:
        """Run samples back to back or side by side, as if each ran alone.

        Parameters
        ----------
        stimulus : mapping of integers, or data as :func:`neurodeploy.run` takes them
            Input -> integers ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes), all of one
            batch. Data are encoded, and their answers decoded.
        samples : int, optional
            Of data, the first so many; all by default.
        record : collection of str, optional
            Populations whose spikes are returned; all by default.
        membranes : collection of str
            Populations of neurons whose membranes are returned, beside the integrators among the
            outputs.
        progress : callable, optional
            Called with (work done, total work).

        Returns
        -------
        RunRecord
            Of integers: int64, aligned by each population's window, constant extra latency removed.
        Run
            Of data: the same with classes and accuracy.

        Raises
        ------
        DataError
            If the stimulus does not fit.
        UnknownNameError
            For a population that does not exist.
        UsageError
            For the membrane of an input.
        ExecutionError, TargetUnavailableError
            If the target's software fails or is missing.
        """
        if not is_stimulus(stimulus):
            import neurodeploy as nd

            return nd.run(
                self, stimulus, samples, record=record, membranes=membranes, progress=progress
            )
        request = RunRequest.checked(self.netlist, stimulus, record, membranes)
        found = RunRecord(self.netlist.timesteps, {}, {})
        if request.batch:
            found = self._run(request, progress)
            self._last = request.stimulus
        return request.completed(found, self.target, self.latency)

    @abstractmethod
    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        """Execute the compiled files on one sample at least.

        Returns
        -------
        RunRecord
            ``request.spikes`` and ``request.membranes`` in any integer type, ``[B, T, *shape]``,
            aligned by each population's window. A population without spikes may be left out.
        """

    def traffic(self) -> Traffic:
        """Events of the last run that had samples, by core, for :mod:`neurodeploy.hardware.price`.

        Here: of the neurocores of the board that the netlist is cut into, counted from the spikes
        of this deployment, which runs the stimulus once more with everything recorded.

        Raises
        ------
        CapacityError
            If the board cannot hold the netlist.
        ExecutionError
            If nothing was run yet.
        UsageError
            If it was compiled for no board of neurocores.
        """
        from neurodeploy.hardware.cut.partition import partition
        from neurodeploy.hardware.price.activity import membranes_needed
        from neurodeploy.hardware.price.measure import measure_traffic

        if self._last is None:
            raise ExecutionError(
                f"target {self.target}: no events before the first run; call run() first"
            )
        if self.board is None or self.board.kind != "neurocore":
            where = "no board" if self.board is None else f"board {self.board.name}"
            raise UsageError(
                f"target {self.target}: compiled for {where}, it counts no events; compile for a "
                "board of neurocores"
            )
        watched = membranes_needed(self.netlist)
        return measure_traffic(
            partition(self.netlist, self.board),
            self.netlist,
            self._last,
            lambda stimulus: self.run(stimulus, membranes=watched),
        )[0]

    @abstractmethod
    def utilization(self) -> dict[str, Any]:
        """Resources of the deployment, as JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """Target, board, options, latency and utilization, as JSON values."""
        return {
            "target": self.target,
            "network": self.netlist.name,
            "timesteps": self.netlist.timesteps,
            "board": None if self.board is None else self.board.name,
            "options": self.options,
            "latency": dict(self.latency),
            "restated": self.restated,
            "utilization": self.utilization(),
        }

    @abstractmethod
    def write_files(self, folder: Path) -> None:
        """Write the compiled files into an empty folder."""

    def save(self, folder: Path | str) -> None:
        """Write the deployment, whole or not at all."""
        with directory_whole(Path(folder)) as new:
            self.write_files(new)
            save_network(self.network, new / ARTIFACT_FILE)
            if self.given is not None:
                save_network(self.given, new / GIVEN_FILE)
            header = {
                "target": self.target,
                "neurodeploy": __version__,
                "board": None if self.board is None else self.board.to_dict(),
                "options": self.options,
                "latency": dict(self.latency),
                "given": None if self.given is None else GIVEN_FILE,
                "network": self.netlist.name,
                "timesteps": self.netlist.timesteps,
            }
            write_header(new, header)


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
