"""Brian2 executes a file of the working directory on import, so one module alone imports it."""

from __future__ import annotations

import ast
import re

from tests.structure.test_layers import SOURCES

DOOR = "neurodeploy.targets.brian2.session"
PACKAGE = re.compile(r"brian2(\.|$)")
CODE = re.compile(r"^\s*(import|from)\s+brian2\b", re.MULTILINE)


def imports_of_brian2(tree: ast.AST) -> list[int]:
    """Lines that import it, by a statement, by name, or in code for another interpreter."""
    lines = []
    for node in ast.walk(tree):
        names: list[str | None] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in ("import_module", "__import__", "importorskip"):
                names = [a.value for a in node.args if isinstance(a, ast.Constant)]
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and CODE.search(node.value)
        ):
            names = ["brian2"]
        if any(PACKAGE.match(str(name)) for name in names):
            lines.append(node.lineno)
    return lines


def test_one_module_imports_brian2() -> None:
    found = {
        name: imports_of_brian2(ast.parse(path.read_text(encoding="utf-8")))
        for name, path in SOURCES.items()
    }
    assert [name for name, lines in found.items() if lines] == [DOOR]


def test_every_way_to_import_it_is_found() -> None:
    ways = """
import brian2
import numpy, brian2.units as u
from brian2 import Network
from brian2.codegen import x
importlib.import_module("brian2")
__import__("brian2")
CODE = "import sys\\nimport brian2"
"""
    assert imports_of_brian2(ast.parse(ways)) == [2, 3, 4, 5, 6, 7, 8]
    others = 'import neurodeploy.targets.brian2.session\nload("brian2")\nX = "cannot import brian2"'
    assert imports_of_brian2(ast.parse(others)) == []
