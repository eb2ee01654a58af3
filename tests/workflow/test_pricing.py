"""Energy from files, folders and objects: which board, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import neurodeploy as nd
from neurodeploy.errors import NetlistError, UnknownNameError, UsageError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.encoding import Encoding
from tests.quantize.netlists import small_network
from tests.verify.networks import artifact, dataset, layered


def test_the_same_from_an_object_a_file_and_a_folder(tmp_path: Path) -> None:
    net = artifact(layered())
    nd.save(net, tmp_path / "net.ndn")
    deployment = nd.compile(net, "brian2")
    nd.save(deployment, tmp_path / "out")
    wanted = nd.estimate_energy(net, "loihi1", dataset())
    for source in (tmp_path / "net.ndn", str(tmp_path / "out"), deployment):
        assert nd.estimate_energy(source, "loihi1", dataset()) == wanted


def test_a_deployment_brings_its_board() -> None:
    net = artifact(layered())
    deployment = nd.compile(net, "truenorth")
    found = nd.estimate_energy(deployment, None, dataset())
    assert found == nd.estimate_energy(net, "truenorth", dataset())
    for thing in (net, nd.compile(net, "brian2")):
        with pytest.raises(UsageError, match="energy: name a board"):
            nd.estimate_energy(thing, None, dataset())


def test_what_cannot_be_priced() -> None:
    net = artifact(layered())
    with pytest.raises(UnknownNameError, match="unknown board 'loihi9'"):
        nd.estimate_energy(net, "loihi9", dataset())
    with pytest.raises(UsageError, match="no real-valued netlist in the file to cross-validate"):
        nd.estimate_energy(net, "loihi1", dataset(), cross_validate=True)
    real = Artifact(small_network(timesteps=8), {"x": Encoding("rate", 16, 0.0, 1.0)})
    images = dataset().x.repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3)
    with pytest.raises(NetlistError, match="run 'neurodeploy quantize' first"):
        nd.estimate_energy(real, "loihi1", replace(dataset(), x=images))
