"""The ideal code against the reference on constant input, and what accumulates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.diagnosis.code import (
    accumulate,
    ideal_sum,
    ideal_values,
    membrane_of,
    reach,
    values_of_input,
)
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, RealNeuron
from neurodeploy.ir.reference import run_reference

T = 8
VALUES = np.arange(-40, 41, dtype=np.int64)[:, None]
CODES: dict[str, dict[str, Any]] = {
    "binary": {},
    "graded": {"payload_max": 3},
    "signed": {"negative_threshold": np.array(16.0)},
    "imbalanced": {"negative_threshold": np.array(64.0)},
    "memory": {"negative_threshold": np.array(1e-6), "memory": True},
    "graded memory": {"negative_threshold": np.array(1e-6), "memory": True, "payload_max": 3},
}


def netlist(fields: dict[str, Any]) -> RealNetlist:
    """One neuron with threshold 16, v0 8 and bias 1 on a current of -40 .. 40."""
    model = RealNeuron(np.array(16.0), np.array(1.0), np.array(8.0), **fields)
    populations = (
        Population("in", (1,), Input("current", -40, 40)),
        Population("n", (1,), model, np.array(0.5)),
    )
    link = RealProjection("in", "n", Dense(np.array([[1.0]]), (1,)), None)
    return RealNetlist("one", populations, (link,), (), T)


@pytest.mark.parametrize("name", CODES)
def test_constant_input_is_coded_ideally(name: str) -> None:
    net = netlist(CODES[name])
    # A signed neuron that first has to use up v0 has one step less to emit -T in.
    values = VALUES[VALUES[:, 0] >= -17] if name == "signed" else VALUES
    run = run_reference(net, {"in": values})
    accumulated = accumulate(net, "n", {"in": values * T})
    np.testing.assert_array_equal(accumulated, 8.0 + T * (values + 1))
    emitted = ideal_sum(net.by_name["n"], accumulated, T)
    np.testing.assert_array_equal(emitted, run.spikes["n"].sum(axis=1))


@pytest.mark.parametrize("name", CODES)
def test_values_and_membranes_say_the_same(name: str) -> None:
    """A value stands for the input that, in the source network, gives it."""
    population = netlist(CODES[name]).by_name["n"]
    steps = np.array([[-8.0], [-1.0], [0.0], [1.0], [5.0], [8.0]])
    signed = population.model.signed and not population.model.memory  # type: ignore[union-attr]
    low, high = reach(population, T)
    assert high == 0.5 * CODES[name].get("payload_max", 1)
    assert low == (-high if signed else 0)
    values = steps * 0.5 / T
    if signed:
        # Rounded towards 0, and v0 = theta / 2 is added: -1 stays below half a threshold.
        back = CODES[name]["negative_threshold"]
        expected = np.where(steps < 0, -np.floor((-steps * back - 8) / back), steps) * 0.5 / T
    else:
        expected = np.clip(values, 0, None)
    np.testing.assert_allclose(ideal_values(population, values, T), expected)
    membrane = membrane_of(population, values, T)
    np.testing.assert_allclose(values_of_input(population, membrane, T), expected)


def test_exponents_count_in_accumulated_input() -> None:
    model = IntegerNeuron(np.array(16), np.array([1, 2]), np.array([8, 0]))
    populations = (
        Population("in", (1,), Input("current", -40, 40)),
        Population("n", (2,), model, np.array(0.5)),
    )
    weight = Dense(np.array([[3], [-2]]), (1,))
    link = IntegerProjection("in", "n", weight, None, np.array([0, 2]), 3)
    net = IntegerNetlist("two", populations, (link,), (), T)
    found = accumulate(net, "n", {"in": np.array([[5]])})
    np.testing.assert_array_equal(found, [[8 + 8 + 15, 0 + 16 - 40]])


@pytest.mark.parametrize("taken_back", [False, True])
def test_digits_are_coded_ideally_once_all_is_heard(taken_back: bool) -> None:
    """A neuron that has listened emits the nearest number, rectified, that its steps can count."""
    worths, silent = (8, 4, 4, 2, 2, 1), 3
    more: dict[str, Any] = {}
    if taken_back:
        more = {"memory": True, "negative_threshold": np.array(16.0)}
        more["comparison"] = (4096,) * silent + (2048,) * len(worths)
    T = silent + len(worths)
    heard, fires = (1,) + (0,) * (T - 1), (0,) * silent + worths
    start = np.array(0.0 if taken_back else 8.0)
    threshold, none = np.array(16.0), np.array(0.0)
    model = RealNeuron(threshold, none, start, input_gain=heard, firing_gain=fires, **more)
    populations = (
        Population("in", (1,), Input("spikes", -40, 400), coding="sum"),
        Population("n", (1,), model, np.array(4.0), coding="sum"),
    )
    link = RealProjection("in", "n", Dense(np.array([[1.0]]), (1,)), None)
    net = RealNetlist("one", populations, (link,), (), T)
    values = np.arange(-40, 400)[:, None]
    # Of two numbers that are equally near, spikes that are taken back may end at either.
    values = values[(values[:, 0] % 16 != 8) | (not taken_back)]
    raster = np.zeros((len(values), T, 1), dtype=np.int64)
    raster[:, 0] = values
    population = net.by_name["n"]
    found = population.summed(run_reference(net, {"in": raster}).spikes["n"])
    accumulated = accumulate(net, "n", {"in": values})
    np.testing.assert_array_equal(accumulated, start + values)
    np.testing.assert_array_equal(found, ideal_sum(population, accumulated, T))
    np.testing.assert_array_equal(found, np.clip((values + 8) // 16, 0, sum(worths)))
    assert reach(population, T) == (0.0, 4.0 * sum(worths) / worths[0])
