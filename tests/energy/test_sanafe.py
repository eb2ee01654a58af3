"""Energy and time of mapped runs against SANA-FE 2.2.9, which replays the same spikes."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

import numpy as np
import pytest

from neurodeploy.energy.activity import membranes_needed
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.mapping.partition import partition
from tests.conformance.cases import CASES, case
from tests.energy import sanafe_replay as sf
from tests.energy.sanafe_replay import Costs, Counted, Placement, Scene, Units
from tests.mapping.expanded import small_board

EXACT = 1e-9


@pytest.fixture(scope="module")
def costs() -> Costs:
    """SANA-FE's constants, or a skip where it is not installed."""
    try:
        installed = importlib.metadata.version("sanafe")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sanafe is not installed; pip install sanafe==2.2.9 (GPL-3, tests only)")
    if installed != sf.VERSION:
        pytest.skip(f"sanafe {installed} is installed; these tests are about {sf.VERSION}")
    return sf.read_costs()


def run(netlist: IntegerNetlist, stimulus: Stimulus) -> RunRecord:
    """The first sample alone."""
    first = {name: values[:1] for name, values in stimulus.items()}
    return run_reference(netlist, first, membranes=membranes_needed(netlist))


def by_formula(scene: Scene, costs: Costs) -> Counted:
    """Energies and times of a scene from the published cost model, with nothing of SANA-FE's code.

    ::

        energy = synops e_syn + neurons e_access + updates e_update + spikes e_spike
                 + messages (e_out + e_in) + hops e_hop
        time   = max over cores of max(neurons l_access + updates l_update + spikes l_spike
                 + messages sent l_out,  messages received l_in + synops l_syn) + sync
    """
    place, steps = scene.placement, scene.steps
    shape = (steps, len(place.cores))
    energy, sending, receiving = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    parts = {name: np.zeros(steps) for name in ("synapse", "soma", "network")}
    count = {name: np.zeros(steps, np.int64) for name in ("up", "fired", "sent", "hops", "syn")}
    arrived = {name: np.zeros((steps, u.core.size), bool) for name, u in scene.units.items()}
    reaches: dict[str, AnyArray] = {}
    senders: Mapping[str, Units] = {**scene.units, **scene.inputs}

    for part in scene.synapses:
        source, post = senders[part.pre], scene.units[part.post]
        fires, core = source.fires[:, part.source], post.core[part.target]
        e, latency = costs.synapse[part.unit]
        for step in range(steps):
            here = np.bincount(core[fires[step]], minlength=shape[1])
            energy[step] += here * e
            receiving[step] += here * latency
            parts["synapse"][step] += here.sum() * e
            count["syn"][step] += here.sum()
            if not part.sunk and step + 1 < steps:
                arrived[part.post][step + 1, part.target[fires[step]]] = True
        axons = reaches.setdefault(part.pre, np.zeros((source.core.size, shape[1]), bool))
        axons[part.source, core] = True

    tiles = np.array([tile for tile, _ in place.cores])
    x, y = tiles // 4, tiles % 4
    for name, axons in reaches.items():
        source = senders[name]
        neuron, target = np.nonzero(axons)
        origin = source.core[neuron]
        east, north = x[target] - x[origin], y[target] - y[origin]
        way = np.maximum(east, 0) * costs.hop["east"] + np.maximum(-east, 0) * costs.hop["west"]
        way += (
            np.maximum(north, 0) * costs.hop["north"] + np.maximum(-north, 0) * costs.hop["south"]
        )
        for step in range(steps):
            go = source.fires[step, neuron]
            sent = np.bincount(origin[go], minlength=shape[1])
            got = np.bincount(target[go], minlength=shape[1])
            energy[step] += sent * costs.axon_out[0] + got * costs.axon_in[0]
            sending[step] += sent * costs.axon_out[1]
            receiving[step] += got * costs.axon_in[1]
            parts["network"][step] += way[go].sum()
            parts["network"][step] += go.sum() * (costs.axon_out[0] + costs.axon_in[0])
            count["sent"][step] += go.sum()
            count["hops"][step] += (abs(east) + abs(north))[go].sum()

    for name, units in scene.units.items():
        updates = units.state | units.bias | units.fires | arrived[name]
        for step in range(steps):
            for which, (e, latency) in (
                (np.ones(units.core.size, bool), costs.access),
                (updates[step], costs.update),
                (units.fires[step], costs.spike),
            ):
                here = np.bincount(units.core[which], minlength=shape[1])
                energy[step] += here * e
                sending[step] += here * latency
                parts["soma"][step] += here.sum() * e
            count["up"][step] += updates[step].sum()
            count["fired"][step] += units.fires[step].sum()
    for units in scene.inputs.values():
        count["up"] += units.fires.sum(axis=1)
        count["fired"] += units.fires.sum(axis=1)

    used = [u.core for u in senders.values()]
    mapped = len(np.unique(tiles[np.concatenate(used)]))
    sync = costs.sync[max((n for n in costs.sync if n <= mapped), default=min(costs.sync))]
    return Counted(
        parts["synapse"],
        np.zeros(steps),
        parts["soma"],
        parts["network"],
        sum(parts.values(), np.zeros(steps)),
        np.maximum(sending, receiving).max(axis=1) + sync,
        energy,
        *(count[k] for k in ("up", "fired", "sent", "hops", "syn")),
    )


def assert_equal(found: Counted, expected: Counted) -> None:
    for name in ("updated", "fired", "packets", "hops", "synops"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
    for name in ("synapse", "dendrite", "soma", "network", "total", "time", "core_energy"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=EXACT, atol=0, err_msg=name
        )


@pytest.mark.parametrize("name", CASES)
def test_formula_equals_the_replay_on_every_conformance_case(name: str, costs: Costs) -> None:
    netlist = case(name).netlist
    mapping = partition(netlist, small_board(chips=1, neurons=12))
    scene = sf.stage(Placement.of(mapping, netlist), netlist, run(netlist, case(name).stimulus))
    assert_equal(sf.replay(scene), by_formula(scene, costs))
