"""One verdict for everybody: compile, energy and the search agree, and no joule stands without."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.api import verdict
from neurodeploy.cli import run
from neurodeploy.errors import CapacityError, UnknownNameError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.fit import judge
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network
from neurodeploy.render.energy import comparison_parts, render_energy
from neurodeploy.render.html import html
from neurodeploy.targets.registry import TARGETS
from neurodeploy.testing import NetlistBuilder
from neurodeploy.testing.cases import CASES, case
from tests.quantization.netlists import small_network
from tests.verification.networks import dataset, layered, packed

JOULES = re.compile(r"\d ?[munp]?J\b")


def graded(net: IntegerNetlist) -> IntegerNetlist:
    """The same with payloads of up to 3."""
    name = net.schedule.order[-1]
    populations = tuple(
        replace(p, model=replace(p.model, payload_max=3)) if p.name == name else p
        for p in net.populations
    )
    return replace(net, populations=populations)


@pytest.mark.parametrize("name", CASES)
def test_no_joule_for_a_board_that_cannot_run_a_netlist(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = case(name)
    monkeypatch.setattr(
        "neurodeploy.stages.estimate_energy.given_samples",
        lambda net, data, samples: (c.stimulus, dataset()),
    )
    net, asked = Network(c.netlist), ["loihi1", "loihi2"]
    verdicts = {b: judge(c.netlist, load_board(b)) for b in asked}
    if not any(v.fits for v in verdicts.values()):
        with pytest.raises(CapacityError) as caught:
            nd.estimate_energy(net, asked, dataset(), objective="none")
        assert not JOULES.search(str(caught.value))
        return
    found = nd.estimate_energy(net, asked, dataset(), objective="none")
    told = found.to_dict()["boards"]
    lines = "\n\n".join(comparison_parts(found)).splitlines()
    page = html(found).splitlines()
    for board, judged in verdicts.items():
        assert (board in found.reports) == judged.fits == (board not in found.refused)
        row = next(line for line in lines if line.startswith(board))
        cells = next(line for line in page if f">{board}<" in line)
        if judged.fits:
            assert told[board]["verdict"]["answer"] == judged.answer
            assert judged.answer in row
            continue
        assert "energy_per_inference_j" not in json.dumps(told[board])
        for shown in (row, cells, json.dumps(told[board])):
            assert not JOULES.search(shown)
            assert "does not fit" in shown
        with pytest.raises(CapacityError, match=f"board {board} cannot run it"):
            nd.estimate_energy(net, board, dataset(), objective="none")


def test_compile_energy_and_the_verdict_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad = packed(layered()), packed(graded(layered()))
    nd.save(good, tmp_path / "good.ndn")
    nd.save(bad, tmp_path / "bad.ndn")
    assert verdict(good, "loihi1").fits
    found = verdict("bad.ndn", "loihi1")
    assert not found.fits
    assert "graded spikes, payload bits 2 against 1" in str(found)
    assert found.remedy.endswith("the smallest board that holds it is loihi2")
    for target in ("lava", "brian2"):
        command = ["compile", "bad.ndn", "--target", target, "--board", "loihi1"]
        assert run([*command, "--check"]) == 2
        told = capsys.readouterr()
        assert "graded spikes, payload bits" in told.out
        assert "the smallest board that holds it is loihi2" in told.out
        assert run([*command, "--check", "--json"]) == 2
        data = json.loads(capsys.readouterr().out)
        assert data["board"]["answer"] == "does not fit"
        assert run([*command, "-o", "out"]) == 2
        assert not (tmp_path / "out").exists()
        capsys.readouterr()
        assert run(["compile", "good.ndn", *command[2:], "--check"]) == 0
        out = capsys.readouterr().out
        assert "fits with 3 assumptions on board loihi1" in out
        assert "2 compartments a neuron" in out
    with pytest.raises(CapacityError, match=r"board loihi1 cannot run it.*holds it is loihi2$"):
        nd.estimate_energy(bad, "loihi1", dataset())


def test_another_code_comes_with_what_calibration_said_of_it() -> None:
    bad = packed(graded(layered()))
    command = "'neurodeploy convert --board loihi1' looks for a code that fits"
    assert f"{command} and tells what it costs, which nobody has measured" in (
        verdict(bad, "loihi1").remedy
    )
    rows = [
        {"method": "graded", "timesteps": 1, "loss": 0.0, "text": "loses 0.0 points"},
        {"method": "rate", "timesteps": 8, "loss": 3.1, "text": "loses 3.1 points"},
        {"method": "hard-reset", "timesteps": 16, "loss": 0.6, "text": "loses 0.6 points"},
        {"method": "rate", "timesteps": 16, "loss": None, "text": ""},
        {"method": "of a plugin", "timesteps": 1, "loss": 0.0, "text": "loses 0.0 points"},
    ]
    tried = replace(bad, provenance={"auto": {"tried": rows}})
    assert f"{command} (hard-reset at T = 16 loses 0.6 points on the calibration data); " in (
        verdict(tried, "loihi1").remedy
    )


def test_a_board_alone_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nd.save(packed(layered()), tmp_path / "good.ndn")
    nd.save(packed(graded(layered())), tmp_path / "bad.ndn")
    ask = ["--check", "--board", "loihi1"]
    assert run(["compile", "good.ndn", *ask]) == 0
    assert "fits with 3 assumptions on board loihi1\nassuming:\n" in capsys.readouterr().out
    assert run(["compile", "bad.ndn", *ask]) == 2
    told = capsys.readouterr()
    assert "graded spikes, payload bits" in told.out
    assert "board loihi1 cannot run" in told.err
    assert run(["compile", "bad.ndn", *ask, "--json"]) == 2
    data = json.loads(capsys.readouterr().out)
    assert (data["target"], data["fits"], data["board"]["fits"]) == (None, False, False)
    for rest in (["--check"], ["--board", "loihi1", "-o", "out"]):
        assert run(["compile", "good.ndn", *rest]) == 2
        assert "name a target (--target" in capsys.readouterr().err


def test_the_quantization_keeps_the_widths_of_a_board() -> None:
    real = Network(small_network(timesteps=8), {"x": Encoding("rate", 16, 0.0, 1.0)})
    wide, narrow = nd.quantize(real, 8), nd.quantize(real, 8, fit="loihi1")
    board = load_board("loihi1")
    refused = [v.resource for v in judge(wide.integer, board).violations]
    assert "worst-case state" in refused
    kept = [v.resource for v in judge(narrow.integer, board).violations]
    assert not {"bias, with its exponent", "threshold", "worst-case state"} & set(kept)
    assert narrow.provenance["quantization"]["state_bits"] == 18


def test_tables_of_cores_are_judged_by_energy_as_well() -> None:
    """A netlist that compile refused for its thresholds had a price."""
    b = NetlistBuilder(T=2).input("x", (9,)).dense(20, threshold=np.arange(20) + 50, reset="zero")
    net = Network(b.output())
    refused = verdict(net, "loihi1")
    assert [v.resource for v in refused.violations] == ["thresholds of a core"]
    with pytest.raises(CapacityError, match="dense_1: thresholds of a core 20 against 16; "):
        net.energy("loihi1", b.stimulus())
    found = net.energy(["loihi1", "loihi2"], b.stimulus())
    assert found.refused["loihi1"].violations == refused.violations
    assert list(found.reports) == ["loihi2"]


def test_remedies_name_a_file_as_it_is_asked_for(tmp_path: Path) -> None:
    """``--fit small`` is no board where small.toml is."""
    path = tmp_path / "my boards" / "small.toml"
    path.parent.mkdir()
    limit = '{ value = 4, basis = "assumed", source = "a test" }'
    path.write_text(f'extends = "loihi1"\nname = "small"\n[limits]\nweight_bits = {limit}\n')
    real = Network(small_network(timesteps=8), {"x": Encoding("rate", 16, 0.0, 1.0)})
    told = verdict(nd.quantize(real, 8, fit="loihi1"), path)
    first = next(v for v in told.violations if v.resource == "weight bits")
    assert first.remedy.startswith(f"quantize with --fit '{path}' or ")
    assert f"'neurodeploy convert --board '{path}'' looks for a code that fits" in told.remedy
    assert load_board(path) == load_board(path)


def test_the_first_lines_of_energy_are_the_answer() -> None:
    report = nd.estimate_energy(packed(layered()), "loihi1", dataset(), 3)
    first, second, *rest = render_energy(report).splitlines()
    assert first == f"{report.network} on loihi1: fits with 3 assumptions"
    assert re.match(
        r"energy \S+ \(.+\) uJ, time \S+ \(.+\) us per inference; \d+ cores on 1", second
    )
    assert any("2 compartments a neuron" in line for line in rest)
    assert "neuron_updates_active" not in render_energy(report)
    assert "neuron_updates_active" in render_energy(report, details=True)
    assert report.to_dict()["verdict"]["answer"] == "fits with 3 assumptions"


def test_a_chip_is_no_target_and_the_answer_says_which_is() -> None:
    with pytest.raises(UnknownNameError, match="use --target lava") as caught:
        TARGETS.get("loihi")
    assert "--board loihi1 or loihi2" in str(caught.value)
    with pytest.raises(UnknownNameError, match=r"use --target lava.* with --board loihi2"):
        TARGETS.get("loihi2")
    with pytest.raises(UnknownNameError, match="mean 'lava'"):
        TARGETS.get("lav")
