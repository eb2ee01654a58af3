"""A deployment on data."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from neurodeploy.datasets import EventSamples, SamplesLike
from neurodeploy.datasets.events.spec import read_events
from neurodeploy.errors import UsageError
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.notebook import shows_progress
from neurodeploy.stages.load import opened_deployment
from neurodeploy.stages.samples import encoded_samples, given_integers
from neurodeploy.targets.base import Deployment

if TYPE_CHECKING:
    from neurodeploy.verification.inference import Run


@overload
def run(
    deployment: Deployment | str | Path,
    data: Stimulus,
    samples: int | None = None,
    *,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> RunRecord: ...


@overload
def run(
    deployment: Deployment | str | Path,
    data: SamplesLike,
    samples: int | None = None,
    *,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> Run: ...


@overload
def run(
    deployment: Deployment | str | Path,
    data: None = None,
    samples: int | None = None,
    *,
    events: EventSamples | str,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> Run: ...


@shows_progress("run")
def run(
    deployment: Deployment | str | Path,
    data: Stimulus | SamplesLike | None = None,
    samples: int | None = None,
    *,
    events: EventSamples | str | None = None,
    record: Collection[str] | None = None,
    membranes: Collection[str] = (),
    progress: Progress | None = None,
) -> Run | RunRecord:
    """Run a deployment on data: the answers, their accuracy, and the spikes of each population.

    Parameters
    ----------
    deployment : Deployment or path
    data : Samples or what they are made from
        Its test split unless it says otherwise. A mapping of inputs to integers is what
        :meth:`Deployment.run` takes: currents ``[B, *shape]`` or spikes ``[B, T, *shape]``. Of
        encoded inputs, uint8 of the shape of a sample are values to encode, as everywhere.
    samples : int, optional
        The first so many; all by default.
    events : EventSamples or str, optional
        Instead of data: recordings, as :meth:`neurodeploy.Samples.events` returns them, or a text
        as ``"events:PATH#dt=1ms"``, with or without ``events:``.
    record : collection of str, optional
        Populations whose spikes are kept; all by default.
    membranes : collection of str
        Populations whose membranes are kept.

    Returns
    -------
    Run
        With the answers decoded; for integers the RunRecord alone.

    Raises
    ------
    UnknownNameError
        For a population that the network does not have.
    """
    from neurodeploy.verification.inference import infer

    deployment = opened_deployment(deployment, "run")
    if (data is None) == (events is None):
        raise UsageError("run: give data or events, and not both")
    integers = given_integers(deployment.network, data, samples)
    if integers is not None:
        return deployment.run(integers, record=record, membranes=membranes, progress=progress)
    given = read_events(events) if isinstance(events, str) else events
    # One of the two is there.
    chosen: Any = data if given is None else given
    stimulus, dataset = encoded_samples(deployment.network, chosen, samples)
    return infer(
        deployment, stimulus, dataset.y, record=record, membranes=membranes, progress=progress
    )
