"""Cuts by lists of neurons: resources and events against every synapse written out."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from neurodeploy.errors import UsageError
from neurodeploy.hardware.cut import listed_cut
from neurodeploy.hardware.cut.assignment import Assignment, Cut
from neurodeploy.hardware.cut.core_map import CoreAllocation, CoreMap, parts_of
from neurodeploy.hardware.cut.demand import RESOURCES, Demand
from neurodeploy.hardware.cut.graph.graph_partition import available
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.cut.tiling import Tiling
from neurodeploy.hardware.price.activity import activity_from_record, membranes_needed
from neurodeploy.hardware.price.timing import step_loads
from neurodeploy.hardware.price.traffic import count_traffic
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import CASES, case
from tests.hardware.mapping.expanded import Expanded, small_board
from tests.hardware.small_networks import recurrent, ring

BOARD = small_board(neurons=12)
needs_partitioner = pytest.mark.skipif(available() is None, reason="no partitioner is installed")


def with_cuts(base: CoreMap, netlist: IntegerNetlist, cuts: dict[str, Cut]) -> CoreMap:
    cores: list[CoreAllocation] = []
    first: dict[str, int] = {}
    for name, cut in cuts.items():
        first[name] = len(cores)
        demand = Demand(netlist, netlist.by_name[name], base.board)
        demand.set_neighbours(cuts, netlist)
        usage = demand.usage(cut).by_resource
        for k, part in enumerate(parts_of(name, cut)):
            used = [int(usage[resource][k]) for resource in RESOURCES]
            cores.append(CoreAllocation(*base.board.grid.tile_of(len(cores)), (part,), *used))
    return dataclasses.replace(base, cores=tuple(cores), tilings=cuts, first=first)


def random_cuts(netlist: IntegerNetlist, base: CoreMap, seed: int) -> dict[str, Cut]:
    rng = np.random.default_rng(seed)
    cuts: dict[str, Cut] = {}
    for name, tiling in base.tilings.items():
        population = netlist.by_name[name]
        if isinstance(population.model, MaxPool) or rng.random() < 0.2:
            cuts[name] = tiling
            continue
        part = rng.integers(0, 5, population.size)
        cuts[name] = Assignment(population.shape, np.unique(part, return_inverse=True)[1])
    return cuts


@pytest.mark.parametrize("name", CASES)
def test_any_population_can_be_cut_by_a_list(name: str) -> None:
    netlist, stimulus = case(name).netlist, case(name).stimulus
    base = partition(netlist, BOARD)
    mapping = with_cuts(base, netlist, random_cuts(netlist, base, len(name)))
    record = run_reference(netlist, stimulus, membranes=membranes_needed(netlist))
    traffic = count_traffic(mapping, netlist, activity_from_record(netlist, record))
    written = Expanded(netlist, mapping)
    for core, expected in zip(traffic.cores, written.events(record), strict=True):
        counted = core.events()
        assert {event: counted[event] for event in expected} == expected
    loads = step_loads(mapping, netlist, record)
    assert loads.synops.sum(axis=(0, 1)).tolist() == [core.synops for core in traffic.cores]
    assert loads.spikes.sum(axis=(0, 1)).tolist() == [core.spikes for core in traffic.cores]
    used = [(u["neurons"], u["input"], u["output"]) for u in written.usage(BOARD)]
    assert [(c.neurons, c.axons_in, c.axons_out) for c in mapping.cores] == used


@needs_partitioner
def test_a_shuffled_ring_is_cut_into_arcs() -> None:
    netlist = recurrent(96, ring(96))
    board = small_board(neurons=12)
    mapping = partition(netlist, board)
    cut = mapping.tilings["a"]
    assert isinstance(cut, Assignment)
    assert cut.n_tiles == 8
    # An arc is reached by 11 of its own 12 neurons, the 3 before it, and the 4 inputs.
    assert [core.axons_in for core in mapping.cores][:8] == [4 + 11 + 3] * 8
    written = Expanded(netlist, mapping).usage(board)
    assert [core.usage() for core in mapping.cores] == [
        {
            "neurons": u["neurons"],
            "synapse_memory_bits": u["memory"],
            "input_axons": u["input"],
            "output_axons": u["output"],
        }
        for u in written
    ]


def alone(connectivity: Sparse) -> IntegerNetlist:
    (n,) = connectivity.shape_in
    model = IntegerNeuron(np.int64(3), np.int64(0), np.int64(0))
    return IntegerNetlist(
        "alone",
        (Population("in", (n,), Input("spikes", 0, 1)), Population("a", (n,), model)),
        (IntegerProjection("in", "a", ring(n)), IntegerProjection("a", "a", connectivity, 1)),
        (Output("a", "counts"),),
        4,
    )


@needs_partitioner
@pytest.mark.parametrize(
    ("resource", "limit"),
    [("neurons", 11), ("input_axons", 17), ("output_axons", 9), ("synapse_memory_bits", 1300)],
)
def test_every_limit_holds_on_every_core(resource: str, limit: int) -> None:
    limits = {"neurons": 20, "input_axons": 40, "output_axons": 40, "synapse_memory_bits": 4000}
    netlist = alone(ring(96))
    fewest = partition(netlist, small_board(**limits)).n_cores
    limits[resource] = limit
    mapping = partition(netlist, small_board(**limits))
    assert mapping.n_cores > fewest
    written = Expanded(netlist, mapping).usage(small_board(**limits))
    for core, expected in zip(mapping.cores, written, strict=True):
        assert list(core.usage().values()) == list(expected.values())
        assert all(used <= limits[name] for name, used in core.usage().items())
    assert sum(core.neurons for core in mapping.cores) == 96


def test_boxes_stay_where_they_need_no_more() -> None:
    n = 24
    chain = Sparse(np.ones(n - 1, dtype=np.int64), np.arange(1, n), np.arange(n - 1), (n,), (n,))
    mapping = partition(recurrent(n, chain), small_board(neurons=12))
    assert isinstance(mapping.tilings["a"], Tiling)


def test_a_population_on_one_core_stays_whole() -> None:
    mapping = partition(recurrent(12, ring(12)), small_board(neurons=12))
    assert mapping.tilings["a"] == Tiling((12,), (12,))


@needs_partitioner
def test_without_a_partitioner_the_mapping_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = recurrent(48, ring(48))
    listed = partition(netlist, BOARD)
    assert not any("partitioner" in note for note in listed.assumptions)
    monkeypatch.setattr(listed_cut, "available", lambda: None)
    mapping = partition(netlist, BOARD)
    assert isinstance(mapping.tilings["a"], Tiling)
    assert [note for note in mapping.assumptions if "no partitioner is installed" in note]


def test_the_cut_is_deterministic() -> None:
    netlist = recurrent(96, ring(96))
    cuts = [partition(netlist, BOARD).tilings["a"] for _ in range(2)]
    np.testing.assert_array_equal(cuts[0].tile_of(), cuts[1].tile_of())


@needs_partitioner
def test_sets_as_json_and_text() -> None:
    mapping = partition(recurrent(96, ring(96)), BOARD)
    cut = mapping.tilings["a"]
    found = json.loads(json.dumps(mapping.to_dict()))["cores"]
    for k in range(cut.n_tiles):
        neurons = np.flatnonzero(cut.tile_of() == k)
        assert found[k]["slices"] == [{"population": "a", "neurons": neurons.tolist()}]
        first = ", ".join(str(i) for i in neurons[:3])
        assert str(mapping.cores[k].slices[0]) == f"a[{first}, ... 12 neurons]"


def test_sums_of_sets() -> None:
    cut = Assignment((2, 3), np.array([2, 0, 1, 1, 0, 2]))
    values = np.arange(12).reshape(2, 2, 3)
    assert cut.sum_by_tile(values).tolist() == [[1 + 4, 2 + 3, 0 + 5], [7 + 10, 8 + 9, 6 + 11]]
    assert [m.tolist() for m in cut.members()] == [[1, 4], [2, 3], [0, 5]]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (np.zeros(5, dtype=np.int64), r"shape \(5,\); expected 6 integers"),
        (np.zeros(6), "dtype float64"),
        (np.array([0, 0, 2, 2, 2, 2]), r"2 sets numbered 0\.\.2; number them 0\.\.1"),
        (np.array([0, -1, 0, 0, 0, 0]), r"numbered -1\.\.0"),
    ],
)
def test_wrong_assignments(part: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Assignment((2, 3), part)
