"""What Python works out for a link of the native kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.ir.geometry import Window

ROWS, CHANNELS, LISTED, PLACES = 0, 1, 2, 3
INT16, INT32 = 2**15 - 1, 2**31 - 1
SUM_WIDE, SUM_32, SUM_16 = -2, -1, 0
"""``ND_SUM_...``."""
LANES = 32
"""Rows of weights are padded to a multiple of it."""
MOST_FORM = 2**25
"""Weights of a second form of a projection."""
ALIGNMENT = 64
WRITTEN = {"products": ", or products", "by_tap": ", or by taps", "tiles": ", or tiles"}
"""Arrays of forms for a source that is written out, and how people are told of them."""
WHOLE = 1024
"""What shares of neurons are told in."""
WRITTEN_FROM = WHOLE // 5
"""The share that must fire for products to be faster than events, where both are as many."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """Fields of ``nd_link`` that follow from the projection and its source's payloads."""

    kind: int
    numbers: dict[str, int]
    arrays: dict[str, AnyArray]

    def scaled(self, scale: AnyArray) -> LinkPlan:
        """The plan with the power of two of every channel."""
        if (scale == scale[0]).all():
            shift = int(scale[0]).bit_length() - 1
            return replace(self, numbers={**self.numbers, "shift_all": shift})
        return replace(self, arrays={**self.arrays, "scale": scale})

    def of_events(self) -> LinkPlan:
        """The plan without forms for a source that is written out."""
        kept = {name: array for name, array in self.arrays.items() if name not in WRITTEN}
        return replace(self, numbers={**self.numbers, "row_entries": 0}, arrays=kept)

    @property
    def path(self) -> str:
        """The kernel that it takes, for people."""
        return self._path + "".join(told for name, told in WRITTEN.items() if name in self.arrays)

    @property
    def _path(self) -> str:
        if self.kind != ROWS:
            names = {LISTED: "synapse by synapse", CHANNELS: "channel by channel"}
            return names.get(self.kind, "place by place")
        if "spread" in self.arrays:
            return "spread, 16-bit"
        sums = self.numbers["sums"]
        names = {SUM_WIDE: "rows, wide sums", SUM_32: "rows, 32-bit", SUM_16: "rows, 16-bit"}
        return names.get(sums, f"rows, 16-bit by {sums}")


def aligned(shape: tuple[int, ...], dtype: Any) -> AnyArray:
    """Zeros that begin at a multiple of ``ALIGNMENT`` bytes."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.asarray(raw[start : start + n_bytes].view(dtype).reshape(shape))


def kernel_rows(window: Window) -> AnyArray:
    """Row of the input that every row of the kernel meets, -1: none; int32 [rows, k]."""
    if len(window.kernel) == 1:
        return np.zeros((1, 1), dtype=np.int32)
    kernel, stride, dilation = window.kernel[0], window.stride[0], window.dilation[0]
    first = np.arange(window.output_size[0])[:, None] * stride - window.padding[0][0]
    rows, between = np.divmod(first + np.arange(kernel)[None] * dilation, window.spacing[0])
    met = (rows >= 0) & (rows < window.input_size[0]) & (between == 0)
    return np.where(met, rows, -1).astype(np.int32)


def largest_sum(connectivity: Connectivity, low: int, high: int) -> float:
    """The largest magnitude of a partial sum of weights times values in [low, high].

    0 is a payload, so that every partial sum lies between the least and the most. Doubles: only the
    order of magnitude matters where they are not exact.
    """
    positive, negative = (sums.astype(np.float64) for sums in connectivity.row_sums())
    least, most = positive * low + negative * high, positive * high + negative * low
    return float(max(-least.min(), most.max()))
