"""Partition of neurons with listed synapses onto cores that have several limits at once.

1. A multilevel partition by METIS (Karypis & Kumar 1998, SIAM J. Sci. Comput. 20(1),
   doi 10.1137/S1064827595287997) or by Mt-KaHyPar, which sees one kind of size only.
2. Cycles of coarsening within the parts (V-cycles: Walshaw 2004, Ann. Oper. Res. 131,
   doi 10.1023/B:ANOR.0000039525.80601.15) and refinement
   (:mod:`neurodeploy.hardware.cut.graph.refinement`) for the number of packets, which METIS does
   not see; where little is cut, two partitions are combined (Sanders & Schulz 2012, Distributed
   Evolutionary Graph Partitioning, ALENEX).
3. A repair that makes every core respect all its limits
   (:mod:`neurodeploy.hardware.cut.graph.capacity_repair`) and adds cores only where there is no
   room.

The number of cores is the least that the limits allow, as far as it follows from them; where
axons or memory bind, it comes from what METIS' partition needs in all. Deterministic for a seed.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np

from neurodeploy.errors import TargetUnavailableError, UnknownNameError
from neurodeploy.hardware.cut.graph.capacity_repair import repair
from neurodeploy.hardware.cut.graph.hypergraph import Affinity, Hypergraph
from neurodeploy.hardware.cut.graph.neuron_graph import CoreLimits, NeuronGraph
from neurodeploy.hardware.cut.graph.refinement import MovablePartition
from neurodeploy.ir.arrays import IntArray

PARTITIONERS: tuple[str, ...] = ("auto", "metis", "mt-kahypar")
"""``auto``: METIS where pymetis is installed, otherwise Mt-KaHyPar."""

_MODULES = {"metis": "pymetis", "mt-kahypar": "mtkahypar"}
_EXTRAS = {"metis": "partition", "mt-kahypar": "mt-kahypar"}
# Vertices per part at which coarsening stops.
_COARSEST = 20
# Pin counts of a refinement are kept for all pairs (vertex or net, part): 4 bytes each, twice.
_MOST_PAIRS = 60_000_000
# Below this share of cut nets a round of refinement is cheap, and more of them pay.
_WELL_SEPARATED = 0.2
# Above so many parts cut off per net there are no clusters that coarse levels could move.
_HOPELESS = 3
_IMBALANCE = 0.03
_MOST_CYCLES = 3
_DIFFUSIONS = 1
# Coarse levels that save less than this share have nothing more to mend.
_LEAST_COARSE_GAIN = 0.01


def available(partitioner: str = "auto") -> str | None:
    """The partitioner that ``partitioner`` stands for here; None if it is not installed.

    Raises
    ------
    UnknownNameError
    """
    if partitioner not in PARTITIONERS:
        raise UnknownNameError("partitioner", partitioner, PARTITIONERS)
    names = PARTITIONERS[1:] if partitioner == "auto" else (partitioner,)
    for name in names:
        if importlib.util.find_spec(_MODULES[name]) is not None:
            return name
    return None


def partition_graph(
    graph: NeuronGraph,
    limits: CoreLimits,
    *,
    least: int = 1,
    seed: int = 0,
    partitioner: str = "auto",
) -> IntArray:
    """Core of every neuron, int64 ``[n]``, so that all limits hold on every core.

    Cores are numbered from 0 and none is empty; numbers that are close lie close in the graph.

    Parameters
    ----------
    graph : NeuronGraph
    limits : CoreLimits
    least : int
        At least so many cores.
    seed : int
    partitioner : {"auto", "metis", "mt-kahypar"}

    Raises
    ------
    CapacityError
        If one neuron alone exceeds a core.
    TargetUnavailableError
        If the partitioner is not installed.
    """
    chosen = _installed(partitioner)
    limits.check_single_neurons(graph)
    n_cores = max(least, limits.fewest_cores(graph))
    hypergraph = graph.hypergraph()
    core: IntArray = np.zeros(graph.n, dtype=np.int64)
    if n_cores > 1:
        core = _partition(graph, limits, hypergraph, n_cores, seed, chosen)
    core = repair(graph, limits, core, lambda neurons: _halve(hypergraph, neurons, seed))
    core = np.unique(core, return_inverse=True)[1].astype(np.int64)
    while int(core.max()) + 1 < min(least, graph.n):
        # Refinement can empty a part.
        largest = np.flatnonzero(core == np.bincount(core).argmax())
        core[largest[_halve(hypergraph, largest, seed) == 1]] = int(core.max()) + 1
    return core


def partition_by_size(
    graph: NeuronGraph, n_cores: int, neurons: int, seed: int = 0, partitioner: str = "auto"
) -> IntArray:
    """The partitioner's own cut into ``n_cores`` cores, as it comes: for comparisons.

    METIS gets the undirected graph and keeps its default imbalance of 3 %, Mt-KaHyPar the
    hypergraph and as much imbalance as ``neurons`` per core leave.

    Raises
    ------
    TargetUnavailableError
    """
    chosen = _installed(partitioner)
    hypergraph = graph.hypergraph()
    if chosen == "mt-kahypar":
        return _mt_kahypar(hypergraph, n_cores, neurons, seed)
    keys = graph.edges()
    edges = Affinity.of_pairs(graph.n, keys, np.ones(keys.size, dtype=np.int64))
    return _metis(edges, hypergraph.size, n_cores, seed, recursive=None)


def _installed(partitioner: str) -> str:
    chosen = available(partitioner)
    if chosen is None:
        first = PARTITIONERS[1] if partitioner == "auto" else partitioner
        raise TargetUnavailableError(
            f"partitioner {partitioner!r}: {_MODULES[first]} is not installed here; install it "
            f"with: pip install 'neurodeploy[{_EXTRAS[first]}]'"
        )
    return chosen


def _partition(
    graph: NeuronGraph,
    limits: CoreLimits,
    hypergraph: Hypergraph,
    n_cores: int,
    seed: int,
    partitioner: str,
) -> IntArray:
    edges = Affinity.of_edges(hypergraph, graph.edges())
    if edges.source.size < 2 * graph.n:
        # The synapses come from elsewhere: neurons that share axons belong together.
        edges = Affinity.of_nets(hypergraph)
    size, capacity = hypergraph.size, limits.neurons
    core = _start(hypergraph, edges, n_cores, capacity, seed, partitioner)
    share = limits.shares(graph, core, n_cores)
    most = max(share.values())
    if most > 1 or share["neurons"] < 0.9 * most:
        # Axons or memory are nearer to their limits than neurons are, and both follow the fan-in.
        n_cores = int(np.ceil(n_cores * max(most, 1.0)))
        size = graph.fan_in() + 1
        mean = -(-int(size.sum()) // n_cores)
        capacity = max(int(mean * (1 + _IMBALANCE)), int(size.max()))
        hypergraph = Hypergraph(hypergraph.start, hypergraph.pins, hypergraph.weight, size)
        core = _start(hypergraph, edges, n_cores, capacity, seed, partitioner)
    anew = partitioner == "metis"
    return _improve_groups(hypergraph, edges, core, n_cores, capacity, seed, anew)


def _start(
    graph: Hypergraph,
    edges: Affinity,
    n_parts: int,
    capacity: int,
    seed: int,
    partitioner: str,
) -> IntArray:
    if partitioner == "metis":
        return _metis(edges, graph.size, n_parts, seed)
    return _mt_kahypar(graph, n_parts, capacity, seed)


def _halve(graph: Hypergraph, neurons: IntArray, seed: int) -> IntArray:
    few = graph.restricted(neurons)
    if available("metis") is not None:
        side = _metis(Affinity.of_nets(few), few.size, 2, seed)
    else:
        capacity = max(int(few.size.sum() * (1 + _IMBALANCE)) // 2, int(few.size.max()))
        side = _mt_kahypar(few, 2, capacity, seed)
    if 0 < int(side.sum()) < side.size:
        return side
    return (np.arange(neurons.size) >= neurons.size // 2).astype(np.int64)


def _metis(
    edges: Affinity, size: IntArray, n_parts: int, seed: int, *, recursive: bool | None = True
) -> IntArray:
    if n_parts == 1 or not edges.source.size:
        return np.asarray(np.arange(edges.n) * n_parts // edges.n, dtype=np.int64)
    if n_parts >= edges.n:
        return np.arange(edges.n, dtype=np.int64)
    import pymetis

    options = pymetis.Options()
    options.seed = seed
    # METIS adds weights up in 32 bits.
    scale = max(1, int(edges.weight.sum()) >> 29)
    _, part = pymetis.part_graph(
        n_parts,
        pymetis.CSRAdjacency(edges.start.astype(np.int32), edges.target.astype(np.int32)),
        eweights=np.maximum(edges.weight // scale, 1).astype(np.int32),
        vweights=_at_most_a_part(size, n_parts).astype(np.int32),
        recursive=recursive,
        options=options,
    )
    return np.asarray(part, dtype=np.int64)


def _at_most_a_part(size: IntArray, n_parts: int) -> IntArray:
    """Sizes of which none is above the mean of a part: such a vertex fills a part by itself.

    METIS would be left with parts for which there are no vertices, and prints so on the standard
    output.
    """
    while True:
        mean = max(1, int(size.sum()) // n_parts)
        if int(size.max()) <= mean:
            return size
        size = np.minimum(size, mean)


@functools.cache
def _mt_kahypar_library() -> Any:
    import mtkahypar

    # One thread: with several, its default preset is not deterministic.
    return mtkahypar, mtkahypar.initialize(1)


def _mt_kahypar(graph: Hypergraph, n_parts: int, capacity: int, seed: int) -> IntArray:
    library, instance = _mt_kahypar_library()
    library.set_seed(seed)
    context = instance.context_from_preset(library.PresetType.DEFAULT)
    slack = capacity * n_parts / int(graph.size.sum()) - 1
    context.set_partitioning_parameters(n_parts, max(slack, 0.0), library.Objective.KM1)
    context.logging = False
    pins = graph.pins.tolist()
    nets = [pins[a:b] for a, b in zip(graph.start[:-1], graph.start[1:], strict=True)]
    made = instance.create_hypergraph(
        context, graph.n, graph.n_nets, nets, graph.size.tolist(), graph.weight.tolist()
    )
    return np.asarray(made.partition(context).get_partition(), dtype=np.int64)


def _improve_groups(
    graph: Hypergraph,
    edges: Affinity,
    part: IntArray,
    n_parts: int,
    capacity: int,
    seed: int,
    anew: bool,
) -> IntArray:
    """Improve all parts, so many at a time that the tables stay small.

    The connectivity of a net is a sum over parts: what a group of parts gains among itself does not
    depend on the others.
    """
    groups = 1
    while (graph.n + graph.n_nets) * n_parts > 2 * _MOST_PAIRS * groups**2:
        groups += 1
    if groups == 1:
        return _improve(graph, edges, part, n_parts, capacity, seed, anew)
    part = part.copy()
    width = -(-n_parts // groups)
    for shift in (0, width // 2):
        for first in range(-shift, n_parts, width):
            low, high = max(first, 0), min(first + width, n_parts)
            inside = np.flatnonzero((part >= low) & (part < high))
            if high - low < 2:
                continue
            few, between = graph.restricted(inside), edges.restricted(inside)
            found = _improve(few, between, part[inside] - low, high - low, capacity, seed, anew)
            part[inside] = found + low
    return part


def _improve(
    graph: Hypergraph,
    edges: Affinity,
    part: IntArray,
    n_parts: int,
    capacity: int,
    seed: int,
    anew: bool,
) -> IntArray:
    cut = graph.connectivity(part, n_parts)
    if cut > _HOPELESS * int(graph.weight.sum()):
        state = MovablePartition(graph, part, n_parts, capacity)
        state.improve((0.25, 0.0), 2, 0.002)
        return state.part
    if anew and cut < _WELL_SEPARATED * int(graph.weight.sum()):
        # Little is cut where METIS missed the best outlines by most: begin anew from clusters,
        # twice, and let the better partition take from the other where that one is better.
        found = []
        for number in range(2):
            part, _ = _cycle(graph, edges, None, n_parts, capacity, seed + number, True)
            found.append((graph.connectivity(part, n_parts), number, part))
        part, other = (part for _, _, part in sorted(found, key=lambda entry: entry[:2]))
        return _cycle(graph, edges, part, n_parts, capacity, seed + 2, True, other)[0]
    for number in range(_MOST_CYCLES):
        part, gain = _cycle(graph, edges, part, n_parts, capacity, seed + number, False)
        if gain < _LEAST_COARSE_GAIN:
            break
    return part


def _cycle(
    graph: Hypergraph,
    edges: Affinity,
    part: IntArray | None,
    n_parts: int,
    capacity: int,
    seed: int,
    easy: bool,
    other: IntArray | None = None,
) -> tuple[IntArray, float]:
    """Coarsen, partition if there is no partition yet, and refine on every level.

    With an ``other`` partition, coarse vertices keep to the parts of both: what the two disagree on
    can be taken from either as a whole.

    Returns the partition and the share of the connectivity that was saved on coarse levels.
    """
    levels: list[tuple[Hypergraph, IntArray]] = []
    n, pins, mean = graph.n, graph.pins.size, -(-int(graph.size.sum()) // n_parts)
    largest = max(1, int(1.5 * mean / _COARSEST))
    while graph.n > _COARSEST * n_parts:
        inside = part if part is None or other is None else part * n_parts + other
        cluster, found = edges.clusters(graph.size, largest, inside, seed + len(levels))
        if found > 0.95 * graph.n:
            break
        levels.append((graph, cluster))
        graph, edges = graph.contracted(cluster, found), edges.contracted(cluster, found)
        if part is not None:
            coarse = np.empty(found, dtype=np.int64)
            coarse[cluster] = part
            part = coarse
        if other is not None:
            coarse = np.empty(found, dtype=np.int64)
            coarse[cluster] = other
            other = coarse
    if part is None:
        part = _metis(Affinity.of_nets(graph), graph.size, n_parts, seed)
    before, gain = graph.connectivity(part, n_parts), 0.0
    # Coarse vertices need room to pass each other; it shrinks level by level.
    spare = max(0, int(mean * (1 + _IMBALANCE)) - capacity)
    deepest = max(len(levels), 1)
    while True:
        room = capacity + spare * len(levels) // deepest
        state = MovablePartition(graph, part, n_parts, room, _DIFFUSIONS if easy else 0)
        # A round costs as much as there are pins: on coarse levels more of them are affordable.
        patience = int(min(3, 2 + 0.5 * (pins / max(graph.pins.size, 1) - 1)))
        temperatures = (0.75, 0.4, 0.0) if easy and levels else (0.25, 0.0)
        state.improve(temperatures, patience, 0.001 if easy else 0.002)
        part = state.part
        if graph.n < n / 4:
            gain = 1 - state.objective / max(before, 1)
        if not levels:
            return part, gain
        graph, cluster = levels.pop()
        part = part[cluster]
