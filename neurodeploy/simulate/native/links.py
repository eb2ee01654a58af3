"""Projections as the native kernels take them, each path chosen by a proof.

Three forms: rows of weights (convolutions of one group, dense maps), weights per channel (pools,
depthwise and grouped convolutions, one synapse from every neuron to its namesake), and listed
synapses. Rows are summed in lanes of 16 bits where the proved interval of every row fits them,
which is exact in any order since lanes wrap; else in groups of rows that cannot leave 16 bits; else
in the width of the states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerProjection
from neurodeploy.simulate.order import neuron_order, neuron_place, pixels

ROWS, CHANNELS, LISTED = 0, 1, 2
LANES = 32
INT16 = 2**15 - 1
WIDE = -1
ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """Fields of ``nd_link`` that follow from the projection and its source's payloads."""

    kind: int
    numbers: dict[str, int]
    arrays: dict[str, AnyArray]

    @property
    def path(self) -> str:
        """The kernel that it takes, for people."""
        if self.kind == LISTED:
            return "synapse by synapse"
        if self.kind == CHANNELS:
            return "channel by channel"
        flush = self.numbers["flush"]
        if flush == WIDE:
            return "rows, wide sums"
        return "rows, 16-bit sums" if flush == 0 else f"rows, 16-bit sums of {flush}"


def plan_link(projection: IntegerProjection, low: int, high: int) -> LinkPlan:
    """Choose a kernel for a projection whose source emits values in [low, high]."""
    connectivity = projection.connectivity
    exponent = np.broadcast_to(projection.exponent, connectivity.post_shape[:1])
    scale = np.left_shift(np.int64(1), exponent)
    if isinstance(connectivity, Dense):
        columns = connectivity.weight[:, neuron_order(connectivity.pre_shape)]
        taps: AnyArray = np.arange(pixels(connectivity.pre_shape), dtype=np.int32)[None]
        return _rows(connectivity, columns.T, taps, scale, low, high)
    if isinstance(connectivity, Conv):
        c_out, c_group = connectivity.weight.shape[:2]
        taps = window_cells(connectivity.window)
        weight = connectivity.weight.reshape(c_out, c_group, -1)
        if connectivity.groups == 1:
            rows = weight.transpose(2, 1, 0).reshape(-1, c_out)
            return _rows(connectivity, rows, taps, scale, low, high)
        fan = c_out // connectivity.groups
        scaled = (weight * scale[:, None, None]).reshape(connectivity.groups, fan, c_group, -1)
        return _channels(scaled.transpose(3, 0, 2, 1), taps, c_group, fan)
    if isinstance(connectivity, SumPool):
        per_tap = np.broadcast_to(
            connectivity.weight * scale, (connectivity.window.n_taps, scale.size)
        )
        return _channels(per_tap, window_cells(connectivity.window), 1, 1)
    return _listed(connectivity, scale)


def window_cells(window: Window) -> AnyArray:
    """Flat input cell that every tap of every window meets, -1 in the padding.

    int32 ``[windows, taps]``.
    """
    cells = np.arange(math.prod(window.input_size), dtype=np.int32).reshape(window.input_size)
    padded = window.pad(cells, -1)
    return np.stack([padded[where].reshape(-1) for _, where in window.taps()], axis=1)


def _rows(
    connectivity: Connectivity,
    weight: AnyArray,
    taps: AnyArray,
    scale: AnyArray,
    low: int,
    high: int,
) -> LinkPlan:
    n_rows, channels = weight.shape
    lanes = -(-channels // LANES) * LANES
    rows = aligned((n_rows + 1, lanes), np.int16)
    rows[:n_rows, :channels] = weight
    numbers = {
        "n_taps": taps.shape[1],
        "zero_row": n_rows,
        "lanes": lanes,
        "flush": _flush(connectivity, low, high),
    }
    arrays: dict[str, AnyArray] = {"taps": taps, "rows": rows}
    if (scale != 1).any():
        arrays["scale"] = scale
    return LinkPlan(ROWS, numbers, arrays)


def _flush(connectivity: Connectivity, low: int, high: int) -> int:
    """Rows that a sum of 16 bits is proved to hold: 0 for all, WIDE for too few."""
    positive, negative = connectivity.row_sums()
    # 0 is a payload, so that every partial sum lies between the two. Doubles: only the order of
    # magnitude matters where they are not exact.
    least = positive.astype(np.float64) * low + negative.astype(np.float64) * high
    most = positive.astype(np.float64) * high + negative.astype(np.float64) * low
    if max(-least.min(), most.max()) <= INT16:
        return 0
    largest = max(-low, high) * int(np.abs(connectivity.weight).max(initial=0))
    held = INT16 // largest // 4 * 4
    return held if held >= 4 else WIDE


def _channels(weight: AnyArray, taps: AnyArray, group_in: int, fan: int) -> LinkPlan:
    numbers = {"n_taps": taps.shape[1], "group_in": group_in, "fan": fan}
    return LinkPlan(CHANNELS, numbers, {"taps": taps, "weight": weight.astype(np.int64)})


def _listed(connectivity: Connectivity, scale: AnyArray) -> LinkPlan:
    shape_in, shape_out = connectivity.pre_shape, connectivity.post_shape
    n_pre, n_post = math.prod(shape_in), math.prod(shape_out)
    post, pre, weight = connectivity.to_coo()
    weight = weight * scale[post // (n_post // shape_out[0])]
    post, pre = neuron_place(shape_out)[post], neuron_place(shape_in)[pre]
    order = np.lexsort((post, pre))
    post, pre, weight = post[order], pre[order], weight[order]
    if shape_in == shape_out and post.size == n_post and (post == pre).all() and post.size:
        per_pixel = weight[np.argsort(post)].reshape(-1, shape_out[0])
        if (np.diff(post) == 1).all() and (per_pixel == per_pixel[0]).all():
            own = np.arange(pixels(shape_out), dtype=np.int32)[:, None]
            return _channels(per_pixel[:1], own, 1, 1)
    begin = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=n_pre))])
    channels = shape_out[0]
    arrays: dict[str, AnyArray] = {
        "begin": begin.astype(np.int64),
        "to_pixel": (post // channels).astype(np.int32),
        "to_channel": (post % channels).astype(np.int32),
        "weight": weight.astype(np.int64),
    }
    return LinkPlan(LISTED, {}, arrays)


def aligned(shape: tuple[int, ...], dtype: Any) -> AnyArray:
    """Zeros that begin at a multiple of ``ALIGNMENT`` bytes."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.asarray(raw[start : start + n_bytes].view(dtype).reshape(shape))
