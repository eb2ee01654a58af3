"""Cutting populations whose incoming synapses are listed by their graph instead of into boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

import numpy as np

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.demand import Demand, is_listed, on_chip, projection_reach
from neurodeploy.hardware.cut.graph.graph_partition import available, partition_graph
from neurodeploy.hardware.cut.graph.hypergraph import firsts, offsets
from neurodeploy.hardware.cut.graph.neuron_graph import CoreLimits, NeuronGraph
from neurodeploy.hardware.cut.tiling import Tiling, tile_sizes
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist, Population


def cut_notes(netlist: IntegerNetlist) -> list[str]:
    """Notes of a mapping on these cuts."""
    listed = any(is_listed(netlist, p) for p in netlist.populations)
    if not listed or available() is not None:
        return []
    return [
        "listed synapses cut in the order of the neurons: no partitioner is installed (pip install "
        "'neurodeploy[partition]')"
    ]


def known_cuts(
    netlist: IntegerNetlist, cuts: Iterable[Mapping[str, Cut]]
) -> dict[str, tuple[Cut, ...]]:
    """Cuts of populations with listed synapses, to be taken again; none without a partitioner."""
    if available() is None:
        return {}
    made = list(cuts)
    return {
        p.name: tuple({id(cut[p.name]): cut[p.name] for cut in made}.values())
        for p in netlist.populations
        if is_listed(netlist, p)
    }


def cut_listed(
    netlist: IntegerNetlist,
    population: Population,
    demand: Demand,
    board: Board,
    least: int,
    cuts: Mapping[str, Cut],
) -> Cut | None:
    """A cut by the graph or into boxes, whichever takes fewer cores, then fewer input axons.

    None where boxes are to be searched: for other populations, for those that fit on one core,
    where no partitioner is installed, and where no cut by the graph respects all limits.
    """
    if not is_listed(netlist, population) or available() is None:
        return None
    whole = Tiling(population.shape, population.shape)
    if least <= 1 and demand.usage(whole).excess(board) is None:
        return None
    graph = neuron_graph(netlist, population, cuts)
    try:
        part = partition_graph(
            graph, CoreLimits.of(board, board.compartments(population)), least=max(least, 2)
        )
    except CapacityError:
        # Boxes may need fewer output axons, and tell best which limit no core can keep.
        return None
    found = Assignment(population.shape, part)
    axons = int(demand.usage(found).by_resource["input_axons"].sum())
    best: tuple[int, int, Cut] = (found.n_tiles, axons, found)
    most = board.require_limit("neurons") // board.compartments(population)
    for tiling in _boxes(population, most, least, found.n_tiles):
        usage = demand.usage(tiling)
        axons = int(usage.by_resource["input_axons"].sum())
        if usage.excess(board) is None and (tiling.n_tiles, axons) <= best[:2]:
            best = tiling.n_tiles, axons, tiling
    return best[2]


def _boxes(population: Population, limit: int, least: int, most: int) -> list[Tiling]:
    """Boxes in the fewest and in the most numbers of cores between ``least`` and ``most``."""
    tilings = [
        Tiling(population.shape, tile)
        for tile in itertools.product(*(tile_sizes(n) for n in population.shape))
        if math.prod(tile) <= limit
    ]
    numbers = [t.n_tiles for t in tilings if least <= t.n_tiles <= most]
    if not numbers:
        return []
    return [t for t in tilings if t.n_tiles in (min(numbers), max(numbers))]


def neuron_graph(
    netlist: IntegerNetlist, population: Population, cuts: Mapping[str, Cut]
) -> NeuronGraph:
    """The neurons of a population, their incoming axons, and their output axons to other cuts.

    Targets that are not cut yet are left out; the cut is made again when they need more.
    """
    columns: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    dense: list[tuple[int, int]] = []
    for projection in netlist.incoming[population.name]:
        if not on_chip(netlist, projection):
            continue
        connectivity = projection.connectivity
        if isinstance(connectivity, Dense):
            dense.append((math.prod(connectivity.pre_shape), projection.weight_bits))
            continue
        post, pre, _ = connectivity.to_coo()
        order = np.lexsort((post, pre))
        pre, post = pre[order], post[order]
        begin = firsts(pre)
        own = projection.pre == population.name
        columns.append(
            (
                np.diff(np.append(begin, pre.size)),
                post,
                pre[begin] if own else np.full(begin.size, -1, dtype=np.int64),
                np.full(begin.size, projection.weight_bits, dtype=np.int64),
            )
        )
    leaving = np.zeros(population.size, dtype=np.int64)
    for projection in netlist.outgoing[population.name]:
        if projection.post != population.name and projection.post in cuts:
            post_population = netlist.by_name[projection.post]
            reach = projection_reach(projection, post_population, cuts[projection.post])
            leaving += reach.destinations().reshape(-1)
    sizes, targets, source, bits = (np.concatenate(column) for column in zip(*columns, strict=True))
    return NeuronGraph(
        population.name,
        population.size,
        offsets(sizes),
        targets,
        source,
        bits,
        np.ones(source.size, dtype=np.int64),
        leaving,
        tuple(dense),
    )
