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

import numpy as np

from neurodeploy.execution.native.plans import (
    CHANNELS,
    INT16,
    LISTED,
    PLACES,
    WRITTEN_FROM,
    LinkPlan,
)
from neurodeploy.execution.native.products import with_products
from neurodeploy.execution.native.rows import plan_convolution, plan_matrix, window_cells
from neurodeploy.execution.order import grid, synapse_list
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, SumPool
from neurodeploy.ir.netlist import IntegerProjection

EVENT, SYNAPSE = 26, 1 / 3
"""What an event of a grouped convolution takes, and each of its synapses, in lanes of a row that an
event of another one adds to: measured."""


def plan_link(projection: IntegerProjection, low: int, high: int, tiles: bool = False) -> LinkPlan:
    """Choose a kernel for a projection whose source emits values in [low, high].

    ``tiles``: the processor multiplies in tiles, and the source changes from step to step.
    """
    connectivity = projection.connectivity
    exponent = np.broadcast_to(projection.exponent, connectivity.post_shape[:1])
    scale = np.left_shift(np.int64(1), exponent)
    largest = max(-low, high)
    if isinstance(connectivity, Dense):
        return plan_matrix(connectivity, scale, low, high, tiles)
    if isinstance(connectivity, Conv):
        if connectivity.groups == 1:
            return plan_convolution(connectivity, scale, low, high, tiles)
        c_out, c_group = connectivity.weight.shape[:2]
        weight = connectivity.weight.reshape(c_out, c_group, -1)
        fan = c_out // connectivity.groups
        scaled = (weight * scale[:, None, None]).reshape(connectivity.groups, fan, c_group, -1)
        cells = window_cells(connectivity.window)
        plan = _channels(scaled.transpose(3, 0, 2, 1), cells, connectivity, fan, largest)
        if "by_tap" in plan.arrays:
            return plan
        heard = int((cells >= 0).sum()) * connectivity.channels_in
        work = heard * (EVENT + fan * SYNAPSE)
        return with_products(connectivity, plan.scaled(scale), low, high, work)
    if isinstance(connectivity, SumPool):
        found = _places(connectivity, scale)
        if found is not None:
            return found
        per_tap = np.broadcast_to(
            connectivity.weight * scale, (connectivity.window.n_taps, scale.size)
        )
        cells = window_cells(connectivity.window)
        return _channels(per_tap, cells, connectivity, 1, largest)
    return _places(connectivity, scale) or _listed(connectivity, scale)


def _channels(
    weight: AnyArray, cells: AnyArray, connectivity: Connectivity, fan: int, largest: int
) -> LinkPlan:
    """Weights [taps, channels, fan] of windows whose source emits payloads of such a size."""
    width = grid(connectivity.pre_shape)[1]
    taps = np.stack([np.where(cells < 0, -1, cells // width), cells % width], axis=2)
    channels_in, channels_out = connectivity.pre_shape[0], connectivity.post_shape[0]
    numbers = {
        "n_taps": cells.shape[1],
        "group_in": channels_in * fan // channels_out,
        "fan": fan,
    }
    arrays: dict[str, AnyArray] = {"taps": taps.astype(np.int32), "weight": weight.astype(np.int64)}
    if fan == 1 and channels_in == channels_out and largest <= INT16:
        numbers |= {"row_entries": width * channels_in, "written_from": WRITTEN_FROM}
        arrays["by_tap"] = weight.reshape(-1, channels_in)
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
    numbers = {"table": 0 if alike else row_in, "same": 0}
    if row_in == row_out and bool((to_place == np.arange(row_in)).all()):
        arrays["own"] = weights
        same = alike and bool((weights == weights[0, 0]).all())
        numbers["same"] = int(weights[0, 0]) if same else 0
    return LinkPlan(PLACES, numbers, arrays)


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
