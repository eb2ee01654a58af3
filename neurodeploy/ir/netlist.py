"""The netlist: populations, projections and outputs, checked on construction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray, arrays_equal, frozen, per_neuron
from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Model, Neuron, RealNeuron
from neurodeploy.ir.schedule import Schedule, schedule

MAX_EXPONENT = 22
Decode = Literal["membrane", "counts"]


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
    """

    name: str
    shape: tuple[int, ...]
    model: Model
    unit: FloatArray | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        where = f"population {self.name!r}"
        if not self.name or any(c in self.name for c in " \t\n,;=/\"'\\"):
            raise NetlistError(f"{where}: a name has no blanks, quotes, slashes, ',', ';' or '='")
        if not 1 <= len(self.shape) <= 3 or min(self.shape) < 1:
            raise NetlistError(f"{where}: shape {self.shape}; expected 1 to 3 positive sizes")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if isinstance(self.model, MaxPool) and self.model.output_shape != self.shape:
            raise NetlistError(
                f"{where}: shape {self.shape} against pooled shape {self.model.output_shape}"
            )
        if isinstance(self.model, Neuron):
            for quantity in self.model.quantities():
                self._check_spread(getattr(self.model, quantity), quantity)
        if self.unit is not None:
            unit = frozen(self.unit, np.float64)
            self._check_spread(unit, "unit")
            if not (np.isfinite(unit).all() and (unit > 0).all()):
                raise NetlistError(f"{where}: unit must be finite and positive")
            object.__setattr__(self, "unit", unit)

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

    def spread(self, value: AnyArray) -> AnyArray:
        """A scalar or per-channel quantity as one value per neuron, of ``shape``."""
        return per_neuron(value, self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Population):
            return NotImplemented
        mine = (self.name, self.shape, self.source)
        return (
            mine == (other.name, other.shape, other.source)
            and type(self.model) is type(other.model)
            and self.model == other.model
            and arrays_equal(self.unit, other.unit)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Synapses from population ``pre`` to population ``post``.

    ``delay`` >= 1 steps is the user's and never changed; None lets the schedule align it.
    """

    pre: str
    post: str
    connectivity: Connectivity
    delay: int | None = None

    def __post_init__(self) -> None:
        if self.delay is not None and not (isinstance(self.delay, int) and self.delay >= 1):
            raise NetlistError(f"{self.label}: delay {self.delay}; the smallest is 1")

    @property
    def label(self) -> str:
        """``pre->post``, for messages."""
        return f"{self.pre}->{self.post}"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        for name in self.__dataclass_fields__:
            a, b = getattr(self, name), getattr(other, name)
            if not (arrays_equal(a, b) if isinstance(a, np.ndarray) else a == b):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, eq=False)
class RealProjection(Projection):
    """A projection with float64 weights."""

    def __post_init__(self) -> None:
        Projection.__post_init__(self)
        if self.connectivity.is_integer:
            raise NetlistError(f"{self.label}: a real-valued projection needs float weights")


@dataclass(frozen=True, slots=True, eq=False)
class IntegerProjection(Projection):
    """A projection with integer weights of a declared width: ``a += (W . s) << exponent``.

    Parameters
    ----------
    exponent : array, scalar or per output channel
        ``e`` >= 0.
    weight_bits : int
        Two's complement width, 1 to 16: every weight lies in [-2^(n-1), 2^(n-1) - 1].
    """

    exponent: IntArray = 0  # type: ignore[assignment]  # an array from the constructor on
    weight_bits: int = 8

    def __post_init__(self) -> None:
        Projection.__post_init__(self)
        if not self.connectivity.is_integer:
            raise NetlistError(f"{self.label}: an integer projection needs integer weights")
        if not 1 <= self.weight_bits <= 16:
            raise NetlistError(f"{self.label}: weight_bits {self.weight_bits}; expected 1 to 16")
        low, high = -(2 ** (self.weight_bits - 1)), 2 ** (self.weight_bits - 1) - 1
        weight = self.connectivity.weight
        if weight.size and (weight.min() < low or weight.max() > high):
            raise NetlistError(
                f"{self.label}: weights in [{weight.min()}, {weight.max()}] exceed "
                f"{self.weight_bits} bits [{low}, {high}]"
            )
        exponent = np.asarray(self.exponent)
        if exponent.dtype.kind not in "iu" or exponent.shape not in (
            (),
            self.connectivity.post_shape[:1],
        ):
            raise NetlistError(
                f"{self.label}: exponent of shape {exponent.shape}; expected an integer or one "
                f"per output channel {self.connectivity.post_shape[:1]}"
            )
        if exponent.size and (exponent.min() < 0 or exponent.max() > MAX_EXPONENT):
            raise NetlistError(f"{self.label}: exponent outside 0..{MAX_EXPONENT}")
        object.__setattr__(self, "exponent", frozen(exponent, np.int64))

    def shift(self) -> IntArray:
        """``e``, broadcastable over ``[B, *post_shape]``."""
        if self.exponent.ndim == 0:
            return self.exponent
        return self.exponent.reshape(-1, *(1,) * (len(self.connectivity.post_shape) - 1))

    def synaptic_input(self, spikes: AnyArray) -> AnyArray:
        """``(W . s) << e`` for spikes ``[B, *pre_shape]``: int64 ``[B, *post_shape]``."""
        return np.left_shift(self.connectivity.apply(spikes), self.shift())


@dataclass(frozen=True, slots=True)
class Output:
    """How a population is read as an answer.

    Parameters
    ----------
    population : str
    decode : {"membrane", "counts"}
        The membrane of an integrator, or signed spike counts.
    offset : float
        Subtracted from every decoded value: a constant that was added to all biases so that the
        largest count is positive.
    """

    population: str
    decode: Decode
    offset: float = 0.0


PopulationModel = TypeVar("PopulationModel")
P = TypeVar("P", bound=Projection)


@dataclass(frozen=True, eq=False)
class Netlist(Generic[P]):
    """Base of both netlist types. Verifies itself on construction.

    Parameters
    ----------
    name : str
    populations : tuple of Population
        Unique names, any order.
    projections : tuple of Projection
    outputs : tuple of Output
    timesteps : int
        T: the length of one sample's window; bounds are proved for it.
    dt : float
        Nominal duration of one step in seconds, for time constants only.
    """

    name: str
    populations: tuple[Population, ...]
    projections: tuple[P, ...]
    outputs: tuple[Output, ...]
    timesteps: int
    dt: float = 1e-3

    neuron_type = Neuron
    projection_type = Projection

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", tuple(self.populations))
        object.__setattr__(self, "projections", tuple(self.projections))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        if not isinstance(self.timesteps, int) or self.timesteps < 1:
            raise NetlistError(f"{self.name}: timesteps {self.timesteps}; expected at least 1")
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise NetlistError(f"{self.name}: dt {self.dt} s; expected a positive time")
        self._verify_populations()
        self._verify_projections()
        self._verify_outputs()
        self._verify_pools()

    def _verify_populations(self) -> None:
        names = [p.name for p in self.populations]
        twice = {n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else set()
        if twice:
            raise NetlistError(f"{self.name}: population {sorted(twice)[0]!r} is defined twice")
        if not names:
            raise NetlistError(f"{self.name}: no populations")
        for population in self.populations:
            if isinstance(population.model, Neuron) and type(population.model) is not (
                self.neuron_type
            ):
                raise NetlistError(
                    f"population {population.name!r}: {type(population.model).__name__} in a "
                    f"{type(self).__name__}; expected {self.neuron_type.__name__}"
                )

    def _verify_projections(self) -> None:
        for projection in self.projections:
            if type(projection) is not self.projection_type:
                raise NetlistError(
                    f"{projection.label}: {type(projection).__name__} in a {type(self).__name__}"
                )
            for end in (projection.pre, projection.post):
                if end not in self.by_name:
                    raise NetlistError(f"{projection.label}: no population {end!r}")
            pre, post = self.by_name[projection.pre], self.by_name[projection.post]
            if isinstance(post.model, Input):
                raise NetlistError(f"{projection.label}: an input receives no projections")
            if isinstance(pre.model, Neuron) and not pre.model.fires:
                raise NetlistError(f"{projection.label}: {pre.name!r} has no threshold: no spikes")
            if projection.connectivity.pre_shape != pre.shape:
                raise NetlistError(
                    f"{projection.label}: connectivity takes {projection.connectivity.pre_shape}, "
                    f"{pre.name!r} has {pre.shape}"
                )
            if projection.connectivity.post_shape != post.input_shape:
                raise NetlistError(
                    f"{projection.label}: connectivity gives {projection.connectivity.post_shape}, "
                    f"{post.name!r} takes {post.input_shape}"
                )

    def _verify_outputs(self) -> None:
        for output in self.outputs:
            population = self.by_name.get(output.population)
            if population is None:
                raise NetlistError(f"output: no population {output.population!r}")
            if output.decode not in ("membrane", "counts"):
                raise NetlistError(f"output {output.population!r}: decode {output.decode!r}")
            fires = not isinstance(population.model, Neuron) or population.model.fires
            if output.decode == "membrane" and fires:
                raise NetlistError(
                    f"output {output.population!r}: membrane decoding needs an integrator "
                    "(a population without threshold)"
                )
            if output.decode == "counts" and not fires:
                raise NetlistError(f"output {output.population!r}: counts need a threshold")

    def _verify_pools(self) -> None:
        for population in self.populations:
            if not isinstance(population.model, MaxPool):
                continue
            for projection in self.incoming[population.name]:
                pre = self.by_name[projection.pre]
                if self.emits_negative(pre) or (projection.connectivity.weight < 0).any():
                    raise NetlistError(
                        f"{projection.label}: max-pooling needs unsigned input and weights >= 0"
                    )

    @staticmethod
    def emits_negative(population: Population) -> bool:
        """Whether the population can emit negative values."""
        if isinstance(population.model, Input):
            return population.model.low < 0
        return isinstance(population.model, Neuron) and population.model.signed

    @cached_property
    def by_name(self) -> Mapping[str, Population]:
        """Populations by name."""
        return {p.name: p for p in self.populations}

    @cached_property
    def incoming(self) -> Mapping[str, tuple[P, ...]]:
        """Projections into each population."""
        return {
            p.name: tuple(q for q in self.projections if q.post == p.name) for p in self.populations
        }

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[P, ...]]:
        """Projections out of each population."""
        return {
            p.name: tuple(q for q in self.projections if q.pre == p.name) for p in self.populations
        }

    @cached_property
    def schedule(self) -> Schedule:
        """Depth of every population, delay of every projection, and an execution order."""
        return schedule(
            [p.name for p in self.populations],
            [(q.pre, q.post, q.delay) for q in self.projections],
        )

    @property
    def inputs(self) -> tuple[Population, ...]:
        """The input populations."""
        return tuple(p for p in self.populations if isinstance(p.model, Input))

    @property
    def n_steps(self) -> int:
        """Steps that one sample takes: T + the largest depth."""
        return self.timesteps + self.schedule.max_depth

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = self.__dataclass_fields__
        return all(getattr(self, n) == getattr(other, n) for n in names)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in self.__dataclass_fields__}


@dataclass(frozen=True, eq=False)
class RealNetlist(Netlist[RealProjection]):
    """A netlist of floats: what conversion produces."""

    neuron_type = RealNeuron
    projection_type = RealProjection


@dataclass(frozen=True, eq=False)
class IntegerNetlist(Netlist[IntegerProjection]):
    """A netlist of integers: what quantization produces and every target computes exactly."""

    neuron_type = IntegerNeuron
    projection_type = IntegerProjection
