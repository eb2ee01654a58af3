from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from neurodeploy.boards.board import Board, board_names, load_board
from neurodeploy.cli.boards import boards
from neurodeploy.errors import BoardError, UnknownNameError


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
    assert "23.6 pJ" in text
    assert "in neuron_updates_active" in text
    static = next(line for line in text.splitlines() if line.startswith("static_power"))
    assert "unknown" in static
    assert "Davies et al. 2018" in text


def test_one_board_as_json_is_a_board_again(tmp_path: Path) -> None:
    data = json.loads(output_of("truenorth", "--json"))
    assert Board.from_dict(data) == load_board("truenorth")


def test_wrong_names_are_user_errors(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(boards, ["loihi9"]).exception, UnknownNameError)
    missing = str(tmp_path / "mine.toml")
    assert isinstance(CliRunner().invoke(boards, [missing]).exception, BoardError)
