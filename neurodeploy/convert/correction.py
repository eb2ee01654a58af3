"""Bias correction: what spikes get wrong on average, taken out of the biases, layer by layer.

A spike that was fired early cannot be taken back, so deep layers drift. In the order of the
netlist, each population runs on the spikes that the populations before it really emit (already
corrected), and the mean error of every channel moves into its bias:

    b_c <- b_c + mean(activation_c) - mean(rate_c)

References
----------
Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, section 4.1: light
calibration of biases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from neurodeploy.convert.layers import ActivationGraph, InputLayer, Layer
from neurodeploy.errors import ConversionError
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron
from neurodeploy.ir.record import Progress, RunRecord, Stimulus

Simulate = Callable[[RealNetlist, Stimulus], RunRecord]
"""Runs a real-valued netlist, recording all spikes and the membranes of outputs."""

RASTER_BUDGET = 48 * 2**20
"""Neuron-steps of the largest population that are held at a time."""
STEPS_AT_ONCE = 32 * 2**20
"""Neuron-steps of one run, which take 8 bytes and more each until they are narrowed."""
MIN_SAMPLES, MAX_SAMPLES = 16, 256


def n_correction_samples(netlist: RealNetlist) -> int:
    """How many samples the correction of a netlist looks at."""
    largest = max(p.size for p in netlist.populations) * netlist.timesteps
    return int(np.clip(RASTER_BUDGET // largest, MIN_SAMPLES, MAX_SAMPLES))


def correct_biases(
    netlist: RealNetlist,
    graph: ActivationGraph,
    samples: AnyArray,
    stimulus: Stimulus,
    simulate: Simulate,
    *,
    rounds: int,
    progress: Progress | None = None,
) -> RealNetlist:
    """Correct the biases of a feed-forward netlist.

    Parameters
    ----------
    netlist : RealNetlist
    graph : ActivationGraph
        That it was built from.
    samples : array ``[B, *shape]``
        Raw calibration samples.
    stimulus : mapping
        The same samples, encoded.
    simulate : callable
    rounds : int
        Corrections per population.

    Raises
    ------
    ConversionError
        For recurrence, or delays that do not align branches.
    """
    _expect_aligned(netlist)
    targets = _mean_activations(graph, samples)
    emitted: dict[str, AnyArray] = {name: np.asarray(v) for name, v in stimulus.items()}
    remaining = {p.name: len(netlist.outgoing[p.name]) for p in netlist.populations}
    corrected = dict(netlist.by_name)
    # Counts clip what is negative: their mean is not meant to be that of the source network.
    counted = {o.population for o in netlist.outputs if o.decode == "counts"}
    order = [n for n in netlist.schedule.order if not isinstance(corrected[n].model, Input)]
    for done, name in enumerate(order):
        incoming = netlist.incoming[name]
        sources = {q.pre: emitted[q.pre] for q in incoming}
        correctable = isinstance(corrected[name].model, RealNeuron) and name not in counted
        # A population without input has nothing that could drift.
        for _ in range(rounds if correctable and sources else 0):
            run = _run_alone(netlist, corrected[name], incoming, sources, simulate)
            error = targets[name] - _mean_rates(corrected[name], run)
            corrected[name] = _shifted(corrected[name], error)
        if remaining[name]:
            run = _run_alone(netlist, corrected[name], incoming, sources, simulate)
            emitted[name] = run.spikes[name]
        for projection in incoming:
            remaining[projection.pre] -= 1
            if not remaining[projection.pre]:
                emitted.pop(projection.pre)
        if progress is not None:
            progress(done + 1, len(order))
    return replace(netlist, populations=tuple(corrected[p.name] for p in netlist.populations))


def _expect_aligned(netlist: RealNetlist) -> None:
    depth = netlist.schedule.depth
    late = [
        q.label
        for q, delay in zip(netlist.projections, netlist.schedule.delays, strict=True)
        if delay != depth[q.post] - depth[q.pre]
    ]
    if late:
        raise ConversionError(
            f"{late[0]}: bias correction runs populations one by one, which needs a feed-forward "
            "netlist with aligned delays; set bias_correction to 0"
        )


def _run_alone(
    netlist: RealNetlist,
    population: Population,
    incoming: tuple[RealProjection, ...],
    sources: Mapping[str, AnyArray],
    simulate: Simulate,
) -> RunRecord:
    """Run one population on recorded spikes; windows are aligned, so delays are all 1.

    Returns its spikes in few bits and, of an integrator, the last membrane alone.
    """
    inputs = []
    for name, values in sources.items():
        source = netlist.by_name[name]
        current = isinstance(source.model, Input) and source.model.kind == "current"
        low, high = min(int(values.min()), 0), max(int(values.max()), 1)
        inputs.append(
            Population(name, source.shape, Input("current" if current else "spikes", low, high))
        )
    outputs = tuple(o for o in netlist.outputs if o.population == population.name)
    alone = RealNetlist(
        population.name,
        (*inputs, population),
        tuple(replace(q, delay=None) for q in incoming),
        outputs,
        netlist.timesteps,
    )
    samples = len(next(iter(sources.values())))
    width = max(1, STEPS_AT_ONCE // (netlist.timesteps * max(p.size for p in alone.populations)))
    spikes, membranes = [], []
    for first in range(0, samples, width):
        part = {n: v[first : first + width].astype(np.int64) for n, v in sources.items()}
        run = simulate(alone, part)
        if population.name in run.spikes:
            spikes.append(_narrow(run.spikes[population.name], population.name))
        if population.name in run.membranes:
            membranes.append(run.membranes[population.name][:, -1:])
    return RunRecord(
        netlist.timesteps,
        {population.name: np.concatenate(spikes)} if spikes else {},
        {population.name: np.concatenate(membranes)} if membranes else {},
    )


def _mean_rates(population: Population, run: RunRecord) -> FloatArray:
    """Mean coded value of every channel, ``[C]``, in the units of the source network."""
    model = population.model
    assert isinstance(model, RealNeuron)
    assert population.unit is not None
    unit = np.broadcast_to(population.unit, population.shape[:1])
    if model.fires:
        total = run.spikes[population.name].sum(axis=1)
    else:
        total = run.membranes[population.name][:, -1] - population.spread(model.initial_membrane)
    mean = _by_channel(total) / run.timesteps
    return np.asarray(mean * unit)


def _by_channel(values: AnyArray) -> FloatArray:
    return np.asarray(values.reshape(values.shape[0], values.shape[1], -1).mean(axis=(0, 2)))


def _shifted(population: Population, error: FloatArray) -> Population:
    model = population.model
    assert isinstance(model, RealNeuron)
    bias = model.bias + (error if model.bias.ndim <= 1 else _spread(error, population))
    return replace(population, model=replace(model, bias=bias))


def _spread(error: FloatArray, population: Population) -> FloatArray:
    return error.reshape(-1, *(1,) * (len(population.shape) - 1))


def _mean_activations(graph: ActivationGraph, samples: AnyArray) -> dict[str, FloatArray]:
    means: dict[str, FloatArray] = {}

    def visit(layer: Layer, value: AnyArray) -> None:
        means[layer.name] = _by_channel(value.astype(np.float64))

    (given,) = (layer.name for layer in graph.layers if isinstance(layer, InputLayer))
    graph.evaluate({given: samples}, visit)
    return means


def _narrow(raster: AnyArray, where: str) -> AnyArray:
    low, high = raster.min(initial=0), raster.max(initial=0)
    narrow = raster.astype(np.int8 if low >= -128 and high < 128 else np.int64)
    if raster.dtype.kind == "f" and (narrow != raster).any():
        raise ConversionError(
            f"{where}: pools fractions of spikes, which bias correction cannot replay; set "
            "bias_correction to 0"
        )
    return narrow
