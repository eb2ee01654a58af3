"""Counts from rates: the laws they follow, and exact runs that have those rates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import COUNTED
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.activity import Activity, activity_from_record, membranes_needed
from neurodeploy.hardware.price.analytic import (
    estimated_activity,
    expected_loads,
    expected_traffic,
    rates_from_activations,
)
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.timing import StepLoads, busy_interval, step_loads
from neurodeploy.hardware.price.traffic import count_traffic
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from tests.conformance.cases import CASES, case
from tests.hardware.mapping.expanded import small_board

BOARD = small_board(neurons=12)
SAME = Window((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))


def rates_of(activity: Activity) -> dict[str, FloatArray]:
    """Rates that a run had, neuron by neuron, as the estimate takes them."""
    steps = activity.samples * activity.timesteps
    return {name: done.spikes / steps for name, done in activity.populations.items()}


def neuron(threshold: int = 1, bias: Any = 0, v0: Any = 0, **options: Any) -> IntegerNeuron:
    return IntegerNeuron(np.array(threshold), np.array(bias), np.array(v0), **options)


def ones(*shape: int) -> Any:
    return np.ones(shape, dtype=np.int64)


def chain(
    *links: tuple[Connectivity, Any], timesteps: int = 8, kind: Any = "spikes"
) -> IntegerNetlist:
    """Input of the first link's shape, then a population ``p<k>`` behind each link."""
    populations = [Population("in", links[0][0].pre_shape, Input(kind, 0, 1))]
    projections = []
    for k, (link, model) in enumerate(links, 1):
        shape = model.output_shape if isinstance(model, MaxPool) else link.post_shape
        populations.append(Population(f"p{k}", shape, model))
        projections.append(IntegerProjection(populations[k - 1].name, f"p{k}", link))
    outputs = (Output(populations[-1].name, "counts"),)
    return IntegerNetlist("chain", tuple(populations), tuple(projections), outputs, timesteps)


def run(netlist: IntegerNetlist, raster: Any) -> RunRecord:
    return run_reference(netlist, {"in": raster}, membranes=membranes_needed(netlist))


def rasters(netlist: IntegerNetlist, rate: float, samples: int) -> Any:
    shape = (samples, netlist.timesteps, *netlist.by_name["in"].shape)
    return (np.random.default_rng(7).random(shape) < rate).astype(np.int64)


def everywhere(netlist: IntegerNetlist, rate: float) -> dict[str, Any]:
    return {p.name: rate for p in netlist.populations}


@pytest.mark.parametrize("name", CASES)
def test_rates_of_a_run_give_its_spikes_back(name: str) -> None:
    netlist, stimulus = case(name).netlist, case(name).stimulus
    record = run_reference(netlist, stimulus, membranes=membranes_needed(netlist))
    exact = activity_from_record(netlist, record)
    again = estimated_activity(netlist, rates_of(exact), exact.samples)
    for population in netlist.populations:
        mine = again.populations[population.name]
        np.testing.assert_array_equal(mine.spikes, exact.populations[population.name].spikes)
        assert (mine.active <= exact.samples * netlist.n_steps).all()
        assert (mine.active >= mine.spikes).all() or isinstance(population.model, Input | MaxPool)
    mapping = partition(netlist, BOARD)
    counted, expected = (count_traffic(mapping, netlist, a).events() for a in (exact, again))
    for event in set(COUNTED) - {"neuron_updates_active", "neuron_updates_inactive"}:
        assert expected[event] == counted[event]


def test_synops_are_rate_times_synapses_times_steps() -> None:
    netlist = chain(
        (Conv(ones(4, 2, 3, 3), 2, SAME), neuron(bias=1)),
        (SumPool(ones(4), Window((6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))), neuron()),
        (Dense(ones(5, 36), (4, 3, 3)), neuron()),
    )
    rates = {"in": 0.25, "p1": 0.5, "p2": 0.125, "p3": 1.0}
    activity = estimated_activity(netlist, rates, samples=3)
    mapping = partition(netlist, BOARD)
    traffic = expected_traffic(mapping, netlist, activity)
    synapses = [q.connectivity.n_synapses for q in netlist.projections]
    expected = [r * n * 8 * 3 for r, n in zip(rates.values(), synapses, strict=False)]
    assert traffic.events()["synops"] == sum(expected)
    sizes = [p.size for p in netlist.populations[1:]]
    fired = [r * n * 8 * 3 for r, n in zip(list(rates.values())[1:], sizes, strict=True)]
    assert traffic.events()["spikes"] == sum(fired)
    report = estimate(traffic, BOARD, network="chain")
    assert report.events["synops"] == sum(expected) / 3
    assert report.time_s is not None


@pytest.mark.parametrize("rate", [0.013, 0.3])
@pytest.mark.parametrize(
    "link",
    [
        Dense(ones(10, 18), (18,)),
        Conv(ones(4, 1, 3), 2, Window((9,), (3,), (2,), ((1, 1),), (1,)), 2),
        Sparse(ones(5), np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 3]), (18,), (4,)),
        SumPool(ones(2), Window((9,), (3,), (3,), ((0, 0),), (1,))),
    ],
    ids=["dense", "conv", "sparse", "sumpool"],
)
def test_updates_are_active_from_the_first_arrival_on(link: Connectivity, rate: float) -> None:
    netlist = chain((link, neuron(threshold=1000)))
    exact = activity_from_record(netlist, run(netlist, rasters(netlist, rate, 3000)))
    expected = estimated_activity(netlist, {"in": rate, "p1": 0.0}, 3000)
    mine, theirs = (a.populations["p1"].active for a in (expected, exact))
    # Six standard deviations of a neuron's count, which is at most T in each of 3000 samples.
    assert np.abs(mine - theirs).max() < 6 * 8 * 0.5 * 3000**0.5
    assert mine.sum() == pytest.approx(theirs.sum(), rel=0.05)


def test_bias_initial_membrane_and_certain_sources_keep_neurons_active() -> None:
    link = Dense(ones(3, 2), (2,))
    still = {"in": 0.0, "p1": 0.0}
    biased = chain((link, neuron(bias=[0, 1, 0], v0=[0, 0, -5], threshold=9)))
    # In the step before the window as well.
    assert estimated_activity(biased, still, 2).populations["p1"].active.tolist() == [0, 18, 18]
    certain = chain((link, neuron(threshold=9)))
    rates = {"in": np.array([1.0, 0.0]), "p1": 0.0}
    assert estimated_activity(certain, rates, 2).populations["p1"].active.tolist() == [16] * 3


def test_a_current_input_lasts_for_the_window() -> None:
    netlist = chain((Dense(ones(3, 2), (2,)), neuron(threshold=9)), kind="current")
    activity = estimated_activity(netlist, {"in": 0.5, "p1": 0.0}, 4)
    # A quarter of the samples has no value at all; the others keep every neuron busy all along.
    assert activity.populations["p1"].active.tolist() == [24] * 3
    assert activity.populations["in"].spikes.tolist() == [16] * 2


def test_accumulators_of_pools_follow_the_same_law() -> None:
    pool = MaxPool(2, Window((6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)))
    link = Sparse(ones(72), np.arange(72), np.arange(72), (2, 6, 6), (2, 6, 6))
    netlist = chain((link, pool))
    record = run(netlist, rasters(netlist, 0.05, 3000))
    exact = activity_from_record(netlist, record).populations["p1"]
    rates = {"in": 0.05, "p1": rates_of(activity_from_record(netlist, record))["p1"]}
    mine = estimated_activity(netlist, rates, 3000).populations["p1"]
    assert mine.accumulators is not None
    assert exact.accumulators is not None
    assert mine.accumulators.sum() == pytest.approx(exact.accumulators.sum(), rel=0.02)
    assert mine.active.sum() == pytest.approx(exact.active.sum(), rel=0.02)


def busy_seconds(loads: StepLoads, board: Board) -> float:
    found = busy_interval(loads, replace(board, lockstep=True))
    assert found is not None
    return found.likely


@pytest.mark.parametrize("board", ["loihi1", "sanafe-loihi"])
def test_time_is_exact_where_all_steps_are_alike(board: str) -> None:
    """Every neuron fires in every step of its window and is busy in all others."""
    always = neuron(reset="zero", bias=1)
    netlist = chain(
        (Conv(ones(4, 2, 3, 3), 2, SAME), always), (Dense(ones(5, 144), (4, 6, 6)), always)
    )
    raster = np.ones((2, 8, 2, 6, 6), dtype=np.int64)
    record = run(netlist, raster)
    assert all(spikes.all() for spikes in record.spikes.values())
    priced = load_board(board)
    mapping = partition(netlist, small_board(neurons=40))
    activity = estimated_activity(netlist, everywhere(netlist, 1.0), 2)
    expected = busy_seconds(expected_loads(mapping, netlist, activity), priced)
    assert expected == pytest.approx(busy_seconds(step_loads(mapping, netlist, record), priced))


def test_time_is_a_lower_bound_and_loads_add_up_to_the_counts() -> None:
    netlist = chain(
        (Conv(ones(4, 2, 3, 3), 2, SAME), neuron(threshold=9)),
        (Dense(ones(5, 144), (4, 6, 6)), neuron(threshold=30)),
    )
    mapping = partition(netlist, small_board(neurons=40))
    record = run(netlist, rasters(netlist, 0.2, 20))
    exact = activity_from_record(netlist, record)
    counted = busy_seconds(step_loads(mapping, netlist, record), mapping.board)
    expected = busy_seconds(expected_loads(mapping, netlist, exact), mapping.board)
    assert 0.3 * counted < expected < counted
    loads = expected_loads(mapping, netlist, exact)
    traffic = count_traffic(mapping, netlist, exact)
    updates = loads.count("neuron_updates_active") + loads.count("neuron_updates_inactive")
    for load, event in (
        (loads.synops, "synops"),
        (loads.spikes, "spikes"),
        (loads.packets, "packets"),
        (loads.received, "packets_received"),
        (loads.active, "neuron_updates_active"),
        (updates, "neuron_accesses"),
    ):
        total = [getattr(core, event) for core in traffic.cores]
        assert load.sum(axis=(0, 1)) == pytest.approx(total)


def test_whole_counts_keep_their_sum() -> None:
    netlist = chain((Dense(ones(10, 18), (18,)), neuron()))
    for rate in (0.01, 0.07, 0.33):
        spikes = estimated_activity(netlist, everywhere(netlist, rate)).populations["in"].spikes
        off = np.cumsum(spikes) - np.cumsum(np.full(18, rate * 8))
        assert np.abs(off).max() <= 0.5 + 1e-9
        assert spikes.min() >= 0


def test_integrators_need_no_rate_and_everything_else_does() -> None:
    reads = IntegerNeuron(None, np.array(0), np.array(0))
    netlist = IntegerNetlist(
        "read",
        (Population("in", (2,), Input("spikes", 0, 1)), Population("out", (3,), reads)),
        (IntegerProjection("in", "out", Dense(ones(3, 2), (2,))),),
        (Output("out", "membrane"),),
        4,
    )
    activity: Activity = estimated_activity(netlist, {"in": 0.5, "out": 0.7})
    assert not activity.populations["out"].spikes.any()
    for rates, message in (
        ({}, "population 'in': no rate is given"),
        ({"in": 1.2}, r"'in': rate 1.2 to 1.2; expected shares of steps in \[0, 1\]"),
        ({"in": np.nan}, "expected shares"),
        ({"in": np.zeros(3)}, "population 'in': rate"),
    ):
        with pytest.raises(UsageError, match=message):
            estimated_activity(netlist, rates)
    with pytest.raises(UnknownNameError, match="inn"):
        estimated_activity(netlist, {"in": 0.5, "inn": 0.5})
    with pytest.raises(UsageError, match="0 samples"):
        estimated_activity(netlist, {"in": 0.5}, 0)


def coded_network(threshold: int, v0: int) -> tuple[IntegerNetlist, Any, dict[str, Any]]:
    """Two layers behind pixels of unit 1/255, the samples, and what the source network computes.

    The first neurons have constant input and code the pixel, above one spike a step at the top.
    """
    pixels = np.random.default_rng(3).integers(0, 256, (40, 1, 3, 3))
    pixels[:, 0, 0] = 0
    window = Window((3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    unit = np.array(threshold / 255)
    netlist = IntegerNetlist(
        "coded",
        (
            Population("in", (1, 3, 3), Input("current", 0, 255), np.array(1 / 255), "x"),
            Population("first", (1, 3, 3), neuron(threshold, 0, v0), unit, "relu"),
        ),
        (IntegerProjection("in", "first", Conv(ones(1, 1, 1, 1), 1, window)),),
        (Output("first", "counts"),),
        16,
    )
    values = pixels / 255
    return netlist, pixels, {"x": values, "relu": values}


@pytest.mark.parametrize(("threshold", "v0"), [(100, 50), (255, 0), (300, 299)])
def test_activations_give_the_rates_of_neurons_with_constant_input(threshold: int, v0: int) -> None:
    netlist, pixels, activations = coded_network(threshold, v0)
    exact = activity_from_record(netlist, run(netlist, pixels))
    rates = rates_from_activations(netlist, activations)
    np.testing.assert_allclose(rates["first"], rates_of(exact)["first"], atol=1e-12)
    np.testing.assert_array_equal(rates["in"], (pixels != 0).mean(axis=0))
    mine = estimated_activity(netlist, rates, exact.samples).populations["first"]
    np.testing.assert_array_equal(mine.spikes, exact.populations["first"].spikes)


def test_a_mean_stands_in_for_activations_of_no_node() -> None:
    netlist, _, _ = coded_network(100, 50)
    mean = np.random.default_rng(4).uniform(0.0, 0.6, (1, 3, 3)).astype(np.float32)
    told = tuple(replace(p, source=None, mean=mean) for p in netlist.populations)
    rates = rates_from_activations(replace(netlist, populations=told), {})
    expected = rates_from_activations(netlist, {"x": mean[None], "relu": mean[None]})
    assert 0 < expected["first"].min() < expected["first"].max() == 1
    for name, rate in expected.items():
        np.testing.assert_array_equal(rates[name], rate)


def test_activations_that_do_not_tell_rates_are_refused() -> None:
    netlist, _, activations = coded_network(100, 50)
    for change, given, message in (
        ({}, {"x": activations["x"]}, "'first': no activations of 'relu'"),
        ({"unit": None}, activations, "'first': no source network is known; give its rate"),
        ({"source": None}, activations, "'first': no source network is known"),
        ({"coding": "sum"}, activations, "'first': its spikes code changes"),
    ):
        populations = (netlist.populations[0], replace(netlist.populations[1], **change))
        with pytest.raises(UsageError, match=message):
            rates_from_activations(replace(netlist, populations=populations), given)
