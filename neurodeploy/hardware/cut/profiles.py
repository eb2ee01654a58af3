"""Profiles that the neurons of a core share: few thresholds, decays and formats of synapses.

A core keeps thresholds, the decays of its compartments and the formats of its synapses in short
tables, and every neuron and synapse names an entry of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.demand import on_chip
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import IntegerNeuron

PROFILES: dict[str, str] = {
    "threshold_profiles": "thresholds of a core",
    "compartment_profiles": "decays and refractory periods of a core",
    "synapse_formats": "exponents of the weights of a core",
}
"""Tables of a core by the name of the board's limit, and what stands in them."""


@dataclass(frozen=True, slots=True)
class CrowdedTable:
    """A table that a core of a population would need more entries of than there are."""

    population: str
    resource: str
    used: int
    limit: int


def crowded_tables(netlist: IntegerNetlist, mapping: CoreMap, board: Board) -> list[CrowdedTable]:
    """For every population and table the core that exceeds it most, where one does."""
    found = []
    for name in mapping.first:
        population = netlist.by_name[name]
        for resource, labels, spare in _tables(netlist, population, board):
            limit = board.limit(resource)
            if limit is None or len(np.unique(labels)) + spare <= limit:
                continue
            parts = [p for k in mapping.cores_of(name) for p in mapping.cores[k].slices]
            used = spare + max(_entries(labels, p.indices(population.shape)) for p in parts)
            if used > limit:
                found.append(CrowdedTable(name, resource, used, limit))
    return found


def _entries(labels: IntArray, neurons: IntArray) -> int:
    return len(np.unique(labels.reshape(labels.shape[0], -1)[:, neurons]))


def _tables(
    netlist: IntegerNetlist, population: Population, board: Board
) -> Iterator[tuple[str, IntArray, int]]:
    """Limit, the entries that every neuron names ``[n, neurons]``, and entries beside them."""
    model = population.model
    if not isinstance(model, IntegerNeuron):
        return
    if model.threshold is not None:
        # A second compartment has one threshold of its own.
        beside = int(board.compartments(population) > 1)
        yield "threshold_profiles", population.spread(model.threshold).reshape(1, -1), beside
    decays = [population.spread(np.asarray(getattr(model, n))).reshape(-1) for n in model.decays]
    kinds = np.unique(np.stack(decays), axis=1, return_inverse=True)[1]
    yield "compartment_profiles", kinds.reshape(1, -1), 0
    formats = []
    for q in netlist.incoming[population.name]:
        if on_chip(netlist, q):
            width = q.weight_bits << 32
            formats.append(population.spread(np.asarray(q.exponent)).reshape(-1) + width)
    if formats:
        yield "synapse_formats", np.stack(formats), 0
