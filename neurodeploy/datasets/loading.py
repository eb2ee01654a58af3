"""From a specification to arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets import files
from neurodeploy.datasets.npz import read_npz
from neurodeploy.datasets.spec import DataSpec, existing_path, parse_spec
from neurodeploy.datasets.values import UNIT_RANGE, Floats
from neurodeploy.errors import DataError

DIGITS_TEST_EVERY = 5
"""Every fifth digit of its class is a test sample: the file cycles through the classes, so that
every fifth of all would hold 21 ones and 52 threes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a specification names; the fields are those of Samples."""

    spec: DataSpec
    x: Floats
    y: npt.NDArray[np.int64] | Floats | None
    split: str | None = None
    value_range: tuple[float, float] = UNIT_RANGE
    levels: int | None = None
    named: dict[str, Floats] = field(default_factory=dict)


def read_spec(text: str, default_split: str) -> Loaded:
    """Read what a specification names.

    Raises
    ------
    UsageError
        For a specification that cannot be read.
    FileFormatError, DataError
        For files that are missing, damaged, or hold what cannot be used.
    """
    spec = parse_spec(text)
    return _npz(spec) if spec.kind == "npz" else _images(spec, spec.split or default_split)


def _images(spec: DataSpec, split: str) -> Loaded:
    levels = 255
    if spec.kind == "digits":
        levels = 16
        pixels, labels = files.read_digits()
        is_test = np.zeros(len(pixels), dtype=bool)
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            is_test[members[DIGITS_TEST_EVERY - 1 :: DIGITS_TEST_EVERY]] = True
        chosen = is_test if split == "test" else ~is_test
        pixels, labels = pixels[chosen], labels[chosen]
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


def _npz(spec: DataSpec) -> Loaded:
    value_range = spec.value_range or UNIT_RANGE
    inputs, y = read_npz(existing_path(spec), value_range, spec.first)
    x = next(iter(inputs.values()))
    named = {} if "x" in inputs else inputs
    return Loaded(spec, x, y, value_range=value_range, named=named)


def _check_first(spec: DataSpec, available: int) -> None:
    if spec.first is not None and spec.first > available:
        raise DataError(
            f"data {spec.text!r}: first={spec.first}, but there are {available} samples"
        )
