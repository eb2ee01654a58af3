"""A compiled netlist that runs, saves and loads.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final, overload

from neurodeploy.errors import ExecutionError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.files import as_path, directory_whole
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus, is_stimulus
from neurodeploy.network import Network, save_network
from neurodeploy.notebook import Shown
from neurodeploy.targets.folder import ARTIFACT_FILE, GIVEN_FILE, RESTATED, write_header
from neurodeploy.targets.request import RunRequest
from neurodeploy.targets.stream import TargetStream
from neurodeploy.version import __version__

if TYPE_CHECKING:
    import neurodeploy as nd
    from neurodeploy.hardware.price.traffic import Traffic


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
        samples: int | None = None,
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
            The first so many; all by default.
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
        encoded = self.network.netlist if self.network.encodings else None
        if samples is not None or not is_stimulus(stimulus, encoded):
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
        with directory_whole(as_path(folder)) as new:
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
