"""Charts: they say what they show, the same in files, notebooks and pages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.render.charts.accuracy import confusion_figure
from neurodeploy.render.charts.boards import core_map_figure, events_figure, known_terms
from neurodeploy.render.charts.conversion import layer_figure
from neurodeploy.render.charts.spikes import raster_figure
from neurodeploy.render.charts.svg import svg
from neurodeploy.render.charts.tradeoff import Choice, pareto
from neurodeploy.stages.reported import Measured


@pytest.fixture(scope="module")
def measured(small_report: nd.Report) -> Measured:
    (one,) = small_report.measured
    return one


def tips(figure: Any) -> list[str]:
    return re.findall(r"<title>([^<]*)</title>", svg(figure, "x", "what it is"))


def test_plots_of_a_diagnosis_have_titles_legends_and_say_where_axes_begin(
    measured: Measured,
) -> None:
    diagnosis = measured.diagnosis
    assert diagnosis is not None
    errors, correlation, curve = nd.plot(diagnosis).axes
    for axes in (errors, correlation, curve):
        assert axes.get_title(loc="left")
    assert [t.get_text() for t in errors.get_legend().get_texts()][:2] == [
        "clipping",
        "quantization",
    ]
    assert {t.get_text() for t in curve.get_legend().get_texts()} == {
        "spiking network",
        "source network",
    }
    zoomed = [a for a in (correlation, curve) if a.get_ylim()[0] > 0]
    notes = [t.get_text() for axes in (correlation, curve) for t in axes.texts]
    assert len(notes) == len(zoomed)
    assert all(note.startswith("zoomed: the axis begins at") for note in notes)
    panels = layer_figure(diagnosis.layers[0], diagnosis).axes
    assert all(axes.get_title(loc="left") for axes in panels)
    assert all(axes.get_legend() is not None for axes in panels[:2])


def test_an_axis_that_begins_above_zero_says_so(measured: Measured) -> None:
    diagnosis = measured.diagnosis
    assert diagnosis is not None
    layers = tuple(replace(v, correlation=0.99 + i / 1000) for i, v in enumerate(diagnosis.layers))
    _, correlation, _ = nd.plot(replace(diagnosis, layers=layers)).axes
    (note,) = correlation.texts
    assert note.get_text() == (
        f"zoomed: the axis begins at {correlation.get_ylim()[0]:.4g}, not at 0"
    )


def test_the_figures_of_results_are_those_of_the_page(
    measured: Measured, small_page: str, small_net: nd.Network
) -> None:
    assert svg(nd.plot(small_net), "graph", "The network as a graph; the table below says it") in (
        small_page
    )
    comparison = measured.energy
    assert comparison is not None
    assert svg(nd.plot(comparison), "energy", "Energy per inference on each board") in small_page


def test_tips_tell_the_values(measured: Measured) -> None:
    assert measured.energy is not None
    reports = measured.energy.reports
    told = tips(events_figure(reports))
    for board, report in reports.items():
        likely = {name: j.likely for name, j in known_terms(report).items()}
        total = report.static_j + report.dynamic_j
        assert sum(likely.values()) == pytest.approx(total)
        shares = [float(t.split(", ")[-1].split(" ")[0]) for t in told if t.startswith(f"{board},")]
        assert sum(s for s in shares if s) == pytest.approx(100, abs=0.3)
    report = reports["truenorth"]
    cores = tips(core_map_figure(report, measured.boards["truenorth"].grid, "load"))
    assert len([c for c in cores if c.startswith("core ")]) == report.cores
    assert report.cores_detail[0].holds.split("[")[0] in cores[0]


def test_what_is_unknown_is_hatched(measured: Measured) -> None:
    assert measured.energy is not None
    report = replace(measured.energy.reports["loihi1"], unknown=("timing.host_writes",))
    (board,) = (t for t in tips(events_figure({"loihi1": report})) if "unknown" in t)
    assert board == f"loihi1, unknown: {', '.join(report.unknown)}"
    assert "pattern" in svg(events_figure({"loihi1": report}), "x", "")
    known = replace(report, unknown=(), energy_by_event_j={"spikes": Interval(1.0, 1.0, 1.0)})
    assert "pattern" not in svg(events_figure({"loihi1": known}), "x", "")


def test_a_raster_has_a_pixel_for_every_payload() -> None:
    spikes = np.zeros((3, 20), dtype=np.int64)
    spikes[0, 0], spikes[2, 19] = 4, -2
    (axes,) = raster_figure({"a": spikes, "b": spikes}, {"a": 1, "b": 2}, "two").axes
    (image,) = axes.get_images()
    pixels = image.get_array()
    rows, steps = np.nonzero(pixels[..., 3])
    assert sorted(zip(rows, steps, strict=True)) == [(0, 1), (19, 3), (22, 2), (41, 4)]
    positive, negative = pixels[0, 1], pixels[19, 3]
    assert positive[2] > positive[0]
    assert negative[0] > negative[2]
    assert positive[3] > negative[3]


def test_a_matrix_counts_labels_by_rows() -> None:
    figure = confusion_figure(np.array([0, 0, 2]), np.array([0, 1, 2]), 3)
    (axes,) = figure.axes
    counts = {t.get_position(): t.get_text() for t in axes.texts}
    assert counts == {(0, 0): "1", (1, 0): "1", (2, 2): "1"}


def test_the_line_of_choices_that_none_betters() -> None:
    choices = [Choice(n, c, v) for n, c, v in (("a", 3, 9), ("b", 1, 5), ("c", 2, 4), ("d", 3, 8))]
    assert [c.name for c in pareto(choices)] == ["b", "a"]


def test_names_in_charts_are_text_in_any_script(measured: Measured) -> None:
    diagnosis = measured.diagnosis
    assert diagnosis is not None
    first, *others = diagnosis.layers
    named = replace(diagnosis, layers=(replace(first, name="層<b>$x^2$&\x1b\n"), *others))
    drawn = svg(nd.plot(named), "x", "層")
    assert "層&lt;b&gt;$x^2$&amp;\\x1b\\n" in drawn
    assert "\x1b" not in drawn
