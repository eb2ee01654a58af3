"""The choice of calibration samples, and its record in a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.conversion.option_types import expect_kind
from neurodeploy.datasets import EventSamples, Samples, SamplesLike, as_samples
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.provenance import without_folders


def calibration_split(data: SamplesLike, n: int) -> tuple[Samples, Samples]:
    """The training split, and the first ``n`` samples of it.

    Raises
    ------
    DataError
        If the data are test data.
    UsageError
        If no sample is asked for.
    """
    dataset = as_samples(data, "train")
    expect_calibration(dataset, n)
    return dataset, dataset.first(min(n, len(dataset)))


def expect_calibration(dataset: Samples | EventSamples, n: int) -> None:
    """Refuse test data, and no samples.

    Raises
    ------
    DataError, UsageError
    """
    if dataset.split == "test":
        raise DataError(
            f"{dataset.name}: calibration reads training images only; write '@train' or leave the "
            "split out"
        )
    expect_kind("calibration samples", n, int)
    if n < 1:
        raise UsageError(f"calibration samples {n}: at least 1 is needed")


def calibration_record(dataset: Samples | EventSamples) -> dict[str, Any]:
    """Data, split and samples, as JSON values for the provenance of a file."""
    return {
        "data": without_folders(dataset.name),
        "split": dataset.split,
        "indices": _ranges(dataset.indices),
    }


def _ranges(indices: Any) -> list[list[int]]:
    """Indices as [first, last] runs, in order."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [[int(run[0]), int(run[-1])] for run in np.split(indices, breaks) if run.size]
