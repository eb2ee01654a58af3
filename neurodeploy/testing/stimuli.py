"""Random input for netlists, and thresholds that make every population spike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference

LEAST_RATE, MOST_RATE = 0.01, 0.60
"""Shares of the neuron-steps with a spike between which a population shows what it computes."""


class UntunableError(Exception):
    """No scale of the thresholds gives every population a sensible rate."""


def random_stimulus(
    inputs: Iterable[Population],
    timesteps: int,
    rng: np.random.Generator,
    *,
    samples: int = 3,
    rate: float = 0.3,
    zeros: float = 0.2,
) -> dict[str, IntArray]:
    """Currents and spikes over the whole declared range of every input.

    Parameters
    ----------
    inputs : iterable of Population
    timesteps : int
    rng : numpy Generator
    samples : int
    rate : float
        Share of the steps of an input neuron with a spike; payloads are never 0.
    zeros : float
        Share of the currents that are 0.

    Returns
    -------
    mapping of str to array
        Input -> int64 ``[samples, *shape]`` (current) or ``[samples, timesteps, *shape]`` (spikes).
    """
    drawn: dict[str, IntArray] = {}
    for population in inputs:
        model = population.model
        assert isinstance(model, Input)
        if model.kind == "current":
            shape = (samples, *population.shape)
            values = rng.integers(model.low, model.high + 1, shape)
            drawn[population.name] = np.where(rng.random(shape) < zeros, 0, values)
            continue
        shape = (samples, timesteps, *population.shape)
        # Of the numbers of the range, without 0 between them.
        payload = model.low + rng.integers(0, model.high - model.low, shape)
        payload += payload >= 0
        values = np.where(rng.random(shape) < rate, payload, 0)
        drawn[population.name] = values.astype(np.int64)
    return drawn


def computes_spikes(population: Population) -> bool:
    """Whether it is a population whose spikes follow from its input."""
    model = population.model
    return isinstance(model, MaxPool) or (isinstance(model, IntegerNeuron) and model.fires)


def rates(netlist: IntegerNetlist, run: RunRecord) -> dict[str, float]:
    """Share of the neuron-steps with a spike, for every population that computes its spikes."""
    return {
        p.name: float((run.spikes[p.name] != 0).mean())
        for p in netlist.populations
        if computes_spikes(p)
    }


def tuned(netlist: IntegerNetlist, stimulus: Stimulus, keep: Iterable[str] = ()) -> IntegerNetlist:
    """Scale thresholds until every population spikes in 3-50 % of its neuron-steps.

    Populations in ``keep`` are left alone. Deterministic: the result depends on the arguments only.

    Raises
    ------
    UntunableError
        If 60 steps of a factor 1.5 do not suffice.
    """
    fixed = set(keep)
    for _ in range(60):
        measured = rates(netlist, run_reference(netlist, stimulus))
        off = {
            n: (3, 2) if r > 0.5 else (2, 3)
            for n, r in measured.items()
            if n not in fixed
            and isinstance(netlist.by_name[n].model, IntegerNeuron)
            and not 0.03 <= r <= 0.5
        }
        if not off:
            return netlist
        # Later populations follow from earlier ones, so the first of a path is settled first.
        first = min(netlist.schedule.depth[n] for n in off)
        off = {n: f for n, f in off.items() if netlist.schedule.depth[n] == first}
        netlist = replace(
            netlist,
            populations=tuple(
                _scaled(p, *off[p.name]) if p.name in off else p for p in netlist.populations
            ),
        )
    raise UntunableError(f"{netlist.name}: no thresholds give sensible rates: {measured}")


def _scaled(population: Population, up: int, down: int) -> Population:
    model = population.model
    assert isinstance(model, IntegerNeuron)

    def scale(threshold: AnyArray | None) -> AnyArray | None:
        if threshold is None:
            return None
        return np.asarray(np.maximum(1, threshold * up // down + (1 if up > down else 0)))

    return replace(
        population,
        model=replace(
            model,
            threshold=scale(model.threshold),
            negative_threshold=scale(model.negative_threshold),
        ),
    )
