"""A target is named nowhere outside its folder: everything else asks the registry."""

from __future__ import annotations

import re

from neurodeploy.targets.registry import TARGETS
from tests.structure.test_layers import SOURCES, layer

NAMES = re.compile("|".join(TARGETS.built_in), re.IGNORECASE)


def lines_with_names(text: str) -> list[int]:
    return [n for n, line in enumerate(text.splitlines(), 1) if NAMES.search(line)]


def test_no_target_is_named_outside_targets() -> None:
    found = {
        name: lines
        for name, path in SOURCES.items()
        # Files and neurons of other frameworks are named there, one of them as a target is.
        if layer(name) not in ("targets", "exchange")
        and (lines := lines_with_names(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_way_to_name_one_is_found() -> None:
    text = 'x\nTARGETS.get("truenorth")\nimport neurodeploy.targets.lava\n# TrueNorth\nBRIAN2_X = 1'
    assert lines_with_names(text) == [2, 3, 4, 5]
