"""Events of one recording, block by block, whatever file they come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray

BLOCK = 2**18
"""Events that are read at a time: memory does not grow with a recording."""

MICROSECOND = 1000
UNITS = {"ns": 1, "us": MICROSECOND, "ms": 10**6, "s": 10**9}
"""Units of time in nanoseconds, in which all times are held."""

LAST = 2**62
"""Beyond every time of a recording, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Events:
    """Some events of a recording, in the order of the file.

    Parameters
    ----------
    t : int64 ``[n]``
        Nanoseconds.
    x : integers ``[n]``
        Column, or channel where there is one axis.
    y : integers ``[n]`` or None
        Row; None where there is one axis.
    p : integers 0 and 1 ``[n]`` or None
        Polarity, 1: ON; None where there is none.
    """

    t: IntArray
    x: AnyArray
    y: AnyArray | None = None
    p: AnyArray | None = None

    def taken(self, chosen: AnyArray | slice) -> Events:
        """Some of them."""
        y, p = (None if v is None else v[chosen] for v in (self.y, self.p))
        return Events(self.t[chosen], self.x[chosen], y, p)


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording of which the header has been read.

    Parameters
    ----------
    size : (width, height), (channels,) or None
        Of the sensor, where the file tells it.
    blocks : iterator of Events
    """

    size: tuple[int, ...] | None
    blocks: Iterator[Events]


@dataclass(frozen=True, slots=True)
class Recording:
    """One sample: where its events come from, and which of them are its own.

    Parameters
    ----------
    where : str
        For messages.
    open : callable
        Reads the header and gives the blocks, as often as it is asked.
    start, stop : int
        Its own events lie in [start, stop), in nanoseconds of the file's clock; a ``start`` is
        when its first step begins.
    """

    where: str
    open: Callable[[], Opened]
    start: int | None = None
    stop: int = LAST


def nanoseconds(value: float | str, what: str) -> int:
    """A time in seconds, or a text with its unit such as ``1ms``, in nanoseconds.

    Raises
    ------
    UsageError
        For what is no time above 0.
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(ns|us|ms|s)?\s*", str(value))
    try:
        given = float(match[1]) * UNITS[match[2] or "s"] if match else np.nan
    except ValueError:
        given = np.nan
    if not 0.5 <= given < LAST:
        raise UsageError(f"{what}={value}: expected seconds above 0, or a time as 1ms, 500us, 2s")
    return round(given)


def shown_time(ns: int) -> str:
    """A time in the largest unit that it is whole in."""
    unit = next(name for name in ("s", "ms", "us", "ns") if ns % UNITS[name] == 0)
    return f"{ns // UNITS[unit]} {unit}"


def scaled_times(t: AnyArray, unit: str | None) -> IntArray:
    """Times as numbers of a unit, in nanoseconds; by default whole ones are microseconds.

    Floats are seconds by default.
    """
    factor = UNITS[unit or ("s" if t.dtype.kind == "f" else "us")]
    if t.dtype.kind == "f":
        return np.rint(np.asarray(t, np.float64) * factor).astype(np.int64)
    return t.astype(np.int64) * factor


def from_microseconds(where: object, t: IntArray) -> IntArray:
    """Whole microseconds in nanoseconds.

    Raises
    ------
    FileFormatError
        For times that no clock shows.
    """
    if t.size and max(-int(t.min()), int(t.max())) >= LAST // MICROSECOND:
        raise FileFormatError(f"{where}: times from {t.min()} to {t.max()} us; damaged")
    return t * MICROSECOND


def records(path: Path, dtype: np.dtype[np.void], offset: int = 0) -> AnyArray:
    """Records of one length that fill a file from ``offset`` on, read when they are asked for.

    Raises
    ------
    FileFormatError
        If the file does not end with a whole record.
    """
    size = path.stat().st_size - offset
    if size % dtype.itemsize:
        raise FileFormatError(
            f"{path}: {size} bytes of events, not a multiple of {dtype.itemsize}; truncated or "
            "another format"
        )
    if size <= 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset)


def in_blocks(n: int) -> Iterator[slice]:
    """Slices that cover n events."""
    for first in range(0, n, BLOCK):
        yield slice(first, min(first + BLOCK, n))
