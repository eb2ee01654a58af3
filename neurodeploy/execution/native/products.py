"""Convolutions as products with a source that is written out, silent neurons and all.

Payloads of two channels that follow one another are multiplied and added at once, in 32 bits. Of
grouped convolutions every unit of lanes hears from the groups that its lanes belong to, with zeros
where a lane's group is another one. Each is a second form of a plan, run for samples in which
enough of the source fires.
"""

from __future__ import annotations

import math

import numpy as np

from neurodeploy.execution.native.plans import (
    INT16,
    INT32,
    LANES,
    MOST_FORM,
    WHOLE,
    WRITTEN_FROM,
    LinkPlan,
    aligned,
    kernel_rows,
    largest_sum,
)
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Conv

PIXELS = 4
"""Of a block of products."""


def with_products(conv: Conv, plan: LinkPlan, low: int, high: int, events: float) -> LinkPlan:
    """The plan with products, where they are proved to fit and are faster for dense sources.

    The source emits values in [low, high]. ``events``: what the plan's own form does where all of
    the source fires, in lanes that events add to.
    """
    window = conv.window
    fits = max(-low, high) <= INT16 and largest_sum(conv, low, high) <= INT32
    if not fits or window.spacing[-1] > 1:
        return plan
    weight, first = _by_unit(conv)
    kernel, stride, dilation = (x[-1] for x in (window.kernel, window.stride, window.dilation))
    # Taps that meet neighbours are one run of entries: [kernel row][run][entry of it].
    c_in = conv.channels_in
    runs, step = kernel, dilation * c_in
    if dilation == 1 and conv.groups == 1:
        weight, runs, step = weight.reshape(len(weight), 1, -1, weight.shape[-1]), 1, kernel * c_in
    pairs, lanes = -(-weight.shape[2] // 2), weight.shape[3]
    if 2 * pairs * runs * len(weight) * lanes > MOST_FORM:
        return plan
    kernel_row = kernel_rows(window)
    # Of taps in the padding events say nothing, products multiply zeros; pixels that do not fill a
    # block of them take twice as long as those that do.
    width = window.output_size[-1]
    multiplied = (kernel_row >= 0).sum() * (width + width % PIXELS) * runs * 2 * pairs * lanes
    written_from = math.ceil(WRITTEN_FROM * multiplied / max(events, 1))
    if written_from >= WHOLE:
        return plan
    whole: AnyArray = np.zeros((*weight.shape[:2], 2 * pairs, lanes), dtype=np.int16)
    whole[:, :, : weight.shape[2]] = weight
    products = aligned((lanes // LANES, *weight.shape[:2], pairs, LANES, 2), np.int16)
    products[...] = whole.reshape(*weight.shape[:2], pairs, 2, -1, LANES).transpose(
        4, 0, 1, 2, 5, 3
    )
    pad = window.padding[-1][0] * c_in
    # The last run may reach beyond its own.
    met = (width - 1) * stride * c_in + (runs - 1) * step + int(first.max()) + 2 * pairs
    numbers = {
        **plan.numbers,
        "kernel_rows": len(weight),
        "runs": runs,
        "run_step": step,
        "pairs": pairs,
        "pixel_step": stride * c_in,
        "written_from": written_from,
        "before": pad,
        "row_entries": -(-max(met, pad + window.input_size[-1] * c_in) // LANES) * LANES,
    }
    arrays = {**plan.arrays, "products": products, "kernel_row": kernel_row}
    return LinkPlan(plan.kind, numbers, arrays)


def _by_unit(conv: Conv) -> tuple[AnyArray, AnyArray]:
    """Weights ``[kernel row, tap of it, channel of a unit, lane]``, first channel of each unit."""
    c_out, c_group = conv.weight.shape[:2]
    kernel, fan = conv.window.kernel[-1], c_out // conv.groups
    lanes = -(-c_out // LANES) * LANES
    begin = np.arange(0, lanes, LANES)
    first = begin // fan * c_group
    span = int((((np.minimum(begin + LANES, c_out) - 1) // fan + 1) * c_group - first).max())
    weight = conv.weight.reshape(c_out, c_group, -1, kernel).transpose(2, 3, 1, 0)
    found: AnyArray = np.zeros((*weight.shape[:2], span, lanes), dtype=np.int16)
    for group in range(conv.groups):
        for lane in range(group * fan, (group + 1) * fan):
            at = group * c_group - first[lane // LANES]
            found[:, :, at : at + c_group, lane] = weight[..., lane]
    return found, first
