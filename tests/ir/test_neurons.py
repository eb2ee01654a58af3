"""Which neurons there are: every limit is accepted, and what is one beyond it refused by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import NetlistError
from neurodeploy.ir.neuron import MAX_COMPARISON, MAX_QUANTITY, MAX_REFRACTORY
from neurodeploy.ir.neurons import MAX_INPUT_MAGNITUDE, Input, IntegerNeuron, RealNeuron
from neurodeploy.ir.pools import MAX_GAIN

Fields = dict[str, Any]


ARRAYS = (
    *("threshold", "bias", "initial_membrane", "negative_threshold", "reset_value", "floor"),
    *("current_decay", "membrane_decay"),
)


def integer(**fields: Any) -> IntegerNeuron:
    return IntegerNeuron(**_given({"threshold": 5, "bias": 0, "initial_membrane": 0} | fields))


def real(**fields: Any) -> RealNeuron:
    return RealNeuron(**_given({"threshold": 5.0, "bias": 0.0, "initial_membrane": 0.0} | fields))


def _given(fields: Fields) -> Fields:
    arrays = [name for name in ARRAYS if fields.get(name) is not None]
    return fields | {name: np.array(fields[name]) for name in arrays}


TINY = math.ulp(0.0)
INTEGRATOR: Fields = {"threshold": None, "reset": "none"}
# What is legal, what no longer is, and what is told of that.
LIMITS: list[tuple[Any, Fields, Fields, str]] = [
    (integer, {"threshold": 1}, {"threshold": 0}, "threshold 0 is below the smallest legal 1"),
    (real, {"threshold": TINY}, {"threshold": 0.0}, "threshold 0.0 is below the smallest legal"),
    (
        integer,
        {"negative_threshold": 1},
        {"negative_threshold": [3, 0]},
        "negative_threshold 0 is below the smallest legal 1",
    ),
    (integer, {"bias": MAX_QUANTITY}, {"bias": MAX_QUANTITY + 1}, "bias exceeds"),
    (integer, {"bias": -MAX_QUANTITY}, {"bias": [0, -MAX_QUANTITY - 1]}, "bias exceeds"),
    (integer, {"bias": [1]}, {"bias": [0.0]}, "bias of dtype float64; an integer neuron"),
    (real, {"bias": [1, 0]}, {"bias": [True]}, "bias of dtype bool; a real-valued neuron"),
    (real, {"bias": -1e30}, {"bias": math.inf}, "bias is not finite"),
    (integer, {"reset": "zero"}, {"reset": "one"}, "reset 'one'; expected one of subtract, zero"),
    (integer, {"payload_max": 1}, {"payload_max": 0}, "payload_max 0; expected 1 to"),
    (
        integer,
        {"payload_max": MAX_QUANTITY},
        {"payload_max": MAX_QUANTITY + 1},
        f"payload_max {MAX_QUANTITY + 1}; expected 1 to {MAX_QUANTITY}",
    ),
    (integer, {}, {**INTEGRATOR, "payload_max": 2}, "without threshold cannot be signed or graded"),
    (integer, INTEGRATOR, {**INTEGRATOR, "negative_threshold": 3}, "cannot be signed or graded"),
    (integer, {"payload_code": "integer"}, {"payload_code": "unary"}, "payload_code 'unary'"),
    (
        integer,
        {"payload_max": 8, "payload_code": "power_of_two"},
        {"payload_max": 6, "payload_code": "power_of_two"},
        "payload_max 6 is no power of two",
    ),
    (
        integer,
        {"payload_max": 1, "payload_code": "power_of_two"},
        {"payload_max": 9, "payload_code": "power_of_two"},
        "payload_max 9 is no power of two",
    ),
    (integer, {"memory": True, "negative_threshold": 1}, {"memory": 1}, "memory 1; expected true"),
    (integer, {"memory": False}, {"memory": True}, "memory needs a negative_threshold and reset"),
    (
        integer,
        {"memory": True, "negative_threshold": 1},
        {"memory": True, "negative_threshold": 1, "reset": "zero"},
        "memory needs a negative_threshold and reset 'subtract'",
    ),
    (integer, {"membrane_decay": 4096}, {"membrane_decay": 4097}, "4097 is outside 0..4096"),
    (integer, {"membrane_decay": 0}, {"membrane_decay": -1}, "membrane_decay -1 is outside 0"),
    (integer, {"current_decay": 0}, {"current_decay": 4097}, "current_decay 4097 is outside"),
    (
        integer,
        {"current_decay": [0, 4096]},
        {"current_decay": [4096, -1]},
        "current_decay -1 is outside 0..4096",
    ),
    (integer, {"membrane_decay": [3, 4]}, {"membrane_decay": [0.5]}, "membrane_decay of dtype"),
    (real, {"membrane_decay": 1.0}, {"membrane_decay": 1.001}, "1.001 is outside 0..1"),
    (real, {"current_decay": [0.0, 1.0]}, {"current_decay": [-0.5]}, "-0.5 is outside 0..1"),
    (integer, {"refractory": 0}, {"refractory": -1}, "refractory -1; expected 0 to"),
    (
        integer,
        {"refractory": MAX_REFRACTORY},
        {"refractory": MAX_REFRACTORY + 1},
        f"refractory {MAX_REFRACTORY + 1}; expected 0 to",
    ),
    (integer, {"reset": "value", "reset_value": 4}, {"reset": "value"}, "belong together"),
    (integer, {}, {"reset_value": 4}, "reset 'value' and a reset_value belong together"),
    (
        integer,
        {"reset": "value", "reset_value": 4},
        {"reset": "value", "reset_value": 5},
        "reset_value 5 is not below threshold 5",
    ),
    (
        integer,
        {"reset": "value", "reset_value": -1, "negative_threshold": 2},
        {"reset": "value", "reset_value": -2, "negative_threshold": 2},
        "-negative_threshold -2 is not below reset_value -2",
    ),
    (integer, {"floor": 0}, {"floor": 1}, "floor 1 is above initial_membrane 0"),
    (
        integer,
        {"floor": -1, "negative_threshold": 2},
        {"floor": -2, "negative_threshold": 2},
        "-negative_threshold -2 is not below floor -2",
    ),
    (
        integer,
        {"floor": -3, "reset": "value", "reset_value": -3},
        {"floor": -3, "reset": "value", "reset_value": -4},
        "floor -3 is above reset_value -4",
    ),
    # A value per channel belongs to all neurons of its channel.
    (
        integer,
        {"floor": [0, 4], "initial_membrane": [[0, 1], [4, 4]]},
        {"floor": [0, 4], "initial_membrane": [[0, 1], [5, 3]]},
        "floor 4 is above initial_membrane 3",
    ),
    (integer, {"saturation": 1}, {"saturation": 0}, "saturation 0; expected above 0 to"),
    (real, {"saturation": TINY}, {"saturation": 0.0}, "saturation 0.0; expected above 0"),
    (
        integer,
        {"saturation": MAX_QUANTITY},
        {"saturation": MAX_QUANTITY + 1},
        f"expected above 0 to {MAX_QUANTITY}",
    ),
    (
        integer,
        {"saturation": 3, "initial_membrane": [-3, 3]},
        {"saturation": 3, "initial_membrane": [-4, 3]},
        "initial_membrane beyond the saturation 3",
    ),
    (
        integer,
        {"saturation": 3, "floor": -3},
        {"saturation": 3, "floor": -4},
        "floor beyond the saturation 3",
    ),
    (
        integer,
        {"saturation": 3, "reset": "value", "reset_value": 3},
        {"saturation": 3, "reset": "value", "reset_value": 4},
        "reset_value beyond the saturation 3",
    ),
    (
        integer,
        {"floor": 0},
        {"floor": 0, "memory": True, "negative_threshold": 1},
        "memory and gains do not go with a floor",
    ),
    (
        integer,
        {"refractory": 0, "firing_gain": (1,)},
        {"refractory": 1, "firing_gain": (1,)},
        "memory and gains do not go with a refractory period",
    ),
    (
        integer,
        INTEGRATOR,
        {**INTEGRATOR, "refractory": 1},
        "without threshold has no refractory period or reset",
    ),
    (
        integer,
        INTEGRATOR,
        {**INTEGRATOR, "reset": "value", "reset_value": 0},
        "without threshold has no refractory period or reset",
    ),
    (integer, {"input_gain": (0,)}, {"input_gain": (-1,)}, f"input_gain outside 0..{MAX_GAIN}"),
    (
        integer,
        {"firing_gain": (MAX_GAIN, 0)},
        {"firing_gain": (MAX_GAIN + 1, 0)},
        f"firing_gain outside 0..{MAX_GAIN}",
    ),
    (
        integer,
        {"input_gain": (1, 2), "firing_gain": (0, 1)},
        {"input_gain": (1, 2), "firing_gain": (1,)},
        "2 gains of input and 1 of firing",
    ),
    (
        integer,
        {**INTEGRATOR, "input_gain": (1,)},
        {**INTEGRATOR, "firing_gain": (1,)},
        "an integrator has no firing_gain",
    ),
    (integer, {"firing_gain": (0, 1)}, {"firing_gain": (0, 0)}, "it would never fire"),
    (
        integer,
        {"input_gain": (2,)},
        {"input_gain": (2,), "reset": "zero"},
        "gains need reset 'subtract', not 'zero'",
    ),
    (
        integer,
        {"input_gain": (2,)},
        {"input_gain": (2,), "membrane_decay": 1},
        "gains allow neither leak nor current memory",
    ),
    (
        integer,
        {"input_gain": (2,)},
        {"input_gain": (2,), "current_decay": 4095},
        "gains allow neither leak nor current memory",
    ),
    (
        integer,
        {"firing_gain": (1, 1), "comparison": (1, MAX_COMPARISON)},
        {"firing_gain": (1, 1), "comparison": (0, MAX_COMPARISON)},
        "comparison outside 1",
    ),
    (
        integer,
        {"firing_gain": (1,), "comparison": (9,)},
        {"firing_gain": (1,), "comparison": (9,), "payload_max": 2},
        "comparison needs binary spikes, not payloads of 2",
    ),
    (
        integer,
        {"threshold": 2**43, "firing_gain": (1, 2)},
        {"threshold": 2**43 + 1, "firing_gain": (1, 2)},
        "threshold 8796093022209 times firing_gain 2",
    ),
    (
        integer,
        {"bias": -(2**43), "input_gain": (2,)},
        {"bias": -(2**43) - 1, "input_gain": (2,)},
        "bias -8796093022209 times input_gain 2",
    ),
]


@pytest.mark.parametrize(
    ("make", "legal", "illegal", "told"),
    LIMITS,
    ids=[f"{i} {row[3]}" for i, row in enumerate(LIMITS)],
)
def test_a_limit_is_legal_and_no_more_is(
    make: Any, legal: Fields, illegal: Fields, told: str
) -> None:
    make(**legal)
    with pytest.raises(NetlistError) as caught:
        make(**illegal)
    assert told in str(caught.value)


def test_strict_is_a_truth() -> None:
    assert real(strict=True).extensions == ("a strict comparison",)
    with pytest.raises(NetlistError, match="strict 1; expected true or false"):
        real(strict=1)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-MAX_INPUT_MAGNITUDE, 0, None),
        (0, MAX_INPUT_MAGNITUDE, None),
        (-1, 0, None),
        (-MAX_INPUT_MAGNITUDE - 1, 0, f"exceeds {MAX_INPUT_MAGNITUDE} in magnitude"),
        (0, MAX_INPUT_MAGNITUDE + 1, f"exceeds {MAX_INPUT_MAGNITUDE} in magnitude"),
        (1, 2, "must contain 0"),
        (-2, -1, "must contain 0"),
        (0, 0, "carries nothing"),
    ],
)
def test_the_range_of_an_input(low: int, high: int, told: str | None) -> None:
    if told is None:
        assert Input("spikes", low, high).low == low
    else:
        with pytest.raises(NetlistError, match=told):
            Input("current", low, high)


def test_the_kind_of_an_input() -> None:
    with pytest.raises(NetlistError, match="input kind 'graded'; expected 'current' or 'spikes'"):
        Input("graded", 0, 1)  # type: ignore[arg-type]


def test_a_leak_or_a_memory_anywhere_counts() -> None:
    assert not integer().leaks
    assert integer(membrane_decay=[0, 1]).leaks
    assert not integer().has_current_memory
    assert integer(current_decay=[4096, 4095]).has_current_memory
    assert not real(current_decay=1.0).has_current_memory
    assert real(current_decay=0.5).has_current_memory


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ()),
        (
            {"membrane_decay": [1, 2], "refractory": 1},
            ("a decay per neuron", "a refractory period"),
        ),
        ({"current_decay": [1, 2]}, ("a decay per neuron",)),
        ({"membrane_decay": 3, "reset": "zero"}, ()),
        ({"reset": "subtract-next"}, ("reset 'subtract-next'",)),
        ({"reset": "value", "reset_value": 1}, ("reset 'value'",)),
        ({"floor": 0, "saturation": 9}, ("a floor", "saturation")),
    ],
)
def test_what_only_natively_trained_networks_have_is_named(
    fields: Fields, told: tuple[str, ...]
) -> None:
    assert integer(**fields).extensions == told


def test_gains_of_steps() -> None:
    both = integer(input_gain=(2, 3, 4), firing_gain=(0, 0, 5))
    assert [both.gains(t) for t in range(3)] == [(2, 0), (3, 0), (4, 5)]
    assert (both.lag, both.n_gains, both.has_gains) == (2, 3, True)
    heard, fired = integer(input_gain=(2, 3)), integer(firing_gain=(7, 0))
    assert [heard.gains(1), fired.gains(0)] == [(3, 1), (1, 7)]
    assert [m.n_gains for m in (heard, fired, integer())] == [2, 2, 0]
    assert [m.has_gains for m in (heard, fired, integer())] == [True, True, False]
    assert (fired.lag, integer().lag, integer().gains(9)) == (0, 0, (1, 1))


def test_levels_of_steps_round_up() -> None:
    model = integer(firing_gain=(1, 1, 1), comparison=(2048, 4096, 2049))
    theta = np.array([5, 6])
    assert model.level(theta, 0).tolist() == [3, 3]
    assert model.level(theta, 1) is theta
    assert model.level(theta, 2).tolist() == [3, 4]
    assert integer().level(theta, 0) is theta
    wet = real(firing_gain=(1,), comparison=(1024,))
    assert wet.level(np.array(5.0), 0) == 1.25


@pytest.mark.parametrize(
    ("fields", "share", "most"),
    [
        ({}, 4096, 5),
        ({"firing_gain": (3, 2)}, 3 * 4096, 15),
        # Half of three is less than one and a half of two.
        ({"firing_gain": (3, 2), "comparison": (2048, 8191)}, 2 * 8191, 20),
        ({"firing_gain": (3, 2), "comparison": (2048, 1)}, 3 * 4096, 15),
    ],
)
def test_the_highest_level_is_that_of_any_step(fields: Fields, share: int, most: int) -> None:
    model = integer(**fields)
    assert model.highest_level == share
    assert model.highest(5) == most


def test_neurons_are_equal_by_every_field() -> None:
    first = integer(threshold=[5, 6], floor=0)
    assert first == integer(threshold=[5, 6], floor=0)
    others: list[Fields] = [
        {"threshold": [5, 7], "floor": 0},
        {"threshold": [5, 6]},
        {"threshold": [5, 6], "floor": 0, "refractory": 1},
        {"threshold": [5, 6], "floor": 0, "membrane_decay": [0, 0]},
        {"threshold": [5, 6], "floor": 0, "saturation": 9},
        {"threshold": [5, 6], "floor": 0, "reset": "zero"},
    ]
    assert all(first != integer(**fields) for fields in others)
    assert integer() != real()
    assert first.spread_names() == ["threshold", "bias", "initial_membrane", "floor"]
    assert integer(membrane_decay=[1]).spread_names()[-1] == "membrane_decay"
    assert not integer(**INTEGRATOR).fires
    assert integer(negative_threshold=2).signed
