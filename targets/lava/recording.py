"""Bulk data of a run: memory-mapped files that the processes of a network share with the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurodeploy.ir.arrays import AnyArray, IntArray


@dataclass(frozen=True, slots=True)
class Lanes:
    """How a batch is laid out: ``width`` samples side by side, rounds of them back to back."""

    batch: int
    width: int

    @property
    def rounds(self) -> int:
        """Samples that every lane runs one after the other."""
        return -(-self.batch // self.width)

    def samples(self, round_: int) -> slice:
        """Samples of one round; the last round may leave lanes idle."""
        return slice(round_ * self.width, min(self.batch, (round_ + 1) * self.width))


class Trace:
    """One recorded quantity, ``[B, T, *shape]`` in a ``.npy`` file.

    Of a stream the file holds its last T steps, step t at place t modulo T.
    """

    def __init__(self, path: Path, lanes: Lanes) -> None:
        self._values: AnyArray = np.load(path, mmap_mode="r+")
        self._lanes = lanes

    def write(self, round_: int, t: int, values: IntArray) -> None:
        """Store step ``t`` of a round, ``[lanes, *shape]``."""
        where = self._lanes.samples(round_)
        place = t % self._values.shape[1]
        self._values[where, place] = values[: where.stop - where.start]


class Stimulus:
    """One input's samples, ``[B, *shape]`` or ``[B, T, *shape]`` in a ``.npy`` file.

    Of a stream the file holds its next T steps, step t at place t modulo T.
    """

    def __init__(self, path: Path, lanes: Lanes, raster: bool) -> None:
        self._values: AnyArray = np.load(path, mmap_mode="r")
        self._lanes = lanes
        self._raster = raster
        self._shape = (lanes.width, *self._values.shape[2 if raster else 1 :])

    def read(self, round_: int, t: int) -> IntArray:
        """Emissions of a round in step ``t``: int64 ``[lanes, *shape]``, 0 in idle lanes."""
        where = self._lanes.samples(round_)
        emitted = np.zeros(self._shape, dtype=np.int64)
        given = self._values[where]
        if self._raster:
            given = given[:, t % given.shape[1]]
        emitted[: where.stop - where.start] = given
        return emitted


class StepCounters:
    """Steps done by every process, in a file that the caller watches."""

    def __init__(self, path: Path) -> None:
        self._counts: AnyArray = np.load(path, mmap_mode="r+")

    @staticmethod
    def create(path: Path, n_processes: int) -> None:
        """Write a file of zeros."""
        np.save(path, np.zeros(n_processes, dtype=np.int64))

    def done(self, slot: int) -> None:
        """Count one step."""
        self._counts[slot] += 1

    def counts(self) -> Sequence[int]:
        """Steps by process."""
        return [int(n) for n in self._counts]


NO_END = 2**62
"""The length of a stream that goes on."""


class Control:
    """How far a stream is to run and has run, in a file that both sides map.

    ``asked`` and ``done`` are time steps, ``end`` the length of the stream, ``closed`` whether the
    network is to be ended.
    """

    _FIELDS = ("asked", "done", "end", "closed")

    def __init__(self, path: Path) -> None:
        self._values: AnyArray = np.load(path, mmap_mode="r+")

    @staticmethod
    def create(path: Path) -> None:
        """Write the file of a stream that has not begun."""
        np.save(path, np.array([0, 0, NO_END, 0], dtype=np.int64))

    def __getitem__(self, name: str) -> int:
        return int(self._values[self._FIELDS.index(name)])

    def __setitem__(self, name: str, value: int) -> None:
        self._values[self._FIELDS.index(name)] = value


class StreamTiming:
    """The one window of a stream: open until a file, which all processes share, says its length.

    Parameters
    ----------
    control : Path
        See :class:`Control`.
    """

    def __init__(self, control: Path) -> None:
        self._path = control
        self._control: Control | None = None

    def locate(self, time_step: int, depth: int) -> tuple[int, int] | None:
        """Sample 0 and step within the window of a population of ``depth``; None if dormant."""
        if self._control is None:
            self._control = Control(self._path)
        since = time_step - 1 - depth
        return (0, since) if 0 <= since < self._control["end"] else None
