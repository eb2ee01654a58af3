"""The common part of the evaluators of analog graphs: batches, and what both spell alike."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from neurodeploy.errors import DataError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source import analog
from neurodeploy.source.analog import AnalogGraph

ALIKE: dict[type, Callable[..., Any]] = {
    analog.Normalize: lambda fit, op, x: (x - fit(op.mean, x.ndim)) / fit(op.std, x.ndim),
    analog.Scale: lambda fit, op, x: x * fit(op.value, x.ndim),
    analog.AddConstant: lambda fit, op, x: x + fit(op.value, x.ndim),
    analog.Add: lambda fit, op, x, y: x + y,
    analog.Reshape: lambda fit, op, x: x.reshape(len(x), *op.shape),
    analog.Slice: lambda fit, op, x: operator.getitem(x, (slice(None), *op.slices())),
}
"""Operations that arrays and tensors spell alike; ``fit`` shapes a constant to a number of axes."""

BATCH = 32
"""Most samples that are evaluated at a time: activations of small networks stay in the cache."""
BATCH_BYTES = 2**24
"""Largest activation of a batch. Below 32 MB the C library reuses memory that was freed; above, it
returns it and takes new pages, which cost as much time as the work in them."""


def batch_size(shapes: Iterable[tuple[int, ...]]) -> int:
    """Samples at a time of a network whose activations have these shapes."""
    largest = max((math.prod(shape) for shape in shapes), default=1)
    return int(np.clip(BATCH_BYTES // (4 * max(largest, 1)), 1, BATCH))


def checked_batch(
    graph: AnalogGraph, x: AnyArray | Mapping[str, AnyArray]
) -> tuple[dict[str, AnyArray], int]:
    """Return float32 arrays by input name and the number of samples.

    Raises
    ------
    DataError
        If an input is missing or unknown, or has another shape than the graph's.
    """
    named = x if isinstance(x, Mapping) else {graph.inputs[0]: x}
    if set(named) != set(graph.inputs):
        raise DataError(
            f"{graph.name}: data for inputs {sorted(named)}; the network has {list(graph.inputs)}"
        )
    checked: dict[str, AnyArray] = {}
    for name in graph.inputs:
        values = np.asarray(named[name], dtype=np.float32)
        shape = graph.node(name).shape
        if values.shape[1:] != shape or values.ndim != 1 + len(shape):
            raise DataError(
                f"{graph.name}: input {name!r} has shape {values.shape}, expected"
                f" (samples, {', '.join(map(str, shape))})"
            )
        checked[name] = values
    counts = {len(values) for values in checked.values()}
    if len(counts) != 1:
        raise DataError(f"{graph.name}: inputs with different numbers of samples {sorted(counts)}")
    return checked, counts.pop()
