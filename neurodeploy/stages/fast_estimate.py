"""Spike counts without a run: from the source network's activations, and how far off they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.stages.samples import source_samples

if TYPE_CHECKING:
    from neurodeploy.hardware.price.activity import Activity
    from neurodeploy.hardware.price.report import EnergyReport, EstimateError

CHECKED_SAMPLES = 2
"""Samples that are run after all, to tell the error of the estimate."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class FastActivity:
    """Activities estimated from the source network, of all samples and of those checked."""

    whole: Activity
    checked: Activity


def estimated(
    network: Network, dataset: Samples | EventSamples, progress: Progress | None
) -> FastActivity:
    """Estimate what every population does on the samples of a data set.

    Raises
    ------
    UsageError
        If the file holds no source network, or a population's code does not follow activations.
    """
    from neurodeploy.hardware.price.analytic import estimated_activity, rates_from_activations
    from neurodeploy.verification.agreement import evaluate_source, part_of

    netlist, graph = network.integer, network.analog
    if graph is None:
        raise UsageError(
            f"{network.netlist.name}: no source network in the file whose activations could stand "
            "for a run; leave --fast out"
        )
    given = source_samples(network, dataset)
    sources = sorted({p.source for p in netlist.populations if p.source is not None})
    n = len(dataset)
    total: dict[str, FloatArray] = {}
    checked: dict[str, FloatArray] = {}
    # The samples that are checked make the first batch.
    bounds = [0, *range(min(CHECKED_SAMPLES, n), n, BATCH), n]
    for start, stop in pairwise(bounds):
        if start == stop:
            continue
        activations = evaluate_source(graph, part_of(given, slice(start, stop)), sources)
        rates = rates_from_activations(netlist, activations)
        if not checked:
            checked = rates
        for name, rate in rates.items():
            total[name] = total.get(name, np.zeros_like(rate)) + rate * (stop - start)
        if progress is not None:
            progress(stop, n)
    means = {name: np.clip(rate / n, 0.0, 1.0) for name, rate in total.items()}
    return FastActivity(
        estimated_activity(netlist, means, n),
        estimated_activity(netlist, checked, min(CHECKED_SAMPLES, n)),
    )


def error_of(fast: EnergyReport, exact: EnergyReport) -> EstimateError:
    """Estimate of the checked samples beside the result of running them."""
    from neurodeploy.hardware.boards.interval import NOTHING
    from neurodeploy.hardware.price.report import EstimateError
    from neurodeploy.hardware.price.terms import BUSIEST

    def relative(estimate: float, figure: float) -> float | None:
        return estimate / figure - 1 if figure else None

    found = {
        event: relative(fast.events[event], exact.events[event])
        for event in ("spikes", "synops", "packets")
    }
    found["dynamic_energy"] = relative(fast.dynamic.likely, exact.dynamic.likely)
    mine, others = (r.time_by_term.get(BUSIEST, NOTHING) for r in (fast, exact))
    found["busiest_core"] = relative(mine.likely, others.likely)
    return EstimateError(exact.samples, found)
