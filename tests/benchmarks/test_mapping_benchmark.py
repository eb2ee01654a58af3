"""The networks, figures and tables of benchmarks.mapping."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mapping import __main__ as tables
from benchmarks.mapping.boards import chips, mesh
from benchmarks.mapping.dvs import TUTORIAL_CORES, assigned, dvs_network, price, tutorial
from benchmarks.mapping.measure import measured
from benchmarks.mapping.networks import mobilenet, neurons_of, resnet50, vgg16
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import EventCost
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.price.activity import activity_from_record, membranes_needed
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.timing import busy_interval, step_loads
from neurodeploy.hardware.price.traffic import count_traffic
from neurodeploy.ir.reference import run_reference


def test_networks_have_the_published_shapes() -> None:
    net = vgg16(224)
    convs = [p for p in net.populations if len(p.shape) == 3][1:-1]
    assert [p.shape for p in convs][:4] == [(64, 224, 224)] * 2 + [(128, 112, 112)] * 2
    assert convs[-1].shape == (512, 14, 14)
    assert neurons_of(net) == 13_557_224
    deep = resnet50()
    # 1 + 48 convolutions on the way, 16 sums, of which the last convolution is a part; 2 pools.
    assert len(deep.populations) == 1 + 1 + 1 + 48 + 1 + 1
    assert [p.shape for p in deep.populations][-3:] == [(2048, 7, 7), (2048, 1, 1), (1000,)]
    weights = sum(
        q.connectivity.weight.size for q in deep.projections if hasattr(q.connectivity, "groups")
    )
    # 23,454,912 of convolutions (torchvision's resnet50 without its dense layer and norms).
    assert weights == 23_454_912
    light = mobilenet()
    assert len(light.populations) == 1 + 1 + 26 + 1 + 1
    assert light.populations[-3].shape == (1024, 7, 7)


def test_a_row_of_the_table() -> None:
    row = measured(vgg16(6, (10,)), "mesh")
    assert row["cores"] >= row["bound"] > 0
    assert row["hops_per_packet"]["swaps for energy"] <= row["hops_per_packet"]["index order"]
    assert tables.faults(row) == []
    text = tables.line(row)
    assert text.split()[:4] == ["VGG-16", "at", "6", "mesh"]
    assert tables.layer_lines(row).count("\n") == len(row["layers"]) - 1


def test_what_misses_an_aim_is_named() -> None:
    row = measured(vgg16(6, (10,)), "mesh")
    # The peak is that of the whole process, of all tests before this one.
    row |= {"network": "VGG-16 at 32", "seconds": 6.0, "peak_gb": 1.0}
    row["hops_per_packet"][row["chosen"]] = 3.4
    assert tables.faults(row) == [
        "VGG-16 at 32 on mesh: seconds 6.000, aim 5.0",
        "VGG-16 at 32 on mesh: hops 3.400, aim 3.3",
    ]
    energy, time = row["key"]["spatial tiles"]
    row["key"][row["chosen"]] = (2 * energy, 2 * time)
    assert "VGG-16 at 32 on mesh: spatial tiles is better in both" in tables.faults(row)


def test_a_network_that_fits_no_board_is_a_row_too() -> None:
    row = measured(vgg16(6, (10,)), "loihi1") | {"refused": "too many axons"}
    assert "refused: too many axons" in tables.line(row)
    assert tables.faults(row) == []


def test_cost_against_size_is_plotted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {"neurons": n, "partition_s": n / 1e6, "place_s": n / 1e5, "seconds": n / 9e4}
        for n in (10_000, 1_000_000)
    ]
    assert tables.slopes(rows).endswith(
        "partition ~ neurons^1.00, placement ~ neurons^1.00, all ~ neurons^1.00"
    )
    path = tmp_path / "cost.png"
    assert tables.plot(rows, path) == f"plot: {path}"
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_nothing_is_drawn_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables.arguments([]).plot is None
    assert tables.arguments(["--plot", "cost.png"]).plot == Path("cost.png")
    with pytest.raises(SystemExit):
        tables.arguments(["--plot", "cost.png", "--sizes", ""])
    assert "--sizes names none" in capsys.readouterr().err


def test_boards_are_large_enough() -> None:
    square = mesh(1_000_000).grid
    assert square.tiles_x == square.tiles_y
    assert square.n_cores * 1024 > 1_000_000
    many = chips("loihi1", 768).grid
    assert many.chips >= 768
    assert 0.5 < many.width / many.height < 2


@pytest.fixture(scope="module")
def dvs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like that of the sanafe package, with random kernels of two channels."""
    rng = np.random.default_rng(0)
    widths = [1, 2, 2, 2, 2]
    kernels = {
        f"conv{i}": rng.integers(-20, 60, (3, 3, widths[i - 1], widths[i])) for i in range(1, 5)
    }
    path = tmp_path_factory.mktemp("dvs") / "dvs_challenge.npz"
    np.savez(
        path,
        inputs=rng.integers(0, 100, 1024),
        thresholds=np.array([255, 200, 200, 200, 200, 300]),
        dense1=rng.integers(-20, 40, (9 * 9 * 2, 11)),
        **kernels,
    )
    return path


def test_written_out_prices_equal_the_estimate(dvs: Path) -> None:
    netlist = dvs_network(dvs, 20)
    record = run_reference(netlist, {}, membranes=membranes_needed(netlist))
    board = load_board("sanafe-loihi").events_alone()
    events = dict(board.events)
    # What counts as an active update is tested where it is defined.
    events["neuron_updates_active"] = EventCost(included_in="neuron_accesses")
    board = dataclasses.replace(
        board,
        events=events,
        synapses=None,
        limits={"neurons": dataclasses.replace(board.limits["neurons"], value=100)},
    )
    mapping = partition(netlist, board)
    found = price(netlist, record, assigned(mapping), board)
    traffic = count_traffic(mapping, netlist, activity_from_record(netlist, record))
    busy = busy_interval(step_loads(mapping, netlist, record), board)
    report = estimate(traffic.with_busy_time(busy), board, network="dvs", mapping=mapping)
    assert report.events["spikes"] > 100
    steps = netlist.n_steps
    assert found.joules * steps == pytest.approx(report.dynamic_j, rel=1e-9)
    assert found.seconds * steps == pytest.approx(report.time_s, rel=1e-9)
    assert found.packets * steps == pytest.approx(report.events["packets"], rel=1e-9)


def test_the_tutorial_deals_out_runs_of_neurons(dvs: Path) -> None:
    netlist = dvs_network(dvs, 2)
    given = tutorial(netlist, load_board("sanafe-loihi"))
    assert len(given.positions) == sum(TUTORIAL_CORES) == 42
    first = 0
    for population, cores in zip(netlist.populations, TUTORIAL_CORES, strict=True):
        core = given.core_of[population.name].reshape(population.shape)
        assert sorted(np.unique(core)) == list(range(first, first + cores))
        if len(population.shape) == 3:
            ordered = np.moveaxis(core, 0, -1).reshape(-1)
            assert (np.diff(ordered) >= 0).all()
        sizes = np.bincount(core.reshape(-1) - first)
        assert (sizes[:-1] == population.size // cores).all()
        first += cores
