"""Accuracy of a spiking network over time, beside its source network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress, Stimulus
from neurodeploy.verify.agreement import (
    coding_populations,
    correlation,
    decoded_rates,
    evaluate_source,
    is_integrator,
)
from neurodeploy.verify.totals import summarize


@dataclass(frozen=True, slots=True)
class Evaluation:
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


def evaluate_artifact(
    net: Artifact,
    stimulus: Stimulus,
    x: AnyArray | Mapping[str, AnyArray],
    labels: IntArray | None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run all samples on the fast engine, without torch on the reference, and compare.

    Parameters
    ----------
    net : Artifact
        Real-valued or integer.
    stimulus : mapping
    x : array ``[B, *shape]``, or mapping by input of the source network
        The samples that it encodes, raw.
    labels : array ``[B]`` or None

    Raises
    ------
    UsageError
        If the network has no output.
    """
    netlist = net.netlist
    if not netlist.outputs:
        raise UsageError(f"{netlist.name}: has no output to evaluate")
    outputs = {o.population: o for o in netlist.outputs}
    coded = coding_populations(netlist) if net.analog is not None else {}
    hidden = [n for n in coded if not is_integrator(netlist.by_name[n])]
    summary = summarize(netlist, stimulus, rates=hidden, progress=progress)
    T, batch = summary.timesteps, summary.samples
    answers = {
        name: decode_prefix(netlist, output, summary.traces[name], T)
        for name, output in outputs.items()
    }
    only = next(iter(outputs)) if classifies(netlist) else None
    decided = None if only is None else classify(answers[only])
    prefixes: dict[int, float] = {}
    if labels is not None and only is not None:
        for t in range(1, T + 1):
            at = classify(decode_prefix(netlist, outputs[only], summary.traces[only], t)).labels
            prefixes[t] = float((at == labels).mean())
    spikes = sum(
        int(summary.spikes_per_sample[p.name].sum())
        for p in netlist.populations
        if not isinstance(p.model, Input) and not is_integrator(p)
    )
    source_accuracy = agreement = None
    correlations: dict[str, float | None] = {}
    differences: dict[str, float] = {}
    if net.analog is not None:
        nodes = sorted({*coded.values(), *net.analog.outputs})
        activations = evaluate_source(net.analog, x, nodes)
        if decided is not None:
            theirs = classify(activations[net.analog.outputs[0]]).labels
            agreement = float((decided.labels == theirs).mean())
            if labels is not None:
                source_accuracy = float((theirs == labels).mean())
        for name in hidden:
            rates = decoded_rates(netlist.by_name[name], summary.rates[name], T)
            correlations[name] = correlation(rates, activations[coded[name]])
        for name, answer in answers.items():
            if name in coded:
                expected = activations[coded[name]]
                correlations[name] = correlation(answer, expected)
                differences[name] = float(np.sqrt(np.square(answer - expected).mean()))
    return Evaluation(
        batch,
        T,
        source_accuracy,
        prefixes.get(T),
        prefixes,
        agreement,
        spikes / batch,
        None if decided is None else float(decided.tied.mean()),
        correlations,
        differences,
    )


def classifies(netlist: RealNetlist | IntegerNetlist) -> bool:
    """Whether the answer is a class: one output, a vector of several values."""
    shapes = [netlist.by_name[o.population].shape for o in netlist.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1


def evaluation_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
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
