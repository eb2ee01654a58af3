"""Sweeps of a tiny network: kept one by one, interrupted, in shards, on a cluster."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.distribution import Outcome, Workers
from neurodeploy.distribution.workers import died, outcome_of
from neurodeploy.errors import UsageError
from neurodeploy.ir.lock import locked
from neurodeploy.sweeps.results import is_whole

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("onnx")

CALIBRATION = "digits@train#first=40"
AXES = {"method": ["rate", "graded"], "timesteps": [1, 2, 3]}


def here(
    function: Callable[[Any], Any], items: Sequence[Any], workers: Workers
) -> Iterator[tuple[int, Outcome]]:
    """Tasks in this process, which imports torch once; the last first."""
    for place in reversed(range(len(items))):
        yield place, outcome_of(function, items[place])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that takes no time, nor do workers that read it."""
    from tests.source.onnx_files import helper, written

    rng = np.random.default_rng(0)
    constants = {"a": rng.normal(size=(64, 12)), "b": rng.normal(size=(12, 10))}
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "a"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b"], ["y"]),
    ]
    weights = {k: np.asarray(constants[k], np.float32) for k in "ab"}
    folder = tmp_path_factory.mktemp("model")
    return str(written(folder, nodes, weights, (1, 8, 8)))


Swept = Callable[..., nd.Sweep]


@pytest.fixture(scope="module")
def swept(model: str) -> Swept:
    def run(folder: Path | None, **options: Any) -> nd.Sweep:
        given = {**AXES, **options}
        return nd.sweep(model, "digits", 20, output=folder, calibration_data=CALIBRATION, **given)

    return run


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurodeploy.stages.sweep.completed", here)


def results(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "configurations").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, swept: Swept) -> tuple[Path, nd.Sweep]:
    """A sweep that ran through, with a board."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurodeploy.stages.sweep.completed", here)
        return folder, swept(folder, board="loihi2", energy_samples=2)


def test_rows_are_what_the_stages_give(whole: tuple[Path, nd.Sweep], model: str) -> None:
    folder, sweep = whole
    rows = sweep.rows()
    assert [(r["method"], r["timesteps"]) for r in rows] == [
        (m, t) for m in AXES["method"] for t in AXES["timesteps"]
    ]
    net = nd.convert(model, CALIBRATION, method="graded", timesteps=2).quantize()
    found = net.evaluate("digits", 20)
    energy = net.energy("loihi2", "digits", 2)
    row = rows[4]
    assert (row["accuracy"], row["spikes_per_inference"]) == (
        found.accuracy,
        found.spikes_per_inference,
    )
    assert (row["energy_j"], row["cores"]) == (energy.total_j, energy.cores)
    assert (folder / "results.csv").read_text().count("\n") == 7
    assert len(results(folder)) == 6


def test_an_interrupted_sweep_goes_on(
    whole: tuple[Path, nd.Sweep], swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(*given: Any) -> Iterator[tuple[int, Outcome]]:
        for n, (place, outcome) in enumerate(here(*given)):
            if n == 2:
                raise KeyboardInterrupt
            yield place, outcome

    lines: list[str] = []
    monkeypatch.setattr("neurodeploy.stages.sweep.completed", stopping)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path / "s", board="loihi2", energy_samples=2, tell=lines.append)
    assert "keeps 2 of 6 configurations; the same command goes on" in lines[-1]
    assert len(results(tmp_path / "s")) == 2
    assert not (tmp_path / "s" / "results.csv").exists()
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "s" / "configurations").iterdir()}
    monkeypatch.setattr("neurodeploy.stages.sweep.completed", here)
    again = swept(tmp_path / "s", board="loihi2", energy_samples=2)
    assert again.rows() == whole[1].rows()
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    for name in ("results.csv", "sweep.json"):
        assert (tmp_path / "s" / name).read_bytes() == (whole[0] / name).read_bytes()


@pytest.mark.parametrize("n", [2, 3])
def test_shards_give_the_same_frame(n: int, swept: Swept, tmp_path: Path, inline: None) -> None:
    axes = {"method": "rate", "timesteps": [1, 2, 3]}
    plain = swept(None, **axes)
    folder = tmp_path / "s"
    with pytest.raises(UsageError, match="3 of 3 configurations have no result yet"):
        swept(folder, **axes, collect=True)
    assert not folder.exists()
    for k in range(1, n + 1):
        swept(folder, **axes, shard=f"{k}/{n}")
        assert not (folder / "results.csv").exists()
    assert len(results(folder)) == 3
    assert swept(folder, **axes, collect=True).rows() == plain.rows()


def test_another_sweep_keeps_its_folder(
    whole: tuple[Path, nd.Sweep], swept: Swept, inline: None
) -> None:
    folder, _ = whole
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for options, message in (
        ({"board": "loihi1", "energy_samples": 2}, "holds another sweep, whose boards is"),
        ({"board": "loihi2", "energy_samples": 3}, "holds another sweep, whose energy samples"),
        (
            {"board": "loihi2", "energy_samples": 2, "timesteps": [2, 3]},
            "holds a sweep with other configurations .rate timesteps=1.",
        ),
        ({"board": "loihi2", "energy_samples": 2, "timestep": 2}, "unknown option"),
    ):
        with pytest.raises(UsageError, match=message):
            swept(folder, **options)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(
    swept: Swept, tmp_path: Path, inline: None
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match=r"is a folder with other content, thesis\.tex"):
        swept(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_at_once_are_not_mixed(swept: Swept, tmp_path: Path, inline: None) -> None:
    folder = tmp_path / "sweep"
    with locked(folder):
        for options in ({}, {"shard": "1/2"}, {"collect": True}):
            with pytest.raises(UsageError, match=f"sweep: process {os.getpid()} is writing here"):
                swept(folder, **options)
    assert not folder.exists()
    # Shards are made to run beside each other.
    with locked(folder, shared=True):
        swept(folder, shard="1/2")
        with pytest.raises(UsageError, match="a shard of the same sweep is writing here"):
            swept(folder)
    assert len(results(folder)) == 3
    assert not list(folder.rglob(".*"))


def test_errors_are_rows_and_deaths_are_tried_again(
    swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = {"method": "rate", "timesteps": [1, 2, 3]}
    runs: list[int] = []

    def failing(
        function: Callable[[Any], Any], items: Sequence[Any], workers: Workers
    ) -> Iterator[tuple[int, Outcome]]:
        runs.append(len(items))
        for place, item in enumerate(items):
            ends = {1: died("killed by SIGKILL"), 2: Outcome(error="no", kind="refused")}
            found = ends.get(place) if len(items) > 1 else None
            yield place, found or outcome_of(function, item)

    monkeypatch.setattr("neurodeploy.stages.sweep.completed", failing)
    first = swept(tmp_path / "s", **axes)
    assert [row["status"] for row in first.rows()] == ["done", "error", "error"]
    assert "2 workers died of it" in first.rows()[1]["error"]
    again = swept(tmp_path / "s", **axes)
    assert runs == [3, 1]
    assert [row["status"] for row in again.rows()] == ["done", "done", "error"]


def test_more_configurations_may_join(swept: Swept, tmp_path: Path, inline: None) -> None:
    swept(tmp_path / "s", method="rate", timesteps=[1])
    lines: list[str] = []
    found = swept(tmp_path / "s", method="rate", timesteps=[1, 2], tell=lines.append)
    assert lines[0].endswith("keeps 1 of 2 configurations")
    assert len(found.records) == 2


def test_a_damaged_result_is_told(swept: Swept, tmp_path: Path, inline: None) -> None:
    swept(tmp_path / "s", method="rate", timesteps=[1])
    (path,) = (tmp_path / "s" / "configurations").iterdir()
    path.write_text(path.read_text()[:50])
    with pytest.raises(nd.FileFormatError, match="damaged; delete it"):
        swept(tmp_path / "s", method="rate", timesteps=[1])


def test_what_a_killed_sweep_left_is_removed(swept: Swept, tmp_path: Path, inline: None) -> None:
    swept(tmp_path / "s", method="rate", timesteps=[1])
    (kept,) = (tmp_path / "s" / "configurations").iterdir()
    before = results(tmp_path / "s")
    left = [
        kept.with_name(f".{kept.name}.abcdefgh"),
        *(tmp_path / "s" / f".{name}.abcdefgh" for name in ("sweep.json", "results.csv")),
    ]
    for path in left:
        path.write_text("half")
    # Another shard may be writing.
    swept(tmp_path / "s", method="rate", timesteps=[1], shard="1/1")
    assert all(path.exists() for path in left)
    swept(tmp_path / "s", method="rate", timesteps=[1])
    assert not any(path.exists() for path in left)
    assert results(tmp_path / "s") == before


def test_a_result_whose_figures_are_none_is_told(
    swept: Swept, tmp_path: Path, inline: None
) -> None:
    options = {"method": "rate", "timesteps": [1], "board": "loihi2", "energy_samples": 1}
    found = swept(tmp_path / "s", **options)
    (path,) = (tmp_path / "s" / "configurations").iterdir()
    whole = json.loads(path.read_text())
    assert is_whole(whole, ["loihi2"])
    assert not is_whole(whole, [])
    price = whole["boards"]["loihi2"]
    changes = [
        *({**whole, "status": status} for status in ("error", None, [])),
        *({**whole, name: value} for name in ("T", "network") for value in (None, -1, True)),
        *({**whole, "accuracy": value} for value in ("x", 1.5, 10**400, {}, -0.1)),
        *({**whole, "accuracy_low": None}, {**whole, "spikes_per_inference": None}),
        *({**whole, "boards": value} for value in (None, {}, [], {"loihi1": price})),
        *(
            {**whole, "boards": {"loihi2": value}}
            for value in (
                *(None, {}, {"reason": 1, "verdict": "x"}, {"reason": "x"}),
                *({**price, name: None} for name in ("verdict", "energy_j", "time_s", "cores")),
                {**price, "energy_high_j": price["energy_low_j"]},
            )
        ),
    ]
    assert not any(is_whole(changed, ["loihi2"]) for changed in changes)
    for one in (changes[0], changes[-1]):
        path.write_text(json.dumps(one))
        with pytest.raises(nd.FileFormatError, match="damaged; delete it"):
            swept(tmp_path / "s", **options)
    refused = {"loihi2": {"verdict": "does not fit", "reason": "too large"}}
    open_ended = {"loihi2": {**price, "energy_high_j": None}}
    for boards in (refused, open_ended, whole["boards"]):
        path.write_text(json.dumps({**whole, "boards": boards}))
        again = swept(tmp_path / "s", **options)
        assert again.records[0]["boards"] == boards
    assert again.rows() == found.rows()


def test_a_cluster_whose_worker_is_killed_loses_nothing(
    whole: tuple[Path, nd.Sweep], swept: Swept, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            multiprocessing.active_children()[0].kill()

    found = swept(tmp_path / "s", board="loihi2", energy_samples=2, scheduler="local:2", tell=tell)
    assert found.rows() == whole[1].rows()
    assert results(tmp_path / "s") == results(whole[0])
    # A line for each, once.
    assert len({line.split(": ")[0].partition(" ")[2] for line in lines}) == len(lines) == 6
