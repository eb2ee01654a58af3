"""The result of mapping: what lies on which core, and how full it is."""

from __future__ import annotations

import math
from collections import abc
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.bounds import LayerBound
from neurodeploy.hardware.cut.tiling import Interval
from neurodeploy.ir.arrays import IntArray
from neurodeploy.json_values import Result


@dataclass(frozen=True, slots=True)
class PopulationSlice(Result):
    """A box of a population: ``ranges`` are ``[start, stop)`` along each axis of its shape."""

    population: str
    ranges: tuple[Interval, ...]

    @property
    def size(self) -> int:
        """Neurons of the population in this box."""
        return math.prod(b - a for a, b in self.ranges)

    def indices(self, shape: tuple[int, ...]) -> IntArray:
        """Flat C-order indices of the neurons in a population of ``shape``."""
        axes = np.ix_(*(np.arange(a, b) for a, b in self.ranges))
        flat: IntArray = np.ravel_multi_index(axes, shape).reshape(-1)
        return flat

    def __str__(self) -> str:
        return f"{self.population}[{', '.join(f'{a}:{b}' for a, b in self.ranges)}]"


@dataclass(frozen=True, slots=True, eq=False)
class PopulationSubset(Result):
    """Some neurons of a population: flat C-order indices, rising."""

    population: str
    neurons: IntArray

    @property
    def size(self) -> int:
        """Number of cores."""
        return self.neurons.size

    def indices(self, shape: tuple[int, ...]) -> IntArray:
        """Flat C-order indices of the neurons in a population of ``shape``."""
        return self.neurons

    def __str__(self) -> str:
        first = ", ".join(str(i) for i in self.neurons[:3])
        more = f", ... {self.size} neurons" if self.size > 3 else ""
        return f"{self.population}[{first}{more}]"


def parts_of(population: str, cut: Cut) -> list[PopulationSlice | PopulationSubset]:
    """Parts of a cut population, one per core."""
    if isinstance(cut, Assignment):
        return [PopulationSubset(population, neurons) for neurons in cut.members()]
    return [PopulationSlice(population, ranges) for ranges in cut.boxes()]


@dataclass(frozen=True, slots=True)
class CoreAllocation:
    """One core in use.

    Parameters
    ----------
    chip, x, y : int
        Chip, and the tile's position on it; a tile may hold several cores.
    slices : tuple of PopulationSlice or PopulationSubset
    neurons, synapse_memory_bits, axons_in, axons_out : int
        What it uses of the core's limits.
    """

    chip: int
    x: int
    y: int
    slices: tuple[PopulationSlice | PopulationSubset, ...]
    neurons: int
    synapse_memory_bits: int
    axons_in: int
    axons_out: int

    def usage(self) -> dict[str, int]:
        """Use by the name of the board's limit."""
        return {
            "neurons": self.neurons,
            "synapse_memory_bits": self.synapse_memory_bits,
            "input_axons": self.axons_in,
            "output_axons": self.axons_out,
        }

    def utilization(self, board: Board) -> dict[str, float | None]:
        """Use over limit, None where the board does not tell its limit."""
        shares: dict[str, float | None] = {}
        for resource, used in self.usage().items():
            limit = board.limit(resource)
            shares[resource] = None if limit is None else used / limit
        return shares


@dataclass(frozen=True, slots=True)
class LayerUtilization(Result):
    """Utilization of the cores of one population.

    Parameters
    ----------
    population : str
    cores : int
    lower_bound : int
        Cores that it takes at least, by all limits (:mod:`neurodeploy.hardware.cut.bounds`).
    bounds : mapping
        The same by each limit alone, None where unknown.
    binding : str
        The resource that its fullest core uses most.
    utilization : mapping
        Mean use over limit of its cores by resource, None where unknown.
    """

    population: str
    cores: int
    lower_bound: int
    bounds: abc.Mapping[str, int | None]
    binding: str
    utilization: abc.Mapping[str, float | None]

    @property
    def advice(self) -> str:
        """Advice that would take fewer cores, in one line."""
        if self.cores == 1:
            return "nothing: it takes one core"
        above = self.cores - self.lower_bound
        least = "at its lower bound" if above == 0 else f"{above} above its lower bound"
        return f"{least}; {_REMEDIES[self.binding]} would help"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**Result.to_dict(self), "advice": self.advice}


_REMEDIES: dict[str, str] = {
    "neurons": "more neurons a core",
    "synapse_memory_bits": "fewer weight bits or more synapse memory a core",
    "input_axons": "a smaller fan-in, channels that share an axon, or more input axons a core",
    "output_axons": "fewer cores in the layers that it feeds, or more output axons a core",
}


@dataclass(frozen=True, slots=True)
class CoreMap:
    """A netlist on the cores of a board.

    Parameters
    ----------
    board : Board
    network : str
    cores : tuple of CoreAllocation
        Core k of this mapping; box i of a population lies on core ``first[population] + i``.
    tilings : mapping of population to Tiling or Assignment
    first : mapping of population to int
    bounds : mapping of population to LayerBound
    assumptions : tuple of str
        What the numbers rest on, for reports.
    """

    board: Board
    network: str
    cores: tuple[CoreAllocation, ...]
    tilings: abc.Mapping[str, Cut]
    first: abc.Mapping[str, int]
    bounds: abc.Mapping[str, LayerBound]
    assumptions: tuple[str, ...]

    @property
    def n_cores(self) -> int:
        """Cores in use."""
        return len(self.cores)

    @property
    def n_chips(self) -> int:
        """Chips in use."""
        return len({core.chip for core in self.cores})

    @property
    def tiles_in_use(self) -> int:
        """Tiles of the mesh with a core in use."""
        return len({(core.chip, core.x, core.y) for core in self.cores})

    @property
    def lower_bound(self) -> int:
        """Cores that all populations take at least."""
        return sum(bound.cores for bound in self.bounds.values())

    def cores_of(self, population: str) -> range:
        """Numbers of the cores that hold a population."""
        first = self.first[population]
        return range(first, first + self.tilings[population].n_tiles)

    def positions(self) -> IntArray:
        """``(x, y)`` of every core in the joint grid of all chips: int64 ``[n_cores, 2]``."""
        places = np.array([(core.chip, core.x, core.y) for core in self.cores], dtype=np.int64)
        return self.board.grid.joint(*places.reshape(-1, 3).T)

    def moved(self, places: abc.Iterable[abc.Sequence[int]]) -> CoreMap:
        """The mapping with its cores at ``places``: chip, x and y of each."""
        cores = (
            replace(core, chip=chip, x=x, y=y)
            for core, (chip, x, y) in zip(self.cores, places, strict=True)
        )
        return replace(self, cores=tuple(cores))

    def layers(self) -> list[LayerUtilization]:
        """Utilization by population."""
        return [self._layer(name) for name in self.first]

    def _layer(self, name: str) -> LayerUtilization:
        cores = [self.cores[k] for k in self.cores_of(name)]
        shares: dict[str, float | None] = {}
        fullest: dict[str, float] = {}
        for resource in cores[0].usage():
            limit = self.board.limit(resource)
            used = [core.usage()[resource] for core in cores]
            shares[resource] = None if limit is None else sum(used) / (limit * len(cores))
            if limit is not None:
                fullest[resource] = max(used) / limit
        bound = self.bounds[name]
        return LayerUtilization(
            name,
            len(cores),
            bound.cores,
            bound.by_resource,
            max(fullest, key=fullest.__getitem__),
            shares,
        )

    def to_dict(self) -> dict[str, Any]:
        """The mapping as JSON values."""
        return {
            "board": self.board.name,
            "network": self.network,
            "chips": self.n_chips,
            "cores": [
                {
                    "core": k,
                    "chip": core.chip,
                    "x": core.x,
                    "y": core.y,
                    "slices": [s.to_dict() for s in core.slices],
                    "used": core.usage(),
                    "utilization": core.utilization(self.board),
                }
                for k, core in enumerate(self.cores)
            ],
            "lower_bound": self.lower_bound,
            "layers": [layer.to_dict() for layer in self.layers()],
            "assumptions": list(self.assumptions),
        }
