"""From samples in the units of the source network to the integers that enter a netlist.

Every executor receives the same raster, made once here on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neurodeploy.errors import DataError, UnknownNameError
from neurodeploy.ir.arrays import AnyArray, IntArray

EncoderName = Literal["current", "rate", "poisson", "latency"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a sample becomes the emission of an input population.

    Parameters
    ----------
    encoder : {"current", "rate", "poisson", "latency"}
        ``current``: q in every step. ``rate``: deterministic integrate-and-fire with threshold
        ``levels`` and initial membrane half of it. ``poisson``: one Bernoulli trial per step with
        probability q / levels, from ``seed`` and the index of the sample. ``latency``: one spike
        in step round((1 - q / levels) (T - 1)), none for q = 0.
    levels : int
        q of the largest magnitude.
    low, high : float
        Declared range of the samples, before normalization.
    mean, std : tuple of float
        Normalization that is folded into the netlist: recorded, never applied here.
    seed : int
        Of the Poisson encoder.
    """

    encoder: EncoderName
    levels: int
    low: float
    high: float
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0

    @property
    def scale(self) -> float:
        """Value of one level: ``x ~ q * scale``."""
        return max(abs(self.low), abs(self.high)) / self.levels

    @property
    def kind(self) -> Literal["current", "spikes"]:
        """The input kind it feeds."""
        return "current" if self.encoder == "current" else "spikes"

    @property
    def integer_range(self) -> tuple[int, int]:
        """Range of the emitted integers."""
        if self.kind == "spikes":
            return 0, 1
        return min(0, round(self.low / self.scale)), max(0, round(self.high / self.scale))


def quantize_samples(encoding: Encoding, x: AnyArray) -> IntArray:
    """``q = rint(x / scale)`` for samples ``x`` in their raw units, of any shape.

    Raises
    ------
    DataError
        For values that are not finite or leave the declared range.
    """
    if not np.isfinite(x).all():
        raise DataError("samples contain NaN or infinite values; remove them")
    slack = 0.5 * encoding.scale
    if x.size and (x.min() < encoding.low - slack or x.max() > encoding.high + slack):
        raise DataError(
            f"samples in [{x.min():g}, {x.max():g}] leave the range [{encoding.low:g}, "
            f"{encoding.high:g}] that the network was converted for; rescale the data"
        )
    return np.rint(np.asarray(x, dtype=np.float64) / encoding.scale).astype(np.int64)


def encode(encoding: Encoding, x: AnyArray, timesteps: int, first_index: int = 0) -> IntArray:
    """Encode samples ``x`` ``[B, *shape]``.

    Returns int64 ``[B, *shape]`` for ``current``, else a raster ``[B, T, *shape]`` of 0 and 1.
    ``first_index`` is the index of the first sample in its data set: a random raster depends on
    it and on the seed alone, never on the batch.
    """
    q = quantize_samples(encoding, x)
    if encoding.kind == "current":
        return q
    if q.size and q.min() < 0:
        raise DataError(
            f"encoder {encoding.encoder!r} takes samples >= 0, got {q.min()} levels; "
            "use --input current"
        )
    return RASTERS[encoding.encoder](encoding, q, timesteps, first_index)


def _rate(encoding: Encoding, q: IntArray, timesteps: int, first_index: int) -> IntArray:
    # Accumulated charge after t steps is q t + levels // 2, and a spike leaves per full threshold.
    steps = np.arange(timesteps + 1).reshape(-1, *(1,) * (q.ndim - 1))
    fired = (q[:, None] * steps + encoding.levels // 2) // encoding.levels
    return np.asarray(np.diff(fired, axis=1))


def _poisson(encoding: Encoding, q: IntArray, timesteps: int, first_index: int) -> IntArray:
    raster = np.empty((q.shape[0], timesteps, *q.shape[1:]), dtype=np.int64)
    for i, sample in enumerate(q):
        generator = np.random.default_rng([encoding.seed, first_index + i])
        draws = generator.integers(0, encoding.levels, (timesteps, *sample.shape))
        raster[i] = draws < sample
    return raster


def _latency(encoding: Encoding, q: IntArray, timesteps: int, first_index: int) -> IntArray:
    when = np.rint((1.0 - q / encoding.levels) * (timesteps - 1)).astype(np.int64)
    steps = np.arange(timesteps).reshape(-1, *(1,) * (q.ndim - 1))
    return np.asarray((steps == when[:, None]) & (q > 0)[:, None], dtype=np.int64)


RASTERS: dict[str, Callable[[Encoding, IntArray, int, int], IntArray]] = {
    "rate": _rate,
    "poisson": _poisson,
    "latency": _latency,
}


def checked_encoder(name: str) -> EncoderName:
    """Return ``name`` if it is an encoder, else raise UnknownNameError."""
    known: tuple[EncoderName, ...] = ("current", "rate", "poisson", "latency")
    for encoder in known:
        if encoder == name:
            return encoder
    raise UnknownNameError("encoder", name, known)
