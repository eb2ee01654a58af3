"""What Python works out for a link of the native kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray

ROWS, CHANNELS, LISTED, PLACES = 0, 1, 2, 3
INT16 = 2**15 - 1
SUM_WIDE, SUM_32, SUM_16 = -2, -1, 0
"""``ND_SUM_...``."""
ALIGNMENT = 64
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

    @property
    def path(self) -> str:
        """The kernel that it takes, for people."""
        forms = {"products": ", or products", "by_tap": ", or by taps"}
        return self._path + "".join(told for name, told in forms.items() if name in self.arrays)

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
