"""A recording of any length in pieces of so many steps, which is more than a sample can hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurodeploy.datasets.events.binning import Binning
from neurodeploy.datasets.events.raster import Span, add_events, clip_counts
from neurodeploy.datasets.events.recording import Recording
from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import IntArray


def pieces(
    recording: Recording, binning: Binning, shape: tuple[int, ...], high: int, every: int
) -> Iterator[tuple[IntArray, int]]:
    """Rasters int64 ``[K, *shape]`` of a recording, K = ``every`` or less in the last, and losses.

    Parameters
    ----------
    recording : Recording
        Whose events stand in the order of their times; it is read once before the first piece.
    shape : tuple of int
        Of the input.
    high : int
        The most that a place may hold in one step.

    Yields
    ------
    (raster, int)
        The second: events that the raster does not show.

    Raises
    ------
    DataError, FileFormatError
        If its events do not fit, or its file is damaged.
    UsageError
        If events may stand in any order, or steps are shares of a recording.
    """
    if binning.dt is None or binning.sort:
        what = "sort=yes" if binning.sort else f"steps={binning.steps}"
        raise UsageError(
            f"{recording.where}: {what}; pieces follow the clock: pass dt=1ms (length of a step) "
            "and events in the order of their times"
        )
    span = Span.of(recording, binning)
    total, first, seen = span.steps(binning), 0, 0
    out = np.zeros((min(every, total), *shape), np.int64)
    for block in span.blocks():
        if binning.duration is not None:
            block = block.taken(block.t < span.begin + binning.duration)
        step = span.step_of(block.t, binning, total)
        while len(step):
            n = int(np.searchsorted(step, first + len(out)))
            if n:
                part = slice(0, n)
                own = step[part] - first
                taken = block.taken(part)
                seen += add_events(recording.where, binning, taken, own, span.size, out)
            block, step = block.taken(slice(n, None)), step[n:]
            if len(step):
                yield out, clip_counts(binning, high, out, seen)
                first, seen = first + len(out), 0
                out = np.zeros((min(every, total - first), *shape), np.int64)
    yield out, clip_counts(binning, high, out, seen)
