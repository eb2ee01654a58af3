"""Calibration of weights: each row learns to read codes that err.

A neuron should hear ``w . x`` and hears ``w . s``, where s is what its sources really emitted.
Errors of s go along with s itself and with each other (neighbours clip together, what is silent
rounds to nothing), so that another row reads it better::

    w <- w + w E[(x - s) s^T] (E[s s^T] + d I)^-1

over calibration samples and positions, means taken out: biases have a correction of their own. The
damping d keeps weights where s says little, and rows that meet too few patches stay as they are. A
weight of 0 is no synapse, and stays 0.

References
----------
Li et al. 2021, "A free lunch from ANN" (SNN calibration), arXiv 2106.06984, calibrates weights by
gradient descent on the same error of a layer; this is its minimum, with damping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.conversion.calibration.refinement import HeardPopulation, Trial
from neurodeploy.conversion.lowering.pooling import picks_spikes
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import RealProjection
from neurodeploy.ir.neurons import RealNeuron
from neurodeploy.ir.patches import has_rows, least_squares, patches, row_groups

DAMPING = 0.2
"""Least d, in mean variances of s: with 0.02 rather than 0.2, VGG (signed-memory, T = 16) agrees
with its source on 96.8 rather than 98.1 % of 1000 training images that calibration did not see."""

PATCHES_PER_WEIGHT = 2
"""With fewer a row learns the samples by heart, as that of a matrix on few samples would."""


@dataclass(frozen=True, slots=True)
class WeightCorrection:
    """Rows of weights that expect what their sources get wrong."""

    def __call__(self, trial: Trial) -> Trial:
        """The trial with corrected weights; of what is no convolution or matrix, as they are."""
        # Least squares draw answers to their mean, each as far as it errs: classes would change.
        if not all(isinstance(p.model, RealNeuron) and p.model.fires for p in trial.populations):
            return trial
        learned: list[tuple[RealProjection, RealProjection]] = []

        def corrected(projection: RealProjection) -> RealProjection:
            source = trial.sources[projection.pre]
            for before, after in learned:
                # Siblings learn the same.
                if before.pre == projection.pre and before.connectivity == projection.connectivity:
                    return replace(projection, connectivity=after.connectivity)
            result = _corrected(projection, source, trial.timesteps)
            learned.append((projection, result))
            return result

        return replace(
            trial,
            projections={
                name: tuple(map(corrected, incoming))
                for name, incoming in trial.projections.items()
            },
        )


def _corrected(projection: RealProjection, source: HeardPopulation, T: int) -> RealProjection:
    connectivity = projection.connectivity
    # A current is what it codes; single spikes that are picked are to stay of one worth.
    if (
        not has_rows(connectivity)
        or source.population.is_current_input
        or picks_spikes(connectivity)
    ):
        return projection
    emitted, exact = source.emitted, source.exact(T)
    weight = connectivity.weight
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    for g, own in enumerate(row_groups(connectivity)):
        met = patches(connectivity, emitted, g)
        wanted = patches(connectivity, exact, g)
        rows[own] = _learned(rows[own], met, wanted)
    changed = connectivity.with_weight(rows.reshape(weight.shape))
    return replace(projection, connectivity=changed)


def _learned(rows: FloatArray, met: FloatArray, wanted: FloatArray) -> FloatArray:
    """Rows ``[N, K]`` that read ``met`` as they did ``wanted``, both ``[n, K]``."""
    if len(met) < PATCHES_PER_WEIGHT * met.shape[1]:
        return rows
    met = met - met.mean(axis=0)
    error = wanted - wanted.mean(axis=0) - met
    change = least_squares(met, (met.T @ error / len(met)) @ rows.T, DAMPING)
    return np.where(rows == 0, 0.0, rows + change)
