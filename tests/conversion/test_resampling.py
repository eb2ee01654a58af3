"""Transposed convolutions and upsampling stay convolutions, exactly, whatever is linear around."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from neurodeploy.conversion.lowering.activation_graph import OutputLayer
from neurodeploy.conversion.lowering.affine import population_term
from neurodeploy.conversion.lowering.operators import LoweringOptions, lower
from neurodeploy.conversion.lowering.pooling import picks_spikes
from neurodeploy.errors import NetlistError
from neurodeploy.ir.composition import compose, picking
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph, AnalogNode, Op


def graph(shape: tuple[int, ...], *ops: Op) -> AnalogGraph:
    """One operation behind the other."""
    nodes = [AnalogNode("x", analog.Input(shape), (), shape)]
    for i, op in enumerate(ops):
        shape = op.output_shape((shape,))
        nodes.append(AnalogNode(f"n{i}", op, (nodes[-1].name,), shape))
    return AnalogGraph("net", tuple(nodes), ("x",), (nodes[-1].name,))


def projection(shape: tuple[int, ...], *ops: Op) -> Connectivity:
    """The one map that they lower to, from a spiking source."""
    layers = lower(graph(shape, analog.ReLU(), *ops), LoweringOptions()).layers
    (output,) = (layer for layer in layers if isinstance(layer, OutputLayer))
    (term,) = output.affine.terms
    assert term.connectivity is not None
    return term.connectivity


def matrix_of(connectivity: Connectivity) -> np.ndarray:
    matrix = np.zeros((math.prod(connectivity.post_shape), math.prod(connectivity.pre_shape)))
    post, pre, weight = connectivity.to_coo()
    matrix[post, pre] = weight
    return matrix


def weights(rng: np.random.Generator, *size: int) -> np.ndarray:
    return rng.integers(1, 9, size).astype(np.float32)


def transposed(rng: np.random.Generator, n: int) -> tuple[tuple[int, ...], Op]:
    """Any transposed convolution over n axes and the shape of its input."""

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(v) for v in rng.integers(low, high + 1, n))

    groups = int(rng.integers(1, 4))
    c_in, c_out = groups * int(rng.integers(1, 3)), int(rng.integers(1, 3))
    stride, dilation = some(1, 4), some(1, 3)
    extra = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
    cls = (analog.ConvTranspose1d, analog.ConvTranspose2d)[n - 1]
    kernel = weights(rng, c_in, c_out, *some(1, 4))
    op = cls(kernel, None, stride, some(0, 3), extra, dilation, groups)
    return (c_in, *some(1, 5)), op


def listed(shape: tuple[int, ...], op: Any, out: tuple[int, ...]) -> Sparse | None:
    """Where every weight leads, from a map whose synapses carry their own number.

    None for an output padding of the stride or more: its cells see no window of the convolution.
    """
    window = Window(out[1:], op.kernel, op.stride, tuple((p, p) for p in op.padding), op.dilation)
    numbered = np.arange(1, op.weight.size + 1, dtype=np.float64).reshape(op.weight.shape)
    forward = Conv(numbered, out[0], window, op.groups)
    if forward.post_shape[1:] != shape[1:]:
        return None
    cell, value, number = forward.to_coo()
    weight = op.weight.astype(np.float64).reshape(-1)[number.astype(np.int64) - 1]
    return Sparse(weight, value, cell, shape, out)


@pytest.mark.parametrize("n", [1, 2])
def test_transposed_convolutions_are_their_lists(n: int) -> None:
    rng, kinds = np.random.default_rng(n), {Conv: 0, Sparse: 0, None: 0}
    while sum(kinds.values()) < 400:
        shape, op = transposed(rng, n)
        try:
            out = op.output_shape((shape,))
        except NetlistError:
            continue
        expected, found = listed(shape, op, out), projection(shape, op)
        assert found.post_shape == out
        if expected is None:
            kinds[None] += 1
            continue
        kinds[type(found)] += 1
        cut = [p > d * (k - 1) for p, d, k in zip(op.padding, op.dilation, op.kernel, strict=True)]
        assert isinstance(found, Sparse) is any(cut)
        np.testing.assert_array_equal(matrix_of(found), matrix_of(expected))
        assert found.n_synapses == expected.n_synapses
    assert min(kinds.values()) > 10


@pytest.mark.parametrize(
    ("size", "factors"),
    [((5,), (3,)), ((3, 4), (2, 3)), ((1, 4), (4, 2)), ((3, 1), (1, 2)), ((2, 2), (1, 5))],
)
def test_upsampling_repeats_cells(size: tuple[int, ...], factors: tuple[int, ...]) -> None:
    shape = (2, *size)
    cells = np.arange(math.prod(shape)).reshape(shape)
    for axis, factor in enumerate(factors, start=1):
        cells = np.repeat(cells, factor, axis)
    found = projection(shape, analog.Upsample(factors))
    assert isinstance(found, SumPool)
    np.testing.assert_array_equal(matrix_of(found), matrix_of(picking(cells, shape)))
    assert found.n_synapses == cells.size
    assert picks_spikes(found)


RANDOM = np.random.default_rng(5)


def conv(c_out: int, c_in: int, k: int, padding: int = 0, stride: int = 1, groups: int = 1) -> Op:
    kernel = weights(RANDOM, c_out, c_in // groups, k, k)
    return analog.Conv2d(kernel, None, stride, padding, 1, groups)


def deconv(c_in: int, c_out: int, k: int, padding: int = 0, extra: int = 0) -> Op:
    return analog.ConvTranspose2d(weights(RANDOM, c_in, c_out, k, k), None, 2, padding, extra)


def norm(channels: int) -> Op:
    one = np.ones(channels, np.float32)
    return analog.BatchNorm(weights(RANDOM, channels), one, one, one)


UP = analog.Upsample((2, 2))
PAD = analog.Pad(((0, 0), (1, 0), (0, 2)))
CHAINS: dict[str, tuple[Op, ...]] = {
    "upsampling, convolution": (UP, conv(4, 3, 3, 1)),
    "upsampling, strided convolution": (UP, conv(4, 3, 3, 1, 2)),
    "upsampling, depthwise convolution": (UP, conv(3, 3, 3, 1, groups=3)),
    "upsampling, wide convolution": (UP, conv(4, 3, 5, 2)),
    "upsampling, norm, convolution": (UP, norm(3), conv(4, 3, 3, 1)),
    "upsampling twice, convolution": (UP, UP, conv(4, 3, 3, 1)),
    "upsampling, padding, convolution": (UP, PAD, conv(4, 3, 3)),
    "convolution, upsampling": (conv(4, 3, 3, 1), UP),
    "convolution, norm, upsampling, convolution": (conv(4, 3, 1), norm(4), UP, conv(2, 4, 3, 1)),
    "transposed, norm": (deconv(3, 4, 4, 1), norm(4)),
    "transposed, padding": (deconv(3, 4, 2), PAD),
    "transposed, convolution": (deconv(3, 4, 2), conv(2, 4, 3, 1)),
    "transposed, transposed": (deconv(3, 4, 2), deconv(4, 2, 2)),
    "padding, transposed": (PAD, deconv(3, 4, 4, 1)),
    "convolution, transposed": (conv(4, 3, 3, 1), deconv(4, 2, 3, 1)),
    "convolution, transposed, norm": (conv(4, 3, 1), deconv(4, 2, 2), norm(2)),
}
LISTS: dict[str, tuple[Op, ...]] = {
    "cut transposed, padded convolution": (deconv(3, 4, 4, 1), conv(2, 4, 3, 1)),
    # The last place would see what the convolution is behind its end.
    "convolution, transposed with more at its end": (conv(4, 3, 3, 1), deconv(4, 2, 3, 1, 1)),
    "strided convolution, upsampling": (conv(4, 3, 3, 1, 2), UP),
}


@pytest.mark.parametrize("name", [*CHAINS, *LISTS])
def test_what_is_linear_around_joins(name: str) -> None:
    ops, shape = {**CHAINS, **LISTS}[name], (3, 5, 4)
    found = projection(shape, *ops)
    kind = Sparse if name in LISTS else Conv
    assert type(found) is kind
    # What each is by itself, one after the other.
    inside = list(itertools.accumulate(ops, lambda s, op: op.output_shape((s,)), initial=shape))
    whole: Any = np.eye(math.prod(shape))
    for before, op in zip(inside, ops, strict=False):
        if isinstance(op, analog.BatchNorm):
            factor = op.scale_shift()[0].astype(np.float64)
            whole = whole * np.repeat(factor, math.prod(before[1:]))[:, None]
        else:
            whole = matrix_of(projection(before, op)) @ whole
    np.testing.assert_allclose(matrix_of(found), whole, rtol=1e-12)
    assert found.n_synapses == np.count_nonzero(whole)


def test_a_convolution_of_upsampling_is_no_larger_than_it_must_be() -> None:
    found = projection((3, 5, 4), UP, conv(4, 3, 3, 1))
    assert isinstance(found, Conv)
    assert (found.window.kernel, found.window.spacing) == ((4, 4), (2, 2))
    assert found.window.padding == ((2, 2), (2, 2))
    # Two by two cells under a kernel of three by three over repeated ones.
    assert int(found.fan_in().max()) == 2 * 2 * 3


def test_a_repeated_sum_is_one_projection() -> None:
    window = Window((2,), (2,), (1,), ((1, 1),), (1,), (2,))
    twice = SumPool(np.array([1.0, 2.0]), window)
    source = population_term("x", (2, 2))
    both = source.mapped(twice, "a").plus(source.mapped(twice, "b"))
    (term,) = both.terms
    assert term.connectivity == twice.with_weight(2 * twice.weight)
    assert picks_spikes(twice)
    assert not picks_spikes(SumPool(np.ones(2), Window((4,), (2,), (1,), ((0, 0),), (1,))))
    wide = compose(twice, SumPool(np.ones(2), Window((3,), (2,), (1,), ((0, 0),), (1,))), "x")
    assert isinstance(wide, Conv | SumPool)
    assert not picks_spikes(wide)
