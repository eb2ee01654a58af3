"""Observed inputs of curved functions, on which the functions are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neurodeploy.conversion.lowering.units import units_of
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.analog import AnalogGraph, Function

SAMPLES = 128
_PER_BATCH = 8192
_QUANTILES = 65


def observed(graph: AnalogGraph, samples: AnyArray | Mapping[str, AnyArray]) -> AnalogGraph:
    """The graph whose curved functions know the quantiles of their inputs on samples.

    Parameters
    ----------
    graph : AnalogGraph
    samples : array ``[N, *shape]``, or mapping
        By input where there are several; the first 128 are used.
    """
    from neurodeploy.source.evaluation.in_torch import over_batches

    curved = {
        node.name: node.inputs[0]
        for node in graph.nodes
        if isinstance(node.op, Function) and node.op.pieces is None and node.op.seen is None
    }
    if not curved:
        return graph
    named = samples if isinstance(samples, Mapping) else {graph.inputs[0]: samples}
    first = {name: values[:SAMPLES] for name, values in named.items()}

    def drawn(_: slice, values: dict[str, AnyArray]) -> dict[str, AnyArray]:
        found = {}
        for name, value in values.items():
            flat = value.reshape(-1)
            some = flat[:: max(1, flat.size // _PER_BATCH)]
            found[name] = np.concatenate((some, [flat.min(), flat.max()]))
        return found

    parts = over_batches(graph, first, sorted(set(curved.values())), drawn)
    nodes = []
    for node in graph.nodes:
        if node.name in curved and parts and isinstance(node.op, Function):
            values = np.concatenate([part[curved[node.name]] for part in parts])
            # Of what is not finite, calibration says which layer leaves single precision.
            if np.isfinite(values).all():
                seen = np.quantile(values.astype(np.float64), np.linspace(0, 1, _QUANTILES))
                node = replace(node, op=replace(node.op, seen=np.sort(seen.astype(np.float32))))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def fits(graph: AnalogGraph, n_units: int) -> list[dict[str, object]]:
    """How well units stand for every curved function, on what calibration saw.

    ``error`` is relative to the spread of the function's values.
    """
    rows: list[dict[str, object]] = []
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Function) and op.pieces is None and op.seen is not None:
            units = units_of(op, n_units, node.name)
            rows.append(
                {
                    "node": node.name,
                    "function": op.name,
                    "units": len(units.start),
                    "range": [float(op.seen[0]), float(op.seen[-1])],
                    "error": units.error,
                }
            )
    return rows
