"""Whom a spike reaches, against every synapse written out."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.hardware.price.activity import activity_from_record
from neurodeploy.hardware.price.arrivals import arrivals, host_bias, reached
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.reference import run_reference
from tests.hardware.mapping.test_reach import connectivities


@settings(max_examples=100)
@given(data=st.data())
def test_reached_by_the_structure_alone(data: Any) -> None:
    connectivity = data.draw(connectivities())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    fired = rng.random((4, *connectivity.pre_shape)) < data.draw(st.sampled_from([0.0, 0.1, 0.6]))
    post, pre, _ = connectivity.to_coo()
    expected = np.zeros((4, int(np.prod(connectivity.post_shape))), dtype=bool)
    for row, spikes in enumerate(fired.reshape(4, -1)):
        expected[row, post[spikes[pre]]] = True
    found = reached(connectivity, fired)
    assert found.shape == (4, *connectivity.post_shape)
    np.testing.assert_array_equal(found.reshape(4, -1), expected)


def neuron(bias: int = 0) -> IntegerNeuron:
    return IntegerNeuron(np.int64(100), np.int64(bias), np.int64(0))


def run(kind: str, weight: Any, raster: Any, bias: int = 0) -> Any:
    net = IntegerNetlist(
        "one",
        (
            Population("in", (2,), Input(kind, 0, 1)),  # type: ignore[arg-type]
            Population("a", (2,), neuron(bias)),
        ),
        (IntegerProjection("in", "a", Dense(np.array(weight), (2,)), 1),),
        (Output("a", "counts"),),
        3,
    )
    return net, run_reference(net, {"in": np.array(raster)}, membranes=["a"])


def test_an_input_that_cancels_is_an_input() -> None:
    # Both fire at t = 1 and cancel on neuron 0; neuron 1 has two synapses of weight 0.
    net, record = run("spikes", [[5, -5], [0, 0]], [[[0, 0], [1, 1], [0, 0]]])
    population = net.by_name["a"]
    assert not record.membranes["a"].any()
    assert arrivals(net, population, record)[0].T.tolist() == [[False, True, False]] * 2
    assert activity_from_record(net, record).populations["a"].active.tolist() == [1, 1]


def test_what_the_host_writes_is_a_bias_and_not_an_arrival() -> None:
    # 3 x 1 + 2 on neuron 0; 0 on neuron 1, where weight and bias cancel.
    net, record = run("current", [[3, 0], [-2, 0]], [[1, 0], [0, 1]], bias=2)
    population = net.by_name["a"]
    assert not arrivals(net, population, record).any()
    assert host_bias(net, population, record).tolist() == [[3, -2], [0, 0]]
    # In the second sample the bias alone, in all T + depth = 4 steps, in which membranes stay.
    assert activity_from_record(net, record).populations["a"].active.tolist() == [4 + 4, 0 + 4]
