"""Accuracy of a network on a data set."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.conversion.option_types import expect_kind
from neurodeploy.datasets import EventSamples, Samples, SamplesLike
from neurodeploy.distribution import Workers, completed
from neurodeploy.errors import ExecutionError, warn_user
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network, network_from_bytes, network_to_bytes
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.agreement_check import agreement_warning
from neurodeploy.stages.load import opened_network
from neurodeploy.stages.samples import compared_samples, encoded_samples
from neurodeploy.stages.source_check import evaluation_warnings

if TYPE_CHECKING:
    from neurodeploy.verification.accuracy import Evaluation
    from neurodeploy.verification.neurobench import Counts
    from neurodeploy.verification.tally import Seen

PARTS = 4
"""Parts of the samples for each worker: few enough to be worth sending, and they end together."""
PART = 256
"""Samples of a part for workers that nobody has counted."""


@shows_progress("evaluate")
def evaluate(
    net: Network | str | Path,
    data: SamplesLike,
    samples: int | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    metrics: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Accuracy, or error where the answer is no class, of a network on a data set, step by step.

    Parameters
    ----------
    net : Network or path
    data : Samples or what they are made from
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default. Where too many of them are answered otherwise than by
        the source network, a :class:`NeurodeployWarning` says what would help; others tell of
        accuracies at chance, and of labels and targets that nothing is compared with.
    workers : int >= 1, optional
        Share the samples among so many processes; the result is the same to the last digit.
        [default: none, but threads]
    scheduler : str, optional
        Share them among the workers of a scheduler of dask.distributed instead: tcp://HOST:PORT, or
        local:N for one with N workers on this machine.
    metrics : bool
        Count the metrics of NeuroBench 2 as well, in a second run: footprint, sparsity of
        connections and activations, effective synaptic operations, membrane updates.

    Raises
    ------
    ExecutionError
        If a part of the samples kills its workers twice, or the scheduler is not there.
    """
    from neurodeploy.verification.accuracy import evaluate_network
    from neurodeploy.verification.neurobench import count, metrics_of

    expect_kind("metrics", metrics, bool)
    network = opened_network(net, "evaluate")
    stimulus, dataset = encoded_samples(network, data, samples)
    if workers is None and scheduler is None:
        given = compared_samples(network, dataset)
        found = evaluate_network(
            network, stimulus, given, dataset.y, targets=dataset.targets, progress=progress
        )
        counts = count(network.netlist, stimulus, progress=progress) if metrics else None
    else:
        where = Workers.checked(workers, scheduler)
        found, counts = _shared(network, dataset, where, metrics, progress)
    if counts is not None:
        found = replace(found, metrics=metrics_of(network.netlist, counts))
    for line in evaluation_warnings(found, dataset):
        warn_user(line)
    if found.agreement is not None:
        agreeing = round(found.agreement * found.samples)
        told = agreement_warning(network, agreeing, found.samples, "samples")
        if told is not None:
            warn_user(told)
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Some samples for a worker: the network's file, they, and how many come before."""

    network: bytes
    data: Samples | EventSamples
    before: int
    metrics: bool


def _shared(
    network: Network,
    dataset: Samples | EventSamples,
    workers: Workers,
    metrics: bool,
    progress: Progress | None,
) -> tuple[Evaluation, Counts | None]:
    """The evaluation by workers, whose counts are joined in the order of the samples."""
    from neurodeploy.verification.accuracy import evaluation_of, tally_of
    from neurodeploy.verification.agreement import BATCH

    n = len(dataset)
    size = -(-n // (workers.count * PARTS)) if workers.count else PART
    size += -size % BATCH
    content = network_to_bytes(network)
    parts = [
        _Part(content, dataset.subset(range(first, min(first + size, n))), first, metrics)
        for first in range(0, n, size)
    ]
    found: dict[int, tuple[list[Seen], Counts | None]] = {}
    done = 0
    for place, outcome in completed(_seen, parts, workers):
        if outcome.error is not None:
            part = parts[place]
            last = part.before + len(part.data) - 1
            raise ExecutionError(f"samples {part.before} to {last}: {outcome.error}")
        found[place] = outcome.value
        done += len(parts[place].data)
        if progress is not None:
            progress(done, n)
    tally = tally_of(network, dataset.y is not None, beside=not isinstance(dataset, EventSamples))
    counts = [found[place][1] for place in sorted(found)]
    for place in sorted(found):
        for seen in found[place][0]:
            tally.join(seen)
    known = [part for part in counts if part is not None]
    return evaluation_of(tally), reduce(operator.add, known) if metrics else None


def _seen(part: _Part) -> tuple[list[Seen], Counts | None]:
    """What some samples came to, in a worker."""
    from neurodeploy.verification.accuracy import tally_of
    from neurodeploy.verification.neurobench import count

    network, run = _opened(part.network)
    stimulus, dataset = encoded_samples(network, part.data)
    recorded = isinstance(dataset, EventSamples)
    tally = tally_of(network, dataset.y is not None, beside=not recorded)
    given = compared_samples(network, dataset)
    seen = tally.seen(run, stimulus, given, dataset.y, dataset.targets, before=part.before)
    return list(seen), count(network.netlist, stimulus) if part.metrics else None


@lru_cache(maxsize=1)
def _opened(content: bytes) -> tuple[Network, Any]:
    """A network and what runs it, made once in each worker."""
    from neurodeploy.verification.totals import summarizer

    network = network_from_bytes(content, "the network")
    return network, summarizer(network.netlist)
