"""Convolutions and dense maps in tiles of products, where the processor has them.

16 rows of what a source has written out, in bytes, times 16 lanes of weights of 8 bits, in 32 bits.
A second form of a plan, run for samples in which enough of the source fires.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.execution.native.plans import (
    ALIGNMENT,
    INT32,
    MOST_FORM,
    WHOLE,
    LinkPlan,
    aligned,
    kernel_rows,
    largest_sum,
)
from neurodeploy.execution.order import grid
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Conv, Dense

TILE, DEPTH = 16, 64
"""Lanes of a tile, and bytes of a source that one product takes."""
TILED_FROM = WHOLE // 16
"""The share that must fire for full tiles to be faster than events, where both are as many lanes:
measured, as is what follows."""
LISTING = 64
"""What it takes to list an event, in lanes that one adds to."""
BYTES = ((0, 255), (-128, 127))
"""What a byte without and with a sign holds."""
WORD = (-(2**15), 2**15 - 1)
"""What two bytes hold, the higher one with a sign."""


def with_tiles(
    connectivity: Conv | Dense, plan: LinkPlan, low: int, high: int, heard: int
) -> LinkPlan:
    """The plan with tiles, where sums are proved to fit and they may be faster.

    The source emits values in [low, high]. ``heard``: events that all receivers together meet in a
    step in which all of the source fires.
    """
    is_signed = next((i for i, (a, b) in enumerate(BYTES) if a <= low and high <= b), None)
    digits = 2 if is_signed is None else 1
    if not WORD[0] <= low <= high <= WORD[1] or largest_sum(connectivity, low, high) > INT32:
        return plan
    # Sums of low bytes stand alone before those of high ones are added.
    if digits == 2 and largest_sum(connectivity, *BYTES[0]) > INT32:
        return plan
    # The plan's own rows, in the order of the engine; the last one holds zeros.
    weight = plan.arrays["rows"][:-1, : connectivity.post_shape[0]]
    least, most = BYTES[1]
    if weight.min() < least or weight.max() > most:
        return plan
    if isinstance(connectivity, Dense):
        source = _of_dense(connectivity, weight)
    elif connectivity.groups > 1 or connectivity.window.spacing[-1] > 1:
        return plan
    else:
        source = _of_convolution(connectivity, weight)
    _, runs, entries, lanes = source.weight.shape
    chunks, units = -(-entries // DEPTH), -(-lanes // TILE)
    of_row = runs * chunks * DEPTH * units * TILE
    if of_row * len(source.weight) > MOST_FORM:
        return plan
    multiplied = int((source.kernel_row >= 0).sum()) * source.pixels * of_row
    events = heard * (plan.numbers["lanes"] + LISTING)
    tiled_from = math.ceil(TILED_FROM * digits * multiplied / max(events, 1))
    if tiled_from >= WHOLE:
        return plan
    numbers = {
        **plan.numbers,
        **source.numbers,
        "kernel_rows": len(source.weight),
        "runs": runs,
        "chunks": chunks,
        # Rows begin with a line of cache.
        "row_entries": -(-source.entries // ALIGNMENT) * ALIGNMENT,
        "is_signed": is_signed or 0,
        "digits": digits,
        "written_from": tiled_from,
    }
    arrays = {"tiles": _tiles(source.weight), "kernel_row": source.kernel_row}
    return LinkPlan(plan.kind, numbers, {**plan.of_events().arrays, **arrays})


@dataclass(frozen=True, slots=True)
class _Written:
    """Where receivers find what they hear in a source that is written out.

    ``weight`` has the shape [kernel row, run, entry of it, lane], ``kernel_row`` [rows of
    receivers, kernel rows]; ``pixels`` are those of a row of receivers, ``entries`` those of a
    source row.
    """

    weight: AnyArray
    kernel_row: AnyArray
    pixels: int
    entries: int
    numbers: dict[str, int]


def _of_dense(dense: Dense, weight: AnyArray) -> _Written:
    rows, _ = grid(dense.pre_shape)
    weight = weight.reshape(rows, 1, -1, weight.shape[-1])
    entries = weight.shape[2]
    numbers = {"run_step": entries, "pixel_step": 0, "before": 0}
    return _Written(weight, np.arange(rows, dtype=np.int32)[None], 1, entries, numbers)


def _of_convolution(conv: Conv, weight: AnyArray) -> _Written:
    window, c_in = conv.window, conv.channels_in
    kernel, stride, dilation = (x[-1] for x in (window.kernel, window.stride, window.dilation))
    # Taps that meet neighbours are one run of entries.
    runs = 1 if dilation == 1 else kernel
    weight = weight.reshape(-1, runs, kernel * c_in // runs, weight.shape[-1])
    step = (kernel if runs == 1 else dilation) * c_in
    width, before = window.output_size[-1], window.padding[-1][0] * c_in
    met = ((width - 1) * stride + (kernel - 1) * dilation + 1) * c_in
    of_row = max(met, before + window.input_size[-1] * c_in)
    numbers = {"run_step": step, "pixel_step": stride * c_in, "before": before}
    return _Written(weight, kernel_rows(window), width, of_row, numbers)


def _tiles(weight: AnyArray) -> AnyArray:
    """Weights ``[kernel row, run, entry of it, lane]`` as tiles.

    int8 ``[unit of lanes, kernel row, run, chunk, four bytes of it, lane, byte]``.
    """
    rows, runs, entries, lanes = weight.shape
    chunks, units = -(-entries // DEPTH), -(-lanes // TILE)
    whole: AnyArray = np.zeros((rows, runs, chunks * DEPTH, units * TILE), dtype=np.int8)
    whole[:, :, :entries, :lanes] = weight
    parts = whole.reshape(rows, runs, chunks, DEPTH // 4, 4, units, TILE)
    found = aligned((units, rows, runs, chunks, DEPTH // 4, TILE, 4), np.int8)
    found[...] = parts.transpose(5, 0, 1, 2, 3, 6, 4)
    return found
