"""What a deployment answers on data, and what it spikes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.decoding import classify, decode
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.targets.base import Deployment
from neurodeploy.verification.agreement import is_integrator

RASTER_BYTES = 512 * 2**20
"""Rasters that one run of a deployment may return; more samples are run in several."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The answers and spikes of a run.

    Parameters
    ----------
    target, network : str
    samples, timesteps : int
    outputs : mapping
        Output population -> float64 ``[B, *shape]`` in the units of the source network.
    classes, tied : mapping
        Output population -> int64 ``[B]``, and whether the largest value is not unique.
    labels : array ``[B]`` or None
    spikes : mapping
        Population that can spike (inputs as well) -> spikes over all samples.
    neuron_steps : mapping
        Population -> neurons times steps times samples.
    inputs : frozenset of str
        The input populations.
    rasters : mapping
        Population -> ``[B, T, *shape]`` in the narrowest integers; empty if not kept.
    """

    target: str
    network: str
    samples: int
    timesteps: int
    outputs: Mapping[str, FloatArray]
    classes: Mapping[str, IntArray]
    tied: Mapping[str, AnyArray]
    labels: IntArray | None
    spikes: Mapping[str, int]
    neuron_steps: Mapping[str, int]
    inputs: frozenset[str]
    rasters: Mapping[str, AnyArray]

    @property
    def accuracy(self) -> float | None:
        """Top-1; None without labels or with several outputs."""
        if self.labels is None or len(self.classes) != 1:
            return None
        (classes,) = self.classes.values()
        return float((classes == self.labels).mean())

    @property
    def tie_share(self) -> float | None:
        """Share of samples whose largest output is not unique; None with several outputs."""
        if len(self.tied) != 1:
            return None
        (tied,) = self.tied.values()
        return float(tied.mean())

    @property
    def spikes_per_inference(self) -> float:
        """Of all populations but the inputs."""
        return sum(n for name, n in self.spikes.items() if name not in self.inputs) / self.samples

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
            "spikes": dict(self.spikes),
            "neuron_steps": dict(self.neuron_steps),
        }


def infer(
    deployment: Deployment,
    stimulus: Stimulus,
    labels: IntArray | None = None,
    *,
    keep_spikes: bool = False,
    progress: Progress | None = None,
) -> Inference:
    """Run a deployment and decode it.

    Parameters
    ----------
    deployment : Deployment
    stimulus : mapping
    labels : array ``[B]``, optional
    keep_spikes : bool
        Keep the rasters of all populations.

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
    watched = [o.population for o in netlist.outputs if o.reads_membrane]
    per_sample = 8 * netlist.timesteps * sum(p.size for p in netlist.populations)
    width = max(1, RASTER_BYTES // per_sample)
    parts: list[RunRecord] = []
    spikes = {p.name: 0 for p in netlist.populations if not is_integrator(p)}
    outputs: dict[str, list[FloatArray]] = {o.population: [] for o in netlist.outputs}
    for first in range(0, samples, width):
        batch = {name: values[first : first + width] for name, values in stimulus.items()}
        share = _share(progress, first, min(width, samples - first), samples)
        run = deployment.run(batch, membranes=watched, progress=share)
        for output in netlist.outputs:
            outputs[output.population].append(decode(netlist, output, run))
        for name in spikes:
            spikes[name] += int(np.count_nonzero(run.spikes[name]))
        if keep_spikes:
            parts.append(_narrowed(run, spikes))
    answers = {name: np.concatenate(values) for name, values in outputs.items()}
    decided = {name: classify(values) for name, values in answers.items()}
    return Inference(
        deployment.target,
        netlist.name,
        samples,
        netlist.timesteps,
        answers,
        {name: c.labels for name, c in decided.items()},
        {name: c.tied for name, c in decided.items()},
        labels,
        spikes,
        {n: samples * netlist.timesteps * netlist.by_name[n].size for n in spikes},
        frozenset(p.name for p in netlist.populations if isinstance(p.model, Input)),
        _joined(parts),
    )


def _share(progress: Progress | None, first: int, n: int, samples: int) -> Progress | None:
    """Progress over all samples from that of one part."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(first + math.floor(n * done / max(total, 1)), samples)


def _narrowed(run: RunRecord, names: Iterable[str]) -> RunRecord:
    return RunRecord(run.timesteps, {name: narrow(run.spikes[name]) for name in names}, {})


def narrow(values: AnyArray) -> AnyArray:
    """The same integers in the narrowest signed type that holds them."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        info = np.iinfo(dtype)
        if info.min <= low and high <= info.max:
            return values.astype(dtype)
    return values


def _joined(parts: list[RunRecord]) -> dict[str, AnyArray]:
    names = parts[0].spikes if parts else ()
    return {name: np.concatenate([part.spikes[name] for part in parts]) for name in names}
