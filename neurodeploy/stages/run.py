"""A deployment on data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.datasets import Samples
from neurodeploy.ir.record import Progress
from neurodeploy.stages.load import opened_deployment
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    from neurodeploy.verification.inference import Inference


def run(
    deployment: Deployment | str | Path,
    data: str | Samples,
    samples: int | None = None,
    *,
    keep_spikes: bool = False,
    progress: Progress | None = None,
) -> Inference:
    """Run a deployment on data: the answers, their accuracy, and the spikes of each population.

    Parameters
    ----------
    deployment : Deployment or path
    data : str or Samples
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.
    keep_spikes : bool
        Keep the rasters of all populations.
    """
    from neurodeploy.verification.inference import infer

    deployment = opened_deployment(deployment)
    stimulus, dataset = stimulus_for(deployment.network, data, samples)
    return infer(deployment, stimulus, dataset.y, keep_spikes=keep_spikes, progress=progress)
