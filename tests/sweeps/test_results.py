"""The table of a sweep, its Pareto line and its files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from neurodeploy.render.sweep import render_sweep, table_of
from neurodeploy.sweeps.results import PRICED, Sweep, is_whole


def record(number: int, accuracy: float, energy: float | None, **more: Any) -> dict[str, Any]:
    figures = dict.fromkeys(PRICED) | {"verdict": "fits", "energy_j": energy, "time_s": 1e-3}
    figures |= {"energy_low_j": energy, "time_low_s": 1e-4, "cores": 2, "chips": 1}
    refused = {"verdict": "does not fit", "reason": "board loihi1 cannot run it"}
    return {
        "configuration": {"method": "rate", "timesteps": number},
        "status": "done",
        "T": number,
        "samples": 10,
        "source_accuracy": 0.99,
        "accuracy": accuracy,
        "accuracy_low": accuracy,
        "accuracy_high": accuracy,
        "agreement": accuracy,
        "spikes_per_inference": 10.0 * number,
        "boards": {"loihi1": refused if energy is None else figures},
        **more,
    }


@pytest.fixture
def sweep() -> Sweep:
    records = [
        record(1, 0.90, 3e-6),
        record(2, 0.95, 2e-6),
        record(3, 0.955, 5e-6),
        record(4, 0.95, 9e-6),
        record(5, 0.99, None),
        {
            "configuration": {"method": "rate", "timesteps": 6},
            "status": "error",
            "kind": "refused",
            "error": 'no, = "quoted"',
        },
    ]
    configurations = tuple(r["configuration"] for r in records)
    return Sweep({"boards": ["loihi1"]}, configurations, tuple(records))


def test_the_line_holds_what_nothing_beats(sweep: Sweep) -> None:
    assert [row["timesteps"] for row in sweep.pareto()] == [2, 3]
    choice = sweep.choice()
    assert choice is not None
    assert choice["timesteps"] == 2
    best = sweep.choice(max_loss=0.001)
    assert best is not None
    assert best["timesteps"] == 3


def test_without_boards_spikes_are_the_cost(sweep: Sweep) -> None:
    bare = Sweep({"boards": []}, sweep.configurations, sweep.records)
    assert [row["timesteps"] for row in bare.pareto()] == [1, 2, 3, 5]
    assert bare.to_dict()["trade_off"] == [
        {"board": None, "cost": "spikes_per_inference", "pareto": [1, 2, 3, 5], "choice": 5}
    ]


def test_where_answers_are_no_classes_small_errors_are_better() -> None:
    records = [
        {**record(n, 0, 1e-6 * n), "relative_error": error}
        | dict.fromkeys(("source_accuracy", "accuracy", "agreement"))
        for n, error in ((1, 0.3), (2, 0.4), (3, 0.2))
    ]
    configurations = tuple(r["configuration"] for r in records)
    found = Sweep({"boards": ["loihi1"]}, configurations, tuple(records))
    assert [row["timesteps"] for row in found.pareto()] == [1, 3]
    assert render_sweep(found).startswith("relative error against energy")


def test_a_source_at_chance_is_told_before_what_nothing_beats(sweep: Sweep) -> None:
    line = "source network: 9.6 % of 512 training images is not above chance (10.4 %)"
    records = (record(1, 0.1, 3e-6, warnings=["relu_1: silent", line]), *sweep.records[1:])
    found = Sweep(sweep.common, sweep.configurations, records)
    assert render_sweep(found).split("\n\n")[1] == f"warning: {line}"
    kept = {**records[0], "network": "0", "boards": {}}
    assert is_whole(kept, [])
    assert not is_whole({**kept, "warnings": [3]}, [])


def test_text_tells_line_choice_and_refusals(sweep: Sweep) -> None:
    text = render_sweep(sweep)
    assert text.startswith("source network: 99.00 % of 10 samples\n\naccuracy against energy")
    assert "beats these 2" in text
    assert text.count("\n* ") == 1
    assert "loihi1 does not run 1 of 6 configurations" in text
    assert "without result: 1 of 6\nrate timesteps=6: no," in text


def test_a_time_is_told_with_its_ends_and_what_is_unknown_is_no_zero(sweep: Sweep) -> None:
    assert "at least 0.1 ms (likely 1)" in render_sweep(sweep)
    unknown = record(1, 0.9, 3e-6)
    unknown["boards"]["loihi1"] |= {
        **dict.fromkeys(("energy_j", "dynamic_j", "time_s")),
        **dict.fromkeys(("energy_low_j", "time_low_s"), 0.0),
    }
    found = Sweep({"boards": ["loihi1"]}, sweep.configurations[:1], (unknown,))
    assert found.pareto() == []
    (head,) = render_sweep(found).split("\n\n")[1:]
    assert head == (
        "no configuration has a figure on loihi1: loihi1 tells no constant that an energy needs"
    )
    told = table_of(found, found.rows(), "loihi1").cells[0]
    assert told[-3:] == ("unknown", "unknown", "2")


def test_files_hold_the_rows(sweep: Sweep, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = sweep.write(tmp_path)
    assert [p.name for p in paths] == ["results.csv", "results.parquet"]
    with paths[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["configuration"] for row in rows] == list("123456")
    assert rows[5]["error"] == 'no, = "quoted"'
    assert float(rows[0]["energy_j"]) == 3e-6
    table = parquet.read_table(paths[1])
    assert table.to_pylist() == sweep.rows()
    assert table.schema.field("accuracy").type == "double"


def test_without_pyarrow_there_is_csv(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert [p.name for p in sweep.write(tmp_path)] == ["results.csv"]


def test_the_frame_has_a_row_for_each_configuration_and_board(sweep: Sweep) -> None:
    pytest.importorskip("pandas")
    frame = sweep.frame()
    assert list(frame["timesteps"]) == [1, 2, 3, 4, 5, 6]
    assert set(frame["board"]) == {"loihi1"}


def test_the_page_shows_line_choice_and_all(sweep: Sweep) -> None:
    pytest.importorskip("matplotlib")
    from neurodeploy.render.page.sweep import sweep_page

    named = Sweep({"model": "<b>.py:net", **sweep.common}, sweep.configurations, sweep.records)
    page = sweep_page(named)
    assert page == sweep_page(named)
    assert page.startswith("<!DOCTYPE html>")
    assert "<b>" not in page
    assert page.count("<svg") == 1
    assert "rate timesteps=5" not in page.partition("</figure>")[0]
    for text in (
        "99.00 % of 10 samples",
        "no other is better in both",
        "chosen",
        "does not fit",
        "Without result",
    ):
        assert text in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
