from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from neurodeploy.cli import run
from neurodeploy.cli.boards import boards
from neurodeploy.errors import BoardError, UnknownNameError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names, load_board


def output_of(*arguments: str) -> str:
    result = CliRunner().invoke(boards, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_list() -> None:
    lines = output_of().splitlines()
    assert [line.split()[0] for line in lines[2:]] == board_names()
    assert set(json.loads(output_of("--json"))["boards"]) == set(board_names())


def test_one_board_shows_every_constant_and_what_is_unknown() -> None:
    text = output_of("loihi1")
    assert "events.synops.energy" in text
    assert "23.6 (18.9 .. 35.5) pJ" in text
    assert "in neuron_updates_active" in text
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "unknown" in rows["timing.host_writes"]
    assert "fitted, 17 % off" in rows["timing.injection"]
    assert "vendor tool" in rows["static_power.cores (per core, in share)"]
    assert "29 (25.5 .. 32.5) mW" in rows["static_power.chips (per powered chip, in chip)"]
    assert "leaves out" in rows_of("loihi2")["timing"]
    assert "Davies et al. 2018" in text


def rows_of(name: str) -> dict[str, str]:
    lines = output_of(name).splitlines()
    return {line.split("  ")[0]: line for line in lines if "  " in line}


def test_what_a_board_does_not_tell_apart_is_shown_where_it_is_contained() -> None:
    rows = rows_of("loihi1")
    for key in ("events.spikes.energy", "events.spikes.latency"):
        assert "in neuron_updates_active" in rows[key]
    assert "11 x the time" in rows["events.chip_crossings"]
    rows = rows_of("sanafe-loihi")
    assert "35.5 (31.24 .. 39.76) pJ" in rows["events.synops_dense.energy"]
    assert "16 (12 .. 20) ns" in rows["events.packets_received.latency"]
    assert "1.8 (1.35 .. 2.25) us" in rows["timing.barrier_by_tiles (from 29 tiles)"]
    assert "events.synops.energy" not in rows


def test_a_board_of_several_chips_shows_their_arrangement() -> None:
    text = output_of("ns16e")
    assert "4 x 4 chips x 64 x 64 tiles x 1 = 65536 cores" in text
    assert "up to 512 channels of a position, which takes 2 output axons" in output_of("nahuku-32")


MINE = """
name = "mine"
extends = "loihi1"

[grid]
chips = 1
tiles_x = 2
tiles_y = 2
cores_per_tile = 4
basis = "assumed"
source = "a test"
"""
WRONG = [
    ("tiles_x = 2", "tiles_x = 0", "grid.tiles_x: 0 is below 1"),
    ("chips = 1", "chips = 0", "grid.chips: 0 is below 1"),
    ("chips = 1", "chip = 1", "grid.chip: unknown key; known: "),
    ('"loihi1"', '"loihi3"', "extends: 'loihi3' is no board to start from; known: "),
    (
        "[grid]",
        "[events.synops.energy]\nvalue = 1\nlow = 2\nhigh = 1\nunit = 'pJ'\n"
        "basis = 'assumed'\nsource = 'a test'\n[grid]",
        "events.synops.energy: low 2 lies above high 1; swap them",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_wrong_board_gets_one_line_with_the_key_and_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    assert "2 x 2 tiles" in output_of(str(path))
    path.write_text(MINE.replace(old, new))
    assert run(["boards", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert f"{path}: {message}" in line


def test_one_board_as_json_is_a_board_again(tmp_path: Path) -> None:
    data = json.loads(output_of("truenorth", "--json"))
    assert Board.from_dict(data) == load_board("truenorth")


def test_limits_compare_the_boards() -> None:
    lines = output_of("--limits").splitlines()
    columns = lines[0].split()[2:]
    rows = {line.split("  ")[0]: line.split("  ", 1)[1] for line in lines if "  " in line}
    assert columns == [
        "kapoho-bay",
        "kapoho-point",
        "loihi1",
        "loihi2",
        "nahuku-32",
        "sanafe-loihi",
    ]
    assert rows["payload_bits"].split() == ["1", "32", "1", "32", "1", "1"]
    assert rows["reset by subtraction"].count("2 compartments") == 4
    assert rows["signed spikes"].split()[0] == "no"
    assert "crossbar cores" in output_of("--limits")


@pytest.mark.parametrize("name", board_names())
def test_a_template_is_the_same_board_under_a_name_of_its_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(output_of(name, "--toml"))
    assert load_board(path) == dataclasses.replace(load_board(name), name=f"my-{name}")
    text = path.read_text().replace("nengo-loihi (source code), hardware/validate.py", "measured")
    path.write_text(text)
    assert load_board(path).name == f"my-{name}"
    assert run(["boards", "--toml"]) == 2


@pytest.mark.parametrize("source", ["my measurement", "oscilloscope"])
def test_a_source_of_ones_own_is_a_source(tmp_path: Path, source: str) -> None:
    path = tmp_path / "mine.toml"
    limit = f'neurons = {{ value = 9, basis = "measured", source = "{source}" }}'
    path.write_text(f'name = "mine"\nextends = "loihi1"\n[limits]\n{limit}\n')
    assert load_board(path).limits["neurons"].source == source
    path.write_text(path.read_text().replace(source, "davies18"))
    with pytest.raises(BoardError, match=r"neither a citation nor a key.*mean 'davies2018'"):
        load_board(path)


def test_abilities_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = 'name = "mine"\nextends = "loihi1"\n[neurons]\n'
    for entry, message in (
        ('leek = { compartments = 1, basis = "assumed", source = "a test" }', "neurons.leek"),
        ('leak = { compartments = 2, basis = "assumed", source = "a test" }', "construction"),
        ('leak = { compartments = -1, basis = "assumed", source = "a test" }', "-1 is below 0"),
        ("leak = { compartments = 1 }", "neurons.leak.basis: missing"),
    ):
        path.write_text(head + entry + "\n")
        with pytest.raises(BoardError, match=message):
            load_board(path)


def test_wrong_names_are_user_errors(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(boards, ["loihi9"]).exception, UnknownNameError)
    missing = str(tmp_path / "mine.toml")
    assert isinstance(CliRunner().invoke(boards, [missing]).exception, BoardError)
