"""A stream in Lava: one network whose processes stay alive, and run on from piece to piece."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.steady import steady_bounds
from neurodeploy.targets.lava.bundle import Bundle
from neurodeploy.targets.lava.interpreter import lava_python
from neurodeploy.targets.lava.job import Job, write_job
from neurodeploy.targets.lava.recording import Control
from neurodeploy.targets.lava.stock import state_violations_of_stock
from neurodeploy.targets.lava.supervision import Limits, StreamWorker, Watch, job_folders
from neurodeploy.targets.lava.target import LavaDeployment
from neurodeploy.targets.stream import TargetStream, stream_bounds

STREAM_STEPS = 64
"""Steps that the files of a stream hold at a time."""

Advance = Callable[[int], None]
"""Runs until so many time steps are done in all."""


class LavaStream(TargetStream):
    """Processes that wait between the pieces, in a worker where Lava lives in another Python.

    The limits of time are those of each piece.
    """

    most_steps: ClassVar[int] = STREAM_STEPS

    def __init__(self, deployment: LavaDeployment, samples: int) -> None:
        bundle = deployment.bundle
        _expect_held(deployment, samples)
        super().__init__(deployment.target, deployment.netlist, samples, bundle.depth)
        self.deployment = deployment
        self._ends = contextlib.ExitStack()
        self._let_go = weakref.finalize(self, self._ends.close)
        self._machine: Advance | None = None
        self._job: Job | None = None
        self._maps: dict[tuple[str, str], AnyArray] = {}

    def _advance(self, values: Mapping[str, IntArray], steps: int) -> RunRecord:
        bundle = self.deployment.bundle
        if self._machine is None:
            self._machine = self._begin(bundle)
        for name, raster in values.items():
            self._mapped("stimulus", name)[:, self._places(self.time, self.time + steps)] = raster
        try:
            self._machine(self.time + steps)
        except BaseException:
            # What is broken cannot be asked to stop.
            self._ends.__exit__(*sys.exc_info())
            raise
        assert self._job is not None
        found: dict[str, dict[str, AnyArray]] = {}
        for what, names in (("spikes", self._job.spikes), ("membranes", self._job.membranes)):
            found[what] = {
                n: self._mapped(what, n)[:, self._places(*self.span(n, steps))].astype(np.int64)
                for n in names
            }
        return RunRecord(steps, found["spikes"], found["membranes"])

    def _end(self) -> None:
        if self._job is not None:
            Control(self._job.control)["end"] = self.given

    def close(self) -> None:
        """End the processes, and leave nothing of them."""
        self._let_go()

    def _places(self, first: int, end: int) -> IntArray:
        return np.arange(first, end) % STREAM_STEPS

    def _mapped(self, what: str, name: str) -> AnyArray:
        if (what, name) not in self._maps:
            assert self._job is not None
            path = self._job.file(self.deployment.bundle, what, name)
            mode = "r+" if what == "stimulus" else "r"
            self._maps[what, name] = np.load(path, mmap_mode=mode)  # type: ignore[arg-type]
        return self._maps[what, name]

    def _begin(self, bundle: Bundle) -> Advance:
        options = self.deployment.options
        limits = Limits(options["time_limit_s"], options["stall_limit_s"])
        python = lava_python(options["execution"])
        (folder,) = self._ends.enter_context(job_folders(1))
        silence = {
            p.name: np.zeros((self.samples, STREAM_STEPS, *p.shape), np.int64)
            for p in bundle.netlist.inputs
        }
        fires = [p.name for p in bundle.populations if p.name not in silence]
        fires = [n for n in fires if getattr(bundle.by_name[n].model, "threshold", 0) is not None]
        batch = self.samples
        job = write_job(folder, bundle, silence, batch, fires, self.watched, batch, STREAM_STEPS)
        self._job = job
        if not python.in_process:
            worker = StreamWorker(python.executable, folder, limits)
            self._ends.callback(worker.close)
            return worker.advance
        from neurodeploy.targets.lava.execution import RunningStream

        running = self._ends.enter_context(RunningStream(job, bundle))
        self.deployment.processes = running.made

        def advance(n_steps: int) -> None:
            watch = Watch(limits)

            def tick(counts: Sequence[int], n_steps: int) -> None:
                watch.saw(counts)

            running.advance(n_steps, tick)

        return advance


def _expect_held(deployment: LavaDeployment, samples: int) -> None:
    """Refuse what is not proved to fit for any number of steps, and lanes of stock processes."""
    netlist = deployment.bundle.netlist
    if deployment.bundle.models != "stock":
        stream_bounds(deployment.target, netlist)
        return
    if samples != 1:
        raise UsageError(
            f"stream: stock processes of Lava run one stream, not {samples}; use target lava with "
            "models=own, or make it with samples=1"
        )
    found = state_violations_of_stock(netlist, steady_bounds(netlist))
    if found:
        raise CapacityError(
            f"{netlist.name}: cannot run as a stream on target {deployment.target}: {found[0]}"
        )
