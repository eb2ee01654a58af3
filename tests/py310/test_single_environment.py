"""One Python 3.10 with Lava and Brian2, and without torch: from a ``.ndn`` file, everything works.

``data/digits.ndn`` is a converted network; ``make_digits.py`` tells how it was made.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.lava.interpreter import find_lava_python
from neurodeploy.targets.lava.target import LavaDeployment

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(
        not find_lava_python().in_process, reason="this Python cannot run Lava in-process"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is not None, reason="torch is installed here"
    ),
    # networkx, asked by Lava, says that it found no pandas.
    pytest.mark.filterwarnings("ignore::ImportWarning"),
]

CONVERTED = Path(__file__).with_name("data") / "digits.ndn"
SAMPLES = 4
TARGETS = ("lava", "brian2", "truenorth")
NETWORK = """
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The netlists and a deployment for every target, made by the commands."""
    folder = tmp_path_factory.mktemp("single")
    shutil.copy(CONVERTED, folder / "net.ndn")
    (folder / "model.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["quantize", "net.ndn", "--weight-bits", "3", "-o", "net3.ndn"]) == 0
        # A core of Loihi 1 has room for 16 thresholds, and this network wants more of them.
        assert run(["quantize", "net.ndn", "--fit", "loihi1", "-o", "loihi1.ndn"]) == 0
        for target in TARGETS:
            assert run(["compile", "net3.ndn", "--target", target, "-o", target]) == 0
    return folder


@pytest.fixture
def result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Run a command on the digits with ``--json``; return what it printed."""
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run([*arguments, "--data", "digits", "--json"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        value: dict[str, Any] = json.loads(captured.out)
        return value

    return call


def test_torch_is_never_loaded(folder: Path) -> None:
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("target", "against"),
    [
        ("lava", "reference,brian2"),
        ("brian2", "reference,lava"),
        ("truenorth", "reference,lava,brian2"),
    ],
)
def test_verify(result: Callable[..., dict[str, Any]], target: str, against: str) -> None:
    told = result("verify", target, "--against", against, "--samples", str(SAMPLES))
    assert told["exact"] is True
    assert set(told["mismatches"]) == set(against.split(","))
    assert set(told["compared_neuron_steps"]) == {"relu_1", "relu_3", "output"}
    for name in ("relu_1", "relu_3"):
        assert 0.01 <= told["spikes"][name] / told["compared_neuron_steps"][name] <= 0.6
    assert told["agreement"]["top1"] is not None


def test_lava_runs_in_this_process(folder: Path) -> None:
    deployment = nd.load(folder / "lava")
    assert isinstance(deployment, LavaDeployment)
    calls: list[tuple[int, int]] = []
    found = nd.verify(
        deployment, "reference", "digits", 1, progress=lambda *done: calls.append(done)
    )
    assert found.exact
    # A worker would tell only its own parent of the processes.
    assert len(deployment.processes) == len(deployment.netlist.populations)
    assert any(name.startswith("lava.magma") for name in sys.modules)


@pytest.mark.parametrize("target", TARGETS)
def test_run(result: Callable[..., dict[str, Any]], folder: Path, target: str) -> None:
    told = result("run", target, "--samples", str(SAMPLES), "-o", f"{target}.npz")
    assert (told["target"], told["samples"]) == (target, SAMPLES)
    net = nd.load(folder / "net3.ndn")
    stimulus, _ = _stimulus(net)
    want = run_reference(net.integer, stimulus)
    with np.load(folder / f"{target}.npz", allow_pickle=False) as arrays:
        for name in ("relu_1", "relu_3", "output"):
            np.testing.assert_array_equal(arrays[f"spikes.{name}"], want.spikes[name])


def _stimulus(net: Any) -> Any:
    from neurodeploy.api import stimulus_for

    return stimulus_for(net, "digits", SAMPLES)


def test_evaluate_by_the_reference(result: Callable[..., dict[str, Any]]) -> None:
    told = result("evaluate", "net3.ndn", "--samples", "200")
    assert told["source_accuracy"] > 0.95
    assert told["accuracy"]["16"] > 0.85
    assert told["prefix_accuracy"]["16"] == told["accuracy"]["16"]
    assert told["agreement"]["16"] > 0.85
    assert told["spikes_per_inference"]["16"] > 100
    assert told["layer_correlation"]["16"]["relu_1"] > 0.95


def test_evaluate_the_real_valued_network(result: Callable[..., dict[str, Any]]) -> None:
    told = result("evaluate", "net.ndn", "--samples", "100")
    assert told["accuracy"]["16"] > 0.9


@pytest.mark.parametrize("board", ["loihi1", "loihi2", "truenorth"])
def test_energy(result: Callable[..., dict[str, Any]], board: str) -> None:
    arguments = ("--board", board, "--samples", str(SAMPLES), "--cross-validate")
    told = result("energy", "loihi1.ndn" if board == "loihi1" else "net3.ndn", *arguments)
    assert (told["board"], told["samples"]) == (board, SAMPLES)
    assert told["events"]["synops"] > 0
    energy = told["energy_per_inference_j"]
    assert (energy["total"]["high"] is None) == bool(told["unknown"])
    assert 0 < energy["total"]["low"] < energy["total"]["likely"]
    layers = {layer["population"]: layer for layer in told["cross_validation"]}
    assert layers["relu_1"]["spikes_real"] > 0


def test_energy_of_a_deployment(result: Callable[..., dict[str, Any]]) -> None:
    whole = result("energy", "truenorth", "--board", "truenorth", "--samples", str(SAMPLES))
    again = result("energy", "net3.ndn", "--board", "truenorth", "--samples", str(SAMPLES))
    assert whole["events"] == again["events"]


def test_in_python() -> None:
    net = nd.quantize(nd.load(CONVERTED), 3)
    deployment = nd.compile(net, "lava")
    found = nd.verify(deployment, ["reference", "brian2", "truenorth"], "digits", 2)
    assert found.exact
    assert nd.estimate_energy(deployment, "loihi2", "digits", 2).cores >= 1
    assert nd.evaluate(net, "digits", 20).samples == 20


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err
    assert line.endswith("\n")
    assert line.count("\n") == 1
    return line


def test_convert_says_that_torch_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert run(["convert", "model.py:net", "--data", "digits", "-o", "new.ndn"]) == 2
    assert "convert needs torch, which is not installed in this environment" in one_line(capsys)
    assert not (folder / "new.ndn").exists()
    converting = ("evaluate", "model.py:net", "--data", "digits", "--timesteps", "8,16")
    assert run(converting) == 2
    assert "needs torch" in one_line(capsys)


def test_the_engine_says_that_torch_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    # With native kernels integer netlists need no PyTorch; here there are none.
    monkeypatch.setenv("NEURODEPLOY_NATIVE", "0")
    command = ["verify", "truenorth", "--against", "engine", "--data", "digits", "--samples", "1"]
    assert run(command) == 2
    assert "the fast engine needs PyTorch, which is not installed" in one_line(capsys)
    with pytest.raises(TargetUnavailableError, match="the fast engine needs PyTorch"):
        nd.verify(folder / "truenorth", "engine", "digits", 1)


GUARD = """
import sys
import numpy as np

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("neurodeploy.ir.reference", "neurodeploy.execution")):
            raise ImportError(f"{{name}} was imported")
        return None

sys.meta_path.insert(0, Forbidden())
from neurodeploy.targets.loading import load_deployment

if __name__ == "__main__":
    deployment = load_deployment({folder!r})
    raster = (np.random.default_rng(0).random((2, 16, 1, 8, 8)) < 0.5).astype(np.int64)
    run = deployment.run({{"input": raster}})
    print("processes:", len(deployment.processes))
    print("spikes:", int(run.spikes["relu_3"].sum()))
    wrong = ("neurodeploy.ir.reference", "neurodeploy.execution")
    print("loaded:", *[n for n in sys.modules if n.startswith(wrong)])
"""


def test_lava_runs_in_process_without_reference_and_engine(
    folder: Path, fresh_python: Callable[[str], str]
) -> None:
    told = fresh_python(GUARD.format(folder=str(folder / "lava")))
    values = dict(line.split(":") for line in told.splitlines() if ":" in line)
    assert int(values["processes"]) == 4
    assert int(values["spikes"]) > 0
    assert values["loaded"].split() == []
