"""Weights that expect what the spikes of their sources get wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.conversion.calibration import weight_correction
from neurodeploy.conversion.calibration.refinement import HeardPopulation, Trial
from neurodeploy.conversion.calibration.weight_correction import DAMPING, WeightCorrection
from neurodeploy.conversion.methods.layerwise import LayerwiseMethod
from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.conversion.registry import METHODS
from neurodeploy.errors import UsageError
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import Population, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron

T = 8
THETA = np.array(0.5)
ZERO = np.zeros(())


def trial(connectivity: Connectivity, raster: Any, activations: Any, **changes: Any) -> Trial:
    """A population that hears one other, whose spikes are worth half a unit in T steps."""
    shape = activations.shape[1:]
    source = Population("pre", shape, RealNeuron(THETA, ZERO, ZERO), THETA)
    post = Population("post", connectivity.post_shape, RealNeuron(np.ones(()), ZERO, ZERO))
    return Trial(
        (changes.get("population", post),),
        {"post": (RealProjection("pre", "post", connectivity),)},
        {"post": np.zeros((len(raster), *connectivity.post_shape))},
        {"pre": HeardPopulation(changes.get("source", source), raster, activations)},
        T,
        lambda *_: pytest.fail("nothing needs to run"),
    )


def weights(refined: Trial) -> Any:
    (projection,) = refined.projections["post"]
    return projection.connectivity.weight


def codes(n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Any, Any]:
    """Rasters, and activations that they code with errors which go along with them."""
    random = np.random.default_rng(seed)
    shared = random.random((n, 1, *(1,) * len(shape)))
    raster = (random.random((n, T, *shape)) < shared).astype(np.int8)
    total = raster.sum(axis=1)
    return raster, (total + 0.1 * total**2 / T + random.normal(0, 0.3, total.shape)) * THETA / T


def test_a_source_that_says_half_of_what_it_means() -> None:
    """One input: E[(x - s) s] / (E[s s] + d) is 1 / (1 + 0.2) where x is twice s."""
    raster, _ = codes(200, (1,))
    activations = 2 * raster.sum(axis=1) * THETA / T
    found = weights(WeightCorrection()(trial(Dense(np.array([[3.0]]), (1,)), raster, activations)))
    assert found == pytest.approx(3 * (1 + 1 / (1 + DAMPING)))


def test_codes_without_errors_leave_weights_alone() -> None:
    raster, _ = codes(200, (6,))
    weight = np.random.default_rng(1).normal(size=(4, 6))
    exact = raster.sum(axis=1) * THETA / T
    found = weights(WeightCorrection()(trial(Dense(weight, (6,)), raster, exact)))
    assert np.allclose(found, weight, atol=1e-12)


WINDOW = Window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))


@pytest.mark.parametrize("groups", [0, 1, 2])
def test_other_samples_are_read_better(groups: int) -> None:
    """Groups 0: a matrix."""
    random = np.random.default_rng(2)
    connectivity: Connectivity = Dense(random.normal(size=(5, 8)), (8,))
    if groups:
        connectivity = Conv(random.normal(size=(4, 4 // groups, 3, 3)), 4, WINDOW, groups)
    shape = connectivity.pre_shape
    raster, activations = codes(100, shape)
    refined = WeightCorrection()(trial(connectivity, raster, activations))
    other, meant = codes(100, shape, seed=5)
    emitted, exact = other.sum(axis=1).astype(np.float64), meant / THETA * T

    def error(version: Any) -> float:
        lost = version.apply(emitted) - connectivity.apply(exact)
        return float(lost.var(axis=0).sum())

    assert error(refined.projections["post"][0].connectivity) < 0.9 * error(connectivity)


def test_groups_learn_on_their_own() -> None:
    raster, activations = codes(30, (4, 6, 6))
    weight = np.random.default_rng(3).normal(size=(6, 2, 3, 3))
    found = weights(WeightCorrection()(trial(Conv(weight, 4, WINDOW, 2), raster, activations)))
    for g in (0, 1):
        rows, own = slice(3 * g, 3 * g + 3), slice(2 * g, 2 * g + 2)
        alone = trial(Conv(weight[rows], 2, WINDOW), raster[:, :, own], activations[:, own])
        assert np.allclose(weights(WeightCorrection()(alone)), found[rows])


def test_pruned_weights_stay_so() -> None:
    raster, activations = codes(100, (12,))
    random = np.random.default_rng(4)
    weight = np.where(random.random((7, 12)) < 0.5, 0.0, random.normal(size=(7, 12)))
    found = weights(WeightCorrection()(trial(Dense(weight, (12,)), raster, activations)))
    assert ((found == 0) == (weight == 0)).all()
    assert (found != weight).any()


def test_what_it_leaves_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    raster, activations = codes(23, (12,))
    dense = Dense(np.random.default_rng(6).normal(size=(3, 12)), (12,))
    few = trial(dense, raster, activations)
    assert WeightCorrection()(few) == few  # 23 patches of 12 weights
    monkeypatch.setattr(weight_correction, "PATCHES_PER_WEIGHT", 1)
    assert (weights(WeightCorrection()(few)) != dense.weight).all()
    index = np.arange(12)
    listed = Sparse(np.ones(12), index, index, (12,), (12,))
    answer = Population("post", (3,), RealNeuron(None, ZERO, ZERO, reset="none"), np.ones(()))
    current = Population("pre", (12,), Input("current", 0, 8), THETA)
    for same in (
        trial(listed, raster, activations),
        trial(dense, raster, activations, population=answer),
        trial(dense, raster[:, 0], activations, source=current),
        trial(dense, 0 * raster, activations),
    ):
        assert (weights(WeightCorrection()(same)) == weights(same)).all()


def test_it_comes_before_what_depends_on_it() -> None:
    first, *_, last = METHODS.get("calibrated")().refinements
    assert first == WeightCorrection()
    assert type(last).__name__ == "BiasCorrection"
    assert WeightCorrection() not in RateCoding().refinements
    with pytest.raises(UsageError, match="that biases take back, but bias correction is 0"):
        replace(LayerwiseMethod(), weight_correction=True, bias_correction=0)
