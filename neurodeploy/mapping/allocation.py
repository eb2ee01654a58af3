"""The result of mapping: what lies on which core, and how full it is."""

from __future__ import annotations

import math
from collections import abc
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodeploy.boards.board import Board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.mapping.tiling import Interval, Tiling


@dataclass(frozen=True, slots=True)
class PopulationSlice:
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


@dataclass(frozen=True, slots=True)
class CoreAllocation:
    """One core in use.

    Parameters
    ----------
    chip, x, y : int
        Chip, and the tile's position on it; a tile may hold several cores.
    slices : tuple of PopulationSlice
    neurons, synapse_memory_bits, axons_in, axons_out : int
        What it uses of the core's limits.
    """

    chip: int
    x: int
    y: int
    slices: tuple[PopulationSlice, ...]
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
class LayerUtilization:
    """How well one population fills its cores.

    Parameters
    ----------
    population : str
    cores : int
    lower_bound : int
        Cores that its neurons alone would fill.
    binding : str
        The resource that is used most.
    shares : mapping
        Mean use over limit of its cores by resource, None where unknown.
    """

    population: str
    cores: int
    lower_bound: int
    binding: str
    shares: abc.Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A netlist on the cores of a board.

    Parameters
    ----------
    board : Board
    network : str
    cores : tuple of CoreAllocation
        Core k of this mapping; box i of a population lies on core ``first[population] + i``.
    tilings : mapping of population to Tiling
    first : mapping of population to int
    assumptions : tuple of str
        What the numbers rest on, for reports.
    """

    board: Board
    network: str
    cores: tuple[CoreAllocation, ...]
    tilings: abc.Mapping[str, Tiling]
    first: abc.Mapping[str, int]
    assumptions: tuple[str, ...]

    @property
    def n_cores(self) -> int:
        """Cores in use."""
        return len(self.cores)

    @property
    def n_chips(self) -> int:
        """Chips in use."""
        return len({core.chip for core in self.cores})

    def cores_of(self, population: str) -> range:
        """Numbers of the cores that hold a population."""
        first = self.first[population]
        return range(first, first + self.tilings[population].n_tiles)

    def positions(self) -> IntArray:
        """``(x, y)`` of every core in the joint grid of all chips: int64 ``[n_cores, 2]``."""
        places = np.array([(core.chip, core.x, core.y) for core in self.cores], dtype=np.int64)
        return self.board.grid.joint(*places.reshape(-1, 3).T)

    def layers(self) -> list[LayerUtilization]:
        """Utilization by population."""
        return [self._layer(name) for name in self.first]

    def _layer(self, name: str) -> LayerUtilization:
        cores = [self.cores[k] for k in self.cores_of(name)]
        shares: dict[str, float | None] = {}
        for resource in cores[0].usage():
            limit = self.board.limit(resource)
            total = sum(core.usage()[resource] for core in cores)
            shares[resource] = None if limit is None else total / (limit * len(cores))
        known = {resource: share for resource, share in shares.items() if share is not None}
        n_neurons = math.prod(self.tilings[name].shape)
        lower_bound = -(-n_neurons // self.board.require_limit("neurons"))
        return LayerUtilization(
            name, len(cores), lower_bound, max(known, key=known.__getitem__), shares
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
                    "slices": [
                        {"population": s.population, "ranges": [list(r) for r in s.ranges]}
                        for s in core.slices
                    ],
                    "used": core.usage(),
                    "utilization": core.utilization(self.board),
                }
                for k, core in enumerate(self.cores)
            ],
            "layers": [
                {
                    "population": layer.population,
                    "cores": layer.cores,
                    "lower_bound": layer.lower_bound,
                    "binding": layer.binding,
                    "utilization": dict(layer.shares),
                }
                for layer in self.layers()
            ],
            "assumptions": list(self.assumptions),
        }
