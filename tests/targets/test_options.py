"""Options of targets: what they are where nobody gives one."""

from __future__ import annotations

from typing import Any

import pytest

from neurodeploy.errors import UsageError
from neurodeploy.targets.registry import TARGETS

SUPERVISED = {"execution": "auto", "time_limit_s": 3600.0, "stall_limit_s": 60.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "lava": {**SUPERVISED, "models": "own", "samples_side_by_side": None},
    "lava-stock": SUPERVISED,
    "brian2": {"codegen": "numpy", "max_synapses": 10_000_000},
    "truenorth": {"fan_out": "auto", "split": "none", "max_ticks_per_step": 256},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_options_have_their_defaults(name: str) -> None:
    target = TARGETS.get(name)()
    assert target.complete_options({}) == DEFAULTS[name]


LIMITS: list[tuple[str, str, Any, Any]] = [
    ("truenorth", "max_ticks_per_step", 1, 0),
    ("brian2", "max_synapses", 1, 0),
    ("lava", "samples_side_by_side", 1, 0),
    ("lava", "time_limit_s", 0.001, 0.0),
    ("lava", "stall_limit_s", 0.001, 0.0),
    ("lava", "models", "stock", "stocks"),
    ("lava", "execution", "worker", "workers"),
    ("truenorth", "max_ticks_per_step", 2, True),
    ("brian2", "max_synapses", 2, 2.5),
    ("lava", "time_limit_s", float("inf"), float("nan")),
    ("lava", "samples_side_by_side", None, float("inf")),
]


@pytest.mark.parametrize(("name", "option", "legal", "illegal"), LIMITS)
def test_the_least_is_taken_and_less_is_refused(
    name: str, option: str, legal: Any, illegal: Any
) -> None:
    target = TARGETS.get(name)()
    assert target.complete_options({option: legal})[option] == legal
    with pytest.raises(UsageError, match=f"target {name}: .*{option}"):
        target.complete_options({option: illegal})
