"""An analog graph against the network that it came from, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from neurodeploy.errors import ConversionError, DataError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph, Normalize, QuantizedReLU
from neurodeploy.source.evaluation.batches import checked_batch
from neurodeploy.source.evaluation.in_torch import evaluate

Samples = Mapping[str, AnyArray]
ROUNDINGS = 8
MOST_ROUNDED = 1e-2
"""Relative deviation that is never put down to rounding."""
ROUNDED = 0.02
"""Deviation where activations are rounded: what lies between two levels may fall to either."""
SCATTERED = 0.05
"""Root mean square deviation there of outputs whose deviations make up for each other."""


def deviation_of(got: AnyArray, expected: AnyArray) -> float:
    """Largest difference over largest magnitude; NaN where either holds NaN."""
    if got.shape != expected.shape:
        return float("nan")
    with np.errstate(invalid="ignore"):  # of infinite values; the NaN is the answer
        difference = float(np.abs(got - expected).max())
    return difference / max(float(np.abs(expected).max()), 1e-30) if difference else 0.0


def deviation_of_levels(got: AnyArray, expected: AnyArray) -> float:
    """As :func:`deviation_of` of a network that rounds activations to levels.

    A sum halfway between two levels, as averages often are, goes to either: one level of few is
    more than :data:`ROUNDED`. Such deviations are rare or of both signs, so that the mean of every
    channel tells less, and their root mean square is bounded by :data:`SCATTERED`.
    """
    largest = deviation_of(got, expected)
    if not largest > ROUNDED:
        return largest
    difference = (got - expected).astype(np.float64)
    rest = (0, *range(2, difference.ndim))
    mean = float(np.abs(difference.mean(axis=rest)).max())
    spread = float(np.sqrt(np.square(difference).mean())) * ROUNDED / SCATTERED
    return min(largest, max(mean, spread) / max(float(np.abs(expected).max()), 1e-30))


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

    Of a graph that rounds to levels at least :data:`ROUNDED` is allowed, and all samples are
    looked at together.

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
    levels = any(isinstance(node.op, QuantizedReLU) for node in graph.nodes)
    deviate = deviation_of_levels if levels else deviation_of
    tolerance = max(tolerance, ROUNDED) if levels else tolerance
    for part, got, theirs in _parts(graph, inputs, outputs, n_samples, chunk, levels):
        for i, (name, expected) in enumerate(zip(graph.outputs, theirs, strict=True)):
            if expected.shape == got[name].shape[:1] and got[name].shape[1:] == (1,):
                expected = expected[:, None]
            deviation = deviate(got[name], expected)
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


def _parts(
    graph: AnalogGraph,
    inputs: Samples,
    outputs: Callable[[Samples], Sequence[AnyArray]],
    n_samples: int,
    chunk: int,
    together: bool,
) -> Iterator[tuple[Samples, Mapping[str, AnyArray], Sequence[AnyArray]]]:
    """Samples, the graph's outputs and the source's, ``chunk`` at a time or all together."""
    found = []
    for start in range(0, n_samples, chunk):
        part = {name: values[start : start + chunk] for name, values in inputs.items()}
        found.append((part, evaluate(graph, part), outputs(part)))
        if not together:
            yield found.pop()
    if together:
        _, ours, theirs = zip(*found, strict=True)
        joined = {name: np.concatenate([got[name] for got in ours]) for name in graph.outputs}
        yield inputs, joined, [np.concatenate(values) for values in zip(*theirs, strict=True)]


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
