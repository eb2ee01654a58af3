"""A mapped network, loaded and run by SANA-FE itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import UnsupportedLayerError, UsageError
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing import NetlistBuilder


def _network(**neuron) -> nd.Network:
    netlist = (
        NetlistBuilder(T=14, seed=2)
        .input("x", (1, 6, 6))
        .conv(4, threshold=[60, 70, 50, 90], **neuron)
        .dense(6, threshold=400, **neuron)
        .output()
    )
    return nd.Network(netlist)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_sanafe_sends_every_spike(tmp_path: Path, reset: str) -> None:
    sanafe = pytest.importorskip("sanafe", reason="SANA-FE has no wheel for this platform")
    net = _network(reset=reset)
    path = tmp_path / "net.yaml"
    found = net.export("sanafe", path)
    assert found.notes[0].endswith("cores of board sanafe-loihi")
    x = (np.random.default_rng(0).random((1, 14, 1, 6, 6)) < 0.4).astype(np.int64)
    expected = run_reference(net.netlist, {"x": x}).spikes

    architecture = sanafe.load_arch(path)
    loaded = sanafe.load_net(path, architecture)
    for i, train in enumerate(x[0].reshape(14, -1).T):
        loaded["x"][i].set_attributes(model_attributes={"spikes": train.tolist()})
    chip = sanafe.SpikingChip(architecture)
    chip.load(loaded)
    run = chip.sim(14 + 2, spike_trace=True)
    assert run["energy"]["total"] > 0
    for depth, name in ((1, "conv_1"), (2, "dense_2")):
        spikes = np.zeros((14, net.netlist.by_name[name].size), dtype=np.int64)
        for t, fired in enumerate(run["spike_trace"][depth : depth + 14]):
            for neuron in map(str, fired):
                group, _, index = neuron.rpartition(".")
                if group == name:
                    spikes[t, int(index)] = 1
        assert 0.05 < spikes.mean() < 0.9
        np.testing.assert_array_equal(spikes, expected[name][0].reshape(14, -1))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"negative_threshold": 50}, "conv_1: SANA-FE's neurons have no negative spikes"),
        ({"floor": -20}, "conv_1: SANA-FE's neurons have no floor"),
        ({"current_decay": 100}, "conv_1: SANA-FE's neurons have no currents that last"),
    ],
)
def test_what_sanafe_cannot_do_is_refused_by_name(tmp_path: Path, options, text) -> None:
    with pytest.raises(UnsupportedLayerError, match=text):
        _network(**options).export("sanafe", tmp_path / "net.yaml")
    assert not list(tmp_path.iterdir())


def test_what_differs_is_told_and_options_are_checked(tmp_path: Path) -> None:
    net = _network(reset="zero", bias=1, membrane_decay=100)
    notes = net.export("sanafe", tmp_path / "net.yaml").notes
    assert "conv_1, dense_2: decays are not rounded toward zero there" in notes
    assert any("biases act from the first step on" in note for note in notes)
    with pytest.raises(UsageError, match=r"dt 0\.001: sanafe files have none"):
        net.export("sanafe", tmp_path / "net.yaml", dt=1e-3)
    with pytest.raises(UsageError, match="board loihi1: nir files have none"):
        net.export("nir", tmp_path / "net.nir", board="loihi1")
