"""``verify_deployment`` with executors that are made up, and the executors by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.datasets import Samples, as_samples
from neurodeploy.errors import ExecutionError, UnknownNameError, UsageError
from neurodeploy.execution import batches
from neurodeploy.ir.record import Progress, RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.render.verification import verdict, verification_parts
from neurodeploy.targets.base import Deployment
from neurodeploy.targets.request import RunRequest
from neurodeploy.verification.executors import executor_names, make_executor
from neurodeploy.verification.verification import Verification, verify_deployment
from tests.verification.networks import dataset, layered, packed

NET = layered()
STIMULUS = {"in": (np.random.default_rng(0).random((2, 12, 1, 4, 4)) < 0.5).astype(np.int64)}


class Computed(Deployment):
    """The reference, wrong in chosen places of the recorded spikes."""

    target = "computed"

    def __init__(self, whole: Network, wrong: tuple[tuple[str, tuple[int, ...]], ...] = ()):
        super().__init__(whole, None, {})
        self.wrong = wrong

    def _run(self, request: RunRequest, progress: Progress | None) -> RunRecord:
        run = run_reference(self.netlist, request.stimulus, membranes=request.membranes)
        for name, where in self.wrong:
            run.spikes[name][where] += 1
        return run

    def utilization(self) -> dict[str, Any]:
        return {}

    def write_files(self, folder: Path) -> None:
        raise NotImplementedError


def executors(**wrong: tuple[str, tuple[int, ...]]):
    def make(name: str):
        flaw = (wrong[name],) if name in wrong else ()
        deployment = Computed(Network(NET), flaw)
        return lambda stimulus, membranes: deployment.run(stimulus, membranes=membranes)

    return make


def test_an_exact_deployment() -> None:
    stages: list[str] = []
    result = verify_deployment(Computed(Network(NET)), ["reference"], STIMULUS, stage=stages.append)
    assert result.exact
    assert result.first is None
    assert stages == ["computed", "reference"]
    want = run_reference(NET, STIMULUS)
    assert result.to_dict() == {
        "samples": 2,
        "timesteps": 12,
        "target": "computed",
        "mismatches": {"reference": {"a": 0, "b": 0, "out": 0}},
        "spikes": {n: int(np.count_nonzero(want.spikes[n])) for n in ("a", "b", "out")},
        "compared_neuron_steps": {"a": 2 * 12 * 18, "b": 2 * 12 * 7, "out": 2 * 12 * 5},
        "first_divergence": None,
        "divergences": {},
        "agreement": None,
        "deviation": None,
        "exact": True,
    }
    assert verdict(result).startswith("exact: 0 mismatches against reference in 720 neuron-steps")


def test_the_first_of_several_executors() -> None:
    # Both part in sample 0, step 3: a is before b in the schedule, though "one" comes first.
    make = executors(one=("b", (0, 1, 4)), two=("a", (0, 2, 1, 0, 0)), three=("a", (1, 0, 0, 0, 0)))
    names = ["one", "two", "three", "four"]
    result = verify_deployment(Computed(Network(NET)), names, STIMULUS, executors=make)
    assert not result.exact
    assert list(result.divergences) == ["one", "two", "three"]
    assert {e: sum(m.values()) for e, m in result.mismatches.items()} == {
        "one": 1,
        "two": 1,
        "three": 1,
        "four": 0,
    }
    first = result.first
    assert first is not None
    assert (first.executor, first.population, first.step) == ("two", "a", 3)
    shown = "\n\n".join(verification_parts(result))
    assert "NOT exact: 3 mismatches against one, two, three, four" in shown
    assert "three: first divergence at step 1 of sample 1, a[0, 0, 0]" in shown


def test_a_wrong_deployment_parts_from_every_executor() -> None:
    deployment = Computed(Network(NET), (("out", (1, 4, 2)),))
    result = verify_deployment(deployment, ["reference", "engine"], STIMULUS)
    for name in ("reference", "engine"):
        found = result.divergences[name]
        assert (found.sample, found.step, found.population) == (1, 4 + 3, "out")
        assert found.neuron == (2,)
        assert found.deployment_spike == found.executor_spike + 1
        membrane = run_reference(NET, STIMULUS, membranes=["out"]).membranes["out"][1, 4, 2]
        assert found.executor_membrane == membrane


def _result(**changes: Any) -> Verification:
    whole = Verification(2, 12, "t", {"reference": {"a": 0}}, {"a": 5}, {"a": 9}, {}, None)
    return replace(whole, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"compared_neuron_steps": {"a": 0}},
        {"compared_neuron_steps": {"a": 9, "b": 0}},
        {"compared_neuron_steps": {}},
        {"mismatches": {"reference": {"a": 0}, "engine": {"a": 1}}},
    ],
)
def test_nothing_compared_or_a_mismatch_is_a_failure(changes: Mapping[str, Any]) -> None:
    assert _result().exact
    assert not _result(**changes).exact


def test_nothing_compared_is_said() -> None:
    empty = _result(compared_neuron_steps={"a": 9, "b": 0}, spikes={"a": 5, "b": 0})
    assert verdict(empty) == "NOT verified: nothing was compared in b"


def test_a_run_without_samples_is_not_exact() -> None:
    none = {"in": STIMULUS["in"][:0]}
    result = verify_deployment(Computed(Network(NET)), ["reference"], none)
    assert result.samples == 0
    assert not result.exact


def test_samples_in_several_runs_give_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, data = nd.compile(converted(), "truenorth"), digits(7)
    whole = nd.verify(deployment, "reference", data)
    stages: list[str] = []
    per_sample = 8 * 16 * sum(p.size for p in deployment.netlist.populations)
    monkeypatch.setattr(batches, "BATCH_BYTES", 3 * per_sample + 1)
    parts = nd.verify(deployment, "reference", data, stage=stages.append)
    assert stages[:2] == ["truenorth (1 of 3)", "reference (1 of 3)"]
    assert len(stages) == 6
    one, other = whole.to_dict(), parts.to_dict()
    mine, theirs = one.pop("agreement"), other.pop("agreement")
    assert one == other
    assert mine["top1"] == theirs["top1"]
    assert mine["layer_correlation"] == pytest.approx(theirs["layer_correlation"])


def test_a_divergence_in_a_later_run_has_its_own_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)
    runs: list[int] = []

    def make(name: str):
        def executor(stimulus: Stimulus, membranes: Collection[str]) -> RunRecord:
            runs.append(len(stimulus["in"]))
            run = run_reference(NET, stimulus, membranes=membranes)
            if (stimulus["in"] == STIMULUS["in"][1:]).all():
                run.spikes["b"][0, 2, 3] += 1
            return run

        return executor

    result = verify_deployment(Computed(Network(NET)), ["late"], STIMULUS, executors=make)
    assert runs == [1, 1, 1]  # once more for the membrane
    first = result.first
    assert first is not None
    assert (first.sample, first.step, first.population, first.neuron) == (1, 4, "b", (3,))
    assert result.mismatches == {"late": {"a": 0, "b": 1, "out": 0}}
    assert result.samples == 2


def converted() -> Network:
    folder = Path(__file__).resolve().parents[1] / "py310" / "data"
    return nd.quantize(nd.load(folder / "digits.ndn"), 3)


def digits(n: int) -> Samples:
    return as_samples("digits", "test").first(n)


def test_an_executor_that_leaves_a_population_out() -> None:
    def make(name: str):
        return lambda stimulus, membranes: run_reference(NET, stimulus, record=["a", "out"])

    with pytest.raises(ExecutionError, match="b: the run returned nothing to compare"):
        verify_deployment(Computed(Network(NET)), ["partial"], STIMULUS, executors=make)


def test_no_executor_named() -> None:
    with pytest.raises(UsageError, match="name at least one executor"):
        verify_deployment(Computed(Network(NET)), [], STIMULUS)
    with pytest.raises(UsageError, match="name at least one executor"):
        nd.verify(Computed(packed(NET)), " , ", dataset())


def test_names_may_be_one_string() -> None:
    result = nd.verify(Computed(packed(NET)), "reference, engine", dataset())
    assert list(result.mismatches) == ["reference", "engine"]
    assert result.exact


def test_executors_are_the_built_in_ones_and_the_targets() -> None:
    names = executor_names()
    assert names[:2] == ["reference", "engine"]
    assert {"lava", "brian2", "truenorth"} <= set(names)


def test_an_unknown_executor_lists_all() -> None:
    with pytest.raises(UnknownNameError) as caught:
        make_executor("referense", packed(NET))
    message = str(caught.value)
    assert message.startswith("unknown executor 'referense'; known: ")
    for name in executor_names():
        assert name in message
    assert message.endswith("did you mean 'reference'?")


@pytest.mark.parametrize("name", ["reference", "engine", "truenorth", "brian2"])
def test_every_executor_runs_the_same(name: str) -> None:
    if name == "brian2":
        pytest.importorskip("brian2")
    executor = make_executor(name, packed(NET))
    run = executor(STIMULUS, ["out"])
    want = run_reference(NET, STIMULUS, membranes=["out"])
    for population in ("a", "b", "out"):
        np.testing.assert_array_equal(run.spikes[population], want.spikes[population])
    np.testing.assert_array_equal(run.membranes["out"], want.membranes["out"])
