"""Sums over the samples that a network has seen: counted batch by batch, anywhere, and joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.execution.batches import EncodedInput, run_batched
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.decoding import classify, decode_prefix
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.verification.agreement import (
    BATCH,
    Correlation,
    coding_populations,
    over_source,
    part_of,
    rate_unit,
)
from neurodeploy.verification.spread import Spread
from neurodeploy.verification.totals import Summarize

Task = Literal["classes", "values", "maps"]
"""Kinds of answers: the class of the largest output, numbers, or maps, as detectors give them."""


@dataclass(slots=True)
class Compared:
    """A group of samples beside the source network."""

    agreeing: int = 0
    right: AnyArray | None = None
    decided: AnyArray | None = None
    correlations: dict[str, Correlation] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    off_target: Spread | None = None


@dataclass(slots=True)
class Seen:
    """What a batch of samples came to; batches are joined in their order.

    Floats are those of groups of samples which do not depend on the batches, one after another:
    joined, they give the same to the last digit wherever they were computed.
    """

    samples: int
    spikes: int
    tied: int = 0
    correct: IntArray | None = None
    right: AnyArray | None = None
    decided: AnyArray | None = None
    off_target: list[Spread] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)


class Tally:
    """Sums over the samples that a network has seen so far.

    Parameters
    ----------
    net : Network
    task : {"classes", "values", "maps"}
        What its answers are.

    Raises
    ------
    UsageError
        If it has no output.
    """

    def __init__(self, net: Network, task: Task) -> None:
        self.netlist, self.graph = net.netlist, net.analog
        if not self.netlist.outputs:
            raise UsageError(f"{self.netlist.name}: has no output to evaluate")
        self.outputs = {o.population: o for o in self.netlist.outputs}
        self.task = task
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

    def seen(
        self,
        run: Summarize,
        stimulus: Mapping[str, EncodedInput],
        x: AnyArray | Mapping[str, AnyArray] | None,
        labels: IntArray | None,
        targets: AnyArray | None,
        *,
        before: int = 0,
        progress: Progress | None = None,
    ) -> Iterator[Seen]:
        """Run samples batch by batch; nothing is joined yet.

        Parameters
        ----------
        run : callable
            Summarizes runs of the netlist.
        stimulus, x, labels, targets
            As of :func:`neurodeploy.verification.accuracy.evaluate_network`.
        before : int
            Samples of the data set before these, a multiple of :data:`BATCH`.
        """
        # Multiples, so that batches of the source network are whole.
        for batch in run_batched(stimulus, self.bytes_per_sample, multiple=BATCH):
            part = batch.samples
            summary = run(batch.stimulus, rates=self.hidden, progress=batch.part_of(progress))
            yield self._seen(
                summary,
                None if x is None else part_of(x, part),
                None if labels is None else labels[part],
                None if targets is None else targets[part],
                batch.steps,
                before + part.start,
            )

    def _seen(
        self,
        summary: Summary,
        x: AnyArray | Mapping[str, AnyArray] | None,
        labels: IntArray | None,
        targets: AnyArray | None,
        steps: IntArray | None,
        before: int,
    ) -> Seen:
        """What some samples gave; each is read at its own last step, where it has one."""
        T = summary.timesteps
        last = T if steps is None else steps
        spikes = sum(int(summary.spikes_per_sample[name].sum()) for name in self.emitting)
        found = Seen(summary.samples, spikes)
        answers = {
            name: decode_prefix(self.netlist, output, summary.traces[name], last, before)
            for name, output in self.outputs.items()
        }
        decided = None if self.only is None else classify(answers[self.only])
        if decided is not None:
            found.tied, found.decided = int(decided.tied.sum()), decided.labels
        if labels is not None and self.only is not None:
            output, trace = self.outputs[self.only], summary.traces[self.only]
            until = (t if steps is None else np.minimum(t, steps) for t in range(1, T + 1))
            prefixes = (decode_prefix(self.netlist, output, trace, t, before) for t in until)
            found.correct = np.array([(classify(p).labels == labels).sum() for p in prefixes])
            assert decided is not None
            found.right = decided.labels == labels
        if targets is not None:
            ours = next(iter(answers.values()))
            for first in range(0, len(ours), BATCH):
                group = slice(first, first + BATCH)
                found.off_target.append(Spread(ours.shape[1:]))
                found.off_target[-1].add(ours[group], targets[group])
        if self.graph is not None and x is not None:
            classes = None if decided is None else decided.labels
            found.compared = self._compared(
                self.graph, summary, x, answers, classes, labels, targets
            )
        return found

    def _compared(
        self,
        graph: AnalogGraph,
        summary: Summary,
        x: AnyArray | Mapping[str, AnyArray],
        answers: Mapping[str, FloatArray],
        decided: IntArray | None,
        labels: IntArray | None,
        targets: AnyArray | None,
    ) -> list[Compared]:
        """How the same samples fare in the source network."""

        def work(samples: slice, activations: Mapping[str, AnyArray]) -> Compared:
            found = Compared()
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
        return over_source(graph, x, nodes, work)

    def join(self, seen: Seen) -> None:
        """Join what the next batch of samples came to."""
        self.samples += seen.samples
        self.spikes += seen.spikes
        self.tied += seen.tied
        if seen.correct is not None:
            self.correct = seen.correct if self.correct is None else self.correct + seen.correct
        if seen.right is not None:
            self.right.append(seen.right)
        if seen.decided is not None:
            self.decided.append(seen.decided)
        for spread in seen.off_target:
            self.off_target.join(spread)
        for found in seen.compared:
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
