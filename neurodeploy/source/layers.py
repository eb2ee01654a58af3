"""Operators of the analog graph that hold weights or statistics, and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.geometry import Window
from neurodeploy.source.op import Op, Shape, n_windows, set_array, set_ints, set_vector


class PerChannel(Op):
    """An operation with constants per channel, element by element."""

    __slots__ = ()
    mean: AnyArray

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        if not inputs[0] or inputs[0][0] != len(self.mean):
            self.refuse(f"input has shape {inputs[0]}, expected {len(self.mean)} channels")
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class Normalize(PerChannel):
    """Input normalization ``(x - mean) / std`` per channel.

    Parameters
    ----------
    mean, std : array, shape (C,)
        In units of the network's input; ``std`` is positive.
    """

    kind: ClassVar[str] = "normalize"
    mean: AnyArray
    std: AnyArray

    def __post_init__(self) -> None:
        set_array(self, "mean", 1)
        set_vector(self, "std", len(self.mean))
        if (self.std <= 0).any():
            self.refuse("every std must be above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Linear(Op):
    """``y = weight @ x + bias`` on a vector.

    Parameters
    ----------
    weight : array, shape (n_out, n_in)
    bias : array, shape (n_out,), or None
    """

    kind: ClassVar[str] = "linear"
    weight: AnyArray
    bias: AnyArray | None = None

    def __post_init__(self) -> None:
        set_vector(self, "bias", len(set_array(self, "weight", 2)), optional=True)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        n_out, n_in = self.weight.shape
        if inputs[0] != (n_in,):
            self.refuse(f"input has shape {inputs[0]}, expected ({n_in},)")
        return (n_out,)

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Every weight meets one activation."""
        return int(self.weight.size)


class KernelLayer(Op):
    """A layer whose kernel, the last axes of its weight, moves over ``rank`` dimensions."""

    __slots__ = ()
    rank: ClassVar[int]
    weight: AnyArray
    groups: int

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of the kernel per spatial dimension."""
        return self.weight.shape[2:]

    def _check_weight(self, which: str) -> None:
        channels = len(set_array(self, "weight", 2 + self.rank))
        if type(self.groups) is not int or self.groups < 1 or channels % self.groups:
            self.refuse(f"{channels} {which} channels do not divide into {self.groups} groups")
        if 0 in self.weight.shape:
            self.refuse(f"weight of shape {self.weight.shape} is empty")

    def _expect_input(self, shape: Shape, channels: int) -> None:
        if len(shape) != 1 + self.rank or shape[0] != channels:
            expected = f"{channels} channels and {self.rank} spatial dimensions"
            self.refuse(f"input has shape {shape}, expected {expected}")


@dataclass(frozen=True, slots=True, eq=False)
class Convolution(KernelLayer):
    """Cross-correlation with zero padding, as in the deep-learning convention.

    Parameters
    ----------
    weight : array, shape (C_out, C_in / groups, *kernel)
    bias : array, shape (C_out,), or None
    stride, dilation : int or tuple of int
        Per spatial dimension; where the kernel is 1, the dilation is kept as 1.
    padding : int or tuple of int
        One number, one per spatial dimension, or ``(before, after)`` of every spatial dimension
        in turn: (left, right) or (top, bottom, left, right). Kept in the last form.
    groups : int
    """

    weight: AnyArray
    bias: AnyArray | None = None
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    padding: tuple[int, ...] = 0  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    groups: int = 1

    def __post_init__(self) -> None:
        self._check_weight("output")
        set_vector(self, "bias", len(self.weight), optional=True)
        per_dimension = self.rank > 1 and isinstance(self.padding, (tuple, list))
        if per_dimension and len(self.padding) == self.rank:
            both = tuple(p for p in self.padding for _ in range(2))
            object.__setattr__(self, "padding", both)
        set_ints(self, "stride", self.rank, 1)
        set_ints(self, "padding", 2 * self.rank, 0)
        set_ints(self, "dilation", self.rank, 1)
        object.__setattr__(self, "dilation", _spread(self.kernel, self.dilation))

    @property
    def padding_pairs(self) -> tuple[tuple[int, int], ...]:
        """(before, after) per spatial dimension."""
        return tuple(zip(self.padding[::2], self.padding[1::2], strict=True))

    def window(self, shape: Shape) -> Window:
        """The kernel as it moves over an input of ``shape``."""
        return Window(shape[1:], self.kernel, self.stride, self.padding_pairs, self.dilation)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        self._expect_input(shape, self.weight.shape[1] * self.groups)
        windows = (self.kernel, self.stride, self.padding_pairs, self.dilation)
        return (len(self.weight), *_spatial(self, shape, *windows))

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Every weight meets one activation at each position."""
        return math.prod(self._infer(inputs)[1:]) * int(self.weight.size)


@dataclass(frozen=True, slots=True, eq=False)
class Conv1d(Convolution):
    """Cross-correlation over ``(C, L)``; parameters as in :class:`Convolution`."""

    kind: ClassVar[str] = "conv1d"
    rank: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, eq=False)
class Conv2d(Convolution):
    """Cross-correlation over ``(C, H, W)``; parameters as in :class:`Convolution`."""

    kind: ClassVar[str] = "conv2d"
    rank: ClassVar[int] = 2


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
class BatchNorm(PerChannel):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` per channel, with stored statistics.

    Parameters
    ----------
    mean, var : array, shape (C,)
    weight, bias : array, shape (C,), or None
        None means 1 and 0.
    eps : float
    """

    kind: ClassVar[str] = "batch_norm"
    mean: AnyArray
    var: AnyArray
    weight: AnyArray | None = None
    bias: AnyArray | None = None
    eps: float = 1e-5

    def __post_init__(self) -> None:
        channels = len(set_array(self, "mean", 1))
        set_vector(self, "var", channels)
        set_vector(self, "weight", channels, optional=True)
        set_vector(self, "bias", channels, optional=True)
        object.__setattr__(self, "eps", float(self.eps))
        if not math.isfinite(self.eps) or not (self.var.astype(np.float64) + self.eps > 0).all():
            self.refuse("var + eps must be above 0 in every channel")

    def scale_shift(self) -> tuple[AnyArray, AnyArray]:
        """Express the map as ``scale * x + shift``: both float64, shape (C,)."""
        scale = 1.0 / np.sqrt(self.var.astype(np.float64) + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = -scale * self.mean
        return scale, shift if self.bias is None else shift + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Pooling(Op):
    """Pooling over windows of one or two spatial dimensions, ``len(kernel)`` of them."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = 0  # type: ignore[assignment]
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, (tuple, list)) or len(self.kernel) not in (1, 2):
            self.refuse(f"kernel is {self.kernel!r}, expected 1 or 2 integers")
        rank = len(self.kernel)
        set_ints(self, "kernel", rank, 1)
        set_ints(self, "stride", rank, 1)
        set_ints(self, "padding", rank, 0)
        if type(self.ceil_mode) is not bool:
            self.refuse(f"ceil_mode is {self.ceil_mode!r}, expected a bool")
        if any(2 * p > k for k, p in zip(self.kernel, self.padding, strict=True)):
            self.refuse(f"padding {self.padding} exceeds half of the kernel {self.kernel}")

    def _spacing(self) -> tuple[int, ...]:
        return (1,) * len(self.kernel)

    def window(self, shape: Shape) -> Window:
        """The windows over an input of ``shape``; ceil mode is padding after its end."""
        dilation = self._spacing()
        sizes = (self.kernel, self.stride, self.padding, dilation)
        axes = zip(shape[1:], self.output_shape([shape])[1:], *sizes, strict=True)
        reach = ((n, (m - 1) * s + d * (k - 1) + 1, p) for n, m, k, s, p, d in axes)
        pads = tuple((p, max(end - n - p, 0)) for n, end, p in reach)
        return Window(shape[1:], self.kernel, self.stride, pads, dilation)

    def _infer(self, inputs: Sequence[Shape]) -> Shape:
        shape = inputs[0]
        if len(shape) != 1 + len(self.kernel):
            expected = f"{len(self.kernel)} spatial dimensions after the channels"
            self.refuse(f"input has shape {shape}, expected {expected}")
        pads = [(p, p) for p in self.padding]
        windows = (self.kernel, self.stride, pads, self._spacing())
        return (shape[0], *_spatial(self, shape, *windows, ceil=self.ceil_mode))


@dataclass(frozen=True, slots=True, eq=False)
class AvgPool(Pooling):
    """Average over windows, in one or two spatial dimensions.

    Parameters
    ----------
    kernel, stride, padding : tuple of int
        Per spatial dimension; ``padding`` is that of each side, with zeros.
    ceil_mode : bool
        Whether a last, incomplete window counts.
    count_include_pad : bool
        Whether padded zeros count in the divisor.
    divisor : int or None
        A fixed divisor in place of the window's size; 1 sums.
    """

    kind: ClassVar[str] = "avg_pool"
    count_include_pad: bool = True
    divisor: int | None = None

    def __post_init__(self) -> None:
        Pooling.__post_init__(self)
        if type(self.count_include_pad) is not bool:
            self.refuse("count_include_pad must be a bool")
        if self.divisor is not None and (type(self.divisor) is not int or self.divisor == 0):
            self.refuse(f"divisor is {self.divisor!r}, expected an int, not 0")

    def divisors(self, shape: Shape) -> AnyArray:
        """Divisor of every output position, int64, for an input of ``shape``; spatial shape.

        A window that leaves the input on the right in ceil mode counts only up to the padding.
        """
        spatial = self.output_shape((shape,))[1:]
        result = np.ones((), np.int64)
        for n, out, k, s, p in zip(
            shape[1:], spatial, self.kernel, self.stride, self.padding, strict=True
        ):
            start = np.arange(out) * s - p
            end = np.minimum(start + k, n + p)
            if not self.count_include_pad:
                start, end = np.maximum(start, 0), np.minimum(end, n)
            result = result[..., None] * (end - start)
        return result if self.divisor is None else np.full(spatial, self.divisor, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool(Pooling):
    """Maximum over windows, in one or two spatial dimensions; padding never wins.

    Parameters
    ----------
    kernel, stride, padding, dilation : tuple of int
        Per spatial dimension; ``padding`` is that of each side. Where the kernel is 1, the
        dilation is kept as 1.
    ceil_mode : bool
        Whether a last, incomplete window counts.
    """

    kind: ClassVar[str] = "max_pool"
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]

    def __post_init__(self) -> None:
        Pooling.__post_init__(self)
        set_ints(self, "dilation", len(self.kernel), 1)
        object.__setattr__(self, "dilation", _spread(self.kernel, self.dilation))

    def _spacing(self) -> tuple[int, ...]:
        return self.dilation


def _spread(kernel: Shape, dilation: Shape) -> Shape:
    """Dilations, 1 where a kernel of 1 has nothing to spread."""
    return tuple(1 if k == 1 else d for k, d in zip(kernel, dilation, strict=True))


def _spatial(op: Op, shape: Shape, *windows: Sequence[Any], ceil: bool = False) -> Shape:
    """Spatial shape of the result, from kernels, strides, paddings and dilations."""
    axes = zip(shape[1:], *windows, strict=True)
    spatial = tuple(n_windows(n, k, s, p, d, ceil) for n, k, s, p, d in axes)
    if min(spatial) < 1:
        op.refuse(f"input of shape {shape} is smaller than the kernel")
    return spatial
