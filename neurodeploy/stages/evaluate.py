"""Accuracy of a network on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.datasets import SamplesLike
from neurodeploy.errors import warn_user
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.agreement_check import agreement_warning
from neurodeploy.stages.load import opened_network
from neurodeploy.stages.samples import compared_samples, encoded_samples

if TYPE_CHECKING:
    from neurodeploy.verification.accuracy import Evaluation


@shows_progress("evaluate")
def evaluate(
    net: Network | str | Path,
    data: SamplesLike,
    samples: int | None = None,
    *,
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
        the source network, a :class:`NeurodeployWarning` says what would help.
    """
    from neurodeploy.verification.accuracy import evaluate_network

    network = opened_network(net, "evaluate")
    stimulus, dataset = encoded_samples(network, data, samples)
    given = compared_samples(network, dataset)
    found = evaluate_network(
        network, stimulus, given, dataset.y, targets=dataset.targets, progress=progress
    )
    if found.agreement is not None:
        agreeing = round(found.agreement * found.samples)
        line = agreement_warning(network, agreeing, found.samples, "samples")
        if line is not None:
            warn_user(line)
    return found
