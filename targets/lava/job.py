"""A run as a folder of files: what the caller and the interpreter that runs Lava exchange.

::

    lava.json, lava.safetensors   the compiled network
    job.json                      batch, lanes, what to record
    control.npy                   of a stream: how far it is to run
    stimulus.I.npy                samples of population I (an input)
    spikes.I.npy, membranes.I.npy what was recorded of population I
    steps.npy                     steps done by every process
    status.json                   written last: how it ended
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import ExecutionError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.population import Population
from neurodeploy.targets.lava.bundle import Bundle, load_bundle, save_bundle
from neurodeploy.targets.lava.dynamics import Timing
from neurodeploy.targets.lava.recording import Control, Lanes, StepCounters, StreamTiming


@dataclass(frozen=True, slots=True)
class LavaProcess:
    """One process that Lava's compiler made: its name, class and model, by qualified names."""

    name: str
    process: str
    model: str


@dataclass(frozen=True, slots=True)
class Job:
    """A run to do.

    Parameters
    ----------
    folder : Path
    batch, width : int
        Samples, and how many of them run side by side.
    spikes, membranes : tuple of str
        Populations to record.
    stream : bool
        The samples come in pieces, all side by side, and their length is not known.
    """

    folder: Path
    batch: int
    width: int
    spikes: tuple[str, ...]
    membranes: tuple[str, ...]
    stream: bool = False

    @property
    def lanes(self) -> Lanes:
        """Layout of the batch."""
        return Lanes(self.batch, self.width)

    @property
    def counters(self) -> Path:
        """File of the step counters."""
        return self.folder / "steps.npy"

    @property
    def control(self) -> Path:
        """File of a stream's :class:`neurodeploy.targets.lava.recording.Control`."""
        return self.folder / "control.npy"

    def timing(self, bundle: Bundle) -> Timing | StreamTiming:
        """When windows are open."""
        if self.stream:
            return StreamTiming(self.control)
        return Timing(bundle.timesteps, bundle.timesteps, self.lanes.rounds)

    def file(self, bundle: Bundle, what: str, population: str) -> Path:
        """File of one population's ``stimulus``, ``spikes`` or ``membranes``."""
        names = [p.name for p in bundle.populations]
        return self.folder / f"{what}.{names.index(population)}.npy"

    def recorded(self, bundle: Bundle, population: str) -> dict[str, Path]:
        """Files to record one population into."""
        wanted = {"spikes": self.spikes, "membranes": self.membranes}
        return {
            what: self.file(bundle, what, population)
            for what, names in wanted.items()
            if population in names
        }


def write_job(
    folder: Path,
    bundle: Bundle,
    stimulus: Mapping[str, IntArray],
    width: int,
    spikes: Collection[str],
    membranes: Collection[str],
    batch: int,
    stream_steps: int | None = None,
) -> Job:
    """Write a run into an empty folder, with files for the results.

    ``stream_steps`` makes it a stream, whose files hold so many steps at a time.
    """
    stream = stream_steps is not None
    job = Job(folder, batch, width, tuple(spikes), tuple(membranes), stream)
    if stream:
        Control.create(job.control)
    save_bundle(bundle, folder)
    for name, values in stimulus.items():
        np.save(job.file(bundle, "stimulus", name), values)
    T = stream_steps or bundle.timesteps
    for what, names in (("spikes", job.spikes), ("membranes", job.membranes)):
        for name in names:
            population = bundle.by_name[name]
            path = job.file(bundle, what, name)
            np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
                path,
                mode="w+",
                dtype=_dtype(population, what),
                shape=(batch, T, *population.shape),
            ).flush()
            _reserve(path)
    # A stock network adds a recorder per trace to its sources.
    StepCounters.create(job.counters, len(bundle.populations) + len(job.spikes) + len(membranes))
    record = {name: value for name, value in asdict(job).items() if name != "folder"}
    write_bytes_whole(folder / "job.json", json.dumps(record).encode())
    return job


def _reserve(path: Path) -> None:
    """Have room for the whole file now: the worker would be killed where the disk takes no more."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def _dtype(population: Population, what: str) -> type:
    if what == "membranes" or not isinstance(population.model, Input | IntegerNeuron):
        return np.int32
    model = population.model
    most = max(-model.low, model.high) if isinstance(model, Input) else model.payload_max
    return np.int8 if most < 2**7 else np.int16 if most < 2**15 else np.int32


def read_job(folder: Path) -> tuple[Job, Bundle]:
    """Read a run."""
    r = json.loads((folder / "job.json").read_text())
    job = Job(
        folder, r["batch"], r["width"], tuple(r["spikes"]), tuple(r["membranes"]), r["stream"]
    )
    return job, load_bundle(folder)


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    """Say how a run ended: ``error`` (a line) or ``processes``."""
    write_bytes_whole(folder / "status.json", json.dumps(dict(status)).encode())


def read_status(folder: Path) -> tuple[LavaProcess, ...] | None:
    """The processes of a finished run; None if it has not ended.

    Raises
    ------
    ExecutionError
        With the line that the run left behind.
    """
    path = folder / "status.json"
    if not path.exists():
        return None
    status = json.loads(path.read_text())
    if "error" in status:
        raise ExecutionError(status["error"])
    return tuple(LavaProcess(**p) for p in status["processes"])


def done_status(processes: Collection[LavaProcess]) -> dict[str, Any]:
    """Status of a run that went well."""
    return {"processes": [asdict(p) for p in processes]}


def read_traces(job: Job, bundle: Bundle, what: str) -> dict[str, AnyArray]:
    """Recorded ``spikes`` or ``membranes``: int64 ``[B, T, *shape]`` by population."""
    names = job.spikes if what == "spikes" else job.membranes
    return {n: np.load(job.file(bundle, what, n)).astype(np.int64) for n in names}
