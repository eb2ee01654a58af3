"""The netlist: populations, projections and outputs, checked on construction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import number, whole
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, Neuron, RealNeuron
from neurodeploy.ir.population import Population, is_line
from neurodeploy.ir.projection import MAX_EXPONENT, IntegerProjection, Projection, RealProjection
from neurodeploy.ir.schedule import Schedule, schedule

__all__ = [
    "MAX_EXPONENT",
    "Decode",
    "IntegerNetlist",
    "IntegerProjection",
    "Netlist",
    "Output",
    "Population",
    "Projection",
    "RealNetlist",
    "RealProjection",
]

Decode = Literal["membrane", "counts", "softmax"]
DECODES: tuple[Decode, ...] = ("membrane", "counts", "softmax")


@dataclass(frozen=True, slots=True)
class Output:
    """An output population and its decoding.

    Parameters
    ----------
    population : str
    decode : {"membrane", "counts", "softmax"}
        The membrane of an integrator, signed spike counts, or spikes drawn on the host: in every
        step one, its class with the probabilities softmax(v).
    offset : float
        Subtracted from every decoded value: a constant that was added to all biases so that the
        largest count is positive.
    """

    population: str
    decode: Decode
    offset: float = 0.0

    @property
    def reads_membrane(self) -> bool:
        """Whether the answer comes from the membrane of an integrator."""
        return self.decode != "counts"


P = TypeVar("P", bound=Projection)

MAX_TIMESTEPS = 2**40
"""Beyond every run; 64 bits hold it with all delays, and 52 are exact in floats."""
_PARTS = {"populations": Population, "projections": Projection, "outputs": Output}


def _parts(given: Any, name: str, kind: type) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list) or not all(isinstance(part, kind) for part in given):
        raise NetlistError(f"netlist: {name}: expected a tuple of {kind.__name__}")
    return tuple(given)


@dataclass(frozen=True, eq=False, repr=False)
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
        for name, kind in _PARTS.items():
            object.__setattr__(self, name, _parts(getattr(self, name), name, kind))
        if not is_line(self.name):
            shown = repr(self.name) if isinstance(self.name, str) else type(self.name).__name__
            raise NetlistError(f"netlist name {shown}; expected one line of text")
        object.__setattr__(self, "timesteps", whole(self.timesteps, f"{self.name}: timesteps"))
        self.window(self.timesteps)
        if not (math.isfinite(number(self.dt, f"{self.name}: dt")) and self.dt > 0):
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
            if pre.is_integrator:
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
        read = [output.population for output in self.outputs]
        for output in self.outputs:
            if read.count(output.population) > 1:
                raise NetlistError(f"output {output.population!r}: is listed twice")
            population = self.by_name.get(output.population)
            if population is None:
                raise NetlistError(f"output: no population {output.population!r}")
            if output.decode not in DECODES:
                raise NetlistError(f"output {output.population!r}: decode {output.decode!r}")
            if not math.isfinite(number(output.offset, f"output {output.population!r}: offset")):
                raise NetlistError(f"output {output.population!r}: offset {output.offset}")
            if output.reads_membrane and not population.is_integrator:
                raise NetlistError(
                    f"output {output.population!r}: {output.decode} decoding needs an integrator "
                    "(a population without threshold)"
                )
            if output.decode == "counts" and population.is_integrator:
                raise NetlistError(f"output {output.population!r}: counts need a threshold")

    def _verify_pools(self) -> None:
        for population in self.populations:
            if not isinstance(population.model, MaxPool):
                continue
            for projection in self.incoming[population.name]:
                pre = self.by_name[projection.pre]
                negative = pre.emits_negative or (projection.connectivity.weight < 0).any()
                if negative and not population.model.signed:
                    raise NetlistError(
                        f"{projection.label}: unsigned max-pooling needs unsigned input and "
                        "weights >= 0; declare it signed"
                    )

    @cached_property
    def by_name(self) -> Mapping[str, Population]:
        """Populations by name."""
        return {p.name: p for p in self.populations}

    @cached_property
    def incoming(self) -> Mapping[str, tuple[P, ...]]:
        """Projections into each population."""
        return self._projections_by(lambda q: q.post)

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[P, ...]]:
        """Projections out of each population."""
        return self._projections_by(lambda q: q.pre)

    def _projections_by(self, end: Callable[[P], str]) -> dict[str, tuple[P, ...]]:
        found: dict[str, list[P]] = {p.name: [] for p in self.populations}
        for projection in self.projections:
            found[end(projection)].append(projection)
        return {name: tuple(ours) for name, ours in found.items()}

    @cached_property
    def schedule(self) -> Schedule:
        """Depth of every population, delay of every projection, and an execution order."""
        return schedule(
            [p.name for p in self.populations],
            [(q.pre, q.post, q.delay) for q in self.projections],
            {p.name: p.lag for p in self.populations if p.lag},
        )

    @property
    def inputs(self) -> tuple[Population, ...]:
        """The input populations."""
        return tuple(p for p in self.populations if isinstance(p.model, Input))

    def window(self, timesteps: int | None = None) -> int:
        """The T of a run: ``timesteps``, or the netlist's own.

        Raises
        ------
        NetlistError
            If it is below 1, or not the number of steps that a population has gains for.
        """
        T = self.timesteps if timesteps is None else timesteps
        if T < 1:
            raise NetlistError(f"{self.name}: timesteps {T}; expected at least 1")
        if T > MAX_TIMESTEPS:
            raise NetlistError(f"{self.name}: timesteps {T}; expected at most {MAX_TIMESTEPS}")
        for population in self.populations:
            if population.n_gains not in (0, T):
                raise NetlistError(
                    f"{population.name}: its gains are for {population.n_gains} steps, not for "
                    f"{T}; convert again for T = {T}"
                )
        return T

    @property
    def n_steps(self) -> int:
        """Steps that one sample takes: T + the largest depth."""
        return self.timesteps + self.schedule.max_depth

    def __repr__(self) -> str:
        n, links = len(self.populations), len(self.projections)
        return (
            f"{type(self).__name__}({self.name}: T = {self.timesteps}, "
            f"{n} population{'s' * (n != 1)}, {links} projection{'s' * (links != 1)})"
        )

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = self.__dataclass_fields__
        return all(getattr(self, n) == getattr(other, n) for n in names)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in self.__dataclass_fields__}


@dataclass(frozen=True, eq=False, repr=False)
class RealNetlist(Netlist[RealProjection]):
    """A netlist of floats: what conversion produces."""

    neuron_type = RealNeuron
    projection_type = RealProjection


@dataclass(frozen=True, eq=False, repr=False)
class IntegerNetlist(Netlist[IntegerProjection]):
    """A netlist of integers: what quantization produces and every target computes exactly."""

    neuron_type = IntegerNeuron
    projection_type = IntegerProjection

    @cached_property
    def proofs(self) -> dict[int, Any]:
        """What :mod:`neurodeploy.ir.bounds` proved of it, by the number of steps."""
        return {}
