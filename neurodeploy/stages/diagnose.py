"""The losses of a conversion, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from neurodeploy.datasets import SamplesLike
from neurodeploy.errors import UsageError
from neurodeploy.ir.record import Progress
from neurodeploy.network import Network
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.load import opened_network
from neurodeploy.stages.samples import encoded_samples, source_samples

if TYPE_CHECKING:
    from neurodeploy.diagnosis.diagnosis import Diagnosis


@shows_progress("diagnose")
def diagnose(
    net: Network | str | Path,
    data: SamplesLike,
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
    data : Samples or what they are made from
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
    from neurodeploy.diagnosis.diagnosis import converted_from, diagnose_network

    network = opened_network(net, "diagnose")
    steps = [a.netlist.timesteps for a in (network, *others)]
    if len(set(steps)) < len(steps):
        raise UsageError(f"diagnose: two networks are for the same T among {steps}")
    # Before the data, which a network of another kind may not take.
    converted_from(network)
    stimulus, dataset = encoded_samples(network, data, samples)
    given = source_samples(network, dataset)
    diagnosis = diagnose_network(network, stimulus, given, dataset.y, progress=progress)
    curve = [*diagnosis.evaluations, *(evaluate(other, data, samples) for other in others)]
    return replace(diagnosis, evaluations=tuple(sorted(curve, key=lambda e: e.timesteps)))
