"""Samples that run one batch after another."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.execution import batches
from neurodeploy.execution.batches import run_batched


class Counted:
    """Samples that say how many are asked for at a time."""

    def __init__(self, n: int) -> None:
        self.values = np.arange(n)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, samples: slice) -> np.ndarray:
        found = self.values[samples]
        self.asked.append(len(found))
        return found


@pytest.mark.parametrize(
    ("n", "budget", "multiple", "widths"),
    [
        (10, 40, 1, [4, 4, 2]),
        (10, 40, 3, [3, 3, 3, 1]),
        (10, 19, 3, [1] * 10),
        (10, 9, 1, [1] * 10),
        (8, 40, 1, [4, 4]),
        (3, 40, 1, [3]),
        (0, 40, 1, [0]),
    ],
)
def test_batches_fit_the_budget_and_are_encoded_one_by_one(
    n: int, budget: int, multiple: int, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", budget)
    given, done = Counted(n), []
    found = []
    ran = run_batched(
        {"a": given}, 10, multiple=multiple, progress=lambda k, of: done.append((k, of))
    )
    for number, batch in enumerate(ran, 1):
        assert given.asked == widths[:number]
        assert (batch.number, batch.n_batches, batch.total) == (number, len(widths), n)
        np.testing.assert_array_equal(batch.stimulus["a"], given.values[batch.samples])
        found.append(batch.stimulus["a"])
    np.testing.assert_array_equal(np.concatenate(found), given.values)
    assert done == [(k, n) for k in np.cumsum(widths).tolist()]


def test_progress_of_a_run_is_progress_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 4)
    told: list[tuple[int, int]] = []
    for batch in run_batched({"a": np.arange(6)}, 1):
        assert batch.part_of(None) is None
        share = batch.part_of(lambda *done: told.append(done))
        assert share is not None
        for step in (1, 2):
            share(step, 2)
    assert told == [(2, 6), (4, 6), (5, 6), (6, 6)]


@pytest.mark.parametrize(
    ("size", "multiple", "widths"),
    [
        # Of 100 bytes: what holds nothing is one batch, what is too large a batch each.
        (0, 1, [7]),
        (1, 1, [7]),
        (25, 1, [4, 3]),
        (34, 1, [2, 2, 2, 1]),
        (101, 1, [1] * 7),
        # Multiples of two, or divisors of six.
        (30, 2, [2, 2, 2, 1]),
        (20, 2, [4, 3]),
        (20, 6, [3, 3, 1]),
        (14, 6, [6, 1]),
    ],
)
def test_widths_of_batches(
    size: int, multiple: int, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 100)
    x = np.zeros((7, 1), np.int64)
    found = list(batches.run_batched({"x": x}, size, multiple=multiple))
    assert [b.samples.stop - b.samples.start for b in found] == widths
    assert [b.number for b in found] == list(range(1, len(widths) + 1))
    assert {(b.n_batches, b.total) for b in found} == {(len(widths), 7)}
