"""Statistics of one layer, gathered batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.diagnosis.code import most_emitted
from neurodeploy.diagnosis.split import CAUSES, NEW, ErrorParts, Version
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import Neuron
from neurodeploy.json_values import Result
from neurodeploy.verification.agreement import Correlation, rate_unit

SHOWN_PAIRS = 20_000
"""Pairs of activation and coded value that a layer keeps to be drawn."""


@dataclass(frozen=True, slots=True)
class LayerDiagnosis(Result):
    """One population beside the activations that it codes.

    Shares of an error are root mean squares over all neurons and samples, divided by the root mean
    square of the activations; None where all of those are 0. Parts do not add up to the whole as
    shares, only elementwise.

    Parameters
    ----------
    name : str
        Population.
    source : str or None
        Node of the source network; None for what conversion put between two of them.
    neurons : int
    correlation : float or None
        Pearson's, of coded values with activations; None where either is constant.
    relative_rms : float or None
        Share of the whole error.
    silent : float or None
        Share of neurons that emit nothing on any sample; None where the population does not fire.
    silenced : float or None
        Share of neurons that are silent though their activation is worth a spike at least once.
    saturated : float or None
        Share of neurons that emit all they can, averaged over the samples.
    errors : mapping
        Cause -> share. ``weight_bits`` is None without an integer netlist.
    new : mapping
        Cause that lies in the layer itself -> share.
    lost : float or None
        Share of what the layer adds to the errors that reach it.
    activations, coded : array ``[n]``
        Some of the pairs, to be drawn.
    """

    name: str
    source: str | None
    neurons: int
    correlation: float | None
    relative_rms: float | None
    silent: float | None
    silenced: float | None
    saturated: float | None
    errors: Mapping[str, float | None]
    new: Mapping[str, float | None]
    lost: float | None
    activations: AnyArray = field(repr=False, compare=False)
    coded: AnyArray = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {key: value for key, value in Result.to_dict(self).items() if key != "new"}


class LayerTotals:
    """Sums of one layer over the batches so far.

    Parameters
    ----------
    population : Population
        Of the netlist that is diagnosed.
    timesteps : int
    samples : int
        Of all batches.
    """

    def __init__(self, population: Population, timesteps: int, samples: int) -> None:
        self.population = population
        self.timesteps = timesteps
        self._pairs_per_sample = SHOWN_PAIRS / samples
        self._squares: dict[str, float] = {}
        self._correlation = Correlation()
        self._emitted = np.zeros(population.shape, dtype=np.int64)
        self._wanted = np.zeros(population.shape, dtype=bool)
        self._full = 0
        self._samples = 0
        self._pairs: list[tuple[AnyArray, AnyArray]] = []

    def add(self, x: AnyArray, last: Version, parts: ErrorParts, emitted: AnyArray | None) -> None:
        """Join one batch.

        Parameters
        ----------
        x : array ``[B, *shape]``
            Activations.
        last : Version
            Of the netlist that is diagnosed.
        parts : ErrorParts
        emitted : array ``[*shape]`` or None
            Spikes of every neuron over the batch; None for an integrator.
        """
        coded = last.coded
        self._square("x", x)
        self._square("total", coded - x)
        self._square("lost", parts.new)
        for cause, values in parts.parts.items():
            self._square(cause, values)
        if parts.own_weight_bits is not None:
            self._square("own_weight_bits", parts.own_weight_bits)
        self._correlation.add(coded, x)
        self._samples += len(x)
        pairs = min(x.size, int(np.ceil(len(x) * self._pairs_per_sample)))
        pick = np.random.default_rng(self._samples).choice(x.size, pairs, replace=False)
        self._pairs.append((x.reshape(-1)[pick], coded.reshape(-1)[pick]))
        if emitted is not None:
            one = rate_unit(self.population, self.timesteps)
            self._emitted += emitted
            self._wanted |= (np.abs(x) >= one).any(axis=0)
            model = self.population.model
            if isinstance(model, Neuron):
                most = one * most_emitted(model, self.timesteps)
                # Half a payload below: the largest sum is a whole number of them.
                self._full += int((np.abs(coded) > most - one / 2).sum())

    def _square(self, what: str, values: AnyArray) -> None:
        total = float(np.square(values, dtype=np.float64).sum())
        self._squares[what] = self._squares.get(what, 0.0) + total

    def result(self) -> LayerDiagnosis:
        """The figures of all batches."""
        population = self.population
        fires = isinstance(population.model, Neuron) and population.model.fires
        silent = self._emitted == 0
        values = self._samples * population.size
        activations = np.concatenate([x for x, _ in self._pairs])
        coded = np.concatenate([c for _, c in self._pairs])
        return LayerDiagnosis(
            population.name,
            population.source,
            population.size,
            self._correlation.value,
            self._share("total"),
            float(silent.mean()) if fires else None,
            float((silent & self._wanted).mean()) if fires else None,
            self._full / values if fires else None,
            {cause: self._share(cause) for cause in CAUSES},
            {cause: self._share(cause) for cause in NEW},
            self._share("lost"),
            activations,
            coded,
        )

    def _share(self, what: str) -> float | None:
        if what not in self._squares or not self._squares["x"]:
            return None
        return math.sqrt(self._squares[what] / self._squares["x"])
