"""Accuracy of the source network on the calibration data, before it is converted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.datasets.normalization import NAMED, Normalization
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.network import Network
from neurodeploy.source.analog import AnalogGraph, macs
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.verification.accuracy import Evaluation, paired
from neurodeploy.verification.agreement import Correlation, evaluate_source
from neurodeploy.verification.spread import RelativeError, Spread
from neurodeploy.verification.statistics import SURE, Paired, can_tell, is_chance
from neurodeploy.verification.totals import summarize

MOST_SAMPLES, LEAST_SAMPLES = 512, 64
MOST_MACS = 2.5e10
"""Time limit of the source network on all samples: a second or two."""
LEAST_CORRELATION = 0.98
MOST_ERROR = 0.5
"""Of the spread of an output."""
CORRELATED_SAMPLES, LEAST_CORRELATED = 32, 4
CORRELATED_STEPS = 2**27
"""Neuron-steps of all samples: a few seconds."""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Accuracy of a source network.

    Parameters
    ----------
    line : str
        What was measured, of how many samples, beside chance.
    warnings : tuple of str
        What is probably wrong with the network or the data.
    record : mapping
        JSON values for the provenance.
    """

    line: str
    warnings: tuple[str, ...]
    record: dict[str, Any]


def check_source(graph: AnalogGraph, dataset: Samples, without_weights: bool) -> SourceCheck:
    """Measure the source network on calibration data, and look for what would make it better.

    Parameters
    ----------
    graph : AnalogGraph
        With the normalization of the data folded into it.
    dataset : Samples
        Whose labels and targets are ones of its outputs.
    without_weights : bool
        Whether a factory made it and no weights were named.
    """
    affordable = int(MOST_MACS / max(sum(macs(graph).values()), 1))
    most = max(LEAST_SAMPLES, min(MOST_SAMPLES, affordable))
    data = dataset[: min(most, len(dataset))]
    kind = _kind(dataset)
    what = f"{len(data)} {kind} {'images' if data.x.ndim == 4 else 'samples'}"
    classes = _n_classes(graph) is not None
    if data.targets is not None:
        found = _regression(graph, data, what)
    elif data.y is None or not classes:
        why = "the data have no labels" if data.y is None else "its outputs are no classes"
        found = SourceCheck(f"source network: not measured, {why}", (), {})
    else:
        found = _classes(graph, data, data.y, what, without_weights)
    if len(data) > 1 and not data.named and (data.x == data.x[:1]).all():
        same = f"all {what} are the same: whatever is measured on them is of one; mend the data"
        return replace(found, warnings=(same, *found.warnings))
    return found


def unseen_classes(graph: AnalogGraph, dataset: Samples) -> str | None:
    """What to tell of calibration data with fewer than half of the classes, else None."""
    n = _n_classes(graph)
    if n is None or dataset.y is None or 2 * (seen := len(np.unique(dataset.y))) >= n:
        return None
    return (
        f"{_kind(dataset)} data: {seen} of {n} classes; what only others use may be clipped at "
        "ranges that they had no part in: more samples, or --range-floor 1"
    )


def _n_classes(graph: AnalogGraph) -> int | None:
    """Classes that the only output scores, None if it does not."""
    shapes = [graph.node(name).shape for name in graph.outputs]
    one = len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 1
    return shapes[0][0] if one else None


def _kind(dataset: Samples) -> str:
    return "training" if dataset.split == "train" else "calibration"


def output_check(
    net: Network, dataset: Samples
) -> tuple[dict[str, float | None], dict[str, RelativeError]]:
    """How the outputs of a converted network correlate with its source's on calibration data.

    Counts are compared with what counts can tell. An output that is drawn (spiking softmax) is left
    out; None where either side is the same for all samples. Values of one output that lie far apart
    correlate whatever a sample changes in each: errors tell that, of those that vary.
    """
    assert net.analog is not None
    steps = sum(p.size for p in net.netlist.populations) * net.netlist.timesteps
    n = max(LEAST_CORRELATED, min(CORRELATED_SAMPLES, CORRELATED_STEPS // steps))
    data = dataset[: min(n, len(dataset))]
    outputs = [o for o in net.netlist.outputs if o.decode != "softmax"]
    nodes = {o.population: net.netlist.by_name[o.population].source for o in outputs}
    known = sorted({node for node in nodes.values() if node is not None})
    if not known:
        return {}, {}
    stimulus, _ = stimulus_for(net, data)
    run = summarize(net.netlist, stimulus)
    theirs = evaluate_source(net.analog, data.inputs_for(net.analog.inputs), known)
    found: dict[str, float | None] = {}
    errors = {}
    for output in outputs:
        node = nodes[output.population]
        if node is None:
            continue
        right = theirs[node]
        if not output.reads_membrane:
            least = 0.0 if not net.netlist.by_name[output.population].emits_negative else -np.inf
            right = np.maximum(right, least - output.offset)
        trace = run.traces[output.population]
        ours = decode_prefix(net.netlist, output, trace, run.timesteps)
        pairs, spread = Correlation(), Spread(right.shape[1:])
        pairs.add(ours, right)
        spread.add(ours, right)
        found[output.population] = pairs.value
        if spread.error is not None:
            errors[output.population] = spread.error
    return found, errors


def _answers(graph: AnalogGraph, x: Any) -> AnyArray:
    return evaluate_source(graph, x, [graph.outputs[0]])[graph.outputs[0]]


def _regression(graph: AnalogGraph, data: Samples, what: str) -> SourceCheck:
    spread = Spread(graph.node(graph.outputs[0]).shape)
    assert data.targets is not None
    spread.add(_answers(graph, data.inputs_for(graph.inputs)), data.targets)
    error = spread.error
    if error is None:
        line = f"source network: not measured, the targets of {what} are all the same"
        return SourceCheck(line, (), {})
    line = f"source network: error of {what} relative to the targets' spread: {error}"
    told: tuple[str, ...] = ()
    if error.mean >= 1:
        told = (
            f"source network: wrong by {100 * error.mean:.0f} % of the targets' spread on {what}, "
            "no better than their mean; usual causes: missing --weights, missing #norm, targets in "
            "other units or of other samples",
        )
    return SourceCheck(line, told, {"samples": len(data), "target_error": error.to_dict()})


def _classes(
    graph: AnalogGraph, data: Samples, y: IntArray, what: str, without_weights: bool
) -> SourceCheck:
    given = data.inputs_for(graph.inputs)
    decided = classify(_answers(graph, given)).labels
    right = decided == y
    n, correct = len(y), int(right.sum())
    chance = _chance(y)
    share = f"{100 * correct / n:.1f} %"
    line = f"source network: {share} of {what}; chance is {100 * chance:.1f} %"
    if not can_tell(n, chance):
        line += ", and these samples cannot tell the two apart"
    record = {"samples": n, "accuracy": correct / n, "chance": chance}
    better, remedy = _better(graph, data, y, decided)
    low = is_chance(correct, n, chance)
    told = [f"; {100 * better:.1f} % {remedy}"] if remedy else []
    if low:
        causes = ["missing --weights"] if without_weights else []
        if data.norm is None and not data.named:
            fitting = [name for name, norm in NAMED.items() if _fits(norm, data)]
            names = ", ".join(f"#norm={name}" for name in fitting) or "#norm=MEANS/STDS"
            causes.append(f"missing normalization ({names})")
        causes += [
            "labels in another order, or from 1 on",
            "values in another range (0 .. 255)",
        ]
        told = [f"; usual causes: {', '.join(causes)}", *told]
        text = f"source network: {share} of {what} is not above chance ({100 * chance:.1f} %)"
    else:
        text = f"source network: {share} of {what} as the data are given"
    warned = (text + "".join(told),) if low or remedy else ()
    return SourceCheck(line, warned, record)


def _chance(y: IntArray) -> float:
    """Share of the largest class: what always naming it gets right."""
    return int(np.bincount(y).max()) / len(y)


def evaluation_warnings(found: Evaluation, data: Samples | EventSamples) -> Iterator[str]:
    """What an evaluation leaves out, and accuracies that say nothing.

    Parameters
    ----------
    found : Evaluation
    data : Samples or EventSamples
        All that it is of.
    """
    n, y = found.samples, data.y
    share = found.accuracy if found.source_accuracy is None else found.source_accuracy
    if y is not None and share is None:
        yield (
            f"labels of {data.name} are not compared: the outputs are no classes; pass float "
            "targets of their shape, or a network with an output for each class"
        )
    if y is not None and share is not None and is_chance(round(share * n), n, chance := _chance(y)):
        whose = "network" if found.source_accuracy is None else "source network"
        yield (
            f"{whose}: {100 * share:.1f} % of {n} samples is not above chance ({100 * chance:.1f} "
            "%); is it trained, and are its values, their normalization and its labels these?"
        )
    if data.targets is not None and found.target_error is None:
        yield (
            f"targets of {data.name} are the same in all {n} samples: there is no error relative "
            "to their spread; take more or other samples"
        )


def _better(
    graph: AnalogGraph, data: Samples, y: IntArray, decided: IntArray
) -> tuple[float, str | None]:
    """The accuracy with what makes it surely better, and what that is; of several the best."""
    right = decided == y
    found: list[tuple[int, str]] = []
    if Paired(len(y), 0, int((~right).sum())).p >= SURE:
        # With so few wrong, not even all of them right would be sure.
        return 0.0, None

    def consider(other: AnyArray, remedy: str) -> None:
        change = paired(right, other)
        if change is not None and change.won > change.lost and change.p < SURE:
            found.append((int(other.sum()), remedy))

    if y.min() > 0:
        consider(decided == y - 1, "if 1 is subtracted from the labels: they seem to count from 1")
    renamed = np.array(
        [np.bincount(y[decided == c], minlength=1).argmax() for c in range(decided.max() + 1)]
    )
    seen = np.unique(decided)
    if len(seen) > 1 and len(set(renamed[seen])) == len(seen):
        consider(renamed[decided] == y, "with the labels in another order: compare with training")
    if not data.named and right.mean() < 1:
        for x, remedy in _other_inputs(data):
            consider(classify(_answers(graph, x)).labels == y, remedy)
    if not found:
        return 0.0, None
    correct, remedy = max(found, key=lambda row: row[0])
    return correct / len(y), remedy


def _fits(norm: Normalization, data: Samples) -> bool:
    return len(norm.mean) == data.sample_shape[0]


def _other_inputs(data: Samples) -> Iterator[tuple[AnyArray, str]]:
    """The samples as they would be with another normalization or range, and how to say so."""
    columns = (-1, *(1,) * (data.x.ndim - 2))

    def normalized(x: AnyArray, norm: Normalization | None) -> AnyArray:
        if norm is None:
            return x
        mean, std = (np.reshape(v, columns).astype(np.float32) for v in (norm.mean, norm.std))
        return np.asarray((x - mean) / std, np.float32)

    def entering(x: AnyArray) -> AnyArray:
        """Values that the normalization of the graph maps to ``x``."""
        if data.norm is None:
            return x
        mean, std = (
            np.reshape(v, columns).astype(np.float32) for v in (data.norm.mean, data.norm.std)
        )
        return np.asarray(x * std + mean, np.float32)

    low, high = data.value_range
    if low < 0 or high > 1:
        scaled = np.asarray(data.x / np.float32(high), np.float32)
        yield entering(normalized(scaled, data.norm)), f"with values divided by {high:g}"
        return
    if data.norm is not None:
        yield entering(data.x), "without #norm"
    for name, norm in NAMED.items():
        if _fits(norm, data) and norm != data.norm:
            yield entering(normalized(data.x, norm)), f"with #norm={name}"
    half = Normalization((0.5,), (0.5,))
    if data.norm is None or set(data.norm.mean) != {0.5}:
        yield entering(normalized(data.x, half)), "with #norm=0.5/0.5"
    yield (
        entering(normalized(data.x * np.float32(255), data.norm)),
        ("with values 0 .. 255: save them so and declare #range=0,255"),
    )
