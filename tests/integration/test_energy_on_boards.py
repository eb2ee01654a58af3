"""Energy of a digits network on three boards, and what few weight bits change in its counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the counts come from the fast engine")

import neurodeploy as nd
from neurodeploy import boards
from neurodeploy.api import verdict
from neurodeploy.cli import run
from neurodeploy.datasets import as_samples
from neurodeploy.hardware.boards.records import ACCOUNTS
from neurodeploy.ir.reference import run_reference

SAMPLES = 6


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One converted network in 2 and in 8 bits, and its deployment on crossbar cores."""
    folder = tmp_path_factory.mktemp("energy")
    net = nd.load(repository / "tests" / "py310" / "data" / "digits.ndn")
    for bits in (2, 8):
        nd.save(nd.quantize(net, bits, fit="loihi1"), folder / f"net{bits}.ndn")
    nd.save(nd.compile(nd.load(folder / "net2.ndn"), "truenorth"), folder / "cores")
    return folder


@pytest.fixture
def energy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    monkeypatch.chdir(folder)

    def call(source: str, board: str, *options: str, as_json: bool = True) -> Any:
        capsys.readouterr()
        command = ["energy", source, "--board", board, "--data", "digits", *options]
        assert run([*command, "--samples", str(SAMPLES), *["--json"] * as_json]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return json.loads(captured.out) if as_json else captured.out

    return call


@pytest.mark.parametrize("board", ["loihi1", "truenorth"])
def test_boards_whose_constants_are_known(energy: Callable[..., Any], board: str) -> None:
    told = energy("net2.ndn", board)
    joules, seconds = told["energy_per_inference_j"], told["time_per_inference_s"]
    known = [v for v in told["energy_by_event_j"].values() if v is not None]
    for end in ("likely", "low", "high"):
        assert joules["dynamic"][end] == pytest.approx(sum(v[end] for v in known))
    assert 0 < joules["dynamic"]["low"] < joules["total"]["low"]
    assert 0 < seconds["low"] <= seconds["likely"]
    assert told["unknown"] == []
    assert (seconds["likely"] < seconds["high"]) == (board == "loihi1")
    assert told["cores"] == len(told["cores_detail"]) > 1
    for event, total in told["events"].items():
        if not event.startswith("host"):
            per_core = sum(core["events"][event] for core in told["cores_detail"])
            assert total == pytest.approx(per_core), event


def test_several_boards_in_one_table(
    energy: Callable[..., Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = (Path(boards.__file__).parent / "loihi1.toml").read_text()
    one_core = re.sub(r"(tiles_x|tiles_y|cores_per_tile) = \d+", r"\1 = 1", described)
    (folder / "tiny.toml").write_text(one_core.replace('"loihi1"', '"tiny"'))
    asked = "loihi1,truenorth,loihi2,tiny.toml"
    told = energy("net2.ndn", asked)["boards"]
    assert list(told) == ["loihi1", "truenorth", "loihi2", "tiny"]
    for name in ("loihi1", "truenorth", "loihi2"):
        assert told[name] == energy("net2.ndn", name)
    assert "cores exceed 1 of board tiny" in told["tiny"]["refused"]
    lines = energy("net2.ndn", asked, as_json=False).splitlines()
    heading = next(line for line in lines if line.startswith("board"))
    columns = ["board", "verdict", "cores", "chips", "time", "dynamic", "share", "note"]
    assert heading.split() == columns
    rows = {line.split()[0]: re.split(r"  +", line) for line in lines[lines.index(heading) + 2 :]}
    assert list(rows) == list(told)
    bar = r"\S+ \(\S+ \.\. \S+\) .?[sJ]"
    assert re.fullmatch(r"\S+ .?s", rows["truenorth"][4])  # ticks of a millisecond
    assert all(re.fullmatch(bar, cell) for cell in rows["truenorth"][5:7])
    assert all(re.fullmatch(bar, cell) for cell in (*rows["loihi1"][4:7], *rows["loihi2"][4:7]))
    assert rows["tiny"][1:7] == ["does not fit", *["-"] * 5]
    assert rows["tiny"][7].startswith(told["tiny"]["refused"])
    assert rows["truenorth"][1] == "fits"
    data = ["--data", "digits", "--samples", "2"]
    assert run(["energy", "net2.ndn", "--board", "tiny.toml", *data]) == 2
    assert "the smallest board that holds it is loihi1" in capsys.readouterr().err
    assert run(["energy", "net2.ndn", "--board", "loihi1,,loihi2", *data]) == 2
    assert "board 'loihi1,,loihi2': an empty name" in capsys.readouterr().err
    as_text, listed = (
        nd.estimate_energy("net2.ndn", boards, "digits@test#first=2")
        for boards in ("loihi1, loihi2", ["loihi1", "loihi2"])
    )
    assert as_text == listed


def test_widths_that_do_not_fit_get_the_command_and_its_cost(
    folder: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nd.load(repository / "tests" / "py310" / "data" / "digits.ndn")
    nd.save(nd.quantize(net, 8), folder / "wide.ndn")
    data = ["--data", "digits", "--samples", "5"]
    assert run(["energy", str(folder / "wide.ndn"), "--board", "loihi1", *data]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "worst-case state" in line
    remedy = r"'neurodeploy quantize NET\.ndn --fit loihi1' makes it fit"
    cost = r" and costs \S+ points \(.* of 5 samples lost, \d won\)"
    assert re.search(remedy + cost, line)
    # Crossbars take fewer weight bits where inputs need too many axons.
    check = ["compile", str(folder / "wide.ndn"), "--check", "--board", "truenorth"]
    assert run([*check, *data]) == 2
    assert re.search(remedy.replace("loihi1", "truenorth") + cost, capsys.readouterr().out)
    # What no data are given for is said not to be measured, with the option that measures it.
    check = ["compile", str(folder / "wide.ndn"), "--check", "--board", "loihi1"]
    for target in ([], ["--target", "lava"]):
        assert run([*check, *target]) == 2
        told = capsys.readouterr().out
        assert "makes it fit (what that costs is not measured: ask with --data); the" in told
        assert run([*check, *target, *data]) == 2
        assert re.search(remedy + cost, capsys.readouterr().out)
    for wrong in (["--data", "digits"], ["--check", "--data", "digits"], [*check[2:], *data[2:]]):
        assert run([*check[:2], *wrong, "--target", "lava"]) == 2
        assert "is for --check --board NAME --data SPEC" in capsys.readouterr().err


def test_the_cost_of_a_remedy_is_told_in_what_can_be_measured(repository: Path) -> None:
    net = nd.quantize(nd.load(repository / "tests" / "py310" / "data" / "digits.ndn"), 8)
    x = as_samples("digits", "test").first(5).x
    named = replace(net, provenance={**net.provenance, "classifier": True})
    alone = replace(net, analog=None)
    for asked, told in (
        (net, r"; then it is off by \S+ %, .* now by \S+ %, .* of the outputs' spread, on the"),
        (named, r"; then it agrees with the source network on \S+ %, now on \S+ %, on the"),
        (alone, r" \(what that costs cannot be measured: neither labels nor a source network\);"),
    ):
        remedy = verdict(asked, "loihi1", data=x).remedy
        assert re.search(r"--fit loihi1' makes it fit" + told, remedy), remedy


def test_a_board_that_says_what_it_leaves_out(energy: Callable[..., Any]) -> None:
    told = energy("net2.ndn", "loihi2")
    assert told["energy_per_inference_j"]["total"]["high"] is not None
    assert told["unknown"] == []
    assert told["events"]["synops"] == energy("net2.ndn", "loihi1")["events"]["synops"]
    assert "left out of time and energy: input" in energy("net2.ndn", "loihi2", as_json=False)


def test_accounts(energy: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    told = {name: energy("net2.ndn", "loihi1", "--account", name) for name in ACCOUNTS}
    energies = {name: report["energy_per_inference_j"] for name, report in told.items()}
    likely = [energies[name]["total"]["likely"] for name in ACCOUNTS]
    assert likely == sorted(likely)
    assert len(set(likely)) == 3
    assert energies["share"] == energy("net2.ndn", "loihi1")["energy_per_inference_j"]
    assert energies["dynamic"]["total"] == energies["dynamic"]["dynamic"]
    command = ["energy", "net2.ndn", "--board", "loihi1", "--data", "digits", "--account", "all"]
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown account 'all'; known: chip, dynamic, share" in line


def test_counts_are_those_of_the_reference(energy: Callable[..., Any], folder: Path) -> None:
    from neurodeploy.api import stimulus_for

    net = nd.load(folder / "net2.ndn")
    stimulus, _ = stimulus_for(net, "digits", SAMPLES)
    spikes = run_reference(net.integer, stimulus).spikes
    fired = {n: (s != 0).sum(axis=(0, 1)) for n, s in spikes.items()}
    synops = sum(
        int((fired[q.pre] * q.connectivity.fan_out()).sum()) for q in net.integer.projections
    )
    told = energy("net2.ndn", "loihi1")["events"]
    assert told["synops"] == pytest.approx(synops / SAMPLES)
    hidden = sum(int(n.sum()) for name, n in fired.items() if name != "input")
    assert told["spikes"] == pytest.approx(hidden / SAMPLES)


def test_a_deployment_and_its_netlist_cost_the_same(energy: Callable[..., Any]) -> None:
    assert energy("cores", "truenorth")["events"] == energy("net2.ndn", "truenorth")["events"]


def test_cross_validation_shows_what_two_bits_change(energy: Callable[..., Any]) -> None:
    layers = {
        bits: {
            layer["population"]: layer
            for layer in energy(f"net{bits}.ndn", "loihi1", "--cross-validate")["cross_validation"]
        }
        for bits in (2, 8)
    }
    for name in ("relu_1", "relu_3", "output"):
        coarse, fine = layers[2][name], layers[8][name]
        assert coarse["spikes_real"] == fine["spikes_real"] > 0
        assert coarse["spikes_integer"] != coarse["spikes_real"]
        assert coarse["difference"] != 0
        expected = coarse["spikes_integer"] / coarse["spikes_real"] - 1
        assert coarse["difference"] == pytest.approx(expected)
        # Eight bits come several times closer, neuron by neuron.
        assert coarse["mean_neuron_difference"] > 3 * fine["mean_neuron_difference"]
    assert layers[2]["relu_1"]["synops_integer"] != layers[2]["relu_1"]["synops_real"]


def test_cross_validation_is_shown_layer_by_layer(energy: Callable[..., Any]) -> None:
    plain = energy("net2.ndn", "loihi1", as_json=False)
    shown = energy("net2.ndn", "loihi1", "--cross-validate", as_json=False)
    assert len(shown.splitlines()) >= len(plain.splitlines()) + 3
    for name in ("relu_1", "relu_3", "output"):
        assert shown.count(name) > plain.count(name)


def test_fast_estimates_tell_their_error(energy: Callable[..., Any]) -> None:
    exact = energy("net8.ndn", "loihi1")
    fast = energy("net8.ndn", "loihi1", "--fast")
    error = fast["estimate_error"]
    assert exact["estimate_error"] is None
    assert error["samples"] == 2
    for event in ("spikes", "synops", "packets"):
        # Estimated, not run: near, of the same size, and hardly ever the same.
        off = fast["events"][event] / exact["events"][event] - 1
        assert 0 < abs(off) < 0.15
        assert 0 < abs(error["relative"][event]) < 0.15
    assert fast["cores"] == exact["cores"]
    assert abs(error["relative"]["dynamic_energy"]) < 0.15
    assert "spikes estimated from activations" in energy(
        "net8.ndn", "loihi1", "--fast", as_json=False
    )


@pytest.mark.parametrize(
    ("board", "options", "message"),
    [
        ("truenorth", (), "crossbar cores are counted in a run"),
        ("loihi1,truenorth", (), "leave --fast out"),
        ("loihi1", ("--cross-validate",), "--fast makes none"),
    ],
)
def test_what_cannot_be_estimated_is_refused(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    board: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    source = str(folder / "net8.ndn")
    command = ["energy", source, "--board", board, "--data", "digits", "--samples", "2", "--fast"]
    assert run([*command, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
