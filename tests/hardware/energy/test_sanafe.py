"""Energy and time of mapped runs against SANA-FE 2.2.9, which replays the same spikes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.activity import membranes_needed
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_traffic
from neurodeploy.hardware.price.timing import busy_by_core, step_loads
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import CASES, case
from tests.hardware.energy import sanafe_replay as sf
from tests.hardware.energy.dvs_gesture import dvs_gesture
from tests.hardware.energy.sanafe_replay import Costs, Placement

EXACT = 1e-9


def _absent() -> str | None:
    try:
        installed = importlib.metadata.version("sanafe")
    except importlib.metadata.PackageNotFoundError:
        return f"sanafe is not installed; pip install sanafe=={sf.VERSION} (GPL-3, tests only)"
    if installed != sf.VERSION:
        return f"sanafe {installed} is installed; these tests are about {sf.VERSION}"
    return None


ABSENT = _absent()
pytestmark = pytest.mark.skipif(ABSENT is not None, reason=str(ABSENT))


@pytest.fixture(scope="module")
def costs() -> Costs:
    """SANA-FE's constants, from its own architecture file."""
    return sf.read_costs()


def board_with(neurons: int | None = None) -> Board:
    """``sanafe-loihi`` for weights of any width, with smaller cores if ``neurons`` says so."""
    data = load_board("sanafe-loihi").events_alone().to_dict()
    del data["limits"]["weight_bits"], data["neurons"]
    if neurons is not None:
        data["limits"]["neurons"]["value"] = neurons
    return Board.from_dict(data)


def first_sample(stimulus: Stimulus) -> Stimulus:
    return {name: values[:1] for name, values in stimulus.items()}


def assert_equals_replay(netlist: IntegerNetlist, board: Board, stimulus: Stimulus) -> sf.Counted:
    """Counts to the digit; energy by part and by core, and time step by step, to 1e-9."""
    mapping = partition(netlist, board)
    record = run_reference(netlist, stimulus, membranes=membranes_needed(netlist))
    scene = sf.stage(Placement.of(mapping, netlist), netlist, record)
    found = sf.replay(scene)

    some = stimulus or {"no input": np.zeros((1, 0))}
    traffic, _ = measure_traffic(mapping, netlist, some, lambda _: record)
    report = estimate(traffic, board, network=netlist.name, mapping=mapping)
    events = traffic.events()
    # Input units fire and are updated, at no cost; the host is not a core of ours.
    injected = sum(int(units.fires.sum()) for units in scene.inputs.values())
    assert events["synops"] == found.synops.sum()
    assert events["packets"] == events["packets_received"] == found.packets.sum()
    assert events["hops_x"] + events["hops_y"] == found.hops.sum()
    assert events["spikes"] == found.fired.sum() - injected
    assert events["neuron_updates_active"] == found.updated.sum() - injected
    neurons = sum(core.neurons for core in mapping.cores)
    assert events["neuron_accesses"] == neurons * found.time.size

    assert not found.dendrite.any()
    by_event = {n: 0.0 if j is None else j.likely for n, j in report.energy_by_event_j.items()}
    of_synapses = sum(energy for name, energy in by_event.items() if name.startswith("synops"))
    of_somas = sum(by_event[n] for n in ("neuron_accesses", "neuron_updates_active", "spikes"))
    of_network = sum(by_event[n] for n in ("packets", "hops_x", "hops_y"))
    assert of_synapses == pytest.approx(found.synapse.sum(), rel=EXACT)
    assert of_somas == pytest.approx(found.soma.sum(), rel=EXACT)
    assert of_network == pytest.approx(found.network.sum(), rel=EXACT)
    assert report.dynamic_j == pytest.approx(found.total.sum(), rel=EXACT)
    on_cores = [
        core.energy_j - sum(core.events[n] * (board.energy(n) or 0) for n in ("hops_x", "hops_y"))
        for core in report.cores_detail
        if core.energy_j is not None
    ]
    np.testing.assert_allclose(on_cores, found.core_energy.sum(axis=0), rtol=EXACT, atol=0)

    loads = step_loads(mapping, netlist, record)
    busy, barrier = busy_by_core(loads, board), board.barrier_at(loads.tiles)
    assert busy is not None
    assert barrier is not None
    np.testing.assert_allclose(busy[0].max(axis=1) + barrier.si, found.time, rtol=EXACT, atol=0)
    assert report.time_s == pytest.approx(found.time.sum(), rel=EXACT)
    return found


def test_the_board_holds_the_constants_of_sanafe(costs: Costs) -> None:
    board = load_board("sanafe-loihi")

    def told(event: str) -> object:
        # Unit by unit their files round differently in the last digit.
        return pytest.approx((board.energy(event), board.latency(event)), rel=1e-15)

    assert told("synops_dense") == costs.synapse["loihi_dense_synapse"]
    assert told("synops_sparse") == costs.synapse["loihi_sparse_synapse"]
    assert told("synops_convolution") == costs.synapse["loihi_conv_synapse"]
    assert told("neuron_accesses") == costs.access
    assert told("neuron_updates_active") == costs.update
    assert told("neuron_updates_inactive") == (0.0, 0.0)
    assert told("spikes") == costs.spike
    assert told("packets") == costs.axon_out
    assert told("packets_received") == costs.axon_in
    for event, sides in (("hops_x", ("east", "west")), ("hops_y", ("north", "south"))):
        for side in sides:
            assert board.energy(event) == pytest.approx(costs.hop[side], rel=1e-15)
    for tiles in range(1, board.grid.tiles_per_chip + 1):
        barrier = board.barrier_at(tiles)
        assert barrier is not None
        # Its table holds from an entry on.
        expected = costs.sync[max(n for n in costs.sync if n <= tiles)]
        assert barrier.si == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", CASES)
def test_every_conformance_case_equals_its_replay(name: str) -> None:
    # Random networks are among them, feed-forward and recurrent.
    netlist = case(name).netlist
    assert_equals_replay(netlist, board_with(neurons=12), first_sample(case(name).stimulus))


def test_lenet_equals_its_replay(shared_dir: Path) -> None:
    pytest.importorskip("torch", reason="convert needs torch")
    models = shared_dir / "models"
    if not (models / "lenet_mnist.pt").exists():
        pytest.skip(f"lenet_mnist is not in {models}")
    import neurodeploy as nd
    from neurodeploy.api import stimulus_for

    data = f"mnist:{shared_dir / 'data' / 'mnist'}"
    converted = nd.convert(
        f"{models / 'zoo.py'}:lenet_mnist",
        data,
        weights=models / "lenet_mnist.pt",
        timesteps=8,
        calibration_samples=64,
        method="rate",
    )
    net = nd.quantize(converted, 8)
    stimulus, _ = stimulus_for(net, data, 1)
    found = assert_equals_replay(net.integer, board_with(), stimulus)
    assert found.fired.sum() > 1000


def test_the_dvs_gesture_network_equals_its_replay() -> None:
    """Takes 3 GB: SANA-FE keeps near a kilobyte per synapse."""
    found = assert_equals_replay(dvs_gesture(12), board_with(), {})
    assert found.fired[-2] > 0
    assert found.synops.sum() > 100_000
