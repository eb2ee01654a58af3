"""Recordings of events with their labels, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.events.binning import Binning
from neurodeploy.datasets.events.folders import labels_array, recordings
from neurodeploy.datasets.events.plain import open_arrays
from neurodeploy.datasets.events.raster import Binned, binned
from neurodeploy.datasets.events.recording import UNITS, Recording
from neurodeploy.datasets.values import (
    checked_labels,
    checked_positions,
    expect_slice,
    first_positions,
)
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
        expect_slice(self.name, samples)
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
        path: str | Path | Arrays | Sequence[Arrays],
        *,
        dt: float | str | None = None,
        steps: int | None = None,
        size: tuple[int, ...] | int | str | None = None,
        polarity: Literal["split", "merge", "on", "off"] = "split",
        count: Literal["binary", "sum"] = "binary",
        labels: str | Path | npt.ArrayLike | None = None,
        split: str | None = None,
        start: Literal["first", "zero", "aligned"] = "first",
        duration: float | str | None = None,
        downsample: int = 1,
        unit: Literal["ns", "us", "ms", "s"] | None = None,
        sort: bool = False,
        first: int | None = None,
        name: str | None = None,
    ) -> EventSamples:
        """Recordings of events, for a network with one input of spikes.

        They go where samples go that are not converted with: ``run``, ``evaluate``, ``verify``,
        ``estimate_energy``, ``quantize``. Files are read when they are needed. What is shorter than
        the network's T is padded with silence and read at its own last step.

        Parameters
        ----------
        path : path, mapping of arrays, or list of mappings
            A file, or a folder of files or of one folder for each class: .npz (t, x, y, p), .bin
            (N-MNIST), .h5 (Spiking Heidelberg Digits), .aedat (3.1), .aedat4, .dat, .raw (EVT 2.0
            and 3.0). Or arrays t, x, y, p of one recording; y and p may be missing.
        dt : float or str, optional
            Length of a step, in seconds or as ``"1ms"``: samples have different numbers of steps.
        steps : int, optional
            Instead of ``dt``: every sample is shared evenly among so many steps.
        size : (width, height) or int, or a text as "34x34", optional
            Of the sensor. [default: the file's, else the network's]
        polarity : {"split", "merge", "on", "off"}
            ``split``: a channel for OFF and one for ON; ``merge``: one for both; or one of them.
        count : {"binary", "sum"}
            Of events of one place and step: that there are any, or how many, up to what the
            network takes. Those that this does not show are told.
        labels : path or array of integers, optional
            A table of lines FILE,LABEL (a path within the folder, too), or the labels of arrays.
            [default: the classes of the folders, or what the format tells]
        split : {"train", "test"}, optional
            The folder of this name, or the files in ``trials_to_train.txt`` (``test``).
        start : {"first", "zero", "aligned"}
            When the first step begins: with the first event, when the clock is 0, or at the last
            multiple of dt up to the first event.
        duration : float or str, optional
            What comes later is left out.
        downsample : int
            So many columns, and rows, become one.
        unit : {"ns", "us", "ms", "s"}, optional
            Of the times of arrays. [default: us of whole numbers, s of floats]
        sort : bool
            Whether events may stand in any order, which is an error otherwise.
        first : int, optional
            The first so many recordings.
        name : str, optional

        Raises
        ------
        UsageError
            For options that are unknown or contradict each other.
        DataError, FileFormatError
            For files that are missing, damaged or no events.
        """
        place = Path(path) if isinstance(path, str | Path) else None
        name = name or ("events" if place is None else f"events:{place}")
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
        if place is not None:
            if labels is not None:
                if not isinstance(labels, str | Path):
                    raise UsageError(f"{name}: labels of files stand in a table; pass its path")
                table = Path(labels)
                if not table.exists() and place.is_dir():
                    table = place / table
            found, classes = recordings(place, unit, table, split)
            own, y = tuple(recording for recording, _ in found), labels_array(found)
        else:
            own = tuple(_in_memory(name, path, unit))
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
