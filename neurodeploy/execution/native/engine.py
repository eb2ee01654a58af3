"""The native engine: runs a program over samples, a thread for each part of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.native import structures
from neurodeploy.execution.native.library import Library
from neurodeploy.execution.native.program import build_program
from neurodeploy.execution.native.totals import ThreadTotals, Totals
from neurodeploy.execution.order import channels_last
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import (
    Progress,
    RunRecord,
    Stimulus,
    checked_stimulus,
    expect_populations,
)
from neurodeploy.numerics.threads import default_threads

# Samples that one call takes: few enough that threads end together, and progress is seen.
MOST_SAMPLES = 16

Filler = Callable[[Population, structures.Wanted], None]
"""Says where the results of a population go."""


class NativeEngine:
    """Executes one integer netlist by the native library; equals the reference bit for bit.

    Parameters
    ----------
    netlist : IntegerNetlist
    library : Library
    timesteps : int, optional
        T; the netlist's own by default.
    batch_size : int, optional
        Samples that one call takes; never changes a result.
    threads : int, optional
        Samples are shared among so many; never changes a result.
    bounds : mapping, optional
        Proved ones that hold for more steps, where a sample comes in pieces.

    Raises
    ------
    CapacityError
        If a state is not proved to fit.
    UsageError
        For a batch or threads below 1.
    """

    def __init__(
        self,
        netlist: IntegerNetlist,
        library: Library,
        timesteps: int | None = None,
        *,
        batch_size: int | None = None,
        threads: int | None = None,
        bounds: Mapping[str, PopulationBounds] | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"engine: batch_size {batch_size}; expected at least 1")
        if threads is not None and threads < 1:
            raise UsageError(f"engine: threads {threads}; expected at least 1")
        self.netlist, self.library = netlist, library
        self.timesteps = netlist.window(timesteps)
        self.batch_size, self.threads = batch_size, threads
        self.program = build_program(netlist, self.timesteps, bounds, tiles=library.has_tiles)
        self._spare: list[int] = []
        self._lock = Lock()

    @property
    def paths(self) -> dict[str, str]:
        """Kernel of every projection, by its label."""
        labels = (q.label for q in self.netlist.projections)
        return dict(zip(labels, self.program.paths, strict=True))

    def run(
        self,
        stimulus: Stimulus,
        *,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
        progress: Progress | None = None,
    ) -> RunRecord:
        """Run and keep rasters; see :func:`neurodeploy.execution.run_engine`."""
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps)
        wanted = set(self.netlist.by_name if record is None else record)
        decoded = {o.population for o in self.netlist.outputs if o.reads_membrane}
        watched = set(membranes) | decoded
        expect_populations(self.netlist, wanted | watched)
        return self.recorded(values, batch, wanted, watched, progress=progress)

    def recorded(
        self,
        values: Mapping[str, IntArray],
        batch: int,
        wanted: set[str],
        watched: set[str],
        *,
        also: Filler | None = None,
        progress: Progress | None = None,
    ) -> RunRecord:
        """Run a stimulus that was checked; ``also`` says what else is wanted of a population."""
        spikes: dict[str, AnyArray] = {}
        traces: dict[str, AnyArray] = {}
        for population in self.netlist.populations:
            name, shape = population.name, (batch, self.timesteps, *population.shape)
            if name in values:
                given = values[name]
                if name in wanted:
                    current = population.is_current_input
                    spikes[name] = (
                        np.repeat(given[:, None], self.timesteps, axis=1) if current else given
                    )
            elif name in wanted:
                spikes[name] = np.zeros(shape, dtype=np.int64)
            if name in watched:
                traces[name] = np.zeros(shape, dtype=np.int64)

        def fill(population: Population, want: structures.Wanted) -> None:
            if population.name in spikes and not isinstance(population.model, Input):
                want.raster = spikes[population.name].ctypes.data
            if population.name in traces:
                want.trace = traces[population.name].ctypes.data
            if also is not None:
                also(population, want)

        self._execute(values, batch, self._n_threads(batch), [fill], progress)
        return RunRecord(self.timesteps, spikes, traces)

    def summarize(
        self,
        stimulus: Stimulus,
        *,
        rates: Collection[str] = (),
        active: Collection[str] = (),
        totals: Collection[str] = (),
        progress: Progress | None = None,
    ) -> Summary:
        """Run and keep totals only; see :class:`neurodeploy.execution.pytorch.engine.Engine`."""
        expect_populations(self.netlist, {*rates, *totals, *active})
        values, batch = checked_stimulus(self.netlist, stimulus, self.timesteps)
        kept = Totals(self.program, self.netlist, self.timesteps, values, batch, set(rates))
        summed = set(totals)
        counted = set(active) - {p.name for p in self.netlist.inputs}
        # One of its own for each thread: none adds to what another one adds to.
        threads = self._n_threads(batch)
        parts = [ThreadTotals(self.netlist, summed, counted) for _ in range(threads)]

        def filler(part: ThreadTotals) -> Filler:
            def fill(population: Population, want: structures.Wanted) -> None:
                kept.fill(population, want)
                part.fill(population, want)

            return fill

        self._execute(values, batch, threads, [filler(part) for part in parts], progress)
        return kept.summary(parts)

    def _n_threads(self, batch: int) -> int:
        return max(1, min(self.threads or default_threads(), batch))

    def _execute(
        self,
        values: Mapping[str, IntArray],
        batch: int,
        threads: int,
        fillers: list[Filler],
        progress: Progress | None,
    ) -> None:
        """All samples. ``fillers`` say what is wanted: one for all threads, or one for each."""
        given = [_own_values(values[p.name], p) for p in self.program.inputs]
        pointers = (ctypes.c_void_p * max(len(given), 1))(*(a.ctypes.data for a in given))
        populations = [*self.program.members, *self.program.inputs]
        wanted = []
        for fill in fillers:
            array = (structures.Wanted * len(populations))()
            for population, want in zip(populations, array, strict=True):
                fill(population, want)
            wanted.append(array)
        size = self.batch_size or min(MOST_SAMPLES, -(-batch // threads)) or 1
        parts: Iterator[int] = iter(range(0, batch, size))
        taking, stopped, done = Lock(), Event(), 0

        def work(thread: int) -> None:
            nonlocal done
            mine = wanted[thread % len(wanted)]
            with _stopping(stopped), self._workspace() as workspace:
                while True:
                    with taking:
                        first = next(parts, None)
                    if first is None or stopped.is_set():
                        return
                    last = min(first + size, batch)
                    self._call(workspace, pointers, mine, first, last)
                    # After an error here no other thread has its turn.
                    with taking, _stopping(stopped):
                        done += last - first
                        if progress is not None and not stopped.is_set():
                            progress(done, batch)

        if threads == 1:
            work(0)
            return
        with ThreadPoolExecutor(threads) as pool:
            try:
                for finished in as_completed([pool.submit(work, i) for i in range(threads)]):
                    finished.result()
            finally:
                # After an error or Ctrl-C nobody waits for the other samples.
                stopped.set()

    def _call(self, workspace: int, pointers: Any, wanted: Any, first: int, last: int) -> None:
        failed = self.library.functions.nd_run(
            self.library.isa,
            ctypes.byref(self.program.structure),
            workspace,
            pointers,
            wanted,
            first,
            last,
        )
        if failed:
            raise MemoryError(f"{self.netlist.name}: no memory for the events of a sample")

    @contextmanager
    def _workspace(self) -> Iterator[int]:
        with self._lock:
            workspace = self._spare.pop() if self._spare else None
        if workspace is None:
            structure = ctypes.byref(self.program.structure)
            workspace = self.library.functions.nd_workspace_new(structure)
            if not workspace:
                raise MemoryError(f"{self.netlist.name}: no memory for the engine's rasters")
        try:
            yield workspace
        finally:
            with self._lock:
                self._spare.append(workspace)

    def __del__(self) -> None:
        # Taken out one by one: a shallow copy of this engine has the same list.
        spare = getattr(self, "_spare", [])
        while spare:
            self.library.functions.nd_workspace_free(spare.pop())


@contextmanager
def _stopping(stopped: Event) -> Iterator[None]:
    """Tell of an error at once, and not where it is waited for: that may be late."""
    try:
        yield
    except BaseException:
        stopped.set()
        raise


def _own_values(values: IntArray, population: Population) -> AnyArray:
    """A stimulus in the engine's order, in 32 bits."""
    own = channels_last(values.astype(np.int32), population.shape)
    return np.ascontiguousarray(own)
