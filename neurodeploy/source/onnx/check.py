"""The analog graph against the evaluator of the onnx package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.errors import ConversionError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph, Normalize
from neurodeploy.source.evaluation.batches import checked_batch
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.onnx.loader import OnnxNetwork
from neurodeploy.source.torch.check import deviation_of

QUANTIZED = 0.02
"""Where activations are rounded: what lies between two levels may fall to either."""


def check_onnx(
    graph: AnalogGraph,
    network: OnnxNetwork,
    x: AnyArray | Mapping[str, AnyArray],
    tolerance: float = 1e-4,
) -> float:
    """Compare every output of an analog graph with that of the network it came from.

    Parameters
    ----------
    graph : AnalogGraph
    network : OnnxNetwork
    x : array of shape (N, *input shape), or mapping
        Samples as the graph takes them.
    tolerance : float
        Largest deviation allowed, relative to the largest magnitude of the output.

    Returns
    -------
    float
        The largest relative deviation.

    Raises
    ------
    ConversionError
        If an output deviates by more, is not finite, or the network does not run.
    """
    if any(node.op_type == "QuantizeLinear" for node in network.model.graph.node):
        tolerance = max(tolerance, QUANTIZED)
    inputs, n_samples = checked_batch(graph, x)
    if not n_samples:
        raise ConversionError(f"{graph.name}: no samples to compare with the ONNX network")
    normalized = {n.inputs[0]: n.name for n in graph.nodes if isinstance(n.op, Normalize)}
    fed = [normalized.get(name, name) for name in graph.inputs]
    ours = evaluate(graph, inputs, [*dict.fromkeys((*fed, *graph.outputs))])
    feeds = {given: ours[name] for given, name in zip(network.inputs, fed, strict=True)}
    theirs = _run(network, feeds, n_samples)
    worst = 0.0
    for name, expected in zip(graph.outputs, theirs, strict=True):
        deviation = deviation_of(ours[name], expected)
        if not deviation <= tolerance:
            raise ConversionError(
                f"{graph.name}: output {name!r} differs from the ONNX network by {deviation:.1e} of"
                f" its largest value, limit {tolerance:.1e}"
            )
        worst = max(worst, deviation)
    return worst


def _run(network: OnnxNetwork, feeds: dict[str, AnyArray], n_samples: int) -> list[AnyArray]:
    """Outputs for all samples, as many at a time as the network takes."""
    from onnx.reference import ReferenceEvaluator

    from neurodeploy.source.onnx.transposed import ConvTranspose

    width = network.batch if network.fixed_batch else n_samples
    parts: list[list[Any]] = []
    try:
        evaluator = ReferenceEvaluator(network.model, new_ops=[ConvTranspose])
        for start in range(0, n_samples, width):
            batch = {k: np.resize(v[start:], (width, *v.shape[1:])) for k, v in feeds.items()}
            parts.append(list(evaluator.run(list(network.outputs), batch)))
    except Exception as error:
        raise ConversionError(
            f"{network.path}: the network does not run: {first_line(error, 200)}"
        ) from error
    return [np.concatenate(values)[:n_samples] for values in zip(*parts, strict=True)]
