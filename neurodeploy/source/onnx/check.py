"""The analog graph against the evaluator of the onnx package."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from neurodeploy.errors import ConversionError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.source.evaluation.compare import ROUNDED, compared, entering
from neurodeploy.source.onnx.loader import OnnxNetwork, channels_last

CHUNK = 64
"""Most samples that are compared at a time where the file leaves their number open."""
CHUNK_ELEMENTS = 2**27
"""Most elements of their activations."""
MOST_AT_ONCE = 2**30
"""Elements of the activations of all samples of a file that takes so many and no fewer."""

_STEPS = ("BipolarQuant", "Quant")
"""Operators that may round to a sign."""


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
    if any(node.op_type in _STEPS for node in network.model.graph.node):
        tolerance = max(tolerance, ROUNDED)
    return compared(
        graph,
        x,
        lambda part: _run(network, entering(graph, part)),
        tolerance,
        "ONNX network",
        chunk=_chunk(graph, network),
    )


def _chunk(graph: AnalogGraph, network: OnnxNetwork) -> int:
    # The evaluator keeps all activations until the end.
    size = sum(math.prod(node.shape) for node in graph.nodes)
    if network.fixed_batch:
        if size * network.batch > MOST_AT_ONCE:
            raise ConversionError(
                f"{network.path}: the {network.batch} samples that it takes at a time have "
                f"{size * network.batch} activations, at most {MOST_AT_ONCE}; export it for fewer"
            )
        return network.batch
    return int(np.clip(CHUNK_ELEMENTS // max(size, 1), 1, CHUNK))


def _run(network: OnnxNetwork, given: list[AnyArray]) -> list[AnyArray]:
    """Outputs for some samples, at most as many as the network takes."""
    from onnx.reference import ReferenceEvaluator

    from neurodeploy.source.onnx.evaluated import OPERATORS

    feeds = {
        name: np.moveaxis(values, 1, -1) if channels_last(own, values.shape[1:]) else values
        for name, own, values in zip(network.inputs, network.shapes, given, strict=True)
    }
    n_samples = len(given[0])
    width = network.batch if network.fixed_batch else n_samples
    whole = {name: np.resize(values, (width, *values.shape[1:])) for name, values in feeds.items()}
    try:
        evaluator = ReferenceEvaluator(network.model, new_ops=list(OPERATORS))
        found = evaluator.run(list(network.outputs), whole)
    except MemoryError:
        raise
    except Exception as error:
        raise ConversionError(
            f"{network.path}: the network does not run: {first_line(error, 200)}"
        ) from error
    return [np.asarray(values)[:n_samples] for values in found]
