"""Partition: every population cut into a grid of boxes that respects all limits at once.

Assumptions, on the safe side where a chip could do better:

- one population per core; a core holds one box of it or, of populations with listed synapses that
  gain by it, any set of its neurons (:mod:`neurodeploy.hardware.cut.listed_cut`);
- an input axon per source neuron and projection, an output axon per source neuron, projection and
  destination core; where the board says so, one axon serves channels of one position that lie on
  one core and reach the same cores;
- synapse memory by the board's format, at each projection's own weight width; kernels of
  convolutions and pools are stored once per core and pattern where the board shares them,
  everything else is stored synapse by synapse;
- a max-pooling population takes one neuron per output and one per accumulator that its windows
  cover;
- a neuron takes as many compartments as the board builds it of, each of them a neuron of the core;
- a ``current`` input takes no synapses and no axons: the host writes its contribution as biases.

A limit that the board file leaves unknown is not checked; the mapping says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.cut.assignment import Cut
from neurodeploy.hardware.cut.bounds import channel_limits, layer_bounds
from neurodeploy.hardware.cut.core_map import CoreAllocation, CoreMap, parts_of
from neurodeploy.hardware.cut.demand import REMEDIES, RESOURCE_WORDS, RESOURCES, Demand, on_chip
from neurodeploy.hardware.cut.listed_cut import cut_listed, cut_notes, known_cuts
from neurodeploy.hardware.cut.tiling import Tiling, tile_sizes
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.neurons import Input, MaxPool


@dataclass(frozen=True, slots=True)
class Preference:
    """Objective among the cuts that fit.

    Parameters
    ----------
    least : mapping of population to int
        Cores that a population gets at least, to spread its work.
    slack : float
        Cuts into so many times the fewest boxes count as well.
    spikes : mapping of population to int64 ``shape`` or None
        How often every neuron fired: the cut with the fewest packets. None: with the fewest input
        axons, which are the packets if every neuron fires alike.
    by_channels : bool
        Before all that, boxes of few channels and many positions: they are busy more evenly.
    together : int
        Instead, boxes of many channels of a position, so many at most; none are cut by graphs. 0:
        not asked.
    known : mapping of population to sequence of Tiling or Assignment
        Cuts made before: the one with the fewest cores is taken, of those that have enough of them
        and fit. Cuts by a graph take time and do not depend on the rest of the preference.
    """

    least: Mapping[str, int] = field(default_factory=dict)
    slack: float = 1.0
    spikes: Mapping[str, IntArray] | None = None
    by_channels: bool = False
    together: int = 0
    known: Mapping[str, Sequence[Cut]] = field(default_factory=dict)


_NEAR_BOUND = 1.02
_SLACK = 1.15


def partition(
    netlist: IntegerNetlist, board: Board, preference: Preference | None = None
) -> CoreMap:
    """Cut a netlist into cores of a neurocore board and lay them in row-column order.

    Boxes of a population are chosen with the fewest cores and, among those, the fewest input
    axons, if no other preference is given; where output axons take more cores than the bounds
    tell, a little more room for fewer axons is tried as well. Cores are numbered in the order of
    execution, so that populations that talk to each other lie near each other; core k lies on the
    tile ``board.grid.tile_of(k)``.

    Parameters
    ----------
    netlist : IntegerNetlist
    board : Board
    preference : Preference, optional
        Without one, the fewest cores by any of them.

    Raises
    ------
    CapacityError
        With population, resource, use and limit, if one neuron alone exceeds a core, if a width or
        a delay exceeds the board's, or if the board has too few cores.
    UsageError
        For a board of another kind.
    """
    check_board(netlist, board)
    tilings = _cut_either_way(netlist, board, preference or Preference())
    if preference is None and board.limit("output_axons") is not None:
        # A layer of a few cores more with fewer input axons can save many cores of its sources.
        bound = sum(b.cores for b in layer_bounds(netlist, board).values())
        if _cores(tilings) > _NEAR_BOUND * bound:
            known = known_cuts(netlist, [tilings])
            other = _cut_either_way(netlist, board, Preference(slack=_SLACK, known=known))
            tilings = min(tilings, other, key=_cores)
    return mapping_of(netlist, board, tilings)


def _cores(tilings: Mapping[str, Cut]) -> int:
    return sum(tiling.n_tiles for tiling in tilings.values())


def check_board(netlist: IntegerNetlist, board: Board) -> None:
    """Raise what :func:`partition` raises for the kind of board, and for widths and delays."""
    if board.kind != "neurocore":
        raise UsageError(
            f"board {board.name}: {board.kind} cores are filled by 'neurodeploy compile'; "
            "partition takes neurocore boards"
        )
    _check_projections(netlist, board)


def mapping_of(netlist: IntegerNetlist, board: Board, tilings: Mapping[str, Cut]) -> CoreMap:
    """Mapping with populations cut as told, in row-column order; limits are not checked.

    Raises
    ------
    CapacityError
        If the board has too few cores.
    """
    cores: list[CoreAllocation] = []
    first: dict[str, int] = {}
    for name in netlist.schedule.order:
        if name not in tilings:
            continue
        first[name] = len(cores)
        demand = Demand(netlist, netlist.by_name[name], board)
        demand.set_neighbours(tilings, netlist)
        usage = demand.usage(tilings[name]).by_resource
        columns = [usage[resource].tolist() for resource in RESOURCES]
        for part, *used in zip(parts_of(name, tilings[name]), *columns, strict=True):
            chip, x, y = board.grid.tile_of(len(cores))
            cores.append(CoreAllocation(chip, x, y, (part,), *used))
    _check_cores(netlist, board, tilings, len(cores))
    return CoreMap(
        board,
        netlist.name,
        tuple(cores),
        dict(tilings),
        first,
        layer_bounds(netlist, board),
        _assumptions(netlist, board),
    )


def _check_projections(netlist: IntegerNetlist, board: Board) -> None:
    for projection, delay in zip(netlist.projections, netlist.schedule.delays, strict=True):
        if not on_chip(netlist, projection):
            continue
        for what, used, limit, remedy in (
            ("weight bits", projection.weight_bits, board.limit("weight_bits"), "quantize lower"),
            ("delay", delay, board.limit("delay_max"), "shorten the path beside it"),
        ):
            if limit is not None and used > limit:
                raise CapacityError(
                    f"{projection.label}: {what} {used} exceeds {limit} of board {board.name}; "
                    f"{remedy} or choose another board"
                )


class _AxonsError(CapacityError):
    """A neuron has more input axons than a core, as its sources are cut."""


def _cut_either_way(
    netlist: IntegerNetlist, board: Board, preference: Preference
) -> dict[str, Cut]:
    """All populations cut; where a target has no room for axons, once more with channels together.

    Channels of one position can share an axon where they lie in one box, and nothing else tells
    boxes of as many neurons apart whose inputs the host writes.
    """
    try:
        return _cut_all(netlist, board, preference)
    except _AxonsError as error:
        storage = board.synapses
        if storage is None or storage.channels_per_axon == 1:
            raise
        together = replace(preference, together=storage.channels_per_axon, known={})
        with contextlib.suppress(CapacityError):
            return _cut_all(netlist, board, together)
        raise error from None


def _cut_all(netlist: IntegerNetlist, board: Board, preference: Preference) -> dict[str, Cut]:
    populations = [
        netlist.by_name[name]
        for name in reversed(netlist.schedule.order)
        if not isinstance(netlist.by_name[name].model, Input)
    ]
    demands = {p.name: Demand(netlist, p, board) for p in populations}
    most = {
        p.name: np.minimum.reduce(list(channel_limits(netlist, p, board).values()))
        for p in populations
    }
    tilings: dict[str, Cut] = {}
    # Finer targets need more output axons of their sources, and inside a cycle a target is cut
    # after its source: repeat until nothing changes. Cuts only become finer, so this ends.
    while True:
        before = dict(tilings)
        for population in populations:
            demand = demands[population.name]
            demand.set_neighbours(tilings, netlist)
            current = tilings.get(population.name)
            if current is None or demand.usage(current).excess(board) is not None:
                fewest = preference.least.get(population.name, 1)
                if current is not None:
                    fewest = current.n_tiles + 1
                known = preference.known.get(population.name, ())
                cut: Cut | None = None
                if not preference.together:
                    cut = _known(known, demand, board, fewest) or cut_listed(
                        netlist, population, demand, board, fewest, tilings
                    )
                tilings[population.name] = cut or _cut(
                    population, demand, board, fewest, most[population.name], preference
                )
        if tilings == before:
            return tilings


def _known(cuts: Sequence[Cut], demand: Demand, board: Board, least: int) -> Cut | None:
    for cut in sorted(cuts, key=lambda c: c.n_tiles):
        if cut.n_tiles >= least and demand.usage(cut).excess(board) is None:
            return cut
    return None


def _cut(
    population: Population,
    demand: Demand,
    board: Board,
    least: int,
    most: IntArray,
    preference: Preference,
) -> Tiling:
    best: tuple[tuple[int, int], Tiling] | None = None
    allowed = 0
    for group in _candidates(population, least, most):
        if best is not None and group[0].n_tiles > allowed:
            break
        for tiling in group:
            if not demand.may_fit(tiling):
                continue
            usage = demand.usage(tiling)
            if usage.excess(board) is not None:
                continue
            if preference.spikes is None:
                packets = int(usage.by_resource["input_axons"].sum())
            else:
                packets = demand.packets(tiling, preference.spikes)
            rank = (tiling.tile[0] if preference.by_channels else 0, packets)
            if preference.together:
                rank = (-min(tiling.tile[0], preference.together), packets)
            if best is None:
                allowed = int(tiling.n_tiles * preference.slack)
            if best is None or rank < best[0]:
                best = rank, tiling
    if best is not None:
        return best[1]
    alone = Tiling(population.shape, (1,) * len(population.shape))
    excess = demand.usage(alone).excess(board)
    assert excess is not None  # the single neurons were the last candidate
    resource, used, limit = excess
    kind = _AxonsError if resource == "input_axons" else CapacityError
    raise kind(
        f"{population.name}: a single neuron needs {used} {RESOURCE_WORDS[resource]}, a core of "
        f"board {board.name} has {limit}; {REMEDIES[resource]}"
    )


def _candidates(population: Population, least: int, most: IntArray) -> Iterator[list[Tiling]]:
    """Cuts by rising number of cores; cuts of equally many stand together.

    ``most``: channels that a box may have, by its other lengths (:func:`channel_limits`).
    """
    shape = population.shape
    sizes = [
        np.array([t for t in tile_sizes(n) if axis == 0 or t <= most.shape[axis - 1]])
        for axis, n in enumerate(shape)
    ]
    tile = np.stack(np.meshgrid(*sizes, indexing="ij"), axis=-1).reshape(-1, len(shape))
    fits = tile[:, 0] <= most[tuple(tile[:, 1:].T - 1)]
    parts = (-(-np.array(shape) // tile)).prod(axis=1)
    chosen = fits & (parts >= least)
    if not chosen.any():
        yield [Tiling(shape, (1,) * len(shape))]
        return
    tile, parts = tile[chosen], parts[chosen]
    order = np.lexsort((*tile.T[::-1], parts))
    starts = np.flatnonzero(np.diff(parts[order], prepend=-1))
    for group in np.split(tile[order], starts[1:]):
        yield [Tiling(shape, tuple(row)) for row in group.tolist()]


def _check_cores(
    netlist: IntegerNetlist, board: Board, tilings: Mapping[str, Cut], used: int
) -> None:
    if used <= board.grid.n_cores:
        return
    largest = max(tilings, key=lambda name: tilings[name].n_tiles)
    raise CapacityError(
        f"{netlist.name}: {used} cores exceed {board.grid.n_cores} of board {board.name} (most by "
        f"{largest}: {tilings[largest].n_tiles}); use fewer weight bits, a smaller network or a "
        "board with more chips"
    )


def _assumptions(netlist: IntegerNetlist, board: Board) -> tuple[str, ...]:
    storage = board.synapses
    shared = 1 if storage is None else storage.channels_per_axon
    axons = f"up to {shared} channels of a position" if shared > 1 else "source neuron"
    notes = [f"one population per core; an axon per {axons} and projection"]
    if storage is None:
        notes.append("synapse memory not checked: the board gives no format")
    elif storage.shared_convolution:
        notes.append("convolution kernels stored once per core and border pattern")
    notes += [
        f"{RESOURCE_WORDS[resource]} not checked: unknown for this board"
        for resource in RESOURCES
        if board.limit(resource) is None
    ]
    notes += cut_notes(netlist)
    for population in netlist.populations:
        model = population.model
        if population.is_current_input:
            notes.append(
                f"{population.name}: current input, computed on the host and written as biases "
                "once per sample"
            )
        elif isinstance(model, MaxPool):
            notes.append(
                f"{population.name}: max-pooling costed as a neuron per output and per accumulator"
            )
    return tuple(notes)
