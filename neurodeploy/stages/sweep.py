"""A sweep: many configurations of one conversion, on processes or a cluster, kept one by one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.conversion.option_types import expect_kind
from neurodeploy.datasets import EventSamples, Samples, SamplesLike, as_data
from neurodeploy.datasets.spec import training_text
from neurodeploy.distribution import Outcome, Workers, completed
from neurodeploy.errors import UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.provenance import without_folders
from neurodeploy.ir.record import Progress
from neurodeploy.loading.files import file_digest
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.compile import board_list, chosen_board
from neurodeploy.stages.fingerprints import model_fingerprint, samples_fingerprint
from neurodeploy.stages.sources import check_model
from neurodeploy.stages.sweep_options import checked_configuration
from neurodeploy.stages.sweep_task import Job, run_configuration
from neurodeploy.sweeps.configurations import (
    Configuration,
    expect_different,
    grid,
    label,
    read_configurations,
)
from neurodeploy.sweeps.folder import SweepFolder
from neurodeploy.sweeps.results import Sweep
from neurodeploy.version import __version__

if TYPE_CHECKING:
    from torch import nn

ENERGY_SAMPLES = 16
RETRIED = ("died", "memory", "bug")
"""Ends of a configuration that another start of the sweep may change."""


@shows_progress("sweep")
def sweep(
    model: str | Path | nn.Module,
    data: SamplesLike,
    samples: int | None = None,
    *,
    output: str | Path | None = None,
    configurations: str | Path | Sequence[Mapping[str, Any]] | None = None,
    board: str | Board | Sequence[str | Board] = (),
    weights: str | Path | None = None,
    calibration_data: SamplesLike | None = None,
    energy_samples: int = ENERGY_SAMPLES,
    workers: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    collect: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
    **options: Any,
) -> Sweep:
    """Convert, quantize, evaluate and price many configurations of one network.

    Parameters
    ----------
    model : str, path or torch.nn.Module
        As of :func:`neurodeploy.convert`.
    data : Samples or what they are made from
        Each configuration is evaluated on them; a text names the training split to calibrate on.
    samples : int, optional
        The first so many; all by default.
    output : path, optional
        A folder for the results: each configuration that ends is kept there, and the same call
        goes on where it was interrupted. [default: nothing is kept]
    configurations : path, optional
        A .json, .toml or .csv file with a list of configurations, or such a list, instead of a
        grid.
    board : str, Board or sequence, optional
        Boards to estimate energy and time on: names or paths, as text separated by commas; ``all``
        that come with neurodeploy.
    weights : path, optional
        State dict saved by torch.save.
    calibration_data : Samples or what they are made from, optional
        [default: the training split of the data]
    energy_samples : int >= 1
        Energy is counted on the first so many samples.
    workers : int >= 1, optional
        Processes of this machine. [default: one for each core]
    scheduler : str, optional
        Instead of them, a scheduler of dask.distributed, tcp://HOST:PORT, or local:N for one with N
        workers on this machine.
    shard : str, optional
        K/N: run every N-th configuration from the K-th on only, for batch systems; the folder is
        shared by all shards.
    collect : bool
        Run nothing: put together what shards have left in the folder.
    tell : callable
        Told a line for each configuration that ends, with the time that is left.
    **options
        Options of ``convert``, of methods and of ``quantize``: a value, or a list of them, which is
        an axis of the grid. Weights have 8 bits by default.

    Returns
    -------
    Sweep
        The same for any number of workers and shards. A configuration that is refused, or kills
        its workers twice, is a row with its error.

    Raises
    ------
    UsageError
        For an unknown option, before anything runs; for the folder of another sweep; for results
        that ``collect`` does not find.
    ExecutionError
        If no worker can be started, or the scheduler is not there.
    """
    check_model(model, "sweep")
    listed = _listed(configurations, options)
    boards = tuple(board_list(board))
    names = [chosen_board(b).name for b in boards]
    if len(set(names)) < len(names):
        raise UsageError(f"sweep: a board is named twice: {', '.join(names)}")
    expect_kind("energy samples", energy_samples, int)
    if energy_samples < 1:
        raise UsageError(f"energy samples {energy_samples}: at least 1 is needed")
    part = _part(shard, len(listed))
    if (shard or collect) and output is None:
        raise UsageError("sweep: shards and --collect need a folder; give --output")
    if shard and collect:
        raise UsageError("sweep: --collect puts all shards together; leave --shard out")
    where = Workers.checked(workers, scheduler)
    evaluated = as_data(data, "test")
    if samples is not None:
        evaluated = evaluated.first(samples)
    calibration = _calibration(data, calibration_data)
    job = Job(
        model if not isinstance(model, Path) else str(model),
        None if weights is None else str(weights),
        data if isinstance(data, str) else evaluated,
        calibration,
        samples,
        energy_samples,
        boards,
        {},
    )
    common = {
        "neurodeploy": __version__,
        **_identity(job, evaluated),
        "samples": len(evaluated),
        "energy_samples": energy_samples,
        "boards": names,
    }
    if output is None:
        held: Any = contextlib.nullcontext()
    else:
        held = SweepFolder.held(Path(output), common, listed, shard=shard is not None)
    with held as folder:
        records = [None if folder is None else folder.record(c, names) for c in listed]
        if not collect:
            _run(job, listed, records, part, where, folder, tell, progress)
        missing = [c for c, record in zip(listed, records, strict=True) if record is None]
        if missing and not shard:
            raise UsageError(
                f"{output}: {len(missing)} of {len(listed)} configurations have no result yet, "
                f"{label(missing[0])} among them; run their shards, or the command without "
                "--collect"
            )
        done = [(c, r) for c, r in zip(listed, records, strict=True) if r is not None]
        found = Sweep(common, tuple(c for c, _ in done), tuple(record for _, record in done))
        if folder is not None and not shard:
            found.write(folder.path)
    return found


def _listed(
    configurations: str | Path | Sequence[Mapping[str, Any]] | None, options: Mapping[str, Any]
) -> list[Configuration]:
    """All configurations, checked."""
    if configurations is None:
        found, where = grid(options), "the grid"
    elif options:
        raise UsageError(
            f"sweep: {next(iter(options))} beside a list of configurations; write it into the list"
        )
    elif isinstance(configurations, str | Path):
        found, where = read_configurations(Path(configurations)), str(configurations)
    else:
        found, where = [c for given in configurations for c in grid(given)], "the list"
    if not found:
        raise UsageError("sweep: an empty list of configurations; give one at least")
    checked = [
        checked_configuration(f"{where}, configuration {number}", given)
        for number, given in enumerate(found, 1)
    ]
    expect_different(checked)
    return checked


def _part(shard: str | None, n: int) -> range:
    """Places of the configurations of a shard, written as K/N."""
    if shard is None:
        return range(n)
    first, slash, of = shard.partition("/")
    if not slash or not first.isdecimal() or not of.isdecimal() or not 1 <= int(first) <= int(of):
        raise UsageError(f"shard {shard!r}: expected K/N with K from 1 to N, as in 2/8")
    return range(int(first) - 1, n, int(of))


def _calibration(data: SamplesLike, given: SamplesLike | None) -> Any:
    if given is not None:
        return given if isinstance(given, str) else as_data(given, "train")
    if not isinstance(data, str):
        raise UsageError("sweep: arrays have no training split; pass calibration_data as well")
    return training_text(data)


def _identity(job: Job, evaluated: Samples | EventSamples) -> dict[str, Any]:
    """What tells one sweep from another beside its options: files and data by their digests."""
    model = without_folders(job.model) if isinstance(job.model, str) else type(job.model).__name__
    found: dict[str, Any] = {"model": model, "model_sha256": model_fingerprint(job.model)}
    if job.weights is not None:
        weights = Path(job.weights)
        found["weights"] = weights.name
        found["weights_sha256"] = file_digest(weights, "the network to sweep")
    for name, given in (("data", job.data), ("calibration_data", job.calibration)):
        found[name] = without_folders(given) if isinstance(given, str) else given.name
        if isinstance(given, Samples):
            found[f"{name}_sha256"] = samples_fingerprint(given)
    if isinstance(job.data, str) and isinstance(evaluated, Samples):
        found["data_sha256"] = samples_fingerprint(evaluated)
    return found


def _run(
    job: Job,
    listed: Sequence[Configuration],
    records: list[dict[str, Any] | None],
    part: range,
    where: Workers,
    folder: SweepFolder | None,
    tell: Callable[[str], None],
    progress: Progress | None,
) -> None:
    """Run what has no result yet, and keep each result as it comes."""
    todo = [i for i in part if (r := records[i]) is None or r.get("kind") in RETRIED]
    if folder is not None and len(todo) < len(part):
        tell(f"{folder.path}: keeps {len(part) - len(todo)} of {len(part)} configurations")
    jobs = [replace(job, configuration=listed[i]) for i in todo]
    begun, first = time.monotonic(), 0.0
    try:
        for n, (place, outcome) in enumerate(completed(run_configuration, jobs, where), 1):
            configuration = listed[todo[place]]
            record = _record(configuration, outcome)
            if folder is not None:
                folder.keep(configuration, record)
            records[todo[place]] = record
            passed = time.monotonic() - begun
            # The first ones wait for workers to start, which the others do not.
            first = first or passed
            left = None if n == 1 else (passed - first) / (n - 1) * (len(todo) - n)
            tell(f"{n}/{len(todo)} {label(configuration)}: {_told(record)}{_left(left)}")
            if progress is not None:
                progress(n, len(todo))
    except BaseException:
        kept = sum(records[i] is not None for i in part)
        if folder is not None and kept:
            tell(
                f"{folder.path}: keeps {kept} of {len(part)} configurations; the same command goes "
                "on with the others"
            )
        raise


def _record(configuration: Configuration, outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        return {"configuration": configuration, "status": "done", **outcome.value}
    told = {} if outcome.trace is None else {"trace": outcome.trace.splitlines()}
    return {
        "configuration": configuration,
        "status": "error",
        "kind": outcome.kind,
        "error": outcome.error,
        **told,
    }


def _told(record: Mapping[str, Any]) -> str:
    if record["status"] != "done":
        return str(record["error"])
    spikes = f"{record['spikes_per_inference']:.0f} spikes"
    if record["accuracy"] is None:
        error = record["relative_error"]
        return spikes if error is None else f"relative error {100 * error:.2f} %, {spikes}"
    return f"accuracy {100 * record['accuracy']:.2f} %, {spikes}"


def _left(seconds: float | None) -> str:
    if not seconds:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"; about {minutes} min {rest} s left" if minutes else f"; about {rest} s left"
