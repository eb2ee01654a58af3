"""Damaged files of every format; ``make fuzz-files N=...`` does more, and others."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the networks of these tests are made with torch")

from tests.bad_input.fuzz.__main__ import chunks_of, run_all
from tests.bad_input.fuzz.subjects import SUBJECTS, expect_undamaged, make

EACH = 300

# Cases that once ended otherwise than in a line: format and seed.
ONCE = {
    "crossbar deployment": (26, 97, 5061, 80014, 90008, 90104),
    "real .ndn": (70210, 81014),
    "integer .ndn": (34,),
    "images": (252,),
    "weights .pt": (71,),
    "board": (19,),
    ".onnx": (70045,),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_damaged_files_are_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    missing = {line.partition(":")[0] for line in make(tmp_path)}
    expect_undamaged(tmp_path)
    chunks = chunks_of(tmp_path, list(SUBJECTS), EACH)
    made = {name for name, _ in chunks}
    assert len(made) >= len(SUBJECTS) - len(missing) - 6 * bool(missing)
    chunks += [(name, range(s, s + 1)) for name in made for s in ONCE.get(name, ())]
    endings = run_all(tmp_path, chunks, 1)  # other tests run beside it
    assert [e for e in endings if e.fault] == []
    assert len(endings) == sum(len(seeds) for _, seeds in chunks)
    # They are damaged enough that most are refused, and not so much that all are.
    refused = sum(e.status == 2 for e in endings)
    assert len(endings) / 2 < refused < len(endings)
