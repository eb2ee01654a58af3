"""``verify``: a deployment against other executors, spike for spike, and against its network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import ExecutionError, UsageError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.decoding import classify, decode
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.targets.base import Deployment
from neurodeploy.verify.agreement import (
    Agreement,
    coding_populations,
    correlation,
    decoded_rates,
    evaluate_source,
)
from neurodeploy.verify.compare import (
    Divergence,
    compared_populations,
    first_divergence,
    integrators,
    mismatches,
    observable,
)
from neurodeploy.verify.executors import Executor, make_executor

ExecutorFactory = Callable[[str], Executor]


@dataclass(frozen=True, slots=True)
class Verification:
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
    """

    samples: int
    timesteps: int
    target: str
    mismatches: Mapping[str, Mapping[str, int]]
    spikes: Mapping[str, int]
    compared_neuron_steps: Mapping[str, int]
    divergences: Mapping[str, Divergence]
    agreement: Agreement | None

    @property
    def exact(self) -> bool:
        """No mismatch anywhere, and something was compared everywhere."""
        compared = self.compared_neuron_steps
        total = sum(sum(per.values()) for per in self.mismatches.values())
        return total == 0 and bool(compared) and min(compared.values()) > 0

    @property
    def first(self) -> Divergence | None:
        """The earliest divergence of any executor."""
        order = lambda d: (d.sample, d.step)  # noqa: E731
        return min(self.divergences.values(), key=order, default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        first = self.first
        return {
            "samples": self.samples,
            "timesteps": self.timesteps,
            "target": self.target,
            "mismatches": {e: dict(m) for e, m in self.mismatches.items()},
            "spikes": dict(self.spikes),
            "compared_neuron_steps": dict(self.compared_neuron_steps),
            "first_divergence": None if first is None else first.to_dict(),
            "divergences": {e: d.to_dict() for e, d in self.divergences.items()},
            "agreement": None if self.agreement is None else self.agreement.to_dict(),
            "exact": self.exact,
        }


def verify_deployment(
    deployment: Deployment,
    against: Sequence[str],
    stimulus: Stimulus,
    x: AnyArray | None = None,
    *,
    executors: ExecutorFactory | None = None,
    stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Verification:
    """Compare a deployment with other executors on the same stimulus.

    Parameters
    ----------
    deployment : Deployment
    against : sequence of str
        Executors, see :func:`neurodeploy.verify.executors.executor_names`.
    stimulus : mapping
        What every executor receives.
    x : array ``[B, *shape]``, optional
        The samples it was encoded from, for the agreement with the source network.
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
    make = executors or (lambda name: make_executor(name, deployment.artifact, progress))
    makers = {name: make(name) for name in dict.fromkeys(against)}
    watched = integrators(netlist)
    stage(deployment.target)
    deployed = deployment.run(stimulus, membranes=watched, progress=progress)
    compared = compared_populations(netlist)
    counted = {n: int(observable(netlist, deployed, n).size) for n in compared}
    samples = min(len(v) for v in stimulus.values())
    differences: dict[str, Mapping[str, int]] = {}
    divergences: dict[str, Divergence] = {}
    for name, executor in makers.items():
        stage(name)
        other = executor(stimulus, watched)
        differences[name] = mismatches(netlist, deployed, other)
        if any(differences[name].values()):
            divergences[name] = _locate(
                netlist, name, deployment, executor, stimulus, deployed, other
            )
    return Verification(
        samples,
        netlist.timesteps,
        deployment.target,
        differences,
        {n: int((deployed.spikes[n] != 0).sum()) if n in deployed.spikes else 0 for n in compared},
        counted,
        divergences,
        _agreement(deployment, deployed, x),
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


def _agreement(deployment: Deployment, run: RunRecord, x: AnyArray | None) -> Agreement | None:
    graph, netlist = deployment.artifact.analog, deployment.netlist
    if graph is None or x is None:
        return None
    coded = coding_populations(netlist)
    activations = evaluate_source(graph, x, sorted(set(coded.values())))
    correlations: dict[str, float | None] = {}
    for name, node in coded.items():
        population = netlist.by_name[name]
        output = next((o for o in netlist.outputs if o.population == name), None)
        if output is not None:
            rates = decode(netlist, output, run)
        else:
            total = run.spikes[name].sum(axis=1, dtype=np.int64)
            rates = decoded_rates(population, total, run.timesteps)
        correlations[name] = correlation(rates, activations[node])
    top1 = None
    if len(netlist.outputs) == 1 and netlist.outputs[0].population in coded:
        output = netlist.outputs[0]
        ours = classify(decode(netlist, output, run)).labels
        theirs = classify(activations[coded[output.population]]).labels
        top1 = float((ours == theirs).mean())
    return Agreement(top1, correlations)
