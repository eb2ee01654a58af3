"""Power of rows whose networks are not published, each predicted from the other rows.

A model is a sum of features, each times a coefficient. The coefficients minimise the squared
relative error over the rows that they see::

    minimise over c    sum over rows of ((x . c) / power - 1)^2

and the row that is predicted is not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.energy_validation.points import Row, Survey
from neurodeploy.ir.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Predictions of one model, each by a fit that did not see its row."""

    model: str
    features: tuple[str, ...]
    predicted_w: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def mean_absolute_error(self) -> float:
        return float(np.mean(np.abs(self.errors)))


def features(row: Row, names: Sequence[str], survey: Survey, factor: float = 1.0) -> FloatArray:
    """Values of the features of a row.

    ``cores``; ``frames`` a second; ``events`` a second: a frame is one tick, in which every neuron
    of every core in use is updated, and its spikes and their synops are counted at the assumed
    rate times ``factor``.
    """
    updates = row.cores * survey.neurons_per_core * row.frames_per_s
    spikes = updates * min(1.0, survey.rate * factor)
    values = {
        "cores": float(row.cores),
        "frames": float(row.frames_per_s),
        "events": updates + spikes * (1 + survey.synapses_per_spike),
    }
    return np.array([values[name] for name in names])


def fit(x: FloatArray, power_w: FloatArray) -> FloatArray:
    """Coefficients of least relative squares for features ``[n, k]`` of n rows."""
    # Features of very different size are brought to one, so that none is lost in the rounding.
    scale = np.abs(x).max(axis=0)
    relative = x / scale / power_w[:, None]
    found, *_ = np.linalg.lstsq(relative, np.ones(len(power_w)), rcond=None)
    return np.asarray(found / scale)


def predict(
    seen: Sequence[Row], row: Row, names: Sequence[str], survey: Survey, factor: float
) -> float:
    """Power of ``row`` in W, from a fit to the rows ``seen``."""
    x = np.array([features(other, names, survey, factor) for other in seen])
    coefficients = fit(x, np.array([other.power_w for other in seen]))
    return float(features(row, names, survey, factor) @ coefficients)


def leave_one_out(survey: Survey, factor: float = 1.0) -> list[LeftOut]:
    """Every model on every row."""
    results = []
    for model, names in survey.models.items():
        found = []
        for k, row in enumerate(survey.rows):
            others = [*survey.rows[:k], *survey.rows[k + 1 :]]
            found.append(predict(others, row, names, survey, factor))
        errors = tuple(p / r.power_w - 1 for p, r in zip(found, survey.rows, strict=True))
        results.append(LeftOut(model, names, tuple(found), errors))
    return results
