"""Accuracy by prefix, ties, totals with and without torch, and the JSON of ``evaluate``."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.api import stimulus_for
from neurodeploy.cli import run
from neurodeploy.execution import batches, make_engine
from neurodeploy.execution.summary import Summary
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.decoding import classify
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.verification import totals
from neurodeploy.verification.accuracy import (
    Evaluation,
    evaluate_network,
    evaluations_to_dict,
)
from neurodeploy.verification.statistics import wilson
from neurodeploy.verification.totals import summarize, summarize_reference
from tests.conformance.cases import CASES, case
from tests.verification.networks import dataset, layered, neuron, packed, project

T = 4


def relay(outputs: tuple[Output, ...] | None = None) -> Network:
    """Three lines, each counted by one output: the raster is the answer."""
    populations = (
        Population("in", (3,), Input("spikes", 0, 1)),
        Population("out", (3,), neuron(1)),
        Population("more", (3,), neuron(1)),
    )
    eye = Dense(np.eye(3, dtype=np.int64), (3,))
    projections = (project("in", "out", eye), project("in", "more", eye))
    chosen = outputs or (Output("out", "counts"),)
    return Network(
        IntegerNetlist("relay", populations, projections, chosen, T),
        {"in": Encoding("rate", 255, 0.0, 1.0)},
    )


def rasters(*samples: list[str]) -> dict[str, np.ndarray]:
    """Samples of T strings, one character per line."""
    raster = np.array([[[int(c) for c in step] for step in sample] for sample in samples])
    return {"in": raster.astype(np.int64)}


def evaluated(stimulus: dict[str, np.ndarray], labels: list[int] | None) -> Evaluation:
    x = np.zeros((len(stimulus["in"]), 3), dtype=np.float32)
    return evaluate_network(
        relay(), stimulus, x, None if labels is None else np.array(labels, dtype=np.int64)
    )


RASTERS = rasters(
    ["010", "100", "100", "000"],  # 1, tie of 0 and 1, 0, 0
    ["000", "001", "010", "010"],  # tie of all, 2, tie of 1 and 2, 1
    ["000", "000", "000", "000"],  # always a tie: 0
)


@pytest.mark.parametrize("without_torch", [False, True])
def test_the_accuracy_of_every_prefix(monkeypatch: pytest.MonkeyPatch, without_torch: bool) -> None:
    if without_torch:
        monkeypatch.setattr(totals, "has_engine", lambda netlist: False)
    result = evaluated(RASTERS, [0, 2, 0])
    # The answers are 1 0 0 | 0 2 0 | 0 1 0 | 0 1 0 by step, ties to the lowest index.
    assert dict(result.prefix_accuracy) == {1: 1 / 3, 2: 1.0, 3: 2 / 3, 4: 2 / 3}
    assert result.accuracy == 2 / 3
    assert result.tie_share == 1 / 3  # at the end only the last sample is undecided
    assert result.spikes_per_inference == 2 * (3 + 3 + 0) / 3  # inputs do not count
    assert (result.samples, result.timesteps) == (3, T)
    assert result.source_accuracy is None
    assert result.agreement is None
    assert dict(result.layer_correlation) == {}


def test_the_answers_of_the_prefixes_are_those_of_shorter_runs() -> None:
    net = layered(membrane=True)
    data = dataset(40)
    whole = nd.evaluate(packed(net), data)
    stimulus, _ = stimulus_for(packed(net), data)
    output = run_reference(net, stimulus).membranes["out"] - 2
    assert set(whole.prefix_accuracy) == set(range(1, 13))
    for t in range(1, 13):
        answers = output[:, t - 1].argmax(axis=1)
        assert whole.prefix_accuracy[t] == (answers == data.y).mean()


def test_without_labels() -> None:
    result = evaluated(RASTERS, None)
    assert result.accuracy is None
    assert dict(result.prefix_accuracy) == {}
    assert result.task == "values"  # nothing says that these are classes
    assert (result.tie_share, result.agreement) == (None, None)


def test_ties_go_to_the_lowest_index() -> None:
    decided = classify(np.array([[1, 3, 3], [2, 2, 2], [0, 1, 2], [-1, -2, -1]]))
    assert decided.labels.tolist() == [1, 0, 2, 0]
    assert decided.tied.tolist() == [True, True, False, True]


def test_two_outputs_have_no_class() -> None:
    net = relay((Output("out", "counts"), Output("more", "counts")))
    result = evaluate_network(net, RASTERS, np.zeros((3, 3)), np.zeros(3, np.int64))
    assert (result.accuracy, result.agreement, result.tie_share) == (None, None, None)
    assert result.prefix_accuracy == {}


# --- totals without torch ------------------------------------------------------------------------


def assert_same_totals(one: Summary, other: Summary) -> None:
    for f in fields(Summary):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name == "active":
            continue
        if not isinstance(a, dict):
            assert a == b, f.name
            continue
        assert set(a) == set(b), f.name
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=f"{f.name} {name}")


@pytest.mark.parametrize("name", list(CASES)[::4])
def test_totals_of_the_reference_and_of_the_engine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = case(name)
    netlist, stimulus = chosen.netlist, chosen.stimulus
    rates = [p.name for p in netlist.populations if not isinstance(p.model, Input)]
    engine = make_engine(netlist).summarize(stimulus, rates=rates)
    whole = summarize_reference(netlist, stimulus, rates=rates)
    assert_same_totals(whole, engine)
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)  # sample by sample
    told: list[tuple[int, int]] = []
    parts = summarize_reference(
        netlist, stimulus, rates=rates, progress=lambda *done: told.append(done)
    )
    assert_same_totals(parts, engine)
    samples = engine.samples
    assert told == [(i + 1, samples) for i in range(samples)]


def test_the_engine_is_used_where_torch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert importlib.util.find_spec("torch") is not None
    monkeypatch.setattr(totals, "run_reference", None)
    assert summarize(layered(), stimulus_for(packed(layered()), dataset())[0]).samples == 3


# --- JSON ----------------------------------------------------------------------------------------


def evaluation(timesteps: int, accuracy: float | None) -> Evaluation:
    prefixes = {} if accuracy is None else dict.fromkeys(range(1, timesteps + 1), accuracy)
    return Evaluation(7, timesteps, 0.9, accuracy, prefixes, 0.8, 12.5, 0.25, {"a": 0.5, "b": None})


def test_the_json_of_one_evaluation() -> None:
    value = json.loads(json.dumps(evaluations_to_dict([evaluation(2, 0.5)]), allow_nan=False))
    assert value == {
        "samples": 7,
        "timesteps": [2],
        "source_accuracy": 0.9,
        "accuracy": {"2": 0.5},
        "prefix_accuracy": {"1": 0.5, "2": 0.5},
        "agreement": {"2": 0.8},
        "spikes_per_inference": {"2": 12.5},
        "output_rmse": {"2": {}},
        "tie_share": 0.25,
        "task": "classes",
        "accuracy_interval": {"2": list(wilson(4, 7))},
        "loss": {"2": None},
        "relative_error": {"2": {}},
        "target_error": {"2": None},
        "source_target_error": None,
        "layer_correlation": {"2": {"a": 0.5, "b": None}},
        "prefix_accuracy_by_timesteps": {"2": {"1": 0.5, "2": 0.5}},
    }


def test_the_json_of_several_tells_the_prefixes_of_the_longest_run() -> None:
    value = evaluations_to_dict([evaluation(3, 0.7), evaluation(1, 0.4), evaluation(2, None)])
    assert value["accuracy"] == {"3": 0.7, "1": 0.4, "2": None}
    assert value["prefix_accuracy"] == {"1": 0.7, "2": 0.7, "3": 0.7}
    assert set(value["prefix_accuracy_by_timesteps"]) == {"1", "2", "3"}


KEYS = {
    "evaluate": {
        *("samples", "timesteps", "source_accuracy", "accuracy", "prefix_accuracy"),
        *("agreement", "spikes_per_inference", "tie_share"),
    },
    "verify": {
        *("samples", "timesteps", "target", "mismatches", "spikes", "compared_neuron_steps"),
        *("first_divergence", "exact"),
    },
    "energy": {
        *("board", "chips", "cores", "samples", "energy_per_inference_j", "time_per_inference_s"),
        *("events", "energy_by_event_j", "cores_detail", "unknown"),
    },
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    net, data = packed(layered()), dataset(4)
    nd.save(net, folder / "net.ndn")
    nd.save(nd.compile(net, "truenorth"), folder / "cores")
    np.savez(folder / "data.npz", x=data.x, y=data.y)
    return folder


@pytest.fixture
def json_of(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    monkeypatch.chdir(files)

    def call(*arguments: str) -> dict[str, Any]:
        assert run([*arguments, "--data", "data.npz", "--json"]) == 0
        value: dict[str, Any] = json.loads(capsys.readouterr().out)
        return value

    return call


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("evaluate", ("net.ndn",)),
        ("verify", ("cores", "--against", "reference,engine")),
        *[("energy", ("net.ndn", "--board", b)) for b in ("loihi1", "loihi2", "truenorth")],
        ("energy", ("cores", "--board", "truenorth")),
    ],
)
def test_the_commands_print_the_promised_keys(
    json_of: Callable[..., dict[str, Any]], command: str, arguments: tuple[str, ...]
) -> None:
    value = json_of(command, *arguments)
    assert set(value) >= KEYS[command]
    assert value["samples"] == 4
    if command == "energy":
        assert set(value["energy_per_inference_j"]) >= {"static", "dynamic", "total", "account"}
        assert set(value["time_per_inference_s"]) == {"likely", "low", "high"}
        assert {
            *("synops", "neuron_updates_active", "neuron_updates_inactive", "spikes"),
            *("packets", "hops_x", "hops_y"),
        } <= set(value["events"])
    if command == "verify":
        assert value["exact"] is True
        assert value["first_divergence"] is None
        assert set(value["mismatches"]) == {"reference", "engine"}
    if command == "evaluate":
        assert list(value["prefix_accuracy"]) == [str(t) for t in range(1, 13)]
