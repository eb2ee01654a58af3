"""Operators of the analog graph that make tensors larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.layers import KernelLayer
from neurodeploy.source.op import Op, Shape, set_ints, set_vector


@dataclass(frozen=True, slots=True, eq=False)
class TransposedConvolution(KernelLayer):
    """Transposed convolution: the gradient of a convolution with respect to its input.

    Parameters
    ----------
    weight : array, shape (C_in, C_out / groups, *kernel)
    bias : array, shape (C_out,), or None
    stride, padding, output_padding, dilation : int or tuple of int
        Per spatial dimension. ``padding`` cuts both sides, ``output_padding`` adds to the end.
    groups : int
    """

    weight: AnyArray
    bias: AnyArray | None = None
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    padding: tuple[int, ...] = 0  # type: ignore[assignment]
    output_padding: tuple[int, ...] = 0  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    groups: int = 1

    def __post_init__(self) -> None:
        self._check_weight("input")
        set_vector(self, "bias", self.weight.shape[1] * self.groups, optional=True)
        for name, least in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1)):
            set_ints(self, name, self.rank, least)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        self._expect_input(shape, len(self.weight))
        sizes = (self.kernel, self.stride, self.padding, self.output_padding, self.dilation)
        axes = zip(shape[1:], *sizes, strict=True)
        spatial = tuple((n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, o, d in axes)
        if min(spatial) < 1:
            self.refuse(f"padding {self.padding} leaves nothing of {shape}")
        return (self.weight.shape[1] * self.groups, *spatial)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Every weight meets one activation at each position."""
        return math.prod(inputs[0][1:]) * int(self.weight.size)


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose1d(TransposedConvolution):
    """Over ``(C, L)``; parameters as in :class:`TransposedConvolution`."""

    kind: ClassVar[str] = "conv_transpose1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose2d(TransposedConvolution):
    """Over ``(C, H, W)``; parameters as in :class:`TransposedConvolution`."""

    kind: ClassVar[str] = "conv_transpose2d"
    rank: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, eq=False)
class Upsample(Op):
    """Nearest-neighbour upsampling: every element repeats ``factors`` times per dimension.

    Parameters
    ----------
    factors : tuple of int
    """

    kind: ClassVar[str] = "upsample"
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.factors, (tuple, list)) or len(self.factors) not in (1, 2):
            self.refuse(f"factors {self.factors!r}, expected 1 or 2 integers")
        set_ints(self, "factors", len(self.factors), 1)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != 1 + len(self.factors):
            expected = f"{len(self.factors)} spatial dimensions after the channels"
            self.refuse(f"input has shape {shape}, expected {expected}")
        return (shape[0], *(n * f for n, f in zip(shape[1:], self.factors, strict=True)))
