"""Which native libraries are trusted, and what is said about the others."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from neurodeploy.cli import run
from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.execution.native import library, sources
from neurodeploy.stages import doctor
from neurodeploy.targets.brian2 import session

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (library.ISA_VARIABLE, library.OFF_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    library._open.cache_clear()


def compile_library(path: Path, text: str) -> None:
    assert COMPILER is not None
    source = path.with_suffix(".c")
    source.write_text(text)
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", path, source], check=True, timeout=60)


def foreign(path: Path, *, abi: int, mark: str, trap: Path | None = None) -> None:
    """A library that says what it is told to say, and leaves a trace where it is loaded."""
    loaded = f'FILE *f = fopen("{trap}", "w"); fclose(f);' if trap else ""
    compile_library(
        path,
        f"""
        #include <stdio.h>
        const char mark[] = "neurodeploy native sources {mark}";
        int nd_abi(void) {{ return {abi}; }}
        __attribute__((constructor)) static void loaded(void) {{ {loaded} }}
        """,
    )


@needs_compiler
def test_it_is_loaded_wherever_there_is_a_compiler() -> None:
    """A build that broke must not go unnoticed: everything would run, on slower paths."""
    status = library.status()
    assert status.available, f"{status.reason}; {status.remedy}"
    assert library.available()
    assert status.isa == status.isas[-1]
    assert status.isas[0] == "portable"
    functions = library.load().functions
    functions.nd_source_hash.restype = functions.nd_isa_name.restype = library.ctypes.c_char_p
    assert functions.nd_source_hash().decode() == sources.source_hash()
    names = (functions.nd_isa_name(i).decode() for i in range(len(library.ISAS)))
    assert tuple(names) == library.ISAS


def test_python_and_c_have_the_same_interface() -> None:
    header = (sources.FOLDER / "engine.h").read_text()
    assert re.findall(r"#define ND_ABI (\d+)", header) == [str(library.ABI)]


def test_the_hash_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("one")
    (tmp_path / "notes.txt").write_text("one")
    one = sources.source_hash(tmp_path)
    (tmp_path / "notes.txt").unlink()
    assert sources.source_hash(tmp_path) == one
    (tmp_path / "a.c").write_text("two")
    two = sources.source_hash(tmp_path)
    (tmp_path / "a.c").rename(tmp_path / "b.c")
    assert len({one, two, sources.source_hash(tmp_path)}) == 3


def test_builds_of_several_interpreters_lie_beside_each_other() -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert library.library_path() == library.FOLDER / f"_kernels{suffix}"
    assert sysconfig.get_config_var("SOABI") in suffix


def test_none_at_all_is_a_reason_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(library.PATH_VARIABLE, raising=False)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    assert not library.available()
    status = library.status()
    assert status.problem == library.Problem.NOT_BUILT.value
    with pytest.raises(TargetUnavailableError, match=r"is not built.*C compiler.*then run make"):
        library.load()
    library._open.cache_clear()
    monkeypatch.setattr(library, "ROOT", tmp_path)
    with pytest.raises(TargetUnavailableError, match=r"C compiler.*install neurodeploy again"):
        library.load()


def refused(path: Path, monkeypatch: pytest.MonkeyPatch, problem: library.Problem) -> str:
    """What is said of a file that is there and cannot be trusted: by all functions alike."""
    monkeypatch.setenv(library.PATH_VARIABLE, str(path))
    status = library.status()
    assert (status.available, status.path, status.problem) == (False, str(path), problem.value)
    assert status.isa is None
    text = f"{status.reason}; {status.remedy}"
    with pytest.raises(TargetUnavailableError, match=f"^{re.escape(text)}$"):
        library.load()
    with pytest.warns(RuntimeWarning, match=re.escape(text)):
        assert not library.available()
    assert "\n" not in text
    return text


@needs_compiler
def test_one_of_other_sources_is_refused_before_any_of_its_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, trap = tmp_path / "other.so", tmp_path / "loaded"
    foreign(path, abi=library.ABI, mark="0" * 64, trap=trap)
    text = refused(path, monkeypatch, library.Problem.OTHER_SOURCES)
    assert "was built from other sources than these; build it anew, or unset" in text
    assert not trap.exists()

    monkeypatch.delenv(library.PATH_VARIABLE)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    path.rename(library.library_path())
    with pytest.raises(TargetUnavailableError, match="other sources than these; run make setup"):
        library.load()
    assert not trap.exists()


@needs_compiler
def test_one_of_another_interface_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, trap = tmp_path / "abi.so", tmp_path / "loaded"
    foreign(path, abi=library.ABI + 1, mark=sources.source_hash(), trap=trap)
    text = refused(path, monkeypatch, library.Problem.OTHER_ABI)
    assert f"the interface {library.ABI + 1} in place of {library.ABI};" in text
    assert trap.exists()


@needs_compiler
def test_one_that_lacks_functions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "part.so"
    foreign(path, abi=library.ABI, mark=sources.source_hash())
    assert "undefined symbol" in refused(path, monkeypatch, library.Problem.UNLOADABLE)


@pytest.mark.parametrize("content", [None, b"", b"nothing", b"neurodeploy native sources 12\0"])
def test_files_that_are_no_library(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "none.so"
    if content is not None:
        path.write_bytes(content)
    text = refused(path, monkeypatch, library.Problem.UNLOADABLE)
    assert "cannot be loaded" in text
    assert str(path) in text


def test_one_with_the_right_mark_that_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "marked.so"
    path.write_bytes(f"neurodeploy native sources {sources.source_hash()}\0".encode())
    assert "cannot be loaded" in refused(path, monkeypatch, library.Problem.UNLOADABLE)


@needs_compiler
@pytest.mark.parametrize("isa", library.ISAS)
def test_a_version_can_be_forced(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has = library.load().isas
    monkeypatch.setenv(library.ISA_VARIABLE, isa)
    if isa in has:
        assert library.load().isa_name == library.status().isa == isa
        assert library.load().isa == library.ISAS.index(isa)
        return
    with pytest.raises(UsageError, match=f"{isa}: kernels that cannot be run by this processor"):
        library.load()


@needs_compiler
@pytest.mark.parametrize(
    ("asked", "said"), [("avx512", "cannot be run by this processor"), ("sse9", "are unknown")]
)
def test_a_version_that_cannot_run_is_one_line_with_what_there_is(
    asked: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = library.load().functions
    monkeypatch.setattr(functions, "nd_isa_supported", lambda isa: isa < 2)
    monkeypatch.setenv(library.ISA_VARIABLE, asked)
    text = (
        f"NEURODEPLOY_ISA={asked}: kernels that {said}; "
        "this processor runs portable, avx2; choose one"
    )
    for ask in (library.load, library.available):
        with pytest.raises(UsageError, match=f"^{re.escape(text)}$"):
            ask()
    assert f"{library.status().reason}; {library.status().remedy}" == text


@pytest.mark.parametrize("value", ["0", "", "1", "off"])
def test_it_can_be_turned_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = library.status()
    monkeypatch.setenv(library.OFF_VARIABLE, value)
    if value == "off":
        with pytest.raises(UsageError, match="NEURODEPLOY_NATIVE=off: expected 0"):
            library.load()
    elif value == "0":
        assert not library.available()
        assert library.status().problem == library.Problem.OFF.value
    else:
        assert library.status() == before


@needs_compiler
def test_doctor_tells_the_kernels_or_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures: dict[str, str | None] = {"torch": None, "brian2": None}
    for module in (doctor, session):
        monkeypatch.setattr(module, "import_failure", lambda name, statement=None: failures[name])

    def findings() -> dict[str, doctor.Finding]:
        return {f.name: f for f in doctor.doctor().findings if f.kind in ("executor", "library")}

    isas = library.load().isas
    native = findings()["native"]
    assert native.works
    assert native.detail == f"kernels for {isas[-1]} (of {', '.join(isas)})"
    failures["torch"] = "ImportError: it is broken"
    engine = findings()["engine"]
    assert engine.works
    assert engine.detail.startswith(
        "integer netlists on native kernels, no real-valued ones: torch"
    )

    monkeypatch.setattr(library, "FOLDER", library.FOLDER / "nowhere")
    assert not findings()["engine"].works
    failures["torch"] = None
    assert findings()["engine"].detail.startswith("all netlists (integer ones slower) on torch")
    assert run(["doctor"]) == 0
    mend = capsys.readouterr().out.split("to mend:")[1]
    assert re.search(r"native: install a C compiler \(.*\), then run make setup", mend)
