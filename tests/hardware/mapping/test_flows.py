from __future__ import annotations

import functools

import numpy as np
import pytest

from neurodeploy.hardware.cut.flows import core_flows
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.random_netlists import random_netlist
from tests.hardware.mapping.boards import board, grid
from tests.hardware.mapping.expanded import Expanded

BOARD = board(grid(tiles=(64, 64)), neurons=9)


@functools.cache
def drawn(seed: int) -> tuple[IntegerNetlist, Stimulus]:
    return random_netlist(seed % 2 == 1, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("measured", [False, True])
def test_packets_equal_those_of_the_written_out_synapses(seed: int, measured: bool) -> None:
    netlist, stimulus = drawn(seed)
    mapping = partition(netlist, BOARD)
    spikes = {p.name: np.ones(p.shape, dtype=np.int64) for p in netlist.populations}
    if measured:
        record = run_reference(netlist, stimulus)
        spikes = {name: (s != 0).sum(axis=(0, 1)) for name, s in record.spikes.items()}
    written = Expanded(netlist, mapping)
    reached: dict[tuple[str, str], np.ndarray] = {}
    for projection, counts in zip(netlist.projections, written.fan_out, strict=True):
        if counts is not None:
            pair = projection.pre, projection.post
            reached[pair] = reached.get(pair, np.zeros_like(counts)) | (counts > 0)
    n = mapping.n_cores
    expected, host = np.zeros((n, n), dtype=np.int64), np.zeros(n, dtype=np.int64)
    for (pre, _), counts in reached.items():
        sent = spikes[pre].reshape(-1, 1) * counts
        if pre not in mapping.first:
            host += sent.sum(axis=0)
            continue
        for core, neurons in written.neurons[pre]:
            expected[core] += sent[neurons].sum(axis=0)
    flows = core_flows(mapping, netlist, spikes if measured else None)
    dense = np.zeros_like(expected)
    dense[flows.source, flows.target] = flows.packets
    np.testing.assert_array_equal(dense, expected)
    np.testing.assert_array_equal(flows.from_host, host)
    np.testing.assert_array_equal(flows.sent(), expected.sum(axis=1))
    np.testing.assert_array_equal(flows.received(), expected.sum(axis=0) + host)
    assert flows.total == expected.sum()
    assert flows.measured == measured
    key = flows.source * n + flows.target
    assert (np.diff(key) > 0).all()
    assert (flows.packets > 0).all()


def test_the_cases_have_packets_of_both_kinds() -> None:
    found = [core_flows(partition(drawn(s)[0], BOARD), drawn(s)[0]) for s in range(6)]
    assert min(flows.source.size for flows in found) >= 3
    assert any((flows.source == flows.target).any() for flows in found)
    assert any(flows.from_host.any() for flows in found)
