"""The compiled network as one process in a user's Lava program, run by the Python that has Lava."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.targets.lava.networks import chain, compiled

pytestmark = pytest.mark.lava

HERE = str(Path(__file__).parent)


def run(python: Path, repository: Path, *arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(python), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_gives_the_spikes_of_the_reference(lava_python: Path, repository: Path) -> None:
    said = run(lava_python, repository, str(repository / "examples" / "lava_program.py"))
    assert "0 differ" in said
    assert int(said.partition("steps, ")[2].split()[0]) > 20


PROGRAM = """
import sys
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from neurodeploy.errors import UsageError
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.lava.processes.network import NeurodeployNetwork
sys.path.insert(0, sys.argv[2])
from networks import chain, chain_stimulus

T, folder = 40, sys.argv[1]
netlist, q = chain(T), chain_stimulus(1)["in"]
expected = run_reference(netlist, {"in": q}, membranes=["out"])


def spikes(frames, steps, **timing):
    network = NeurodeployNetwork(source=folder, **timing)
    assert dict(network.latency) == {"out": 3}
    source, sink = Source(data=frames), Sink(shape=(2,), buffer=steps)
    source.s_out.connect(network.inputs["in"])
    network.outputs["out"].connect(sink.a_in)
    network.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
    got = sink.data.get().astype(int), network.membranes["out"].get().astype(int)
    network.stop()
    return got


# Free-running: one wave front, then for ever. The buffer starts over, so the input is constant.
frames = np.repeat(q[0][:, None], T + 3, axis=1)
got, v = spikes(frames, T + 3)
assert not got[:, :3].any()
assert (got[:, 3:].T == expected.spikes["out"][0]).all(), "free-running"
assert (v == expected.membranes["out"][0, -1]).all(), "membrane"

# Windows of 10 steps every 25: what is sent between them is dropped, and each starts from rest.
short = run_reference(netlist, {"in": q}, timesteps=10)
got, _ = spikes(frames, T + 3, timesteps=10, interval=25, start_step=2)
for start in (1 + 3, 1 + 25 + 3):
    assert (got[:, start : start + 10].T == short.spikes["out"][0]).all(), "window"
assert not got[:, 14:29].any()

try:
    NeurodeployNetwork(source=folder, timesteps=T + 1)
except UsageError as error:
    print(error)
print("spikes", int(expected.spikes["out"].sum()))
"""


def test_free_running_and_windows(lava_python: Path, repository: Path, tmp_path: Path) -> None:
    compiled(chain(40)).save(tmp_path / "net")
    said = run(
        lava_python,
        repository,
        "-c",
        textwrap.dedent(PROGRAM),
        str(tmp_path / "net"),
        HERE,
        cwd=tmp_path,
    )
    assert "timesteps 41; bounds are proved for 1 to 40" in said
    assert int(said.split()[-1]) > 5


def test_stock_networks_are_not_one_process(
    lava_python: Path, repository: Path, tmp_path: Path
) -> None:
    code = (
        "import dataclasses\n"
        "from neurodeploy.errors import UsageError\n"
        "from neurodeploy.targets.lava.processes.network import NeurodeployNetwork\n"
        "import sys\nsys.path.insert(0, sys.argv[1])\nfrom networks import chain, compiled\n"
        "bundle = dataclasses.replace(compiled(chain(5)).bundle, models='stock')\n"
        "try:\n    NeurodeployNetwork(source=bundle)\n"
        "except UsageError as error:\n    print(error)\n"
    )
    assert "compile with models=own" in run(lava_python, repository, "-c", code, HERE, cwd=tmp_path)
