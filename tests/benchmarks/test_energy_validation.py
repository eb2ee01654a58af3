"""The published points: complete, frozen, of the stated sizes; fits that do not see their row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.energy_validation import silicon
from benchmarks.energy_validation.__main__ import main
from benchmarks.energy_validation.comparison import AIMS, compare
from benchmarks.energy_validation.leave_one_out import features, fit, leave_one_out
from benchmarks.energy_validation.measured import (
    WIDEST,
    commit_of_predictions,
    frozen,
    judge,
    left_out,
)
from benchmarks.energy_validation.networks import build, counts, rates
from benchmarks.energy_validation.points import POINTS, Point, load_points, tomllib
from benchmarks.energy_validation.prediction import deployed_board
from benchmarks.energy_validation.silicon import QUARTZ_STEPS, pilotnet, quartz, tutorial
from neurodeploy.hardware.boards.loading import load_board

# Of the values, not of the comments: assumptions are not changed once errors are known.
FROZEN = "3b2621bc671b2cbe"

DATA = tomllib.loads(POINTS.read_text(encoding="utf-8"))
LOADED = load_points()
BY_NAME = {point.name: point for point in LOADED.points}


def test_the_points_are_those_that_were_frozen() -> None:
    text = json.dumps(DATA, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == FROZEN


def test_everything_has_a_source_and_a_flag() -> None:
    sources = DATA["sources"]
    for point in DATA["points"].values():
        for key in ("steps", "weight_bits", "input_rate", "hidden_rate", "architecture"):
            assert point[f"{key}_source"]
        assert point["architecture_note"]
        assert point["architecture_source"] in sources
        assert point["steps_source"] in sources
        assert {"cores", "energy", "time"} <= set(point["measured"]) <= {*AIMS, "energy", "time"}
        for figure in [*point["measured"].values(), point["stated"]]:
            assert figure["source"] in sources
            assert figure["flag"] in ("checked", "recalled")
    assert {row["flag"] for row in DATA["esser2016"]["rows"]} == {"recalled"}
    assert LOADED.factors == (0.5, 1.0, 2.0)


def test_no_constant_belongs_to_a_row() -> None:
    """Constants are those of the board files, and points name nothing but their board."""
    for point in DATA["points"].values():
        assert not {"static", "power_w", "overhead", "constants", "limits"} & set(point)


@pytest.mark.parametrize("point", LOADED.points, ids=lambda point: point.name)
def test_networks_have_the_stated_counts(point: Point) -> None:
    found = counts(point)
    assert {"neurons", "parameters"} <= set(point.stated)
    for what, stated in point.stated.items():
        assert stated.low <= found[what] <= stated.high, stated.text
    netlist = build(point)
    assert netlist.n_steps == point.steps
    assert all(q.weight_bits == point.weight_bits for q in netlist.projections[1:])


def test_the_reconstruction_is_the_one_that_its_note_describes() -> None:
    point = BY_NAME["nxtf-mnist"]
    best = []
    for a in range(2, 41, 2):
        for b in range(2, 41, 2):
            for c in range(2, 41, 2):
                weights = 25 * a + 9 * a * b + 9 * b * c + 160 * c
                synapses = 3600 * a + 900 * a * b + 144 * b * c + 160 * c
                neurons, biases = 144 * a + 100 * b + 16 * c + 10, a + b + c + 10
                if 3500 <= neurons < 4500 and 6500 <= weights + biases < 7500:
                    off = abs(weights / 6746 - 1) + abs(synapses / 341_000 - 1)
                    best.append((off, (a, b, c, 10)))
    chosen = tuple(layer["channels"] for layer in point.layers)
    assert min(best)[1] == chosen
    a, b, c, _ = chosen
    assert counts(point)["weights"] == 25 * a + 9 * a * b + 9 * b * c + 160 * c


def test_mobilenet_has_28_weighted_layers_and_a_stride_of_2_changes_its_size() -> None:
    point = BY_NAME["nxtf-mobilenet"]
    weighted = {"conv": 1, "separable": 2, "average": 0, "dense": 1}
    assert sum(weighted[layer["kind"]] for layer in point.layers) == 28
    first = {**point.layers[0], "stride": 2, "padding": (0, 1)}
    halved = replace(point, layers=(first, *point.layers[1:-2]))
    assert counts(halved)["neurons"] < 0.26 * counts(point)["neurons"]


def test_rates_are_scaled_and_capped() -> None:
    point = BY_NAME["nxtf-mobilenet"]
    netlist = build(point)
    found = rates(point, netlist, 4.0)
    assert found["pixels"] == 1.0
    assert found["conv1"] == pytest.approx(4 * point.hidden_rate)
    assert set(found) == {population.name for population in netlist.populations}


@pytest.mark.parametrize(
    ("constants", "event", "energy"),
    [
        ("loihi1", "neuron_updates_active", (81 + 52) * 1e-12),
        ("loihi1", "neuron_updates_inactive", 2 * 52e-12),
        ("loihi1", "synops", 23.6e-12),
        ("sanafe-loihi", "neuron_accesses", 2 * 51.2e-12),
        ("sanafe-loihi", "neuron_updates_active", 21.6e-12),
    ],
)
def test_a_neuron_of_two_compartments_costs_two(constants: str, event: str, energy: float) -> None:
    board = deployed_board(LOADED.points[0].board, constants)
    assert board.energy(event) == pytest.approx(energy)
    assert board.limit("neurons") == 512
    assert board.grid.n_cores == 32 * 128
    assert load_board(constants).limit("neurons") == 1024


@pytest.mark.parametrize("point", LOADED.points, ids=lambda point: point.name)
def test_cores_meet_their_aim_and_misses_are_told(point: Point) -> None:
    for comparison in compare(point, LOADED.factors):
        assert comparison.met("cores")
        energies = [p.figure("energy") for p in comparison.predictions]
        assert energies == sorted(energies)
        for figure in ("energy", "time"):
            error = comparison.error(figure, comparison.nominal)
            factor = comparison.rate_factor(figure)
            assert factor is not None
            assert (factor > 1) == (error < 0)


def test_a_row_is_never_seen_by_its_own_fit() -> None:
    survey = LOADED.survey
    before = {found.model: found.predicted_w for found in leave_one_out(survey)}
    for k, row in enumerate(survey.rows):
        changed = list(survey.rows)
        changed[k] = replace(row, power_w=10 * row.power_w)
        after = leave_one_out(replace(survey, rows=tuple(changed)))
        for found in after:
            mine = before[found.model]
            assert found.predicted_w[k] == mine[k]
            others = [i for i in range(len(mine)) if i != k]
            assert all(found.predicted_w[i] != mine[i] for i in others)


def test_a_law_that_holds_is_found_and_rates_cancel() -> None:
    survey = LOADED.survey
    lawful = tuple(
        replace(row, power_w=13e-6 * row.cores + 2e-8 * row.cores * row.frames_per_s)
        for row in survey.rows
    )
    ours = next(f for f in leave_one_out(replace(survey, rows=lawful)) if f.model == "ours")
    assert ours.mean_absolute_error < 1e-9
    one, two = (leave_one_out(survey, factor) for factor in (0.5, 2.0))
    for a, b in zip(one, two, strict=True):
        assert a.predicted_w == pytest.approx(b.predicted_w)


def test_the_fit_minimises_the_relative_error() -> None:
    survey = LOADED.survey
    x = np.array([features(row, ("cores", "events"), survey) for row in survey.rows])
    power = np.array([row.power_w for row in survey.rows])
    found = fit(x, power)
    best = np.sum((x @ found / power - 1) ** 2)
    for nudge in ((1.001, 1.0), (0.999, 1.0), (1.0, 1.001), (1.0, 0.999)):
        assert np.sum((x @ (found * nudge) / power - 1) ** 2) > best


def test_missing_keys_and_unknown_flags_are_refused(tmp_path: Path) -> None:
    text = POINTS.read_text(encoding="utf-8")
    for old, new, message in (
        ('flag = "recalled"\n\n[[', 'flag = "sure"\n\n[[', "flag 'sure'"),
        ('steps_flag = "checked"\n', "", "steps_flag"),
    ):
        assert old in text
        path = tmp_path / "points.toml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(KeyError, match=message):
            load_points(path)


def test_the_table_and_its_json(capsys: pytest.CaptureFixture[str], shared_dir: Path) -> None:
    shared = ["--shared", str(shared_dir)]
    assert main(shared) == 0
    text = capsys.readouterr().out
    for words in ("recalled", "mean absolute", "would explain", "predictions of commit"):
        assert words in text
    assert main([*shared, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [p["name"] for p in data["points"]] == ["nxtf-mnist", "nxtf-mobilenet"]
    assert {row["model"] for row in data["esser2016"]} == set(LOADED.survey.models)
    mobile = data["points"][1]
    assert mobile["recalled"] == ["steps"]
    assert "events.chip_crossings.latency" in mobile["predictions"][0]["unknown"]
    assert mobile["predictions"][0]["time_s"]["high"] is None
    assert bool(data["judged"]) == (shared_dir / "measured" / "points.json").exists()


def test_without_the_measured_runs_nothing_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--shared", str(tmp_path)]) == 0
    assert "points.json is missing: nothing is judged" in capsys.readouterr().out


PREDICTED = frozen()


def runs_of(shared_dir: Path) -> Any:
    path = shared_dir / "measured" / "points.json"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return json.loads(path.read_text())


def close(mine: Any, theirs: Any) -> None:
    """Equal but for the last digits of numbers."""
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            close(value, theirs[key])
    elif isinstance(mine, float):
        assert mine == pytest.approx(theirs, rel=1e-9)
    else:
        assert mine == theirs


@pytest.mark.parametrize("steps", QUARTZ_STEPS)
@pytest.mark.parametrize("constants", ["loihi1", "sanafe-loihi"])
def test_board_files_give_the_frozen_predictions_of_quartz(steps: int, constants: str) -> None:
    close(quartz(steps, constants), PREDICTED[f"quartz, {steps} steps"][constants])


def test_board_files_give_the_frozen_predictions_of_pilotnet(shared_dir: Path) -> None:
    pytest.importorskip("h5py", reason="the network is an HDF5 file")
    path = shared_dir / "lava-dl" / "netx__pilotnet_snn__network.net"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    close(pilotnet(path), PREDICTED["pilotnet"]["loihi2"])


def test_weights_and_board_files_give_the_frozen_prediction_of_the_tutorial(
    shared_dir: Path,
) -> None:
    """Of its first image, spike for spike; ``--predict`` takes all 128."""
    pytest.importorskip("h5py", reason="the weights are an HDF5 file")
    weights = shared_dir / "measured" / "nxtf_tutorial_mnist.h5"
    if not weights.exists():
        pytest.skip(f"{weights} is missing")
    frozen_row = PREDICTED["nxtf-tutorial, first image"]
    assert frozen_row["loihi1"]["images"] == 1
    close(tutorial(weights, shared_dir / "data" / "mnist", 1), frozen_row)
    assert PREDICTED["nxtf-tutorial"]["loihi1"]["images"] == 128
    # The chip has 2 of the 128 wrong.
    assert PREDICTED["nxtf-tutorial"]["loihi1"]["wrong"] <= 3


def test_every_aim_is_met_and_every_measured_value_is_inside(shared_dir: Path) -> None:
    rows = judge(PREDICTED, runs_of(shared_dir))
    aimed = [row for row in rows if row.aim is not None]
    assert {row.point for row in aimed} == {"NxTF tutorial", "PilotNet LIF", "Quartz MNIST"}
    for row in aimed:
        assert row.met, row
        if row.predicted.width:
            assert row.covered, row
            assert row.predicted.high / row.predicted.low < WIDEST, row
    without = next(row for row in rows if "without this row" in row.note)
    assert not without.covered


def test_a_row_of_quartz_is_not_seen_by_its_fit(shared_dir: Path) -> None:
    runs = runs_of(shared_dir)
    steps = list(QUARTZ_STEPS)
    rows = [PREDICTED[f"quartz, {t} steps"]["loihi1"] for t in steps]
    by_steps = {r["steps"]: r for r in runs["loihi1"] if r["name"].startswith("Quartz MNIST")}
    time = np.array([1e-6 * by_steps[t]["us_step"] * t for t in steps])
    errors = []
    for k in range(len(steps)):
        changed = time.copy()
        changed[k] *= 3
        assert left_out(rows, steps, time, k) == left_out(rows, steps, changed, k)
        errors.append(abs(left_out(rows, steps, time, k)[0] / time[k] - 1))
    injection = load_board("loihi1").overheads["injection"]
    assert injection.leave_one_out == pytest.approx(max(errors), abs=0.005)
    _, (_, fitted) = left_out(rows, steps, time, None)
    assert injection.interval.covers(fitted)


def test_predictions_do_not_read_what_was_measured() -> None:
    source = Path(silicon.__file__).read_text()
    assert "points.json" not in source
    assert "benchmarks.energy_validation.measured" not in source
    commit = commit_of_predictions()
    assert commit == "" or len(commit) == 40
