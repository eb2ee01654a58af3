"""The public API: the pipeline, one function per stage. The command line calls nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import Samples
from neurodeploy.errors import UsageError
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network, load_network, save_network
from neurodeploy.stages.compile import check, compile, quantize, stated
from neurodeploy.stages.convert import convert
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.load import load
from neurodeploy.stages.samples import encoded_samples, source_samples, stimulus_for
from neurodeploy.targets.base import Deployment, load_deployment

if TYPE_CHECKING:
    from neurodeploy.diagnosis.diagnosis import Diagnosis
    from neurodeploy.verification.accuracy import Evaluation
    from neurodeploy.verification.verification import Verification

__all__ = [
    "check",
    "compile",
    "convert",
    "diagnose",
    "estimate_energy",
    "evaluate",
    "load",
    "quantize",
    "save",
    "stated",
    "stimulus_for",
    "verify",
]


def verify(
    deployment: Deployment | str | Path,
    against: str | Sequence[str],
    data: str | Samples,
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
    data : str or Samples
    samples : int, optional
        The first so many; all by default.
    """
    from neurodeploy.verification.verification import verify_deployment

    if not isinstance(deployment, Deployment):
        deployment = load_deployment(deployment)
    names = against.split(",") if isinstance(against, str) else list(against)
    stimulus, dataset = stimulus_for(deployment.network, data, samples)
    names = [n.strip() for n in names if n.strip()]
    given = source_samples(deployment.network, dataset)
    return verify_deployment(deployment, names, stimulus, given, dataset.y, **callbacks)


def evaluate(
    net: Network | str | Path,
    data: str | Samples,
    samples: int | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Accuracy of a converted or quantized network on a data set, step by step.

    Parameters
    ----------
    net : Network or path
    data : str or Samples
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.
    """
    from neurodeploy.verification.accuracy import evaluate_network

    network = net if isinstance(net, Network) else load_network(net)
    stimulus, dataset = encoded_samples(network, data, samples)
    given = source_samples(network, dataset)
    return evaluate_network(network, stimulus, given, dataset.y, progress=progress)


def diagnose(
    net: Network | str | Path,
    data: str | Samples,
    samples: int | None = None,
    *,
    others: Sequence[Network] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """Say, layer by layer, where a converted network loses, and what to change.

    Parameters
    ----------
    net : Network or path
        As :func:`convert` or :func:`quantize` made it.
    data : str or Samples
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.
    others : sequence of Network
        The same network converted for other numbers of steps, for the accuracy by T.

    Raises
    ------
    UsageError
        If the network holds no source network, or two are for the same T.
    """
    from dataclasses import replace

    from neurodeploy.diagnosis.diagnosis import diagnose_network

    network = net if isinstance(net, Network) else load_network(net)
    steps = [a.netlist.timesteps for a in (network, *others)]
    if len(set(steps)) < len(steps):
        raise UsageError(f"diagnose: two networks are for the same T among {steps}")
    stimulus, dataset = encoded_samples(network, data, samples)
    given = source_samples(network, dataset)
    diagnosis = diagnose_network(network, stimulus, given, dataset.y, progress=progress)
    curve = [*diagnosis.evaluations, *(evaluate(other, data, samples) for other in others)]
    return replace(diagnosis, evaluations=tuple(sorted(curve, key=lambda e: e.timesteps)))


def save(thing: Network | Deployment, path: str | Path) -> None:
    """Write a ``.ndn`` file or a deployment folder, whole or not at all."""
    if isinstance(thing, Deployment):
        thing.save(path)
    else:
        save_network(thing, path)
