"""Two linear maps in turn are one, of the kind and the size that are told before it is made."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir import composition
from neurodeploy.ir.composition import compose, composed_synapses, padding, picking, summed
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window

RANDOM = np.random.default_rng(0)


def window(
    size: tuple[int, int],
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    pad: int | tuple[tuple[int, int], tuple[int, int]] = 0,
    dilation: int | tuple[int, int] = 1,
) -> Window:
    def pair(value: int | tuple[int, int]) -> tuple[int, int]:
        return (value, value) if isinstance(value, int) else value

    pads = ((pad, pad),) * 2 if isinstance(pad, int) else pad
    return Window(size, pair(kernel), pair(stride), pads, pair(dilation))


def conv(shape: tuple[int, ...], place: Window, groups: int = 1, out: int = 4) -> Conv:
    assert shape[1:] == place.input_size
    weight = RANDOM.normal(size=(out, shape[0] // groups, *place.kernel))
    return Conv(weight, shape[0], place, groups)


def pool(channels: int, place: Window) -> SumPool:
    return SumPool(RANDOM.normal(size=channels), place)


def channels_in_order(order: list[int]) -> Sparse:
    """Whole channels of an input of 4 x 3 x 5 in another order."""
    return picking(np.arange(60).reshape(4, 3, 5)[order], (4, 3, 5))


def rolled() -> Sparse:
    """All cells of 4 x 3 x 5, but not the channels as wholes."""
    return picking(np.roll(np.arange(60), 1).reshape(4, 3, 5), (4, 3, 5))


FIVE, TILED = (3, 5), (4, 6)
HALVES = window((8, 12), 2, 2)
BORDERS = ((1, 2), (0, 3))
# Second, first, and what they become.
CASES: dict[str, tuple[Connectivity, Connectivity, type[Connectivity]]] = {
    "dense of dense": (
        Dense(RANDOM.normal(size=(3, 5)), (5,)),
        Dense(RANDOM.normal(size=(5, 7)), (7,)),
        Dense,
    ),
    "convolution of padding": (
        conv((2, 6, 8), window((6, 8), (3, 2), (1, 2), ((0, 1), (1, 0)))),
        padding((2, *FIVE), BORDERS),
        Conv,
    ),
    "convolution of tiles": (
        conv((2, *TILED), window(TILED, (3, 2), (1, 2), ((1, 1), (0, 0)))),
        pool(2, HALVES),
        Conv,
    ),
    "grouped convolution of tiles": (
        conv((2, *TILED), window(TILED, 2), 2),
        pool(2, HALVES),
        Sparse,
    ),
    "dilated convolution of tiles": (
        conv((2, *TILED), window(TILED, 2, dilation=2)),
        pool(2, HALVES),
        Sparse,
    ),
    "convolution of tiles that leave cells out": (
        conv((2, *TILED), window(TILED, 2)),
        pool(2, window((9, 12), 2, 2)),
        Sparse,
    ),
    "convolution of windows that overlap": (
        conv((2, *TILED), window(TILED, 1)),
        pool(2, window((9, 13), 3, 2)),
        Sparse,
    ),
    "convolution of tiles with padding": (
        conv((2, *TILED), window(TILED, 1)),
        pool(2, window((6, 10), 2, 2, 1)),
        Sparse,
    ),
    "convolution of tiles with holes": (
        conv((2, 2, 4), window((2, 4), 1)),
        pool(2, window((6, 10), 2, 2, dilation=3)),
        Sparse,
    ),
    "convolution of channels in order": (
        conv((4, *FIVE), window(FIVE, 2)),
        channels_in_order([2, 0, 3, 1]),
        Conv,
    ),
    "grouped convolution of channels in order": (
        conv((4, *FIVE), window(FIVE, 2), 2),
        channels_in_order([2, 0, 3, 1]),
        Sparse,
    ),
    "convolution of a channel twice": (
        conv((4, *FIVE), window(FIVE, 1)),
        channels_in_order([2, 0, 3, 3]),
        Sparse,
    ),
    "convolution of cells in order": (
        conv((4, *FIVE), window(FIVE, 1)),
        rolled(),
        Sparse,
    ),
    "convolution of scaled channels": (
        conv((4, *FIVE), window(FIVE, 1)),
        identity((4, *FIVE), np.array([1.0, 1.0, 2.0, 1.0])),
        Sparse,
    ),
    "convolution of convolution": (
        conv((4, 5, 3), window((5, 3), (3, 2), (1, 2))),
        conv((2, 9, 8), window((9, 8), (2, 3), (2, 3), ((0, 1), (2, 0)))),
        Conv,
    ),
    "padded convolution of convolution": (
        conv((4, *FIVE), window(FIVE, 2, 1, ((0, 0), (0, 1)))),
        conv((2, *FIVE), window(FIVE, 1)),
        Sparse,
    ),
    "dilated convolution of convolution": (
        conv((4, *FIVE), window(FIVE, 2, dilation=2)),
        conv((2, *FIVE), window(FIVE, 1)),
        Sparse,
    ),
    "convolution of dilated convolution": (
        conv((4, 1, 3), window((1, 3), 1)),
        conv((2, *FIVE), window(FIVE, 2, dilation=2)),
        Sparse,
    ),
    "grouped convolution of convolution": (
        conv((4, *FIVE), window(FIVE, 1), 2),
        conv((2, *FIVE), window(FIVE, 1)),
        Sparse,
    ),
    "convolution of grouped convolution": (
        conv((4, *FIVE), window(FIVE, 1)),
        conv((2, *FIVE), window(FIVE, 1), 2),
        Conv,
    ),
    "channels of a convolution": (
        picking(np.arange(60).reshape(4, 3, 5)[[2, 0, 2]], (4, 3, 5)),
        conv((2, 4, 6), window((4, 6), 2)),
        Conv,
    ),
    "channels of a grouped convolution": (
        picking(np.arange(60).reshape(4, 3, 5)[[2, 0]], (4, 3, 5)),
        conv((2, 4, 6), window((4, 6), 2), 2),
        Sparse,
    ),
    "cells of a convolution": (rolled(), conv((2, 4, 6), window((4, 6), 2)), Sparse),
    "pool of convolution": (
        pool(4, window(FIVE, 2)),
        conv((2, 4, 6), window((4, 6), 2)),
        Conv,
    ),
    "pool of grouped convolution": (
        pool(4, window(FIVE, 2)),
        conv((2, 4, 6), window((4, 6), 2), 2),
        Conv,
    ),
    "padded pool of convolution": (
        pool(4, window(FIVE, 2, pad=1)),
        conv((2, *FIVE), window(FIVE, 1)),
        Sparse,
    ),
    "dense of all cells": (
        Dense(RANDOM.normal(size=(3, 60)), (4, 3, 5)),
        rolled(),
        Dense,
    ),
    "dense of some cells": (
        Dense(RANDOM.normal(size=(3, 4)), (4,)),
        picking(np.array([3, -1, 0, 5]), (6,)),
        Sparse,
    ),
    "pool of pool": (pool(2, window(TILED, 2)), pool(2, HALVES), Sparse),
}


def matrix_of(connectivity: Connectivity) -> np.ndarray:
    matrix = np.zeros((math.prod(connectivity.post_shape), math.prod(connectivity.pre_shape)))
    post, pre, weight = connectivity.to_coo()
    matrix[post, pre] = weight
    return matrix


@pytest.mark.parametrize("case", CASES)
def test_the_map_is_both_in_turn_and_as_large_as_was_told(case: str) -> None:
    second, first, kind = CASES[case]
    whole = compose(second, first, "x")
    assert type(whole) is kind
    assert (whole.pre_shape, whole.post_shape) == (first.pre_shape, second.post_shape)
    np.testing.assert_allclose(matrix_of(whole), matrix_of(second) @ matrix_of(first), atol=1e-12)
    paths = (matrix_of(second) != 0).astype(int) @ (matrix_of(first) != 0)
    pairs = np.count_nonzero(paths)
    assert whole.n_synapses == pairs
    most, listed = composed_synapses(second, first)
    assert bool(listed) is (kind is Sparse or case == "dense of all cells")
    if listed:
        assert listed == max(paths.sum(), first.n_synapses, second.n_synapses)
        assert most == min(paths.sum(), paths.size)
    else:
        # A convolution that only pads more has those onto padding too.
        assert most == (second.n_synapses if case == "convolution of padding" else pairs)


@pytest.mark.parametrize("case", ["dense of some cells", "pool of pool"])
def test_a_list_may_be_as_long_as_the_limit(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    second, first, *_ = CASES[case]
    fan_in, fan_out = first.fan_in().reshape(-1), second.fan_out().reshape(-1)
    longest = max(int(fan_in @ fan_out), first.n_synapses, second.n_synapses)
    monkeypatch.setattr(composition, "MAX_COMPOSED_SYNAPSES", longest)
    compose(second, first, "x")
    monkeypatch.setattr(composition, "MAX_COMPOSED_SYNAPSES", longest - 1)
    with pytest.raises(UnsupportedLayerError, match=f"x: .* {longest} synapses against"):
        compose(second, first, "x")


def test_picked_cells_are_taken_and_minus_one_is_nothing() -> None:
    some = picking(np.array([[3, -1], [0, 5]]), (2, 3))
    x = np.arange(1.0, 7.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(some.apply(x), [[[4.0, 0.0], [1.0, 6.0]]])


def test_padding_is_zeros_around_the_cells() -> None:
    around = padding((2, *FIVE), BORDERS)
    x = RANDOM.normal(size=(1, 2, *FIVE))
    np.testing.assert_array_equal(around.apply(x), np.pad(x, ((0, 0), (0, 0), *BORDERS)))


def test_synapses_of_one_pair_add_up() -> None:
    post, pre, weight = np.array([1, 0, 1, 1]), np.array([2, 1, 2, 0]), np.array([0.5, 1, 2, 4])
    found = summed(post, pre, weight, 3)
    for got, expected in zip(found, ([0, 1, 1], [1, 0, 2], [1.0, 4.0, 2.5]), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_what_connects_as_a_convolution_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list is made on the way: it is refused at any length here."""
    monkeypatch.setattr(composition, "MAX_COMPOSED_SYNAPSES", 0)
    made: Callable[[str], Connectivity] = lambda case: compose(*CASES[case][:2], "x")  # noqa: E731
    kinds = [type(made(case)) for case, (*_, kind) in CASES.items() if kind is Conv]
    assert kinds == [Conv] * 8
