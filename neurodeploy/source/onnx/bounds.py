"""How many elements ONNX operators make at most, known before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from neurodeploy.errors import NetlistError

MOST_CONSTANTS = 2**26
"""Elements of all computed constants together, beside those that the file pays for."""
TIMES_OWN = 4
"""Constants computed of each that the file holds: dequantized, scaled, transposed, cast."""

_Shapes = Sequence[Sequence[int]]
_Attributes = Mapping[str, Any]
_Makes = Callable[[_Shapes, Sequence[Any], _Attributes], int]


def _broadcast(*shapes: Sequence[int]) -> int:
    axes = zip_longest(*(tuple(shape)[::-1] for shape in shapes), fillvalue=1)
    return math.prod(map(max, axes))


def _integers(value: Any, what: str) -> list[int]:
    if not isinstance(value, np.ndarray | list | tuple):
        raise NetlistError(f"its {what} are computed from the network's input, expected constants")
    array = np.ravel(value)
    if array.dtype.kind not in "iub" and array.size:
        raise NetlistError(f"its {what} are of type {array.dtype}, expected integers")
    return [int(n) for n in array]


def _positive(value: Any, what: str) -> list[int]:
    return [abs(n) for n in _integers(value, what)]


def _axes(rank: int, axes: Any) -> list[int]:
    found = range(rank) if axes is None else _integers(axes, "axes")
    return [n % rank for n in found] if rank else []


def _padded(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    pads = _integers(how["pads"] if "pads" in how else values[1], "pads")
    sizes, axes = [*shapes[0]], _axes(len(shapes[0]), values[3] if len(values) > 3 else None)
    if len(pads) != 2 * len(axes):
        raise NetlistError(f"{len(pads)} pads for {len(axes)} axes, expected two each")
    for i, axis in enumerate(axes):
        sizes[axis] += max(pads[i], 0) + max(pads[i + len(axes)], 0)
    return math.prod(sizes)


def _cut_or_padded(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    sizes, wanted = [*shapes[0]], _positive(values[1], "sizes")
    for axis, n in zip(_axes(len(sizes), how.get("axes")), wanted, strict=False):
        sizes[axis] = max(sizes[axis], n)
    return math.prod(sizes)


def _ranged(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    start, limit, delta = (float(np.ravel(value)[0]) for value in values)
    length = (limit - start) / delta if delta else math.inf
    if not math.isfinite(length):
        raise NetlistError("a range without end")
    return max(math.ceil(length), 0)


def _product(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    a, b = shapes[:2]
    return _broadcast(a[:-2], b[:-2]) * math.prod(a[-2:-1]) * math.prod(b[-1:] if b[1:] else ())


def _taken(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    axis, rank = int(how.get("axis", 0)), len(shapes[0])
    if not -rank <= axis < rank:
        raise NetlistError(f"axis {axis} of {rank}")
    rest = (n for i, n in enumerate(shapes[0]) if i != axis % rank)
    return math.prod(rest) * math.prod(shapes[1])


def _taken_parts(shapes: _Shapes, values: Sequence[Any], how: _Attributes) -> int:
    *many, depth = shapes[1]
    return math.prod(many) * math.prod(shapes[0][max(int(how.get("batch_dims", 0)), 0) + depth :])


_MAKES: dict[str, _Makes] = {
    "CenterCropPad": _cut_or_padded,
    "Concat": lambda shapes, values, how: sum(map(math.prod, shapes)),
    "ConstantOfShape": lambda shapes, values, how: math.prod(_positive(values[0], "sizes")),
    "Expand": lambda shapes, values, how: _broadcast(shapes[0], _positive(values[1], "sizes")),
    "Gather": _taken,
    "GatherElements": lambda shapes, values, how: math.prod(shapes[1]),
    "GatherND": _taken_parts,
    "MatMul": _product,
    "Pad": _padded,
    "Range": _ranged,
    "Tile": lambda shapes, values, how: math.prod((*shapes[0], *_positive(values[1], "repeats"))),
    **dict.fromkeys(
        (
            *("Cast", "CastLike", "CumSum", "DepthToSpace", "DequantizeLinear", "Flatten"),
            *("QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
            *("Reshape", "ReverseSequence", "ScatterElements", "ScatterND", "Slice"),
            *("SpaceToDepth", "Split", "Squeeze", "Transpose", "Trilu", "Unsqueeze"),
        ),
        lambda shapes, values, how: math.prod(shapes[0]),
    ),
}
"""Operators of which not all inputs broadcast."""


def made(
    operator: str, shapes: Iterable[Sequence[int]], values: Sequence[Any], attributes: _Attributes
) -> int:
    """How many elements a node makes at most of ``values``, with batch in their ``shapes``."""
    found = [[int(n) for n in shape] for shape in shapes]
    try:
        if operator in _MAKES:
            return _MAKES[operator](found, values, attributes)
    except NetlistError:
        raise
    except (IndexError, ValueError):
        raise NetlistError(f"{len(found)} inputs of shapes {found} do not fit it") from None
    return _broadcast(*found)
