"""From a specification to arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets import files
from neurodeploy.datasets.arrays import channels_first, raw_values, read_arrays
from neurodeploy.datasets.image_folder import read_image_folder
from neurodeploy.datasets.npz import read_npz
from neurodeploy.datasets.spec import DataSpec, existing_path, parse_spec
from neurodeploy.datasets.values import (
    UNIT_RANGE,
    Floats,
    checked_labels,
    checked_targets,
    from_one_hot,
)
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray

DIGITS_TEST_EVERY = 5
"""Every fifth digit of its class is a test sample: the file cycles through the classes, so that
every fifth of all would hold 21 ones and 52 threes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Data that a specification names; the fields are those of Samples."""

    spec: DataSpec
    x: Floats
    y: npt.NDArray[np.int64] | Floats | None
    split: str | None = None
    value_range: tuple[float, float] = UNIT_RANGE
    levels: int | None = None
    named: dict[str, Floats] = field(default_factory=dict)


def read_spec(text: str, default_split: str, finished: type, at_most: int | None = None) -> Loaded:
    """Read what a specification names; of arrays in a file, no more than so many samples.

    A function of the user's may give data of the class ``finished``, with the fields of Loaded.

    Raises
    ------
    UsageError
        For a specification that cannot be read.
    FileFormatError, DataError
        For files that are missing, damaged, or hold what cannot be used.
    """
    spec = parse_spec(text)
    if spec.kind == "npz":
        return _npz(spec, default_split, at_most)
    if spec.kind == "python":
        return _python(spec, finished)
    return _images(spec, spec.split or default_split)


def _images(spec: DataSpec, split: str) -> Loaded:
    levels = 255
    labels: AnyArray
    if spec.kind == "digits":
        levels = 16
        pixels, labels = files.read_digits()
        is_test = np.zeros(len(pixels), dtype=bool)
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            is_test[members[DIGITS_TEST_EVERY - 1 :: DIGITS_TEST_EVERY]] = True
        chosen = is_test if split == "test" else ~is_test
        pixels, labels = pixels[chosen], labels[chosen]
    elif spec.kind == "imagefolder":
        pixels, labels = read_image_folder(existing_path(spec), spec.split, split, spec.first)
    elif spec.kind == "mnist":
        pixels, labels = files.read_mnist(existing_path(spec), split)
    else:
        pixels, labels = files.read_cifar10(existing_path(spec), split)
    n = spec.first or len(pixels)
    _check_first(spec, len(pixels))
    # NumPy 1 would divide bytes by a float32 scalar in half precision.
    x: Floats = np.divide(pixels[:n], levels, dtype=np.float32)
    x.setflags(write=False)
    return Loaded(spec, x, labels[:n].astype(np.int64), split, levels=levels)


def _npz(spec: DataSpec, default_split: str, at_most: int | None) -> Loaded:
    path, asked = existing_path(spec), (spec.first, spec.split, default_split, at_most)
    found = read_npz(path, spec.value_range, *asked)
    inputs = _channels_first(spec, found.inputs)
    return Loaded(
        spec,
        next(iter(inputs.values())),
        found.y,
        split=found.split,
        value_range=spec.value_range or UNIT_RANGE,
        levels=found.levels,
        named={} if "x" in inputs else inputs,
    )


def _python(spec: DataSpec, finished: type) -> Loaded:
    """What a function in a file of the user's gives: data of torch, arrays, or finished ones."""
    from neurodeploy.source.torch.loader import made_by

    given = made_by(f"{existing_path(spec)}:{spec.factory}", "data")
    if isinstance(given, finished):
        return _samples(spec, given)
    read, labels = read_arrays(spec.text, given, None)
    n = None if spec.first is None else spec.first
    _check_first(spec, len(next(iter(read.values()))))
    inputs = _channels_first(spec, {key: values[:n] for key, values in read.items()})
    values, levels = raw_values(spec.text, inputs, spec.value_range, None, None, in_text=True)
    x = next(iter(values.values()))
    y = None
    if labels is not None:
        found = from_one_hot(labels)[:n]
        check = checked_targets if found.dtype.kind == "f" else checked_labels
        y = check(f"{spec.text}: y", found, len(x))
    several = {} if "" in values else values
    value_range = spec.value_range or UNIT_RANGE
    return Loaded(spec, x, y, value_range=value_range, levels=levels, named=several)


def _samples(spec: DataSpec, given: Any) -> Loaded:
    """Samples that say themselves what they are; the text takes as many of them."""
    options = {"norm": spec.norm, "range": spec.value_range}
    asked = [name for name, value in options.items() if value is not None]
    asked += ["layout"] * (spec.layout != "NCHW")
    if asked:
        raise UsageError(
            f"data {spec.text!r}: its function gives Samples, which say that themselves; leave "
            f"#{asked[0]} out"
        )
    _check_first(spec, len(given))
    taken = given[: spec.first]
    return Loaded(
        replace(spec, norm=taken.norm),
        taken.x,
        taken.targets if taken.y is None else taken.y,
        split=taken.split,
        value_range=taken.value_range,
        levels=taken.levels,
        named=dict(taken.named),
    )


def _channels_first(spec: DataSpec, inputs: dict[str, Any]) -> dict[str, Any]:
    if spec.layout == "NCHW":
        return inputs
    moved = {key: channels_first(spec.text, values) for key, values in inputs.items()}
    return {key: np.ascontiguousarray(values) for key, values in moved.items()}


def _check_first(spec: DataSpec, available: int) -> None:
    if spec.first is not None and spec.first > available:
        raise DataError(
            f"data {spec.text!r}: first={spec.first}, but there are {available} samples"
        )
