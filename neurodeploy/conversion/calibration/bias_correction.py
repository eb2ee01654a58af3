"""Calibration of biases and initial membranes by the mean error of each channel.

A spike that was fired early cannot be taken back, so deep layers drift. The mean error of every
channel moves into its bias, or into its initial membrane, where it acts once::

    b_c  <- b_c  + mean(activation_c) - mean(coded_c)
    v0_c <- v0_c + T (mean(activation_c) - mean(coded_c))

References
----------
Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, section 4.1: light
calibration of biases; section 4.2: of initial membranes (by neuron there, by channel here).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.conversion.calibration.refinement import Trial, by_channel
from neurodeploy.ir.arrays import AnyArray, FloatArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import RealNeuron


@dataclass(frozen=True, slots=True)
class BiasCorrection:
    """The mean error of each channel moves into its bias, ``rounds`` times."""

    rounds: int = 1

    def __call__(self, trial: Trial) -> Trial:
        """The trial of the populations with corrected biases."""
        populations = trial.populations
        for _ in range(self.rounds):
            coded = trial.run(populations)
            populations = tuple(
                _bias_shifted(p, _mean_error(trial, coded, p.name)) for p in populations
            )
        return replace(trial, populations=populations)


@dataclass(frozen=True, slots=True)
class MembraneCorrection:
    """The mean error of each channel moves into its initial membrane, ``rounds`` times."""

    rounds: int = 1

    def __call__(self, trial: Trial) -> Trial:
        """The trial with corrected initial membranes; integrators stay as they are."""
        populations = trial.populations
        # What an integrator starts from is taken off again when it is read.
        if not all(isinstance(p.model, RealNeuron) and p.model.fires for p in populations):
            return trial
        for _ in range(self.rounds):
            coded = trial.run(populations)
            populations = tuple(
                _shifted(
                    p,
                    "initial_membrane",
                    _mean_error(trial, coded, p.name)
                    * (_per_value(p) * p.divisor(trial.timesteps)),
                )
                for p in populations
            )
        return replace(trial, populations=populations)


def _mean_error(trial: Trial, coded: Mapping[str, AnyArray], name: str) -> FloatArray:
    return by_channel(trial.activations[name]) - by_channel(coded[name])


def _bias_shifted(population: Population, error: FloatArray) -> Population:
    """The population whose bias makes up for a mean error of what it codes, ``[C]``."""
    # Where changes are coded, a bias acts once: it sits in the initial membrane.
    field = "bias" if population.coding == "rate" else "initial_membrane"
    assert isinstance(population.model, RealNeuron)
    times = _per_value(population)
    if field == "bias":
        gains = population.model.input_gain
        times = times * (len(gains) / sum(gains) if gains else 1.0)
    else:
        times = times * population.divisor(1)
    return _shifted(population, field, error * times)


def _per_value(population: Population) -> FloatArray:
    """Gain of the membrane over a whole run for each unit of the coded value: ``[]`` or ``[C]``.

    1 where a spike is worth its threshold; a code of phases counts half of its steps alone.
    """
    model = population.model
    assert isinstance(model, RealNeuron)
    assert population.unit is not None
    charge = np.ones(()) if model.threshold is None else model.threshold
    return np.asarray(charge / population.unit)


def _shifted(population: Population, field: str, by: FloatArray) -> Population:
    model = population.model
    assert isinstance(model, RealNeuron)
    value: AnyArray = getattr(model, field)
    spread = by if value.ndim <= 1 else by.reshape(-1, *(1,) * (len(population.shape) - 1))
    change: dict[str, Any] = {field: np.asarray(value + spread)}
    return replace(population, model=replace(model, **change))
