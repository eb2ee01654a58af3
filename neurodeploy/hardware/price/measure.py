"""Measuring a network: run it exactly, a few samples at a time, and add up what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add

from neurodeploy.errors import DataError
from neurodeploy.execution.batches import EncodedInput, raster_bytes, run_batched
from neurodeploy.hardware.boards.interval import NOTHING, Interval
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.price.activity import Activity, activity_from_record
from neurodeploy.hardware.price.timing import StepLoads, busy_interval, step_loads
from neurodeploy.hardware.price.traffic import Traffic, count_traffic
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.record import Progress, RunRecord, Stimulus

Execute = Callable[[Stimulus], RunRecord]
"""Runs a stimulus exactly, recording the spikes of all populations, inputs included, and the
membranes of :func:`neurodeploy.hardware.price.activity.membranes_needed`."""

_ARRAYS_HELD = 4
"""Spikes, membranes, and as much again while counting."""


def measure_activity(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Mapping[str, EncodedInput],
    execute: Execute,
) -> Activity:
    """Activity of a run.

    Parameters
    ----------
    netlist : IntegerNetlist or RealNetlist
    stimulus : mapping
        As for :func:`neurodeploy.ir.reference.run_reference`.
    execute : callable

    Raises
    ------
    DataError
        If there is no sample, or inputs have different numbers of them.
    """
    records = _records(netlist, stimulus, execute, None)
    return reduce(add, (activity_from_record(netlist, part) for part in records))


def measure_traffic(
    mapping: CoreMap,
    netlist: IntegerNetlist,
    stimulus: Mapping[str, EncodedInput],
    execute: Execute,
    *,
    progress: Progress | None = None,
) -> tuple[Traffic, Activity]:
    """Events of every core, with the time of the busiest one where steps have no fixed length."""
    (traffic,), activity = measure_on_each([mapping], netlist, stimulus, execute, progress=progress)
    return traffic, activity


def measure_on_each(
    mappings: Sequence[CoreMap],
    netlist: IntegerNetlist,
    stimulus: Mapping[str, EncodedInput],
    execute: Execute,
    *,
    progress: Progress | None = None,
) -> tuple[list[Traffic], Activity]:
    """:func:`measure_traffic` of several mappings of one netlist, from one run."""
    total: Activity | None = None
    busy: list[Interval | None] = [NOTHING if m.board.tick is None else None for m in mappings]
    for part in _records(netlist, stimulus, execute, progress):
        found = activity_from_record(netlist, part)
        total = found if total is None else total + found
        counted: list[tuple[CoreMap, StepLoads]] = []
        for k, mapping in enumerate(mappings):
            so_far = busy[k]
            if so_far is not None:
                loads = next((found for m, found in counted if _alike(m, mapping, netlist)), None)
                if loads is None:
                    loads = step_loads(mapping, netlist, part)
                    counted.append((mapping, loads))
                more = busy_interval(loads, mapping.board)
                busy[k] = None if more is None else so_far + more
    assert total is not None  # _records refuses an empty stimulus
    traffics = [
        count_traffic(mapping, netlist, total).with_busy_time(seconds)
        for mapping, seconds in zip(mappings, busy, strict=True)
    ]
    return traffics, total


def _alike(a: CoreMap, b: CoreMap, netlist: IntegerNetlist | RealNetlist) -> bool:
    """Whether every step loads the cores of both alike; boards may differ in constants."""
    return a.cores == b.cores and all(
        a.board.compartments(p) == b.board.compartments(p) for p in netlist.populations
    )


def _records(
    netlist: IntegerNetlist | RealNetlist,
    stimulus: Mapping[str, EncodedInput],
    execute: Execute,
    progress: Progress | None,
) -> Iterator[RunRecord]:
    given = {name: len(values) for name, values in stimulus.items()}
    samples = min(given.values(), default=0)
    if samples < 1:
        raise DataError(f"{netlist.name}: no samples to measure activity with; give at least one")
    if max(given.values()) != samples:
        counts = ", ".join(f"{n} of {name}" for name, n in given.items())
        raise DataError(f"{netlist.name}: samples differ by input: {counts}; give as many of each")
    per_sample = _ARRAYS_HELD * raster_bytes(netlist)
    for batch in run_batched(stimulus, per_sample, progress=progress):
        yield execute(batch.stimulus)
