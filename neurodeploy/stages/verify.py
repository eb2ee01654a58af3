"""A deployment against other executors, spike for spike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.datasets import SamplesLike
from neurodeploy.ir.record import Progress
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.load import opened_deployment, wrong_kind
from neurodeploy.stages.samples import compared_samples, given_samples
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    from neurodeploy.verification.verification import Verification


@shows_progress("verify")
def verify(
    deployment: Deployment | str | Path,
    against: str | Sequence[str],
    data: SamplesLike,
    samples: int | None = None,
    *,
    stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Verification:
    """Verify a deployment spike for spike against other executors, and its network's agreement.

    Where the deployment states another netlist than the one that it was given, an approximation
    that its options asked for, ``deviation`` of the result tells how far the two are apart.

    Parameters
    ----------
    deployment : Deployment or path
    against : str or sequence of str
        Executors to compare with: ``reference``, ``engine``, or targets.
    data : Samples or what they are made from
        Or integers by input, as :func:`neurodeploy.run` takes them: compared with executors alone.
    samples : int, optional
        The first so many; all by default.
    stage : callable
        Told what runs next.
    progress : callable, optional
        Called with (work done, total work).
    """
    from neurodeploy.verification.verification import verify_deployment

    deployment = opened_deployment(deployment, "verify")
    names = against.split(",") if isinstance(against, str) else against
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        expected = "names of executors as against, then the data: verify(deployment, against, data)"
        raise wrong_kind("verify", against, expected)
    names = [n.strip() for n in names if n.strip()]
    stimulus, dataset = given_samples(deployment.network, data, samples)
    given = None if dataset is None else compared_samples(deployment.network, dataset)
    labels = None if dataset is None else dataset.y
    return verify_deployment(
        deployment, names, stimulus, given, labels, stage=stage, progress=progress
    )
