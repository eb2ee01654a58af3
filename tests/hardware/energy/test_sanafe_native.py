"""Energy and time against SANA-FE 2.2.9, which simulates the netlists itself: nothing is forced.

Its integrate-and-fire units integrate weights and fire by themselves; they know no windows, as
cores do not. Where no neuron fires outside of its window
(:mod:`neurodeploy.hardware.cut.windows`) all is equal.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.cut.windows import active_outside
from neurodeploy.hardware.price.activity import membranes_needed
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_traffic
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder
from tests.hardware.energy import sanafe_replay as sf
from tests.hardware.energy.test_sanafe import ABSENT, board_with

pytestmark = pytest.mark.skipif(ABSENT is not None, reason=str(ABSENT))

CLOSE = 1e-6
RESETS = {"zero": "hard", "subtract": "soft"}


def network(*widths: int, T: int, reset: str, theta: int = 7) -> IntegerNetlist:
    rng = np.random.default_rng(sum(widths) + T)
    net = NetlistBuilder(T=T, name="native").input("x", (widths[0],))
    for before, width in pairwise(widths):
        weights = rng.integers(-12, 30, (width, before))
        net = net.dense(weights, threshold=theta * before, reset=reset)
    return net.output()


def simulated(netlist: IntegerNetlist, raster: IntArray, board: Any) -> tuple[Any, Any, Any]:
    """Our report, SANA-FE's result and our record, of one sample."""
    import sanafe

    mapping = partition(netlist, board)
    stimulus = {"x": raster}
    record = run_reference(netlist, stimulus, membranes=membranes_needed(netlist))
    traffic, _ = measure_traffic(mapping, netlist, stimulus, lambda _: record)
    report = estimate(traffic, board, network=netlist.name, mapping=mapping)

    placement = sf.Placement.of(mapping, netlist)
    arch = sf.load_logging_architecture(raster.shape[2])
    cores = [arch.tiles[tile].cores[offset] for tile, offset in placement.cores]
    net, groups = sanafe.Network(), {}
    for population in netlist.populations[1:]:
        model = population.model
        assert isinstance(model, IntegerNeuron)
        assert model.threshold is not None
        name = population.name
        groups[name] = net.create_neuron_group(
            name,
            population.size,
            model_attributes={
                # It fires above its threshold.
                "threshold": float(model.threshold) - 1e-3,
                "reset_mode": RESETS[model.reset],
                "leak_decay": 1.0,
                "reset": 0.0,
            },
            default_synapse_hw_name="loihi_dense_synapse",
            soma_hw_name="loihi_lif",
            log_spikes=True,
        )
        bias = population.spread(model.bias)
        for core, indices in placement.held[name]:
            for i in indices.tolist():
                groups[name][i].set_attributes(model_attributes={"bias": float(bias[i])})
                groups[name][i].map_to_core(cores[core])
    first = netlist.populations[1].name
    for core, held in placement.held[first]:
        units = net.create_neuron_group(f"x {core}", raster.shape[2])
        for i, unit in enumerate(units):
            fires = raster[0, :, i].astype(bool).tolist()
            unit.set_attributes(
                soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": fires}
            )
            unit.map_to_core(cores[core])
        _connect(units, groups[first], netlist.projections[0], held)
    for projection in netlist.projections[1:]:
        every = np.arange(netlist.by_name[projection.post].size)
        _connect(groups[projection.pre], groups[projection.post], projection, every)
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    with contextlib.redirect_stdout(io.StringIO()):
        found = chip.sim(netlist.n_steps, timing_model="simple", spike_trace=True)
    return report, found, record


def _connect(pre: Any, post: Any, projection: Any, targets: IntArray) -> None:
    weights = projection.connectivity.weight
    for j in targets.tolist():
        for i in range(weights.shape[1]):
            pre[i].connect_to_neuron(post[j], {"weight": float(weights[j, i])})


def fired(found: Any, name: str) -> int:
    """Spikes of a group in a trace."""
    return sum(
        str(neuron).split(".")[0] == name for step in found["spike_trace"] for neuron in step
    )


def raster_for(netlist: IntegerNetlist, silent: int) -> IntArray:
    rng = np.random.default_rng(8)
    shape = (1, netlist.timesteps, netlist.populations[0].size)
    raster = (rng.random(shape) < 0.4).astype(np.int64)
    raster[:, netlist.timesteps - silent :] = 0
    return raster


@pytest.mark.parametrize(
    ("netlist", "silent"),
    [
        (network(16, 40, 10, T=34, reset="subtract", theta=12), 16),
        (network(16, 40, 10, T=12, reset="zero"), 0),
        (network(12, 20, 20, 20, 20, 8, T=6, reset="zero"), 0),
        (network(10, 24, 24, 24, 24, 24, 24, 6, T=4, reset="zero", theta=5), 0),
    ],
    ids=["soft reset", "hard reset", "five layers", "seven layers"],
)
def test_energy_and_time_equal_its_own_simulation(netlist: IntegerNetlist, silent: int) -> None:
    board = board_with(neurons=24)
    report, found, record = simulated(netlist, raster_for(netlist, silent), board)
    ours = {name: int((s != 0).sum()) for name, s in record.spikes.items()}
    theirs = {p.name: fired(found, p.name) for p in netlist.populations[1:]}
    assert theirs == {name: ours[name] for name in theirs}
    assert sum(theirs.values()) > 20
    if not silent:
        assert active_outside(netlist, prove_bounds(netlist)) == ([], [])
    assert report.dynamic_j == pytest.approx(found["energy"]["total"], rel=CLOSE)
    assert report.time_s == pytest.approx(found["sim_time"], rel=CLOSE)


def test_spikes_outside_of_windows_are_the_difference() -> None:
    """A positive bias fires on before and after the windows: the verdict told so."""
    netlist = network(16, 40, 10, T=12, reset="zero")
    a = netlist.populations[1]
    biased = replace(a, model=replace(a.model, bias=np.full(40, 30)))
    netlist = replace(netlist, populations=(netlist.populations[0], biased, netlist.populations[2]))
    early, late = active_outside(netlist, prove_bounds(netlist))
    assert (early, late) == ([a.name], [a.name])
    report, found, record = simulated(netlist, raster_for(netlist, 0), board_with(neurons=24))
    ours = int((record.spikes[a.name] != 0).sum())
    assert fired(found, a.name) > ours
    assert found["energy"]["total"] > report.dynamic_j
