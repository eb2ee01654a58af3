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
    """One recorded quantity, ``[B, T, *shape]`` in a ``.npy`` file."""

    def __init__(self, path: Path, lanes: Lanes) -> None:
        self._values: AnyArray = np.load(path, mmap_mode="r+")
        self._lanes = lanes

    def write(self, round_: int, t: int, values: IntArray) -> None:
        """Store step ``t`` of a round, ``[lanes, *shape]``."""
        where = self._lanes.samples(round_)
        self._values[where, t] = values[: where.stop - where.start]


class Stimulus:
    """One input's samples, ``[B, *shape]`` or ``[B, T, *shape]`` in a ``.npy`` file."""

    def __init__(self, path: Path, lanes: Lanes, raster: bool) -> None:
        self._values: AnyArray = np.load(path, mmap_mode="r")
        self._lanes = lanes
        self._raster = raster
        self._shape = (lanes.width, *self._values.shape[2 if raster else 1 :])

    def read(self, round_: int, t: int) -> IntArray:
        """Emissions of a round in step ``t``: int64 ``[lanes, *shape]``, 0 in idle lanes."""
        where = self._lanes.samples(round_)
        emitted = np.zeros(self._shape, dtype=np.int64)
        given = self._values[where, t] if self._raster else self._values[where]
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
