"""Stimulus and record of a run, the same for every executor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import numpy as np

from neurodeploy.errors import DataError, UnknownNameError, UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.neurons import Input

Stimulus = Mapping[str, IntArray]
"""Input population -> int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes)."""

Progress = Callable[[int, int], None]
"""Called with (work done, total work)."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Spikes and membranes of a run, aligned by each population's own window.

    Parameters
    ----------
    timesteps : int
        T, the length of every window.
    spikes : mapping
        Population -> ``[B, T, *shape]``: signed payloads, 0 for no spike. Index t of a population
        of depth l is step l + t of its sample. Inputs are included as they were emitted.
    membranes : mapping
        Population -> ``[B, T, *shape]``: v at the end of each step, after the reset. For
        max-pooling: M(t).
    latency : mapping
        Population -> constant extra steps on the target, already taken out here.
    """

    timesteps: int
    spikes: Mapping[str, AnyArray]
    membranes: Mapping[str, AnyArray]
    latency: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"RunRecord(T = {self.timesteps}; spikes of {', '.join(self.spikes) or 'none'}; "
            f"membranes of {', '.join(self.membranes) or 'none'})"
        )


def joined_steps(parts: Sequence[RunRecord]) -> RunRecord:
    """The record of steps that were run one part after the other."""
    return parts[0] if len(parts) == 1 else _joined(parts, 1, sum(part.timesteps for part in parts))


def joined_samples(parts: Sequence[RunRecord]) -> RunRecord:
    """The record of samples that were run one batch after the other."""
    return _joined(parts, 0, parts[0].timesteps)


def _joined(parts: Sequence[RunRecord], axis: int, timesteps: int) -> RunRecord:
    def joined(pieces: list[Mapping[str, AnyArray]]) -> dict[str, AnyArray]:
        return {n: np.concatenate([piece[n] for piece in pieces], axis=axis) for n in pieces[0]}

    spikes, membranes = joined([p.spikes for p in parts]), joined([p.membranes for p in parts])
    return RunRecord(timesteps, spikes, membranes, parts[0].latency)


def no_steps(netlist: IntegerNetlist, batch: int, membranes: Collection[str]) -> RunRecord:
    """The record of no steps at all."""

    def none(name: str) -> IntArray:
        return np.zeros((batch, 0, *netlist.by_name[name].shape), np.int64)

    return RunRecord(0, {n: none(n) for n in netlist.by_name}, {n: none(n) for n in membranes})


def expect_populations(
    netlist: IntegerNetlist | RealNetlist, *lists: Collection[str] | None
) -> None:
    """Raise UnknownNameError for a name that no population has, UsageError for a name alone."""
    for names in lists:
        if isinstance(names, str):
            raise UsageError(f"populations {names!r}: expected a list of names, as [{names!r}]")
    unknown = sorted({n for names in lists for n in names or ()} - set(netlist.by_name), key=str)
    if unknown:
        raise UnknownNameError("population", unknown[0], netlist.by_name)


def is_stimulus(
    data: object, encoded: IntegerNetlist | RealNetlist | None = None
) -> TypeGuard[Stimulus]:
    """Whether these are integers by input, as executors take them, rather than data to encode.

    ``encoded``: a netlist whose inputs are encoded. For its inputs, uint8 of the shape of a sample
    are the values 0 ... 255 of :class:`neurodeploy.Samples`.
    """
    if not isinstance(data, Mapping):
        return False
    try:
        given = {name: np.asarray(values) for name, values in data.items()}
    except (ValueError, RuntimeError, TypeError):  # rows of different length, objects
        return False
    if not all(values.dtype.kind in "iub" for values in given.values()):
        return False
    shapes = {} if encoded is None else {p.name: p.shape for p in encoded.inputs}
    return not shapes or not all(
        values.dtype == np.uint8 and values.shape[1:] == shapes.get(name)
        for name, values in given.items()
    )


def checked_stimulus(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Stimulus,
    timesteps: int,
    *,
    as_given: bool = False,
) -> tuple[dict[str, IntArray], int]:
    """Check shapes and ranges of a stimulus; return int64 arrays and the batch size B.

    ``as_given``: arrays of the integers that they were.

    Raises
    ------
    DataError
        For a missing or unknown input, a wrong shape, a value outside the declared range.
    """
    inputs = {p.name: p for p in netlist.inputs}
    if set(stimulus) != set(inputs):
        raise DataError(
            f"stimulus for inputs {sorted(stimulus)}; the netlist has inputs {sorted(inputs)}"
        )
    checked: dict[str, IntArray] = {}
    batches = set()
    for name, population in inputs.items():
        model = population.model
        assert isinstance(model, Input)
        values = np.asarray(stimulus[name])
        lead = () if population.is_current_input else (timesteps,)
        if values.ndim < 1 or values.shape[1:] != (*lead, *population.shape):
            raise DataError(
                f"input {name!r}: stimulus of shape {values.shape}; expected "
                f"(samples, {', '.join(map(str, (*lead, *population.shape)))})"
            )
        if values.dtype.kind not in "iub":
            raise DataError(f"input {name!r}: stimulus of dtype {values.dtype}; expected integers")
        if values.size and (values.min() < model.low or values.max() > model.high):
            raise DataError(
                f"input {name!r}: values in [{values.min()}, {values.max()}] exceed the declared "
                f"range [{model.low}, {model.high}]"
            )
        checked[name] = values if as_given else values.astype(np.int64, copy=False)
        batches.add(values.shape[0])
    if len(batches) > 1:
        raise DataError(f"inputs with different numbers of samples: {sorted(batches)}")
    return checked, batches.pop() if batches else 1
