"""The metrics of NeuroBench 2, counted on a netlist.

As NeuroBench 2.3 counts them on a module, with the terms of a netlist:

- Footprint: bytes of weights, biases, thresholds and decays, zeros included. Weights have their
  width, all other numbers four bytes; a value that neurons share is stored once. The states of
  neurons are told apart, as the package counts none before a module has run.
- Connection sparsity: weights that are 0 over weights, as they are stored (a kernel once).
- Activation sparsity: neuron-steps without a spike over neuron-steps, of all neurons that can fire.
- Effective synaptic operations per sample: a weight other than 0 that meets an emission other than
  0 is one operation, in every step. It is an accumulation (AC) where the source emits nothing but
  -1, 0 and 1, and a multiply-accumulate (MAC) where it may emit anything else; a constant current
  is an emission in every step. The package looks at the values of a batch instead, so that graded
  spikes that happen to be 1 are accumulations there. Dense: the same, as if nothing were 0.
- Membrane updates per sample: all neurons in the first step, and in the others those whose
  membrane is not what it was after the step before.

Pooling is none of these, as in the package, which counts linear layers and convolutions.

References
----------
Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and
systems", Nature Communications 16, doi 10.1038/s41467-025-56739-4, section "Correctness and
complexity metrics"; package neurobench 2.3.0, neurobench.metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from neurodeploy.execution.batches import EncodedInput, raster_bytes, run_batched
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist, Population, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, Neuron
from neurodeploy.ir.projection import IntegerProjection, Projection
from neurodeploy.ir.record import Progress
from neurodeploy.json_values import Result
from neurodeploy.verification.executors import fastest_executor

Netlist = IntegerNetlist | RealNetlist

NUMBER_BYTES = 4
"""Of everything but the weights of integer netlists."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Whole numbers over all samples, which add up whatever parts they come in.

    Parameters
    ----------
    samples : int
    neuron_steps, spikes : int
        Of neurons that can fire.
    macs, acs, dense : int
        Synaptic operations.
    updates : int
        Of membranes.
    """

    samples: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    macs: int = 0
    acs: int = 0
    dense: int = 0
    updates: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Metrics(Result):
    """Metrics of NeuroBench; see :mod:`neurodeploy.verification.neurobench`.

    Parameters
    ----------
    footprint : float
        Bytes.
    state_bytes : int
        Of membranes and synaptic currents, not in the footprint.
    connection_sparsity, activation_sparsity : float or None
        Shares; None where there is no weight, or no neuron that can fire.
    effective_macs, effective_acs, dense_operations, membrane_updates : float
        Per sample.
    """

    footprint: float
    state_bytes: int
    connection_sparsity: float | None
    activation_sparsity: float | None
    effective_macs: float
    effective_acs: float
    dense_operations: float
    membrane_updates: float


def count(
    netlist: Netlist,
    stimulus: Mapping[str, EncodedInput],
    *,
    progress: Progress | None = None,
) -> Counts:
    """Count what happens in a run of all samples, batch by batch."""
    execute = fastest_executor(netlist)
    watched = [p.name for p in netlist.populations if isinstance(p.model, Neuron)]
    projections = _synaptic(netlist)
    binary = {p.name: _is_binary(netlist, p) for p in netlist.populations}
    total = Counts()
    # Spikes, membranes, and as much again while they are compared.
    for batch in run_batched(stimulus, 3 * raster_bytes(netlist), progress=progress):
        run = execute(batch.stimulus, watched)
        emitted = {
            name: np.count_nonzero(spikes, axis=(0, 1)).astype(np.int64)
            for name, spikes in run.spikes.items()
        }
        samples = batch.samples.stop - batch.samples.start
        operations = {True: 0, False: 0}
        dense = 0
        for projection in projections:
            connectivity = projection.connectivity
            weights = (connectivity.weight != 0).astype(np.int64)
            met = connectivity.with_weight(weights).apply(emitted[projection.pre][None])
            operations[binary[projection.pre]] += int(met.sum())
            dense += samples * run.timesteps * connectivity.n_synapses
        firing = [p for p in netlist.populations if _fires(p)]
        total += Counts(
            samples,
            samples * run.timesteps * sum(p.size for p in firing),
            sum(int(emitted[p.name].sum()) for p in firing),
            operations[False],
            operations[True],
            dense,
            sum(_updates(run.membranes[name]) for name in watched),
        )
    return total


def metrics_of(netlist: Netlist, counts: Counts) -> Metrics:
    """The metrics of a netlist of which that was counted."""
    weights = [q.connectivity.weight for q in _synaptic(netlist)]
    stored = sum(w.size for w in weights)
    zeros = sum(w.size - np.count_nonzero(w) for w in weights)
    silent = counts.neuron_steps - counts.spikes
    return Metrics(
        footprint(netlist),
        sum(_states(p) for p in netlist.populations) * NUMBER_BYTES,
        zeros / stored if stored else None,
        silent / counts.neuron_steps if counts.neuron_steps else None,
        counts.macs / counts.samples,
        counts.acs / counts.samples,
        counts.dense / counts.samples,
        counts.updates / counts.samples,
    )


def footprint(netlist: Netlist) -> float:
    """Bytes of all numbers that tell a netlist from others of its structure."""
    bits = 0
    for q in _synaptic(netlist):
        width = q.weight_bits if isinstance(q, IntegerProjection) else 8 * NUMBER_BYTES
        bits += q.connectivity.n_parameters * width
    numbers = sum(_stored(p.model) for p in netlist.populations if isinstance(p.model, Neuron))
    return bits / 8 + numbers * NUMBER_BYTES


def _stored(neuron: Neuron) -> int:
    """Numbers of a neuron beside its weights: thresholds, biases, decays, those that it has."""
    given: list[Any] = [neuron.threshold, neuron.negative_threshold]
    given += [neuron.reset_value, neuron.floor]
    given += [v for v in (neuron.bias, neuron.initial_membrane) if np.any(v)]
    # Without a decay the membrane keeps everything, and the current nothing.
    if _decays(neuron, "membrane_decay", 0):
        given.append(_decay(neuron, "membrane_decay"))
    if _decays(neuron, "current_decay", neuron.whole_decay):
        given.append(_decay(neuron, "current_decay"))
    return sum(np.asarray(value).size for value in given if value is not None)


def _decays(neuron: Neuron, name: str, nothing: float) -> bool:
    """Whether a decay is another number than the one that stands for its absence."""
    return bool(np.any(_decay(neuron, name) != nothing))


def _decay(neuron: Neuron, name: str) -> AnyArray:
    return np.asarray(getattr(neuron, name))


def _states(population: Population) -> int:
    """Membranes and synaptic currents of a population, which outlast a step."""
    if not isinstance(population.model, Neuron):
        return 0
    model = population.model
    return population.size * (1 + _decays(model, "current_decay", model.whole_decay))


def _synaptic(netlist: Netlist) -> list[Projection]:
    """Projections that are linear layers or convolutions: all but those of pooling."""
    return [
        q
        for q in netlist.projections
        if q.connectivity.kind != "sumpool"
        and not isinstance(netlist.by_name[q.post].model, MaxPool)
    ]


def _fires(population: Population) -> bool:
    return isinstance(population.model, Neuron) and not population.is_integrator


def _is_binary(netlist: Netlist, population: Population) -> bool:
    """Whether a population emits nothing but -1, 0 and 1."""
    model = population.model
    if isinstance(model, Input):
        return model.kind == "spikes" and model.low >= -1 and model.high <= 1
    if isinstance(model, Neuron):
        return model.payload_max == 1
    # The largest of what arrives: as large as that is.
    into = [q for q in netlist.projections if q.post == population.name]
    return all(
        _is_binary(netlist, netlist.by_name[q.pre])
        and bool((abs(q.connectivity.weight) == 1).all())
        for q in into
    )


def _updates(membrane: AnyArray) -> int:
    """Of membranes ``[B, T, *shape]`` after each step."""
    changed = np.count_nonzero(membrane[:, 1:] != membrane[:, :-1])
    return int(membrane[:, 0].size + changed)
