"""A part of the test suite of onnx: every case is right or refused by name."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("torch", reason="the front end needs torch")
pytest.importorskip("onnx", reason="the cases are those of the onnx package")

from benchmarks.frontend.onnx_suite import (
    REFUSED,
    RIGHT,
    Fate,
    fate,
    model_cases,
    node_cases,
    table,
)

EACH = 3
"""Cases of each operator; the benchmark takes all of them."""


@pytest.fixture(scope="module")
def models() -> list[Fate]:
    return [fate(case) for case in model_cases()]


@pytest.fixture(scope="module")
def nodes() -> list[Fate]:
    seen: Counter[str] = Counter()
    found = []
    for case in node_cases():
        seen[case.operator] += 1
        if seen[case.operator] <= EACH:
            found.append(fate(case))
    return found


def test_models_from_pytorch_are_right_or_refused_by_name(models: list[Fate]) -> None:
    assert len(models) == 117
    assert not [
        (one.case.name, one.reason) for one in models if one.verdict not in (RIGHT, REFUSED)
    ]
    assert sum(one.verdict == RIGHT for one in models) >= 80


def test_single_operators_are_right_or_refused_by_name(nodes: list[Fate]) -> None:
    assert len(nodes) > 400
    assert not [(one.case.name, one.reason) for one in nodes if one.verdict not in (RIGHT, REFUSED)]
    assert sum(one.verdict == RIGHT for one in nodes) >= 95
    for one in nodes:
        if one.verdict == REFUSED:
            assert one.reason
            assert "\n" not in one.reason


def test_counts_by_operator(models: list[Fate]) -> None:
    assert "pytorch-converted 62/82, pytorch-operator 20/35" in table(models)
