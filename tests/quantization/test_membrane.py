"""Thresholds, biases and membranes in whole units, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import QuantizationError
from neurodeploy.ir.bounds import PopulationBounds
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.neurons import IntegerNeuron, RealNeuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.siblings import Sibling
from neurodeploy.quantization.integers import Quantization
from neurodeploy.quantization.membrane import (
    SATURATION,
    in_units,
    least_threshold,
    on_grain,
    reach_of,
    smallest,
    whole_threshold,
    with_mantissa,
)
from neurodeploy.testing import parts
from tests.quantization.netlists import feed_forward, neuron

UNIT = np.array([0.5, 0.25])


def whole(shape: tuple[int, ...] = (2,), grain: int = 0, mantissa: int = 0, **fields: Any) -> Any:
    """The integer population of a real one with the units above."""
    given: dict[str, Any] = {"threshold": np.array(1.0), "initial_membrane": np.array(0.5)}
    model = RealNeuron(**{"bias": np.array(0.0), **given, **fields})
    return in_units(Population("p", shape, model, np.array(3.0)), UNIT, grain, mantissa)


@pytest.mark.parametrize(
    ("grain", "theta", "expected"),
    [
        (0, [-3, 0, 1, 2, 7], [1, 1, 1, 2, 7]),
        # 1 above a multiple of 4, the larger of two that are as near.
        (2, [0, 1, 2, 3, 4, 6, 7], [1, 1, 1, 5, 5, 5, 9]),
        (1, [1, 2, 3], [1, 3, 3]),
    ],
)
def test_thresholds_on_a_grain(grain: int, theta: list[int], expected: list[int]) -> None:
    assert on_grain(np.array(theta), grain).tolist() == expected


@pytest.mark.parametrize(
    ("bits", "bias", "expected"),
    [
        (3, [0, 1, -7, 8, 9, -11, 13, 15], [0, 1, -7, 8, 8, -12, 12, 14]),
        # A mantissa that rounds to the next power stays below it.
        (3, [31, -63], [28, -56]),
        (12, [4095, 4097, -4098], [4095, 4096, -4098]),
    ],
)
def test_biases_with_mantissas(bits: int, bias: list[int], expected: list[int]) -> None:
    assert with_mantissa(np.array(bias), bits).tolist() == expected


def test_every_quantity_counts_in_units_of_its_channel() -> None:
    made = whole(
        (2, 2),
        threshold=np.array([1.0, 2.0]),
        bias=np.array([[0.5, -1.0], [0.5, 0.3]]),
        initial_membrane=np.array(0.75),
        negative_threshold=np.array([0.1, 1.0]),
        payload_max=3,
    )
    model = made.model
    assert isinstance(model, IntegerNeuron)
    assert model.threshold.tolist() == [2, 8]
    assert model.bias.tolist() == [[1, -2], [2, 1]]
    # Half a unit goes to the even one.
    assert model.initial_membrane.tolist() == [2, 3]
    assert model.negative_threshold.tolist() == [1, 4]
    assert (model.payload_max, model.saturation, made.unit) == (3, None, 3.0)


def test_a_value_for_each_neuron_of_one_axis_is_no_channel() -> None:
    """Two neurons, each its own channel: the same either way."""
    model = whole(bias=np.array([1.0, 1.0])).model
    assert model.bias.tolist() == [2, 4]


def test_an_integrator_is_worth_its_units() -> None:
    made = whole(threshold=None, reset="none")
    assert made.model.threshold is None
    assert made.unit.tolist() == [1.5, 0.75]
    # Nothing saturates that is compared with nothing.
    assert whole(threshold=None, reset="none", grain=6).model.saturation is None


def test_a_grain_saturates() -> None:
    model = whole(grain=2, threshold=np.array(2.0)).model
    assert (model.saturation, model.threshold.tolist()) == (SATURATION, [5, 9])
    assert SATURATION == 8388607


@pytest.mark.parametrize(
    ("strict", "grain", "theta", "negative"),
    [(False, 0, [2, 4], [1, 2]), (True, 0, [3, 5], [2, 3]), (True, 2, [1, 5], [2, 3])],
)
def test_above_a_threshold_is_from_the_next_one_on(
    strict: bool, grain: int, theta: list[int], negative: list[int]
) -> None:
    model = whole(grain=grain, strict=strict, negative_threshold=np.array(0.5)).model
    assert model.threshold.tolist() == theta
    assert model.negative_threshold.tolist() == negative


def test_mantissas_are_of_biases_alone() -> None:
    model = whole(mantissa=2, bias=np.array([2.6, 2.6]), threshold=np.array(2.6)).model
    assert model.threshold.tolist() == [5, 10]
    assert model.bias.tolist() == [4, 8]


def test_decays_are_whole() -> None:
    model = whole(membrane_decay=0.25, current_decay=0.5).model
    assert (model.membrane_decay, model.current_decay) == (1024, 2048)
    own = whole(membrane_decay=np.array([0.25, 1.0])).model
    assert own.membrane_decay.tolist() == [1024, 4096]


def test_whole_thresholds_are_one_at_least() -> None:
    assert whole_threshold(np.array(0.6), UNIT).tolist() == [1, 2]
    assert whole_threshold(np.array([0.1, 1.7]), UNIT).tolist() == [1, 7]
    assert whole_threshold(np.array(1.5), UNIT, grain=2).tolist() == [5, 5]


def sibling(shape: tuple[int, ...] = (2,), **fields: Any) -> Sibling:
    return Sibling(Population("p", shape, neuron(**fields)), ())


def test_the_least_threshold_is_that_of_any_sibling() -> None:
    group = (sibling(threshold=[3.0, 1.0]), sibling(threshold=2.0), sibling(threshold=None))
    found = least_threshold(group)
    assert found is not None
    assert found.tolist() == [2.0, 1.0]
    assert least_threshold(group[2:]) is None
    assert smallest(np.array([[4.0, 3.0], [-5.0, 6.0]]), sibling((2, 2)).population).tolist() == [
        3.0,
        -5.0,
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"threshold": [3.0, 1.0]}, [3.0, 1.0]),
        ({"threshold": 3.0, "bias": [0.5, -0.1]}, [5.0, 3.0]),
        # Half of the membrane is gone in every step: two of them count.
        ({"threshold": 0.5, "bias": [0.5, -1.0], "membrane_decay": 0.5}, [1.0, 2.0]),
        ({"threshold": 0.5, "bias": [0.5, 1.0], "membrane_decay": 0.01}, [5.0, 10.0]),
        ({"threshold": 0.5, "bias": [1.0, 1.0], "membrane_decay": 0.4}, [3.0, 3.0]),
        ({"threshold": 0.5, "bias": 1.0, "input_gain": (4, 2, 0)}, [6.0, 6.0]),
        ({"threshold": [3.0, 1.0], "firing_gain": (1, 4, 2)}, [12.0, 4.0]),
        ({"threshold": 1.0, "floor": np.array([-4.0, -0.5])}, [4.0, 1.0]),
        (
            {"threshold": 1.0, "reset": "value", "reset_value": np.array([-2.0, 0.5])},
            [2.0, 1.0],
        ),
        ({"threshold": None, "bias": [[0.5, -2.0], [0.1, 0.2]]}, [20.0, 2.0]),
    ],
)
def test_what_a_membrane_has_to_reach(fields: dict[str, Any], expected: list[float]) -> None:
    shape = (2, 2) if np.ndim(fields.get("bias")) == 2 else (2,)
    np.testing.assert_allclose(reach_of(sibling(shape, **fields), 10), expected)


@pytest.mark.parametrize(
    ("state_bits", "timesteps", "left"), [(8, 16, 0), (16, 16, 1), (16, 64, 0), (16, 1024, 0)]
)
def test_bits_that_a_state_leaves_are_told_and_never_below_none(
    state_bits: int, timesteps: int, left: int
) -> None:
    sums = {"x": Dense(np.ones((2, 6)), (6,))}
    net = feed_forward(("out", (2,), neuron(None), sums), timesteps=timesteps, levels=255)
    told = f"against {state_bits} bits leaves {left} of 8 weight bits"
    with pytest.raises(QuantizationError, match=told):
        Quantization(8, state_bits=state_bits)(net)


@pytest.mark.parametrize(
    ("levels", "bits", "largest"), [("uniform", 8, 128), ("uniform", 2, 2), ("fitted", 4, 63)]
)
def test_the_largest_weight_of_a_width(levels: str, bits: int, largest: int) -> None:
    assert Quantization(bits, levels=levels).largest_weight(bits) == largest


@pytest.mark.parametrize(("fires", "most"), [(True, 4095 << 7), (False, 4095 << 1)])
@pytest.mark.parametrize("beyond", [0, 1])
def test_biases_of_stock_neurons_have_twelve_bits_and_an_exponent(
    fires: bool, most: int, beyond: int
) -> None:
    """Of thresholds in 1/64 units; an integrator has none of those."""
    bias = np.array([most + beyond, -most])
    population = parts.neuron("p", (2,), 9 if fires else None, bias=bias, initial_membrane=0)
    nothing = np.zeros((2,), np.int64)
    still = PopulationBounds(*(nothing,) * 6, 0, 0)
    found = Quantization(neuron="stock-lif")._excess(population, still)
    assert found.tolist() == [beyond, 0]
