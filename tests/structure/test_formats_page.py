"""docs/formats.md names every class and field that a file may hold, and the schema numbers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from neurodeploy.ir import storage
from neurodeploy.network import SCHEMA_VERSION
from neurodeploy.targets.lava.bundle import Bundle
from neurodeploy.targets.timed import DEPLOYMENT_SCHEMA, TimedNetlist
from neurodeploy.targets.truenorth import cores

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("cls", [*storage._CLASSES, Bundle, TimedNetlist])
def test_every_class_with_its_fields(cls: type) -> None:
    (row,) = (line for line in ROWS if f"`{cls.__name__}`" in line.split("|")[1])
    words = set(re.findall(r"`([^`]+)`", row))
    assert {f.name for f in dataclasses.fields(cls)} <= words


@pytest.mark.parametrize("name", cores._ARRAYS)
def test_every_array_of_cores(name: str) -> None:
    dtype, _ = cores._ARRAYS[name]
    (row,) = (line for line in ROWS if f"`{name}`" in line.split("|")[1])
    assert dtype in row


def test_schema_numbers() -> None:
    assert f"| `schema` | {SCHEMA_VERSION} |" in PAGE
    assert f"`schema` ({DEPLOYMENT_SCHEMA})" in PAGE
    assert f"(#deployment-folders): a compiled netlist | {DEPLOYMENT_SCHEMA} |" in PAGE
    assert f'`"schema": {cores.SCHEMA}`' in PAGE
