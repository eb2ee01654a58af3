"""A deployment against other executors, spike for spike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import SamplesLike
from neurodeploy.stages.load import opened_deployment
from neurodeploy.stages.samples import source_samples, stimulus_for
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    from neurodeploy.verification.verification import Verification


def verify(
    deployment: Deployment | str | Path,
    against: str | Sequence[str],
    data: SamplesLike,
    samples: int | None = None,
    **callbacks: Any,
) -> Verification:
    """Verify a deployment spike for spike against other executors, and its network's agreement.

    Where the deployment states another netlist than the one that it was given, an approximation
    that its options asked for, ``deviation`` of the result tells how far the two are apart.

    Parameters
    ----------
    deployment : Deployment or path
    against : str or sequence of str
        ``reference``, ``engine`` or targets.
    data : Samples or what they are made from
    samples : int, optional
        The first so many; all by default.
    """
    from neurodeploy.verification.verification import verify_deployment

    deployment = opened_deployment(deployment)
    names = against.split(",") if isinstance(against, str) else list(against)
    stimulus, dataset = stimulus_for(deployment.network, data, samples)
    names = [n.strip() for n in names if n.strip()]
    given = source_samples(deployment.network, dataset)
    return verify_deployment(deployment, names, stimulus, given, dataset.y, **callbacks)
