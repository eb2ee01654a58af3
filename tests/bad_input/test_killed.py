"""``compile`` killed in the middle leaves the old deployment whole, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurodeploy.targets.loading import load_deployment

ROOT = Path(__file__).resolve().parents[2]

# Every child is killed by a signal that nothing can catch, at one point of its work.
KILLED = """
import os, signal, sys
from neurodeploy.cli import run
from neurodeploy.ir import files
from neurodeploy.targets import deployment
from neurodeploy.targets.brian2 import target

def dies(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)

def half_written(plan, folder):
    (folder / "brian2.json").write_text("{")
    dies()

def after(function):
    def wrapped(*arguments, **keywords):
        function(*arguments, **keywords)
        dies()
    return wrapped

points = {
    "compiled files half written": (target, "write_plan", half_written),
    "before the netlist": (deployment, "save_network", dies),
    "before the header": (deployment, "save_network", after(deployment.save_network)),
    "before the exchange": (files, "_replace_directory", dies),
    "after the exchange": (files, "_replace_directory", after(files._replace_directory)),
}
where, output = sys.argv[1:]
setattr(*points[where])
run(["compile", "net8.ndn", "--target", "brian2", "--option", "max_synapses=77", "-o", output])
"""


def killed(folder: Path, where: str, output: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", KILLED, where, output],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == -9, child.stderr


@pytest.mark.parametrize(
    ("where", "done"),
    [
        ("compiled files half written", False),
        ("before the netlist", False),
        ("before the header", False),
        ("before the exchange", False),
        ("after the exchange", True),
    ],
)
def test_the_old_deployment_is_whole_or_there_is_none(
    workshop: Path, where: str, done: bool
) -> None:
    old = load_deployment("brian").options["max_synapses"]
    assert old != 77
    killed(workshop, where, "brian")
    assert load_deployment("brian").options["max_synapses"] == (77 if done else old)
    killed(workshop, where, "new")
    assert (workshop / "new").exists() == done
    if done:
        assert load_deployment("new").options["max_synapses"] == 77
