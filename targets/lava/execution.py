"""Runs a job inside an interpreter that has Lava, and never hangs on a network that broke."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, ClassVar

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg

from neurodeploy.errors import ExecutionError
from neurodeploy.targets.lava.bundle import Bundle
from neurodeploy.targets.lava.dynamics import n_lava_steps
from neurodeploy.targets.lava.job import Job, LavaProcess
from neurodeploy.targets.lava.network import Network, own_network
from neurodeploy.targets.lava.recording import Control, StepCounters
from neurodeploy.targets.lava.sweeper import segment_prefix

POLL_S = 0.005
EXCUSE_S = 2.0
# Every process takes what was sent in the step in which it was sent; Lava's 64 slots for that
# would fill the shared memory of many machines.
CHANNEL_SLOTS = 2
Tick = Callable[[Sequence[int], int], None]
"""Called with the steps done by every process and the steps to do; raises to end the run."""


def execute(job: Job, bundle: Bundle, tick: Tick) -> tuple[LavaProcess, ...]:
    """Build the network of a job, run it, and return the processes that Lava made.

    Raises
    ------
    ExecutionError
        If a process raised or died, or ``tick`` says so.
    """
    network = _network(job, bundle)
    n_steps = n_lava_steps(job.lanes.rounds, bundle.timesteps, bundle.max_depth)
    counters = StepCounters(job.counters)
    made: list[LavaProcess] = []
    with segments_named_after(job.folder.parent):
        # Lava finds processes through their connections: parts not connected run in turn.
        for processes in network.parts():
            with RunningPart(processes, network, counters) as part:
                part.advance(n_steps, tick)
                made += part.made
    return tuple(made)


class RunningStream:
    """The network of a stream, all parts of which stay alive between pieces.

    A context manager; ``made`` are the processes that Lava made.
    """

    def __init__(self, job: Job, bundle: Bundle) -> None:
        self._job, self._bundle = job, bundle
        self._ends = contextlib.ExitStack()
        self._parts: list[RunningPart] = []
        self.made: tuple[LavaProcess, ...] = ()

    def __enter__(self) -> RunningStream:
        network = _network(self._job, self._bundle)
        counters = StepCounters(self._job.counters)
        with contextlib.ExitStack() as ends, segments_named_after(self._job.folder.parent):
            for processes in network.parts():
                part = RunningPart(processes, network, counters)
                self._parts.append(ends.enter_context(part))
            self._ends = ends.pop_all()
        self.made = tuple(process for part in self._parts for process in part.made)
        return self

    def __exit__(self, *failure: Any) -> None:
        self._ends.__exit__(*failure)

    def advance(self, n_steps: int, tick: Tick) -> None:
        """Run on, until every process has done ``n_steps`` steps in all."""
        for part in self._parts:
            part.advance(n_steps, tick)


def serve(job: Job, bundle: Bundle, started: Callable[[tuple[LavaProcess, ...]], None]) -> None:
    """Run a stream as far as its control file asks, until that says that it is closed."""
    control = Control(job.control)
    with RunningStream(job, bundle) as running:
        started(running.made)
        while not control["closed"]:
            asked = control["asked"]
            if asked > control["done"]:
                running.advance(asked, lambda counts, n_steps: None)
                control["done"] = asked
            else:
                time.sleep(POLL_S)


def _network(job: Job, bundle: Bundle) -> Network:
    if bundle.models == "stock":
        from neurodeploy.targets.lava.stock_network import stock_network

        return stock_network(job, bundle)
    return own_network(job, bundle)


class JobSharedMemory(shared_memory.SharedMemory):
    """Shared memory that tells by its name which job it belongs to, from the moment it exists."""

    prefix: ClassVar[str] = ""
    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0) -> None:
        if create and name is None:
            # Forks share the numbers, but not the process id.
            name = f"{self.prefix}{os.getpid()}_{next(self.numbers)}"
        super().__init__(name, create, size)


@contextlib.contextmanager
def segments_named_after(root: Path) -> Iterator[None]:
    """Name segments that Lava makes in the context after a job folder.

    Lava leaves their names to chance: nobody could find those of a process that was killed.
    """
    original = shared_memory.SharedMemory
    JobSharedMemory.prefix = segment_prefix(root)
    shared_memory.SharedMemory = JobSharedMemory  # type: ignore[misc]
    try:
        yield
    finally:
        shared_memory.SharedMemory = original  # type: ignore[misc]


class RunningPart:
    """A connected part of a network: its processes run, stop and run on.

    A context manager, which ends them; ``made`` are the processes that Lava made.
    """

    def __init__(
        self, processes: Sequence[AbstractProcess], network: Network, counters: StepCounters
    ) -> None:
        mine = set(processes)
        self._root = processes[0]
        self._models = {p: m for p, m in network.models.items() if p in mine}
        self._slots = [network.slots[p] for p in processes if p in network.slots]
        self._counters = counters
        self._done = 0
        self.made: tuple[LavaProcess, ...] = ()

    def __enter__(self) -> RunningPart:
        config = Loihi1SimCfg(select_tag="fixed_pt", exception_proc_model_map=self._models)
        try:
            _start(self._root, config)
            builders = self._root.runtime._executable.proc_builders
            self.made = tuple(_description(p, b) for p, b in builders.items())
        except BaseException:
            abandon(self._root.runtime)
            raise
        return self

    def __exit__(self, failure: type[BaseException] | None, *more: object) -> None:
        if failure is None:
            try:
                self._root.runtime.stop()
            except BaseException:
                abandon(self._root.runtime)
                raise
        else:
            abandon(self._root.runtime)

    def advance(self, n_steps: int, tick: Tick) -> None:
        """Run on, until every process has done ``n_steps`` steps in all."""
        runtime = self._root.runtime
        runtime.start(RunSteps(num_steps=n_steps - self._done, blocking=False))
        while True:
            counts = self._counters.counts()
            tick(counts, n_steps)
            if all(counts[slot] >= n_steps for slot in self._slots):
                break
            _check_alive(runtime)
            time.sleep(POLL_S)
        runtime.wait()
        self._done = n_steps


def _start(root: AbstractProcess, config: Loihi1SimCfg) -> None:
    try:
        root.create_runtime(run_cfg=config, compile_config={"pypy_channel_size": CHANNEL_SLOTS})
    except Exception as error:
        # Lava leaves the traceback of a model that could not be built on its exception.
        if not hasattr(error, "trace"):
            raise
        raise ExecutionError(_raised(error, "while it was built")) from error


def _raised(error: BaseException, when: str) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"a Lava process raised {type(error).__name__} {when}: {lines[0]}"


def _description(process: AbstractProcess, builder: Any) -> LavaProcess:
    def name(cls: type) -> str:
        return f"{cls.__module__}.{cls.__qualname__}"

    return LavaProcess(process.name, name(type(process)), name(builder.proc_model))


def _check_alive(runtime: Any) -> None:
    for actor in runtime._messaging_infrastructure.actors:
        # WNOWAIT leaves the child to whoever joins it later.
        ended = os.waitid(os.P_PID, actor.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            continue
        if ended.si_code != os.CLD_EXITED:
            name = signal.Signals(ended.si_status).name
            full = "; shared memory may be full: lower samples_side_by_side"
            hint = full if name == "SIGBUS" else ""
            raise ExecutionError(f"a Lava process was killed by {name}{hint}")
        _raise_its_error(runtime._messaging_infrastructure.actors)
        raise ExecutionError(f"a Lava process ended early with status {ended.si_status}")


def _raise_its_error(actors: Sequence[Any]) -> None:
    # Lava's service may end before the process that told it of an error has said which.
    deadline = time.monotonic() + EXCUSE_S
    while time.monotonic() < deadline:
        for actor in actors:
            if actor.exception is not None:
                error, trace = actor.exception
                print(trace, file=sys.stderr, flush=True)
                raise ExecutionError(_raised(error, "while it ran"))
        time.sleep(POLL_S)


def abandon(runtime: Any) -> None:
    """End the processes of a runtime that no longer answers, and free its shared memory."""
    infrastructure = None if runtime is None else runtime._messaging_infrastructure
    if infrastructure is None:
        return
    for actor in infrastructure.actors:
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(actor.pid, signal.SIGKILL)
    for actor in infrastructure.actors:
        with contextlib.suppress(ValueError, OSError):
            actor.join()
    # stop() of a started runtime would wait for an answer.
    runtime._is_started = runtime._is_running = False
    infrastructure.smm.shutdown()
