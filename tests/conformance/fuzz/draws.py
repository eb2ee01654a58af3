"""Random windows, weights, connectivity and quantities of the contract, any legal one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window

Shape = tuple[int, ...]
Item = TypeVar("Item")

# Synapses of one list, so that the reference stays fast.
MOST_LISTED = 4000
MOST_WEIGHTS = 60_000


class Draws:
    """Draws from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        # Spacings are drawn beside everything else, so that seeds keep what they draw.
        self.apart = np.random.Generator(np.random.PCG64(rng.bit_generator.jumped(2).random_raw()))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def whole(self, low: int, high: int) -> int:
        """Any integer of [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.whole(0, len(items) - 1)]

    def channels(self) -> int:
        """Mostly few; now and then around the widths of registers, or hundreds."""
        if self.chance(0.65):
            return self.whole(1, 6)
        if self.chance(0.7):
            return self.pick([8, 15, 16, 16, 17, 24, 31, 32, 32, 33, 48, 64, 65])
        return self.whole(100, 300)

    def shape(self) -> Shape:
        """One to three axes; a row or a column alone is common."""
        channels = self.channels()
        axes = self.pick([0, 1, 2, 2])
        largest = 7 if channels < 20 else 3
        return (channels, *(1 if self.chance(0.2) else self.whole(2, largest) for _ in range(axes)))

    def spacing(self, size: Shape, share: float) -> Shape:
        """Some share of all; of few cells only, so that what comes out is no larger than others."""
        if self.apart.random() >= share or max(size) > 7:
            return (1,) * len(size)
        return tuple(int(n) for n in self.apart.choice([1, 2, 2, 3, 4], len(size)))

    def window(
        self, size: Shape, largest: int = 5, padded: bool = True, spaced: float = 0.0
    ) -> Window:
        """Any geometry, a kernel as large as the padded input and dilated single cells included."""
        kernel, stride, padding, dilation = [], [], [], []
        spacing = self.spacing(size, spaced)
        for cells, apart in zip(size, spacing, strict=True):
            n = (cells - 1) * apart + 1
            pads = [self.whole(0, 2) if padded and self.chance(0.4) else 0 for _ in range(2)]
            room = n + sum(pads)
            k = room if room <= largest and self.chance(0.15) else 0
            k = k or self.whole(1, min(3 if self.chance(0.8) else largest, room))
            widest = (room - 1) // (k - 1) if k > 1 else 3
            kernel.append(k)
            padding.append((pads[0], pads[1]))
            dilation.append(self.whole(1, max(1, min(3, widest))) if self.chance(0.35) else 1)
            stride.append(self.pick([1, 1, 1, 2, 3]))
        return Window(size, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), spacing)

    def same_window(self, size: Shape) -> Window:
        """A window whose output is as large as its input."""
        kernel, padding, dilation = [], [], []
        for _ in size:
            k, d = self.whole(1, 3), self.whole(1, 2)
            before = self.whole(0, d * (k - 1))
            kernel.append(k)
            padding.append((before, d * (k - 1) - before))
            dilation.append(d)
        ones = (1,) * len(size)
        return Window(size, tuple(kernel), ones, tuple(padding), tuple(dilation))

    def bits(self) -> int:
        return self.pick([1, 2, 4, 8, 8, 8, 8, 12, 16])

    def weights(self, shape: Shape, bits: int, unsigned: bool) -> IntArray:
        """Weights whose negation has the same width too; of one bit they may all be -1 or 0."""
        top = 2 ** (bits - 1) - 1
        low, high = (-1 if bits == 1 else -top), top
        style = self.pick(["any", "any", "any", "small", "few", "positive", "extreme", "zero"])
        if style == "zero" and self.chance(0.7):
            style = "any"
        if style == "small":
            low, high = max(low, -3), min(high, 3)
        if unsigned or style == "positive":
            low = 0
        values = self.rng.integers(low, high + 1, shape)
        if style == "extreme":
            values = np.where(self.rng.random(shape) < 0.5, low, high)
        if style in ("few", "zero"):
            values = values * (self.rng.random(shape) < (0.3 if style == "few" else 0.0))
        return np.asarray(values, dtype=np.int64)

    def connectivity(self, pre: Shape, bits: int, unsigned: bool = False) -> Connectivity:
        """From ``pre`` to a shape of its own choice."""
        kinds = ["dense", "sparse"]
        if len(pre) > 1:
            kinds += ["conv"] * 4 + ["grouped"] * 2 + ["sumpool", "shortcut", "identity"]
        kind = self.pick(kinds)
        if kind in ("conv", "grouped", "sumpool"):
            return self._windowed(kind, pre, bits, unsigned)
        if kind == "shortcut":
            return self._shortcut(pre, bits, unsigned)
        if kind == "identity":
            return self.listed_identity(pre, bits, unsigned)
        if kind == "sparse":
            return self.sparse(pre, self.shape(), bits, unsigned)
        n_pre = math.prod(pre)
        n_post = min(self.channels(), max(1, MOST_WEIGHTS // n_pre))
        return Dense(self.weights((n_post, n_pre), bits, unsigned), pre)

    def link(self, pre: Shape, post: Shape, bits: int, unsigned: bool = False) -> Connectivity:
        """Between two given shapes."""
        kinds = ["sparse"]
        if len(post) == 1 and math.prod(pre) * post[0] <= MOST_WEIGHTS:
            kinds += ["dense", "dense"]
        if pre == post:
            kinds += ["identity", "identity"]
        if len(pre) > 1 and pre[1:] == post[1:] and pre[0] * post[0] <= MOST_WEIGHTS // 9:
            kinds += ["conv", "conv"]
            if pre[0] == post[0]:
                kinds += ["depthwise", "sumpool"]
        kind = self.pick(kinds)
        if kind == "dense":
            return Dense(self.weights((post[0], math.prod(pre)), bits, unsigned), pre)
        if kind == "identity":
            return self.listed_identity(pre, bits, unsigned)
        if kind in ("conv", "depthwise"):
            where = self.same_window(pre[1:])
            groups = pre[0] if kind == "depthwise" else 1
            size = (post[0], pre[0] // groups, *where.kernel)
            return Conv(self.weights(size, bits, unsigned), pre[0], where, groups)
        if kind == "sumpool":
            where = self.same_window(pre[1:])
            return SumPool(self.weights((pre[0],), bits, unsigned), where)
        return self.sparse(pre, post, bits, unsigned)

    def _windowed(self, kind: str, pre: Shape, bits: int, unsigned: bool) -> Connectivity:
        channels, where = pre[0], self.window(pre[1:], spaced=0.4 if kind == "sumpool" else 0.15)
        if kind == "sumpool":
            return SumPool(self.weights((channels,), bits, unsigned), where)
        groups = 1
        if kind == "grouped":
            groups = self.pick([g for g in range(1, channels + 1) if channels % g == 0])
        fan_in = (channels // groups) * where.n_taps
        each = max(1, min(self.channels(), MOST_WEIGHTS // fan_in) // groups)
        size = (groups * each, channels // groups, *where.kernel)
        return Conv(self.weights(size, bits, unsigned), channels, where, groups)

    def listed_identity(self, shape: Shape, bits: int, unsigned: bool) -> Sparse:
        """One synapse from every neuron to its namesake, one weight for all or per channel."""
        n = math.prod(shape)
        weight = self.weights((shape[0] if self.chance(0.5) else 1,), bits, unsigned)
        index = np.arange(n)
        return Sparse(np.repeat(weight, n // weight.size), index, index, shape, shape)

    def _shortcut(self, pre: Shape, bits: int, unsigned: bool) -> Sparse:
        """Every second place of the source, between empty channels, as residual networks have."""
        before, after = self.whole(0, 2), self.whole(0, 2)
        cells = np.arange(math.prod(pre)).reshape(pre)
        every = (slice(None), *(slice(None, None, 2),) * (len(pre) - 1))
        taken = cells[every]
        post = (before + pre[0] + after, *taken.shape[1:])
        targets = np.arange(math.prod(post)).reshape(post)[before : before + pre[0]]
        weight = np.broadcast_to(self.weights((1,), bits, unsigned), taken.size)
        return Sparse(weight, targets.reshape(-1), taken.reshape(-1), pre, post)

    def sparse(self, pre: Shape, post: Shape, bits: int, unsigned: bool) -> Sparse:
        """Any pairs in any order; it may be none."""
        n = math.prod(pre) * math.prod(post)
        share = min(self.pick([0.02, 0.2, 0.4, 1.0]), MOST_LISTED / n)
        flat = np.flatnonzero(self.rng.random(n) < share) if n <= 10**6 else self.rng.choice(n, 500)
        flat = self.rng.permutation(np.unique(flat))
        rows, columns = np.divmod(flat, math.prod(pre))
        return Sparse(self.weights((flat.size,), bits, unsigned), rows, columns, pre, post)

    def spread(self, shape: Shape, low: int, high: int) -> Any:
        """Integers of [low, high]: one, one per channel or one per neuron."""
        size = self.pick([(), shape[:1], shape])
        return self.rng.integers(low, max(low, high) + 1, size)
