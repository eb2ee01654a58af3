"""The sample of mutants is that of its seed, and their tests are those that reach them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mutation.py"


@pytest.fixture(scope="module")
def mutation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutation"] = module
    spec.loader.exec_module(module)
    return module


def test_a_sample_is_of_places_and_of_its_seed(mutation: ModuleType) -> None:
    many = [mutation.Mutant("a.py", f"core/{i}", 0, 3, 3, True) for i in range(50)]
    few = [mutation.Mutant("b.py", "core/x", i, i, i, True) for i in range(1, 9)]
    chosen = mutation.sample(many + few, 6, seed=1)
    assert chosen == mutation.sample(many + few, 6, seed=1)
    assert chosen != mutation.sample(many + few, 6, seed=2)
    assert len({(m.path, m.line) for m in chosen}) == 6
    assert len(mutation.sample(many + few, 100, seed=1)) == 9


def test_the_tests_of_a_mutant_reach_one_of_its_lines(mutation: ModuleType) -> None:
    reached = {"t::a": {("a.py", 3)}, "t::b": {("a.py", 5)}, "t::c": {("b.py", 4)}}
    mutant = mutation.Mutant("a.py", "core/AddNot", 0, 3, 4, True)
    assert list(mutation.tests_of(mutant, reached, reached)) == ["t::a"]
    # With the import everything of the file runs.
    whole = mutation.Mutant("a.py", "core/AddNot", 0, 3, 4, False)
    assert list(mutation.tests_of(whole, reached, reached)) == ["t::a", "t::b"]
    # A worker's code runs where coverage does not see it.
    worker = mutation.Mutant("targets/lava/worker.py", "core/AddNot", 0, 3, 4, True)
    assert list(mutation.tests_of(worker, reached, ["t::a", "lava/t::d"])) == ["lava/t::d"]
    assert mutation.tried(Path(), mutant, [], 0.0) == ("unreached", "", "")


def test_the_quick_tests_of_a_mutant_run_for_some_seconds(mutation: ModuleType) -> None:
    mutant = mutation.Mutant("grids.py", "core/AddNot", 0, 3, 4, True)
    seconds = {"x::a": 12.0, "x::b": 9.0, "x::c": 0.5, "test_grids.py::d": 1.0}
    # Then what is left for as long, of which there is one.
    expected = ["test_grids.py::d", "x::c", "x::b", "x::a"]
    assert mutation.affordable(mutant, list(seconds), seconds) == expected
    assert mutation.affordable(mutant, ["y"], {"y": 500.0}) == ["y"]
    many = {f"x::{i}": 1.0 for i in range(100)}
    drawn = mutation.affordable(mutant, list(many), many)
    assert drawn[:20] == sorted(many)[:20]
    assert len(set(drawn)) == 40
    assert drawn[20:] != sorted(drawn[20:])
    assert drawn == mutation.affordable(mutant, iter(many), many)
    # Where other processes run the code, others are those that start one.
    worker = mutation.Mutant("targets/lava/worker.py", "core/AddNot", 0, 3, 4, True)
    quick = {f"x::{i}": 0.9 for i in range(100)} | {"y": 30.0}
    assert [t for t in mutation.affordable(worker, list(quick), quick) if t == "y"] == ["y"]
    assert len(mutation.affordable(worker, list(quick), quick)) == 23


def test_only_tests_that_passed_have_seconds(mutation: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "seconds.txt"
    lines = ["0.5 passed setup t::a b", "1.0 passed call t::a b", "0.1 skipped setup t::c"]
    file.write_text("\n".join([*lines, "0.1 passed setup t::d", "2.0 failed call t::d"]))
    assert mutation.measured(file) == {"t::a b": 1.5}


def test_tests_of_a_mutant_run_in_a_fork_that_tells_what_failed(
    mutation: ModuleType, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pytest.ini").write_text("[pytest]\n")
    text = "import time\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): time.sleep(60)\n"
    (tree / "test_three.py").write_text(text)
    tests = [f"test_three.py::test_{name}" for name in "abc"]
    assert mutation.tested(tree, tests[:1], 30.0) == (0, "")
    assert mutation.tested(tree, tests[:2], 30.0) == (1, "test_three.py::test_b")
    assert mutation.tested(tree, tests[2:], 1.0) == (None, "")


def test_the_figure_leaves_timeouts_apart(
    mutation: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = ["killed", "killed", "survived", "timeout", "unreached", "none"]
    results = [{"outcome": e, "key": f"m{i}", "diff": f"d{i}"} for i, e in enumerate(ends)]
    assert mutation.told(results) == 1
    out = capsys.readouterr().out
    assert "2 of 4 killed, timeouts apart" in out
    assert all(f"d{i}" in out for i in (2, 3, 4))
    assert "d0" not in out
    assert mutation.told(results[:2]) == 0


def test_the_mutant_of_a_killed_call_is_taken_back(mutation: ModuleType, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    (tree / "a.py").write_text("x = 1\n")
    subprocess.run(["git", "add", "a.py"], cwd=tree, check=True)
    (tree / "a.py").write_text("x = 2\n")
    (tree / "built.so").touch()
    assert mutation.cloned(tmp_path) == tree
    assert (tree / "a.py").read_text() == "x = 1\n"
    assert (tree / "built.so").exists()
