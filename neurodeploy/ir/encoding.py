"""From samples in the units of the source network to the integers that enter a netlist.

Every executor receives the same raster, made once here on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from neurodeploy.errors import DataError, NetlistError, UnknownNameError
from neurodeploy.ir.arrays import AnyArray, IntArray, number, whole

EncoderName = Literal["current", "rate", "poisson", "latency", "delta"]
UNARY = ("rate", "poisson", "latency")
"""Encoders whose emissions are 0 or 1."""
MAX_LEVELS = 65535


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoding of samples into the emissions of an input population.

    Parameters
    ----------
    encoder : {"current", "rate", "poisson", "latency", "delta"}
        ``current``: q in every step. ``rate``: deterministic integrate-and-fire with threshold
        ``levels`` and initial membrane half of it. ``poisson``: one Bernoulli trial per step with
        probability q / levels, from ``seed`` and the index of the sample. ``latency``: one spike
        in step round((1 - q / levels) (T - 1)), none for q = 0. ``delta``: q in the first step,
        then its changes, of which a still image has none.
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

    def __post_init__(self) -> None:
        checked_encoder(self.encoder)
        for name in ("levels", "seed"):
            object.__setattr__(self, name, whole(getattr(self, name), f"input {name}"))
        if not 1 <= self.levels <= MAX_LEVELS:
            raise NetlistError(f"input levels {self.levels}: expected 1 to {MAX_LEVELS}")
        if self.seed < 0:
            raise NetlistError(f"input seed {self.seed}: expected 0 or more")
        for name in ("low", "high"):
            number(getattr(self, name), f"input {name}")
        for name in ("mean", "std"):
            given = getattr(self, name)
            if not isinstance(given, tuple | list | None):
                raise NetlistError(f"input {name} {given!r}; expected a tuple, one per channel")
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            raise NetlistError(f"input range [{self.low}, {self.high}]: expected low <= high")
        if self.low == self.high == 0:
            raise NetlistError("input range [0, 0] carries nothing")
        mean, std = self.mean or (), self.std or ()
        if (
            len(mean) != len(std)
            or not np.isfinite([*mean, *std]).all()
            or min(std, default=1) <= 0
        ):
            raise NetlistError(f"input normalization {self.mean}/{self.std}: expected std above 0")

    @property
    def scale(self) -> float:
        """Value of one level: ``x ~ q * scale``."""
        return max(abs(self.low), abs(self.high)) / self.levels

    @property
    def kind(self) -> Literal["current", "spikes"]:
        """The input kind it feeds."""
        return "current" if self.encoder == "current" else "spikes"

    @property
    def unit(self) -> float:
        """Value of one emission per step (``delta``: of one emission) in the raw samples."""
        return self.scale * (self.levels if self.encoder in UNARY else 1)

    @property
    def integer_range(self) -> tuple[int, int]:
        """Range of the emitted integers."""
        if self.encoder == "delta":
            low, high = self.level_range
            return low - high, high - low
        if self.kind == "spikes":
            return 0, 1
        return self.level_range

    @property
    def level_range(self) -> tuple[int, int]:
        """Range of q."""
        return min(0, round(self.low / self.scale)), max(0, round(self.high / self.scale))


def check_samples(encoding: Encoding, x: AnyArray) -> None:
    """Refuse samples ``x`` in their raw units, of any shape, that the encoder does not take.

    Raises
    ------
    DataError
        For values that are not finite or leave the declared range, or below 0 where they may not.
    """
    if not x.size:
        return
    lowest, highest = x.min(), x.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise DataError("samples contain NaN or infinite values; remove them")
    slack = 0.5 * encoding.scale
    if lowest < encoding.low - slack or highest > encoding.high + slack:
        raise DataError(
            f"samples in [{lowest:g}, {highest:g}] leave the range [{encoding.low:g}, "
            f"{encoding.high:g}] that the network was converted for; rescale the data"
        )
    least = _levels(encoding, np.asarray(lowest))
    if encoding.encoder in UNARY and least < 0:
        raise DataError(
            f"encoder {encoding.encoder!r} takes samples >= 0, got {least} levels; "
            "use --input current"
        )


def quantize_samples(encoding: Encoding, x: AnyArray) -> IntArray:
    """``q = rint(x / scale)`` for samples ``x`` in their raw units, of any shape.

    A value up to half a level outside the declared range counts as its end.

    Raises
    ------
    DataError
        As of :func:`check_samples`.
    """
    check_samples(encoding, x)
    return _levels(encoding, x)


def _levels(encoding: Encoding, x: AnyArray) -> IntArray:
    q = np.rint(np.asarray(x, dtype=np.float64) / encoding.scale).astype(np.int64)
    return np.clip(q, *encoding.level_range)


def encode(
    encoding: Encoding, x: AnyArray, timesteps: int, indices: IntArray | None = None
) -> IntArray:
    """Encode samples ``x`` ``[B, *shape]``.

    Parameters
    ----------
    encoding : Encoding
    x : array ``[B, *shape]``
    timesteps : int
        T.
    indices : int64 array ``[B]``, optional
        Of each sample in its data set, 0, 1, ... by default: a random raster depends on it and on
        the seed alone, never on the batch.

    Returns
    -------
    int64 array
        ``[B, *shape]`` for ``current``, else a raster ``[B, T, *shape]``, of 0 and 1 but for
        ``delta``.

    Raises
    ------
    DataError
        For values that the encoder does not take.
    """
    q = quantize_samples(encoding, x)
    if encoding.kind == "current":
        return q
    given = np.arange(len(q)) if indices is None else np.asarray(indices)
    if given.shape != q.shape[:1]:
        raise DataError(f"indices of shape {given.shape} for {len(q)} samples; expected one each")
    return RASTERS[encoding.encoder](encoding, q, timesteps, given)


def _rate(encoding: Encoding, q: IntArray, timesteps: int, indices: IntArray) -> IntArray:
    # Accumulated charge after t steps is q t + levels // 2, and a spike leaves per full threshold.
    # Step by step: no second array of the raster's size.
    raster = np.empty((q.shape[0], timesteps, *q.shape[1:]), dtype=np.int64)
    charge, before = np.full_like(q, encoding.levels // 2), np.zeros_like(q)
    for t in range(timesteps):
        charge += q
        fired = charge // encoding.levels
        np.subtract(fired, before, out=raster[:, t])
        before = fired
    return raster


def _poisson(encoding: Encoding, q: IntArray, timesteps: int, indices: IntArray) -> IntArray:
    raster = np.empty((q.shape[0], timesteps, *q.shape[1:]), dtype=np.int64)
    for i, sample in enumerate(q):
        generator = np.random.default_rng([encoding.seed, int(indices[i])])
        draws = generator.integers(0, encoding.levels, (timesteps, *sample.shape))
        raster[i] = draws < sample
    return raster


def _latency(encoding: Encoding, q: IntArray, timesteps: int, indices: IntArray) -> IntArray:
    when = np.rint((1.0 - q / encoding.levels) * (timesteps - 1)).astype(np.int64)
    steps = np.arange(timesteps).reshape(-1, *(1,) * (q.ndim - 1))
    return np.asarray((steps == when[:, None]) & (q > 0)[:, None], dtype=np.int64)


def _delta(encoding: Encoding, q: IntArray, timesteps: int, indices: IntArray) -> IntArray:
    raster = np.zeros((q.shape[0], timesteps, *q.shape[1:]), dtype=np.int64)
    raster[:, 0] = q
    return raster


RASTERS: dict[str, Callable[[Encoding, IntArray, int, IntArray], IntArray]] = {
    "rate": _rate,
    "poisson": _poisson,
    "latency": _latency,
    "delta": _delta,
}


def checked_encoder(name: str) -> EncoderName:
    """Return ``name`` if it is an encoder, else raise UnknownNameError."""
    known: tuple[EncoderName, ...] = get_args(EncoderName)
    for encoder in known:
        if encoder == name:
            return encoder
    raise UnknownNameError("encoder", name, known)
