"""The Brian2 target: compile, run, and the Network for the user."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from neurodeploy.errors import DataError, ExecutionError, UsageError, first_line
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import BoardKind
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment, Readiness, Target, Violation, state_violations
from neurodeploy.targets.brian2.files import read_plan, write_plan
from neurodeploy.targets.brian2.network import build_network
from neurodeploy.targets.brian2.plan import Plan, describe, make_plan
from neurodeploy.targets.brian2.program import program
from neurodeploy.targets.brian2.recording import feed, forget, recorded_membranes, recorded_spikes
from neurodeploy.targets.brian2.session import CODEGENS, quiet_preferences, readiness, unavailable
from neurodeploy.targets.request import RunRequest
from neurodeploy.targets.stream import TargetStream, stream_bounds
from neurodeploy.targets.timed import TimedNetlist

INDEX_LIMIT = 2**31 - 1
MOST_SYNAPSES = 2**27
"""Of one sample: every synapse is listed, at 35 to 100 bytes each."""
COLLECT_ABOVE = 100_000


class Brian2Deployment(Deployment):
    """A netlist compiled for Brian2.

    ``run`` executes batches; :meth:`network` gives the ``brian2.Network`` itself, :meth:`simulate`
    runs it and :meth:`record` reads its monitors. All are built from the compiled files alone.

    Examples
    --------
    >>> network = deployment.brian2_network({"x": raster})        # doctest: +SKIP
    >>> network["conv1_to_conv2"].w[0] += 1                # doctest: +SKIP
    >>> deployment.simulate(network)                       # doctest: +SKIP
    >>> deployment.record(network).spikes["conv2"]         # doctest: +SKIP
    """

    target: ClassVar[str] = "brian2"

    def __init__(
        self, network: Network, board: Board | None, options: Mapping[str, Any], plan: Plan
    ) -> None:
        super().__init__(network, board, options)
        self.plan = plan

    @property
    def object_names(self) -> dict[str, str]:
        """Population -> name of its NeuronGroup in the Network."""
        return {g.name: g.object for g in self.plan.groups}

    @property
    def synapse_names(self) -> list[tuple[str, str]]:
        """``(pre->post, name of its Synapses)`` for every projection, in the netlist's order."""
        return [(link.name, link.object) for link in self.plan.links]

    def brian2_network(
        self,
        stimulus: Stimulus,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
    ) -> Any:
        """Build the ``brian2.Network`` for a batch of samples side by side, ready to run.

        Neuron n of sample b is neuron ``b * size + n`` of its group. Parameters are those of
        :meth:`run`. The Network may be changed, run with :meth:`simulate` (or its own ``run`` for
        ``n_steps`` steps of ``dt``, with the user's preferences) and read with :meth:`record`.

        Raises
        ------
        DataError
            If the stimulus does not fit.
        TargetUnavailableError
            If brian2 cannot be imported.
        """
        request = RunRequest.checked(self.netlist, stimulus, record, membranes)
        if request.batch < 1:
            raise DataError("no samples; a Brian2 network needs at least one")
        codegen = self.options["codegen"]
        with quiet_preferences(codegen) as brian2:
            network = self._built(request, request.batch)
            feed(brian2, network, self.plan, request.stimulus)
        return network

    def simulate(self, network: Any, progress: Progress | None = None) -> None:
        """Run a Network of :meth:`network` for one sample: T + max depth steps.

        Raises
        ------
        ExecutionError
            If Brian2 fails or is stopped.
        """
        self._advanced(network, self.plan.n_steps, progress)

    def _advanced(self, network: Any, n_steps: int, progress: Progress | None = None) -> None:
        with quiet_preferences(self.options["codegen"]) as brian2:

            def report(elapsed: Any, completed: float, start: Any, duration: Any) -> None:
                if progress is not None:
                    progress(int(completed * n_steps), n_steps)

            before = _steps_done(brian2, network, self.plan)
            try:
                network.run(
                    n_steps * self.plan.dt * brian2.second,
                    report=report if progress is not None else None,
                    report_period=0.5 * brian2.second,
                    namespace={},
                )
            except brian2.BrianObjectException as error:
                cause = first_line(error.__cause__ or error)
                raise ExecutionError(f"{self.netlist.name}: Brian2 failed: {cause}") from error
            except MemoryError as error:
                raise ExecutionError(
                    f"{self.netlist.name}: Brian2 ran out of memory; set max_synapses below "
                    f"{self.options['max_synapses']}"
                ) from error
            done = _steps_done(brian2, network, self.plan) - before
        if done < n_steps:
            raise ExecutionError(
                f"{self.netlist.name}: Brian2 stopped after {done} of {n_steps} steps; run again"
            )

    def record(self, network: Any) -> RunRecord:
        """Read the monitors of a Network that was simulated."""
        spikes, membranes = {}, {}
        for group in self.plan.groups:
            if group.kind in ("current", "spikes") or f"{group.object}_spikes" in network:
                spikes[group.name] = recorded_spikes(network, self.plan, group)
            if f"{group.object}_membrane" in network:
                membranes[group.name] = recorded_membranes(network, self.plan, group)
        return RunRecord(self.plan.timesteps, spikes, membranes)

    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        """Run a batch: samples side by side up to ``max_synapses``, else in several runs."""
        batch = request.batch
        fits = self.options["max_synapses"] // max(1, self.plan.n_synapses)
        width = max(1, min(batch, fits))
        parts: list[RunRecord] = []
        with quiet_preferences(self.options["codegen"]) as brian2:
            network = self._built(request, width)
            if batch > width:
                network.store()
            for first in range(0, batch, width):
                if first:
                    network.restore()
                feed(brian2, network, self.plan, _slice(request.stimulus, first, width))
                self.simulate(network, _share(progress, first // width, -(-batch // width)))
                parts.append(self.record(network))
        del network
        if width * self.plan.n_synapses > COLLECT_ABOVE:
            gc.collect()  # Brian2 objects refer to each other in circles and hold much memory

        def joined(pieces: list[IntArray]) -> IntArray:
            return np.concatenate(pieces)[:batch]

        # An integrator has no monitor of spikes: it is silent.
        fired = [n for n in request.spikes if n in parts[0].spikes]
        spikes = {n: joined([p.spikes[n] for p in parts]) for n in fired}
        membranes = {n: joined([p.membranes[n] for p in parts]) for n in request.membranes}
        return RunRecord(self.plan.timesteps, spikes, membranes)

    def open_stream(self, samples: int) -> TargetStream:
        """One Network that runs on from piece to piece, all streams side by side."""
        return Brian2Stream(self, samples)

    def _built(self, request: RunRequest, batch: int) -> Any:
        codegen, spikes = self.options["codegen"], set(request.spikes)
        return build_network(self.plan, batch, codegen, spikes, set(request.membranes))

    def utilization(self) -> dict[str, Any]:
        """Neurons and synapses of one sample, and how many samples lie side by side."""
        fits = self.options["max_synapses"] // max(1, self.plan.n_synapses)
        return {**describe(self.plan), "samples_side_by_side": max(1, fits)}

    def program(self) -> bytes:
        """A Python program that needs brian2 and numpy alone, the arrays within it."""
        return program(self.plan, self.netlist)

    def write_files(self, folder: Path) -> None:
        """Write ``brian2.json`` and ``brian2.safetensors``."""
        write_plan(self.plan, folder)


class Brian2Stream(TargetStream):
    """A Network that runs on from piece to piece; Brian2 keeps its variables and its queues."""

    def __init__(self, deployment: Brian2Deployment, samples: int) -> None:
        timed = deployment.plan.timed
        super().__init__(deployment.target, deployment.netlist, samples, timed.depth)
        self.deployment = deployment
        self.plan = make_plan(timed, stream_bounds(deployment.target, timed.netlist))
        self.network: Any = None

    def _advance(self, values: Mapping[str, IntArray], steps: int) -> RunRecord:
        plan, codegen = self.plan, self.deployment.options["codegen"]
        with quiet_preferences(codegen) as brian2:
            if self.network is None:
                everything = {g.name for g in plan.groups}
                watched = set(self.watched)
                self.network = build_network(plan, self.samples, codegen, everything, watched)
            feed(brian2, self.network, plan, values)
            self.deployment._advanced(self.network, steps)
            spikes, membranes = {}, {}
            for group in plan.groups:
                span = self.span(group.name, steps)
                if f"{group.object}_spikes" in self.network:
                    spikes[group.name] = recorded_spikes(self.network, plan, group, span)
                if f"{group.object}_membrane" in self.network:
                    membranes[group.name] = recorded_membranes(self.network, plan, group, span)
            forget(brian2, self.network)
        return RunRecord(steps, spikes, membranes)

    def _end(self) -> None:
        for group in self.plan.groups if self.network is not None else ():
            self.network[group.object].namespace["window_stop"] = group.depth + self.given

    def close(self) -> None:
        """Let the Network go."""
        self.network = None


def _steps_done(brian2: Any, network: Any, plan: Plan) -> int:
    return round(float(network.t / brian2.second) / plan.dt)


def _slice(values: Mapping[str, IntArray], first: int, width: int) -> dict[str, IntArray]:
    # The last run of a batch may be short: repeat its last sample and drop the copies.
    return {
        n: x[np.minimum(np.arange(first, first + width), len(x) - 1)] for n, x in values.items()
    }


def _share(progress: Progress | None, part: int, parts: int) -> Progress | None:
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(part * total + done, parts * total)


class Brian2Target(Target):
    """Compiles to a Brian2 Network.

    Options
    -------
    codegen : {"numpy", "cython"}
        Brian2's code generation target. The first compilation of cython can take minutes.
    max_synapses : int
        Samples lie side by side while their synapses stay below this.
    """

    name: ClassVar[str] = "brian2"
    summary: ClassVar[str] = "a Brian2 Network, the independent reference simulation"
    option_defaults: ClassVar[Mapping[str, Any]] = {"codegen": "numpy", "max_synapses": 10_000_000}
    board_kind: ClassVar[BoardKind | None] = "neurocore"
    packages: ClassVar[tuple[str, ...]] = ("brian2",)
    has_program: ClassVar[bool] = True

    @classmethod
    def unavailable(cls) -> str | None:
        """Why Brian2 cannot run here, or None."""
        return unavailable()

    @classmethod
    def readiness(cls) -> Readiness:
        """Brian2 is really imported, in a process of its own."""
        return readiness()

    def check(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """Proved bounds, Brian2's indices and its lists of synapses; all features are supported."""
        violations = state_violations(netlist)
        for projection in netlist.projections:
            n = projection.connectivity.n_synapses
            if n > INDEX_LIMIT:
                violations.append(
                    Violation(projection.label, "synapses", n, INDEX_LIMIT, "use a smaller network")
                )
        total = sum(q.connectivity.n_synapses for q in netlist.projections)
        if total > MOST_SYNAPSES:
            remedy = "Brian2 lists every synapse; use a target that keeps convolutions (lava)"
            violations.append(Violation(netlist.name, "synapses", total, MOST_SYNAPSES, remedy))
        return violations

    def complete_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the defaults; refuse unknown options and values."""
        complete = super().complete_options(options)
        if complete["codegen"] not in CODEGENS:
            raise UsageError(
                f"target brian2: codegen {complete['codegen']!r}; expected one of "
                f"{', '.join(CODEGENS)}"
            )
        limit = complete["max_synapses"]
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise UsageError(
                f"target brian2: max_synapses {limit!r}; expected a positive whole number"
            )
        return complete

    def lower(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Brian2Deployment:
        """Give a checked netlist its timing and Brian2's names."""
        plan = make_plan(TimedNetlist.of(network.integer))
        return Brian2Deployment(network, board, options, plan)

    def load(
        self, folder: Path, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> Brian2Deployment:
        """Read a deployment folder.

        Raises
        ------
        FileFormatError
            If its compiled files are missing or damaged, or belong to another netlist.
        """
        return Brian2Deployment(network, board, options, read_plan(folder, network.integer))
