"""Methods and targets of other distributions: found, offered, and told apart when broken."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from neurodeploy.cli import run
from neurodeploy.cli.convert import chosen_options, method_options
from neurodeploy.errors import UsageError

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True, slots=True)
class Bare:
    timesteps: int = 32

@dataclass(frozen=True, slots=True)
class Leaky:
    timesteps: int = 32
    decode: str = "membrane"
    leak: float = 0.25
    emits: ClassVar[str] = "binary"
    default_input: ClassVar[str] = "current"
    encoders: ClassVar[tuple[str, ...]] = ("current",)
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "neurodeploy_leaky.py").write_text(PLUGIN)
    (tmp_path / "neurodeploy_broken.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        importlib.metadata.EntryPoint("leaky", "neurodeploy_leaky:Leaky", "neurodeploy.methods"),
        importlib.metadata.EntryPoint("bare", "neurodeploy_leaky:Bare", "neurodeploy.methods"),
        importlib.metadata.EntryPoint("broken", "neurodeploy_broken:X", "neurodeploy.methods"),
        importlib.metadata.EntryPoint("ghost", "neurodeploy_ghost:X", "neurodeploy.targets"),
    ]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [p for p in points if p.group == group]
    )


@pytest.mark.usefixtures("plugins")
def test_the_options_of_a_plugin_are_offered() -> None:
    options = {option.name: option for option in method_options()}
    assert options["leak"].help == "[leaky: 0.25]"
    assert "percentile" in options
    assert chosen_options("leaky", {"leak": "0.5"}, ()) == {"leak": 0.5}
    assert chosen_options("leaky", {"leak": None}, ("leak=1",)) == {"leak": 1.0}


@pytest.mark.usefixtures("plugins")
def test_a_broken_plugin_hinders_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods"]) == 0
    out = capsys.readouterr().out
    assert "broken: method 'broken': the plug-in neurodeploy_broken:X cannot be imported" in out
    assert "method 'bare': the plug-in neurodeploy_leaky:Bare has no 'emits', which every" in out
    assert "leak" in out
    assert run(["targets"]) == 0
    assert "neurodeploy_ghost:X cannot be imported" in capsys.readouterr().out


@pytest.mark.usefixtures("plugins")
def test_choosing_a_broken_plugin_says_what_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"RuntimeError: no licence\); reinstall or remove it"):
        chosen_options("broken", {}, ())
