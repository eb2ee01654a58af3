"""The analog graph against the torch module that it came from."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from neurodeploy.errors import ConversionError, NeurodeployError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.numerics.threads import single_threaded_torch
from neurodeploy.source.analog import AnalogGraph, Normalize
from neurodeploy.source.evaluation.compare import Samples, compared, deviation_of, entering
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.source.torch.exported_program import BATCH, executed, one_line
from neurodeploy.source.torch.frontend import Lowered, lower


def check_analog(
    graph: AnalogGraph,
    module: nn.Module,
    x: AnyArray | Samples,
    tolerance: float = 1e-4,
    *,
    chunk: int = 256,
) -> float:
    """Compare every output of an analog graph with the torch module's, borders included.

    Parameters
    ----------
    graph : AnalogGraph
        From :func:`~neurodeploy.source.torch.frontend.analog_from_torch`.
    module : nn.Module
        Called with the normalized input where the graph normalizes its input.
    x : array of shape (N, *input shape), or mapping
        Samples as the graph takes them; by input name where it has several.
    tolerance : float
        Largest deviation allowed, relative to the largest magnitude of the output.
    chunk : int
        Samples that are compared at a time.

    Returns
    -------
    float
        The largest relative deviation.

    Raises
    ------
    ConversionError
        If an output deviates by more, or is not finite; the message names the first node of the
        graph that differs.
    DataError
        If ``x`` does not fit the graph, or is not finite.
    """
    return compared(
        graph,
        x,
        lambda part: _outputs(graph, module, part),
        tolerance,
        "torch module",
        lambda part: f"; {_first_difference(graph, module, part, tolerance)}",
        chunk=chunk,
        rounding=lambda part, outputs: _rounding(graph, module, part, outputs),
    )


def _rounding(
    graph: AnalogGraph, module: nn.Module, x: Samples, outputs: Sequence[AnyArray]
) -> list[float]:
    """How far the module's outputs are from those in double precision, 0 where it has none."""
    try:
        with torch.no_grad(), single_threaded_torch():
            double = copy.deepcopy(module).cpu().double()
            result = double(*(tensor.double() for tensor in _module_input(graph, x)))
    except Exception:
        return [0.0] * len(outputs)
    exact = [tensor.numpy() for tensor in _tensors(result)]
    return [deviation_of(ours, theirs) for ours, theirs in zip(outputs, exact, strict=True)]


def _module_input(graph: AnalogGraph, x: Samples) -> list[torch.Tensor]:
    """Arguments of the module, in the order of its inputs."""
    return [torch.tensor(values) for values in entering(graph, x)]


def _outputs(graph: AnalogGraph, module: nn.Module, x: Samples) -> list[AnyArray]:
    """Different outputs of the module, flattened as the front end flattens them."""
    batch = _module_input(graph, x)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), single_threaded_torch(), warnings.catch_warnings():
            # What torch says of the module's own operators is no concern of a conversion.
            warnings.simplefilter("ignore")
            result = module(*(tensor.to(device) for tensor in batch))
    except Exception as error:
        raise ConversionError(
            f"{graph.name}: the torch module does not run on {len(batch[0])} samples of shape"
            f" {' and '.join(str(tuple(b.shape[1:])) for b in batch)}: {one_line(error)}"
        ) from error
    outputs = [tensor.cpu().numpy() for tensor in _tensors(result)]
    if len(outputs) != len(graph.outputs):
        raise ConversionError(
            f"{graph.name}: the torch module returns {len(outputs)} tensors, the graph"
            f" {len(graph.outputs)}"
        )
    return outputs


def _tensors(result: Any) -> list[torch.Tensor]:
    return [part for part in torch.utils._pytree.tree_leaves(result) if part is not None]


def _first_difference(graph: AnalogGraph, module: nn.Module, x: Samples, tolerance: float) -> str:
    """Say at which node the graph starts to differ from the exported program."""
    normalize = any(isinstance(node.op, Normalize) for node in graph.nodes)
    channels = graph.node(graph.inputs[0]).shape[0]
    unit = ((0.0,) * channels, (1.0,) * channels) if normalize else None
    try:
        lowered = lower(module, {n: graph.node(n).shape for n in graph.inputs}, graph.name, unit)
    except NeurodeployError as error:
        return f"the module cannot be traced again: {error}"
    batch = {name: np.resize(v, (BATCH, *v.shape[1:])) for name, v in x.items()}
    known = {node.name for node in graph.nodes}
    ours = evaluate(graph, batch, known.intersection(lowered.origin.values()))
    for name, expected in _recorded(lowered, _module_input(graph, batch)):
        if name not in known:
            return f"the first node that differs is {name!r}: the graph does not have it"
        deviation = deviation_of(ours[name], expected)
        if not deviation <= tolerance:
            source = graph.node(name).source
            place = f" ({source})" if source else ""
            return f"the first node that differs is {name!r}{place}, by {deviation:.1e}"
    return (
        "no node differs by itself: the module depends on the batch size, on earlier calls or on"
        " its training mode"
    )


def _recorded(lowered: Lowered, batch: list[torch.Tensor]) -> Iterator[tuple[str, AnyArray]]:
    """Values of the exported program by the name of the analog node, in order."""
    program = lowered.program
    given = dict(zip(program.inputs, batch, strict=True))

    def held(node: fx.Node) -> Any:
        return given[node.name] if node.name in given else program.held(node)

    with single_threaded_torch():
        for node, value in executed(program.nodes, held):
            # Quantized values count levels, activations of the graph are in units.
            real = isinstance(value, torch.Tensor) and value.is_floating_point()
            if real and node.name in lowered.origin and node.name not in given:
                yield lowered.origin[node.name], value.detach().cpu().numpy()
