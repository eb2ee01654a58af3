"""Samples with their labels, and how they are to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from neurodeploy.datasets.arrays import channels_first, checked_range, raw_values, read_arrays
from neurodeploy.datasets.events.samples import EventSamples
from neurodeploy.datasets.events.spec import is_events_text, no_samples, read_events
from neurodeploy.datasets.loading import read_spec
from neurodeploy.datasets.normalization import (
    Normalization,
    NormalizationLike,
    as_normalization,
    expect_unit_range,
)
from neurodeploy.datasets.values import (
    checked_indices,
    checked_labels,
    checked_levels,
    checked_positions,
    checked_targets,
    expect_room,
    expect_slice,
    first_positions,
    from_one_hot,
)
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray, frozen
from neurodeploy.ir.population import is_line

Split = Literal["train", "test"]

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader
    from torch.utils.data import Dataset as TorchDataset

    SamplesLike: TypeAlias = (
        "Samples | EventSamples | str | AnyArray | torch.Tensor | tuple[Any, Any]"
        " | Mapping[str, Any] | TorchDataset[Any] | DataLoader[Any]"
    )
else:
    SamplesLike = Any


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Samples:
    """Samples in raw units, with their labels.

    Parameters
    ----------
    x : array, tensor, mapping of input to array, (x, y), torch Dataset or DataLoader, or str
        Samples ``[N, channels, ...]``, before the normalization of the source network. uint8 is
        0 ... 255 and divided by 255; floats lie in [0, 1] unless ``range`` says otherwise. Data of
        torch are read once, in their order. A text is ``KIND:PATH[@train|test]
        [#first=N][#norm=mnist|cifar10|imagenet|MEANS/STDS]`` with KIND ``digits`` (no path),
        ``mnist``, ``cifar10`` or ``imagefolder``, ``FILE.npz[#range=LOW,HIGH][#layout=NHWC]``, or
        ``FILE.py:FACTORY``, a function that gives one of the others.
    y : array of integers ``[N]`` or floats ``[N, *output]``, optional
        Labels from 0 on, one-hot rows of them; or, as floats, the targets of a regression.
    layout : {"NCHW", "NHWC"}
        ``NHWC``: the last axis holds the channels; it becomes the second.
    norm : (mean, std), "mnist", "cifar10" or "imagenet", optional
        The normalization that the source network expects, for ``convert`` to fold. Numbers, or one
        number per channel, in units of x: of values as ``range`` declares them, after the division
        of uint8 by 255.
    range : (low, high), optional
        Declared lowest and highest value; values are taken as they are, integers as well.
    normalized : (mean, std) or a name as of ``norm``, optional
        This normalization has been applied to x: the images of 8 bits before it are restored, and
        it becomes ``norm``.
    split : {"train", "test"}, optional
        Which part of a data set it is. Calibration refuses ``test``.
    name : str, optional
        For messages and the provenance of a file.
    levels : int, optional
        x is a multiple of 1 / levels; found for images of 8 bits and digits.
    indices : array of integers ``[N]``, optional
        Place of each sample in its split; 0, 1, ... by default. Random encodings follow it.

    Attributes
    ----------
    x : array, float32, shape (N, *sample)
        Not normalized; within ``value_range``.
    y : array, int64, shape (N,), or None
    targets : array, float32, shape (N, *output), or None
    norm : Normalization or None
    value_range : (float, float)
    levels : int or None
    indices : array, int64, shape (N,)
    named : mapping of str to array, float32, shape (N, *sample)
        The inputs of samples that have several, the first of which is ``x``; empty otherwise.

    Raises
    ------
    UsageError
        For a wrong kind of argument, or options that contradict each other.
    DataError, FileFormatError
        For values, labels or files that cannot be used.
    """

    name: str
    split: str | None
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64] | None
    targets: npt.NDArray[np.float32] | None
    norm: Normalization | None
    value_range: tuple[float, float]
    levels: int | None
    indices: npt.NDArray[np.int64]
    named: Mapping[str, npt.NDArray[np.float32]]

    def __init__(
        self,
        x: SamplesLike,
        y: npt.ArrayLike | torch.Tensor | None = None,
        *,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        norm: NormalizationLike | None = None,
        range: tuple[float, float] | None = None,
        normalized: NormalizationLike | None = None,
        split: str | None = None,
        name: str | None = None,
        levels: int | None = None,
        indices: npt.ArrayLike | None = None,
    ) -> None:
        if isinstance(x, str | Path):
            options = [y, norm, range, normalized, levels, indices]
            if layout != "NCHW" or any(option is not None for option in options):
                raise UsageError(
                    f"data {str(x)!r}: a text takes no option but split and name; write them into "
                    "it, as #norm=MEANS/STDS or #range=LOW,HIGH"
                )
            self._load(str(x), split, name)
            return
        name = name or "samples"
        if not is_line(name):
            raise UsageError(f"samples: name={name!r}; pass a line of text")
        if split not in (None, "train", "test"):
            raise UsageError(f"{name}: split={split!r}; pass 'train', 'test' or None")
        inputs, labels = read_arrays(name, x, y)
        if layout not in ("NCHW", "NHWC"):
            raise UsageError(f"{name}: layout={layout!r}; pass 'NCHW' or 'NHWC'")
        if layout == "NHWC":
            inputs = {key: channels_first(name, v) for key, v in inputs.items()}
        fold = None if norm is None else as_normalization(norm, "norm")
        if normalized is not None:
            if fold is not None or range is not None:
                raise UsageError(
                    f"{name}: normalized=... says which normalization was applied and what range x "
                    "has; leave norm and range out"
                )
            fold = as_normalization(normalized, "normalized")
        values, found = raw_values(
            name, inputs, range, fold if normalized else None, checked_levels(name, levels)
        )
        several = isinstance(x, Mapping) or "" not in values
        first = next(iter(values.values()))
        self._fill(
            name=name,
            split=split,
            x=first,
            **_answers(f"{name}: y", labels, len(first)),
            norm=fold,
            value_range=checked_range(name, range),
            levels=found,
            indices=checked_indices(name, indices, len(first)),
            named=values if several else {},
        )

    def _load(
        self,
        text: str,
        split: str | None,
        name: str | None,
        default: Split = "test",
        at_most: int | None = None,
    ) -> None:
        loaded = read_spec(text, split or default, Samples, at_most)
        if split is not None and loaded.split is not None and loaded.split != split:
            raise UsageError(f"data {text!r}: names the {loaded.split} split, split={split!r}")
        self._fill(
            name=name or text,
            split=loaded.split or split,
            x=loaded.x,
            **_answers(f"{loaded.spec.path}: y", loaded.y, len(loaded.x)),
            norm=loaded.spec.norm,
            value_range=loaded.value_range,
            levels=loaded.levels,
            indices=np.arange(len(loaded.x)),
            named=loaded.named,
        )

    def _fill(self, **fields: Any) -> None:
        named = {key: _read_only(v, np.float32) for key, v in fields["named"].items()}
        fields["named"] = named
        fields["x"] = next(iter(named.values())) if named else _read_only(fields["x"], np.float32)
        fields["indices"] = _read_only(fields["indices"], np.int64)
        if fields["y"] is not None:
            fields["y"] = _read_only(fields["y"], np.int64)
        if fields["targets"] is not None:
            fields["targets"] = _read_only(fields["targets"], np.float32)
        for key, value in fields.items():
            object.__setattr__(self, key, value)
        differing = {key: len(v) for key, v in named.items()}
        if len(set(differing.values())) > 1:
            raise DataError(f"{self.name}: inputs differ in number of samples: {differing}")
        if named and self.norm is not None:
            raise DataError(
                f"{self.name}: a normalization is for samples with one input; make it a part of "
                "the network"
            )
        answers = self.targets if self.y is None else self.y
        counts = {len(self.x), len(self.indices), len(self.x if answers is None else answers)}
        if len(counts) != 1:
            raise DataError(f"{self.name}: samples, labels and indices differ in number: {counts}")
        channels = self.x.shape[1] if self.x.ndim > 1 else 0
        if self.norm is not None and len(self.norm.mean) not in (1, channels):
            raise DataError(
                f"{self.name}: normalization of {len(self.norm.mean)} channels, the samples have "
                f"{channels}"
            )
        if self.norm is not None:
            expect_unit_range(self.name, self.norm, self.value_range)

    events = staticmethod(EventSamples.of)
    """Recordings of events, for a network with one input of spikes: :meth:`EventSamples.of`."""

    def __repr__(self) -> str:
        parts = [self.name, *([] if self.split is None else [self.split]), f"{len(self)} samples"]
        for key, values in (self.named or {"": self.x}).items():
            parts.append(f"{key} {values.shape[1:]}".strip())
        if self.targets is not None:
            parts.append(f"targets {self.targets.shape[1:]}")
        elif self.y is None:
            parts.append("no labels")
        return f"Samples({', '.join(parts)})"

    def __getitem__(self, samples: slice) -> Samples:
        """Return a slice of the samples, without a copy.

        Raises
        ------
        UsageError
            For anything but a slice.
        """
        expect_slice(self.name, samples)
        return self._taken(samples)

    def parts(self, n: int) -> Iterator[Samples]:
        """Yield the samples ``n`` at a time, in their order."""
        for first in range(0, len(self), n):
            yield self[first : first + n]

    __iter__ = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, channels first."""
        return self.x.shape[1:]

    def inputs_for(self, names: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the samples by the names of a network's inputs.

        Several inputs are told apart by their names, or by their places where the data call them
        x0, x1, ...; a single one may have any name.

        Raises
        ------
        DataError
            If the network has other inputs than the data.
        """
        own = list(self.named)
        if len(own) <= 1 and len(names) == 1:
            return {names[0]: self.x}
        if set(own) == set(names):
            return {name: self.named[name] for name in names}
        if len(own) == len(names) and set(own) == {f"x{i}" for i in range(len(own))}:
            return {name: self.named[f"x{i}"] for i, name in enumerate(names)}
        raise DataError(
            f"{self.name}: holds {', '.join(own) or 'x'}, the network takes {', '.join(names)}; "
            + (
                "save one array x"
                if len(names) == 1
                else "save an .npz file with one array for each of them, or x0, x1, ..."
            )
        )

    def first(self, n: int) -> Samples:
        """Return the first ``n`` samples.

        Raises
        ------
        DataError
            If there are fewer, or ``n`` is below 1.
        UsageError
            For what is no whole number.
        """
        return self.subset(first_positions(self.name, n, len(self)))

    def subset(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Samples:
        """Return the samples at these positions of this data set, in this order.

        Raises
        ------
        DataError
            For a position outside 0 ... N - 1.
        """
        chosen = checked_positions(self.name, indices, len(self))
        return self._taken(chosen)

    def _taken(self, chosen: slice | npt.NDArray[np.int64]) -> Samples:
        taken = object.__new__(Samples)
        taken._fill(
            name=self.name,
            split=self.split,
            x=self.x[chosen],
            y=None if self.y is None else self.y[chosen],
            targets=None if self.targets is None else self.targets[chosen],
            norm=self.norm,
            value_range=self.value_range,
            levels=self.levels,
            indices=self.indices[chosen],
            named={name: values[chosen] for name, values in self.named.items()},
        )
        return taken


def as_samples(data: SamplesLike, split: Split, at_most: int | None = None) -> Samples:
    """Return data of any kind that :class:`Samples` takes as Samples.

    Parameters
    ----------
    data : Samples or whatever its constructor takes
    split : {"train", "test"}
        For a text that names none: calibration reads the one, evaluation the other.
    at_most : int, optional
        So many are needed: a file of arrays is read no further.

    Raises
    ------
    UsageError, DataError, FileFormatError
        As of :class:`Samples`.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, EventSamples) or is_events_text(data):
        raise no_samples(str(getattr(data, "name", data)))
    if isinstance(data, str | Path):
        loaded = object.__new__(Samples)
        loaded._load(str(data), None, None, split, at_most)
        return loaded
    return Samples(data)


def as_data(data: SamplesLike, split: Split, at_most: int | None = None) -> Samples | EventSamples:
    """As :func:`as_samples`, events as well.

    Raises
    ------
    UsageError, DataError, FileFormatError
        As of :class:`Samples` and :meth:`Samples.events`.
    """
    if isinstance(data, EventSamples):
        return data
    if isinstance(data, str) and is_events_text(data):
        return read_events(data)
    return as_samples(data, split, at_most)


def _answers(where: str, y: AnyArray | None, n: int) -> dict[str, AnyArray | None]:
    """Integers and one-hot rows are labels, floats targets."""
    y = None if y is None else from_one_hot(y)
    if y is not None and y.dtype.kind == "f":
        return {"y": None, "targets": checked_targets(where, y, n)}
    return {"y": None if y is None else checked_labels(where, y, n), "targets": None}


def _read_only(values: AnyArray, dtype: npt.DTypeLike) -> AnyArray:
    # An array that nobody can write to is kept: a training set is hundreds of megabytes. So is a
    # file that was mapped read-only, which may be larger than memory.
    owner: Any = values
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    kept = owner is None or isinstance(owner, mmap)
    if kept and values.dtype == dtype and values.flags.c_contiguous:
        return values
    expect_room("samples", values.size)
    return frozen(values, dtype)
