"""Linear maps that are no layer: index maps of any kind, maps of one axis, and windows of maxima.

Whatever moves elements about (permute, flip, roll, slice, stack, concatenate, pixel and channel
shuffle, unfold, padding of any mode, repeat, broadcast, nearest resampling) is run once on the
numbers of the elements, by the framework that it comes from; what comes out says where each one
goes. A reshape, slice, zero padding, upsampling or concatenation is recognized and stays one;
anything else is a :class:`Gather`, and gathers in a row are one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters, ascii_lowercase
from typing import Any

import numpy as np

from neurodeploy.errors import first_line
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.source import analog
from neurodeploy.source.analog import Shape
from neurodeploy.source.bounds import expect_few
from neurodeploy.source.index_maps import index_of, numbers, recognized
from neurodeploy.source.lowering import PRODUCT, Place, Ref, Single

_NUMBER = (
    "the result is one number per sample, without a dimension beside the batch, as only outputs "
    "may be; keep one"
)
_MOVES = (analog.Reshape, analog.Slice, analog.Pad, analog.Upsample, analog.Gather)


def reshaped(place: Place, x: Ref, shape: Shape) -> Ref:
    """The same elements in the same order."""
    if not shape:
        return _number(place, x)
    if shape == x.shape:
        return x
    if _gather_below(place, x):
        return rearranged(place, x, numbers(x.shape).reshape(shape))
    return place.emit(analog.Reshape(shape), x)


def _number(place: Place, x: Ref) -> Ref:
    """One element of every sample without a dimension, where an activation is expected."""
    number: Any = Single(reshaped(place, x, (1,)), place, _NUMBER)
    found: Ref = number
    return found


def moved(place: Place, result: int = 0) -> Ref:
    """A result of an operator that only moves elements of activations and adds constants."""
    refs, batch = place.refs, place.batch

    def run(arrays: list[AnyArray]) -> AnyArray:
        assert place.run is not None
        try:
            return np.asarray(place.run(arrays)[result])
        except Exception as error:
            return place.refuse(f"cannot be computed: {first_line(error, 120)}")

    ends = np.cumsum([0, *(math.prod(ref.shape) for ref in refs)])
    n = int(ends[-1])
    sample = np.arange(batch, dtype=np.float64)[:, None] * n + 1
    zeros = [np.zeros((batch, *ref.shape)) for ref in refs]
    numbered = [
        (sample + np.arange(first, last)).reshape(zero.shape)
        for zero, first, last in zip(zeros, ends, ends[1:], strict=False)
    ]
    constant = run(zeros)
    if not np.isfinite(constant).all():
        place.refuse("it fills in values that are not finite (inf or NaN); use finite ones")
    index = run(numbered) - constant
    if constant.ndim == 0 or len(constant) != batch or (constant != constant[:1]).any():
        place.refuse("the batch is mixed with other dimensions")
    first = np.rint(index[0]).astype(np.int64) - 1
    apart = np.where(first < 0, 0, np.arange(batch).reshape(-1, *(1,) * first.ndim) * n)
    if (index != first + 1 + apart).any() or first.max(initial=-1) >= n:
        place.refuse("the batch is mixed with other dimensions")
    single = first.ndim == 0
    first = first.reshape(1) if single else first
    if (first < 0).all():
        place.refuse("nothing of its input is left")
    y = rearranged(place, refs[0], first) if len(refs) == 1 else _joined(place, refs, first)
    if constant[0].any():
        y = place.emit(analog.AddConstant(constant[0]), y)
    return _number(place, y) if single else y


def moved_apart(place: Place) -> Ref | tuple[Ref, ...]:
    """:func:`moved`, result by result where an operator has several."""
    n = place.n_results
    return moved(place) if n is None else tuple(moved(place, i) for i in range(n))


def rearranged(place: Place, x: Ref, index: IntArray) -> Ref:
    """The elements of ``x`` at ``index``, zeros at -1."""
    whole = index.size == math.prod(x.shape) and (index.reshape(-1) == np.arange(index.size)).all()
    if whole and index.shape == x.shape:
        return x
    op = recognized(x.shape, index)
    made = place.made(x)
    joins = isinstance(op, analog.Gather) or _gather_below(place, x)
    alike = type(op) if isinstance(op, analog.Slice | analog.Upsample) else analog.Gather
    if joins or isinstance(made, alike):
        while isinstance(made, _MOVES if joins else alike):
            (x,) = place.taken(x)
            index = np.where(index < 0, -1, index_of(made, x.shape).reshape(-1)[index])
            made = place.made(x)
        if index.shape == x.shape and (index == numbers(x.shape)).all():
            return x
        op = recognized(x.shape, index)
    if isinstance(op, analog.Gather):
        return _in_two(place, x, index)
    return place.emit(op, x)


def _in_two(place: Place, x: Ref, index: IntArray) -> Ref:
    """An index map that is a slice and a padding or a reshape; else a gather."""
    for axis in range(len(x.shape)) if index.ndim == len(x.shape) - 1 else ():
        cut = recognized(x.shape, np.expand_dims(index, axis))
        if isinstance(cut, analog.Slice):
            return place.emit(analog.Reshape(index.shape), place.emit(cut, x))
    if index.ndim == len(x.shape) and index.min() < 0 <= index.max():
        inside = np.argwhere(index >= 0)
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        box = index[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        cut = recognized(x.shape, box)
        if isinstance(cut, analog.Slice):
            pads = tuple(
                (int(a), n - int(b)) for a, b, n in zip(low, high, index.shape, strict=True)
            )
            return place.emit(analog.Pad(pads), place.emit(cut, x))
    return place.emit(analog.Gather(index), x)


def along(place: Place, x: Ref, axis: int, matrix: AnyArray) -> Ref:
    """A matrix ``[after, before]`` times one axis of a sample; an index map where it is one."""
    matrix = np.asarray(matrix, np.float64)
    ones = np.isclose(matrix, 1, atol=1e-9)
    if (ones | (np.abs(matrix) < 1e-9)).all() and (ones.sum(axis=1) <= 1).all():
        taken = np.take(numbers(x.shape), ones.argmax(axis=1), axis)
        empty = ~ones.any(axis=1).reshape(-1, *(1,) * (len(x.shape) - 1 - axis))
        return rearranged(place, x, np.where(empty, -1, taken))
    return place.emit(analog.AlongAxis(matrix, axis), x)


def contracted(place: Place, x: Ref, axis: int, weight: AnyArray, bias: AnyArray | None) -> Ref:
    """A layer ``[after, before]`` on one axis, the same at every position on the others."""
    size, rest = x.shape[axis], x.shape[:axis] + x.shape[axis + 1 :]
    if weight.shape[1] != size:
        place.refuse(f"a matrix of shape {weight.shape} for {size} values")
    if math.prod(rest) == 1:
        y = place.emit(analog.Linear(weight, bias), reshaped(place, x, (size,)))
        return reshaped(place, y, (*rest[:axis], len(weight), *rest[axis:]))
    front = np.moveaxis(numbers(x.shape), axis, 0)
    x = rearranged(place, x, front.reshape(size, *_places(rest)))
    while isinstance(place.made(x), analog.Reshape) and len(place.taken(x)[0].shape) in (2, 3):
        # Of an image, say, whose places were made one axis: a layer of them all knows no places.
        (taken,) = place.taken(x)
        if taken.shape[0] != size:
            break
        x = taken
    layer = analog.Conv1d if len(x.shape) == 2 else analog.Conv2d
    kernel = weight.reshape(*weight.shape, *(1,) * (len(x.shape) - 1))
    y = place.emit(layer(kernel, bias), x)
    back = np.moveaxis(numbers((len(weight), *rest)), 0, axis)
    return rearranged(place, y, back)


def _places(axes: Shape) -> Shape:
    """Axes of a layer that is the same at all of them: two at most, as images have."""
    return axes if len(axes) == 2 else (math.prod(axes),)


def product(place: Place, a: Ref | AnyArray, b: Ref | AnyArray) -> Ref:
    """The matrix product of an activation and a constant, or of several: by leading axes."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        place.refuse(PRODUCT)
    left = isinstance(b, Ref)
    x, matrix = (place.data(b if left else a), place.constant(a if left else b))
    rank = len(x.shape)
    fits = 2 <= matrix.ndim <= max(rank + 1, 2) and rank > (1 if left else 0)
    if fits and matrix.ndim > max(rank, 2):
        if (matrix != matrix[:1]).any():
            place.refuse("a matrix that differs between the samples of a batch")
        matrix = matrix[0]
    if matrix.ndim == 1 and rank > left:
        axis = rank - 1 - left
        y = contracted(place, x, axis, matrix[None], None)
        return reshaped(place, y, x.shape[:axis] + x.shape[axis + 1 :])
    if not fits or (rank == 1 and matrix.ndim > 2):
        place.refuse(f"a matrix product of {matrix.shape} and activations of {x.shape}")
    if rank == 1:
        return contracted(place, x, 0, matrix.T, None)
    *lead, rows, columns = x.shape
    try:
        shape = np.broadcast_shapes(tuple(lead), matrix.shape[:-2])
    except ValueError:
        place.refuse(f"a matrix product of {matrix.shape} and activations of {x.shape}")
    x = spread(place, x, (*shape, rows, columns))
    axis = len(shape) + (0 if left else 1)
    weight = matrix if left else matrix.swapaxes(-1, -2)
    if (weight == weight[(0,) * (weight.ndim - 2)]).all():
        return contracted(place, x, axis, weight[(0,) * (weight.ndim - 2)], None)
    if x.shape[axis] != weight.shape[-1]:
        place.refuse(f"a matrix of shape {matrix.shape} for activations of {x.shape}")
    expect_few((*shape, *weight.shape[-2:]), "spreads a matrix to one")
    leading = ascii_lowercase[: len(shape)]
    ours, result = (leading + ("XZ" if left else "ZX"), leading + ("YZ" if left else "ZY"))
    weight = np.broadcast_to(weight, (*shape, *weight.shape[-2:]))
    return _summed(place, x, weight, ours, leading + "YX", result)


def einsum_axes(place: Place, equation: str, ranks: Sequence[int]) -> list[str]:
    """Axes of every operand and of the result, ``...`` and a result left out written in full."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms, n = given.split(","), len(ranks)
    if len(terms) != n or not all(terms):
        place.refuse(f"einsum {equation!r} of {n} operands, expected axes of each")
    hidden = [r - len(t.replace("...", "", 1)) for t, r in zip(terms, ranks, strict=True)]
    if any(h < 0 or (h > 0 and "..." not in t) for t, h in zip(terms, hidden, strict=True)):
        place.refuse(f"einsum {equation!r} of operands with {list(ranks)} axes")
    own = [c for c in ascii_letters if c not in equation][: max(hidden)]
    terms = [
        t.replace("...", "".join(own[len(own) - h :]), 1)
        for t, h in zip(terms, hidden, strict=True)
    ]
    every = "".join(terms)
    if not arrow:
        once = sorted(c for c in set(every) - set(own) if every.count(c) == 1)
        result = "".join((*own, *once))
    result = result.replace("...", "".join(own), 1)
    if not all(c in ascii_letters and c in every for c in result) or "." in every:
        place.refuse(f"einsum {equation!r}: axes of the result that no operand has")
    return [*terms, result]


def contraction(place: Place, equation: str, at: int, x: Ref, constant: AnyArray) -> Ref:
    """An einsum of an activation, operand number ``at``, and a constant."""
    ranks = [constant.ndim] * 2
    ranks[at] = len(x.shape) + 1
    *terms, result = einsum_axes(place, equation, ranks)
    ours, theirs = terms[at], terms[1 - at]
    batch, gone = ours[0], ({*ours} & {*theirs}) - {*result}
    plain = len({*ours}) == len(ours) and len({*theirs}) == len(theirs)
    left = ({*ours} | {*theirs}) - gone
    if not plain or not gone or result[:1] != batch or batch in theirs or left != {*result}:
        place.refuse(f"einsum {equation!r}, expected one sum over shared axes, the batch first")
    # An axis of one element is as long as the other operand's.
    each = [*zip(ours[1:], x.shape, strict=True), *zip(theirs, constant.shape, strict=True)]
    sizes = {c: n for c, n in each if n != 1}
    if any(n not in (1, sizes.get(c)) for c, n in each):
        place.refuse(f"einsum {equation!r} of activations of {x.shape} and {constant.shape}")
    x = spread(place, x, tuple(sizes.get(c, 1) for c in ours[1:]))
    spread_to = [sizes.get(c, 1) for c in theirs]
    expect_few(spread_to, "spreads a constant to one")
    constant = np.broadcast_to(constant, spread_to)
    return _summed(place, x, constant, ours[1:], theirs, result[1:])


def sums(place: Place, equation: str, x: Ref) -> Ref:
    """An einsum of one activation: sums over axes, and the others in another order."""
    ours, result = einsum_axes(place, equation, [len(x.shape) + 1])
    if len({*ours}) != len(ours) or len({*result}) != len(result) or result[:1] != ours[0]:
        place.refuse(f"einsum {equation!r}, expected different axes, the batch first")
    gone = {i for i, c in enumerate(ours[1:]) if c not in result}
    left = [c for c in ours[1:] if c in result]
    x = reduced(place, x, "sum", gone, keep=False) if gone else x
    return rearranged(place, x, numbers(x.shape).transpose([left.index(c) for c in result[1:]]))


def _summed(place: Place, x: Ref, constant: AnyArray, ours: str, theirs: str, result: str) -> Ref:
    """Products summed over the axes that both have and the result has not, one letter an axis."""
    sizes = {
        **dict(zip(ours, x.shape, strict=True)),
        **dict(zip(theirs, constant.shape, strict=True)),
    }
    both = [c for c in ours if c in theirs and c in result]
    gone = [c for c in ours if c not in result]
    kept = [c for c in ours if c not in theirs]
    new = [c for c in theirs if c not in ours]
    groups, rows = (math.prod(sizes[c] for c in axes) for axes in (both, gone))
    front = numbers(x.shape).transpose([ours.index(c) for c in (*both, *gone, *kept)])
    x = rearranged(place, x, front.reshape(groups * rows, -1))
    weight = constant.transpose([theirs.index(c) for c in (*both, *new, *gone)]).reshape(-1, rows)
    if groups == 1:
        y = contracted(place, x, 0, weight, None)
    else:
        y = place.emit(analog.Conv1d(weight[:, :, None], groups=groups), x)
    full = numbers(tuple(sizes[c] for c in (*both, *new, *kept)))
    order = [(*both, *new, *kept).index(c) for c in result]
    return rearranged(place, y, full.transpose(order))


def reduced(place: Place, x: Ref, word: str, axes: set[int], keep: bool) -> Ref:
    """The sum, mean or maximum (``max``) over axes of a sample."""
    rank = len(x.shape)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes)
    if not shape:
        return _number(place, reduced(place, x, word, axes, keep=True))
    if 0 not in axes and rank in (2, 3):
        kernel = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))[1:]
        average = analog.AvgPool(kernel, kernel, divisor=None if word == "mean" else 1)
        op = analog.MaxPool(kernel, kernel) if word == "max" else average
        return reshaped(place, place.emit(op, x), shape)
    if word == "max":
        order = [i for i in range(rank) if i not in axes] + sorted(axes)
        return windowed(place, x, numbers(x.shape).transpose(order).reshape(*shape, -1))
    for axis in sorted(axes):
        n = x.shape[axis]
        x = along(place, x, axis, np.full((1, n), 1 / n if word == "mean" else 1.0))
    return reshaped(place, x, shape)


def windowed(place: Place, x: Ref, windows: IntArray) -> Ref:
    """The maxima of windows of elements, listed on the last axis."""
    *shape, k = windows.shape
    y = rearranged(place, x, windows.reshape(shape[0], -1))
    return reshaped(place, place.emit(analog.MaxPool((k,), (k,)), y), tuple(shape))


def spread(place: Place, x: Ref, shape: Shape) -> Ref:
    """``x`` broadcast to ``shape``."""
    if shape == x.shape:
        return x
    expect_few(shape, "spreads an activation to one")
    return rearranged(place, x, np.broadcast_to(numbers(x.shape), shape))


def uneven_windows(shape: Shape, after: Sequence[int]) -> list[IntArray]:
    """Windows of adaptive pooling per spatial axis: ``[after, longest]``, the last repeated."""
    found = []
    for n, out in zip(shape[1:], after, strict=True):
        i = np.arange(out)
        start, end = i * n // out, -(-(i + 1) * n // out)
        longest = int((end - start).max())
        found.append(np.minimum(start[:, None] + np.arange(longest), end[:, None] - 1))
    return found


def maxima(place: Place, x: Ref, windows: Sequence[IntArray]) -> Ref:
    """Maxima of windows given per spatial axis: ``[after, element]``, those outside included."""
    expect_few((x.shape[0], *(cells.size for cells in windows)), "lists windows")
    found = numbers(x.shape)
    for axis, cells in enumerate(windows, 1):
        inside = (cells >= 0) & (cells < x.shape[axis])
        # An element outside is replaced by one of the window that is inside.
        first = np.take_along_axis(cells, inside.argmax(axis=1)[:, None], axis=1)
        # The axis becomes (after, element), the latter at the end.
        found = np.moveaxis(np.take(found, np.where(inside, cells, first), axis), axis + 1, -1)
    return windowed(place, x, found.reshape(*found.shape[: len(x.shape)], -1))


def averages(place: Place, x: Ref, windows: Sequence[IntArray], counted: bool = False) -> Ref:
    """Averages of windows as in :func:`maxima`; ``counted``: of zeros outside as well."""
    for axis, cells in enumerate(windows, 1):
        size = x.shape[axis]
        expect_few((len(cells), size), "averages by a matrix")
        inside = (cells >= 0) & (cells < size)
        matrix = np.zeros((len(cells), size), bool)
        matrix[inside.nonzero()[0], cells[inside]] = True
        n = cells.shape[1] if counted else matrix.sum(axis=1, keepdims=True)
        x = along(place, x, axis, matrix / n)
    return x


def _gather_below(place: Place, x: Ref) -> bool:
    while isinstance(place.made(x), analog.Reshape):
        (x,) = place.taken(x)
    return isinstance(place.made(x), analog.Gather)


def _joined(place: Place, refs: Sequence[Ref], index: IntArray) -> Ref:
    """Elements of several activations: a concatenation, and an index map of it."""
    used = list(dict.fromkeys(refs))
    if len(used) == 1:
        n = math.prod(used[0].shape)
        return rearranged(place, used[0], np.where(index < 0, -1, index % n))
    flat = [reshaped(place, ref, (math.prod(ref.shape),)) for ref in refs]
    return rearranged(place, place.emit(analog.Concat(), *flat), index)
