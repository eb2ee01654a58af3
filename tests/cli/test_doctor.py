"""`neurodeploy doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurodeploy.cli import run
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.stages import doctor
from neurodeploy.targets import imports
from neurodeploy.targets.brian2 import session
from neurodeploy.targets.lava import target as lava_target
from neurodeploy.targets.registry import TARGETS


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Imports that answer at once, and no Lava; the result of each import can be set."""
    failures: dict[str, str | None] = {"torch": None, "brian2": None}

    def answer(module: str, statement: str | None = None) -> str | None:
        return failures[module]

    def absent() -> None:
        raise TargetUnavailableError("lava: no Python 3.10 with lava-nc; run 'make setup'")

    monkeypatch.setattr(doctor, "import_failure", answer)
    monkeypatch.setattr(session, "import_failure", answer)
    monkeypatch.setattr(lava_target, "find_lava_python", absent)
    return failures


def test_it_lists_every_target_and_the_remedy(quick: dict[str, str | None]) -> None:
    quick["brian2"] = "AttributeError: module 'numpy' has no attribute 'ptp'"
    findings = {(f.kind, f.name): f for f in doctor.doctor().findings}
    assert {name for kind, name in findings if kind == "target"} == set(TARGETS)
    assert findings["executor", "reference"].works
    brian2 = findings["target", "brian2"]
    assert not brian2.works
    assert "ptp" in brian2.detail or "not installed" in brian2.detail
    assert "NumPy < 2.3" in (brian2.remedy or "")
    lava = findings["target", "lava"]
    assert (lava.works, lava.detail) == (False, "no Python 3.10 with lava-nc")
    assert lava.remedy == "run 'make setup'"
    assert all(f.works or f.remedy for f in findings.values())


def test_json_and_text_say_the_same(
    quick: dict[str, str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["packages"]["numpy"]
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    for finding in value["findings"]:
        assert finding["name"] in text
    assert "run 'make setup'" in text


def test_imports_really_happen() -> None:
    assert imports.import_failure("json") is None
    assert "no_such_module_at_all" in (imports.import_failure("no_such_module_at_all") or "")


def test_an_import_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imports, "IMPORT_SECONDS", 0.2)
    said = imports.import_failure("time; time.sleep(30)")
    assert "more than 0.2 s" in (said or "")


def test_packages_that_are_asked_for_and_the_compiler(
    quick: dict[str, str | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "my-cc"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", f"{compiler} -m64")
    packages = doctor.doctor().packages
    assert {"onnx", "distributed", "pyarrow"} <= set(packages)
    assert packages["C compiler"] == str(compiler)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert doctor.doctor().packages["C compiler"] is None


def test_kernels_that_are_unknown_run_nothing(
    quick: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURODEPLOY_ISA", "avx1024")
    engine = next(f for f in doctor.doctor().findings if f.name == "engine")
    assert not engine.works
    assert engine.detail == "NEURODEPLOY_ISA=avx1024: kernels that are unknown"
    assert "choose one" in (engine.remedy or "")
