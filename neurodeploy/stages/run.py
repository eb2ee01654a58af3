"""A deployment on data."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.datasets import SamplesLike
from neurodeploy.ir.record import Progress
from neurodeploy.stages.load import opened_deployment
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    from neurodeploy.verification.inference import Run


def run(
    deployment: Deployment | str | Path,
    data: SamplesLike,
    samples: int | None = None,
    *,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Run a deployment on data: the answers, their accuracy, and the spikes of each population.

    Parameters
    ----------
    deployment : Deployment or path
    data : Samples or what they are made from
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.
    record : collection of str, optional
        Populations whose spikes are kept; all by default.
    membranes : collection of str
        Populations whose membranes are kept.

    Raises
    ------
    UnknownNameError
        For a population that the network does not have.
    """
    from neurodeploy.verification.inference import infer

    deployment = opened_deployment(deployment)
    stimulus, dataset = stimulus_for(deployment.network, data, samples)
    return infer(
        deployment, stimulus, dataset.y, record=record, membranes=membranes, progress=progress
    )
