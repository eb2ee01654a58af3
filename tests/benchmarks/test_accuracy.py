"""What the table of accuracies tells of the course of a run."""

from __future__ import annotations

import pytest

from benchmarks.accuracy import largest_prefix_fall


def test_the_largest_fall_along_the_prefixes() -> None:
    assert largest_prefix_fall({1: 0.9, 2: 0.5, 3: 0.7, 4: 0.6}) == pytest.approx(0.1)
    assert largest_prefix_fall({1: 0.9, 2: 0.8, 3: 0.7, 4: 0.9}) == pytest.approx(0.1)
    assert largest_prefix_fall({1: 0.1, 2: 0.2, 3: 0.3, 4: 0.3}) == 0
    assert largest_prefix_fall({1: 0.4}) == 0
