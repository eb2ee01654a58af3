"""Totals of a run, and the traces of its outputs: by the engine, else by the reference."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Protocol

import numpy as np

from neurodeploy.execution import has_engine, make_engine
from neurodeploy.execution.batches import raster_bytes, run_batched
from neurodeploy.execution.summary import Summary, join_summaries
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.decoding import output_trace
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Neuron
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference


def summarize(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Stimulus,
    *,
    rates: Collection[str] = (),
    progress: Progress | None = None,
) -> Summary:
    """Run all samples and keep totals; parameters as of ``Engine.summarize``.

    Without an engine the reference runs, which gives the same totals on integers; its real-valued
    runs are in double precision.
    """
    return summarizer(netlist)(stimulus, rates=rates, progress=progress)


class Summarize(Protocol):
    """Runs some samples; parameters as of ``Engine.summarize``."""

    def __call__(
        self,
        stimulus: Stimulus,
        *,
        rates: Collection[str] = (),
        progress: Progress | None = None,
    ) -> Summary: ...


def summarizer(netlist: IntegerNetlist | RealNetlist) -> Summarize:
    """Summarizer of a network's runs, for samples that come part by part."""
    if has_engine(netlist):
        return make_engine(netlist).summarize
    return partial(summarize_reference, netlist)


def run_integers(netlist: IntegerNetlist, stimulus: Stimulus) -> RunRecord:
    """All spikes of a run, by the engine, else by the reference."""
    if has_engine(netlist):
        return make_engine(netlist).run(stimulus)
    return run_reference(netlist, stimulus)


def summarize_reference(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Stimulus,
    *,
    rates: Collection[str] = (),
    progress: Progress | None = None,
) -> Summary:
    """Totals of the reference, batch by batch; nothing is summed neuron by neuron.

    Raises
    ------
    DataError
        If the stimulus does not fit.
    """
    watched = [n for n in rates if netlist.by_name[n].is_integrator]
    parts: list[Summary] = []
    for batch in run_batched(stimulus, raster_bytes(netlist), progress=progress):
        run = run_reference(netlist, batch.stimulus, membranes=watched)
        parts.append(_summary(netlist, run, rates))
    return join_summaries(parts)


def _summary(
    netlist: IntegerNetlist | RealNetlist, run: RunRecord, rates: Collection[str]
) -> Summary:
    emitting = [p.name for p in netlist.populations if not p.is_integrator]
    batch = len(next(iter(run.spikes.values())))
    per_sample: dict[str, IntArray] = {
        n: np.count_nonzero(run.spikes[n].reshape(batch, -1), axis=1).astype(np.int64)
        for n in emitting
    }
    return Summary(
        run.timesteps,
        batch,
        {o.population: output_trace(netlist, o, run) for o in netlist.outputs},
        {},
        per_sample,
        {},
        {n: _rate(netlist, run, n) for n in rates},
        {},
    )


def _rate(netlist: IntegerNetlist | RealNetlist, run: RunRecord, name: str) -> AnyArray:
    population = netlist.by_name[name]
    if not population.is_integrator:
        return population.summed(run.spikes[name])
    assert isinstance(population.model, Neuron)
    return np.asarray(run.membranes[name][:, -1] - population.origin)
