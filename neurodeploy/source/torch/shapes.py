"""Lowering of everything that moves elements about without computing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from neurodeploy.source.analog import Concat, Pad, Reshape, Slice, Upsample
from neurodeploy.source.lowering import Ref, Site, lowers


@lowers(
    "view",
    "reshape",
    "_unsafe_view",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    label="flatten/view",
)
def _lower_reshape(site: Site, x: Any, **_: Any) -> Ref:
    ref = site.data(x)
    shape = site.shape[1:]
    if not shape:
        site.refuse("the result has no dimension beside the batch")
    if math.prod(shape) != math.prod(ref.shape):
        site.refuse(f"the batch dimension is mixed with others (result {site.shape})")
    return ref if shape == ref.shape else site.emit(Reshape(shape), ref)


@lowers("clone", "contiguous", "alias", "detach", "lift_fresh_copy", "_to_copy", "to", "type_as")
def _lower_copy(site: Site, x: Any, **_: Any) -> Ref:
    if site.dtype != torch.float32:
        site.refuse(f"conversion to {site.dtype}, expected torch.float32")
    return site.data(x)


@lowers("permute")
def _lower_permute(site: Site, x: Any, dims: Any) -> Ref:
    ref = site.data(x)
    rank = len(ref.shape) + 1
    order = [d % rank for d in dims]
    moved = [d for d in order if d and ref.shape[d - 1] != 1]
    if order[0] != 0 or moved != sorted(moved):
        site.refuse(f"permutation {tuple(order)} reorders the data of shape {ref.shape}")
    return _lower_reshape(site, ref)


@lowers("transpose")
def _lower_transpose(site: Site, x: Any, dim0: int, dim1: int) -> Ref:
    rank = len(site.data(x).shape) + 1
    order = list(range(rank))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _lower_permute(site, x, order)


@lowers("expand", "repeat")
def _lower_expand(site: Site, x: Any, **_: Any) -> Ref:
    ref = site.data(x)
    if site.shape[1:] != ref.shape:
        site.refuse(f"shape {ref.shape} is repeated to {site.shape[1:]}")
    return ref


def _take(site: Site, x: Ref, dim: int, start: int, stop: int, step: int = 1) -> Ref:
    """Cut one dimension (the batch counted) of ``x``; the whole range is no operation."""
    axis = dim % (len(x.shape) + 1) - 1
    if axis < 0:
        site.refuse("slicing of the batch dimension")
    ranges = [(0, n, 1) for n in x.shape]
    if (start, stop, step) == ranges[axis]:
        return x
    ranges[axis] = (start, stop, step)
    made = site.builder.node(x)
    if isinstance(made.op, Slice):
        # x[:, :, ::2, ::2] is exported as one slice per dimension.
        ranges = [_composed(*pair) for pair in zip(made.op.ranges, ranges, strict=True)]
        x = site.builder.result(made.inputs[0])
    return site.emit(Slice(tuple(ranges)), x)


def _composed(first: tuple[int, ...], then: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the range that ``then`` selects from the elements of ``first``."""
    chosen = range(*first)[slice(*then)]
    return chosen.start, chosen[-1] + 1, chosen.step


def _length(x: Ref, site: Site, dim: int) -> int:
    return (site.shape[0], *x.shape)[dim]


@lowers("slice", label="slice/split")
def _lower_slice(site: Site, x: Any, dim: int, start: Any, end: Any, step: int) -> Ref:
    ref = site.data(x)
    if dim % (len(ref.shape) + 1) == 0:
        if (start or 0) == 0 and (end is None or end > 2**31) and step == 1:
            return ref
        site.refuse("slicing of the batch dimension")
    bounds = slice(start, end, step).indices(_length(ref, site, dim))
    return _take(site, ref, dim, *bounds)


@lowers("narrow")
def _lower_narrow(site: Site, x: Any, dim: int, start: int, length: int) -> Ref:
    ref = site.data(x)
    first = start % _length(ref, site, dim)
    return _take(site, ref, dim, first, first + length)


@lowers("select")
def _lower_select(site: Site, x: Any, dim: int, index: int) -> Ref:
    ref = site.data(x)
    first = index % _length(ref, site, dim)
    return _lower_reshape(site, _take(site, ref, dim, first, first + 1))


@lowers("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")
def _lower_split(site: Site, x: Any, dim: int, **sizes: Any) -> tuple[Ref, ...]:
    ref = site.data(x)
    length = _length(ref, site, dim)
    (how,) = sizes.values()
    if "chunks" in sizes:
        how = -(-length // how)
    if isinstance(how, int):
        how = [min(how, length - at) for at in range(0, length, how)]
    ends = np.cumsum(how).tolist()
    return tuple(
        _take(site, ref, dim, end - size, end) for end, size in zip(ends, how, strict=True)
    )


@lowers("cat", label="cat")
def _lower_cat(site: Site, tensors: Any, dim: int) -> Ref:
    if dim % len(site.shape) != 1:
        site.refuse(f"concatenation along dimension {dim}, expected the channels (1)")
    refs = [value for value in tensors if isinstance(value, Ref)]
    if len(refs) == len(tensors):
        return site.emit(Concat(), *refs)
    if len(refs) != 1 or any((site.constant(v) != 0).any() for v in tensors if v is not refs[0]):
        site.refuse("concatenation with constants, expected zeros around one activation")
    at = next(i for i, value in enumerate(tensors) if value is refs[0])
    before, after = (
        sum(value.shape[1] for value in part) for part in (tensors[:at], tensors[at + 1 :])
    )
    rest = [(0, 0)] * (len(refs[0].shape) - 1)
    return site.emit(Pad(((before, after), *rest)), refs[0])


@lowers("pad", "constant_pad_nd", label="zero padding")
def _lower_pad(site: Site, x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Ref:
    ref = site.data(x)
    if mode != "constant" or value:
        site.refuse(f"padding mode {mode!r} with value {value or 0}, expected zeros")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    rank = len(ref.shape) + 1
    amounts = [(0, 0)] * (rank - len(pairs)) + pairs[::-1]
    if amounts[0] != (0, 0):
        site.refuse("padding of the batch dimension")
    for dim, (before, after) in enumerate(amounts):
        if before < 0 or after < 0:
            length = _length(ref, site, dim)
            ref = _take(site, ref, dim, max(-before, 0), length + min(after, 0))
    grown = tuple((max(before, 0), max(after, 0)) for before, after in amounts[1:])
    return site.emit(Pad(grown), ref) if any(map(any, grown)) else ref


@lowers(
    "reflection_pad1d",
    "reflection_pad2d",
    "replication_pad1d",
    "replication_pad2d",
    "_pad_circular",
)
def _refuse_padding(site: Site, **_: Any) -> Ref:
    site.refuse("padding with other values than zeros; use padding_mode='zeros'")


@lowers(
    "upsample_nearest1d",
    "upsample_nearest2d",
    "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d",
    label="nearest upsampling",
)
def _lower_upsample(site: Site, x: Any, **given: Any) -> Ref:
    ref = site.data(x)
    pairs = list(zip(site.shape[2:], ref.shape[1:], strict=True))
    factors = tuple(after // before for after, before in pairs)
    scales = [n for name in given if name.startswith("scale") for n in _as_list(given[name])]
    # By a factor of 2.2 two elements become four as well, but three of the first.
    if any(after % before for after, before in pairs) or (scales and scales != list(factors)):
        by = f" by {tuple(scales)}" if scales else ""
        site.refuse(
            f"upsampling from {ref.shape[1:]} to {site.shape[2:]}{by}, expected whole factors"
        )
    return ref if set(factors) == {1} else site.emit(Upsample(factors), ref)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
