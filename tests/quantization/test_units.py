"""What integers stand for: decays that must not vanish, and counts of one worth."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from neurodeploy.errors import NeurodeployWarning
from neurodeploy.ir.connectivity import Dense
from neurodeploy.quantization.integers import Quantization
from neurodeploy.quantization.report import decibels
from neurodeploy.quantization.scaling import TARGET_THRESHOLD
from tests.quantization.netlists import feed_forward, neuron


@pytest.mark.parametrize(
    ("decay", "value", "whole"), [("membrane_decay", 0.0001, 0), ("current_decay", 0.99995, 4096)]
)
def test_a_decay_that_vanishes_is_told(decay: str, value: float, whole: int) -> None:
    def network(amount: object):
        model = neuron(2.0, **{decay: amount})
        return feed_forward(("f", (3,), model, {"x": Dense(np.ones((3, 6)), (6,))}))

    with pytest.warns(NeurodeployWarning, match=f"f: {decay}: 1 of 1 become 0 or 1 in steps of"):
        integer, _ = Quantization(8)(network(value))
    assert getattr(integer.by_name["f"].model, decay) == whole
    with pytest.warns(NeurodeployWarning, match=f"f: {decay} .* moves a time constant by 2"):
        Quantization(8)(network(0.0003 if whole == 0 else 0.9997))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        integer, _ = Quantization(8)(network(np.array([0.25, 0.5, 0.125])))
    assert getattr(integer.by_name["f"].model, decay).tolist() == [1024, 2048, 512]


def test_what_natively_trained_neurons_have_is_carried() -> None:
    """Thresholds are exceeded from the next whole unit on; floor and reset keep their place."""
    native = {"strict": True, "reset": "value", "reset_value": 0.5, "floor": -1.0, "refractory": 3}
    real = feed_forward(("f", (3,), neuron(2.0, **native), {"x": Dense(np.ones((3, 6)), (6,))}))
    integer, _ = Quantization(8)(real)
    model = integer.by_name["f"].model
    whole = model.threshold.reshape(-1)[0] - 1
    assert whole >= TARGET_THRESHOLD
    assert (4 * model.reset_value == whole).all()
    assert (-2 * model.floor == whole).all()
    assert (model.reset, model.refractory) == ("value", 3)


def test_counts_of_all_classes_are_worth_the_same() -> None:
    """Thresholds differ by channel in integers and stand for one value of the source network."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 6)) * np.array([[0.01], [1.0], [30.0], [0.3]])
    theta = np.array(5.0)
    real = feed_forward(("out", (4,), neuron(theta), {"x": Dense(weight, (6,))}))
    integer, _ = Quantization(8)(real)
    (projection,), population = integer.projections, integer.by_name["out"]
    threshold = population.model.threshold
    assert len(set(threshold.tolist())) > 1
    step = np.exp2(np.broadcast_to(projection.exponent, (4,))) * theta / threshold
    np.testing.assert_allclose(
        projection.connectivity.weight * step[:, None],
        weight,
        atol=np.abs(weight).max(1).max() / 120,
    )
    assert population.unit == theta


def _alone(theta: float | None, bias: float, steps: int = 16, **rest):
    """One neuron that nothing arrives at, quantized to 8 bits."""
    real = feed_forward(
        ("b", (1,), neuron(theta, bias, 0.0, **rest), {}),
        ("out", (3,), neuron(2.0), {"x": Dense(np.ones((3, 6)), (6,))}),
        timesteps=steps,
    )
    return Quantization(8)(real)[0].by_name["b"].model


def test_without_weights_the_threshold_sets_the_unit() -> None:
    # As if its largest weight were a threshold: 512 units, not the 2^20 that the state would hold.
    for theta in (0.003, 1.0, 700.0):
        model = _alone(theta, theta * 0.1)
        assert model.threshold.item() == TARGET_THRESHOLD
        assert model.bias.item() == round(TARGET_THRESHOLD * 0.1)


def test_without_weights_a_large_bias_sets_the_unit() -> None:
    # What the bias adds up to takes the bits that quantization leaves it, not all of the state.
    for bias in (3e4, 1e6, -5e8):
        model = _alone(1.0, bias)
        assert 2**20 <= 16 * abs(model.bias.item()) <= 2**21


@pytest.mark.parametrize("depth", [3e4, 1e6, 5e8])
def test_without_weights_a_deep_floor_or_reset_sets_the_unit(depth: float) -> None:
    low = np.asarray(-depth)
    floored = _alone(1.0, 0.0, floor=low)
    reset = _alone(1.0, 0.0, reset="value", reset_value=low)
    for value in (floored.floor, reset.reset_value):
        assert 2**20 <= -value.item() <= 2**21


def test_a_channel_without_weights_has_a_threshold_like_the_others() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 6))
    weight[1] = 0.0
    real = feed_forward(("f", (4,), neuron(2.0, 0.1), {"x": Dense(weight, (6,))}))
    threshold = Quantization(8)(real)[0].by_name["f"].model.threshold
    assert (threshold >= TARGET_THRESHOLD).all()
    assert threshold[1] <= 2 * max(threshold[[0, 2, 3]])


def test_ratios_of_powers_are_numbers_that_files_hold() -> None:
    assert decibels(1000.0, 1.0) == pytest.approx(30)
    assert decibels(1.0, 100.0) == pytest.approx(-20)
    beyond = [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (math.inf, 1.0), (1e300, 1e-300), (1.0, math.inf)]
    assert [decibels(*powers) for powers in beyond] == [None] * len(beyond)
