"""A target and a method of a distribution that is built here: conform, are priced and listed."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.datasets import Samples
from neurodeploy.errors import UsageError
from neurodeploy.stages.samples import stimulus_for
from neurodeploy.targets.base import Target, Violation
from neurodeploy.testing import assert_conforms
from neurodeploy.testing.cases import CASES

SOURCE = Path(__file__).parent / "abacus"
SOME = ("dense_spikes", "reset_zero", "delays_parallel_projections", "recurrent_cycle_delay_5")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the distribution is installed, built from its sources."""
    folder = tmp_path_factory.mktemp("abacus")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", "site", "./source"],
        cwd=folder,
        check=True,
        timeout=300,
    )
    return folder / "site"


@pytest.fixture
def abacus(site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the target, installed for one test."""
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    yield importlib.import_module("neurodeploy_abacus.target")
    for name in [n for n in sys.modules if n.startswith("neurodeploy_abacus")]:
        del sys.modules[name]


def test_the_distribution_is_one(abacus: Any) -> None:
    assert importlib.metadata.version("neurodeploy-abacus") == "1.0"


@pytest.mark.slow
def test_the_target_conforms(abacus: Any) -> None:
    # By its name, as users do, for a few; the whole list with what it refuses.
    assert_conforms("abacus", cases=["dense_spikes", "conv2d_asymmetric", "conv2d_groups"])
    refuses = ["current input", "signed spikes", "graded spikes", "max-pooling", "reset none"]
    refuses += ["gains of input", "gains of firing", "current decay", "leak"]
    refuses += ["a decay per neuron", "reset value", "reset subtract-next", "a floor"]
    refuses += ["saturation", "a refractory period"]
    # Its board has weights of 9 bits and states of 18.
    refuses += ["weights_14_bits", "exponent_per_channel"]
    assert_conforms(abacus.AbacusTarget, refuses=refuses)


def test_what_was_declared_and_is_otherwise_is_told(abacus: Any) -> None:
    with pytest.raises(AssertionError, match="delay_2: was expected to be refused and is not"):
        assert_conforms("abacus", refuses=["delay_2"], cases=["delay_2"])
    with pytest.raises(AssertionError, match="leak: is refused against expectation: h: decays"):
        assert_conforms("abacus", refuses=[], cases=["leak"])


def broken(abacus: Any, **changes: Any) -> Any:
    """The target with other methods, of the deployment where that has them."""
    of = {k: v for k, v in changes.items() if hasattr(abacus.AbacusDeployment, k)}
    deployment = type("Broken", (abacus.AbacusDeployment,), of)

    def lower(self: Any, network: Any, board: Any, options: Any) -> Any:
        return deployment(abacus.plan_of(network.integer), network, board, options)

    methods = {"lower": lower, **{k: v for k, v in changes.items() if k not in of}}
    return type("BrokenTarget", (abacus.AbacusTarget,), methods)


def test_a_wrong_threshold_is_told_with_its_first_divergence(abacus: Any) -> None:
    def step(self: Any, name: str, p: Any, *rest: Any) -> None:
        higher = None if p["threshold"] is None else [x + 1 for x in p["threshold"]]
        abacus.AbacusDeployment._step(self, name, {**p, "threshold": higher}, *rest)

    with pytest.raises(AssertionError) as told:
        assert_conforms(broken(abacus, _step=step), cases=["v_equals_theta", "delay_1"])
    first, *lines = str(told.value).splitlines()
    assert first == "target abacus does not conform:"
    assert lines
    for line in lines:
        assert "the reference: first divergence at step " in line
        assert line.startswith(("v_equals_theta: ", "delay_1: "))
        assert "(membrane " in line


def test_files_that_lose_something_are_told(abacus: Any) -> None:
    def write_files(self: Any, folder: Path) -> None:
        for wire in self.plan["wires"]:
            del wire["synapses"][::2]
        (folder / abacus.FILE).write_text(json.dumps(self.plan))

    with pytest.raises(AssertionError, match="dense_spikes: saved and loaded: the reference: "):
        assert_conforms(broken(abacus, write_files=write_files), cases=["dense_spikes"])


def test_wrong_membranes_are_told(abacus: Any) -> None:
    def _run(self: Any, request: Any, progress: Any) -> Any:
        made = abacus.AbacusDeployment._run(self, request, progress)
        made.membranes["h"][0, 3, 1] += 1
        return made

    with pytest.raises(AssertionError, match=r"dense_spikes: h: 1 of 324 membrane differ, first"):
        assert_conforms(broken(abacus, _run=_run), cases=["dense_spikes"])


@pytest.mark.parametrize(
    ("violation", "told"),
    [
        (Violation("something", "is wrong"), "names no population, projection or board"),
        (Violation("h", ""), "does not say in one line what it is"),
        (Violation("h", "two\nlines"), "does not say in one line what it is"),
    ],
)
def test_refusals_say_where_and_what(abacus: Any, violation: Violation, told: str) -> None:
    def check(self: Any, *_: Any) -> list[Violation]:
        return [violation]

    with pytest.raises(AssertionError, match=told):
        assert_conforms(broken(abacus, check=check), cases=["dense_spikes"])


def test_refusing_everything_does_not_conform(abacus: Any) -> None:
    def check(self: Any, *_: Any) -> list[Violation]:
        return [Violation("netlist", "is not liked")]

    with pytest.raises(AssertionError, match=f"0 of {len(CASES)} cases are left"):
        assert_conforms(broken(abacus, check=check))


def test_compiling_what_was_refused_does_not_conform(abacus: Any) -> None:
    def compile(self: Any, network: Any, board: Any = None, options: Any = None) -> Any:
        return self.lower(network, board, {})

    with pytest.raises(AssertionError, match="leak: compiles in spite of: h: decays"):
        assert_conforms(broken(abacus, compile=compile), cases=["leak"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cases": []}, "an empty list; nothing would be compared"),
        ({"cases": "leak"}, r"cases 'leak': expected a list of names, as \['leak'\]"),
        ({"cases": ["leek"]}, "unknown conformance case 'leek'; .*did you mean 'leak'"),
        ({"refuses": "leak"}, "refuses 'leak': expected a list of names"),
        ({"refuses": ["max-poling"]}, "refused 'max-poling'; .* did you mean 'max-pooling'"),
        ({"board": 3}, "board: got a value of type int"),
        ({"target": Target}, "target Target: lacks check, load, lower, unavailable"),
    ],
)
def test_what_would_be_compared_with_nothing_is_an_error(
    options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        assert_conforms(**{"target": "brian2", "cases": ["dense_spikes"], **options})


def test_something_else_than_a_target_is_an_error() -> None:
    with pytest.raises(UsageError, match="pass a subclass of Target, an instance, or a name"):
        assert_conforms(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("together", [False, True])
def test_some_cases_of_a_built_in_target(together: bool) -> None:
    assert_conforms("brian2", cases=SOME, together=together)


def test_the_method_converts_for_the_target_which_is_priced(abacus: Any) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3)
    ).eval()
    rng = np.random.default_rng(0)
    data = Samples(rng.random((24, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 24))
    options = {"timesteps": 8, "input": "rate", "calibration_samples": 24}
    net = nd.convert(module, data, method="eager", head_start=0.5, **options)
    (hidden,) = (p for p in net.netlist.populations if getattr(p.model, "fires", False))
    np.testing.assert_array_equal(hidden.model.initial_membrane, hidden.model.threshold / 2)
    deployment = nd.compile(nd.quantize(net, 8, fit="loihi1"), "abacus")
    assert nd.verify(deployment, ["reference"], data, 4).exact
    report = nd.estimate_energy(deployment, "loihi1", data, 4)
    stimulus, _ = stimulus_for(deployment.network, data, 4)
    spikes = deployment.run(stimulus).spikes
    ((source, values),) = stimulus.items()
    assert report.events["synops"] == (values.sum() * 12 + spikes[hidden.name].sum() * 3) / 4 > 0
    assert spikes[source].sum() == values.sum()


def test_both_are_listed(abacus: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "--json"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert targets["abacus"]["available"]
    assert run(["methods", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert "abacus" in methods["eager"]["targets"]
    assert "head_start" in str(methods["eager"])
