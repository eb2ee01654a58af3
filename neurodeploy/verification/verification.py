"""``verify``: a deployment against other executors, spike for spike, and against its network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.errors import ExecutionError, MismatchError, UsageError
from neurodeploy.execution.batches import EncodedInput, raster_bytes, run_batched
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.decoding import classify, decode
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.json_values import json_value
from neurodeploy.notebook import Shown
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.targets.base import Deployment
from neurodeploy.verification.accuracy import task_of
from neurodeploy.verification.agreement import (
    Agreement,
    Correlation,
    coding_populations,
    evaluate_source,
    part_of,
    rate_unit,
)
from neurodeploy.verification.compare import (
    Divergence,
    compared_populations,
    first_divergence,
    integrators,
    mismatches,
    observable,
)
from neurodeploy.verification.deviation import Deviation, DeviationMeter
from neurodeploy.verification.executors import Executor, make_executor

ExecutorFactory = Callable[[str], Executor]


@dataclass(frozen=True, slots=True)
class Verification(Shown):
    """The result of a verification.

    Parameters
    ----------
    samples, timesteps : int
    target : str
    mismatches : mapping
        Executor -> population -> neuron-steps that differ.
    spikes : mapping
        Population -> spikes of the deployment, over all samples.
    compared_neuron_steps : mapping
        Population -> neuron-steps compared with each executor.
    divergences : mapping
        Executor -> where it first parts from the deployment.
    agreement : Agreement or None
        With the source network, where the deployment has one.
    integrators : frozenset of str
        Populations that never fire: their membranes were compared.
    deviation : Deviation or None
        From the netlist that was given, where the deployment states another one.
    """

    samples: int
    timesteps: int
    target: str
    mismatches: Mapping[str, Mapping[str, int]]
    spikes: Mapping[str, int]
    compared_neuron_steps: Mapping[str, int]
    divergences: Mapping[str, Divergence]
    agreement: Agreement | None
    integrators: frozenset[str] = frozenset()
    deviation: Deviation | None = None

    def __repr__(self) -> str:
        n = self.samples
        found = sum(sum(per.values()) for per in self.mismatches.values())
        told = "exact" if self.exact else f"{found} mismatches" if found else "nothing compared"
        return (
            f"Verification({self.target} against {', '.join(self.mismatches)}: {told}, "
            f"{n} sample{'s' * (n != 1)})"
        )

    def assert_exact(self) -> None:
        """Nothing unless a single neuron-step differs, or nothing was compared.

        Raises
        ------
        MismatchError
            Naming the first divergence; an AssertionError as well, so that tests fail by it.
        """
        if not self.exact:
            where = f"; first: {self.first}" if self.first is not None else ""
            raise MismatchError(f"{self!r}{where}")

    @property
    def exact(self) -> bool:
        """No mismatch anywhere, and something was compared everywhere."""
        compared = self.compared_neuron_steps
        total = sum(sum(per.values()) for per in self.mismatches.values())
        return total == 0 and bool(compared) and min(compared.values()) > 0

    @property
    def first(self) -> Divergence | None:
        """The earliest divergence of any executor: by sample, step, population and neuron."""
        rank = {name: i for i, name in enumerate(self.compared_neuron_steps)}
        return min(
            self.divergences.values(),
            key=lambda d: (d.sample, d.step, rank[d.population], d.neuron),
            default=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        told = {
            "samples": self.samples,
            "timesteps": self.timesteps,
            "target": self.target,
            "mismatches": self.mismatches,
            "spikes": self.spikes,
            "compared_neuron_steps": self.compared_neuron_steps,
            "first_divergence": self.first,
            "divergences": self.divergences,
            "agreement": self.agreement,
            "deviation": self.deviation,
            "exact": self.exact,
        }
        return {key: json_value(value) for key, value in told.items()}


def verify_deployment(
    deployment: Deployment,
    against: Sequence[str],
    stimulus: Mapping[str, EncodedInput],
    x: AnyArray | Mapping[str, AnyArray] | None = None,
    labels: IntArray | None = None,
    *,
    executors: ExecutorFactory | None = None,
    stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Verification:
    """Compare a deployment with other executors on the same stimulus, batch by batch.

    Parameters
    ----------
    deployment : Deployment
    against : sequence of str
        Executors, see :func:`neurodeploy.verification.executors.executor_names`.
    stimulus : mapping
        What every executor receives.
    x : array ``[B, *shape]``, or mapping by input, optional
        The samples it was encoded from, for the agreement with the source network.
    labels : int64 ``[B]``, optional
        Their classes, for the accuracies beside a deviation.
    executors : callable, optional
        Makes an executor of the deployment's netlist by name.
    stage : callable
        Told what runs next.
    progress : callable, optional
        Of what runs now.

    Raises
    ------
    UsageError
        If ``against`` is empty.
    ExecutionError
        If a run returns nothing to compare.
    """
    if not against:
        raise UsageError("verify: name at least one executor to compare with (--against)")
    netlist = deployment.netlist
    make = executors or (lambda name: make_executor(name, deployment.network, progress))
    makers = {name: make(name) for name in dict.fromkeys(against)}
    watched = integrators(netlist)
    compared = compared_populations(netlist)
    counted, spikes = dict.fromkeys(compared, 0), dict.fromkeys(compared, 0)
    differences = {name: dict.fromkeys(compared, 0) for name in makers}
    divergences: dict[str, Divergence] = {}
    source = _SourceComparison.of(deployment, x, labels is not None)
    meter = DeviationMeter.of(deployment, progress)
    samples = 0
    for batch in run_batched(stimulus, raster_bytes(netlist)):
        first, part, samples = batch.samples, batch.stimulus, batch.total
        text = f" ({batch.number} of {batch.n_batches})" if batch.n_batches > 1 else ""
        stage(f"{deployment.target}{text}")
        deployed = deployment.run(part, membranes=watched, progress=progress)
        for name in compared:
            counted[name] += int(observable(netlist, deployed, name).size)
            if name in deployed.spikes:
                spikes[name] += int(np.count_nonzero(deployed.spikes[name]))
        for name, executor in makers.items():
            stage(f"{name}{text}")
            other = executor(part, watched)
            found = mismatches(netlist, deployed, other)
            for population, count in found.items():
                differences[name][population] += count
            if any(found.values()) and name not in divergences:
                located = _locate(netlist, name, deployment, executor, part, deployed, other)
                divergences[name] = replace(located, sample=located.sample + first.start)
        if meter is not None:
            stage(f"the given netlist{text}")
            meter.add(deployed, part, None if labels is None else labels[first])
        if source is not None and x is not None:
            source.add(deployed, part_of(x, first))
    return Verification(
        samples,
        netlist.timesteps,
        deployment.target,
        differences,
        spikes,
        counted,
        divergences,
        None if source is None else source.agreement(),
        frozenset(watched),
        None if meter is None else meter.deviation(),
    )


def _locate(
    netlist: IntegerNetlist,
    name: str,
    deployment: Deployment,
    executor: Executor,
    stimulus: Stimulus,
    deployed: RunRecord,
    other: RunRecord,
) -> Divergence:
    def rerun_deployment(membranes: Collection[str]) -> RunRecord:
        return deployment.run(stimulus, membranes=membranes)

    def rerun_executor(membranes: Collection[str]) -> RunRecord:
        return executor(stimulus, membranes)

    found = first_divergence(netlist, name, deployed, other, rerun_deployment, rerun_executor)
    if found is None:
        raise ExecutionError(f"{name}: mismatches without a first divergence")
    return found


class _SourceComparison:
    """Agreement with the source network, batch by batch."""

    def __init__(self, netlist: IntegerNetlist, graph: AnalogGraph, classes: bool) -> None:
        self.netlist = netlist
        self.classes = classes
        self.graph = graph
        self.outputs = {o.population: o for o in netlist.outputs}
        self.coded = coding_populations(netlist)
        self.correlations = {name: Correlation() for name in self.coded}
        self.same: list[AnyArray] = []

    @classmethod
    def of(cls, deployment: Deployment, x: object, labelled: bool) -> _SourceComparison | None:
        """None where there is no source network or there are no samples to give it."""
        graph = deployment.network.analog
        if graph is None or x is None:
            return None
        classes = task_of(deployment.network, labelled) == "classes"
        return cls(deployment.netlist, graph, classes)

    def add(self, run: RunRecord, x: AnyArray | Mapping[str, AnyArray]) -> None:
        """Compare a run with the activations for the same samples."""
        activations = evaluate_source(self.graph, x, sorted(set(self.coded.values())))
        for name, node in self.coded.items():
            if name in self.outputs:
                rates = decode(self.netlist, self.outputs[name], run)
                if self.classes:
                    theirs = classify(activations[node]).labels
                    self.same.append(classify(rates).labels == theirs)
            else:
                population = self.netlist.by_name[name]
                total = population.summed(run.spikes[name])
                rates = np.asarray(total * rate_unit(population, run.timesteps))
            self.correlations[name].add(rates, activations[node])

    def agreement(self) -> Agreement:
        """Agreement over all samples so far."""
        top1 = float(np.concatenate(self.same).mean()) if self.same else None
        return Agreement(top1, {name: c.value for name, c in self.correlations.items()})
