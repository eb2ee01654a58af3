"""Commands print through one door, which shows control characters instead of sending them."""

from __future__ import annotations

import re

import pytest

from neurodeploy.cli.terminal import LONGEST_ERROR, say, tell
from neurodeploy.render.text import render_table, visible
from tests.structure.test_layers import PACKAGE

HOSTILE = "\x1b]0;T\x07\x1b[2J\r\u202egnp\x9b31m\x7f\udc80"


def test_commands_print_through_the_door() -> None:
    printing = re.compile(r"click\.s?echo\(|(?<!\w)print\(|std(out|err)\.write\(")
    found = {
        path.name
        for path in (PACKAGE / "cli").glob("*.py")
        if printing.search(path.read_text(encoding="utf-8"))
    }
    # The first of them tells in fixed words what happened to the process itself.
    assert found == {"__init__.py", "terminal.py"}


def test_control_characters_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"name: {HOSTILE}\nnext: gr\u00fcn \u03b8")
    tell(f"error: {HOSTILE}\n remedy")
    out, err = capsys.readouterr()
    shown = r"\x1b]0;T\x07\x1b[2J\r\u202egnp\x9b31m\x7f\udc80"
    assert out == f"name: {shown}\nnext: gr\u00fcn \u03b8\n"
    assert err == "error: " + shown.replace(r"\r", " ") + " remedy\n"


def test_a_cell_stays_in_its_row() -> None:
    table = render_table(["name", "n"], [["a\nb\x1b[1m", 1], ["c", 22]])
    assert str(table).splitlines()[2:] == [r"a\nb\x1b[1m   1", "c            22"]


def test_errors_are_cut_to_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    tell("place: " + "x" * 99_999 + " remedy")
    err = capsys.readouterr().err
    assert len(err) < LONGEST_ERROR + 60
    assert err.startswith("place: x")
    assert err.endswith("x remedy\n")
    assert "characters left out" in err


def test_printable_text_is_untouched() -> None:
    text = "T = 32, \u03b8, \u2265 3 \u00b5J"
    assert visible(text) is text
