"""The command line is a guest of the API: it imports nothing beside it but what prints."""

from __future__ import annotations

import ast

import pytest

from tests.structure.test_layers import SOURCES, imports

OPEN = (
    "neurodeploy.api",
    "neurodeploy.cli",
    "neurodeploy.errors",
    "neurodeploy.render",
    "neurodeploy.version",
)
COMMANDS = sorted(name for name in SOURCES if name.startswith("neurodeploy.cli"))


def doors_passed(text: str) -> list[str]:
    """Modules of neurodeploy that a module of the command line may not import, but does."""
    found = imports(ast.parse(text), "neurodeploy.cli.x") - {"neurodeploy"}
    return sorted(
        name
        for name in found
        if name.startswith("neurodeploy.")
        and not any(name == door or name.startswith(f"{door}.") for door in OPEN)
    )


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_calls_nothing_but_the_api(module: str) -> None:
    assert doors_passed(SOURCES[module].read_text(encoding="utf-8")) == []


def test_a_way_around_the_api_is_found() -> None:
    text = """
from neurodeploy import __version__, api, network
from neurodeploy.render.text import to_json
import neurodeploy.ir.files
def run():
    from neurodeploy.stages.run import run
    from neurodeploy.apiary import bees
"""
    assert doors_passed(text) == [
        "neurodeploy.apiary",
        "neurodeploy.ir.files",
        "neurodeploy.network",
        "neurodeploy.stages.run",
    ]


def test_the_api_only_says_where_its_functions_are() -> None:
    tree = ast.parse(SOURCES["neurodeploy.api"].read_text(encoding="utf-8"))
    others = [type(n) for n in tree.body if not isinstance(n, ast.ImportFrom)]
    assert others == [ast.Expr, ast.Assign]
    imported = {
        a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    import neurodeploy.api

    assert sorted(imported) == sorted(neurodeploy.api.__all__)
