"""Populations: groups of neurons of one model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import (
    AnyArray,
    FloatArray,
    arrays_equal,
    frozen,
    per_neuron,
    whole_sizes,
)
from neurodeploy.ir.neurons import Input, MaxPool, Model, Neuron

MAX_NEURONS = 2**31 - 1
Coding = Literal["rate", "sum"]
CODINGS: tuple[Coding, ...] = ("rate", "sum")


def is_line(text: Any) -> bool:
    """Whether it is text that can be printed within a line."""
    return isinstance(text, str) and bool(text) and text.isprintable()


def first_gain(gains: tuple[int, ...]) -> int:
    """The first gain that is not 0; 1 where none are given."""
    return next((g for g in gains if g), 1)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """A group of neurons of one model.

    Parameters
    ----------
    name : str
    shape : tuple of int
        C-order, channels first.
    model : Input, MaxPool, RealNeuron or IntegerNeuron
    unit : array or None
        What one spike per step (of an integrator: one membrane unit per step) is worth in the
        source network; scalar or per channel. None where there is no source network.
    source : str or None
        Node of the analog graph whose activation this population codes.
    coding : {"rate", "sum"}
        How spikes code a value: ``unit * sum(s) / T``, or ``unit * sum(s)`` (changes of the value).
        An integrator that adds up changes is read by v itself; its bias sits in v0. Where steps
        have gains, changes count ``h[t]`` over the first h that is not 0, and v is read in the
        first such g.
    mean : float32 array or None
        Mean value on the calibration data, in the units of the source network: of every neuron
        ``[*shape]``, or of every channel ``[C]``.
    """

    name: str
    shape: tuple[int, ...]
    model: Model
    unit: FloatArray | None = None
    source: str | None = None
    coding: Coding = "rate"
    mean: FloatArray | None = None

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"Population({self.name}: {type(self.model).__name__}, {shape})"

    def __post_init__(self) -> None:
        where = f"population {self.name!r}"
        if not is_line(self.name) or any(c in self.name for c in " ,;=/\"'\\"):
            raise NetlistError(f"{where}: a name has no blanks, quotes, slashes, ',', ';' or '='")
        model: object = self.model
        if not isinstance(model, Input | MaxPool | Neuron):
            kind = type(model).__name__
            raise NetlistError(f"{where}: model of type {kind}; expected an input, neuron or pool")
        object.__setattr__(self, "shape", whole_sizes(self.shape, f"{where}: shape"))
        if not 1 <= len(self.shape) <= 3 or min(self.shape) < 1:
            raise NetlistError(f"{where}: shape {self.shape}; expected 1 to 3 positive sizes")
        if self.size > MAX_NEURONS:
            raise NetlistError(f"{where}: {self.size} neurons; at most {MAX_NEURONS}")
        if not (self.source is None or isinstance(self.source, str)):
            raise NetlistError(f"{where}: source {self.source!r}; expected the name of a node")
        if self.coding not in CODINGS:
            raise NetlistError(f"{where}: coding {self.coding!r}; expected one of {CODINGS}")
        if self.coding == "sum" and self._changing_gains and not any(self._changing_gains):
            raise NetlistError(f"{where}: changes are counted in a gain, and all of them are 0")
        if isinstance(self.model, MaxPool) and self.model.output_shape != self.shape:
            raise NetlistError(
                f"{where}: shape {self.shape} against pooled shape {self.model.output_shape}"
            )
        if isinstance(self.model, Neuron):
            for quantity in self.model.spread_names():
                self._check_spread(getattr(self.model, quantity), quantity)
        if self.unit is not None:
            unit = self._numbers("unit", np.float64)
            self._check_spread(unit, "unit")
            if not (np.isfinite(unit).all() and (unit > 0).all()):
                raise NetlistError(f"{where}: unit must be finite and positive")
            object.__setattr__(self, "unit", unit)
        if self.mean is not None:
            mean = self._numbers("mean", np.float32)
            self._check_spread(mean, "mean")
            if not np.isfinite(mean).all():
                raise NetlistError(f"{where}: mean must be finite")
            object.__setattr__(self, "mean", mean)

    def _numbers(self, name: str, dtype: type) -> Any:
        try:
            return frozen(getattr(self, name), dtype)
        except (TypeError, ValueError):
            raise NetlistError(f"population {self.name!r}: {name}: expected numbers") from None

    def _check_spread(self, value: AnyArray, what: str) -> None:
        try:
            per_neuron(value, self.shape)
        except ValueError as error:
            raise NetlistError(f"population {self.name!r}: {what}: {error}") from None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape that incoming projections target; differs from ``shape`` for pooling only."""
        return self.model.input_shape if isinstance(self.model, MaxPool) else self.shape

    @property
    def is_current_input(self) -> bool:
        """Whether it is an input of one value per sample that holds throughout the window.

        It has no events: what it adds to its targets is the same in every step, so that a device
        can take it as a bias instead of spikes. False for neurons, pools and inputs of spikes.
        """
        return isinstance(self.model, Input) and self.model.kind == "current"

    @property
    def is_integrator(self) -> bool:
        """Whether it is made of neurons that never fire: it is read by its membrane."""
        return isinstance(self.model, Neuron) and not self.model.fires

    @property
    def emits_negative(self) -> bool:
        """Whether it can emit negative values."""
        if isinstance(self.model, Input):
            return self.model.low < 0
        return self.model.signed

    @property
    def lag(self) -> int:
        """Steps at the beginning of the window in which nothing can be emitted."""
        return self.model.lag if isinstance(self.model, Neuron) else 0

    @property
    def n_gains(self) -> int:
        """Steps that gains are given for; 0: any number."""
        return 0 if isinstance(self.model, Input) else self.model.n_gains

    def divisor(self, timesteps: int) -> int:
        """Divisor that turns a sum over ``timesteps`` steps into units of the value."""
        return timesteps if self.coding == "rate" else first_gain(self._changing_gains)

    @property
    def heard_in(self) -> int:
        """Gain that input which comes once, or first, meets: the first that is not 0."""
        return 1 if isinstance(self.model, Input) else first_gain(self.model.input_gain)

    def heard_share(self, source: Population) -> float:
        """What its membrane gains by an emission of ``source``, as the coding of that counts them.

        In weights. A current enters in every step, but neurons with gains do not add all of it up.
        Changes are counted in the first gain of who sends them, and heard in that of the input.
        """
        if self.coding == source.coding == "sum":
            return self.heard_in / source.divisor(1)
        gains = () if isinstance(self.model, Input) else self.model.input_gain
        if self.coding == "rate" and gains and source.is_current_input:
            return sum(gains) / len(gains)
        return 1.0

    def expected_emissions(self, timesteps: int) -> FloatArray | None:
        """Emissions in ``timesteps`` steps of a neuron that codes its mean: float64 ``[*shape]``.

        ``mean * divisor / unit``, payloads added up as the coding counts them; None where the mean
        or the unit is not known.
        """
        if self.mean is None or self.unit is None:
            return None
        return np.asarray(
            self.spread(self.mean) * (self.divisor(timesteps) / self.spread(self.unit))
        )

    def summed(self, spikes: AnyArray) -> AnyArray:
        """Payloads ``[B, T, *shape]`` added up as the coding counts them: ``[B, *shape]``."""
        wide = np.int64 if spikes.dtype.kind in "iu" else np.float64
        if self.rate_gain:
            gains = np.array(self.rate_gain[: spikes.shape[1]])
            spikes = spikes.astype(wide) * gains.reshape(1, -1, *(1,) * len(self.shape))
        return np.asarray(spikes.sum(axis=1, dtype=wide))

    @property
    def rate_gain(self) -> tuple[int, ...]:
        """Weights of the steps in the sum of :meth:`summed`; empty: 1."""
        return self._changing_gains if self.coding == "sum" else ()

    @property
    def _changing_gains(self) -> tuple[int, ...]:
        """Gains of the spikes; for an integrator or a pool, those of its input."""
        if isinstance(self.model, Input):
            return ()
        if isinstance(self.model, Neuron) and self.model.fires:
            return self.model.firing_gain
        return self.model.input_gain

    @property
    def origin(self) -> AnyArray:
        """Membrane of an integrator without any input, ``[*shape]``: v0, or 0."""
        if self.coding == "sum" or not isinstance(self.model, Neuron):
            return np.zeros(self.shape, dtype=np.int64)
        return self.spread(self.model.initial_membrane)

    def spread(self, value: AnyArray) -> AnyArray:
        """A scalar or per-channel quantity as one value per neuron, of ``shape``."""
        return per_neuron(value, self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Population):
            return NotImplemented
        mine = (self.name, self.shape, self.source, self.coding)
        return (
            mine == (other.name, other.shape, other.source, other.coding)
            and type(self.model) is type(other.model)
            and self.model == other.model
            and arrays_equal(self.unit, other.unit)
            and arrays_equal(self.mean, other.mean)
        )

    __hash__ = None  # type: ignore[assignment]
