"""Counts against every synapse written out, over all the conformance cases."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from neurodeploy.errors import DataError
from neurodeploy.execution import batches
from neurodeploy.hardware.boards.records import COUNTED
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price import measure
from neurodeploy.hardware.price.activity import activity_from_record, membranes_needed
from neurodeploy.hardware.price.measure import (
    measure_activity,
    measure_on_each,
    measure_traffic,
)
from neurodeploy.hardware.price.timing import busy_interval, step_loads
from neurodeploy.hardware.price.traffic import count_traffic
from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import CASES, case
from tests.hardware.mapping.expanded import Expanded, small_board

BOARD = small_board(
    # Nearly every core on a tile of its own, and every fourth tile on the next chip.
    grid={"chips_x": 100, "chips_y": 3, "tiles_x": 2, "tiles_y": 2, "cores_per_tile": 1},
    neurons=12,
)


# They take no time of a core.
ON_THE_WAY = ("hops_x", "hops_y", "chip_crossings")


def run(netlist: IntegerNetlist, stimulus: Stimulus) -> RunRecord:
    return run_reference(netlist, stimulus, membranes=membranes_needed(netlist))


@pytest.mark.parametrize("name", CASES)
def test_events_equal_those_of_the_written_out_synapses(name: str) -> None:
    netlist, stimulus = case(name).netlist, case(name).stimulus
    mapping = partition(netlist, BOARD)
    record = run(netlist, stimulus)
    traffic = count_traffic(mapping, netlist, activity_from_record(netlist, record))
    assert [core.events() for core in traffic.cores] == Expanded(netlist, mapping).events(record)
    loads = step_loads(mapping, netlist, record)
    for event in (e for e in COUNTED if e not in ON_THE_WAY):
        total = [getattr(core, event) for core in traffic.cores]
        assert loads.count(event).sum(axis=(0, 1)).tolist() == total, event


def test_boards_that_map_alike_share_a_count_and_keep_their_own_times(monkeypatch) -> None:
    netlist, stimulus = case("random_recurrent_3").netlist, case("random_recurrent_3").stimulus
    events = {**BOARD.events}
    synops = events["synops"]
    assert synops.latency is not None
    slower = dataclasses.replace(
        synops.latency, value=3 * synops.latency.value, high=3 * synops.latency.high
    )
    events["synops"] = dataclasses.replace(synops, latency=slower)
    boards = BOARD, dataclasses.replace(BOARD, events=events), small_board(neurons=5)
    mappings = [partition(netlist, board) for board in boards]
    counts: list[object] = []

    def counted(*given) -> object:
        counts.append(given)
        return step_loads(*given)

    monkeypatch.setattr(measure, "step_loads", counted)
    together, _ = measure_on_each(mappings, netlist, stimulus, lambda s: run(netlist, s))
    assert len(counts) == 2  # the third is cut otherwise
    alone = [measure_traffic(m, netlist, stimulus, lambda s: run(netlist, s))[0] for m in mappings]
    assert together == alone
    assert alone[0].busy_s != alone[1].busy_s


def test_every_step_has_its_own_events() -> None:
    # What a run cut after t steps counts more than one cut after t - 1 is what step t counts.
    for name in ("random_recurrent_3", "delays_parallel_projections"):
        netlist, stimulus = case(name).netlist, case(name).stimulus
        mapping = partition(netlist, BOARD)
        record = run(netlist, stimulus)
        loads = step_loads(mapping, netlist, record)
        depth = netlist.schedule.depth
        steps = loads.active.shape[1]
        written = Expanded(netlist, mapping)
        for t in range(steps):
            only = {
                p: np.where(
                    (np.arange(record.timesteps) == t - depth[p]).reshape(-1, *[1] * (s.ndim - 2)),
                    s,
                    0,
                )
                for p, s in record.spikes.items()
            }
            found = written.events(dataclasses.replace(record, spikes=only))
            for event in ("synops", "spikes", "packets", "packets_received"):
                expected = [core[event] for core in found]
                assert loads.count(event)[:, t].sum(axis=0).tolist() == expected, (name, t, event)


def test_the_cases_use_several_cores_and_every_event() -> None:
    seen = dict.fromkeys(COUNTED, 0)
    cores = []
    for name in CASES:
        netlist = case(name).netlist
        mapping = partition(netlist, BOARD)
        activity = activity_from_record(netlist, run(netlist, case(name).stimulus))
        for event, count in count_traffic(mapping, netlist, activity).events().items():
            seen[event] += count
        cores.append(mapping.n_cores)
    assert all(seen.values()), seen
    assert max(cores) > 12
    assert np.median(cores) >= 3


def test_batches_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(n for n in CASES if "pool" in n and "sum" not in n)
    netlist, stimulus = case(name).netlist, case(name).stimulus
    mapping = partition(netlist, BOARD)
    whole, activity = measure_traffic(mapping, netlist, stimulus, lambda s: run(netlist, s))
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(batches, "BATCH_BYTES", 2 * 4 * batches.raster_bytes(netlist))
    parts, _ = measure_traffic(
        mapping,
        netlist,
        stimulus,
        lambda s: run(netlist, s),
        progress=lambda n, of: done.append((n, of)),
    )
    assert parts.cores == whole.cores
    for end in ("low", "likely", "high"):
        part, all_of_it = getattr(parts.busy_s, end), getattr(whole.busy_s, end)
        assert part == pytest.approx(all_of_it, rel=1e-12)
    assert done == [(2, 3), (3, 3)]
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)
    again = measure_activity(netlist, stimulus, lambda s: run(netlist, s))
    for population, counts in activity.populations.items():
        np.testing.assert_array_equal(counts.spikes, again.populations[population].spikes)
        np.testing.assert_array_equal(counts.active, again.populations[population].active)


def test_no_samples_is_an_error() -> None:
    netlist, stimulus = next((case(n).netlist, case(n).stimulus) for n in CASES)
    none = {name: values[:0] for name, values in stimulus.items()}
    with pytest.raises(DataError, match="no samples"):
        measure_activity(netlist, none, lambda s: run(netlist, s))


def test_inputs_with_different_numbers_of_samples_are_an_error() -> None:
    cases = (case(n) for n in CASES)
    c = next(c for c in cases if len(c.stimulus) > 1)
    first = next(iter(c.stimulus))
    uneven = {**c.stimulus, first: c.stimulus[first][1:]}
    with pytest.raises(DataError, match=r"samples differ by input: .*; give as many of each"):
        measure_activity(c.netlist, uneven, lambda s: run(c.netlist, s))


def test_an_incomplete_record_is_refused() -> None:
    netlist, stimulus = next((case(n).netlist, case(n).stimulus) for n in CASES)
    hidden = next(p.name for p in netlist.populations if not isinstance(p.model, Input))
    record = run_reference(netlist, stimulus)
    with pytest.raises(ValueError, match=rf"no membranes of '{hidden}'"):
        activity_from_record(netlist, record)


def test_accumulators_rest_until_the_first_spike_reaches_them() -> None:
    window = Window((4,), (2,), (2,), ((0, 0),), (1,))
    one = np.ones(4, dtype=np.int64)
    listed = Sparse(one, np.arange(4), np.arange(4), (1, 4), (1, 4))
    netlist = IntegerNetlist(
        "pool",
        (
            Population("in", (1, 4), Input("spikes", 0, 1)),
            Population("p", (1, 2), MaxPool(1, window)),
        ),
        (IntegerProjection("in", "p", listed, 3),),
        (Output("p", "counts"),),
        5,
    )
    raster = np.zeros((1, 5, 1, 4), dtype=np.int64)
    raster[0, 1, 0, 0] = raster[0, 3, 0, 0] = raster[0, 4, 0, 3] = 1
    found = activity_from_record(netlist, run(netlist, {"in": raster})).populations["p"]
    assert found.accumulators is not None
    # The window opens with the delay: spike t of the input meets step t of the pool.
    assert found.accumulators.tolist() == [[4, 0, 0, 1]]
    assert found.spikes.tolist() == [[2, 1]]
    assert found.active.tolist() == [[4, 1]]


def test_unknown_latency_makes_the_time_unknown() -> None:
    netlist, stimulus = next((case(n).netlist, case(n).stimulus) for n in CASES)
    data = BOARD.to_dict()
    del data["events"]["packets"]["latency"]
    board = type(BOARD).from_dict(data)
    mapping = partition(netlist, board)
    loads = step_loads(mapping, netlist, run(netlist, stimulus))
    assert busy_interval(loads, BOARD) is not None
    assert busy_interval(loads, board) is None
