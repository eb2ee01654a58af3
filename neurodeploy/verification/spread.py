"""How far answers are off, relative to the spread of what they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, FloatArray


@dataclass(frozen=True, slots=True)
class RelativeError:
    """Root mean squared error over standard deviation of what is right, output by output.

    Parameters
    ----------
    mean : float
        Root mean square over the outputs.
    worst : float
    index : tuple of int
        The output that is worst; empty where there is one, or all count together.
    """

    mean: float
    worst: float
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        """As percentages."""
        if not self.index:
            return f"{100 * self.worst:.1f} %"
        place = ", ".join(map(str, self.index))
        return f"{100 * self.mean:.1f} %, worst output [{place}] {100 * self.worst:.1f} %"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"mean": self.mean, "worst": self.worst, "worst_output": list(self.index)}


class Spread:
    """Errors and spread of values that come batch by batch, one output apart from another.

    Parameters
    ----------
    shape : tuple of int
        Of one sample. Outputs with several axes are maps, whose values count together.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._apart = shape if len(shape) == 1 else (1,)
        self._n = 0
        self._mean: FloatArray = np.zeros(self._apart)
        self._moment: FloatArray = np.zeros(self._apart)
        self._squares: FloatArray = np.zeros(self._apart)

    def add(self, ours: AnyArray, right: AnyArray) -> None:
        """Join the values of some samples, ``[B, *shape]`` each."""
        values = np.asarray(right, np.float64).reshape(-1, *self._apart)
        if not len(values):
            return
        error = np.asarray(ours, np.float64).reshape(values.shape) - values
        part = Spread(self._apart)
        part._n = len(values)
        part._mean = values.mean(axis=0)
        part._moment = np.square(values - part._mean).sum(axis=0)
        part._squares = np.square(error).sum(axis=0)
        self.join(part)

    def join(self, other: Spread) -> None:
        """Join the values of another."""
        total = self._n + other._n
        if not total:
            return
        apart = other._mean - self._mean
        self._moment = self._moment + other._moment + apart**2 * (self._n * other._n / total)
        self._mean = self._mean + apart * (other._n / total)
        self._squares = self._squares + other._squares
        self._n = total

    @property
    def error(self) -> RelativeError | None:
        """None where what is right is the same for all samples."""
        # Rounding of the mean leaves this much of equal values.
        varies = self._moment > self._n * (1e-7 * np.abs(self._mean)) ** 2
        if not varies.any():
            return None
        ratios = np.sqrt(self._squares[varies] / self._moment[varies])
        worst = int(np.flatnonzero(varies)[ratios.argmax()])
        index = () if self._apart == (1,) else (worst,)
        return RelativeError(math.sqrt(np.square(ratios).mean()), float(ratios.max()), index)
