"""Reshapes, index maps and resampling of torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import arithmetic, moving
from neurodeploy.source.analog import Concat
from neurodeploy.source.index_maps import numbers
from neurodeploy.source.lowering import Ref, Single, lowers
from neurodeploy.source.torch.layers import Padded
from neurodeploy.source.torch.site import Site

_IN_FRONT = (
    "the batch is mixed with other dimensions: activations are stacked in front of it; take their"
    " sum, mean or maximum over dimension 0 next, or stack along another"
)
_LOWEST = -1e30
_BELOW_ALL = (
    "padding below all activations, which only max-pooling takes as its own, with an activation in"
    " every window; pad with a value in their range"
)
_PADDING = ("reflection_pad", "replication_pad")

MOVES = (
    *("permute", "transpose", "t", "movedim", "flip", "roll", "rot90", "expand", "repeat"),
    *("slice", "narrow", "select", "split", "split_with_sizes", "chunk", "unsafe_split"),
    *("unsafe_chunk", "unbind", "stack", "index", "index_select", "cat", "pad", "tile"),
    *("constant_pad_nd", "_pad_circular", "pixel_shuffle", "pixel_unshuffle", "im2col"),
    *("channel_shuffle", "native_channel_shuffle", "tril", "triu", "repeat_interleave"),
    *("upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "broadcast_to"),
    *("slice_scatter", "select_scatter", "scatter", "index_put", "_unsafe_index_put", "unfold"),
    *("_upsample_nearest_exact2d", "diagonal", "take_along_dim", "gather", "swapaxes"),
    *(f"{name}{rank}d" for name in _PADDING for rank in (1, 2)),
)
"""Operators that only move elements about: they are run on the numbers of the elements."""


@lowers(*MOVES)
def _lower_move(site: Site, **given: Any) -> Any:
    """All of :data:`MOVES`: each result by itself, where an operator has several."""
    indices = given.get("indices")
    # Some operators take one tensor by that name, whose truth is that of its elements.
    by_axis = indices if isinstance(indices, list | tuple) else (indices, given.get("index"))
    if any(isinstance(v, Ref) for v in by_axis):
        site.refuse("elements chosen by activations; choose them by constants")
    if "pad" in site.operator and (given.get("value") or 0) < _LOWEST and min(given["pad"]) >= 0:
        pairs = list(zip(given["pad"][::2], given["pad"][1::2], strict=True))[::-1]
        ref = site.data(given["x"])
        if len(pairs) <= len(ref.shape):
            missing = len(ref.shape) - len(pairs)
            return Padded(ref, site, _BELOW_ALL, ((0, 0),) * missing + tuple(pairs))
    if given.get("accumulate"):
        every = tuple(slice(None) if index is None else index for index in given["indices"])
        return _added(site, given["x"], given["values"], lambda t: t[every])
    if given.get("reduce"):
        site.refuse(f"scattered elements with reduce={given['reduce']!r}")
    if site.operator == "aten.stack" and given["dim"] % len(site.shape) == 0:
        parts = tuple(site.data(value) for value in given["tensors"])
        return arithmetic.Stacked(parts[0], site, _IN_FRONT, parts)
    if site.operator == "aten.cat" and given["dim"] % len(site.shape) == 1:
        parts = given["tensors"]
        if len(parts) > 1 and all(isinstance(value, Ref) for value in parts):
            return site.emit(Concat(), *parts)
    return moving.moved_apart(site)


@lowers("squeeze", "unsqueeze", deferred=True)
def _lower_squeeze(site: Site, x: Any, **given: Any) -> Ref | arithmetic.Stacked:
    """An axis in front of the batch comes and goes around dropout of one dimension more.

    So does the only one behind it.
    """
    if isinstance(x, arithmetic.Stacked | Single) and site.shape == (site.batch, *x.base.shape):
        return x.base
    if "unsqueeze" in site.operator and given["dim"] % len(site.shape) == 0:
        return arithmetic.Stacked(ref := site.data(x), site, _IN_FRONT, (ref,))
    return _lower_reshape(site, x)


@lowers("view", "reshape", "_unsafe_view", "flatten", "unflatten")
def _lower_reshape(site: Site, x: Any, **_: Any) -> Ref:
    ref = site.data(x)
    shape = site.shape[1:]
    if math.prod(shape) != math.prod(ref.shape):
        site.refuse(
            f"the batch dimension is mixed with others (result {site.shape}); keep it apart: linear"
            " layers take any number of axes, convolutions groups of channels"
        )
    return moving.reshaped(site, ref, shape)


@lowers("scatter_add")
def _lower_scatter_add(site: Site, x: Any, dim: int, index: Any, src: Any) -> Ref:
    ref, size = site.data(src, "source"), index.shape[1:]
    cut = numbers(ref.shape)[tuple(map(slice, size))]
    return _added(site, x, moving.rearranged(site, ref, cut), lambda t: torch.gather(t, dim, index))


def _added(site: Site, x: Any, values: Any, chosen: Callable[[torch.Tensor], torch.Tensor]) -> Ref:
    """``x`` with values added to the elements that are chosen, several to one where that is so.

    Each index map of the sum brings one of them to every element.
    """
    shape = site.shape[1:]
    n = math.prod(shape)
    targets = chosen(torch.arange(site.batch * n).reshape(site.shape)).numpy()
    if (
        targets != targets[0] + n * np.arange(site.batch).reshape(-1, *(1,) * (targets.ndim - 1))
    ).any():
        site.refuse("the batch is mixed with other dimensions")
    ref = moving.spread(site, site.data(values, "source"), targets.shape[1:])
    flat = targets[0].reshape(-1)
    order = np.argsort(flat, kind="stable")
    first = np.searchsorted(flat[order], flat[order])
    turn = np.arange(len(flat)) - first
    total = site.value(x)
    for i in range(int(turn.max()) + 1):
        index = np.full(n, -1)
        index[flat[order[turn == i]]] = order[turn == i]
        total = arithmetic.total(site, moving.rearranged(site, ref, index.reshape(shape)), total)
    return site.data(total)


@lowers("copy")
def _lower_assignment(site: Site, x: Any, src: Any, **_: Any) -> Any:
    """What is assigned to elements, in their shape."""
    if isinstance(src, torch.Tensor):
        return src.expand(site.shape)
    return moving.spread(site, site.data(src), site.shape[1:])


@lowers("clone", "contiguous", "alias", "detach", "lift_fresh_copy", "_to_copy", "to", "type_as")
@lowers("nan_to_num")
def _lower_copy(site: Site, x: Any, **_: Any) -> Any:
    if isinstance(x, torch.Tensor):
        # Of an activation it takes the type alone.
        return x.to(site.dtype)
    if site.dtype not in (torch.float32, torch.bool):
        site.refuse(f"conversion to {site.dtype}, expected torch.float32")
    return site.data(x)


@lowers(
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)
def _lower_resampling(site: Site, x: Any, **_: Any) -> Ref:
    """One matrix per spatial axis: every one of them keeps what is constant."""
    ref = site.data(x)
    matrices = [_matrix(site, ref.shape, axis) for axis in range(1, len(ref.shape))]
    for axis, matrix in enumerate(matrices, 1):
        ref = moving.along(site, ref, axis, matrix)
    return ref


def _matrix(site: Site, shape: tuple[int, ...], axis: int) -> AnyArray:
    """Index map of an operator along one axis of a sample, constant along the others."""
    assert site.run is not None
    n = shape[axis]
    rows = [n if i == axis else 1 for i in range(len(shape))]
    basis = np.broadcast_to(np.eye(n).reshape(n, *rows), (n, *shape))[:, :1]
    result = np.moveaxis(site.run([basis])[0], axis + 1, -1)
    return np.asarray(result.reshape(n, -1, result.shape[-1])[:, 0].T)
