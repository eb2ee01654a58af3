"""Neurons and pools of the own models step by step beside the reference, without Lava."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.population import Population
from neurodeploy.ir.reference import PopulationState
from neurodeploy.targets.lava.dynamics import NeuronState, lanes_for, n_lava_steps, state_of
from neurodeploy.testing.parts import neuron, pool, window

T, LANES = 12, 40
CODES = {"payload_max": 8, "payload_code": "power_of_two"}
GAINS = {"input_gain": (1, 3, 2) * 4, "firing_gain": (0, 0, 4, 2, 1, 3) * 2}
NEURONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "integrator": {"threshold": None, "bias": [2, -3, 0]},
    "own numbers": {"threshold": [4, 9, 30], "bias": [1, -2, 0], "initial_membrane": [3, 0, -7]},
    "zero": {"reset": "zero"},
    "none": {"reset": "none"},
    "value": {"reset": "value", "reset_value": [3, -2, 0]},
    "later": {"reset": "subtract-next", "membrane_decay": 512},
    "later, signed": {"reset": "subtract-next", "negative_threshold": 5, "payload_max": 3},
    "signed": {"negative_threshold": [3, 7, 12]},
    "signed to zero": {"negative_threshold": 4, "reset": "zero"},
    "graded": {"payload_max": 3},
    "graded, signed": {"payload_max": 4, "negative_threshold": 6},
    "powers": CODES,
    "powers, signed": {**CODES, "negative_threshold": 6},
    "memory": {"memory": True, "negative_threshold": 1},
    "memory of grades": {"memory": True, "negative_threshold": 2, "payload_max": 5},
    "memory of powers": {"memory": True, "negative_threshold": 1, **CODES},
    "memory with gains": {"memory": True, "negative_threshold": 1, "payload_max": 3, **GAINS},
    "leak": {"membrane_decay": 700},
    "leak of each": {"membrane_decay": [0, 4096, 1]},
    "current": {"current_decay": 1000, "bias": 1},
    "current of each": {"current_decay": [4096, 0, 4095]},
    "saturation": {"saturation": 25, "threshold": 20},
    "floor": {"floor": [-4, 0, -20]},
    "refractory": {"refractory": 2},
    "refractory for one step": {"refractory": 1, "payload_max": 2, "negative_threshold": 5},
    "refractory, reset later": {"refractory": 3, "reset": "subtract-next", "floor": -9},
    "gains": GAINS,
    "gains, signed": {**GAINS, "negative_threshold": 3},
    "gain of the input": {"input_gain": (0, 5, 1) * 4},
    "comparison": {"firing_gain": (1, 2) * 6, "comparison": (2049, 6000, 4096) * 4},
    "comparison, signed": {
        **{"firing_gain": (1, 2) * 6, "comparison": (2049, 6000, 4096) * 4},
        "negative_threshold": 5,
    },
    "comparison, memory": {
        **{"firing_gain": (1, 2) * 6, "comparison": (2049, 6000, 4096) * 4},
        **{"negative_threshold": 5, "memory": True},
    },
}


def assert_same(population: Population, high: int) -> None:
    random = np.random.default_rng(3)
    ours = state_of(population, LANES)
    for sample in range(2):
        if sample:
            ours.restart()
        theirs = PopulationState(population, LANES, np.int64)
        for _ in range(T):
            a = random.integers(-high, high + 3, (LANES, *population.input_shape))
            emitted, expected = ours.step(a), theirs.step(a)
            np.testing.assert_array_equal(emitted, expected)
            np.testing.assert_array_equal(ours.v, theirs.v)


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_are_those_of_the_reference(name: str) -> None:
    population = neuron("h", (3,), **{"threshold": 6, **NEURONS[name]})
    for high in (6, 40):
        assert_same(population, high)


@pytest.mark.parametrize("rule", ["maximum", "winner", "now"])
@pytest.mark.parametrize("signed", [False, True])
def test_pools_are_those_of_the_reference(rule: Any, signed: bool) -> None:
    place = window((5, 4), (3, 2), (2, 1), ((1, 1), (0, 1)))
    gains = {"input_gain": (12, 0, 6, 6, 3, 3, 3, 1, 0, 1, 1, 1)} if rule == "maximum" else {}
    for given in ({}, gains):
        population = pool("p", 2, place, rule, signed, **given)
        random, ours = np.random.default_rng(4), state_of(population, LANES)
        theirs = PopulationState(population, LANES, np.int64)
        for _ in range(T):
            low = -3 if signed else 0
            a = random.integers(low, 4, (LANES, *population.input_shape))
            np.testing.assert_array_equal(ours.step(a), theirs.step(a))
            np.testing.assert_array_equal(ours.v, theirs.v)


def test_only_what_needs_it_counts_what_it_emitted() -> None:
    population = neuron("h", (3,), 6)
    state = state_of(population, 2)
    assert isinstance(state, NeuronState)
    assert state.emitted.shape == ()


@pytest.mark.parametrize(
    ("batch", "largest", "lanes"),
    [(0, 9, 1), (7, 2**18, 4), (8, 2**18, 4), (9, 2**18, 3), (1, 0, 1), (5, 2**20 + 1, 1)],
)
def test_samples_share_their_rounds_evenly(batch: int, largest: int, lanes: int) -> None:
    assert lanes_for(batch, largest) == lanes


def test_samples_follow_one_another() -> None:
    assert n_lava_steps(3, 10, 4) == 34
