"""The NumPy and the torch evaluator agree, on random geometry too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="compares with the torch evaluator")

from neurodeploy.errors import NetlistError  # noqa: E402
from neurodeploy.source import analog as ag  # noqa: E402
from neurodeploy.source.evaluation import in_numpy as analog_numpy  # noqa: E402
from neurodeploy.source.evaluation import in_torch as analog_torch  # noqa: E402
from tests.source.test_analog import chain, every_op  # noqa: E402


def _agree(graph: ag.AnalogGraph, x: np.ndarray) -> None:
    names = [node.name for node in graph.nodes]
    plain, fast = (e.evaluate(graph, x, names) for e in (analog_numpy, analog_torch))
    for name in names:
        assert plain[name].shape == fast[name].shape == (len(x), *graph.node(name).shape)
        scale = np.abs(fast[name]).max()
        np.testing.assert_allclose(plain[name], fast[name], atol=1e-5 * scale, err_msg=name)


def test_every_operation() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 6, 5)).astype(np.float32)
    _agree(every_op(), x)


small = st.integers(1, 4)


@settings(max_examples=60)
@given(
    rank=st.integers(1, 2),
    sizes=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=st.tuples(small, small),
    stride=st.tuples(small, small),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    flags=st.tuples(st.booleans(), st.booleans()),
    divisor=st.sampled_from([None, 1, 3]),
)
def test_pooling_of_any_geometry(
    rank, sizes, kernel, stride, padding, dilation, flags, divisor
) -> None:
    shape = (2, *sizes[:rank])
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    geometry = (kernel[:rank], stride[:rank], padding[:rank], flags[0])
    for make in (
        lambda: ag.AvgPool(*geometry, flags[1], divisor),
        lambda: ag.MaxPool(*geometry, dilation[:rank]),
    ):
        try:
            graph = chain(shape, make())
        except NetlistError:
            continue
        _agree(graph, x)


@settings(max_examples=40)
@given(
    rank=st.integers(1, 2),
    sizes=st.tuples(st.integers(3, 8), st.integers(3, 8)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(small, small),
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 3),
)
def test_convolution_of_any_geometry(
    rank, sizes, kernel, stride, padding, dilation, groups
) -> None:
    rng = np.random.default_rng(2)
    shape = (2 * groups, *sizes[:rank])
    weight = rng.normal(size=(3 * groups, 2, *kernel[:rank]))
    conv = (ag.Conv1d, ag.Conv2d)[rank - 1](
        weight,
        rng.normal(size=3 * groups),
        stride[:rank],
        padding[: 2 * rank],
        dilation[:rank],
        groups,
    )
    try:
        graph = chain(shape, conv)
    except NetlistError:
        return
    _agree(graph, rng.normal(size=(2, *shape)).astype(np.float32))
