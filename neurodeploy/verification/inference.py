"""Inference of a deployment on data: answers and spikes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.batches import EncodedInput, raster_bytes, run_batched
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray, narrowed
from neurodeploy.ir.decoding import Classes, classify, decode, expect_classes, scores_classes
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, RunRecord, expect_populations, joined_samples
from neurodeploy.notebook import Shown, data_frame
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    import pandas as pd

EVENT_COLUMNS = ("sample", "population", "step", "neuron", "payload")


class Recorded(dict[str, AnyArray]):
    """Rasters by population; what was not recorded is an error that says how to record it."""

    def __init__(self, rasters: Mapping[str, AnyArray], option: str) -> None:
        super().__init__(rasters)
        self._option = option

    def __missing__(self, name: str) -> AnyArray:
        raise UsageError(
            f"run: {name!r} was not recorded; recorded: {', '.join(self) or 'nothing'}; others by "
            f"run(..., {self._option}=[NAME, ...])"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Run(Shown):
    """The answers, spikes and membranes of a deployment on data.

    Parameters
    ----------
    target, network : str
    samples, timesteps : int
    outputs : mapping
        Output population -> float64 ``[B, *shape]`` in the units of the source network.
    decided : mapping
        Output population -> its classes ``[B]``, and whether the largest value is not unique.
    labels : array ``[B]`` or None
    spike_counts : mapping
        Population that can spike (inputs of spikes as well) -> spikes over all samples.
    neuron_steps : mapping
        Population -> neurons times steps times samples.
    inputs : frozenset of str
        The input populations.
    record : RunRecord
        What was recorded; spikes in the narrowest integers.
    steps : array ``[B]``, optional
        Steps of each sample that are its own, where they differ; it is read at the last of them.
    """

    target: str
    network: str
    samples: int
    timesteps: int
    outputs: Mapping[str, FloatArray]
    decided: Mapping[str, Classes]
    labels: IntArray | None
    spike_counts: Mapping[str, int]
    neuron_steps: Mapping[str, int]
    inputs: frozenset[str]
    record: RunRecord
    steps: IntArray | None = None

    def __repr__(self) -> str:
        n = self.samples
        right = "" if self.accuracy is None else f", accuracy {100 * self.accuracy:.2f} %"
        return (
            f"Run({self.network} on {self.target}: {n} sample{'s' * (n != 1)}, "
            f"T = {self.timesteps}{right}, {self.spikes_per_inference:.1f} spikes per inference)"
        )

    @property
    def classes(self) -> IntArray:
        """The class of each sample, int64 ``[B]``: the largest output, the first of equal ones.

        Raises
        ------
        UsageError
            With several outputs, or one that is a single value or a map.
        """
        if len(self.decided) != 1:
            raise UsageError(
                f"run: {len(self.decided)} outputs ({', '.join(self.decided)}); read "
                "decided[OUTPUT].labels or outputs[OUTPUT]"
            )
        (name, classes), *_ = self.decided.items()
        expect_classes("run", name, self.outputs[name])
        return classes.labels

    @property
    def spikes(self) -> Mapping[str, AnyArray]:
        """Population -> signed payloads ``[B, T, *shape]``, 0 for no spike."""
        return Recorded(self.record.spikes, "record")

    @property
    def membranes(self) -> Mapping[str, AnyArray]:
        """Population -> ``[B, T, *shape]``: v at the end of each step, after the reset."""
        return Recorded(self.record.membranes, "membranes")

    @property
    def _answers_classes(self) -> bool:
        return len(self.outputs) == 1 and all(map(scores_classes, self.outputs.values()))

    @property
    def accuracy(self) -> float | None:
        """Top-1; None without labels, or where there is not one output that scores classes."""
        if self.labels is None or not self._answers_classes:
            return None
        return float((self.classes == self.labels).mean())

    @property
    def tie_share(self) -> float | None:
        """Share of samples whose largest output is not unique; None as :attr:`accuracy`."""
        if not self._answers_classes:
            return None
        (classes,) = self.decided.values()
        return float(classes.tied.mean())

    @property
    def spikes_per_inference(self) -> float:
        """Spikes per inference of all populations but the inputs."""
        counts = (n for name, n in self.spike_counts.items() if name not in self.inputs)
        return sum(counts) / self.samples

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "network": self.network,
            "target": self.target,
            "samples": self.samples,
            "timesteps": self.timesteps,
            "accuracy": self.accuracy,
            "tie_share": self.tie_share,
            "spikes_per_inference": self.spikes_per_inference,
            "spikes": dict(self.spike_counts),
            "neuron_steps": dict(self.neuron_steps),
        }

    def to_pandas(self) -> pd.DataFrame:
        """The recorded spikes, one a row: sample, population, step, neuron (C order), payload.

        Raises
        ------
        TargetUnavailableError
            If pandas is not installed.
        """
        events: list[tuple[AnyArray, ...]] = []
        for name, raster in self.record.spikes.items():
            flat = raster.reshape(*raster.shape[:2], -1)
            sample, step, neuron = np.nonzero(flat)
            names = np.full(len(sample), name, dtype=object)
            events.append((sample, names, step, neuron, flat[sample, step, neuron]))
        columns = zip(*events, strict=True) if events else [()] * len(EVENT_COLUMNS)
        joined = [np.concatenate(parts) if parts else parts for parts in columns]
        return data_frame(dict(zip(EVENT_COLUMNS, joined, strict=True)))


def _is_current(population: Population) -> bool:
    return isinstance(population.model, Input) and population.model.kind == "current"


def infer(
    deployment: Deployment,
    stimulus: Mapping[str, EncodedInput],
    labels: IntArray | None = None,
    *,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Run a deployment and decode it.

    Parameters
    ----------
    deployment : Deployment
    stimulus : mapping
        Input population -> its samples; some are asked for at a time.
    labels : array ``[B]``, optional
    record : collection of str, optional
        Populations whose spikes are kept; all by default. Those of all are counted.
    membranes : collection of str
        Populations whose membranes are kept.

    Raises
    ------
    UsageError
        If the network has no output or there are no samples.
    """
    netlist = deployment.netlist
    samples = min(len(values) for values in stimulus.values())
    if not netlist.outputs or not samples:
        what = "samples" if netlist.outputs else "outputs"
        raise UsageError(f"{netlist.name}: no {what} to run")
    expect_populations(netlist, record, membranes)
    watched = {o.population for o in netlist.outputs if o.reads_membrane} | set(membranes)
    emitting = [p for p in netlist.populations if not p.is_integrator]
    # A constant current enters in every step, and is no spike.
    spikes = {p.name: 0 for p in emitting if not _is_current(p)}
    kept = [p.name for p in emitting] if record is None else list(record)
    parts: list[RunRecord] = []
    steps: list[IntArray] = []
    outputs: dict[str, list[FloatArray]] = {o.population: [] for o in netlist.outputs}
    for batch in run_batched(stimulus, raster_bytes(netlist)):
        told = batch.part_of(progress)
        run = deployment.run(batch.stimulus, membranes=sorted(watched), progress=told)
        for output in netlist.outputs:
            outputs[output.population].append(decode(netlist, output, run, batch.steps))
        if batch.steps is not None:
            steps.append(batch.steps)
        for name in spikes:
            spikes[name] += int(np.count_nonzero(run.spikes[name]))
        kept_spikes = {name: narrowed(run.spikes[name]) for name in kept}
        read = {name: run.membranes[name] for name in membranes}
        parts.append(RunRecord(run.timesteps, kept_spikes, read, run.latency))
    answers = {name: np.concatenate(values) for name, values in outputs.items()}
    return Run(
        deployment.target,
        netlist.name,
        samples,
        netlist.timesteps,
        answers,
        {name: classify(values) for name, values in answers.items()},
        labels,
        spikes,
        {n: samples * netlist.timesteps * netlist.by_name[n].size for n in spikes},
        frozenset(p.name for p in netlist.populations if isinstance(p.model, Input)),
        joined_samples(parts),
        np.concatenate(steps) if steps else None,
    )
