"""Mutation testing of the tests: ``python scripts/mutation.py WORK --sample 150 --seed 0``.

Mutants are Cosmic Ray's, of one operator at one place. The tests of each are those that reach its
line, as coverage tells, the quick ones first, as many as took 20 seconds, and others for as long.
They run in a fork of this process, which has the large libraries already: it needs what the tests
need, and cosmic-ray and coverage. Everything happens in a clone of the last commit in the folder
WORK, where results are added to ``results.jsonl``: a call that was broken off goes on. A mutant
that runs several times longer than its tests should is counted apart.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
MUTATED = (
    *("neurodeploy/ir", "neurodeploy/execution", "neurodeploy/quantization"),
    *("targets/lava", "targets/brian2", "targets/truenorth"),
)
TESTS = (
    *("tests/ir", "tests/execution", "tests/quantization", "tests/targets", "tests/conformance"),
    *("tests/verification", "tests/loading", "tests/setup/test_native_library.py"),
)
SECONDS = 20.0
"""Of the tests of one mutant, as measured: first those named after its file, then the quickest; and
once more of others, drawn."""
ELSEWHERE = {"targets/lava": "lava"}
"""Code that also runs in processes that coverage does not see: what the names of its tests have."""
PRELOADED = ("numpy", "scipy.sparse", "torch", "sympy", "pytest")

_BINARY = "Add_Sub Sub_Add Mul_Add Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitAnd_BitOr BitOr_BitAnd"
_COMPARED = "Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Is_IsNot IsNot_Is"
OPERATORS = (
    *("AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse"),
    *("ReplaceFalseWithTrue", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ZeroIterationForLoop", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd"),
    *(f"ReplaceBinaryOperator_{pair}" for pair in _BINARY.split()),
    *(f"ReplaceComparisonOperator_{pair}" for pair in _COMPARED.split()),
)
"""One of each kind: those that replace the same thing by another one say little more."""
CONTEXTS = """
import coverage


def pytest_runtest_logstart(nodeid, location):
    running = coverage.Coverage.current()
    if running is not None:
        running.switch_context(nodeid)


def pytest_runtest_logreport(report):
    with open("../seconds.txt", "a") as file:
        file.write(f"{report.duration:.4f} {report.outcome} {report.when} {report.nodeid}\\n")
"""
# They change no behaviour, nor do types.
_IDLE = ("from ", "import ", "class ", "def ", "@", '"""')


@dataclass(frozen=True)
class Mutant:
    """One operator at one place."""

    path: str
    operator: str
    occurrence: int
    line: int
    last: int
    called: bool
    """Whether it is inside a function: other lines run once, with the import."""

    @property
    def key(self) -> str:
        """What results are found by."""
        return f"{self.path}:{self.line} {self.operator} {self.occurrence}"


def main() -> int:
    """Try a sample, and tell how many mutants the tests kill; 1 if they leave some."""
    parser = argparse.ArgumentParser(prog="scripts/mutation.py", description=__doc__)
    parser.add_argument("work", type=Path, help="a folder for the clone and the results")
    parser.add_argument("--sample", type=int, default=150, help="mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--mutated", nargs="*", default=MUTATED, help="folders of code")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="folders of tests")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    tree = cloned(given.work)
    reached = covered(tree, given.mutated, given.tests)
    seconds = measured(given.work / "seconds.txt")
    chosen = sample(mutants(tree, given.mutated), given.sample, given.seed)
    for library in PRELOADED:
        importlib.import_module(library)
    sound = affordable(chosen[0], sorted(seconds), seconds)
    if tested(tree, sound, limit=20 + 3 * SECONDS)[0] != 0:
        parser.error(f"tests fail without a mutant: {tested(tree, sound, 20 + 3 * SECONDS)[1]}")
    results = given.work / "results.jsonl"
    known = {r["key"]: r for r in read(results)}
    for number, mutant in enumerate(chosen, 1):
        if mutant.key not in known:
            tests = affordable(mutant, tests_of(mutant, reached, seconds), seconds)
            start = time.monotonic()
            outcome, by, diff = tried(tree, mutant, tests, sum(seconds[t] for t in tests))
            known[mutant.key] = {
                "key": mutant.key, **asdict(mutant), "outcome": outcome, "by": by, "diff": diff,
                "tests": len(tests), "seconds": round(time.monotonic() - start, 1),
            }  # fmt: skip
            with results.open("a") as file:
                file.write(json.dumps(known[mutant.key]) + "\n")
        print(f"{number}/{len(chosen)} {known[mutant.key]['outcome']}: {mutant.key}", flush=True)
    return told([known[mutant.key] for mutant in chosen])


def cloned(work: Path) -> Path:
    """A clone of the last commit, with the kernels that are built here."""
    tree = work.resolve() / "tree"
    if not tree.exists():
        subprocess.run(["git", "clone", "-q", str(ROOT), str(tree)], check=True)
        for library in (ROOT / "neurodeploy/execution/native").glob("*.so"):
            shutil.copy(library, tree / "neurodeploy/execution/native")
        for environment in (".venv", ".venv-lava"):
            if (ROOT / environment).exists():
                (tree / environment).symlink_to(ROOT / environment)
        if (ROOT.parent / "shared").exists() and not (work / "shared").exists():
            (work / "shared").symlink_to(ROOT.parent / "shared")
    # A call that was killed left its mutant there, which would fail tests of all others.
    subprocess.run(["git", "checkout", "-q", "--", "."], cwd=tree, check=True)
    return tree


def covered(tree: Path, mutated: list[str], tests: list[str]) -> dict[str, set[tuple[str, int]]]:
    """Name of a test -> (file, line) that it reaches; measured once."""
    data = tree.parent / "coverage"
    if not data.exists():
        rules = tree.parent / "coveragerc"
        sources = "\n    ".join(mutated)
        rules.write_text(f"[run]\nsource =\n    {sources}\n")
        (tree / "mutation_contexts.py").write_text(CONTEXTS)
        python = (sys.executable, "-m")
        run = [*python, "coverage", "run", f"--rcfile={rules}", f"--data-file={data}.part"]
        plugins = ("-p", "no:cacheprovider", "-p", "mutation_contexts")
        command = [*run, "-m", "pytest", "-q", *plugins, *tests]
        # Here everything is compiled, but not with a mutant: that file would be taken for the old.
        subprocess.run(command, cwd=tree, env=environment(tree))
        Path(f"{data}.part").rename(data)
    # The arcs and lines of coverage are in bit sets: it unpacks them itself.
    code = (
        "import coverage, json, sys\n"
        "data = coverage.CoverageData(sys.argv[1]); data.read()\n"
        "out = {f: data.contexts_by_lineno(f) for f in data.measured_files()}\n"
        "print(json.dumps(out))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data)], capture_output=True, text=True, check=True
    )
    reached: dict[str, set[tuple[str, int]]] = {}
    for file, lines in json.loads(done.stdout).items():
        path = os.path.relpath(os.path.realpath(file), os.path.realpath(tree))
        for line, contexts in lines.items():
            for context in filter(None, contexts):
                reached.setdefault(context, set()).add((path, int(line)))
    return reached


def measured(file: Path) -> dict[str, float]:
    """Seconds of every test that passed, with what it set up."""
    seconds: dict[str, float] = {}
    passed = set()
    for line in file.read_text().splitlines():
        duration, outcome, when, test = line.split(" ", 3)
        seconds[test] = seconds.get(test, 0.0) + float(duration)
        if (when, outcome) == ("call", "passed"):
            passed.add(test)
    return {test: seconds[test] for test in passed}


def mutants(tree: Path, mutated: list[str]) -> list[Mutant]:
    """All mutants, in a fixed order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    operators = [(name, get_operator(f"core/{name}")()) for name in OPERATORS]
    found = []
    for file in sorted(p for place in mutated for p in (tree / place).rglob("*.py")):
        path, text = file.relative_to(tree).as_posix(), file.read_text()
        lines, nodes = text.splitlines(), list(ast_nodes(get_ast(text)))
        parsed = list(ast.walk(ast.parse(text)))
        bodies = [
            range(n.body[0].lineno, (n.end_lineno or n.lineno) + 1)
            for n in parsed
            if isinstance(n, ast.FunctionDef)
        ]
        types = [
            t
            for n in parsed
            for t in (getattr(n, "annotation", None), getattr(n, "returns", None))
            if t
        ]
        idle = [((t.lineno, t.col_offset), (t.end_lineno, t.end_col_offset)) for t in types]
        for name, operator in operators:
            places = [place for node in nodes for place in operator.mutation_positions(node)]
            for number, (start, end) in enumerate(places):
                named = any(first <= start < last for first, last in idle)
                if not named and not lines[start[0] - 1].strip().startswith(_IDLE):
                    called = any(start[0] in body for body in bodies)
                    found.append(Mutant(path, f"core/{name}", number, start[0], end[0], called))
    return found


def sample(found: list[Mutant], n: int, seed: int) -> list[Mutant]:
    """A seeded sample: places first, then one of the operators there, which are many for some."""
    draw = random.Random(seed)
    places: dict[tuple[str, int], list[Mutant]] = {}
    for mutant in found:
        places.setdefault((mutant.path, mutant.line), []).append(mutant)
    chosen = draw.sample(sorted(places), min(n, len(places)))
    return [draw.choice(places[place]) for place in chosen]


def tests_of(
    mutant: Mutant, reached: dict[str, set[tuple[str, int]]], tests: Iterable[str]
) -> Iterator[str]:
    """Tests that reach a line of the mutant; where it runs with the import, all of its file."""
    lines = {(mutant.path, line) for line in range(mutant.line, mutant.last + 1)}
    names = [name for folder, name in ELSEWHERE.items() if mutant.path.startswith(f"{folder}/")]
    for test in tests:
        places = reached.get(test, set())
        here = places & lines if mutant.called else any(path == mutant.path for path, _ in places)
        if here or any(name in test for name in names):
            yield test


def affordable(mutant: Mutant, tests: Iterable[str], seconds: dict[str, float]) -> list[str]:
    """Tests of a mutant that take no longer than ``SECONDS`` together, but one at least.

    Then as many of the others, drawn; where code also runs in other processes, of those that take a
    second, as they start one.
    """
    tests, stem = list(tests), Path(mutant.path).stem
    chosen = _first(sorted(tests, key=lambda t: (stem not in t, seconds[t], t)), seconds)
    far = any(mutant.path.startswith(f"{folder}/") for folder in ELSEWHERE)
    others = sorted(t for t in set(tests) - set(chosen) if seconds[t] >= 1 or not far)
    random.Random(mutant.key).shuffle(others)
    return chosen + _first(others, seconds)


def _first(tests: list[str], seconds: dict[str, float]) -> list[str]:
    chosen: list[str] = []
    left = SECONDS
    for test in tests:
        if seconds[test] <= left or not chosen:
            chosen.append(test)
            left -= seconds[test]
    return chosen


def tried(tree: Path, mutant: Mutant, tests: list[str], seconds: float) -> tuple[str, str, str]:
    """How the tests end on a mutant: killed, survived, timeout or unreached; by what; its diff."""
    if not tests:
        return "unreached", "", ""
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    operator = get_operator(mutant.operator)()
    with use_mutation(tree / mutant.path, operator, mutant.occurrence) as (before, after):
        if after is None:
            return "none", "", ""
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        status, by = tested(tree, tests, limit=20 + 3 * seconds)
    outcome = "timeout" if status is None else "survived" if status == 0 else "killed"
    return outcome, by, "\n".join(lines)


def tested(tree: Path, tests: list[str], limit: float) -> tuple[int | None, str]:
    """How pytest exits, in a fork, and the test that failed; None where it was too long."""
    failed = tree.parent / "failed"
    failed.write_text("")
    child = os.fork()
    if child == 0:
        _be_pytest(tree, tests, failed)
    end = time.monotonic() + limit
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None, ""
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(done[1]), failed.read_text()


def _be_pytest(tree: Path, tests: list[str], failed: Path) -> NoReturn:
    """Run tests in this process, in a group of its own, and end."""
    import pytest

    class Failed:
        """Writes down what failed."""

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.write_text(report.nodeid)

        pytest_collectreport = pytest_runtest_logreport

    status = 1
    try:
        os.setsid()
        os.chdir(tree)
        os.environ.update(environment(tree), PYTHONDONTWRITEBYTECODE="1")
        sys.dont_write_bytecode = True
        sys.path[0] = str(tree)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        options = ["-x", "-q", "-p", "no:cacheprovider"]
        status = int(pytest.main([*options, *tests], plugins=[Failed()]))
    finally:
        os._exit(status)


def environment(tree: Path) -> dict[str, str]:
    """Of the tests: their own tree, and one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)}


def read(results: Path) -> list[dict[str, Any]]:
    """Results that are there already."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def told(results: list[dict[str, Any]]) -> int:
    """Print the figure, and everything that was not killed; 1 if that is something."""
    counts = Counter(result["outcome"] for result in results)
    decided = counts["killed"] + counts["survived"] + counts["unreached"]
    print(f"\n{dict(counts)}: {counts['killed']} of {decided} killed, timeouts apart")
    left = [r for r in results if r["outcome"] in ("survived", "unreached", "timeout")]
    for result in left:
        print(f"\n{result['outcome']}: {result['key']}\n{result['diff']}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
