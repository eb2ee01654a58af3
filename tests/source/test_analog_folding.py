"""Batch norms folded into the layers before them give the same values."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.source import analog as ag
from neurodeploy.source.evaluation import in_numpy as analog_numpy
from neurodeploy.source.evaluation.folding import fold_batch_norms
from tests.source.test_analog import chain

RNG = np.random.default_rng(0)


def norm(channels: int, scale: float = 1.0) -> ag.BatchNorm:
    return ag.BatchNorm(
        RNG.normal(size=channels),
        RNG.uniform(0.1, 3, channels),
        scale * RNG.normal(size=channels),
        RNG.normal(size=channels),
    )


def conv(bias: bool) -> ag.Conv2d:
    return ag.Conv2d(
        RNG.normal(size=(4, 1, 3, 2)),
        RNG.normal(size=4) if bias else None,
        (2, 1),
        (0, 1, 1, 0),
        groups=2,
    )


def names(graph: ag.AnalogGraph) -> list[str]:
    return [node.name for node in graph.nodes]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layer", ["conv1d", "conv2d", "linear"])
def test_the_values_stay(layer: str, bias: bool) -> None:
    if layer == "conv2d":
        graph = chain((2, 7, 6), norm(2), conv(bias), norm(4), norm(4), ag.ReLU())
    elif layer == "conv1d":
        kernel = ag.Conv1d(RNG.normal(size=(4, 2, 3)), RNG.normal(size=4) if bias else None)
        graph = chain((2, 9), kernel, norm(4), ag.ReLU())
    else:
        dense = ag.Linear(RNG.normal(size=(4, 6)), RNG.normal(size=4) if bias else None)
        graph = chain((6,), dense, norm(4), ag.ReLU())
    folded = fold_batch_norms(graph, [])
    # The norm of the input is left.
    norms = [n for n in folded.nodes if isinstance(n.op, ag.BatchNorm)]
    assert len(norms) == (layer == "conv2d")
    left = [n for n in names(graph) if n in names(folded)]
    x = RNG.normal(size=(5, *graph.node(graph.inputs[0]).shape)).astype(np.float32)
    plain, fast = (analog_numpy.evaluate(g, x, left) for g in (graph, folded))
    for name in left:
        scale = np.abs(plain[name]).max()
        np.testing.assert_allclose(fast[name], plain[name], atol=1e-5 * scale, err_msg=name)


def test_what_is_wanted_stays() -> None:
    graph = chain((2, 7, 6), conv(True), norm(4), ag.ReLU())
    before = names(graph)[1]
    assert fold_batch_norms(graph, [before]) is graph
    assert before not in names(fold_batch_norms(graph, [names(graph)[2]]))


def test_what_others_read_stays() -> None:
    layer, after = conv(True), norm(4)
    shape = layer.output_shape([(2, 7, 6)])
    nodes = (
        ag.AnalogNode("x", ag.Input((2, 7, 6)), (), (2, 7, 6)),
        ag.AnalogNode("conv", layer, ("x",), shape),
        ag.AnalogNode("norm", after, ("conv",), shape),
        ag.AnalogNode("sum", ag.Add(), ("conv", "norm"), shape),
    )
    shared = ag.AnalogGraph("shared", nodes, ("x",), ("sum",))
    assert fold_batch_norms(shared, []) is shared
    read = ag.AnalogGraph("read", nodes[:3], ("x",), ("conv", "norm"))
    assert fold_batch_norms(read, []) is read


def test_a_norm_after_anything_else_stays() -> None:
    graph = chain((4, 5, 5), ag.ReLU(), norm(4))
    assert fold_batch_norms(graph, []) is graph


def test_weights_that_leave_single_precision_stay() -> None:
    big = ag.Conv2d(np.full((4, 1, 1, 1), 1e20), groups=4)
    graph = chain((4, 5, 5), big, norm(4, 1e30))
    assert fold_batch_norms(graph, []) is graph
