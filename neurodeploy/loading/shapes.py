"""JSON values against the shape that they are written in, where no dataclass declares it."""

from __future__ import annotations

import math
from typing import Any

Shape = Any
"""A type, a range of whole numbers, or None; in a tuple, one of several; in a list, all entries, or
each of several; in a dict, the values of keys, ``...`` for all: others may be beside those that are
named, and a missing one is None."""

WHOLE = range(-(2**63), 2**63)
"""Numbers that every column and array holds."""


def has_shape(value: Any, shape: Shape) -> bool:
    """Whether a JSON value is of a shape; real numbers are finite, and a bool is no number."""
    match shape:
        case range():
            return isinstance(value, int) and not isinstance(value, bool) and value in shape
        case tuple():
            return any(has_shape(value, one) for one in shape)
        case [one]:
            return isinstance(value, list) and all(has_shape(entry, one) for entry in value)
        case list():
            each = isinstance(value, list) and len(value) == len(shape)
            return each and all(map(has_shape, value, shape))
        case dict():
            return isinstance(value, dict) and all(
                all(has_shape(entry, of) for entry in value.values())
                if key is ...
                else has_shape(value.get(key), of)
                for key, of in shape.items()
            )
        case None:
            return value is None
        case _ if shape is float:
            return has_shape(value, WHOLE) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, shape)
