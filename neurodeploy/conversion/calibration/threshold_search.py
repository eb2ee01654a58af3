"""Thresholds chosen on the spikes that really arrive.

The thresholds of :mod:`neurodeploy.conversion.calibration.thresholds` are best for a constant
input. Spikes come unevenly; each channel tries shares of its threshold on the spikes that reach it,
and takes the one of least squared error against the activations of the source network. What one
spike is worth moves along, so the layers behind are rescaled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.conversion.calibration.bias_correction import BiasCorrection
from neurodeploy.conversion.calibration.refinement import Trial
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import Population
from neurodeploy.ir.neurons import RealNeuron

SHARES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)


@dataclass(frozen=True, slots=True)
class ThresholdSearch:
    """Least squared error among shares of the threshold, per channel, each bias-corrected."""

    shares: tuple[float, ...] = SHARES

    def __call__(self, trial: Trial) -> Trial:
        """The trial of the populations with the best threshold of each channel."""
        populations = trial.populations
        if not all(isinstance(p.model, RealNeuron) and p.model.fires for p in populations):
            return trial
        best: dict[str, FloatArray] = {p.name: np.ones(p.shape[0]) for p in populations}
        least: dict[str, FloatArray] = {p.name: np.full(p.shape[0], np.inf) for p in populations}
        correct = BiasCorrection(1)
        # Nearest to 1 first, which ties keep: a silent channel errs alike with every threshold.
        for share in sorted(self.shares, key=lambda s: abs(s - 1.0)):
            tried = tuple(scaled(p, np.full(p.shape[0], share)) for p in populations)
            version = correct(replace(trial, populations=tried))
            for name, coded in trial.run(version.populations).items():
                difference = coded - trial.activations[name]
                channels = least[name].size
                error = np.square(difference).reshape(len(difference), channels, -1)
                found = error.mean(axis=(0, 2))
                better = found < least[name]
                best[name] = np.where(better, share, best[name])
                least[name] = np.where(better, found, least[name])
        return replace(trial, populations=tuple(scaled(p, best[p.name]) for p in populations))


def scaled(population: Population, factor: FloatArray) -> Population:
    """The population with thresholds, initial membranes and unit times ``factor`` ``[C]``."""
    model = population.model
    assert isinstance(model, RealNeuron)
    assert model.threshold is not None
    assert population.unit is not None

    def times(value: FloatArray) -> FloatArray:
        wide = value.ndim == len(population.shape) > 1
        return np.asarray(
            value * (factor.reshape(-1, *(1,) * (len(population.shape) - 1)) if wide else factor)
        )

    negative = model.negative_threshold
    # Of a code of changes it holds the bias, which no threshold moves.
    start = model.initial_membrane
    neuron = replace(
        model,
        threshold=times(model.threshold),
        initial_membrane=times(start) if population.coding == "rate" else start,
        negative_threshold=None if negative is None else times(negative),
    )
    return replace(population, model=neuron, unit=times(population.unit))
