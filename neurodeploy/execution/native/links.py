"""Projections as the native kernels take them, each path chosen by a proof.

Four forms: rows of weights (convolutions of one group, dense maps), weights per channel (pools that
overlap, depthwise and grouped convolutions), places (maps of at most one synapse per sending
neuron: one to one, sums over windows that do not overlap, subsampling), and listed synapses. Rows
are summed in lanes of 16 bits where the proved interval of every sum fits them, which is exact in
any order since lanes wrap; those of binary spikes else in groups of rows that cannot leave 16 bits;
others in lanes of 32 bits; what is proved for none of them in the width of the states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.execution.order import grid, neuron_order, synapse_list
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerProjection

ROWS, CHANNELS, LISTED, PLACES = 0, 1, 2, 3
LANES = 32
INT16 = 2**15 - 1
INT32 = 2**31 - 1
SUM_WIDE, SUM_32, SUM_16 = -2, -1, 0
"""``ND_SUM_...``."""
ALIGNMENT = 64
MOST_SPREAD = 192
"""Lanes that an event may add to in one row: measured, 3 x 64 are faster this way, 3 x 128 not."""
LEAST_CODED, MOST_CODED = 2, 2**25
"""Channels of a source whose silent neurons may be told instead, and weights of such a link."""
MOST_WEIGHTS = 2**34 - 1
"""Of a projection: places of rows are told in 32 bits, in units of four weights."""


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
        if self.kind in (CHANNELS, PLACES):
            return "channel by channel" if self.kind == CHANNELS else "place by place"
        if "spread" in self.arrays:
            return "spread, 16-bit"
        sums = self.numbers["sums"]
        names = {SUM_WIDE: "rows, wide sums", SUM_32: "rows, 32-bit", SUM_16: "rows, 16-bit"}
        return names.get(sums, f"rows, 16-bit by {sums}")


def plan_link(projection: IntegerProjection, low: int, high: int) -> LinkPlan:
    """Choose a kernel for a projection whose source emits values in [low, high]."""
    connectivity = projection.connectivity
    exponent = np.broadcast_to(projection.exponent, connectivity.post_shape[:1])
    scale = np.left_shift(np.int64(1), exponent)
    if isinstance(connectivity, Dense):
        columns = connectivity.weight[:, neuron_order(connectivity.pre_shape)]
        rows, width = grid(connectivity.pre_shape)
        ranges: AnyArray = np.zeros((1, rows, 4), dtype=np.int32)
        ranges[0, :, 0] = np.arange(rows)
        ranges[0, :, 2] = width
        ranges[0, :, 3] = np.arange(rows) * width * connectivity.pre_shape[0]
        return _rows(connectivity, columns.T, ranges, columns.shape[1], scale, low, high)
    if isinstance(connectivity, Conv):
        c_out, c_group = connectivity.weight.shape[:2]
        weight = connectivity.weight.reshape(c_out, c_group, -1)
        if connectivity.groups == 1:
            order = _taps_in_order(connectivity.window).reshape(-1)
            rows_of_weights = weight[..., order].transpose(2, 1, 0).reshape(-1, c_out)
            ranges = _kernel_ranges(connectivity.window, c_group)
            most = int((ranges[..., 2] - ranges[..., 1]).sum(axis=1).max()) * c_group
            plan = _rows(connectivity, rows_of_weights, ranges, most, scale, low, high)
            return _spread(connectivity, plan) if (low, high) == (0, 1) else plan
        fan = c_out // connectivity.groups
        scaled = (weight * scale[:, None, None]).reshape(connectivity.groups, fan, c_group, -1)
        return _channels(
            scaled.transpose(3, 0, 2, 1), window_cells(connectivity.window), connectivity, fan
        )
    if isinstance(connectivity, SumPool):
        found = _places(connectivity, scale)
        if found is not None:
            return found
        per_tap = np.broadcast_to(
            connectivity.weight * scale, (connectivity.window.n_taps, scale.size)
        )
        return _channels(per_tap, window_cells(connectivity.window), connectivity, 1)
    return _places(connectivity, scale) or _listed(connectivity, scale)


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
    arrays: dict[str, AnyArray] = {"ranges": ranges, "rows": rows}
    if (scale == scale[0]).all():
        numbers["shift_all"] = int(scale[0]).bit_length() - 1
    else:
        arrays["scale"] = scale
    return LinkPlan(ROWS, numbers, arrays)


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
        "spread_rows": rows,
    }
    arrays = {**plan.arrays, "spread": spread, "spread_row": _kernel_rows(window)}
    return LinkPlan(ROWS, numbers, arrays)


def coded_link(projection: IntegerProjection, plan: LinkPlan) -> LinkPlan | None:
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
    if channels < LEAST_CODED or most > MOST_CODED:
        return None
    ranges = plan.arrays["ranges"].copy()
    ranges[..., 3] = ranges[..., 3] // channels * (2 * channels + 1)
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
    coded = aligned((len(taps) * each + 1, *lanes), np.int16)
    parts = coded[:-1].reshape(-1, each, *lanes)
    parts[:, :channels] = taps
    np.negative(taps, out=parts[:, channels:-1])
    # Numbers of 16 bits wrap here as they do in the lanes.
    np.sum(taps, axis=1, dtype=np.int16, out=parts[:, -1])
    return coded


def _kernel_rows(window: Window) -> AnyArray:
    """Row of the input that every row of the kernel meets, -1: none; int32 [rows, k]."""
    if len(window.kernel) == 1:
        return np.zeros((1, 1), dtype=np.int32)
    kernel, stride, dilation = window.kernel[0], window.stride[0], window.dilation[0]
    first = np.arange(window.output_size[0])[:, None] * stride - window.padding[0][0]
    rows, between = np.divmod(first + np.arange(kernel)[None] * dilation, window.spacing[0])
    met = (rows >= 0) & (rows < window.input_size[0]) & (between == 0)
    return np.where(met, rows, -1).astype(np.int32)


def _sums(connectivity: Connectivity, low: int, high: int) -> int:
    """The narrowest sums of rows that are proved to hold every one, before the shift."""
    positive, negative = connectivity.row_sums()
    # 0 is a payload, so that every partial sum lies between the two. Doubles: only the order of
    # magnitude matters where they are not exact.
    least = positive.astype(np.float64) * low + negative.astype(np.float64) * high
    most = positive.astype(np.float64) * high + negative.astype(np.float64) * low
    largest = max(-least.min(), most.max())
    if largest <= INT16:
        return SUM_16
    if (low, high) == (0, 1):
        held = INT16 // max(int(np.abs(connectivity.weight).max()), 1) // 4 * 4
        if held >= 16:
            return held
    return SUM_32 if max(-low, high) <= INT16 and largest <= INT32 else SUM_WIDE


def _channels(weight: AnyArray, cells: AnyArray, connectivity: Connectivity, fan: int) -> LinkPlan:
    width = grid(connectivity.pre_shape)[1]
    taps = np.stack([np.where(cells < 0, -1, cells // width), cells % width], axis=2)
    channels_in, channels_out = connectivity.pre_shape[0], connectivity.post_shape[0]
    numbers = {
        "n_taps": cells.shape[1],
        "group_in": channels_in * fan // channels_out,
        "fan": fan,
    }
    arrays: dict[str, AnyArray] = {"taps": taps.astype(np.int32), "weight": weight.astype(np.int64)}
    return LinkPlan(CHANNELS, numbers, arrays)


def is_identity(plan: LinkPlan) -> bool:
    """Whether every neuron hears the one at its own place, times 1, and nothing else."""
    if plan.kind != PLACES or plan.numbers["same"] != 1:
        return False
    rows = np.arange(plan.arrays["from_begin"].size)
    begin, source = plan.arrays["from_begin"], plan.arrays["from_row"]
    return np.array_equal(begin, rows) and np.array_equal(source, rows[:-1])


def _synapses(connectivity: Connectivity, scale: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
    """All synapses (post, pre, shifted weight) in the engine's order, sorted by pre."""
    post, pre, weight = synapse_list(connectivity, scale)
    order = np.lexsort((post, pre))
    return post[order], pre[order], weight[order]


def _places(connectivity: Connectivity, scale: AnyArray) -> LinkPlan | None:
    """The form of maps with one synapse per sending neuron at most, if this is one."""
    if connectivity.n_synapses > math.prod(connectivity.pre_shape):
        return None
    post, pre, weight = _synapses(connectivity, scale)
    if (np.diff(pre) == 0).any():
        return None
    (rows_in, width_in), (rows_out, width_out) = (
        grid(shape) for shape in (connectivity.pre_shape, connectivity.post_shape)
    )
    row_in = width_in * connectivity.pre_shape[0]
    row_out = width_out * connectivity.post_shape[0]
    pairs = np.unique(np.stack([post // row_out, pre // row_in]), axis=1)
    used = pairs[1]
    if np.unique(used).size != used.size:
        return None
    to_place: AnyArray = np.full(rows_in * row_in, -1, dtype=np.int32)
    to_place[pre] = post % row_out
    weights: AnyArray = np.zeros(rows_in * row_in, dtype=np.int64)
    weights[pre] = weight
    to_place, weights = to_place.reshape(rows_in, row_in), weights.reshape(rows_in, row_in)
    alike = used.size > 0 and bool(
        (to_place[used] == to_place[used[0]]).all() and (weights[used] == weights[used[0]]).all()
    )
    if alike:
        to_place, weights = to_place[used[:1]], weights[used[:1]]
    arrays: dict[str, AnyArray] = {
        "from_begin": np.searchsorted(pairs[0], np.arange(rows_out + 1)).astype(np.int32),
        "from_row": used.astype(np.int32),
        "to_place": to_place,
        "weight": weights,
    }
    own = alike and row_in == row_out and bool((to_place == np.arange(row_in)).all())
    same = int(weights[0, 0]) if own and (weights == weights[0, 0]).all() else 0
    return LinkPlan(PLACES, {"table": 0 if alike else row_in, "same": same}, arrays)


def _listed(connectivity: Connectivity, scale: AnyArray) -> LinkPlan:
    post, pre, weight = _synapses(connectivity, scale)
    channels = connectivity.post_shape[0]
    n_pre = math.prod(connectivity.pre_shape)
    begin = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=n_pre))])
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
