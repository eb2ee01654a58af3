"""Folders of deployments: what was changed is named, and nothing of the user's is replaced."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from neurodeploy.cli import run
from neurodeploy.errors import FileFormatError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.files import DEPLOYMENT_FILE
from neurodeploy.network import Network
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.loading import load_deployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from neurodeploy.testing import NetlistBuilder


@pytest.fixture
def deployment() -> Deployment:
    netlist = NetlistBuilder(T=4).input("x", (1, 2, 2)).dense([[1, 1, 0, 1]], threshold=2).output()
    return TrueNorthTarget().compile(Network(netlist), load_board("truenorth"), {})


@pytest.fixture
def folder(deployment: Deployment, tmp_path: Path) -> Path:
    deployment.save(tmp_path / "net.truenorth")
    return tmp_path / "net.truenorth"


def test_every_file_is_known(folder: Path) -> None:
    files = json.loads((folder / DEPLOYMENT_FILE).read_text())["files"]
    assert {*files, DEPLOYMENT_FILE} == set(os.listdir(folder))


def test_all_files_follow_the_umask(deployment: Deployment, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        deployment.save(tmp_path / "d")
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "d").iterdir()}
    assert set(modes.values()) == {0o640}, modes
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o750


def test_a_changed_file_is_named(folder: Path) -> None:
    for name in sorted(set(os.listdir(folder)) - {DEPLOYMENT_FILE}):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(FileFormatError, match=f"{name}: was changed after it was compiled"):
            load_deployment(folder)
        (folder / name).unlink()
        with pytest.raises(FileFormatError, match=f"{name}: missing; compile again"):
            load_deployment(folder)
        (folder / name).write_bytes(content)
    load_deployment(folder)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("schema", "3", "schema version '3', this neurodeploy reads 3"),
        ("schema", 3.0, "schema version 3.0, this neurodeploy reads 3"),
        ("timesteps", 5, r"timesteps 5, net\.ndn has 4"),
        ("timesteps", "4", "damaged header"),
        ("network", "other", r"network 'other', net\.ndn has 'net'"),
        ("latency", {"x": 1}, r"latency \{'x': 1\}, the compiled files have \{\}"),
    ],
)
def test_a_header_of_another_network_is_refused(
    folder: Path, key: str, value: object, told: str
) -> None:
    path = folder / DEPLOYMENT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    for check in (True, False):
        with pytest.raises(FileFormatError, match=rf"deployment\.json: {told}"):
            load_deployment(folder, check=check)


def test_who_edits_can_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = folder / "cores.json"
    text.write_text(text.read_text() + "\n")
    load_deployment(folder, check=False)
    data = ["--data", "digits", "--samples", "1"]
    for verb in (["run"], ["verify", "--against", "reference"]):
        assert run([verb[0], str(folder), *verb[1:], *data]) == 2
        assert "cores.json: was changed after it was compiled" in capsys.readouterr().err
        assert run([verb[0], str(folder), *verb[1:], *data, "--no-check"]) == 2
        assert "was changed" not in capsys.readouterr().err


def test_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((folder / "cores.json").read_bytes())
    (folder / "cores.json").unlink()
    (folder / "cores.json").symlink_to(tmp_path / "elsewhere")
    for check in (True, False):
        with pytest.raises(FileFormatError, match=r"cores\.json: a symbolic link in a deployment"):
            load_deployment(folder, check=check)


@pytest.mark.parametrize("name", ["notes.txt", "figures/plot.png", ".git/config"])
def test_files_of_the_user_are_not_replaced(
    deployment: Deployment, folder: Path, name: str
) -> None:
    deployment.save(folder)  # nothing else is in it
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(UsageError, match=f"is a folder with other content, {name}; choose a new"):
        deployment.save(folder)
    assert (folder / name).read_text() == "mine"
    assert load_deployment(folder).netlist == deployment.netlist
