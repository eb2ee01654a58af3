"""Convolutions and dense maps as rows of weights, and other forms of the same convolution.

Which form is run is chosen sample by sample, by how much of the source fires; all of them give the
same sums.
"""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.execution.native.plans import (
    INT16,
    INT32,
    LANES,
    MOST_FORM,
    ROWS,
    SUM_16,
    SUM_32,
    SUM_WIDE,
    LinkPlan,
    aligned,
    kernel_rows,
    largest_sum,
)
from neurodeploy.execution.native.products import with_products
from neurodeploy.execution.native.tiles import with_tiles
from neurodeploy.execution.order import grid, neuron_order
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerProjection

MOST_SPREAD = 192
"""Lanes that an event may add to in one row: measured, 3 x 64 are faster this way, 3 x 128 not."""
LEAST_SILENT = 2
"""Channels of a source whose silent neurons may be told instead."""
MOST_WEIGHTS = 2**34 - 1
"""Of a projection: places of rows are told in 32 bits, in units of four weights."""


def plan_matrix(dense: Dense, scale: AnyArray, low: int, high: int, tiles: bool) -> LinkPlan:
    """Choose sums for a dense map whose source emits values in [low, high]."""
    columns = dense.weight[:, neuron_order(dense.pre_shape)]
    rows, width = grid(dense.pre_shape)
    ranges: AnyArray = np.zeros((1, rows, 4), dtype=np.int32)
    ranges[0, :, 0] = np.arange(rows)
    ranges[0, :, 2] = width
    ranges[0, :, 3] = np.arange(rows) * width * dense.pre_shape[0]
    plan = _rows(dense, columns.T, ranges, columns.shape[1], scale, low, high)
    return with_tiles(dense, plan, low, high, columns.shape[1]) if tiles else plan


def plan_convolution(conv: Conv, scale: AnyArray, low: int, high: int, tiles: bool) -> LinkPlan:
    """Choose sums and forms for a convolution of one group of such a source."""
    c_out, c_in = conv.weight.shape[:2]
    order = _taps_in_order(conv.window).reshape(-1)
    weight = conv.weight.reshape(c_out, c_in, -1)[..., order].transpose(2, 1, 0)
    ranges = _kernel_ranges(conv.window, c_in)
    most = int((ranges[..., 2] - ranges[..., 1]).sum(axis=1).max()) * c_in
    plan = _rows(conv, weight.reshape(-1, c_out), ranges, most, scale, low, high)
    heard = int((ranges[..., 2] - ranges[..., 1]).sum()) * c_in
    if (low, high) == (0, 1):
        plan = _spread(conv, plan)
    else:
        plan = with_products(conv, plan, low, high, heard * plan.numbers["lanes"])
    return with_tiles(conv, plan, low, high, heard) if tiles else plan


def window_cells(window: Window) -> AnyArray:
    """Flat input cell that every tap of every window meets, -1 where there is none.

    int32 ``[windows, taps]``.
    """
    cells = np.arange(math.prod(window.input_size), dtype=np.int32).reshape(window.input_size)
    padded = window.pad(cells, -1)
    return np.stack([padded[where].reshape(-1) for _, where in window.taps()], axis=1)


def _taps_in_order(window: Window) -> AnyArray:
    """Flat taps, the rows of the kernel one after another: ``[rows, taps of a row]``.

    Between cells that stand apart there is nothing: a row of the kernel meets every n-th cell of
    itself at one place, and those follow one another here.
    """
    kernel, apart = window.kernel[-1], window.spacing[-1]
    each = apart // math.gcd(window.dilation[-1], apart)
    own = np.concatenate([np.arange(first, kernel, each) for first in range(min(each, kernel))])
    return np.arange(window.n_taps).reshape(-1, kernel)[:, own]


def _kernel_ranges(window: Window, channels: int) -> AnyArray:
    """Pixels that every row of the kernel meets, side by side: int32 ``[windows, ranges, 4]``.

    Row of the input (-1: none), first pixel, pixel after the last, and what to add to a place in
    the row, ``x * channels + c``, to have ``tap * channels + c`` of the taps in their order. Where
    taps that follow one another do not meet neighbours, for dilation along the row, each is a range
    of its own.
    """
    cells = window_cells(window)[:, _taps_in_order(window)]
    width, taps = window.input_size[-1], window.kernel[-1]
    if window.dilation[-1] > math.gcd(window.dilation[-1], window.spacing[-1]):
        taps = 1
    cells = cells.reshape(len(cells), -1, taps)
    inside = cells >= 0
    row = np.where(inside, cells // width, -1).max(axis=2)
    column = np.where(inside, cells % width, width)
    first = column.min(axis=2)
    met = inside.sum(axis=2)
    # Taps of one row of the kernel that meet nothing are the first ones or the last ones.
    skipped = inside.argmax(axis=2)
    before = np.arange(cells.shape[1]) * taps + skipped
    ranges = np.stack([row, first, first + met, (before - first) * channels], axis=2)
    ranges[row < 0] = (-1, 0, 0, 0)
    if window.is_spaced:
        # Rows of the kernel between cells: those that meet something come first, the rest is cut.
        order = np.argsort(row < 0, axis=1, kind="stable")
        longest = max(1, int((row >= 0).sum(axis=1).max()))
        ranges = np.take_along_axis(ranges, order[..., None], axis=1)[:, :longest]
    return ranges.astype(np.int32)


def _rows(
    connectivity: Connectivity,
    weight: AnyArray,
    ranges: AnyArray,
    most: int,
    scale: AnyArray,
    low: int,
    high: int,
) -> LinkPlan:
    """Rows of weights, of which a neuron meets ``most`` at once."""
    n_rows, channels = weight.shape
    lanes = -(-channels // LANES) * LANES
    if (n_rows + 1) * lanes > MOST_WEIGHTS:
        raise CapacityError(
            f"a projection of {n_rows} rows of {lanes} weights; the native engine holds "
            f"{MOST_WEIGHTS} weights of one; split it"
        )
    rows = aligned((n_rows + 1, lanes), np.int16)
    rows[:n_rows, :channels] = weight
    numbers = {
        "n_ranges": ranges.shape[1],
        "most": most,
        "zero_row": n_rows,
        "lanes": lanes,
        "sums": _sums(connectivity, low, high),
    }
    return LinkPlan(ROWS, numbers, {"ranges": ranges, "rows": rows}).scaled(scale)


def _spread(conv: Conv, plan: LinkPlan) -> LinkPlan:
    """The same convolution with its weights as a sender sees them, where that is the faster way.

    An event adds the weights of a row of the kernel to neighbours that stand side by side. It is
    listed once for all of them, not once for each; worth it while registers hold their lanes.
    """
    window, lanes = conv.window, plan.numbers["lanes"]
    width = window.kernel[-1]
    along = (window.stride[-1], window.dilation[-1], window.spacing[-1]) == (1, 1, 1)
    fits = plan.numbers["sums"] == SUM_16
    if not (along and fits and width * lanes <= MOST_SPREAD):
        return plan
    c_out, c_in = conv.weight.shape[:2]
    weight = conv.weight.reshape(c_out, c_in, -1, width)[..., ::-1]
    # The last row holds zeros.
    rows = weight.shape[2]
    spread = aligned((rows * c_in + 1, width, lanes), np.int16)
    spread[:-1].reshape(rows, c_in, width, lanes)[..., :c_out] = weight.transpose(2, 1, 3, 0)
    numbers = {
        **plan.numbers,
        "spread_width": width,
        "spread_pad": window.padding[-1][0],
        "kernel_rows": rows,
    }
    arrays = {**plan.arrays, "spread": spread, "kernel_row": kernel_rows(window)}
    return LinkPlan(ROWS, numbers, arrays)


def silent_link(projection: IntegerProjection, plan: LinkPlan) -> LinkPlan | None:
    """The same convolution for binary neurons most of which fire, where there is a form for it.

    Where of the channels of a pixel more fire than not, one event stands for all of them, and one
    for each that is silent takes it off: ``sum_i w_i s_i = sum_i w_i - sum_i w_i (1 - s_i)``. Of
    lanes that wrap, only what is left in the end has to fit.
    """
    connectivity = projection.connectivity
    if not isinstance(connectivity, Conv) or plan.kind != ROWS or plan.numbers["sums"] != SUM_16:
        return None
    channels = connectivity.channels_in
    rows, spread = plan.arrays["rows"], plan.arrays.get("spread")
    most = 2 * rows.size + (0 if spread is None else 2 * spread.size)
    if channels < LEAST_SILENT or most > MOST_FORM:
        return None
    ranges = plan.arrays["ranges"].copy()
    ranges[..., 3] = ranges[..., 3] // channels * (2 * channels + 1)
    plan = plan.of_events()
    arrays = {**plan.arrays, "ranges": ranges, "rows": _with_silent(rows, channels)}
    if spread is not None:
        arrays["spread"] = _with_silent(spread, channels)
    zero_row = len(arrays["rows"]) - 1
    return LinkPlan(ROWS, {**plan.numbers, "zero_row": zero_row}, arrays)


def _with_silent(weights: AnyArray, channels: int) -> AnyArray:
    """Weights of each tap for its channels, for those taken off, and for all of them together."""
    lanes = weights.shape[1:]
    taps = weights[:-1].reshape(-1, channels, *lanes)
    each = 2 * channels + 1
    found = aligned((len(taps) * each + 1, *lanes), np.int16)
    parts = found[:-1].reshape(-1, each, *lanes)
    parts[:, :channels] = taps
    np.negative(taps, out=parts[:, channels:-1])
    # Numbers of 16 bits wrap here as they do in the lanes.
    np.sum(taps, axis=1, dtype=np.int16, out=parts[:, -1])
    return found


def _sums(connectivity: Connectivity, low: int, high: int) -> int:
    """The narrowest sums of rows that are proved to hold every one, before the shift."""
    largest = largest_sum(connectivity, low, high)
    if largest <= INT16:
        return SUM_16
    if (low, high) == (0, 1):
        held = INT16 // max(int(np.abs(connectivity.weight).max()), 1) // 4 * 4
        if held >= 16:
            return held
    return SUM_32 if max(-low, high) <= INT16 and largest <= INT32 else SUM_WIDE
