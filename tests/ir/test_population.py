"""What a population tells of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.errors import NetlistError
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Model
from neurodeploy.ir.population import Coding, Population

PAIRS = Window((4,), (2,), (2,), ((0, 0),), (1,))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Input("current", -3, 3), True),
        (Input("spikes", -3, 3), False),
        (IntegerNeuron(np.int64(1), np.int64(0), np.int64(0)), False),
        (MaxPool(2, PAIRS), False),
    ],
    ids=["current", "spikes", "neuron", "pool"],
)
def test_only_inputs_of_one_value_per_sample_are_current(model: Model, expected: bool) -> None:
    assert Population("p", (2, 2), model).is_current_input is expected


@pytest.mark.parametrize(
    ("coding", "gains", "times"),
    [("rate", (), 10), ("sum", (), 1), ("sum", (8, 4, 2), 8)],
    ids=["rate", "changes", "gained changes"],
)
def test_a_mean_tells_what_is_emitted(coding: Coding, gains: tuple[int, ...], times: int) -> None:
    model = IntegerNeuron(np.int64(1), np.int64(0), np.int64(0), firing_gain=gains)
    mean, unit = np.array([[0.5, -1.5], [3.0, 0.0]]), np.array([0.25, 2.0])
    known = Population("p", (2, 2), model, unit, coding=coding, mean=mean)
    found = known.expected_emissions(10)
    assert found is not None
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, times * np.array([[2.0, -6.0], [1.5, 0.0]]))
    for unknown in (replace(known, mean=None), replace(known, unit=None)):
        assert unknown.expected_emissions(10) is None


def test_the_limit_of_neurons_is_exact() -> None:
    sends = Input("spikes", 0, 1)
    assert Population("x", (2**31 - 1,), sends, np.int64(1)).size == 2**31 - 1
    with pytest.raises(NetlistError, match="at most 2147483647"):
        Population("x", (2**31,), sends, np.int64(1))
