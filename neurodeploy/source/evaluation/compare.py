"""An analog graph against the network that it came from, output by output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neurodeploy.errors import ConversionError, DataError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph, Normalize
from neurodeploy.source.evaluation.batches import checked_batch
from neurodeploy.source.evaluation.in_torch import evaluate

Samples = Mapping[str, AnyArray]
ROUNDINGS = 8
MOST_ROUNDED = 1e-2
"""Relative deviation that is never put down to rounding."""


def deviation_of(got: AnyArray, expected: AnyArray) -> float:
    """Largest difference over largest magnitude; NaN where either holds NaN."""
    if got.shape != expected.shape:
        return float("nan")
    with np.errstate(invalid="ignore"):  # of infinite values; the NaN is the answer
        difference = float(np.abs(got - expected).max())
    return difference / max(float(np.abs(expected).max()), 1e-30) if difference else 0.0


def entering(graph: AnalogGraph, x: Samples) -> list[AnyArray]:
    """What the source network is called with: normalized where the graph normalizes its input."""
    normalized = {n.inputs[0]: n.name for n in graph.nodes if isinstance(n.op, Normalize)}
    names = [normalized.get(name, name) for name in graph.inputs]
    values = evaluate(graph, x, names)
    return [values[name] for name in names]


def compared(
    graph: AnalogGraph,
    x: AnyArray | Samples,
    outputs: Callable[[Samples], Sequence[AnyArray]],
    tolerance: float,
    network: str,
    where: Callable[[Samples], str] = lambda _: "",
    *,
    chunk: int,
    rounding: Callable[[Samples, Sequence[AnyArray]], Sequence[float]] | None = None,
) -> float:
    """Compare every output of a graph with that of its source, ``chunk`` samples at a time.

    ``outputs`` gives the source's for samples of the graph; ``where``, what to add to the message
    for samples that differ. ``rounding``: how far single precision takes the source's outputs
    from its own in double precision, asked only where one deviates by more than is allowed;
    :data:`ROUNDINGS` times as much may be the order of additions. Deviations, the one returned
    and the ``tolerance``, are relative to the largest magnitude of the output.

    Raises
    ------
    ConversionError
        If an output deviates by more, or is not finite.
    DataError
        If ``x`` does not fit the graph, or is not finite.
    """
    inputs, n_samples = checked_batch(graph, x)
    if not n_samples:
        raise ConversionError(f"{graph.name}: no samples to compare with the {network}")
    for name, values in inputs.items():
        bad = np.flatnonzero(~np.isfinite(values.reshape(n_samples, -1)).all(axis=1))
        if bad.size:
            raise DataError(
                f"{graph.name}: data of input {name!r} hold NaN or infinite values in {bad.size} "
                f"of {n_samples} samples, first in sample {bad[0]}; remove them"
            )
    worst = 0.0
    for start in range(0, n_samples, chunk):
        part = {name: values[start : start + chunk] for name, values in inputs.items()}
        got = evaluate(graph, part)
        theirs = outputs(part)
        for i, (name, expected) in enumerate(zip(graph.outputs, theirs, strict=True)):
            deviation = deviation_of(got[name], expected)
            if tolerance < deviation <= MOST_ROUNDED and rounding is not None:
                tolerance = max(tolerance, ROUNDINGS * rounding(part, theirs)[i])
            if not deviation <= tolerance:
                _require_finite(graph, part)
                raise ConversionError(
                    f"{graph.name}: output {name!r} differs from the {network} by {deviation:.1e}"
                    f" of its largest value, limit {tolerance:.1e}{where(part)}"
                )
            worst = max(worst, deviation)
    return worst


def _require_finite(graph: AnalogGraph, x: Samples) -> None:
    """Refuse activations that leave single precision, by the first node that does."""
    names = [node.name for node in graph.nodes]
    with np.errstate(over="ignore", invalid="ignore"):
        values = evaluate(graph, x, names)
    for name in names:
        if not np.isfinite(values[name]).all():
            source = graph.node(name).source
            raise ConversionError(
                f"{name}: NaN or infinite activations on the calibration data"
                f"{f' ({source})' if source else ''}: they exceed single precision, or a function"
                " is not defined there; scale the weights down or train again"
            )
