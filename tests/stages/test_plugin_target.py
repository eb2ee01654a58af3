"""A target of another distribution: priced as itself, listed, and told by its own name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.errors import CapacityError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.netlist import IntegerNetlist, Output
from neurodeploy.network import Network
from neurodeploy.stages.fit import fit_layer_bits
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.registry import TARGETS, target_for
from tests.verification.networks import dataset, layered, packed

# It counts three events a core, and holds 50 neurons: no other target does.
PLUGIN = '''
import json
from typing import ClassVar

import numpy as np

from neurodeploy.hardware.price.traffic import CoreTraffic, Traffic
from neurodeploy.ir.record import RunRecord
from neurodeploy.targets.base import Deployment, Target, Violation


class GridDeployment(Deployment):
    target = "grid"

    def _run(self, request, progress):
        self.fed = sum(int(v.sum()) for v in request.stimulus.values())
        self.batch = request.batch
        return RunRecord(request.netlist.timesteps, {}, {})

    def traffic(self):
        core = CoreTraffic(0, 0, 0, "everything", 40, self.fed, 0, 7, 0, 0, 0, 0, 0)
        return Traffic((core,), self.batch, 100, self.fed)

    def utilization(self):
        return {"cores": 1}

    def write_files(self, folder):
        (folder / "grid.json").write_text(json.dumps({}))


class GridTarget(Target):
    """A grid.

    Options
    -------
    speed : int
        How fast.
    """

    name: ClassVar[str] = "grid"
    summary: ClassVar[str] = "a grid of cores"
    option_defaults = {"speed": 1}
    default_board = "truenorth"
    board_kind = "crossbar"

    @classmethod
    def unavailable(cls):
        return None

    def check(self, netlist, board, options):
        n = sum(p.size for p in netlist.populations)
        return [Violation("everything", "neurons", n, 50, "use fewer")] if n > 50 else []

    def lower(self, network, board, options):
        return GridDeployment(network, board, options)

    def load(self, folder, network, board, options):
        return GridDeployment(network, board, options)
'''


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with an entry point, installed for the test."""
    (tmp_path / "neurodeploy_grid.py").write_text(PLUGIN)
    information = tmp_path / "neurodeploy_grid-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[neurodeploy.targets]\n"
        "a-broken-one = neurodeploy_gone:X\n"
        "grid = neurodeploy_grid:GridTarget\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def fed(net: Network, samples: int) -> int:
    from neurodeploy.stages.samples import stimulus_for

    stimulus, _ = stimulus_for(net, dataset(), samples)
    return sum(int(v.sum()) for v in stimulus.values())


def test_it_is_priced_as_itself(tmp_path: Path) -> None:
    net = packed(layered())
    deployment = nd.compile(net, "grid")
    nd.save(deployment, tmp_path / "out.grid")
    assert load_deployment(tmp_path / "out.grid").target == "grid"
    want = fed(net, 3) / 3
    for thing, options in (
        (deployment, {}),
        (str(tmp_path / "out.grid"), {}),
        (net, {"target": "grid"}),
    ):
        report = nd.estimate_energy(thing, "truenorth", dataset(), 3, **options)
        assert report.events["synops"] == want > 0
        assert report.events["neuron_updates_inactive"] == 7 / 3
        assert report.cores == 1
    built_in = nd.estimate_energy(net, "truenorth", dataset(), 3)
    assert built_in.events["neuron_updates_inactive"] > 7 / 3


def test_a_plugin_takes_no_board_from_the_targets_that_come_with_neurodeploy() -> None:
    board = load_board("truenorth")
    assert target_for(board) == "truenorth"
    assert target_for(board, "grid") == "grid"
    assert target_for(board, "brian2") == "truenorth"
    assert target_for(load_board("loihi1"), "grid") == "lava"
    assert list(TARGETS.entries())[: len(TARGETS.built_in)] == list(TARGETS.built_in)
    with pytest.raises(UnknownNameError, match=r"unknown target 'gird'.*did you mean 'grid'"):
        target_for(board, "gird")


def test_a_target_that_runs_none_of_the_boards_is_an_error() -> None:
    net = packed(layered())
    with pytest.raises(UsageError, match="energy: target grid does not run board loihi1; choose"):
        nd.estimate_energy(net, "loihi1", dataset(), target="grid")
    found = nd.estimate_energy(net, ["loihi1", "truenorth"], dataset(), target="grid")
    assert found.reports["truenorth"].events["neuron_updates_inactive"] == 7 / 3
    assert found.reports["loihi1"] == nd.estimate_energy(net, "loihi1", dataset())
    with pytest.raises(
        UsageError, match="board truenorth: the events of crossbar cores are counted"
    ):
        nd.estimate_energy(net, "truenorth", dataset(), target="grid", fast=True)


def wide() -> IntegerNetlist:
    """With a copy of ``b``: 53 neurons."""
    net = layered()
    b = net.by_name["b"]
    copies = replace(b, name="copy")
    wires = [replace(q, post="copy") for q in net.incoming["b"]]
    return replace(
        net,
        populations=(*net.populations, copies),
        projections=(*net.projections, *wires),
        outputs=(*net.outputs, Output("copy", "counts")),
    )


def test_it_refuses_by_its_own_name() -> None:
    net = packed(wide())
    text = "target grid refuses everything: neurons 53 against 50; use fewer"
    with pytest.raises(CapacityError, match=f"^{text}$"):
        nd.compile(net, "grid")
    with pytest.raises(CapacityError) as refused:
        nd.estimate_energy(net, "truenorth", dataset(), target="grid")
    told = str(refused.value)
    assert told.startswith(f"{net.netlist.name}: board truenorth cannot run it: {text}; ")
    assert told.endswith("no crossbar board that comes with neurodeploy holds it as it is")
    assert nd.estimate_energy(net, "truenorth", dataset()).cores > 1


def test_widths_are_fitted_to_the_target_that_is_named() -> None:
    from neurodeploy.quantization.integers import Quantization
    from tests.quantization.test_fit import net

    board, network = load_board("truenorth"), net(10, 40)
    with pytest.raises(CapacityError, match=r"no weight width .*everything: neurons"):
        fit_layer_bits(network, Quantization(8), board, target="grid")
    with pytest.raises(UsageError, match="fit: target brian2 does not run board truenorth"):
        fit_layer_bits(network, Quantization(8), board, target="brian2")
    assert fit_layer_bits(network, Quantization(8), board).layer_bits


def test_it_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert methods["rate"]["targets"] == ["lava", "brian2", "truenorth", "grid"]
    assert methods["graded"]["targets"] == ["lava", "brian2"]
    assert run(["targets", "--json"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert list(targets)[:4] == ["lava", "lava-stock", "brian2", "truenorth"]
    assert targets["grid"]["available"]
    assert targets["grid"]["options"] == {"speed": 1}
    assert not targets["a-broken-one"]["available"]
    assert run(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    told = {f["name"]: f for f in findings if f["kind"] == "target"}
    assert (told["grid"]["works"], told["grid"]["detail"]) == (True, "needs nothing more")
    assert not told["a-broken-one"]["works"]
