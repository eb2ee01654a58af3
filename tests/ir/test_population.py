"""What a population tells of itself."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.ir.geometry import Window
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Model
from neurodeploy.ir.population import Population

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
