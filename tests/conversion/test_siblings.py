"""Siblings in calibration: what they share is computed once, and what they become does not move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="conversion needs torch")

from neurodeploy.conversion.calibration import refinement
from neurodeploy.conversion.lowering.activation_graph import (
    OutputLayer,
    ReluLayer,
    evaluate_affine,
    rectified,
)
from neurodeploy.conversion.lowering.operators import lower
from neurodeploy.conversion.method import convert_graph
from neurodeploy.conversion.methods.graded import Graded
from neurodeploy.conversion.methods.rate import RateCoding
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.ir.siblings import sibling_groups
from neurodeploy.quantization.integers import Quantization
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode

SAMPLES = np.random.default_rng(0).integers(0, 17, (24, 2, 5, 5)).astype(np.float32) / 16
ENCODING = Encoding("current", 16, 0.0, 1.0, (0.5, 0.5), (0.25, 0.25))
ACTIVATIONS: dict[str, Any] = {
    "silu": lambda: analog.Function("silu"),
    "leaky": lambda: analog.LeakyReLU(np.array(0.1)),
}


def source_network(activation: str) -> AnalogGraph:
    """Two convolutions with an activation behind each, and three classes."""
    random = np.random.default_rng(1)
    first, second = random.normal(size=(4, 2, 3, 3)) * 0.5, random.normal(size=(3, 4, 3, 3)) * 0.3
    kind = ACTIVATIONS[activation]
    nodes = (
        AnalogNode("x", analog.Input((2, 5, 5)), (), (2, 5, 5)),
        AnalogNode("conv", analog.Conv2d(first, random.normal(size=4) * 0.2), ("x",), (4, 3, 3)),
        AnalogNode("act", kind(), ("conv",), (4, 3, 3)),
        AnalogNode("conv2", analog.Conv2d(second, np.zeros(3)), ("act",), (3, 1, 1)),
        AnalogNode("act2", kind(), ("conv2",), (3, 1, 1)),
        AnalogNode("flat", analog.Reshape((3,)), ("act2",), (3,)),
        AnalogNode(
            "classes", analog.Linear(random.normal(size=(3, 3)), np.zeros(3)), ("flat",), (3,)
        ),
    )
    return AnalogGraph("siblings", nodes, ("x",), ("classes",))


def converted(activation: str, method: Any) -> tuple[RealNetlist, list[tuple[str, ...]]]:
    """The netlist, and which populations every run of calibration was of."""
    runs = []

    def simulate(netlist: RealNetlist, stimulus: Any) -> Any:
        runs.append(tuple(p.name for p in netlist.populations if p not in netlist.inputs))
        return run_reference(netlist, stimulus)

    graph = source_network(activation)
    netlist, _, _ = convert_graph(graph, method, SAMPLES, ENCODING, simulate)
    return netlist, runs


METHODS = {
    "rate": RateCoding(8),
    "graded": Graded(2),
    "everything": RateCoding(
        6, bias_correction=2, membrane_correction=1, threshold_search=True, weight_correction=True
    ),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_siblings_run_together_and_come_out_as_if_alone(
    monkeypatch: pytest.MonkeyPatch, activation: str, method: str
) -> None:
    together, runs = converted(activation, METHODS[method])
    size = {"silu": 6, "leaky": 2}[activation]
    assert [len(g) for g in sibling_groups(together)] == [size, size, 1]
    assert {len(names) for names in runs} == {size, 1}
    monkeypatch.setattr(
        refinement, "sibling_groups", lambda n: [(x,) for g in sibling_groups(n) for x in g]
    )
    alone, more = converted(activation, METHODS[method])
    assert {len(names) for names in more} == {1}
    # A layer takes as many runs as one of its units did, and the output as many as before.
    assert len(more) - len(runs) == sum(len(names) - 1 for names in runs)
    assert together == alone


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_integer_weight_for_each_function(activation: str) -> None:
    """One for each unit that sends, whoever receives."""
    netlist, _ = converted(activation, METHODS["graded"])
    integer, _ = Quantization(8)(netlist)
    weights: dict[str, Any] = {}
    for q in integer.projections:
        if q.post.startswith("act2"):
            first = weights.setdefault(q.pre, q)
            sign = -1 if q.post.endswith("negative") else 1
            assert (q.connectivity.weight == sign * first.connectivity.weight).all()
            assert (q.exponent == first.exponent).all()
    assert len(weights) == {"silu": 6, "leaky": 2}[activation]
    if activation == "silu":
        held = {id(q.connectivity) for q in integer.projections if q.post.startswith("act")}
        assert len(held) == 1 + 6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_those_of_each_layer(activation: str) -> None:
    """Sums of terms that layers share are computed once; each layer has its own bias."""
    graph = lower(source_network(activation), METHODS["rate"].lowering)
    values: dict[str, Any] = {}

    def visit(layer: Any, value: Any) -> None:
        if isinstance(layer, ReluLayer | OutputLayer):
            wanted = evaluate_affine(layer.affine, values)
            wanted = rectified(layer, wanted) if isinstance(layer, ReluLayer) else wanted
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)
        values[layer.name] = value

    graph.evaluate({"x": SAMPLES}, visit)
    assert len(values) == len(graph.layers)
