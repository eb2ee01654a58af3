"""Arrays, tensors and data of torch that users hand in, as float32 in raw units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.normalization import Normalization
from neurodeploy.datasets.torch_data import as_array, is_torch_data, read_torch
from neurodeploy.datasets.values import (
    UNIT_RANGE,
    check_shape,
    check_values,
    from_bytes,
    on_grid,
    without_normalization,
)
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray


def read_arrays(name: str, x: Any, y: Any) -> tuple[dict[str, AnyArray], AnyArray | None]:
    """Samples by input ("" if there is one), and labels."""
    if (isinstance(x, tuple) and len(x) == 2) or is_torch_data(x):
        if y is not None:
            raise UsageError(f"{name}: labels come with x, and y is given as well; leave y out")
        x, y = x if isinstance(x, tuple) else read_torch(x)
    given = x if isinstance(x, Mapping) else {"": x}
    inputs = {str(key): as_array(values) for key, values in given.items()}
    known = {key: values for key, values in inputs.items() if values is not None}
    if len(known) != len(inputs) or not known:
        wrong = next((given[key] for key in given if inputs[str(key)] is None), x)
        raise UsageError(
            f"{name}: got {_shown(wrong)}; pass an array or tensor (N, channels, ...), (x, y), a "
            "mapping of inputs to arrays, a torch Dataset or DataLoader, or a text such as "
            "'digits' or 'mnist:PATH'"
        )
    flat = [key for key, values in known.items() if values.ndim == 1 and isinstance(x, Mapping)]
    if flat:
        raise DataError(
            f"{name}: {flat[0]!r} has shape {known[flat[0]].shape}, an input (N, channels, ...); "
            "labels are no input: pass (x, labels) or ({INPUT: x, ...}, labels)"
        )
    if y is None:
        return known, None
    labels = as_array(y)
    if labels is None and isinstance(y, list | tuple | range):
        labels = np.asarray(y)
    if labels is None:
        raise UsageError(f"{name}: y is {_shown(y)}; pass an array of labels or targets")
    return known, labels


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a value of type {type(value).__name__}"


def channels_first(name: str, x: AnyArray) -> AnyArray:
    """Images ``(N, H, W, channels)`` as ``(N, channels, H, W)``; DataError for other shapes."""
    if x.ndim != 4:
        raise DataError(f"{name}: layout='NHWC' is for images (N, H, W, channels), got {x.shape}")
    return np.moveaxis(x, -1, 1)


def checked_range(name: str, given: tuple[float, float] | None) -> tuple[float, float]:
    """Lowest and highest value, [0, 1] by default; UsageError for what is no such pair."""
    if given is None:
        return UNIT_RANGE
    try:
        low, high = (float(v) for v in given)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise UsageError(f"{name}: range={given!r}; pass (low, high) with low below high")
    return low, high


def raw_values(
    name: str,
    inputs: dict[str, AnyArray],
    given_range: tuple[float, float] | None,
    normalized: Normalization | None,
    levels: int | None,
    *,
    in_text: bool = False,
) -> tuple[dict[str, npt.NDArray[np.float32]], int | None]:
    """Values in raw units, and the levels of which they are multiples.

    ``in_text``: whether options are written into the text that names the data.
    """
    option = "#range=LOW,HIGH" if in_text else "range=(LOW, HIGH)"
    value_range = checked_range(name, given_range)
    floats: dict[str, AnyArray] = {}
    for key, x in inputs.items():
        where = f"{name}: {key or 'x'}"
        check_shape(where, x)
        if given_range is None and x.dtype == np.uint8 and normalized is None:
            floats[key] = from_bytes(x)
            continue
        if x.dtype.kind not in "fui" or (x.dtype.kind != "f" and given_range is None):
            raise DataError(
                f"{where} is {x.dtype}; pass uint8 for values 0 ... 255, floats in [0, 1], or "
                f"{option} with other numbers"
            )
        if normalized is not None:
            limit = float(np.finfo(np.float32).max)
            check_values(where, x, (-limit, limit), "remove such values")
            floats[key], levels = without_normalization(where, x, normalized, levels)
            continue
        remedy = f"rescale it or declare its range with {option}"
        if given_range is None and x.min() < 0:
            how = "give neurodeploy.Samples(..., " if in_text else "pass "
            how += "normalized=(mean, std)" + ")" * in_text
            remedy = f"{how} if a Normalize was applied, else {option}"
        check_values(where, x, value_range, remedy)
        floats[key] = x
    if all(x.dtype == np.uint8 for x in inputs.values()) and given_range is None:
        return floats, levels or 255
    if given_range is None and normalized is None and levels is None:
        return on_grid(floats)
    return {key: np.asarray(x, np.float32) for key, x in floats.items()}, levels
