"""What a loader returns: samples, labels, and how they are to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray, frozen


@dataclass(frozen=True, slots=True)
class Normalization:
    """``(x - mean) / std`` per channel: what the source network expects, never applied here.

    Parameters
    ----------
    mean, std : tuple of float
        One value per channel, or one for all. In units of x.

    Raises
    ------
    UsageError
        For lengths that differ, values that are not finite, or a std that is not above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.std):
            raise UsageError(
                f"normalization: {len(self.mean)} means and {len(self.std)} standard deviations; "
                "give one of each per channel, as in 0.5,0.4,0.3/0.2,0.2,0.2"
            )
        if not all(np.isfinite([*self.mean, *self.std])) or min(self.std) <= 0:
            raise UsageError(
                f"normalization: means {self.mean} and standard deviations {self.std} must be "
                "finite and the latter above 0"
            )


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Channel statistics of ImageNet's training images in [0, 1], as torchvision's models use them."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples in raw units, with their labels.

    Parameters
    ----------
    spec : str
        What the user wrote.
    kind : str
        ``digits``, ``mnist``, ``cifar10`` or ``npz``.
    split : str or None
        ``train`` or ``test``; None for files without splits.
    x : array, float32, shape (N, *sample)
        Not normalized; within ``value_range``.
    y : array, int64, shape (N,), or None
        Labels from 0 on.
    norm : Normalization or None
        The input normalization of the source network, for ``convert`` to fold.
    value_range : (float, float)
        Declared lowest and highest value.
    levels : int or None
        x is a multiple of 1 / levels (255: images of 8 bits); None if it is not.
    indices : array, int64, shape (N,)
        Position of each sample in its split.
    named : mapping of str to array, float32, shape (N, *sample)
        The inputs of samples that have several, the first of which is ``x``; empty otherwise.
    """

    spec: str
    kind: str
    split: str | None
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64] | None
    norm: Normalization | None
    value_range: tuple[float, float]
    levels: int | None
    indices: npt.NDArray[np.int64]
    named: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", _read_only(self.x, np.float32))
        object.__setattr__(self, "indices", _read_only(self.indices, np.int64))
        if self.y is not None:
            object.__setattr__(self, "y", _read_only(self.y, np.int64))
        if self.named:
            named = {name: _read_only(v, np.float32) for name, v in self.named.items()}
            object.__setattr__(self, "named", named)
            object.__setattr__(self, "x", next(iter(named.values())))
            differing = {name: len(v) for name, v in named.items()}
            if len(set(differing.values())) != 1:
                raise DataError(f"{self.spec}: inputs differ in number of samples: {differing}")
            if self.norm is not None:
                raise DataError(
                    f"{self.spec}: a normalization is for samples with one input; make it a part "
                    "of the network"
                )
        counts = {len(self.x), len(self.indices), len(self.x if self.y is None else self.y)}
        if len(counts) != 1:
            raise DataError(f"{self.spec}: samples, labels and indices differ in number: {counts}")
        channels = self.x.shape[1] if self.x.ndim > 1 else 0
        if self.norm is not None and len(self.norm.mean) not in (1, channels):
            raise DataError(
                f"{self.spec}: normalization of {len(self.norm.mean)} channels, the samples have "
                f"{channels}"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, channels first."""
        return self.x.shape[1:]

    def inputs_for(self, names: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the samples by the names of a network's inputs.

        Several inputs are told apart by their names, or by their places where the data call them
        x0, x1, ...

        Raises
        ------
        DataError
            If the network has other inputs than the data.
        """
        own = list(self.named)
        if not own and len(names) == 1:
            return {names[0]: self.x}
        if set(own) == set(names):
            return {name: self.named[name] for name in names}
        if len(own) == len(names) and set(own) == {f"x{i}" for i in range(len(own))}:
            return {name: self.named[f"x{i}"] for i, name in enumerate(names)}
        raise DataError(
            f"{self.spec}: holds {', '.join(own) or 'x'}, the network takes {', '.join(names)}; "
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
        """
        if not 1 <= n <= len(self):
            raise DataError(f"{self.spec}: the first {n} of {len(self)} samples were asked for")
        return self.subset(range(n))

    def subset(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Samples:
        """Return the samples at these positions of this data set, in this order.

        Raises
        ------
        DataError
            For a position outside 0 ... N - 1.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if chosen.ndim != 1 or (chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self)):
            raise DataError(f"{self.spec}: positions must lie in 0 ... {len(self) - 1}")
        return replace(
            self,
            x=self.x[chosen],
            y=None if self.y is None else self.y[chosen],
            indices=self.indices[chosen],
            named={name: values[chosen] for name, values in self.named.items()},
        )


def _read_only(values: AnyArray, dtype: npt.DTypeLike) -> AnyArray:
    # An array that nobody can write to is kept: a training set is hundreds of megabytes.
    owned = values.base is None and not values.flags.writeable
    if owned and values.dtype == dtype and values.flags.c_contiguous:
        return values
    return frozen(values, dtype)
