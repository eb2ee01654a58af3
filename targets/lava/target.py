"""The Lava target: netlists as networks of Lava processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from neurodeploy.errors import ExecutionError, TargetUnavailableError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.records import BoardKind
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment, Readiness, Target, Violation, state_violations
from neurodeploy.targets.lava.bundle import FILES, Bundle, Models, load_bundle, save_bundle
from neurodeploy.targets.lava.dynamics import lanes_for, n_lava_steps
from neurodeploy.targets.lava.interpreter import LavaPython, find_lava_python, lava_python
from neurodeploy.targets.lava.job import Job, LavaProcess, read_traces, write_job
from neurodeploy.targets.lava.stock import stock_violations
from neurodeploy.targets.lava.supervision import Limits, Watch, job_folders, run_worker
from neurodeploy.targets.request import RunRequest
from neurodeploy.targets.stream import TargetStream
from neurodeploy.targets.timed import expect_same


class LavaTarget(Target):
    """Compiles to Lava processes.

    Options
    -------
    models : {"own", "stock"}
        Which process models run. ``own``: one process per population with the netlist's
        arithmetic. ``stock``: only processes of ``lava.proc`` (Conv, Dense, DelayDense, LIF,
        LIFReset) between the inputs and the recorders; what they cannot compute exactly is refused.
    execution : {"auto", "in-process", "worker"}
        Where Lava runs; ``auto``: in this process on Python 3.10 with Lava, else in a worker.
    time_limit_s : float
        A run is given up after that many seconds.
    stall_limit_s : float
        A run is given up after that many seconds without a step done.
    samples_side_by_side : int or none
        Width of a batch of the own models; none chooses it by the size of the network.
    """

    name: ClassVar[str] = "lava"
    summary: ClassVar[str] = "Lava processes (Loihi's framework), fixed point, real lava-nc"
    option_defaults: ClassVar[Mapping[str, Any]] = {
        "models": "own",
        "execution": "auto",
        "time_limit_s": 3600.0,
        "stall_limit_s": 60.0,
        "samples_side_by_side": None,
    }
    board_kind: ClassVar[BoardKind | None] = "neurocore"
    packages: ClassVar[tuple[str, ...]] = ("lava-nc",)

    @classmethod
    def unavailable(cls) -> str | None:
        """None if a Python with Lava is found, else why not."""
        try:
            find_lava_python()
        except TargetUnavailableError as error:
            return str(error)
        return None

    @classmethod
    def readiness(cls) -> Readiness:
        """The Python that runs Lava, or the reason why none does."""
        try:
            found = find_lava_python()
        except TargetUnavailableError as error:
            reason, _, remedy = str(error).removeprefix("lava: ").partition("; run ")
            return Readiness(False, reason, "run " + remedy if remedy else None)
        where = "in this process" if found.in_process else f"in a worker, {found.executable}"
        return Readiness(True, f"lava-nc {found.lava_version} on Python {found.version}, {where}")

    def complete_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the defaults; refuse unknown options and values."""
        complete = super().complete_options(options)
        for name, allowed in (
            ("models", ("own", "stock")),
            ("execution", ("auto", "in-process", "worker")),
        ):
            if name in complete and complete[name] not in allowed:
                raise UsageError(
                    f"target {self.name}: {name}={complete[name]!r}; expected "
                    f"{' or '.join(allowed)}"
                )
        for name in ("time_limit_s", "stall_limit_s", "samples_side_by_side"):
            if name not in complete:
                continue
            value = complete[name]
            if name == "samples_side_by_side" and value is None:
                continue
            whole = name == "samples_side_by_side"
            try:
                number = int(value) if whole else float(value)
            except (TypeError, ValueError, OverflowError):
                number = 0
            if not number > 0:  # NaN is none
                raise UsageError(
                    f"target {self.name}: {name}={value!r}; expected a positive number"
                )
            complete[name] = number
        return complete

    def check(
        self, netlist: IntegerNetlist, board: Board | None, options: Mapping[str, Any]
    ) -> list[Violation]:
        """Bounds of the state, and for stock models whatever they compute otherwise."""
        if self._models(options) == "stock":
            return stock_violations(netlist)
        return state_violations(netlist)

    def lower(
        self, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> LavaDeployment:
        """Compile a netlist that passed :meth:`check`."""
        bundle = Bundle.of(network.integer, models=self._models(options))
        return self.deployment(network, board, options, bundle)

    def load(
        self, folder: Path, network: Network, board: Board | None, options: Mapping[str, Any]
    ) -> LavaDeployment:
        """Read ``lava.json`` and ``lava.safetensors``."""
        bundle = load_bundle(folder)
        expect_same(bundle, network.integer, folder, FILES)
        return self.deployment(network, board, self.complete_options(options), bundle)

    @property
    def deployment(self) -> type[LavaDeployment]:
        """Class of the deployments that it compiles to."""
        return LavaDeployment

    def _models(self, options: Mapping[str, Any]) -> Models:
        models: Models = options.get("models", "own")
        return models


class StockLavaTarget(LavaTarget):
    """Compiles to Lava's own processes: Conv, Dense, DelayDense, LIF and LIFReset.

    What they cannot compute exactly is refused: soft reset, initial membranes, leak, signed and
    graded spikes, recurrence. Networks converted with ``--method hard-reset`` and quantized for
    this target are computed; it is option ``models=stock`` of target lava by a name of its own.

    Options
    -------
    execution : {"auto", "in-process", "worker"}
        Where Lava runs; ``auto``: in this process on Python 3.10 with Lava, else in a worker.
    time_limit_s : float
        A run is given up after that many seconds.
    stall_limit_s : float
        A run is given up after that many seconds without a step done.
    """

    name: ClassVar[str] = "lava-stock"
    summary: ClassVar[str] = "Lava's stock Conv, Dense and LIF alone: what Loihi 1 runs"
    option_defaults: ClassVar[Mapping[str, Any]] = {
        name: value
        for name, value in LavaTarget.option_defaults.items()
        if name in ("execution", "time_limit_s", "stall_limit_s")
    }
    quantization: ClassVar[Mapping[str, Any]] = {"neuron": "stock-lif", "max_thresholds": 16}
    methods: ClassVar[tuple[str, ...]] = ("hard-reset",)

    @property
    def deployment(self) -> type[LavaDeployment]:
        """Class of the deployments that it compiles to."""
        return StockLavaDeployment

    def _models(self, options: Mapping[str, Any]) -> Models:
        return "stock"


class LavaDeployment(Deployment):
    """A compiled Lava network.

    Attributes
    ----------
    bundle : Bundle
        What runs.
    processes : tuple of LavaProcess
        The processes that Lava made in the last run; empty before.
    """

    target: ClassVar[str] = "lava"

    def __init__(
        self,
        network: Network,
        board: Board | None,
        options: Mapping[str, Any],
        bundle: Bundle,
    ) -> None:
        super().__init__(network, board, options)
        self.bundle = bundle
        self.processes: tuple[LavaProcess, ...] = ()

    def write_files(self, folder: Path) -> None:
        """Write ``lava.json`` and ``lava.safetensors``."""
        save_bundle(self.bundle, folder)

    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        """Run a batch in Lava."""
        return _run_requests([(self, request)], progress)[0]

    def open_stream(self, samples: int) -> TargetStream:
        """Processes that stay alive and run on from piece to piece."""
        from neurodeploy.targets.lava.stream import LavaStream

        return LavaStream(self, samples)

    def utilization(self) -> dict[str, Any]:
        """Processes, neurons and synapses by population, and the models that run."""
        netlist = self.netlist
        populations = {
            p.name: {
                "neurons": p.size,
                "synapses": sum(q.connectivity.n_synapses for q in netlist.incoming[p.name]),
                "parameters": sum(q.connectivity.n_parameters for q in netlist.incoming[p.name]),
            }
            for p in netlist.populations
        }
        n_inputs = sum(p.size for p in netlist.inputs)
        stock = self.bundle.models == "stock"
        n_processes = len(netlist.populations) + (len(netlist.projections) if stock else 0)
        return {
            "target": self.target,
            "models": self.bundle.models,
            "processes": n_processes,
            "inputs": n_inputs,
            "neurons": sum(p["neurons"] for p in populations.values()) - n_inputs,
            "synapses": sum(p["synapses"] for p in populations.values()),
            "parameters": sum(p["parameters"] for p in populations.values()),
            "steps_per_sample": self.bundle.timesteps + self.bundle.max_depth,
            "populations": populations,
        }


class StockLavaDeployment(LavaDeployment):
    """A network compiled to Lava's own processes."""

    target: ClassVar[str] = "lava-stock"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of :func:`run_all`; parameters as of :meth:`LavaDeployment.run`."""

    deployment: LavaDeployment
    stimulus: Stimulus
    record: Collection[str] | None = None
    membranes: Collection[str] = ()


def run_all(runs: Sequence[Run], progress: Progress | None = None) -> list[RunRecord]:
    """Run several deployments, in one worker where a worker is needed.

    The limits are those of the first deployment.

    Raises
    ------
    DataError
        If a stimulus does not fit.
    ExecutionError, TargetUnavailableError
        If Lava fails or is missing.
    """
    asked = [
        (r.deployment, RunRequest.checked(r.deployment.netlist, r.stimulus, r.record, r.membranes))
        for r in runs
    ]
    found = _run_requests(asked, progress)
    return [
        request.completed(record, deployment.target, deployment.latency)
        for (deployment, request), record in zip(asked, found, strict=True)
    ]


_Asked = Sequence[tuple[LavaDeployment, RunRequest]]


def _run_requests(asked: _Asked, progress: Progress | None) -> list[RunRecord]:
    options = asked[0][0].options
    limits = Limits(options["time_limit_s"], options["stall_limit_s"])
    python = lava_python(options["execution"])
    with job_folders(len(asked)) as folders:
        jobs = [_write(*one, folder) for one, folder in zip(asked, folders, strict=True)]
        # A batch of nothing needs no Lava.
        real = [i for i, job in enumerate(jobs) if job.batch > 0]
        if python.in_process:
            for i in real:
                _run_here(jobs[i], asked[i][0], limits, progress)
        elif real:
            deployments = [asked[i][0] for i in real]
            _run_there(python, [jobs[i] for i in real], deployments, limits, progress)
        return [_record(d.bundle, job) for (d, _), job in zip(asked, jobs, strict=True)]


def _write(deployment: LavaDeployment, request: RunRequest, folder: Path) -> Job:
    bundle, batch = deployment.bundle, request.batch
    if bundle.models == "stock":
        width = 1
    else:
        largest = max(p.size for p in bundle.populations)
        chosen = deployment.options["samples_side_by_side"]
        width = lanes_for(batch, largest) if chosen is None else max(1, min(chosen, batch))
    fires = [n for n in request.spikes if _emits(bundle, n)]
    return write_job(folder, bundle, request.stimulus, width, fires, request.membranes, batch)


def _emits(bundle: Bundle, name: str) -> bool:
    """Whether a population can fire: pools do, and neurons that have a threshold."""
    return getattr(bundle.by_name[name].model, "threshold", 0) is not None


def _run_here(
    job: Job, deployment: LavaDeployment, limits: Limits, progress: Progress | None
) -> None:
    from neurodeploy.targets.lava.execution import execute

    watch = Watch(limits)

    def tick(counts: Sequence[int], n_steps: int) -> None:
        watch.saw(counts)
        if progress is not None:
            progress(min(max(counts, default=0), n_steps), n_steps)

    try:
        deployment.processes = execute(job, deployment.bundle, tick)
    except ExecutionError as error:
        raise ExecutionError(f"target lava: {error}") from error


def _run_there(
    python: LavaPython,
    jobs: Sequence[Job],
    deployments: Sequence[LavaDeployment],
    limits: Limits,
    progress: Progress | None,
) -> None:
    steps = [
        n_lava_steps(job.lanes.rounds, d.bundle.timesteps, d.bundle.max_depth)
        for job, d in zip(jobs, deployments, strict=True)
    ]

    def tell(current: int, counts: Sequence[int]) -> None:
        if progress is not None:
            done = min(max(counts, default=0), steps[current])
            progress(sum(steps[:current]) + done, sum(steps))

    processes = run_worker(python.executable, [j.folder for j in jobs], limits, tell)
    for deployment, made in zip(deployments, processes, strict=True):
        deployment.processes = made


def _record(bundle: Bundle, job: Job) -> RunRecord:
    spikes, membranes = (read_traces(job, bundle, what) for what in ("spikes", "membranes"))
    return RunRecord(bundle.timesteps, spikes, membranes)
