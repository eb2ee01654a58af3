"""Deviation of a deployment that states a rewritten netlist from the netlist that was given.

The deployment equals what it states, which ``verify`` checks with no tolerance. Here its spikes are
set beside those of the given netlist on the same stimulus, step by step of each population's
window, so that what the rewriting delayed as a whole does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.decoding import classify, decode
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.json_values import Result
from neurodeploy.targets.base import Deployment
from neurodeploy.verification.compare import integrators, observable
from neurodeploy.verification.executors import fastest_executor


@dataclass(frozen=True, slots=True)
class PopulationDeviation:
    """One population in both netlists, over all samples.

    Parameters
    ----------
    neuron_steps, differing : int
        Compared, and those that differ: in their spikes, or in the membranes of an integrator.
    spikes_given, spikes_stated : int or None
        None for an integrator.
    """

    neuron_steps: int
    differing: int
    spikes_given: int | None
    spikes_stated: int | None

    @property
    def share(self) -> float:
        """Share of neuron-steps that differ."""
        return self.differing / self.neuron_steps if self.neuron_steps else 0.0

    @property
    def relative_spikes(self) -> float | None:
        """(stated - given) / given; None where the given netlist has no spikes."""
        if not self.spikes_given or self.spikes_stated is None:
            return None
        return (self.spikes_stated - self.spikes_given) / self.spikes_given

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "neuron_steps": self.neuron_steps,
            "differing": self.differing,
            "share": self.share,
            "spikes_given": self.spikes_given,
            "spikes_stated": self.spikes_stated,
            "relative_spikes": self.relative_spikes,
        }


@dataclass(frozen=True, slots=True)
class Deviation(Result):
    """The netlist that a deployment states beside the one that was given.

    Parameters
    ----------
    populations : mapping of population to PopulationDeviation
        All that both netlists have, inputs left out.
    top1 : float or None
        Share of samples with the same class; None where there is not one output.
    accuracy_given, accuracy_stated : float or None
        Top-1; None without labels or with several outputs.
    """

    populations: Mapping[str, PopulationDeviation]
    top1: float | None
    accuracy_given: float | None
    accuracy_stated: float | None


class DeviationMeter:
    """Adds up the deviation of a deployment, batch by batch."""

    def __init__(self, deployment: Deployment, progress: Progress | None = None) -> None:
        assert deployment.given is not None
        self._stated, self._given = deployment.netlist, deployment.given.integer
        self._run = fastest_executor(self._given, progress)
        theirs = self._given.by_name
        self._names = [
            n
            for n in self._stated.schedule.order
            if n in theirs
            and theirs[n].shape == self._stated.by_name[n].shape
            and not isinstance(theirs[n].model, Input)
            and theirs[n].is_integrator == self._stated.by_name[n].is_integrator
        ]
        # Neuron-steps, differing, spikes of the given netlist and of the stated one.
        self._counts: dict[str, IntArray] = {n: np.zeros(4, dtype=np.int64) for n in self._names}
        self._classes: list[tuple[IntArray, IntArray]] = []
        self._labels: list[IntArray] = []

    @property
    def _is_classifier(self) -> bool:
        both = (self._stated, self._given)
        shapes = [[net.by_name[o.population].shape for o in net.outputs] for net in both]
        return all(len(s) == 1 and len(s[0]) == 1 and s[0][0] > 1 for s in shapes)

    @classmethod
    def of(cls, deployment: Deployment, progress: Progress | None = None) -> DeviationMeter | None:
        """None where the deployment states what was given."""
        return None if deployment.given is None else cls(deployment, progress)

    def add(self, deployed: RunRecord, stimulus: Stimulus, labels: IntArray | None) -> None:
        """Run the given netlist on a stimulus that the deployment has run on, and compare."""
        given = self._run(stimulus, integrators(self._given))
        for name in self._names:
            mine = observable(self._stated, deployed, name)
            theirs = observable(self._given, given, name)
            self._counts[name] += [
                mine.size,
                int((mine != theirs).sum()),
                int(np.count_nonzero(theirs)),
                int(np.count_nonzero(mine)),
            ]
        if self._is_classifier:
            self._classes.append((_classes(self._given, given), _classes(self._stated, deployed)))
            if labels is not None:
                self._labels.append(labels)

    def deviation(self) -> Deviation:
        """Deviation over all samples so far."""
        populations = {}
        for name in self._names:
            compared, differing, given, stated = self._counts[name].tolist()
            fires = not self._given.by_name[name].is_integrator
            populations[name] = PopulationDeviation(
                compared, differing, given if fires else None, stated if fires else None
            )
        if not self._classes:
            return Deviation(populations, None, None, None)
        theirs, mine = (np.concatenate(c) for c in zip(*self._classes, strict=True))
        labels = np.concatenate(self._labels) if self._labels else None
        return Deviation(
            populations, _share(theirs, mine), _share(theirs, labels), _share(mine, labels)
        )


def _classes(netlist: IntegerNetlist, run: RunRecord) -> IntArray:
    return classify(decode(netlist, netlist.outputs[0], run)).labels


def _share(a: IntArray, b: AnyArray | None) -> float | None:
    return None if b is None or not a.size else float((a == b).mean())
