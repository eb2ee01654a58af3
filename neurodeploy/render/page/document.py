"""The whole page."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources

import numpy as np

from neurodeploy.network import network_to_bytes
from neurodeploy.notebook import expect_matplotlib
from neurodeploy.render.charts.svg import svg
from neurodeploy.render.charts.tradeoff import Choice, tradeoff_figure
from neurodeploy.render.markup import Markup, Part, element, markup
from neurodeploy.render.netlist import headline
from neurodeploy.render.page.cards import cards
from neurodeploy.render.page.sections import Section, scrolling, sections
from neurodeploy.render.page.values import Values
from neurodeploy.stages.reported import Measured, Report
from neurodeploy.version import __version__


def page(report: Report) -> str:
    """The report as one HTML file, the same bytes for the same report.

    Raises
    ------
    TargetUnavailableError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    values = Values(report.to_dict())
    title = f"{report.name}: neurodeploy report"
    groups = [
        (one, list(sections(one, f"{i}-" if len(report.measured) > 1 else "")))
        for i, one in enumerate(report.measured)
    ]
    return whole_page(
        title,
        _header(report),
        _contents(groups),
        element(
            "main",
            cards(report, values),
            _compared(report),
            [_group(one, found, len(groups) > 1) for one, found in groups],
            _again(report),
            id="content",
        ),
    )


def whole_page(title: str, header: Part, contents: Part, main: Part) -> Markup:
    """A page with our style and script and nothing else; ``main`` has the anchor ``content``."""
    style, script = (Markup(_file(name)) for name in ("style.css", "script.js"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        # Nothing is ever asked for, and no other script than ours runs.
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        "\n",
        element("style", style),
        "\n",
    )
    body = element(
        "body",
        element("a", "To the content", href="#content", class_="skip"),
        "\n",
        header,
        "\n",
        contents,
        "\n",
        main,
        "\n",
        element("script", script),
    )
    return markup(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en"), "\n")


def _file(name: str) -> str:
    folder = importlib.resources.files("neurodeploy.render.page")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _header(report: Report) -> Markup:
    rows: list[tuple[str, Part]] = []
    for one in report.measured:
        digest = element("code", hashlib.sha256(network_to_bytes(one.network)).hexdigest())
        name = one.name if len(report.measured) > 1 else "netlist"
        rows.append((name, markup(headline(one.network), "; SHA-256 ", digest)))
    sources = dict.fromkeys(map(_source, report.measured))
    rows += [("source", told) for told in sources if told is not None]
    versions = f"neurodeploy {__version__}, NumPy {np.__version__}"
    for made in sorted({str(one.network.provenance.get("neurodeploy")) for one in report.measured}):
        if made not in ("None", __version__):
            versions += f"; made by neurodeploy {made}"
    again = element("a", "all commands", href="#commands")
    command = markup(element("code", " ".join(report.command)), " (", again, ")")
    rows += [("data", report.data or "none"), ("versions", versions), ("again", command)]
    listed = [markup(element("dt", name), element("dd", told), "\n") for name, told in rows]
    return element(
        "header",
        element("p", "neurodeploy report", class_="kind"),
        element("h1", report.name),
        element("dl", listed),
    )


def _source(one: Measured) -> Markup | None:
    """Model and weights, or the file that was imported, where the network tells them."""
    source = one.network.provenance.get("source")
    if not isinstance(source, dict):
        return None
    if source.get("file") and source.get("sha256"):
        # Of another tool, and imported.
        return markup(f"{source['file']}, SHA-256 ", element("code", str(source["sha256"])))
    if not source.get("weights_sha256"):
        return None
    name = f"{source.get('model')}, weights {source.get('weights')}, SHA-256 "
    return markup(name, element("code", str(source["weights_sha256"])))


def _contents(groups: list[tuple[Measured, list[Section]]]) -> Markup:
    def links(found: list[Section]) -> Markup:
        return element(
            "ul",
            [element("li", element("a", s.heading, href=f"#{s.anchor}")) for s in found],
        )

    listed: list[Part] = [
        links(found) if len(groups) == 1 else element("li", one.name, links(found))
        for one, found in groups
    ]
    inner = listed if len(groups) == 1 else element("ul", listed)
    return element("nav", element("p", "Contents"), inner, aria_label="Contents")


def _compared(report: Report) -> Markup | None:
    """All boards of a folder of ``deploy`` beside each other."""
    choices = [
        Choice(board, found.total.likely, 100 * one.evaluation.accuracy)
        for one in report.measured
        if one.energy is not None and one.evaluation is not None
        if one.evaluation.accuracy is not None
        for board, found in one.energy.reports.items()
        if found.total.known is not None
    ]
    if len(report.measured) < 2 or len(choices) < 2:
        return None
    title = "Accuracy against energy, board by board"
    drawn = tradeoff_figure(choices, "likely energy per inference", "accuracy in %", title, True)
    chart = element("figure", svg(drawn, "boards-compared", title), class_="chart")
    return element("section", element("h2", "The boards beside each other"), chart, id="compared")


def _group(one: Measured, found: list[Section], several: bool) -> list[Markup]:
    rows = [
        element(
            "section",
            element("h2", section.heading if not several else f"{one.name}: {section.heading}"),
            "\n",
            section.content,
            id=section.anchor,
        )
        for section in found
    ]
    return [markup("\n", row) for row in rows]


def _again(report: Report) -> Markup:
    """The command lines that made the network and the page, and those whose JSON it shows."""
    lines: list[str] = []
    for one in report.measured:
        told = one.network.provenance.get("commands", ())
        lines += [" ".join(map(str, c)) if isinstance(c, list) else str(c) for c in told]
    lines.append(" ".join(report.command))
    for one in report.measured if report.data is not None else ():
        spec, n = report.data, 0 if one.evaluation is None else one.evaluation.samples
        lines.append(f"neurodeploy evaluate {one.file} --data {spec} --samples {n} --json")
        if one.diagnosis is not None:
            few = one.diagnosis.samples
            lines.append(f"neurodeploy diagnose {one.file} --data {spec} --samples {few} --json")
        if one.energy is not None:
            boards = ",".join(one.energy.boards)
            few = next(iter(one.energy.reports.values())).samples
            lines.append(
                f"neurodeploy energy {one.file} --board {boards} --data {spec} --samples {few} "
                "--json"
            )
        for target, verification in one.verifications.items():
            lines += [
                f"neurodeploy compile {one.file} --target {target} -o {target}",
                f"neurodeploy verify {target} --against reference,engine --data {spec} --samples "
                f"{verification.samples} --json",
            ]
    unique = list(dict.fromkeys(lines))
    return element(
        "section",
        element("h2", "Commands"),
        element("p", "They made the network, make this page again, and print its numbers."),
        scrolling(element("pre", "\n".join(unique))),
        id="commands",
    )
