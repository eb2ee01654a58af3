"""From a specification to a Samples."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets import files
from neurodeploy.datasets.samples import Samples
from neurodeploy.datasets.spec import DataSpec, existing_path, parse_spec
from neurodeploy.errors import DataError

DIGITS_TEST_EVERY = 5
"""Every fifth digit of its class is a test sample: the file cycles through the classes, so that
every fifth of all would hold 21 ones and 52 threes."""

UNIT_RANGE = (0.0, 1.0)


def load_dataset(spec: str, default_split: Literal["train", "test"] = "test") -> Samples:
    """Load the samples that a specification names.

    Parameters
    ----------
    spec : str
        ``KIND:PATH[@train|test][#first=N][#norm=imagenet|MEANS/STDS]`` with KIND ``digits`` (no
        path), ``mnist`` or ``cifar10``, or ``FILE.npz`` with x ``[N, *sample]`` in [0, 1] (else
        ``#range=LOW,HIGH``) and y ``[N]``; without x, arrays named after a network's inputs.
    default_split : {"train", "test"}
        For a text that names none: calibration reads the one, evaluation the other.

    Returns
    -------
    Samples
        Images stay in raw units; 8-bit images are divided by 255, digits by 16.

    Raises
    ------
    UsageError
        For a specification that cannot be read.
    FileFormatError, DataError
        For files that are missing, damaged, or hold what cannot be used.
    """
    parsed = parse_spec(spec)
    return _npz(parsed) if parsed.kind == "npz" else _images(parsed, parsed.split or default_split)


def _images(spec: DataSpec, split: str) -> Samples:
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
    n = _count(spec, len(pixels))
    # NumPy 1 would divide bytes by a float32 scalar in half precision.
    x: npt.NDArray[np.float32] = np.divide(pixels[:n], levels, dtype=np.float32)
    x.setflags(write=False)
    return Samples(
        spec=spec.text,
        kind=spec.kind,
        split=split,
        x=x,
        y=labels[:n].astype(np.int64),
        norm=spec.norm,
        value_range=UNIT_RANGE,
        levels=levels,
        indices=np.arange(n),
    )


def _npz(spec: DataSpec) -> Samples:
    value_range = spec.value_range or UNIT_RANGE
    inputs, y = files.read_npz(existing_path(spec), value_range)
    x = next(iter(inputs.values()))
    n = _count(spec, len(x))
    return Samples(
        spec=spec.text,
        kind=spec.kind,
        split=None,
        x=x[:n],
        y=None if y is None else y[:n],
        norm=spec.norm,
        value_range=value_range,
        levels=None,
        indices=np.arange(n),
        named={} if "x" in inputs else {name: values[:n] for name, values in inputs.items()},
    )


def _count(spec: DataSpec, available: int) -> int:
    if spec.first is not None and spec.first > available:
        raise DataError(
            f"data {spec.text!r}: first={spec.first}, but there are {available} samples"
        )
    return spec.first or available
