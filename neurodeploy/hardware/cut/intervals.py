"""Least demand of an interval of outputs along one axis of a window, wherever it lies.

Everything comes by length: entry i for intervals of i + 1 outputs.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.geometry import Window

_WIDEST_KERNEL = 62
"""Cells along one axis that a pattern of bits in an int64 can tell apart."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Axis of a window: ``every`` outputs on, its windows lie as before to the cells."""

    size: int
    n_out: int
    kernel: int
    stride: int
    dilation: int
    before: int
    apart: int
    every: int

    def outputs(self) -> IntArray:
        """:func:`outputs_met` along it."""
        shape = (self.size, self.n_out, self.kernel, self.stride, self.dilation)
        return outputs_met(*shape, self.before, self.apart)


def outputs_met(
    size: int, n_out: int, kernel: int, stride: int, dilation: int, before: int, apart: int
) -> IntArray:
    """Output that each cell of a kernel takes each source to, -1: none; ``[size, kernel]``."""
    at = np.arange(size)[:, None] * apart + before - np.arange(kernel) * dilation
    output, rest = np.divmod(at, stride)
    return np.where((rest == 0) & (output >= 0) & (output < n_out), output, -1)


def _shape(window: Window, i: int, longest: int) -> _Axis:
    """Axis of a window, cut short where it is much longer than any interval.

    Away from both ends all intervals of one length are alike, or those of one phase where cells
    stand apart: what remains has all kinds of them.
    """
    kernel, stride, dilation = window.kernel[i], window.stride[i], window.dilation[i]
    before, after = window.padding[i]
    apart, reach = window.spacing[i], dilation * (kernel - 1) + 1
    size, n_out = window.input_size[i], window.output_size[i]
    every = apart // math.gcd(stride, apart)
    # Intervals that meet neither end need as many positions on both sides as the reach.
    kept = longest + 2 * (reach + before + after + every)
    # Whole turns of the phases are left out, so that both ends stay as they are.
    turns = max(0, n_out - kept) // every
    n_out, size = n_out - turns * every, size - turns * every * stride // apart
    return _Axis(size, n_out, kernel, stride, dilation, before, apart, every)


def stored_synapses(window: Window, i: int, longest: int, shared: bool) -> IntArray:
    """Synapses along axis i that intervals of 1, 2, ... outputs store, at the least."""
    return _least(_shape(window, i, longest), longest, "shared" if shared else "synapses")


def sources_met(window: Window, i: int, longest: int) -> IntArray:
    """Source coordinates that intervals of 1, 2, ... outputs meet, at the least."""
    return _least(_shape(window, i, longest), longest, "sources")


def sources_spanned(window: Window, i: int, longest: int) -> IntArray:
    """Source coordinates from the first to the last met."""
    return _least(_shape(window, i, longest), longest, "span")


@functools.lru_cache(maxsize=512)
def _least(axis: _Axis, longest: int, what: str) -> IntArray:
    output, n_out = axis.outputs(), axis.n_out
    found = np.zeros(longest, dtype=np.int64)
    # Intervals further from both ends than this are alike.
    ends = 2 * (axis.dilation * (axis.kernel - 1) + 1) + 2 * axis.before + 1 + axis.every
    for length in range(1, min(longest, n_out) + 1):
        start = np.arange(n_out - length + 1)
        a = start[(start < ends) | (start >= start.size - ends)][:, None, None]
        met = (output >= a) & (output < a + length)
        found[length - 1] = int(_measure(met, what).min())
    if n_out < longest:
        found[n_out:] = found[n_out - 1]
    found.setflags(write=False)
    return found


def _measure(met: AnyArray, what: str) -> IntArray:
    """Demand of each interval of ``met`` ``[intervals, coordinates, cells]``."""
    counts: IntArray = met.sum(axis=2)
    if what == "synapses":
        return _row_sums(counts)
    if what == "sources":
        return _row_sums(counts > 0)
    if what == "span":
        any_met = counts > 0
        last = any_met.shape[1] - any_met[:, ::-1].argmax(axis=1)
        return np.where(any_met.any(axis=1), last - any_met.argmax(axis=1), 0)
    if met.shape[2] > _WIDEST_KERNEL:
        # Every cell that is met is stored once at least.
        return _row_sums(np.asarray(met.any(axis=1)))
    pattern = np.sort(met @ (1 << np.arange(met.shape[2], dtype=np.int64)), axis=1)
    fresh = np.ones(pattern.shape, dtype=bool)
    fresh[:, 1:] = pattern[:, 1:] != pattern[:, :-1]
    cells = np.zeros(pattern.shape, dtype=np.int64)
    for cell in range(met.shape[2]):
        cells += (pattern >> cell) & 1
    return _row_sums(cells * fresh)


def _row_sums(values: AnyArray) -> IntArray:
    return np.asarray(values.sum(axis=1), dtype=np.int64)


def meets_nothing(window: Window, i: int) -> bool:
    """Whether some source coordinate meets no output."""
    return not bool((_shape(window, i, 1).outputs() >= 0).any(axis=1).all())
