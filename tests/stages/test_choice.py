"""``auto``: what it chooses, for whom, and what it says where nothing fits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.datasets import Samples
from neurodeploy.errors import CapacityError, NeurodeployError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.neurons import Input
from neurodeploy.stages import compile as compilation
from neurodeploy.stages import fan_in_check
from neurodeploy.stages.verdict import verdict

X = np.random.default_rng(0).random((40, 1, 6, 6)).astype(np.float32)


def network() -> nn.Module:
    torch.manual_seed(2)
    torch.set_num_threads(1)
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)),
    ).eval()


def data() -> Samples:
    with torch.no_grad():
        y = network()(torch.tensor(X)).argmax(1).numpy()
    return Samples(X, y, name="made up")


def test_the_shortest_run_within_the_budget_is_taken() -> None:
    net = nd.convert(network(), data(), max_loss=20.0)
    told = net.provenance["auto"]
    assert told["met"]
    assert net.provenance["method"]["name"] == "graded"
    assert net.netlist.timesteps == told["tried"][-1]["timesteps"]
    assert all(t["timesteps"] <= net.netlist.timesteps for t in told["tried"])
    assert "the shortest run within 20 points" in told["reason"]


def test_crossbars_get_spikes_counts_and_weights_that_fit() -> None:
    net = nd.convert(network(), data(), target="truenorth", max_loss=30.0)
    method = net.provenance["method"]
    assert (method["name"], method["decode"]) == ("rate", "counts")
    assert method["max_pooling"] == "identity"
    (population,) = net.netlist.inputs
    assert isinstance(population.model, Input)
    assert population.model.kind == "spikes"
    refused = [t for t in net.provenance["auto"]["tried"] if t["refused"]]
    assert {t["method"] for t in refused} >= {"graded"}
    quantized = nd.quantize(net, 8, fit="truenorth")
    assert nd.check(quantized, "truenorth") == []
    assert nd.compile(quantized, "truenorth").target == "truenorth"


def wide_network() -> nn.Module:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(576, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def wide_data() -> Samples:
    x = np.random.default_rng(1).random((80, 1, 24, 24)).astype(np.float32)
    with torch.no_grad():
        y = wide_network()(torch.tensor(x)).argmax(1).numpy()
    return Samples(x, y, name="made up")


def test_layers_that_no_core_holds_are_computed_in_parts_and_what_that_takes_is_told() -> None:
    told: list[str] = []
    net = nd.convert(
        wide_network(), wide_data(), target="truenorth", max_loss=60.0, tell=told.append
    )
    chosen = net.provenance["auto"]["tried"][-1]
    assert chosen["options"] == {"split": "approximate"}
    assert chosen["quantization"]["weight_bits"] == 3
    commands = (
        "'quantize --weight-bits 3 --state-bits 19 --max-fraction-bits 0', then "
        "'compile --option split=approximate'"
    )
    assert any(line.startswith("auto: even 2-bit weights") for line in told)
    assert commands in net.provenance["auto"]["reason"]
    # The commands do what they say, and what was measured is what the cores compute.
    quantized = nd.quantize(net, **chosen["quantization"])
    assert nd.check(quantized, "truenorth")
    deployment = nd.compile(quantized, "truenorth", **chosen["options"])
    judged = nd.evaluate(deployment.network, wide_data())
    assert judged.loss is not None
    assert judged.loss.loss == pytest.approx(chosen["loss"])


def test_layers_too_large_to_search_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_in_check, "SEARCHED_SYNAPSES", 6000)
    with pytest.raises(CapacityError, match=r"\(576 inputs\).*for 6,912 synapses.*split=approx"):
        nd.convert(wide_network(), wide_data(), target="truenorth")


def test_what_is_refused_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "check", lambda *_: ["relu_1: made up for a test"])
    with pytest.raises(CapacityError) as caught:
        nd.convert(network(), data(), target="lava", max_timesteps=8)
    line = str(caught.value)
    assert line.startswith("auto: all 5 conversions are refused, the last one (rate at T = 8 ")
    assert "relu_1: made up for a test" in line
    assert "\n" not in line


def test_what_stopped_the_plainest_code_is_told_last() -> None:
    with pytest.raises(CapacityError, match=r"one \(rate at T = 8 is .* cores exceed 1 of board"):
        nd.convert(network(), data(), target="brian2", board=small_loihi(1), max_timesteps=16)


@pytest.mark.parametrize(
    ("silent", "given", "line"),
    [
        (
            True,
            {},
            "relu_1: every activation is zero on the calibration images; use more or other ",
        ),
        (False, {"input_levels": 0}, "input levels 0: expected 1 to 65535"),
    ],
)
def test_what_no_code_changes_is_told_once(silent: bool, given: dict[str, int], line: str) -> None:
    module, told = network(), []
    with torch.no_grad():
        module[0].bias -= 9.0 * silent
    with pytest.raises(NeurodeployError, match=line):
        nd.convert(module, data(), tell=told.append, **given)
    assert not [text for text in told if "refused" in text]


def test_codes_that_listen_are_tried_and_left_out_where_they_take_no_option() -> None:
    net = nd.convert(network(), data(), timesteps=12, max_loss=20.0)
    tried = {t["method"]: t for t in net.provenance["auto"]["tried"]}
    assert set(tried) == {"graded", "signed-memory", "rate", "momentum", "radix"}
    assert all(t["refused"] is None for t in tried.values())
    assert tried["radix"]["spikes"] < tried["rate"]["spikes"]
    counted = nd.convert(network(), data(), timesteps=12, max_loss=50.0, decode="counts")
    refused = {t["method"] for t in counted.provenance["auto"]["tried"] if t["refused"]}
    assert refused == {"momentum", "radix"}


def small_loihi(cores: int) -> Board:
    """Loihi 1 with so many cores, each of which holds one population."""
    grid = Grid(1, 1, cores, 1, 1, "assumed", "a test")
    return dataclasses.replace(load_board("loihi1"), name="small", grid=grid)


def test_maxima_become_plain_neurons_where_cores_know_no_others() -> None:
    net = nd.convert(network(), data(), board="loihi1", max_loss=60.0)
    assert net.provenance["method"]["name"] == "rate"
    assert net.provenance["method"]["max_pooling"] == "identity"
    assert verdict(nd.quantize(net, fit="loihi1"), "loihi1").fits


def test_a_code_beyond_the_cores_is_drawn_once_and_another_target_s_is_found() -> None:
    told: list[str] = []
    board = small_loihi(4)
    net = nd.convert(network(), data(), board=board, max_loss=60.0, tell=told.append)
    auto = net.provenance["auto"]
    assert net.provenance["method"]["name"] == "hard-reset"
    assert auto["target"] == "lava-stock"
    assert auto["reason"].startswith("auto chose target lava-stock: hard-reset at T = ")
    rates = [t for t in auto["tried"] if t["method"] == "rate"]
    assert len(rates) == 1
    assert "cores exceed 4 of board small" in rates[0]["refused"]
    assert "auto: no code fits so far; trying those of target lava-stock" in told
    # What was chosen fits, by the commands that follow.
    assert verdict(nd.quantize(net, fit=board), board).fits


def test_where_no_target_s_code_fits_the_last_reason_is_told() -> None:
    with pytest.raises(CapacityError, match=r"hard-reset at T = 8 .*: 4 cores exceed 3"):
        nd.convert(network(), data(), board=small_loihi(3), max_loss=60.0)
