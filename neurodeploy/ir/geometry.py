"""Sliding windows over one or two spatial axes: the geometry of convolution and pooling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, whole_sizes

MAX_CELLS = 2**31 - 1
"""Of a spaced and padded input: executors number them in 32 bits."""


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel moved over padded spatial axes.

    Parameters
    ----------
    input_size : tuple of int
        Spatial shape of the input, ``(L,)`` or ``(H, W)``.
    kernel, stride, dilation : tuple of int
        One value per spatial axis. The dilation of an axis with a kernel of 1 is kept as 1.
    padding : tuple of (int, int)
        Cells added before and after each spatial axis. They may differ: pooling with
        ``ceil_mode`` is padding after the end.
    spacing : tuple of int
        How far apart the cells of the input stand along each spatial axis, with nothing between
        them: a convolution of stride s, transposed, is one over cells that stand s apart.
        [default: 1 everywhere]
    """

    input_size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    # Files leave it out where it is 1.
    spacing: tuple[int, ...] = field(default=(), metadata={"is_default": lambda s: set(s) == {1}})

    def __post_init__(self) -> None:
        for name in ("input_size", "kernel", "stride", "dilation", "spacing"):
            object.__setattr__(self, name, whole_sizes(getattr(self, name), f"window: {name}"))
        pairs = tuple(whole_sizes(pair, "window: padding") for pair in self.padding)
        if any(len(pair) != 2 for pair in pairs):
            raise NetlistError(f"window: padding {pairs}; expected (before, after) for each axis")
        object.__setattr__(self, "padding", pairs)
        n = len(self.input_size)
        if n not in (1, 2):
            raise NetlistError(f"window: {n} spatial axes; 1 or 2 are supported")
        object.__setattr__(self, "spacing", self.spacing or (1,) * n)
        for name in ("kernel", "stride", "padding", "dilation", "spacing"):
            if len(getattr(self, name)) != n:
                raise NetlistError(f"window: {name} {getattr(self, name)} needs {n} entries")
        least = min(*self.input_size, *self.kernel, *self.stride, *self.dilation, *self.spacing)
        if least < 1:
            raise NetlistError(
                "window: input, kernel, stride, dilation and spacing must be at least 1"
            )
        if min(min(pair) for pair in self.padding) < 0:
            raise NetlistError(f"window: negative padding {self.padding}")
        # Between the cells of one there is nothing; libraries differ in what they make of it.
        spread = tuple(1 if k == 1 else d for k, d in zip(self.kernel, self.dilation, strict=True))
        object.__setattr__(self, "dilation", spread)
        if self.is_spaced and max(math.prod(self.padded_size), *self.spacing) > MAX_CELLS:
            raise NetlistError(
                f"window: spacing {self.spacing} makes {self.padded_size} cells of the input; "
                f"at most {MAX_CELLS} together"
            )
        if min(self.output_size) < 1:
            raise NetlistError(
                f"window: kernel {self.kernel} with dilation {self.dilation} is larger than the "
                f"padded input {self.padded_size}"
            )

    @property
    def padded_size(self) -> tuple[int, ...]:
        """Spatial shape after spacing and padding."""
        return tuple(
            (n - 1) * apart + 1 + a + b
            for n, apart, (a, b) in zip(self.input_size, self.spacing, self.padding, strict=True)
        )

    @property
    def is_spaced(self) -> bool:
        """Whether cells of the input stand apart along any axis."""
        return max(self.spacing) > 1

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial shape of the output: floor((padded - dilation (k - 1) - 1) / stride) + 1."""
        return tuple(
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(
                self.padded_size, self.kernel, self.stride, self.dilation, strict=True
            )
        )

    @property
    def n_taps(self) -> int:
        """Cells of the kernel."""
        return math.prod(self.kernel)

    def taps(self) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Yield every kernel cell with the index of the padded input cells that it meets.

        The index begins with an ellipsis: axes before the spatial ones are taken whole.
        """
        for tap in itertools.product(*(range(k) for k in self.kernel)):
            yield tap, (..., *self.tap_slices(tap))

    def tap_slices(self, tap: tuple[int, ...]) -> tuple[slice, ...]:
        """Slices of the padded spatial axes that kernel cell ``tap`` meets."""
        return tuple(
            slice(i * d, i * d + s * (n - 1) + 1, s)
            for i, d, s, n in zip(tap, self.dilation, self.stride, self.output_size, strict=True)
        )

    def pad(self, x: AnyArray, value: float | int = 0) -> AnyArray:
        """Space the cells of the trailing spatial axes of ``x`` and pad them, with ``value``."""
        lead = x.ndim - len(self.input_size)
        if not self.is_spaced:
            return np.pad(x, [(0, 0)] * lead + list(self.padding), constant_values=value)
        padded = np.full((*x.shape[:lead], *self.padded_size), value, dtype=x.dtype)
        padded[self._cells] = x
        return padded

    def unpad(self, x: AnyArray) -> AnyArray:
        """Drop the padding, and what is between cells, from the trailing spatial axes of ``x``."""
        return np.asarray(x[self._cells])

    @property
    def _cells(self) -> Any:
        """Index of the cells of the input among the padded ones."""
        inner = (
            slice(a, a + (n - 1) * apart + 1, apart)
            for (a, _), n, apart in zip(self.padding, self.input_size, self.spacing, strict=True)
        )
        return (..., *inner)

    def taps_per_input(self) -> AnyArray:
        """Number of output windows that contain each input cell: int64 of shape ``input_size``."""
        seen = np.zeros(self.padded_size, dtype=np.int64)
        for _, where in self.taps():
            seen[where] += 1
        return self.unpad(seen)

    def taps_per_output(self) -> AnyArray:
        """Number of cells of the input in each output window: int64, ``output_size``."""
        real = self.pad(np.ones(self.input_size, dtype=np.int64))
        seen = np.zeros(self.output_size, dtype=np.int64)
        for _, where in self.taps():
            seen += real[where]
        return seen
