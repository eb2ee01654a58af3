"""Rows that docs/results.md tells users to make: their source networks are above chance."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from neurodeploy.cli import run

pytest.importorskip("torch")

FEWER = {"--samples": "48", "--timesteps": "4"}


def commands(page: Path) -> list[list[str]]:
    """The commands ``neurodeploy evaluate`` of a page, without the name of the program."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        shlex.split(line)[1:]
        for line in re.findall(r"^ +neurodeploy evaluate .*zoo.*$", text, re.M)
    ]


@pytest.mark.parametrize(("index", "network"), [(0, "lenet_mnist"), (1, "resnet20_cifar10")])
def test_a_row_by_hand_starts_from_a_network_that_knows_its_images(
    index: int,
    network: str,
    repository: Path,
    shared_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = commands(repository / "docs" / "results.md")[index]
    assert network in command[1]
    for option, value in FEWER.items():
        command[command.index(option) + 1] = value
    # From the folder of the clone, with the shared folder beside it.
    command = [part.replace("../shared", str(shared_dir)) for part in command]
    assert run([*command, "--calibration-samples", "16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 48
    assert told["source_accuracy"] > 0.7
