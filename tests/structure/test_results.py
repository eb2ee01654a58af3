"""One convention for results: ``to_dict`` gives JSON values, under no other name."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.structure.test_layers import SOURCES

RESULTS = [
    "stages.deployed:Deployed",
    "diagnosis.diagnosis:Diagnosis",
    "diagnosis.diagnosis:OutputDiagnosis",
    "diagnosis.layer:LayerDiagnosis",
    "hardware.boards.board:Board",
    "hardware.cut.core_map:CoreMap",
    "hardware.place.placement:Placement",
    "hardware.price.comparison:EnergyComparison",
    "hardware.price.report:EnergyReport",
    "hardware.price.operations:SourceEnergy",
    "stages.auto:Choice",
    "stages.doctor:Installation",
    "stages.registered:Registered",
    "targets.base:Deployment",
    "targets.base:Violation",
    "verification.accuracy:Evaluation",
    "verification.agreement:Agreement",
    "verification.compare:Divergence",
    "verification.deviation:Deviation",
    "verification.inference:Run",
    "verification.verification:Verification",
]
# The text of JSON, not values.
TEXT = {"neurodeploy.render.text:to_json"}
OTHER_NAMES = ("to_json", "as_json", "as_dict", "asdict", "json", "dict")


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_has_it(name: str) -> None:
    module, cls = name.split(":")
    assert callable(getattr(importlib.import_module(f"neurodeploy.{module}"), cls).to_dict)


def test_there_is_no_other_name() -> None:
    found = [
        f"{module}:{node.name}"
        for module, path in SOURCES.items()
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and (node.name in OTHER_NAMES or (node.name[0] != "_" and node.name.endswith("_json")))
    ]
    assert set(found) == TEXT | {"neurodeploy.loading.files:parsed_json"}
