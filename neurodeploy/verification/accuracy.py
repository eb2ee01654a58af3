"""Accuracy of a spiking network over time, beside its source network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.batches import EncodedInput, run_batched
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import Shown
from neurodeploy.source.analog import AnalogGraph, Softmax
from neurodeploy.verification.agreement import (
    BATCH,
    Correlation,
    coding_populations,
    over_source,
    part_of,
    rate_unit,
)
from neurodeploy.verification.spread import RelativeError, Spread
from neurodeploy.verification.statistics import Paired, wilson
from neurodeploy.verification.totals import summarizer

Task = Literal["classes", "values", "maps"]
"""Kinds of answers: the class of the largest output, numbers, or maps, as detectors give them."""


@dataclass(frozen=True, slots=True)
class Evaluation(Shown):
    """Results of one network on a data set.

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
    task : {"classes", "values", "maps"}
    relative_error : mapping
        Output population -> error relative to the spread of the source network's output.
    target_error, source_target_error : RelativeError or None
        Of the spiking network and of its source beside float targets.
    right, source_right : array of bool ``[B]`` or None
        Which samples get the class of their label.
    decided, source_decided : int64 array ``[B]`` or None
        The class that the spiking network and its source give to each sample.
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
    task: Task = "classes"
    relative_error: Mapping[str, RelativeError] = field(default_factory=dict)
    target_error: RelativeError | None = None
    source_target_error: RelativeError | None = None
    right: AnyArray | None = field(default=None, compare=False)
    source_right: AnyArray | None = field(default=None, compare=False)
    decided: AnyArray | None = field(default=None, compare=False)
    source_decided: AnyArray | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        n = self.samples
        figures = [
            f"{name} {100 * value:.2f} %"
            for name, value in (("accuracy", self.accuracy), ("source", self.source_accuracy))
            if value is not None
        ]
        figures.append(f"{self.spikes_per_inference:.1f} spikes per inference")
        return f"Evaluation({n} sample{'s' * (n != 1)}, T = {self.timesteps}: {', '.join(figures)})"

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """95 % interval of the accuracy (Wilson); None without labels."""
        if self.accuracy is None:
            return None
        return wilson(round(self.accuracy * self.samples), self.samples)

    @property
    def loss(self) -> Paired | None:
        """Against the source network, sample by sample; None without labels or it."""
        return paired(self.source_right, self.right)

    def against(self, other: Evaluation) -> Paired | None:
        """Accuracy lost against another on the same samples; None without labels."""
        return paired(other.right, self.right)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, as ``evaluate --json`` prints them."""
        return evaluations_to_dict([self])


def paired(first: AnyArray | None, second: AnyArray | None) -> Paired | None:
    """Accuracy lost from the first to the second, each being right or wrong on the same samples."""
    if first is None or second is None or len(first) != len(second):
        return None
    return Paired(len(first), int((first & ~second).sum()), int((second & ~first).sum()))


def task_of(network: Network | AnalogGraph, labelled: bool, classifier: bool = False) -> Task:
    """Kind of a network's answers.

    One output of several values gives classes where there are labels, where it ends in a softmax,
    or where its conversion was told so.
    """
    if isinstance(network, AnalogGraph):
        graph: AnalogGraph | None = network
        shapes = [network.node(name).shape for name in network.outputs]
    else:
        graph, netlist = network.analog, network.netlist
        shapes = [netlist.by_name[o.population].shape for o in netlist.outputs]
        classifier = classifier or bool(network.provenance.get("classifier"))
    if any(len(shape) > 1 for shape in shapes):
        return "maps"
    soft = graph is not None and isinstance(graph.node(graph.outputs[0]).op, Softmax)
    vector = len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1
    return "classes" if vector and (labelled or soft or classifier) else "values"


def evaluate_network(
    net: Network,
    stimulus: Mapping[str, EncodedInput],
    x: AnyArray | Mapping[str, AnyArray] | None,
    labels: IntArray | None,
    *,
    targets: AnyArray | None = None,
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
        The samples that it encodes, raw. None: nothing that a source network could take; it is
        left out.
    labels : array ``[B]`` or None
    targets : array ``[B, *output]``, optional
        Of a regression with one output.

    Raises
    ------
    UsageError
        If the network has no output.
    """
    tally = _Tally(net if x is not None else replace(net, analog=None), labels is not None)
    run = summarizer(net.netlist)
    # Multiples, so that batches of the source network are whole.
    for batch in run_batched(stimulus, tally.bytes_per_sample, multiple=BATCH):
        part = batch.samples
        summary = run(batch.stimulus, rates=tally.hidden, progress=batch.part_of(progress))
        asked = None if labels is None else labels[part]
        aimed = None if targets is None else targets[part]
        given = None if x is None else part_of(x, part)
        tally.add(summary, given, asked, aimed, batch.steps)
    return tally.evaluation()


@dataclass(slots=True)
class _Compared:
    """A batch of samples beside the source network."""

    agreeing: int = 0
    right: AnyArray | None = None
    decided: AnyArray | None = None
    correlations: dict[str, Correlation] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    off_target: Spread | None = None


class _Tally:
    """Sums over the samples that a network has seen so far."""

    def __init__(self, net: Network, labelled: bool) -> None:
        self.netlist, self.graph = net.netlist, net.analog
        if not self.netlist.outputs:
            raise UsageError(f"{self.netlist.name}: has no output to evaluate")
        self.outputs = {o.population: o for o in self.netlist.outputs}
        self.task = task_of(net, labelled)
        self.only = next(iter(self.outputs)) if self.task == "classes" else None
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
        shapes = {name: self.netlist.by_name[name].shape for name in self.outputs}
        self.spreads = {name: Spread(shapes[name]) for name in self.squares}
        self.off_target, self.source_off_target = (
            Spread(next(iter(shapes.values()))) for _ in range(2)
        )
        self.samples = self.spikes = self.tied = self.agreeing = 0
        self.correct: IntArray | None = None
        self.right: list[AnyArray] = []
        self.source_right: list[AnyArray] = []
        self.decided: list[AnyArray] = []
        self.source_decided: list[AnyArray] = []

    @property
    def bytes_per_sample(self) -> int:
        """Memory of one sample: input integers, rates of hidden populations, traces of outputs."""
        given = 0
        for population in self.netlist.inputs:
            steps = 1 if population.is_current_input else self.netlist.timesteps
            given += steps * population.size
        sizes = [self.netlist.by_name[name].size for name in self.hidden]
        read = [self.netlist.by_name[name].size for name in self.outputs]
        return 8 * (given + sum(sizes) + self.netlist.timesteps * sum(read))

    def add(
        self,
        summary: Summary,
        x: AnyArray | Mapping[str, AnyArray] | None,
        labels: IntArray | None,
        targets: AnyArray | None,
        steps: IntArray | None = None,
    ) -> None:
        """Join what some samples gave; each is read at its own last step, where it has one."""
        T, before = summary.timesteps, self.samples
        last = T if steps is None else steps
        self.samples += summary.samples
        self.spikes += sum(int(summary.spikes_per_sample[name].sum()) for name in self.emitting)
        answers = {
            name: decode_prefix(self.netlist, output, summary.traces[name], last, before)
            for name, output in self.outputs.items()
        }
        decided = None if self.only is None else classify(answers[self.only])
        if decided is not None:
            self.tied += int(decided.tied.sum())
            self.decided.append(decided.labels)
        if labels is not None and self.only is not None:
            output, trace = self.outputs[self.only], summary.traces[self.only]
            until = (t if steps is None else np.minimum(t, steps) for t in range(1, T + 1))
            prefixes = (decode_prefix(self.netlist, output, trace, t, before) for t in until)
            right = np.array([(classify(p).labels == labels).sum() for p in prefixes])
            self.correct = right if self.correct is None else self.correct + right
            assert decided is not None
            self.right.append(decided.labels == labels)
        if targets is not None:
            self.off_target.add(next(iter(answers.values())), targets)
        if self.graph is not None and x is not None:
            ours = None if decided is None else decided.labels
            self._compare(self.graph, summary, x, answers, ours, labels, targets)

    def _compare(
        self,
        graph: AnalogGraph,
        summary: Summary,
        x: AnyArray | Mapping[str, AnyArray],
        answers: Mapping[str, FloatArray],
        decided: IntArray | None,
        labels: IntArray | None,
        targets: AnyArray | None,
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
                    found.spreads[name] = Spread(ours.shape[1:])
                    found.spreads[name].add(ours, theirs)
                else:
                    correlation.add(summary.rates[name][samples], theirs, self.units[name])
            if decided is not None:
                found.decided = classes = classify(activations[graph.outputs[0]]).labels
                found.agreeing = int((decided[samples] == classes).sum())
                if labels is not None:
                    found.right = classes == labels[samples]
            if targets is not None:
                theirs, aim = activations[graph.outputs[0]], targets[samples]
                found.off_target = Spread(theirs.shape[1:])
                found.off_target.add(theirs, aim)
            return found

        nodes = sorted({*self.coded.values(), *graph.outputs})
        for found in over_source(graph, x, nodes, work):
            self.agreeing += found.agreeing
            if found.right is not None:
                self.source_right.append(found.right)
            if found.decided is not None:
                self.source_decided.append(found.decided)
            if found.off_target is not None:
                self.source_off_target.join(found.off_target)
            for name, correlation in found.correlations.items():
                self.correlations[name].join(correlation)
            for name, squares in found.squares.items():
                self.squares[name] += squares
            for name, spread in found.spreads.items():
                self.spreads[name].join(spread)

    def evaluation(self) -> Evaluation:
        """Evaluation of all samples so far."""
        T, n = self.netlist.timesteps, self.samples
        prefixes = {}
        if self.correct is not None:
            prefixes = {t: int(right) / n for t, right in enumerate(self.correct, 1)}
        known = self.graph is not None and self.only is not None
        right, source_right, decided, source_decided = (
            np.concatenate(parts) if parts else None
            for parts in (self.right, self.source_right, self.decided, self.source_decided)
        )
        errors = {name: spread.error for name, spread in self.spreads.items()}
        return Evaluation(
            n,
            T,
            None if source_right is None else float(source_right.mean()),
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
            self.task,
            {name: error for name, error in errors.items() if error is not None},
            self.off_target.error,
            self.source_off_target.error,
            right,
            source_right,
            decided,
            source_decided,
        )


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
        "task": last.task,
        "accuracy_interval": {str(e.timesteps): e.accuracy_interval for e in evaluations},
        "loss": {str(e.timesteps): e.loss and e.loss.to_dict() for e in evaluations},
        "relative_error": {
            str(e.timesteps): {name: error.to_dict() for name, error in e.relative_error.items()}
            for e in evaluations
        },
        "target_error": {
            str(e.timesteps): e.target_error and e.target_error.to_dict() for e in evaluations
        },
        "source_target_error": last.source_target_error and last.source_target_error.to_dict(),
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
