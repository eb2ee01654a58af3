"""Connectivity: linear maps from presynaptic spikes to postsynaptic input, never expanded.

Weights are float64 in real-valued netlists and int64 in integer ones; every class works on both
and keeps the dtype. Shapes are C-order, channels first, without a batch axis.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, IntArray, frozen, whole, whole_sizes
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.linear_map import Connectivity, checked_weight, common_precision, exact_matmul
from neurodeploy.ir.phases import phases

__all__ = [
    "CONNECTIVITIES",
    "Connectivity",
    "Conv",
    "Dense",
    "Sparse",
    "SumPool",
    "exact_matmul",
    "identity",
    "listed",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dense(Connectivity):
    """Every neuron to every neuron.

    Parameters
    ----------
    weight : array ``[n_post, n_pre]``
        Columns follow the C-order of ``shape_in``.
    shape_in : tuple of int
        Shape of the presynaptic population; flattening needs no layer of its own.
    """

    shape_in: tuple[int, ...]

    kind: ClassVar[str] = "dense"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", checked_weight(self.weight, 2, self.kind))
        object.__setattr__(self, "shape_in", whole_sizes(self.shape_in, "dense: shape_in"))
        if self.weight.shape[1] != math.prod(self.shape_in):
            raise NetlistError(
                f"dense: weight of shape {self.weight.shape} does not fit inputs of shape "
                f"{self.shape_in} ({math.prod(self.shape_in)} neurons)"
            )

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return self.shape_in

    @property
    def post_shape(self) -> tuple[int, ...]:
        return (int(self.weight.shape[0]),)

    def apply(self, x: AnyArray) -> AnyArray:
        flat = x.reshape(x.shape[0], math.prod(self.pre_shape))
        return exact_matmul(self.weight, flat.T).T

    def scale_inputs(self, scale: AnyArray) -> Dense:
        return self.with_weight(self.weight * np.repeat(scale, self.weight.shape[1] // scale.size))

    def to_coo(self) -> tuple[IntArray, IntArray, AnyArray]:
        n_post, n_pre = self.weight.shape
        post = np.repeat(np.arange(n_post, dtype=np.int64), n_pre)
        pre = np.tile(np.arange(n_pre, dtype=np.int64), n_post)
        return post, pre, self.weight.reshape(-1)

    def fan_in(self) -> IntArray:
        return np.full(self.post_shape, self.weight.shape[1], dtype=np.int64)

    def fan_out(self) -> IntArray:
        return np.full(self.pre_shape, self.weight.shape[0], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conv(Connectivity):
    """Convolution (cross-correlation, as in PyTorch) over one or two spatial axes.

    Parameters
    ----------
    weight : array ``[C_out, C_in / groups, *kernel]``
    channels_in : int
    window : Window
        Its kernel is the spatial shape of ``weight``.
    groups : int
    """

    channels_in: int
    window: Window
    groups: int = 1

    kind: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        n = len(self.window.kernel)
        object.__setattr__(self, "weight", checked_weight(self.weight, n + 2, self.kind))
        for name in ("channels_in", "groups"):
            object.__setattr__(self, name, whole(getattr(self, name), f"conv: {name}"))
        c_out, c_group = self.weight.shape[:2]
        if self.groups < 1 or self.channels_in % self.groups or c_out % self.groups:
            raise NetlistError(
                f"conv: groups {self.groups} does not divide channels {self.channels_in} -> {c_out}"
            )
        if c_group * self.groups != self.channels_in:
            raise NetlistError(
                f"conv: weight of shape {self.weight.shape} with groups {self.groups} does not fit "
                f"{self.channels_in} input channels"
            )
        if tuple(self.weight.shape[2:]) != self.window.kernel:
            raise NetlistError(
                f"conv: weight of shape {self.weight.shape} against kernel {self.window.kernel}"
            )

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return (self.channels_in, *self.window.input_size)

    @property
    def post_shape(self) -> tuple[int, ...]:
        return (int(self.weight.shape[0]), *self.window.output_size)

    def in_phases(self) -> Iterator[tuple[Any, Any, Conv]]:
        """Plain convolutions that are this one: places of the output, cells they are of, and each.

        Over cells that stand apart they are those of its taps that meet any.
        """
        for phase in phases(self.window):
            taps: Any = (..., *phase.taps)
            part = Conv(self.weight[taps], self.channels_in, phase.window, self.groups)
            yield (..., *phase.outputs), (..., *phase.cells), part

    def apply(self, x: AnyArray) -> AnyArray:
        if self.window.is_spaced:
            return _applied_in_phases(self, x)
        batch, groups = x.shape[0], self.groups
        c_out, c_group = self.weight.shape[:2]
        padded = self.window.pad(x)
        taps = [padded[where] for _, where in self.window.taps()]
        columns = np.stack(taps, axis=2)  # [B, C_in, taps, *out]
        rows, places = c_group * self.window.n_taps, math.prod(self.window.output_size)
        columns = columns.reshape(batch, groups, rows, places)
        kernel = self.weight.reshape(groups, c_out // groups, -1)
        return exact_matmul(kernel, columns).reshape(batch, *self.post_shape)

    def scale_inputs(self, scale: AnyArray) -> Conv:
        c_out, c_group = self.weight.shape[:2]
        per_group = np.repeat(scale.reshape(self.groups, c_group), c_out // self.groups, axis=0)
        lead = per_group.reshape(c_out, c_group, *(1,) * len(self.window.kernel))
        return self.with_weight(self.weight * lead)

    def to_coo(self) -> tuple[IntArray, IntArray, AnyArray]:
        c_out, c_group = self.weight.shape[:2]
        out_size = math.prod(self.window.output_size)
        in_size = math.prod(self.window.input_size)
        # Padded cells carry -1, so that synapses onto them can be dropped.
        cells = self.window.pad(np.arange(in_size).reshape(self.window.input_size), -1)
        out_channel = np.arange(c_out)
        first_in = (out_channel // (c_out // self.groups)) * c_group
        posts, pres, weights = [], [], []
        for tap, where in self.window.taps():
            cell = cells[where].reshape(-1)
            real = np.flatnonzero(cell >= 0)
            for k in range(c_group):
                post = out_channel[:, None] * out_size + real[None, :]
                pre = (first_in + k)[:, None] * in_size + cell[real][None, :]
                at: Any = (slice(None), k, *tap)
                value = np.broadcast_to(self.weight[at][:, None], post.shape)
                posts.append(post.reshape(-1))
                pres.append(pre.reshape(-1))
                weights.append(value.reshape(-1))
        return np.concatenate(posts), np.concatenate(pres), np.concatenate(weights)

    def fan_in(self) -> IntArray:
        per_cell = self.window.taps_per_output() * self.weight.shape[1]
        return np.broadcast_to(per_cell, self.post_shape).astype(np.int64)

    def fan_out(self) -> IntArray:
        per_cell = self.window.taps_per_input() * (self.weight.shape[0] // self.groups)
        return np.broadcast_to(per_cell, self.pre_shape).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SumPool(Connectivity):
    """Weighted sum over a window of the same channel: average pooling without its divisor.

    Parameters
    ----------
    weight : array ``[C]``
        One weight per channel, shared by all cells of the window.
    window : Window
    """

    window: Window

    kind: ClassVar[str] = "sumpool"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", checked_weight(self.weight, 1, self.kind))

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return (int(self.weight.size), *self.window.input_size)

    @property
    def post_shape(self) -> tuple[int, ...]:
        return (int(self.weight.size), *self.window.output_size)

    def in_phases(self) -> Iterator[tuple[Any, Any, SumPool]]:
        """Plain sums that are this one, as :meth:`Conv.in_phases` has them."""
        for phase in phases(self.window):
            yield (..., *phase.outputs), (..., *phase.cells), SumPool(self.weight, phase.window)

    def apply(self, x: AnyArray) -> AnyArray:
        if self.window.is_spaced:
            return _applied_in_phases(self, x)
        padded = self.window.pad(x)
        total = np.sum([padded[where] for _, where in self.window.taps()], axis=0)
        lead = self.weight.reshape(-1, *(1,) * len(self.window.kernel))
        return np.asarray(total * lead, dtype=common_precision(lead, x))

    def scale_inputs(self, scale: AnyArray) -> SumPool:
        return self.with_weight(self.weight * scale)

    def to_coo(self) -> tuple[IntArray, IntArray, AnyArray]:
        return self.as_depthwise().to_coo()

    def as_depthwise(self) -> Conv:
        """The same map as a depthwise convolution."""
        channels = int(self.weight.size)
        lead = self.weight.reshape(channels, 1, *(1,) * len(self.window.kernel))
        kernel = np.broadcast_to(lead, (channels, 1, *self.window.kernel))
        return Conv(kernel, channels, self.window, groups=channels)

    def fan_in(self) -> IntArray:
        return np.broadcast_to(self.window.taps_per_output(), self.post_shape).astype(np.int64)

    def fan_out(self) -> IntArray:
        return np.broadcast_to(self.window.taps_per_input(), self.pre_shape).astype(np.int64)


def _applied_in_phases(layer: Conv | SumPool, x: AnyArray) -> AnyArray:
    """What is between the cells is never multiplied."""
    dtype = common_precision(layer.weight, x)
    total: AnyArray = np.zeros((len(x), *layer.post_shape), dtype=dtype)
    for outputs, cells, part in layer.in_phases():
        total[outputs] = part.apply(x[cells])
    return total


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sparse(Connectivity):
    """An explicit list of synapses.

    Parameters
    ----------
    weight : array ``[n_synapses]``
    post, pre : int64 arrays ``[n_synapses]``
        Flat C-order indices. A pair may occur once only.
    shape_in, shape_out : tuple of int
    """

    post: IntArray
    pre: IntArray
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]

    kind: ClassVar[str] = "sparse"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", checked_weight(self.weight, 1, self.kind))
        for name in ("shape_in", "shape_out"):
            object.__setattr__(self, name, whole_sizes(getattr(self, name), f"sparse: {name}"))
        for name, limit in (("post", self.shape_out), ("pre", self.shape_in)):
            index = np.asarray(getattr(self, name))
            if index.dtype.kind not in "iu" or index.shape != self.weight.shape:
                raise NetlistError(
                    f"sparse: {name} of dtype {index.dtype} and shape {index.shape}; expected "
                    f"integers of shape {self.weight.shape}"
                )
            if index.size and (index.min() < 0 or index.max() >= math.prod(limit)):
                raise NetlistError(f"sparse: {name} index outside 0..{math.prod(limit) - 1}")
            object.__setattr__(self, name, frozen(index, np.int64))
        flat = self.post * math.prod(self.shape_in) + self.pre
        if not (flat[1:] > flat[:-1]).all() and np.unique(flat).size != flat.size:
            raise NetlistError("sparse: a synapse is listed twice; add their weights")

    @property
    def pre_shape(self) -> tuple[int, ...]:
        return self.shape_in

    @property
    def post_shape(self) -> tuple[int, ...]:
        return self.shape_out

    def apply(self, x: AnyArray) -> AnyArray:
        flat = x.reshape(x.shape[0], math.prod(self.pre_shape))
        dtype = common_precision(self.weight, x)
        total = np.zeros((math.prod(self.shape_out), x.shape[0]), dtype=dtype)
        np.add.at(total, self.post, self.weight.astype(dtype)[:, None] * flat.T[self.pre])
        return total.T.reshape(x.shape[0], *self.shape_out)

    def to_coo(self) -> tuple[IntArray, IntArray, AnyArray]:
        return self.post, self.pre, self.weight

    def with_weight(self, weight: AnyArray) -> Sparse:
        if weight.shape != self.weight.shape:
            return super(Sparse, self).with_weight(weight)
        # The pairs, of which there may be millions, are not checked again.
        made = copy.copy(self)
        object.__setattr__(made, "weight", checked_weight(weight, 1, self.kind))
        return made

    def scale_channels(self, scale: AnyArray) -> Sparse:
        per_channel = math.prod(self.shape_out) // self.shape_out[0]
        return self.with_weight(self.weight * scale[self.post // per_channel])

    def scale_inputs(self, scale: AnyArray) -> Sparse:
        if (scale == scale[:1]).all():
            return self.with_weight(self.weight * scale[:1])
        per_channel = math.prod(self.shape_in) // scale.size
        return self.with_weight(self.weight * scale[self.pre // per_channel])

    def fan_in(self) -> IntArray:
        counts = np.bincount(self.post, minlength=math.prod(self.shape_out))
        return counts.reshape(self.shape_out).astype(np.int64)

    def fan_out(self) -> IntArray:
        counts = np.bincount(self.pre, minlength=math.prod(self.shape_in))
        return counts.reshape(self.shape_in).astype(np.int64)


def identity(shape: tuple[int, ...], weight: AnyArray | int | float = 1) -> Sparse:
    """One synapse from every neuron to its namesake; ``weight`` scalar or per channel."""
    n = math.prod(shape)
    values = np.asarray(weight)
    values = np.repeat(values, n // shape[0]) if values.ndim else np.full(n, values)
    index = np.arange(n, dtype=np.int64)
    return Sparse(values, index, index, shape, shape)


def is_spaced(layer: Connectivity) -> TypeGuard[Conv | SumPool]:
    """Whether it is a window over cells that stand apart."""
    return isinstance(layer, Conv | SumPool) and layer.window.is_spaced


def listed(layer: Connectivity) -> Sparse:
    """The same map, synapse by synapse."""
    if isinstance(layer, Sparse):
        return layer
    post, pre, weight = layer.to_coo()
    return Sparse(weight, post, pre, layer.pre_shape, layer.post_shape)


CONNECTIVITIES: tuple[type[Connectivity], ...] = (Dense, Conv, SumPool, Sparse)
