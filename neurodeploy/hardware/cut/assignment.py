"""Cutting a population by a list: any neuron on any core."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.ir.arrays import AnyArray, IntArray, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """A population of ``shape`` cut into sets of neurons, one per core.

    Parameters
    ----------
    shape : tuple of int
    part : int64 ``[n]``
        Set of every neuron, in C order of the neurons; sets are numbered 0, 1, ... without gaps.

    Raises
    ------
    UsageError
        If ``part`` does not fit the shape or leaves a set empty.
    """

    shape: tuple[int, ...]
    part: IntArray

    def __post_init__(self) -> None:
        part = np.asarray(self.part)
        n = math.prod(self.shape)
        if part.shape != (n,) or part.dtype.kind not in "iu":
            raise UsageError(
                f"assignment of dtype {part.dtype} and shape {part.shape}; expected {n} integers"
            )
        found = np.unique(part)
        if found[0] < 0 or found[-1] != found.size - 1:
            raise UsageError(
                f"assignment to {found.size} sets numbered {found[0]}..{found[-1]}; number them "
                f"0..{found.size - 1}, none empty"
            )
        object.__setattr__(self, "part", frozen(part, np.int64))

    @property
    def n_tiles(self) -> int:
        """Number of sets."""
        return int(self.part.max()) + 1

    def sizes(self) -> IntArray:
        """Neurons of every set."""
        return np.bincount(self.part).astype(np.int64)

    def members(self) -> list[IntArray]:
        """Flat indices of the neurons of every set, rising."""
        order = np.argsort(self.part, kind="stable")
        return np.split(order, np.cumsum(self.sizes())[:-1])

    def sum_by_tile(self, values: AnyArray) -> AnyArray:
        """Sum ``values`` ``[..., *shape]`` over every set: ``[..., n_tiles]``."""
        lead = values.shape[: values.ndim - len(self.shape)]
        order = np.argsort(self.part, kind="stable")
        starts = np.cumsum(self.sizes()) - self.sizes()
        ordered = values.reshape(*lead, self.part.size)[..., order]
        total: AnyArray = np.add.reduceat(ordered, starts, axis=-1)
        return total

    def tile_of(self) -> IntArray:
        """Set of every neuron, in C order of the neurons."""
        return self.part


Cut = Tiling | Assignment
"""Cut of a population, into boxes or by a list."""


def channel_block(cut: Cut) -> int:
    """Neighbouring channels that surely lie on one core."""
    return cut.tile[0] if isinstance(cut, Tiling) else 1
