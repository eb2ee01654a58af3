"""A few damaged files of every format; ``make fuzz-files N=...`` does thousands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the networks of these tests are made with torch")

from tests.bad_input.fuzz.__main__ import run_all
from tests.bad_input.fuzz.subjects import SUBJECTS, expect_undamaged, make

EACH = 2

# Cases that once ended otherwise than in a line: format and seed.
ONCE = {
    "crossbar deployment": (26, 97, 5061, 80014),
    "real .ndn": (70210, 81014),
    "weights .pt": (71,),
    "board": (19,),
    ".onnx": (70045,),
}


def test_damaged_files_are_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    missing = {line.partition(":")[0] for line in make(tmp_path)}
    expect_undamaged(tmp_path)
    chunks = [
        (name, seeds)
        for name in SUBJECTS
        if (tmp_path / SUBJECTS[name].path).exists()
        for seeds in (range(EACH), *(range(s, s + 1) for s in ONCE.get(name, ())))
    ]
    assert len({name for name, _ in chunks}) >= len(SUBJECTS) - len(missing) - 6 * bool(missing)
    endings = run_all(tmp_path, chunks, os.cpu_count() or 1)
    assert [e for e in endings if e.fault] == []
    assert len(endings) == sum(len(seeds) for _, seeds in chunks)
    # They are damaged enough that most are refused, and not so much that all are.
    refused = sum(e.status == 2 for e in endings)
    assert len(endings) / 2 < refused < len(endings)
