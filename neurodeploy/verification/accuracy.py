"""Accuracy of a spiking network over time, beside its source network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurodeploy.execution.batches import EncodedInput
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.record import Progress
from neurodeploy.json_values import json_value
from neurodeploy.network import Network
from neurodeploy.notebook import Shown
from neurodeploy.source.analog import AnalogGraph, Softmax
from neurodeploy.verification.neurobench import Metrics
from neurodeploy.verification.spread import RelativeError
from neurodeploy.verification.statistics import Paired, wilson
from neurodeploy.verification.tally import Tally, Task
from neurodeploy.verification.totals import summarizer


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
    metrics : Metrics or None
        Those of NeuroBench, where they were asked for.
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
    metrics: Metrics | None = None

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
    tally = tally_of(net, labels is not None, beside=x is not None)
    run = summarizer(net.netlist)
    for seen in tally.seen(run, stimulus, x, labels, targets, progress=progress):
        tally.join(seen)
    return evaluation_of(tally)


def tally_of(net: Network, labelled: bool, beside: bool = True) -> Tally:
    """An empty tally of a network's answers, beside its source network where it is asked."""
    net = net if beside else replace(net, analog=None)
    return Tally(net, task_of(net, labelled))


def evaluation_of(tally: Tally) -> Evaluation:
    """The evaluation of all samples that were joined."""
    T, n = tally.netlist.timesteps, tally.samples
    prefixes = {}
    if tally.correct is not None:
        prefixes = {t: int(right) / n for t, right in enumerate(tally.correct, 1)}
    known = tally.graph is not None and tally.only is not None
    right, source_right, decided, source_decided = (
        np.concatenate(parts) if parts else None
        for parts in (tally.right, tally.source_right, tally.decided, tally.source_decided)
    )
    errors = {name: spread.error for name, spread in tally.spreads.items()}
    return Evaluation(
        n,
        T,
        None if source_right is None else float(source_right.mean()),
        prefixes.get(T),
        prefixes,
        tally.agreeing / n if known else None,
        tally.spikes / n,
        None if tally.only is None else tally.tied / n,
        {name: c.value for name, c in tally.correlations.items()},
        {
            name: math.sqrt(total / (n * tally.netlist.by_name[name].size))
            for name, total in tally.squares.items()
        },
        tally.task,
        {name: error for name, error in errors.items() if error is not None},
        tally.off_target.error,
        tally.source_off_target.error,
        right,
        source_right,
        decided,
        source_decided,
    )


def evaluations_to_dict(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """The JSON of ``evaluate``: one entry per T; prefixes and ties of the longest run."""
    last = max(evaluations, key=lambda e: e.timesteps)

    def by_steps(figure: Callable[[Evaluation], Any]) -> dict[str, Any]:
        return {str(e.timesteps): json_value(figure(e)) for e in evaluations}

    metrics = {T: told for T, told in by_steps(lambda e: e.metrics).items() if told is not None}
    return {
        "samples": last.samples,
        "timesteps": [e.timesteps for e in evaluations],
        "source_accuracy": last.source_accuracy,
        "accuracy": by_steps(lambda e: e.accuracy),
        "prefix_accuracy": _by_prefix(last),
        "agreement": by_steps(lambda e: e.agreement),
        "spikes_per_inference": by_steps(lambda e: e.spikes_per_inference),
        "tie_share": last.tie_share,
        "output_rmse": by_steps(lambda e: e.output_rmse),
        "layer_correlation": by_steps(lambda e: e.layer_correlation),
        "task": last.task,
        "accuracy_interval": by_steps(lambda e: e.accuracy_interval),
        "loss": by_steps(lambda e: e.loss),
        "relative_error": by_steps(lambda e: e.relative_error),
        "target_error": by_steps(lambda e: e.target_error),
        "source_target_error": json_value(last.source_target_error),
        "prefix_accuracy_by_timesteps": by_steps(_by_prefix),
        **({"metrics": metrics} if metrics else {}),
    }


def _by_prefix(evaluation: Evaluation) -> dict[str, float]:
    return {str(t): accuracy for t, accuracy in evaluation.prefix_accuracy.items()}
