"""The analog graph against the evaluator of the onnx package."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurodeploy.errors import ConversionError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.source.evaluation.compare import compared, entering
from neurodeploy.source.onnx.loader import OnnxNetwork

CHUNK = 64
"""Samples that are compared at a time where the file leaves their number open."""

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
    return compared(
        graph,
        x,
        lambda part: _run(network, dict(zip(network.inputs, entering(graph, part), strict=True))),
        tolerance,
        "ONNX network",
        chunk=network.batch if network.fixed_batch else CHUNK,
    )


def _run(network: OnnxNetwork, feeds: dict[str, AnyArray]) -> list[AnyArray]:
    """Outputs for some samples, at most as many as the network takes."""
    from onnx.reference import ReferenceEvaluator

    from neurodeploy.source.onnx.transposed import ConvTranspose

    n_samples = len(next(iter(feeds.values())))
    width = network.batch if network.fixed_batch else n_samples
    whole = {name: np.resize(values, (width, *values.shape[1:])) for name, values in feeds.items()}
    try:
        evaluator = ReferenceEvaluator(network.model, new_ops=[ConvTranspose])
        found = evaluator.run(list(network.outputs), whole)
    except Exception as error:
        raise ConversionError(
            f"{network.path}: the network does not run: {first_line(error, 200)}"
        ) from error
    return [np.asarray(values)[:n_samples] for values in found]
