"""Two linear maps in turn are one, of the kind and the size that are told before it is made."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from neurodeploy.errors import NetlistError, UnsupportedLayerError
from neurodeploy.ir import composition
from neurodeploy.ir.composition import compose, composed_synapses, padding, picking, summed
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.geometry import Window

RANDOM = np.random.default_rng(0)
FIVE = (3, 5)


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


def repeated(size: tuple[int, int], factors: int | tuple[int, int]) -> Window:
    """Every cell as many times as it is wide: nearest upsampling."""
    wide = (factors, factors) if isinstance(factors, int) else factors
    pads = tuple((n - 1, n - 1) for n in wide)
    return Window(size, wide, (1, 1), pads, (1, 1), wide)


def transposed(shape: tuple[int, ...], kernel: int, stride: int, cut: int = 0) -> Conv:
    """A transposed convolution to 4 channels, ``cut`` places off each side."""
    pads, two = ((kernel - 1 - cut,) * 2,) * 2, (stride, stride)
    place = Window(shape[1:], (kernel,) * 2, (1, 1), pads, (1, 1), two)
    return conv(shape, place)


def channels_in_order(order: list[int]) -> Sparse:
    """Whole channels of an input of 4 x 3 x 5 in another order."""
    return picking(np.arange(60).reshape(4, 3, 5)[order], (4, 3, 5))


def every_second_channel() -> Sparse:
    """The others of 4 x 3 x 5 are left empty."""
    cells = np.arange(60).reshape(4, *FIVE)
    cells[1::2] = -1
    return picking(cells, (4, *FIVE))


def mixing(matrix: np.ndarray) -> Sparse:
    """Each channel the sum of others of 3 x 5, in any order of the synapses."""
    post, pre, place = (index.reshape(-1) for index in np.indices((*matrix.shape, 15)))
    order = RANDOM.permutation(post.size)
    weight, post, pre = matrix[post, pre], post * 15 + place, pre * 15 + place
    shapes = ((matrix.shape[1], *FIVE), (len(matrix), *FIVE))
    return Sparse(weight[order], post[order], pre[order], *shapes)


def rolled() -> Sparse:
    """All cells of 4 x 3 x 5, but not the channels as wholes."""
    return picking(np.roll(np.arange(60), 1).reshape(4, 3, 5), (4, 3, 5))


TILED = (4, 6)
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
        Conv,
    ),
    "convolution of half of the channels": (
        conv((2, *FIVE), window(FIVE, (2, 3), 1, 1)),
        channels_in_order([3, 1]),
        Conv,
    ),
    "convolution of half of the channels among others": (
        conv((4, *FIVE), window(FIVE, 2)),
        every_second_channel(),
        Conv,
    ),
    "convolution of one channel of five": (
        conv((1, *FIVE), window(FIVE, 2)),
        picking(np.arange(15).reshape(1, *FIVE), (5, *FIVE)),
        Sparse,
    ),
    "grouped convolution of half of the channels": (
        conv((2, *FIVE), window(FIVE, 2), 2),
        channels_in_order([3, 1]),
        Sparse,
    ),
    "convolution of half of the channels at one place": (
        conv((2, 1, 1), window((1, 1), 1)),
        picking(np.arange(2).reshape(2, 1, 1), (4, 1, 1)),
        Sparse,
    ),
    "convolution of mixed channels": (
        conv((3, *FIVE), window(FIVE, 2)),
        mixing(RANDOM.normal(size=(3, 4))),
        Conv,
    ),
    "convolution of cells in order": (
        conv((4, *FIVE), window(FIVE, 1)),
        rolled(),
        Sparse,
    ),
    "convolution of scaled channels": (
        conv((4, *FIVE), window(FIVE, 1)),
        identity((4, *FIVE), np.array([1.0, 1.0, 2.0, 1.0])),
        Conv,
    ),
    "convolution of scaled cells": (
        conv((4, *FIVE), window(FIVE, 1)),
        identity((4, *FIVE)).with_weight(np.arange(1.0, 61.0)),
        Sparse,
    ),
    "convolution of convolution": (
        conv((4, 5, 3), window((5, 3), (3, 2), (1, 2))),
        conv((2, 9, 8), window((9, 8), (2, 3), (2, 3), ((0, 1), (2, 0)))),
        Conv,
    ),
    "padded convolution of convolution": (
        conv((4, *FIVE), window(FIVE, 2, 1, ((0, 0), (0, 1)))),
        conv((2, 3, 6), window((3, 6), (1, 2))),
        Sparse,
    ),
    "padded convolution of single cells": (
        conv((4, *FIVE), window(FIVE, 2, 1, ((0, 0), (0, 1)))),
        conv((2, *FIVE), window(FIVE, 1)),
        Conv,
    ),
    "padded convolution of a convolution padded to its end": (
        conv((4, *FIVE), window(FIVE, 2, 1, ((0, 2), (3, 0)))),
        conv((2, 2, 4), window((2, 4), (2, 3), 1, ((1, 1), (2, 1)))),
        Conv,
    ),
    "padded convolution of cells that leave some out": (
        conv((4, *FIVE), window(FIVE, 2, 1, ((0, 0), (1, 1)))),
        conv((2, 3, 10), window((3, 10), 1, (1, 2))),
        Conv,
    ),
    "dilated convolution of convolution": (
        conv((4, 2, 3), window((2, 3), 2, dilation=(1, 2))),
        conv((2, 3, 4), window((3, 4), 2)),
        Sparse,
    ),
    "dilated convolution of single cells": (
        conv((4, *FIVE), window(FIVE, 2, dilation=2)),
        conv((2, *FIVE), window(FIVE, 1)),
        Conv,
    ),
    "single cells of dilated convolution": (
        conv((4, 1, 3), window((1, 3), 1)),
        conv((2, *FIVE), window(FIVE, 2, dilation=2)),
        Conv,
    ),
    "depthwise convolution of convolution": (
        conv((4, *FIVE), window(FIVE, 2), 4, out=8),
        conv((2, *FIVE), window(FIVE, 1)),
        Conv,
    ),
    "depthwise convolution of grouped convolution": (
        conv((4, *FIVE), window(FIVE, 2), 4, out=8),
        conv((2, 4, 6), window((4, 6), 2), 2),
        Conv,
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
        conv((2, 4, 6), window((4, 6), 2)),
        Sparse,
    ),
    "padded pool of single cells": (
        pool(4, window(FIVE, 2, pad=1)),
        conv((2, *FIVE), window(FIVE, 1)),
        Conv,
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
    "padded convolution of repeated cells": (
        conv((2, 6, 15), window((6, 15), 3, 1, 1)),
        pool(2, repeated(FIVE, (2, 3))),
        Conv,
    ),
    "strided grouped convolution of repeated cells": (
        conv((2, 6, 15), window((6, 15), 3, 2, 1), 2),
        pool(2, repeated(FIVE, (2, 3))),
        Conv,
    ),
    "dilated convolution of repeated cells": (
        conv((2, 6, 15), window((6, 15), 2, dilation=2)),
        pool(2, repeated(FIVE, (2, 3))),
        Sparse,
    ),
    "repeated cells of convolution": (
        pool(4, repeated(FIVE, (2, 3))),
        conv((2, *FIVE), window(FIVE, 3, 1, 1)),
        Conv,
    ),
    "repeated cells of convolution with stride": (
        pool(4, repeated(FIVE, (2, 3))),
        conv((2, 6, 10), window((6, 10), 2, 2)),
        Sparse,
    ),
    "repeated cells of repeated cells": (
        pool(2, repeated((6, 15), 2)),
        pool(2, repeated(FIVE, (2, 3))),
        SumPool,
    ),
    "padded repeated cells": (
        padding((2, 6, 15), BORDERS),
        pool(2, repeated(FIVE, (2, 3))),
        SumPool,
    ),
    "average of repeated cells": (
        pool(2, window((6, 15), (2, 3), 2)),
        pool(2, repeated(FIVE, (2, 3))),
        Conv,
    ),
    "convolution of transposed convolution": (
        conv((4, 6, 10), window((6, 10), 2)),
        transposed((2, *FIVE), 2, 2),
        Conv,
    ),
    "padded convolution of transposed convolution": (
        conv((4, 6, 10), window((6, 10), 3, 1, 1)),
        transposed((2, *FIVE), 2, 2),
        Conv,
    ),
    "padded convolution of transposed convolution that is cut": (
        conv((4, 6, 10), window((6, 10), 3, 1, 1)),
        transposed((2, *FIVE), 4, 2, 1),
        Sparse,
    ),
    "transposed convolution of padding": (
        transposed((2, 6, 8), 4, 2, 1),
        padding((2, *FIVE), BORDERS),
        Conv,
    ),
    "transposed convolution of tiles": (
        transposed((2, *TILED), 2, 2),
        pool(2, HALVES),
        Sparse,
    ),
    "transposed convolution of convolution": (
        transposed((4, *FIVE), 3, 2, 1),
        conv((2, *FIVE), window(FIVE, 3, 1, 1)),
        Conv,
    ),
    "transposed convolution with holes of convolution": (
        transposed((4, *FIVE), 2, 3),
        conv((2, *FIVE), window(FIVE, 3, 1, 1)),
        Sparse,
    ),
    "transposed convolution of channels in order": (
        transposed((4, *FIVE), 2, 2),
        channels_in_order([2, 0, 3, 1]),
        Conv,
    ),
    "channels of a transposed convolution": (
        picking(np.arange(240).reshape(4, 6, 10)[[2, 0, 2]], (4, 6, 10)),
        transposed((2, *FIVE), 2, 2),
        Conv,
    ),
}


def before_channels(first: Connectivity) -> np.ndarray:
    return first.to_coo()[1] // math.prod(first.pre_shape[1:])


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
    pre = np.unique(before_channels(first)).size
    # Channels that are left out are zeros.
    pairs = pairs * first.pre_shape[0] // pre if "channel" in case and kind is Conv else pairs
    assert whole.n_synapses == pairs
    most, listed = composed_synapses(second, first)
    assert bool(listed) is (kind is Sparse or case == "dense of all cells")
    if listed:
        assert listed == max(paths.sum(), first.n_synapses, second.n_synapses)
        assert most == min(paths.sum(), paths.size)
    else:
        # A convolution that only pads more has those onto padding too.
        assert most == (second.n_synapses if case.endswith("convolution of padding") else pairs)


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
    wanted = [(case, kind) for case, (*_, kind) in CASES.items() if kind in (Conv, SumPool)]
    assert len(wanted) > 20
    for case, kind in wanted:
        assert type(made(case)) is kind


def any_window(rng: np.random.Generator, size: tuple[int, ...]) -> Window:
    """Kernels, strides, dilation, padding and spacing of all kinds; NetlistError if too large."""
    n = len(size)

    def some(most: int, share: float = 1.0) -> tuple[int, ...]:
        drawn = rng.integers(1, most + 1, n) if rng.random() < share else np.ones(n)
        return tuple(int(v) for v in drawn)

    apart = some(3, 0.6)
    if rng.random() < 0.3:
        around = tuple((s - 1, s - 1) for s in apart)
        return Window(size, apart, (1,) * n, around, (1,) * n, apart)
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (n, 2)))
    pads = pads if rng.random() < 0.7 else ((0, 0),) * n
    return Window(size, some(4), some(2, 0.4), pads, some(2, 0.2), apart)


def any_map(rng: np.random.Generator, channels: int, size: tuple[int, ...]) -> Conv | SumPool:
    place = any_window(rng, size)
    if rng.random() < 0.3:
        return SumPool(rng.integers(1, 9, channels).astype(float), place)
    groups = int(rng.choice([1, *(g for g in range(1, channels + 1) if channels % g == 0)]))
    out = groups * int(rng.integers(1, 3))
    weight = rng.integers(1, 9, (out, channels // groups, *place.kernel)).astype(float)
    return Conv(weight, channels, place, groups)


def test_any_two_windows_are_what_their_lists_compose_to() -> None:
    """Whole numbers: not a digit is lost. No weight of a window stands where there is no path."""
    rng, made = np.random.default_rng(3), {Conv: 0, SumPool: 0, Sparse: 0}
    while sum(made.values()) < 1500:
        size = tuple(int(v) for v in rng.integers(1, 6, rng.integers(1, 3)))
        try:
            first = any_map(rng, int(rng.choice([1, 2, 4])), size)
            second = any_map(rng, first.post_shape[0], first.post_shape[1:])
        except NetlistError:
            continue
        if math.prod(second.post_shape) > 2000:
            continue
        whole = compose(second, first, "x")
        after, before = matrix_of(second), matrix_of(first)
        np.testing.assert_array_equal(matrix_of(whole), after @ before)
        most, listed = composed_synapses(second, first)
        made[type(whole)] += 1
        assert bool(listed) is isinstance(whole, Sparse)
        assert whole.n_synapses == np.count_nonzero((after != 0).astype(int) @ (before != 0))
        assert most >= whole.n_synapses
    assert min(made.values()) > 20
