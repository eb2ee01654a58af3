"""Bias correction: what it needs of a netlist, and that its parts do not change the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="calibration needs torch")

from neurodeploy.conversion.calibration import refinement  # noqa: E402
from neurodeploy.conversion.calibration.bias_correction import BiasCorrection  # noqa: E402
from neurodeploy.conversion.calibration.refinement import refine  # noqa: E402
from neurodeploy.conversion.lowering.activation_graph import (  # noqa: E402
    ActivationGraph,
    InputLayer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.affine import population_term  # noqa: E402
from neurodeploy.errors import ConversionError  # noqa: E402
from neurodeploy.ir.connectivity import Conv, Dense, identity  # noqa: E402
from neurodeploy.ir.geometry import Window  # noqa: E402
from neurodeploy.ir.netlist import (  # noqa: E402
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, MaxPool, RealNeuron  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402

SHAPE = (2, 3, 3)
T = 8
WINDOW = Window((3, 3), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))


def network(bias: object = 0.0, **links) -> tuple[RealNetlist, ActivationGraph]:
    """Input, a rectified convolution of three channels, and an integrating output."""
    random = np.random.default_rng(0)
    first = Conv(random.normal(0.3, 1.0, (3, 2, 2, 2)), 2, WINDOW)
    last = Dense(random.normal(size=(4, 12)), (3, 2, 2))
    theta = np.array([4.0, 5.0, 6.0])
    start = np.zeros(())
    hidden = RealNeuron(theta, np.asarray(bias, dtype=np.float64), theta / 2)
    netlist = RealNetlist(
        "net",
        (
            Population("x", SHAPE, Input("current", 0, 16), np.array(1 / 16)),
            Population("h", (3, 2, 2), hidden, theta),
            Population("out", (4,), RealNeuron(None, start, start, reset="none"), np.ones(())),
        ),
        (
            RealProjection("x", "h", first.scale_inputs(np.full(2, 1 / 16))),
            RealProjection("h", "out", last.scale_inputs(theta), **links),
        ),
        (Output("out", "membrane"),),
        T,
    )
    x, h = population_term("x", SHAPE), population_term("h", (3, 2, 2))
    graph = ActivationGraph(
        "net",
        (
            InputLayer("x", SHAPE, "x"),
            ReluLayer("h", x.mapped(first, "h"), "h"),
            OutputLayer("out", h.mapped(last, "out"), "out"),
        ),
    )
    return netlist, graph


def corrected(netlist: RealNetlist, graph: ActivationGraph, rounds: int = 1) -> RealNetlist:
    q = np.random.default_rng(1).integers(0, 17, (10, *SHAPE))
    steps = (BiasCorrection(rounds),)
    return refine(netlist, graph, {"x": q / 16}, {"x": q}, run_reference, steps)


def mean_error(netlist: RealNetlist, graph: ActivationGraph) -> np.ndarray:
    """Of the hidden channels, by a run of the whole network."""
    q = np.random.default_rng(1).integers(0, 17, (10, *SHAPE))
    seen = {}
    graph.evaluate({"x": q / 16}, lambda layer, value: seen.update({layer.name: value}))
    hidden = netlist.by_name["h"]
    rates = run_reference(netlist, {"x": q}).spikes["h"].mean(axis=1) * hidden.spread(hidden.unit)
    return (seen["h"] - rates).mean(axis=(0, 2, 3))


def test_the_mean_error_shrinks() -> None:
    netlist, graph = network(bias=[0.2, -0.1, 0.3])
    before, after = mean_error(netlist, graph), mean_error(corrected(netlist, graph, 3), graph)
    assert np.abs(before).max() > 0.2
    assert (np.abs(after) <= 0.2 * np.abs(before)).all()


@pytest.mark.parametrize("bias", [0.1, [0.1] * 3, np.full((3, 2, 2), 0.1)])
def test_scalar_channel_and_neuron_biases_are_corrected_alike(bias: object) -> None:
    netlist, graph = network(bias)
    found = corrected(netlist, graph).by_name["h"]
    wanted = corrected(*network([0.1] * 3)).by_name["h"]
    np.testing.assert_array_equal(found.spread(found.model.bias), wanted.spread(wanted.model.bias))


def test_the_same_whatever_runs_at_once(monkeypatch) -> None:
    netlist, graph = network()
    whole = corrected(netlist, graph)
    runs = []

    def counted(*arguments: object) -> object:
        runs.append(1)
        return simulate(*arguments)

    simulate = run_reference
    monkeypatch.setattr(refinement, "STEPS_AT_ONCE", 3 * T * 18)
    monkeypatch.setattr("tests.conversion.test_correction.run_reference", counted)
    assert corrected(netlist, graph) == whole
    # Ten samples: h by 3 (18 neurons before it), corrected and emitted; out by 4 (12 before it).
    assert len(runs) == 4 + 4 + 3


def test_misaligned_and_recurrent_netlists_are_refused() -> None:
    netlist, graph = network(delay=3)
    assert corrected(netlist, graph).projections[1].delay == 3  # a longer path: aligned still
    skip = RealProjection("x", "out", Dense(np.ones((4, 18)), SHAPE), 1)
    late = replace(netlist, projections=(*netlist.projections, skip))
    with pytest.raises(ConversionError, match="x->out: refinement runs populations one by"):
        corrected(late, graph)
    loop = RealProjection("h", "h", identity((3, 2, 2), 0.1))
    with pytest.raises(ConversionError, match="h->h: refinement"):
        corrected(replace(netlist, projections=(*netlist.projections, loop)), graph)


def test_fractions_of_spikes_are_not_cut_off() -> None:
    one = Window((2, 2), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    netlist, graph = network()
    pool = Population("p", (3, 1, 1), MaxPool(3, one), np.ones(()))
    first, _ = netlist.projections
    halved = replace(
        netlist,
        populations=(*netlist.populations[:2], pool, netlist.populations[2]),
        projections=(
            first,
            RealProjection("h", "p", identity((3, 2, 2), 0.5)),
            RealProjection("p", "out", Dense(np.ones((4, 3)), (3, 1, 1))),
        ),
    )
    graph = replace(
        graph,
        layers=(
            *graph.layers[:2],
            PoolLayer("p", population_term("h", (3, 2, 2)), pool.model, None),
            graph.layers[2],
        ),
    )
    with pytest.raises(ConversionError, match="p: pools fractions of spikes"):
        corrected(halved, graph)
