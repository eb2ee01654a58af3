"""Two linear maps without an activation between them become one, exactly."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.joint_windows import JointWindow, joint_window

MAX_COMPOSED_SYNAPSES = 50_000_000
MOST_ZEROS = 4
"""Channels of a convolution for each that it needs, where a part of them is taken."""


def compose(second: Connectivity, first: Connectivity, where: str) -> Connectivity:
    """``second . first`` as one map.

    Dense maps multiply, convolutions stay convolutions where their borders allow it and behind
    channels that are taken whole, everything else becomes a list of synapses.

    Raises
    ------
    UnsupportedLayerError
        If such a list is longer than is sensible.
    """
    if isinstance(second, Dense) and isinstance(first, Dense):
        return Dense(second.weight @ first.weight, first.shape_in)
    if isinstance(second, Conv) and isinstance(first, SumPool) and _is_padding(first):
        return _padded(second, first)
    if isinstance(second, Conv) and isinstance(first, SumPool) and _tiles(first):
        spread = _of_tiles(second, first)
        if spread is not None:
            return spread
    channels = _channels(second, first)
    if channels is not None:
        assert isinstance(second, Conv)
        return channels.before(second)
    if isinstance(first, Conv) and first.groups == 1:
        rows = _kept_channels(second)
        if rows is not None:
            return Conv(first.weight[rows], first.channels_in, first.window)
    joint = _joint(second, first)
    if joint is not None:
        return _joined(second, first, joint)
    return _expanded(second, first, where)


def composed_synapses(second: Connectivity, first: Connectivity) -> tuple[int, int]:
    """How many synapses :func:`compose` makes at most, and how long a list it needs for them."""
    if isinstance(second, Dense) and isinstance(first, Dense):
        return second.weight.shape[0] * first.weight.shape[1], 0
    if isinstance(second, Conv) and isinstance(first, SumPool) and _is_padding(first):
        return second.n_synapses, 0
    if isinstance(second, Conv) and isinstance(first, SumPool) and _tiles(first):
        window = None if second.groups > 1 else _tiled_window(second.window, first.window)
        if window is not None:
            channels = second.weight.shape[0] * second.channels_in
            return int(window.taps_per_output().sum()) * channels, 0
    if _channels(second, first) is not None:
        return second.n_synapses // second.pre_shape[0] * first.pre_shape[0], 0
    if isinstance(first, Conv) and first.groups == 1 and _kept_channels(second) is not None:
        return first.n_synapses * second.post_shape[0] // first.post_shape[0], 0
    joint = _joint(second, first)
    if joint is not None:
        channels = second.post_shape[0] * _joint_fan_in(second, first)
        return int(joint.window.taps_per_output().sum()) * channels, 0
    pairs = math.prod(second.post_shape) * math.prod(first.pre_shape)
    return min(_paths(second, first), pairs), _listed(second, first)


def padding(shape: tuple[int, ...], amounts: tuple[tuple[int, int], ...]) -> SumPool:
    """Zeros around the spatial axes as a map: a window of one cell over padded axes."""
    ones = (1,) * len(amounts)
    return SumPool(np.ones(shape[0]), Window(shape[1:], ones, ones, amounts, ones))


def picking(index: IntArray, shape: tuple[int, ...]) -> Sparse:
    """Elements of an input of ``shape`` in another order, nothing at -1."""
    post = np.flatnonzero(index.reshape(-1) >= 0)
    pre = index.reshape(-1)[post].astype(np.int64)
    return Sparse(np.ones(post.size), post, pre, shape, index.shape)


def _is_padding(layer: SumPool) -> bool:
    window = layer.window
    return window.n_taps == 1 and set(window.stride) == {1} and not window.is_spaced


def _tiles(layer: SumPool) -> bool:
    """Whether windows lie side by side and cover all of the input."""
    window = layer.window
    sizes = zip(window.input_size, window.kernel, strict=True)
    return (
        window.stride == window.kernel
        and not any(map(any, window.padding))
        and set(window.dilation) == {1}
        and not window.is_spaced
        and all(n % k == 0 for n, k in sizes)
    )


def _of_tiles(second: Conv, first: SumPool) -> Conv | None:
    """A convolution of sums over tiles: every weight stands at all cells of its tile."""
    spread = None if second.groups > 1 else _tiled_window(second.window, first.window)
    if spread is None:
        return None
    tile = first.window.kernel
    weight = second.weight * first.weight.reshape(1, -1, *(1,) * len(tile))
    for axis, k in enumerate(tile):
        weight = np.repeat(weight, k, axis=2 + axis)
    return Conv(weight, first.pre_shape[0], spread)


def _tiled_window(outer: Window, tiles: Window) -> Window | None:
    """The window of a convolution of sums over tiles; None with dilation or spacing."""
    if set(outer.dilation) != {1} or outer.is_spaced:
        return None
    tile = tiles.kernel
    return Window(
        tiles.input_size,
        tuple(n * k for n, k in zip(outer.kernel, tile, strict=True)),
        tuple(n * k for n, k in zip(outer.stride, tile, strict=True)),
        tuple((a * k, b * k) for (a, b), k in zip(outer.padding, tile, strict=True)),
        outer.dilation,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ChannelMap:
    """Whole channels of ``n`` taken to others, each pair with one weight for all places."""

    post: IntArray
    pre: IntArray
    weight: FloatArray
    n: int

    def before(self, layer: Conv) -> Conv:
        """The convolution of what it makes; channels that it leaves out have weights of 0."""
        if self.post.size > layer.channels_in:
            mixed = np.zeros((layer.channels_in, self.n))
            mixed[self.post, self.pre] = self.weight
            weight = np.moveaxis(np.tensordot(layer.weight, mixed, (1, 0)), -1, 1)
            return Conv(weight, self.n, layer.window)
        weight = np.zeros((len(layer.weight), self.n, *layer.window.kernel))
        for post, pre, factor in zip(self.post, self.pre, self.weight, strict=True):
            weight[:, pre] += layer.weight[:, post] * factor
        return Conv(weight, self.n, layer.window)


def _channels(second: Connectivity, first: Connectivity) -> _ChannelMap | None:
    """The map of whole channels that a convolution of them all follows; None where it is none.

    Zeros of channels that are left out are weights too: at most ``MOST_ZEROS`` times as many
    as are needed, and no more than a list would have.
    """
    if not isinstance(second, Conv) or second.groups > 1 or not isinstance(first, Sparse):
        return None
    found = _channel_map(first)
    if found is None:
        return None
    used = np.unique(found.pre).size
    if used == found.n:
        return found
    listed = second.n_synapses // second.channels_in * used
    few = found.n <= MOST_ZEROS * used and second.weight[:, 0].size * found.n <= listed
    return found if few else None


def _channel_map(layer: Sparse) -> _ChannelMap | None:
    area = math.prod(layer.pre_shape[1:])
    same = len(layer.pre_shape) > 1 and layer.pre_shape[1:] == layer.post_shape[1:]
    if not same or layer.weight.size == 0 or layer.weight.size % area:
        return None
    (post, place), (pre, own) = np.divmod(layer.post, area), np.divmod(layer.pre, area)
    if (place != own).any():
        return None
    pair = post * layer.pre_shape[0] + pre
    order = np.lexsort((place, pair))
    pairs, weight = pair[order].reshape(-1, area), layer.weight[order].reshape(-1, area)
    # Of a pair that all places have, each has it once.
    if (pairs != pairs[:, :1]).any() or (weight != weight[:, :1]).any():
        return None
    post, pre = np.divmod(pairs[:, 0], layer.pre_shape[0])
    return _ChannelMap(post, pre, weight[:, 0], layer.pre_shape[0])


def _kept_channels(layer: Connectivity) -> IntArray | None:
    """The channels that an index map takes whole, in its order; None where it is none of them."""
    same = len(layer.pre_shape) > 1 and layer.pre_shape[1:] == layer.post_shape[1:]
    if not isinstance(layer, Sparse) or not same or (layer.weight != 1).any():
        return None
    if not np.array_equal(np.sort(layer.post), np.arange(math.prod(layer.post_shape))):
        return None
    size = math.prod(layer.pre_shape[1:])
    by_channel = layer.pre[np.argsort(layer.post)].reshape(-1, size)
    columns = by_channel[:, 0] // size
    return columns if (by_channel == columns[:, None] * size + np.arange(size)).all() else None


def _padded(second: Conv, first: SumPool) -> Conv:
    """A convolution of an explicitly padded tensor: the convolution pads more."""
    window = second.window
    amounts = tuple(
        (before + a * apart, after + b * apart)
        for (before, after), (a, b), apart in zip(
            window.padding, first.window.padding, window.spacing, strict=True
        )
    )
    size, kernel = first.window.input_size, window.kernel
    wider = Window(size, kernel, window.stride, amounts, window.dilation, window.spacing)
    scaled = second.scale_inputs(first.weight)
    return Conv(scaled.weight, second.channels_in, wider, second.groups)


def _joint(second: Connectivity, first: Connectivity) -> JointWindow | None:
    """The window of a window over another one; None where both are no one convolution."""
    if not isinstance(second, Conv | SumPool) or not isinstance(first, Conv | SumPool):
        return None
    if isinstance(first, SumPool):
        # Of sums over windows, only those that set cells apart are worth more than a list.
        if not (first.window.is_spaced or second.window.is_spaced):
            return None
    elif isinstance(second, Conv) and second.groups > 1 and not _is_depthwise(second):
        return None
    return joint_window(second.window, first.window)


def _is_depthwise(layer: Conv) -> bool:
    return layer.groups == layer.channels_in


def _joint_fan_in(second: Connectivity, first: Connectivity) -> int:
    """Input channels of an output channel of both in turn."""
    if isinstance(first, SumPool):
        return second.weight.shape[1] if isinstance(second, Conv) else 1
    assert isinstance(first, Conv)
    mixes = isinstance(second, Conv) and not _is_depthwise(second)
    return first.channels_in if mixes else int(first.weight.shape[1])


def _joined(second: Connectivity, first: Connectivity, joint: JointWindow) -> Conv | SumPool:
    """Both in turn: the outer kernel times what the inner one is at each of its cells."""
    assert isinstance(second, Conv | SumPool)
    if isinstance(first, SumPool):
        return _joined_sums(second, first, joint)
    assert isinstance(first, Conv)
    mixes = isinstance(second, Conv) and not _is_depthwise(second)
    first = _of_all_channels(first) if mixes else first
    n_out, n_in = second.post_shape[0], first.weight.shape[1]
    weight = np.zeros((n_out, n_in, *joint.window.kernel))
    for tap in itertools.product(*map(range, second.window.kernel)):
        cell: Any = (slice(None), slice(None), *tap)
        if isinstance(second, SumPool):
            mixed = first.scale_channels(second.weight).weight
        elif mixes:
            mixed = np.tensordot(second.weight[cell], first.weight, 1)
        else:
            each = np.repeat(first.weight, n_out // len(first.weight), axis=0)
            mixed = each * second.weight[cell].reshape(-1, *(1,) * (each.ndim - 1))
        at: Any = (..., *joint.at(tap, first.window.kernel))
        weight[at] += mixed
    return Conv(weight, first.channels_in, joint.window, first.groups)


def _joined_sums(second: Conv | SumPool, first: SumPool, joint: JointWindow) -> Conv | SumPool:
    """A window over sums: each of its weights stands at all cells of a sum, once for each."""
    inner = first.window.kernel
    if isinstance(second, Conv):
        outer = second.scale_inputs(first.weight).weight
        lead = outer.shape[:2]
    else:
        outer, lead = np.ones((1, 1, *second.window.kernel)), (1, 1)
    weight = np.zeros((*lead, *joint.window.kernel))
    for tap in itertools.product(*map(range, second.window.kernel)):
        at: Any = (..., *joint.at(tap, inner))
        cell: Any = (slice(None), slice(None), *tap)
        weight[at] += outer[cell].reshape(*lead, *(1,) * len(inner))
    channels = first.pre_shape[0]
    if isinstance(second, Conv):
        return Conv(weight, channels, joint.window, second.groups)
    both = second.weight * first.weight
    if (weight == weight.flat[0]).all():
        return SumPool(both * weight.flat[0], joint.window)
    each = both.reshape(-1, *(1,) * (weight.ndim - 1)) * weight
    return Conv(each, channels, joint.window, channels)


def _of_all_channels(layer: Conv) -> Conv:
    """A convolution of groups with the zeros between them written out."""
    if layer.groups == 1:
        return layer
    weight = np.zeros((len(layer.weight), layer.channels_in, *layer.window.kernel))
    rows, columns = (n // layer.groups for n in weight.shape[:2])
    for i in range(layer.groups):
        own = slice(i * rows, (i + 1) * rows)
        weight[own, i * columns : (i + 1) * columns] = layer.weight[own]
    return Conv(weight, layer.channels_in, layer.window)


def _expanded(second: Connectivity, first: Connectivity, where: str) -> Connectivity:
    paths = _paths(second, first)
    longest = _listed(second, first)
    if longest > MAX_COMPOSED_SYNAPSES:
        raise UnsupportedLayerError(
            f"{where}: two linear layers without an activation between them compose to {longest} "
            f"synapses against {MAX_COMPOSED_SYNAPSES}; insert a ReLU or merge them in the source"
        )
    post2, middle2, weight2 = second.to_coo()
    post1, pre1, weight1 = first.to_coo()
    if (post1[1:] < post1[:-1]).any():
        order = np.argsort(post1, kind="stable")
        post1, pre1, weight1 = post1[order], pre1[order], weight1[order]
    starts = np.searchsorted(post1, np.arange(math.prod(first.post_shape) + 1))
    counts = starts[middle2 + 1] - starts[middle2]
    run = np.repeat(starts[middle2] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    index = run + np.arange(paths)
    post, pre, weight = summed(
        np.repeat(post2, counts),
        pre1[index],
        np.repeat(weight2, counts) * weight1[index],
        math.prod(first.pre_shape),
    )
    n_post, n_pre = math.prod(second.post_shape), math.prod(first.pre_shape)
    if len(second.post_shape) == 1 and weight.size == n_post * n_pre:
        return Dense(weight.reshape(n_post, n_pre), first.pre_shape)
    return Sparse(weight, post, pre, first.pre_shape, second.post_shape)


def _listed(second: Connectivity, first: Connectivity) -> int:
    return max(_paths(second, first), first.n_synapses, second.n_synapses)


def _paths(second: Connectivity, first: Connectivity) -> int:
    """Ways from a first to a last neuron through any in between."""
    return int((second.fan_out().reshape(-1) * first.fan_in().reshape(-1)).sum())


def summed(
    post: IntArray, pre: IntArray, weight: FloatArray, n_pre: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Synapses with those of one pair added up, sorted by post, then pre."""
    pairs = post * n_pre + pre
    if (pairs[1:] > pairs[:-1]).all():
        return post, pre, weight
    pairs, inverse = np.unique(pairs, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), weights=weight, minlength=pairs.size)
    return pairs // n_pre, pairs % n_pre, total.astype(np.float64)
