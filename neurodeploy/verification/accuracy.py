"""Accuracy of a spiking network over time, beside its source network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.batches import EncodedInput, run_batched
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import Shown
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.verification.agreement import (
    BATCH,
    Correlation,
    coding_populations,
    over_source,
    part_of,
    rate_unit,
)
from neurodeploy.verification.totals import summarizer


@dataclass(frozen=True, slots=True)
class Evaluation(Shown):
    """What one network does on a data set.

    Parameters
    ----------
    samples, timesteps : int
    source_accuracy, accuracy : float or None
        Top-1 of the source network and of the spiking one after T steps; None without labels.
        What speaks of classes is None or empty where there is not one output of several values.
    prefix_accuracy : mapping
        Steps t = 1 .. T -> accuracy if the run had ended there.
    agreement : float or None
        Share of samples on which both give the same class; None without a source network.
    spikes_per_inference : float
        Of all populations but the inputs.
    tie_share : float or None
        Samples whose largest output is not unique.
    layer_correlation : mapping
        Population -> correlation of rates with activations.
    output_rmse : mapping
        Output population -> root mean squared difference from the source network's output, in its
        units; empty without a source network.
    """

    samples: int
    timesteps: int
    source_accuracy: float | None
    accuracy: float | None
    prefix_accuracy: Mapping[int, float]
    agreement: float | None
    spikes_per_inference: float
    tie_share: float | None
    layer_correlation: Mapping[str, float | None]
    output_rmse: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        n = self.samples
        figures = [
            f"{name} {100 * value:.2f} %"
            for name, value in (("accuracy", self.accuracy), ("source", self.source_accuracy))
            if value is not None
        ]
        figures.append(f"{self.spikes_per_inference:.1f} spikes per inference")
        return f"Evaluation({n} sample{'s' * (n != 1)}, T = {self.timesteps}: {', '.join(figures)})"

    def to_dict(self) -> dict[str, Any]:
        """JSON values, as ``evaluate --json`` prints them."""
        return evaluations_to_dict([self])


def evaluate_network(
    net: Network,
    stimulus: Mapping[str, EncodedInput],
    x: AnyArray | Mapping[str, AnyArray],
    labels: IntArray | None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run all samples on the fast engine, without torch on the reference, and compare.

    Parameters
    ----------
    net : Network
        Real-valued or integer.
    stimulus : mapping
        Input population -> its samples; some are asked for at a time.
    x : array ``[B, *shape]``, or mapping by input of the source network
        The samples that it encodes, raw.
    labels : array ``[B]`` or None

    Raises
    ------
    UsageError
        If the network has no output.
    """
    tally = _Tally(net)
    run = summarizer(net.netlist)
    # Multiples, so that batches of the source network are whole.
    for batch in run_batched(stimulus, tally.bytes_per_sample, multiple=BATCH):
        part = batch.samples
        summary = run(batch.stimulus, rates=tally.hidden, progress=batch.part_of(progress))
        tally.add(summary, part_of(x, part), None if labels is None else labels[part])
    return tally.evaluation()


@dataclass(slots=True)
class _Compared:
    """A batch of samples beside the source network."""

    agreeing: int = 0
    correct: int = 0
    correlations: dict[str, Correlation] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)


class _Tally:
    """What is known of a network after some of the samples."""

    def __init__(self, net: Network) -> None:
        self.netlist, self.graph = net.netlist, net.analog
        if not self.netlist.outputs:
            raise UsageError(f"{self.netlist.name}: has no output to evaluate")
        self.outputs = {o.population: o for o in self.netlist.outputs}
        self.only = next(iter(self.outputs)) if classifies(self.netlist) else None
        self.coded = {} if self.graph is None else coding_populations(self.netlist)
        self.hidden = [name for name in self.coded if name not in self.outputs]
        self.emitting = [
            p.name
            for p in self.netlist.populations
            if not isinstance(p.model, Input) and not p.is_integrator
        ]
        self.units = {
            name: rate_unit(self.netlist.by_name[name], self.netlist.timesteps)
            for name in self.hidden
        }
        self.correlations = {name: Correlation() for name in self.coded}
        self.squares = {name: 0.0 for name in self.coded if name in self.outputs}
        self.samples = self.spikes = self.tied = self.agreeing = self.correct_source = 0
        self.correct: IntArray | None = None

    @property
    def bytes_per_sample(self) -> int:
        """Of integers that enter, rates of hidden populations and traces of outputs."""
        given = 0
        for population in self.netlist.inputs:
            steps = 1 if population.is_current_input else self.netlist.timesteps
            given += steps * population.size
        sizes = [self.netlist.by_name[name].size for name in self.hidden]
        read = [self.netlist.by_name[name].size for name in self.outputs]
        return 8 * (given + sum(sizes) + self.netlist.timesteps * sum(read))

    def add(
        self, summary: Summary, x: AnyArray | Mapping[str, AnyArray], labels: IntArray | None
    ) -> None:
        """Join what some samples gave."""
        T, before = summary.timesteps, self.samples
        self.samples += summary.samples
        self.spikes += sum(int(summary.spikes_per_sample[name].sum()) for name in self.emitting)
        answers = {
            name: decode_prefix(self.netlist, output, summary.traces[name], T, before)
            for name, output in self.outputs.items()
        }
        decided = None if self.only is None else classify(answers[self.only])
        if decided is not None:
            self.tied += int(decided.tied.sum())
        if labels is not None and self.only is not None:
            output, trace = self.outputs[self.only], summary.traces[self.only]
            prefixes = (
                decode_prefix(self.netlist, output, trace, t, before) for t in range(1, T + 1)
            )
            right = np.array([(classify(p).labels == labels).sum() for p in prefixes])
            self.correct = right if self.correct is None else self.correct + right
        if self.graph is not None:
            ours = None if decided is None else decided.labels
            self._compare(self.graph, summary, x, answers, ours, labels)

    def _compare(
        self,
        graph: AnalogGraph,
        summary: Summary,
        x: AnyArray | Mapping[str, AnyArray],
        answers: Mapping[str, FloatArray],
        decided: IntArray | None,
        labels: IntArray | None,
    ) -> None:
        """Join how the same samples fare in the source network."""

        def work(samples: slice, activations: Mapping[str, AnyArray]) -> _Compared:
            found = _Compared()
            for name, node in self.coded.items():
                theirs = activations[node]
                correlation = found.correlations[name] = Correlation()
                if name in answers:
                    ours = answers[name][samples]
                    found.squares[name] = float(np.square(ours - theirs).sum())
                    correlation.add(ours, theirs)
                else:
                    correlation.add(summary.rates[name][samples], theirs, self.units[name])
            if decided is not None:
                classes = classify(activations[graph.outputs[0]]).labels
                found.agreeing = int((decided[samples] == classes).sum())
                if labels is not None:
                    found.correct = int((classes == labels[samples]).sum())
            return found

        nodes = sorted({*self.coded.values(), *graph.outputs})
        for found in over_source(graph, x, nodes, work):
            self.agreeing += found.agreeing
            self.correct_source += found.correct
            for name, correlation in found.correlations.items():
                self.correlations[name].join(correlation)
            for name, squares in found.squares.items():
                self.squares[name] += squares

    def evaluation(self) -> Evaluation:
        """Of all samples so far."""
        T, n = self.netlist.timesteps, self.samples
        prefixes = {}
        if self.correct is not None:
            prefixes = {t: int(right) / n for t, right in enumerate(self.correct, 1)}
        known = self.graph is not None and self.only is not None
        return Evaluation(
            n,
            T,
            self.correct_source / n if known and prefixes else None,
            prefixes.get(T),
            prefixes,
            self.agreeing / n if known else None,
            self.spikes / n,
            None if self.only is None else self.tied / n,
            {name: c.value for name, c in self.correlations.items()},
            {
                name: math.sqrt(total / (n * self.netlist.by_name[name].size))
                for name, total in self.squares.items()
            },
        )


def classifies(netlist: RealNetlist | IntegerNetlist) -> bool:
    """Whether the answer is a class: one output, a vector of several values."""
    shapes = [netlist.by_name[o.population].shape for o in netlist.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1


def evaluations_to_dict(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """The JSON of ``evaluate``: one entry per T; prefixes and ties of the longest run."""
    last = max(evaluations, key=lambda e: e.timesteps)
    return {
        "samples": last.samples,
        "timesteps": [e.timesteps for e in evaluations],
        "source_accuracy": last.source_accuracy,
        "accuracy": {str(e.timesteps): e.accuracy for e in evaluations},
        "prefix_accuracy": {str(t): a for t, a in last.prefix_accuracy.items()},
        "agreement": {str(e.timesteps): e.agreement for e in evaluations},
        "spikes_per_inference": {str(e.timesteps): e.spikes_per_inference for e in evaluations},
        "tie_share": last.tie_share,
        "output_rmse": {str(e.timesteps): dict(e.output_rmse) for e in evaluations},
        "layer_correlation": {str(e.timesteps): dict(e.layer_correlation) for e in evaluations},
        "prefix_accuracy_by_timesteps": {
            str(e.timesteps): {str(t): a for t, a in e.prefix_accuracy.items()} for e in evaluations
        },
    }


def largest_prefix_fall(prefixes: Mapping[int, float], ceiling: float = 1.0) -> float:
    """Largest fall of the accuracy between two prefixes in the second half of a run.

    Accuracy above ``ceiling`` counts as the ceiling: a run that is better than its source network
    for a while has nothing to lose by coming to agree with it.
    """
    T = max(prefixes)
    values = np.array([min(prefixes[t], ceiling) for t in range(max(1, T // 2), T + 1)])
    return float((np.maximum.accumulate(values) - values).max())
