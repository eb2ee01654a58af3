"""Spike-exact comparison of two runs, and where they first part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.errors import ExecutionError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord

Run = Callable[[Collection[str]], RunRecord]
"""Runs an executor again, recording the membranes of these populations."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between an executor and the deployment.

    ``step`` is the step of the sample (depth + index in the window); membranes are those at the end
    of that step, None where an executor cannot tell.
    """

    executor: str
    sample: int
    step: int
    population: str
    neuron: tuple[int, ...]
    deployment_spike: int
    executor_spike: int
    deployment_membrane: int | None
    executor_membrane: int | None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "executor": self.executor,
            "sample": self.sample,
            "step": self.step,
            "population": self.population,
            "neuron": list(self.neuron),
            "spike": {"deployment": self.deployment_spike, "executor": self.executor_spike},
            "membrane": {
                "deployment": self.deployment_membrane,
                "executor": self.executor_membrane,
            },
        }

    def __str__(self) -> str:
        return (
            f"{self.executor}: first divergence at step {self.step} of sample {self.sample}, "
            f"{self.population}{list(self.neuron)}: the deployment emits {self.deployment_spike} "
            f"(membrane {self.deployment_membrane}), {self.executor} {self.executor_spike} "
            f"(membrane {self.executor_membrane})"
        )


def compared_populations(netlist: IntegerNetlist) -> list[str]:
    """Every population but the inputs, in the order of the schedule."""
    names = netlist.schedule.order
    return [n for n in names if not isinstance(netlist.by_name[n].model, Input)]


def observable(netlist: IntegerNetlist, run: RunRecord, name: str) -> AnyArray:
    """Compared quantity of a population: its spikes, or the membrane of an integrator.

    Raises
    ------
    ExecutionError
        If the run does not contain it.
    """
    source = run.membranes if netlist.by_name[name].is_integrator else run.spikes
    if name not in source:
        raise ExecutionError(f"{name}: the run returned nothing to compare for this population")
    return source[name]


def integrators(netlist: IntegerNetlist) -> list[str]:
    """Populations that never fire: compared by their membranes."""
    return [p.name for p in netlist.populations if p.is_integrator]


def mismatches(netlist: IntegerNetlist, a: RunRecord, b: RunRecord) -> dict[str, int]:
    """Neuron-steps in which two runs differ, by population."""
    return {
        name: _count_differences(observable(netlist, a, name), observable(netlist, b, name), name)
        for name in compared_populations(netlist)
    }


def _count_differences(a: AnyArray, b: AnyArray, name: str) -> int:
    if a.shape != b.shape:
        raise ExecutionError(f"{name}: runs of different shapes {a.shape} and {b.shape}")
    return int((a != b).sum())


def first_divergence(
    netlist: IntegerNetlist,
    executor: str,
    deployed: RunRecord,
    other: RunRecord,
    rerun_deployment: Run,
    rerun_executor: Run,
) -> Divergence | None:
    """The earliest difference: by sample, step, order of the schedule, and neuron."""
    found: tuple[tuple[int, int, int, int], str] | None = None
    for rank, name in enumerate(compared_populations(netlist)):
        a, b = observable(netlist, deployed, name), observable(netlist, other, name)
        batch, steps = a.shape[:2]
        different = (a != b).reshape(batch, steps, -1)
        if not different.any():
            continue
        sample, t, neuron = np.unravel_index(int(different.argmax()), different.shape)
        key = (int(sample), int(t) + netlist.schedule.depth[name], rank, int(neuron))
        if found is None or key < found[0]:
            found = (key, name)
    if found is None:
        return None
    (sample_, step, _, flat), name = found
    population = netlist.by_name[name]
    neuron_ = tuple(int(i) for i in np.unravel_index(flat, population.shape))
    t_ = step - netlist.schedule.depth[name]
    where = (sample_, t_, *neuron_)
    spikes = (deployed.spikes, other.spikes)
    emitted = [int(s[name][where]) if name in s else 0 for s in spikes]
    membranes = [_membrane(run, name, where) for run in (rerun_deployment, rerun_executor)]
    return Divergence(executor, sample_, step, name, neuron_, *emitted, *membranes)


def _membrane(rerun: Run, name: str, where: tuple[int, ...]) -> int | None:
    traces: Mapping[str, AnyArray] = rerun([name]).membranes
    return int(traces[name][where]) if name in traces else None
