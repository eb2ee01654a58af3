"""Deviation of max-pooling out of plain neurons from the maximum.

``max(a, b) = b + relu(a - b)`` holds for activations, not for spikes: those that were fired while
``a`` led cannot be taken back. The error is measured, never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.conversion.calibration.refinement import Simulate
from neurodeploy.conversion.lowering.activation_graph import evaluate_affine
from neurodeploy.conversion.lowering.context import LoweringOptions
from neurodeploy.conversion.lowering.operators import lower
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.encoding import Encoding, encode
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.source.analog import AnalogGraph

MEASURED_SAMPLES = 32


def pooling_deviation(
    graph: AnalogGraph,
    options: LoweringOptions,
    netlist: RealNetlist,
    encodings: Mapping[str, Encoding],
    samples: Mapping[str, AnyArray],
    simulate: Simulate,
) -> list[dict[str, Any]]:
    """Compare every rewritten maximum with the maximum of its input's spike counts.

    Parameters
    ----------
    graph : AnalogGraph
    options : LoweringOptions
        With which it became ``netlist``.
    netlist : RealNetlist
    encodings : mapping
        By input population.
    samples : mapping
        By input population, in raw units ``[N, *shape]``; the first few are run.
    simulate : callable

    Returns
    -------
    list of dict
        One JSON row per rewritten pooling, in the units of the source network: ``layer``, the mean
        of the exact maxima, and the mean and the largest error of the rewritten ones.
    """
    rewrites = lower(graph, options).rewrites
    if not rewrites:
        return []
    stimulus = {
        name: encode(encoding, samples[name][:MEASURED_SAMPLES], netlist.timesteps)
        for name, encoding in encodings.items()
    }
    run = simulate(netlist, stimulus)
    rows = []
    for rewrite in rewrites:
        names = {t.source for t in (*rewrite.pooled.terms, *rewrite.affine.terms)}
        if not names <= set(netlist.by_name):
            # A layer of several populations (digits) decides at once: nothing can overshoot.
            continue
        rates = {}
        for name in names:
            population = netlist.by_name[name]
            assert population.unit is not None
            counts = population.summed(run.spikes[name]) / population.divisor(run.timesteps)
            rates[name] = counts * population.spread(population.unit)
        pooled = evaluate_affine(rewrite.pooled, rates)
        exact = rewrite.model.maximum(pooled)
        error = np.abs(evaluate_affine(rewrite.affine, rates) - exact)
        rows.append(
            {
                "layer": rewrite.node,
                "mean_maximum": float(exact.mean()),
                "mean_error": float(error.mean()),
                "largest_error": float(error.max()),
            }
        )
    return rows
