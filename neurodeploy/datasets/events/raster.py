"""From the events of a recording to a raster of spikes, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neurodeploy.datasets.events.binning import Binning
from neurodeploy.datasets.events.recording import LAST, Events, Opened, Recording, shown_time
from neurodeploy.errors import DataError
from neurodeploy.ir.arrays import AnyArray, IntArray

MOST_KEPT = 2**20
"""Events of a recording that are kept for a second pass; of longer ones the file is read again."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The places of a raster: channels of polarity, rows and columns (1 and all, of one axis)."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """All places."""
        return self.channels * self.height * self.width


def grid_for(
    where: str,
    binning: Binning,
    first: Events,
    told: tuple[int, ...] | None,
    shape: tuple[int, ...],
) -> Grid:
    """Places of events in an input of this shape.

    The sensor's size is what the options say, else what the file tells, else the network's own.
    ``shape`` is (channels, height, width) or (height, width), (channels,) of one axis, or any of
    them in one row (C order), and with or without axes of length 1.

    Raises
    ------
    DataError
        If events of this kind do not fit the input.
    """
    axes = 1 if first.y is None else 2
    channels = 2 if binning.polarity == "split" and first.p is not None else 1
    if binning.polarity in ("on", "off") and first.p is None:
        raise DataError(f"{where}: events without polarity; leave polarity={binning.polarity} out")
    size = binning.size or told
    if size is not None and len(size) != axes:
        kind = "one axis (no y)" if axes == 1 else "two axes"
        raise DataError(f"{where}: events of {kind}; size={'x'.join(map(str, size))} does not fit")
    if size is not None:
        size = tuple(-(-side // binning.downsample) for side in size)
    else:
        size = _own_size(shape, channels, axes)
        if size is None:
            raise DataError(
                f"{where}: the size of the sensor is not told, and the network takes {shape}; pass "
                f"size={'WIDTHxHEIGHT' if axes == 2 else 'CHANNELS'}"
            )
    grid = Grid(channels, *(size[::-1] if axes == 2 else (1, size[0])))
    natural = tuple(n for n in (grid.channels, grid.height, grid.width) if n > 1)
    given = tuple(n for n in shape if n > 1)
    if given not in (natural, (grid.size,)):
        sides = " x ".join(map(str, size))
        raise DataError(
            f"{where}: {sides} places in {channels} channel{'s' * (channels > 1)} of polarity; the "
            f"network takes {shape}; {_remedy(binning, grid, shape)}"
        )
    return grid


def _own_size(shape: tuple[int, ...], channels: int, axes: int) -> tuple[int, ...] | None:
    """The size of the sensor that an input of this shape is for; None where that is open."""
    if len(shape) == axes + 1:
        return shape[:0:-1]
    if axes == 1 and len(shape) == 1 and shape[0] % channels == 0:
        return (shape[0] // channels,)
    return shape[::-1] if axes == 2 and len(shape) == 2 and channels == 1 else None


def _remedy(binning: Binning, grid: Grid, shape: tuple[int, ...]) -> str:
    places = math.prod(shape)
    if grid.channels == 2 and places * 2 == grid.size:
        return "pass polarity=merge, on or off"
    if grid.channels == 1 and binning.polarity != "split" and places == 2 * grid.size:
        return "pass polarity=split"
    factor = max(1, round(math.sqrt(grid.size / places)))
    if factor > 1 and binning.downsample == 1:
        return f"pass downsample={factor}, or the size that it was trained on"
    return "pass the size and polarity that it was trained on"


@dataclass(frozen=True, slots=True)
class Binned:
    """What became of a recording.

    Parameters
    ----------
    steps : int
        Of its own, up to T: what comes later is silence.
    events, lost : int
        Events in them, and how many of them a count that is clipped does not show.
    """

    steps: int
    events: int
    lost: int


def binned(recording: Recording, binning: Binning, high: int, out: IntArray) -> Binned:
    """Count the events of a recording into ``out`` int64 ``[T, *shape]``, zeroed and in C order.

    Raises
    ------
    DataError
        For events outside the sensor, times out of order, or more steps than T.
    FileFormatError
        For a file that is damaged.
    """
    where, T = recording.where, len(out)
    span = Span.of(recording, binning)
    n_steps = span.steps(binning)
    if n_steps > T:
        raise DataError(
            f"{where}: {n_steps} steps of {binning.shown_step}, the network takes {T}; "
            + _fewer_steps(binning, T)
        )
    events = 0
    for block in span.blocks():
        if binning.duration is not None:
            block = block.taken(block.t < span.begin + binning.duration)
        if len(block.t):
            step = span.step_of(block.t, binning, n_steps)
            events += add_events(where, binning, block, step, span.size, out)
    return Binned(n_steps, events, clip_counts(binning, high, out, events))


def add_events(
    where: str,
    binning: Binning,
    block: Events,
    step: IntArray,
    told: tuple[int, ...] | None,
    out: IntArray,
) -> int:
    """Add some events, one at least, to the counts ``out`` int64 ``[T, *shape]``.

    Parameters
    ----------
    step : int64 ``[n]``
        Of each event, below T.
    told : (width, height), (channels,) or None
        Size of the sensor by its file.

    Returns
    -------
    int
        How many were added: of one polarity, not all.

    Raises
    ------
    DataError
        If they do not fit.
    """
    grid = grid_for(where, binning, block, told, out.shape[1:])
    place, chosen = _places(where, binning, block, grid, told)
    index = (step * grid.size + place)[chosen]
    np.add.at(out.reshape(-1), index, 1)
    return len(index)


def clip_counts(binning: Binning, high: int, out: IntArray, events: int) -> int:
    """Limit counts to 1, or to what the input takes; how many events that leaves out."""
    np.minimum(out, 1 if binning.count == "binary" else high, out=out)
    return events - int(out.sum())


def _fewer_steps(binning: Binning, T: int) -> str:
    if binning.dt is None:
        return f"pass steps={T} or fewer"
    cut = shown_time(T * binning.dt).replace(" ", "")
    return f"pass a longer dt, steps={T}, or duration={cut} to cut it"


@dataclass(frozen=True, slots=True)
class Span:
    """A recording that was read through once.

    ``begin``: when its first step begins; ``last``: the time of its last event, before ``begin``
    where there is none. ``kept``: its blocks, where they are few.
    """

    recording: Recording
    sort: bool
    begin: int
    last: int
    size: tuple[int, ...] | None
    kept: list[Events] | None

    @classmethod
    def of(cls, recording: Recording, binning: Binning) -> Span:
        """Read a recording through."""
        low, high, seen = LAST, -LAST, 0
        kept: list[Events] | None = []
        opened = recording.open()
        for block in _own(recording, binning.sort, opened):
            if not len(block.t):
                continue
            low, high = min(low, int(block.t.min())), max(high, int(block.t.max()))
            seen += len(block.t)
            if kept is not None:
                kept = [*kept, block] if seen <= MOST_KEPT else None
        if recording.start is not None:
            low = recording.start
        elif seen:
            low = binning.origin(recording.where, low)
        if binning.duration is not None:
            high = min(high, low + binning.duration - 1)
        return cls(recording, binning.sort, low, high, opened.size, kept)

    def steps(self, binning: Binning) -> int:
        """Steps of its own, 1 at least."""
        if binning.dt is None:
            return binning.steps or 1
        return max(1, (self.last - self.begin) // binning.dt + 1)

    def step_of(self, t: IntArray, binning: Binning, n_steps: int) -> IntArray:
        """Step of every event; where their number is given they share the span evenly."""
        since = t - self.begin
        if binning.dt is not None:
            return since // binning.dt
        length = self.last - self.begin + 1
        if length * n_steps < LAST:
            return since * n_steps // length
        return np.asarray(since // -(-length // n_steps), np.int64)

    def blocks(self) -> Iterator[Events]:
        """Its events once more."""
        if self.kept is not None:
            return iter(self.kept)
        return _own(self.recording, self.sort, self.recording.open())


def _own(recording: Recording, sort: bool, opened: Opened) -> Iterator[Events]:
    """The blocks of a recording within its own time, their order checked."""
    latest, seen = -LAST, 0
    for block in opened.blocks:
        t = block.t
        if len(t) and not sort:
            falls = np.flatnonzero(np.diff(t, prepend=latest) < 0)
            if falls.size:
                at = int(falls[0])
                before = latest if at == 0 else int(t[at - 1])
                raise DataError(
                    f"{recording.where}: event {seen + at} at {shown_time(int(t[at]))} after one "
                    f"at {shown_time(before)}; out of order: damaged, or else pass sort=yes"
                )
            latest = int(t[-1])
        seen += len(t)
        start = -LAST if recording.start is None else recording.start
        inside = (t >= start) & (t < recording.stop)
        yield block if inside.all() else block.taken(inside)
        if latest >= recording.stop:
            return


def _places(
    where: str, binning: Binning, block: Events, grid: Grid, told: tuple[int, ...] | None
) -> tuple[IntArray, AnyArray | slice]:
    """Place of every event in a step, and those that count."""
    sides = binning.size or told
    x = block.x.astype(np.int64)
    y = np.zeros_like(x) if block.y is None else block.y.astype(np.int64)
    scale = binning.downsample
    if sides is None:
        width, height = grid.width * scale, grid.height * (1 if block.y is None else scale)
    else:
        width, height = (*sides, 1)[:2]
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    if outside.any():
        at = int(np.argmax(outside))
        told_place = f"({x[at]}, {y[at]})" if block.y is not None else f"channel {x[at]}"
        shown = f"{width} x {height} places" if block.y is not None else f"{width} channels"
        raise DataError(
            f"{where}: an event at {told_place}, outside of {shown}; pass the size of the sensor"
        )
    if block.y is not None:
        y //= scale
    place = y * grid.width + x // scale
    if grid.channels == 2 and block.p is not None:
        return place + block.p.astype(np.int64) * (grid.height * grid.width), slice(None)
    if binning.polarity in ("on", "off") and block.p is not None:
        return place, (block.p != 0) == (binning.polarity == "on")
    return place, slice(None)
