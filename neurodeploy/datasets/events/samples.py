"""Recordings of events with their labels, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.events.binning import Binned, Binning, binned
from neurodeploy.datasets.events.folders import labels_array, recordings
from neurodeploy.datasets.events.plain import open_arrays
from neurodeploy.datasets.events.recording import UNITS, Recording
from neurodeploy.datasets.values import checked_labels, checked_positions, first_positions
from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.ir.arrays import IntArray, frozen

Arrays = Mapping[str, Any]
"""``t``, ``x`` and, where there are, ``y`` and ``p`` of one recording."""


@dataclass(frozen=True, slots=True, eq=False)
class EventSamples:
    """Recordings of events, as rasters for a network with one input of spikes.

    Made by :meth:`neurodeploy.Samples.events`. Nothing but the names and the labels of a folder
    are held; a recording is read when its raster is asked for.

    Parameters
    ----------
    name : str
    recordings : tuple of Recording
    y : int64 ``[N]`` or None
        Labels.
    binning : Binning
    split : str or None
    indices : int64 ``[N]``
        Place of each sample among those that were found.
    classes : tuple of str
        Names of the classes by label, where they have names.
    """

    name: str
    recordings: tuple[Recording, ...]
    y: npt.NDArray[np.int64] | None
    binning: Binning
    split: str | None
    indices: npt.NDArray[np.int64]
    classes: tuple[str, ...] = ()

    targets = None
    """Recordings have classes; see :class:`Samples` for targets of a regression."""

    def __repr__(self) -> str:
        n = len(self)
        labels = "no labels" if self.y is None else f"{len(np.unique(self.y))} classes"
        return f"EventSamples({self.name}, {n} recording{'s' * (n != 1)}, {labels})"

    def __len__(self) -> int:
        return len(self.recordings)

    __iter__ = None

    def __getitem__(self, samples: slice) -> EventSamples:
        """Return a slice of the samples.

        Raises
        ------
        UsageError
            For anything but a slice.
        """
        if not isinstance(samples, slice):
            raise UsageError(f"{self.name}: [{samples!r}] is no slice; write samples[3:4]")
        return self.subset(range(*samples.indices(len(self))))

    def parts(self, n: int) -> Iterator[EventSamples]:
        """Yield the samples ``n`` at a time, in their order."""
        for first in range(0, len(self), n):
            yield self[first : first + n]

    def first(self, n: int) -> EventSamples:
        """Return the first ``n`` samples.

        Raises
        ------
        DataError
            If there are fewer, or ``n`` is below 1.
        """
        return self.subset(first_positions(self.name, n, len(self)))

    def subset(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> EventSamples:
        """Return the samples at these positions, in this order.

        Raises
        ------
        DataError
            For a position outside 0 ... N - 1.
        """
        chosen = checked_positions(self.name, indices, len(self))
        return replace(
            self,
            recordings=tuple(self.recordings[i] for i in chosen),
            y=None if self.y is None else frozen(self.y[chosen], np.int64),
            indices=frozen(self.indices[chosen], np.int64),
        )

    def count_into(self, sample: int, out: IntArray, high: int) -> Binned:
        """Count the events of one sample into ``out`` int64 ``[T, *shape]`` of zeros.

        Parameters
        ----------
        high : int
            The most that a place may hold in one step.

        Raises
        ------
        DataError, FileFormatError
            If its events do not fit, or its file is damaged.
        """
        return binned(self.recordings[sample], self.binning, high, out)

    def raster(
        self, sample: int, shape: tuple[int, ...], timesteps: int, high: int = 2**31 - 1
    ) -> tuple[IntArray, int]:
        """The raster of one sample, int64 ``[T, *shape]``, and how many of its steps are its own.

        Raises
        ------
        DataError, FileFormatError
            As of :meth:`count_into`.
        """
        out = np.zeros((timesteps, *shape), np.int64)
        return out, self.count_into(sample, out, high).steps

    @classmethod
    def of(
        cls,
        source: str | Path | Arrays | Sequence[Arrays],
        *,
        dt: float | str | None = None,
        steps: int | None = None,
        size: tuple[int, ...] | int | str | None = None,
        polarity: str = "split",
        count: str = "binary",
        labels: str | Path | npt.ArrayLike | None = None,
        split: str | None = None,
        start: str = "first",
        duration: float | str | None = None,
        downsample: int = 1,
        unit: str | None = None,
        sort: bool = False,
        first: int | None = None,
        name: str | None = None,
    ) -> EventSamples:
        """See :meth:`neurodeploy.Samples.events`."""
        path = Path(source) if isinstance(source, str | Path) else None
        name = name or ("events" if path is None else f"events:{path}")
        binning = Binning.checked(
            name,
            dt=dt,
            steps=steps,
            size=size,
            polarity=polarity,
            count=count,
            start=start,
            duration=duration,
            downsample=downsample,
            sort=sort,
        )
        if unit is not None and unit not in UNITS:
            raise UnknownNameError(f"unit (in {name})", unit, UNITS)
        if split not in (None, "train", "test"):
            raise UsageError(f"{name}: split={split!r}; pass 'train', 'test' or None")
        classes: tuple[str, ...] = ()
        table = None
        if path is not None:
            if labels is not None:
                if not isinstance(labels, str | Path):
                    raise UsageError(f"{name}: labels of files stand in a table; pass its path")
                table = Path(labels)
                if not table.exists() and path.is_dir():
                    table = path / table
            found, classes = recordings(path, unit, table, split)
            own, y = tuple(recording for recording, _ in found), labels_array(found)
        else:
            own = tuple(_in_memory(name, source, unit))
            y = None
            if labels is not None:
                y = checked_labels(f"{name}: labels", np.asarray(labels), len(own))
        every = cls(
            name,
            own,
            None if y is None else frozen(y, np.int64),
            binning,
            split,
            frozen(np.arange(len(own)), np.int64),
            classes,
        )
        # A file of another kind is told before anything takes long.
        own[0].open()
        return every if first is None else every.first(first)


def _in_memory(name: str, source: object, unit: str | None) -> Iterator[Recording]:
    given = [source] if isinstance(source, Mapping) else source
    if (
        not isinstance(given, Sequence)
        or not given
        or not all(isinstance(g, Mapping) for g in given)
    ):
        raise UsageError(
            f"{name}: pass a path, arrays as {{'t': ..., 'x': ..., 'y': ..., 'p': ...}}, or a list "
            "of them"
        )
    for i, arrays in enumerate(given):
        where = name if len(given) == 1 else f"{name}: sample {i}"
        # As they are now: later changes of the arrays do not count.
        kept = {key: np.array(values) for key, values in arrays.items()}
        open_arrays(where, kept, unit)
        yield Recording(where, partial(open_arrays, where, kept, unit))
