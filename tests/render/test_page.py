"""The page as a file: its numbers are the JSON's, its text is nobody's markup."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.render.page.cards import cards, warnings_of
from neurodeploy.render.page.values import Values, resolve
from tests.render.conftest import BOARDS, SAMPLES

VOID = {"meta", "input", "br"}


class Read(HTMLParser):
    """Elements and text of a page; what is not closed is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[tuple[dict[str, str | None], str]] = []
        self.cards: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), f"{tag}: an attribute twice"
        self.elements.append((tag, found))
        if tag == "data":
            self.data.append((found, ""))
        if (found.get("class") or "").startswith("card "):
            self.cards.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "data":
            attributes, text = self.data[-1]
            self.data[-1] = (attributes, text + data)
        if self.cards:
            self.cards[-1] += data
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def read(small_page: str) -> Read:
    return Read(small_page)


def test_every_number_is_that_of_the_json(read: Read, small_report: nd.Report) -> None:
    told = json.loads(json.dumps(small_report.to_dict(), allow_nan=False))
    assert len(read.data) >= 10
    for attributes, text in read.data:
        value = json.loads(attributes["value"] or "")
        assert value == resolve(told, attributes["data-of"] or "")
        first = float(re.findall(r"-?[\d.]+", text)[0])
        if isinstance(value, dict):
            # With a prefix of the unit; the low end where there is no upper one.
            value = value["low" if "at least" in text else "likely"]
            assert min(abs(first - value * 1000**k) / (value * 1000**k) for k in range(6)) < 6e-3
        elif isinstance(value, list) or "%" in text:
            share = value[0] if isinstance(value, list) else value
            assert first == round(100 * share, 1)
        else:
            assert text == str(value)


def test_the_json_is_that_of_the_commands(
    small_report: nd.Report, small_net: nd.Network, small_data: nd.Samples
) -> None:
    (told,) = small_report.to_dict()["networks"]
    few = small_data.first(24)
    assert told["evaluations"]["integer"] == nd.evaluate(small_net, few).to_dict()
    real = replace(small_net, netlist=small_net.real)
    assert told["evaluations"]["spiking"] == nd.evaluate(real, few).to_dict()
    assert told["diagnosis"] == nd.diagnose(small_net, few).to_dict()
    energy = nd.estimate_energy(small_net, list(told["energy"]["boards"]), few)
    assert told["energy"] == energy.to_dict()
    deployment = nd.compile(small_net, "truenorth")
    checked = nd.verify(deployment, "reference,engine", few, 4)
    assert told["verifications"] == {"truenorth": checked.to_dict()}
    assert told["activity"]["samples"] == 16
    spikes = nd.compile(small_net, "truenorth").run(few, 16).spikes["relu_1"]
    per_step = np.count_nonzero(spikes.reshape(16, 6, -1), axis=(0, 2)) / 16
    assert told["activity"]["spikes_per_step"]["relu_1"] == per_step.tolist()


def test_the_tables_are_those_of_the_terminal(read: Read, small_report: nd.Report) -> None:
    from neurodeploy.render.evaluation import evaluation_parts
    from neurodeploy.render.quantization import quantization_parts
    from neurodeploy.render.text import Table
    from neurodeploy.render.verification import verification_parts

    (one,) = small_report.measured
    evaluation = one.evaluation
    assert evaluation is not None
    parts = [*evaluation_parts([evaluation]), *verification_parts(one.verifications["truenorth"])]
    parts += quantization_parts(one.network.provenance["quantization"]["report"])
    cells = {c for part in parts if isinstance(part, Table) for row in part.cells for c in row}
    assert len(cells) > 30
    assert [cell for cell in cells if cell not in read.text] == []


def test_the_file_stands_alone(read: Read, small_page: str) -> None:
    ids = Counter(a["id"] for _, a in read.elements if "id" in a)
    assert [name for name, n in ids.items() if n > 1] == []
    for tag, attributes in read.elements:
        for name in ("href", "xlink:href", "src", "srcset", "action"):
            target = attributes.get(name)
            if target is None:
                continue
            assert target.startswith(("#", "data:image/png;base64,")), (tag, name, target)
            if target.startswith("#"):
                assert target[1:] in ids
        assert not [name for name in attributes if name.startswith("on")]
        for found in re.findall(r"url\(#([^)]*)\)", attributes.get("style") or ""):
            assert found in ids
    assert [tag for tag, _ in read.elements].count("script") == 1
    policies = [a["content"] or "" for t, a in read.elements if "http-equiv" in a]
    assert [p.startswith("default-src 'none'; script-src 'sha256-") for p in policies] == [True]
    assert len(small_page) < 1_500_000
    anchors = "network accuracy conversion spikes quantization verification boards tradeoff"
    assert set(f"{anchors} provenance commands".split()) <= set(ids)
    # Colours are the page's, so that they follow light and dark.
    drawn = small_page[small_page.index("<svg") :]
    assert not re.search(r"#4477aa|#1b1f24", drawn[: drawn.rindex("</svg>")])


def test_the_command_writes_the_same_bytes(
    folder: Path, small_page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "again.html"
    command = ["report", str(folder / "net.ndn"), "--data", str(folder / "data.npz")]
    command += ["--samples", str(SAMPLES), "--board", BOARDS, "--target", "truenorth"]
    assert run([*command, "-o", str(page), "--json"]) == 0
    shown = capsys.readouterr()
    assert page.read_text(encoding="utf-8") == small_page
    told = json.loads(shown.out)
    for attributes, _ in Read(small_page).data:
        assert json.loads(attributes["value"] or "") == resolve(told, attributes["data-of"] or "")
    assert f"accuracy of {SAMPLES} samples" in shown.err
    # The command stands in the page, without the folders of the machine.
    words = "neurodeploy report net.ndn --data data.npz --samples 24 --board loihi1,truenorth"
    assert f"{words} --target truenorth -o report.html" in small_page
    assert str(folder) not in small_page


def test_one_weight_changes_the_page(small_net: nd.Network) -> None:
    first, *others = small_net.integer.projections
    weight = first.connectivity.weight.copy()
    weight.flat[0] += 1 if weight.flat[0] < 0 else -1
    changed = replace(first, connectivity=replace(first.connectivity, weight=weight))
    netlist = replace(small_net.integer, projections=(changed, *others))
    both = (small_net, replace(small_net, netlist=netlist))
    one, other = (nd.html(nd.report(net, board="loihi1")) for net in both)
    assert one == nd.html(nd.report(small_net, board="loihi1"))

    def digest(text: str) -> str:
        return re.findall(r"<code>([0-9a-f]{64})</code>", text)[0]

    assert digest(one) != digest(other)


def test_a_failed_verification_is_the_first_card(small_report: nd.Report, read: Read) -> None:
    assert read.cards[0].startswith("Verification")
    assert "0 of" in read.cards[0]
    (one,) = small_report.measured
    good = one.verifications["truenorth"]
    from neurodeploy.verification.compare import Divergence

    parted = Divergence("engine", 1, 3, "relu_1", (0, 2, 1), 1, 0, 17, 16)
    mismatches = {**good.mismatches, "engine": {**good.mismatches["engine"], "relu_1": 5}}
    bad = replace(good, mismatches=mismatches, divergences={"engine": parted})
    # Of two netlists the one that failed comes first, wherever it stands.
    failed = replace(one, name="other", verifications={"truenorth": bad})
    found = replace(small_report, measured=(one, failed))
    assert not found.exact
    first = Read(cards(found, Values(found.to_dict()))).cards[0]
    assert first.startswith("Verification failed other")
    total = sum(good.compared_neuron_steps.values())
    assert f"5 of {total:,} neuron-steps differ: NOT exact" in first
    assert "first divergence at step 3 of sample 1, relu_1[0, 2, 1]" in first
    assert "(membrane 17), engine 0 (membrane 16)" in first


NAME = "<script>alert(1)<b>$&$"
TEXT = '<script>alert(1)</script>"$\\frac{1}{0}$&\x1b[2J\u202e'


def test_names_are_never_markup(small_net: nd.Network, small_data: nd.Samples) -> None:
    old = small_net.integer
    populations = [replace(p, name=NAME) if p.name == "relu_1" else p for p in old.populations]
    projections = [
        replace(
            q,
            pre=NAME if q.pre == "relu_1" else q.pre,
            post=NAME if q.post == "relu_1" else q.post,
        )
        for q in old.projections
    ]
    named = replace(old, name=NAME, populations=populations, projections=projections)
    told = {**small_net.provenance, TEXT: TEXT, "commands": [["neurodeploy", TEXT]]}
    net = replace(small_net, netlist=named, real=None, provenance=told)
    page = nd.html(nd.report(net, small_data, board="loihi1", samples=8))
    assert page.count("<script>") == 1
    assert "\x1b" not in page
    assert "\u202e" not in page
    read = Read(page)
    assert '<script>alert(1)</script>"$\\frac{1}{0}$&\\x1b[2J\\u202e' in read.text
    # In tables, in charts and in their tips.
    assert read.text.count(NAME) > 10
    assert not [a for _, a in read.elements if any(n.startswith("on") for n in a)]
    assert "holds no real-valued netlist" in read.text


def test_a_source_network_at_chance_is_one_of_the_first_lines(
    small_net: nd.Network, small_report: nd.Report
) -> None:
    def told(accuracy: float) -> list[str]:
        record = {"samples": 512, "accuracy": accuracy, "chance": 0.104}
        net = replace(small_net, provenance={**small_net.provenance, "source_network": record})
        return warnings_of(replace(small_report.measured[0], network=net))

    assert told(0.098)[0] == (
        "the source network got 9.80 % of 512 calibration samples right, which is not above chance "
        "(10.40 %)"
    )
    assert told(0.9) == told(0.098)[1:]


def test_a_netlist_alone_tells_what_is_missing(small_net: nd.Network) -> None:
    told: list[str] = []
    report = nd.report(small_net, board=["loihi1", "truenorth"], tell=told.append)
    assert told[0].startswith("no data: accuracy")
    read = Read(nd.html(report))
    assert read.text.count("no data were given; --data names them") >= 4
    assert "fits" in read.text
    assert "worst-case state" in read.text
    assert "relu_1" in read.text


def test_imported_networks_show_their_real_valued_netlist(small_net: nd.Network) -> None:
    from neurodeploy.render.charts.network import operations

    alone = replace(small_net, analog=None)
    assert operations(alone)["relu_1"] == ["relu_1"]
    assert operations(small_net)["relu_1"] == ["conv2d_0", "relu_1"]
    assert "real-valued netlist</text>" in nd.html(nd.report(alone, board="loihi1"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"-o": "page.txt"}, "choose a name that ends in .html"),
        ({"-o": "absent/page.html"}, "cannot write here"),
        ({"--board": "loihi9"}, "loihi9"),
        ({"--samples": "0"}, "--samples"),
        ({"--data": "absent.npz"}, "absent.npz"),
        ({"net": "absent.ndn"}, "absent.ndn: no such"),
        ({"--target": "absent"}, "unknown target 'absent'"),
        ({"--data": "digits"}, "use the data that it was trained on"),
    ],
    ids=lambda c: " ".join(c.values()) if isinstance(c, dict) else None,
)
def test_bad_input_is_one_line_and_writes_nothing(
    changed: dict[str, str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    given = {"net": "net.ndn", "--data": "data.npz", "--board": "loihi1", "-o": "new.html"}
    given |= changed
    command = ["report", given.pop("net"), *(part for pair in given.items() for part in pair)]
    assert run(command) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if not x.startswith("[")]
    assert message in line
    assert sorted(folder.iterdir()) == before


def test_without_matplotlib_nothing_is_measured(
    small_net: nd.Network, small_data: nd.Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told: list[str] = []
    with pytest.raises(nd.TargetUnavailableError, match="pip install"):
        nd.report(small_net, small_data, tmp_path / "page.html", tell=told.append)
    assert told == []


def test_a_notebook_shows_the_page_in_a_frame(small_net: nd.Network) -> None:
    report = nd.report(small_net, board="loihi1")
    ((tag, attributes),) = Read(report._repr_html_()).elements
    assert tag == "iframe"
    assert attributes["srcdoc"] == nd.html(report)
