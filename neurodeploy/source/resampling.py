"""Operators of the analog graph that make tensors larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.op import Op, Shape, set_array, set_ints, set_vector


@dataclass(frozen=True, slots=True, eq=False)
class TransposedConvolution(Op):
    """Transposed convolution: the gradient of a convolution with respect to its input.

    Parameters
    ----------
    weight : array, shape (C_in, C_out / groups, *kernel)
    bias : array, shape (C_out,), or None
    stride, padding, output_padding, dilation : int or tuple of int
        Per spatial dimension. ``padding`` cuts both sides, ``output_padding`` adds to the end.
    groups : int
    """

    rank: ClassVar[int]
    weight: AnyArray
    bias: AnyArray | None = None
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    padding: tuple[int, ...] = 0  # type: ignore[assignment]
    output_padding: tuple[int, ...] = 0  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    groups: int = 1

    def __post_init__(self) -> None:
        weight = set_array(self, "weight", 2 + self.rank)
        if type(self.groups) is not int or self.groups < 1 or len(weight) % self.groups:
            raise NetlistError(
                f"{self.kind}: {len(weight)} input channels do not divide into {self.groups} groups"
            )
        if 0 in weight.shape:
            raise NetlistError(f"{self.kind}: weight of shape {weight.shape} is empty")
        set_vector(self, "bias", self.channels_out, optional=True)
        for name, least in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1)):
            set_ints(self, name, self.rank, least)

    @property
    def channels_out(self) -> int:
        """Output channels."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of the kernel per spatial dimension."""
        return self.weight.shape[2:]

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != 1 + self.rank or shape[0] != len(self.weight):
            raise NetlistError(
                f"{self.kind}: input has shape {shape}, expected {len(self.weight)} channels and "
                f"{self.rank} spatial dimensions"
            )
        spatial = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + o + 1
            for n, k, s, p, o, d in zip(
                shape[1:],
                self.kernel,
                self.stride,
                self.padding,
                self.output_padding,
                self.dilation,
                strict=True,
            )
        )
        if min(spatial) < 1:
            raise NetlistError(f"{self.kind}: padding {self.padding} leaves nothing of {shape}")
        return (self.channels_out, *spatial)

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
            raise NetlistError(f"upsample: factors {self.factors!r}, expected 1 or 2 integers")
        set_ints(self, "factors", len(self.factors), 1)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != 1 + len(self.factors):
            raise NetlistError(
                f"upsample: input has shape {shape}, expected {len(self.factors)} spatial "
                "dimensions after the channels"
            )
        return (shape[0], *(n * f for n, f in zip(shape[1:], self.factors, strict=True)))
