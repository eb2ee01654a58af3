"""The names of the package: found at run time where type checkers find them."""

from __future__ import annotations

import ast
from pathlib import Path

import neurodeploy as nd
from neurodeploy.conversion.registry import METHODS


def typed_imports(path: str | None) -> dict[str, str]:
    """Name -> module of the imports that only type checkers read."""
    assert path is not None
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        found.update({alias.name: str(node.module) for alias in node.names})
    return found


def test_every_name_is_typed_as_it_is_found() -> None:
    typed = typed_imports(nd.__file__)
    assert sorted(typed) == sorted(set(nd.__all__) - {"__version__"})
    places = {name: place for place, names in nd._PLACES.items() for name in names.split()}
    elsewhere = {name: f"neurodeploy.{place}" for name, place in places.items()}
    api = dict.fromkeys(set(typed) - set(places), "neurodeploy.api")
    assert typed == {**api, **elsewhere, "methods": "neurodeploy.conversion"}


def test_every_method_is_in_the_namespace_and_typed() -> None:
    built_in = {
        entry.location.rpartition(":")[2]: entry.location.partition(":")[0]
        for entry in METHODS.entries().values()
        if entry.location.startswith("neurodeploy.")
    }
    assert typed_imports(nd.methods.__file__) == built_in
    assert set(built_in) <= set(dir(nd.methods))
    assert nd.methods.Graded is METHODS.get("graded")


def test_names_of_boards_and_targets() -> None:
    assert {"loihi1", "truenorth"} <= set(nd.list_boards())
    assert {"lava", "brian2"} <= set(nd.list_targets())
