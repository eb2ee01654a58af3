"""The native library in an sdist and in wheels, with a compiler and with one that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from neurodeploy.execution.native import library, sources

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = ("cc", "gcc", "clang")
STATUS = (
    "import dataclasses, json; from neurodeploy.execution.native.library import status; "
    "print(json.dumps(dataclasses.asdict(status())))"
)
# Membranes before the threshold of 5: 3, 10, 5, 4.
RUN = """
import numpy as np
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.execution import run_engine

number = np.asarray
netlist = IntegerNetlist(
    "one",
    (
        Population("in", (2,), Input("spikes", 0, 1)),
        Population("out", (1,), IntegerNeuron(
            threshold=number(5), bias=number(0), initial_membrane=number(0))),
    ),
    (IntegerProjection("in", "out", Dense(number([[3, 4]]), (2,))),),
    (Output("out", "counts"),),
    4,
)
given = number([[[1, 0], [1, 1], [0, 0], [0, 1]]])
print(run_engine(netlist, {"in": given}).spikes["out"].ravel().tolist())
"""


def call(command: list[str], cwd: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEURODEPLOY_")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an sdist of this tree unpacks to."""
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    tree.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in ("neurodeploy", "targets", "boards"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    (tree / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/project_urls.py", tree / "scripts")
    call([sys.executable, "setup.py", "-q", "sdist", "-d", str(folder)], tree)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    [found] = (path for path in folder.glob("neurodeploy-*") if path.is_dir())
    return found


def wheel(unpacked: Path, folder: Path, compiler: str) -> tuple[Path, str]:
    """The installed package of a wheel built with the compiler, and what the build said."""
    build = ["build", "--build-base", str(folder / "build")]
    command = [sys.executable, "setup.py", *build, "bdist_wheel", "-d", str(folder)]
    said = call(command, unpacked, CC=compiler)
    [archive] = folder.glob("*.whl")
    installed = folder / "installed"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(installed)
    return installed, said


def status_of(installed: Path, **variables: str) -> dict[str, object]:
    out = call([sys.executable, "-c", STATUS], installed, PYTHONPATH=str(installed), **variables)
    return json.loads(out)


def test_an_sdist_holds_all_sources(unpacked: Path) -> None:
    folder = unpacked / "neurodeploy/execution/native/kernels"
    assert {"library.c", "engine.h", "kernels.inc"} <= {p.name for p in folder.iterdir()}
    assert sources.source_hash(folder) == sources.source_hash()
    assert list(folder.parent.glob("*.so")) == []


def test_a_compiler_that_fails_leaves_an_installation_that_works(
    unpacked: Path, tmp_path: Path
) -> None:
    installed, said = wheel(unpacked, tmp_path, "false")
    assert "_kernels" in said
    assert "failed" in said
    assert list(installed.rglob("*.so")) == []
    status = status_of(installed)
    assert status["problem"] == library.Problem.NOT_BUILT.value
    assert "C compiler" in str(status["remedy"])
    assert str(status["path"]).startswith(str(installed))
    assert (
        call([sys.executable, "-c", RUN], installed, PYTHONPATH=str(installed)) == "[0, 1, 1, 0]\n"
    )


@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C compiler")
def test_a_wheel_brings_the_library_and_the_sources_it_is_held_to(
    unpacked: Path, tmp_path: Path
) -> None:
    # The last of several -O counts: what is tested here is not the speed.
    compiler = next(filter(None, map(shutil.which, COMPILERS)))
    quick = tmp_path / "quick-cc"
    quick.write_text(f'#!/bin/sh\nexec {compiler} "$@" -O0\n')
    quick.chmod(0o755)
    installed, _ = wheel(unpacked, tmp_path, str(quick))
    status = status_of(installed)
    assert status["available"], status
    assert str(status["path"]).startswith(str(installed))
    assert "portable" in status["isas"]
    for isa in status["isas"]:
        out = call(
            [sys.executable, "-c", RUN],
            installed,
            PYTHONPATH=str(installed),
            NEURODEPLOY_ISA=isa,
        )
        assert out == "[0, 1, 1, 0]\n"

    changed = installed / "neurodeploy/execution/native/kernels/library.c"
    changed.write_text(changed.read_text() + "\n")
    status = status_of(installed)
    assert status["problem"] == library.Problem.OTHER_SOURCES.value
    assert "install neurodeploy again" in str(status["remedy"])
