"""Which Python runs Lava: this one, or a 3.10 environment beside it.

lava-nc 0.10.0 runs on Python 3.10 only. Candidates are really run: an interpreter that exists may
still be a shim that fails, of another version, or without lava-nc.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import neurodeploy
from neurodeploy.errors import TargetUnavailableError

VARIABLE = "NEURODEPLOY_LAVA_PYTHON"
LAVA_VERSION = (3, 10)
PROBE_SECONDS = 60.0

_MARK = "neurodeploy-probe "
_PROBE = f"""
import json, sys
import importlib.metadata as metadata
if sys.version_info[:2] != {LAVA_VERSION}:
    sys.exit("Python %d.%d, 3.10 is needed" % sys.version_info[:2])
import lava.magma.core.process.process
try:
    core = metadata.version("neurodeploy")
except metadata.PackageNotFoundError:
    core = None
print({_MARK!r} + json.dumps([sys.version_info[:3], metadata.version("lava-nc"), core]))
"""


@dataclass(frozen=True, slots=True)
class LavaPython:
    """An interpreter that has imported Lava.

    Parameters
    ----------
    executable : Path
        Not resolved: the path inside a virtual environment is what selects it.
    version : str
        Of Python, for example ``3.10.13``.
    lava_version : str
        Of lava-nc.
    neurodeploy_version : str or None
        Of the neurodeploy installed there; None if there is none.
    origin : str
        Where it was found, for people.
    in_process : bool
        True if it is the running interpreter.
    """

    executable: Path
    version: str
    lava_version: str
    neurodeploy_version: str | None
    origin: str
    in_process: bool


def find_lava_python() -> LavaPython:
    """Return the Python that runs Lava.

    The order is the running interpreter where it is 3.10 and imports Lava, NEURODEPLOY_LAVA_PYTHON
    (which must work if it is set), ``.venv-lava`` of the project that neurodeploy is installed
    from in editable form or of the working directory, and ``python3.10`` on PATH.

    Raises
    ------
    TargetUnavailableError
        One line: what was tried, why each failed, and the remedy.
    """
    named, path = os.environ.get(VARIABLE), os.environ.get("PATH", "")
    return _find(named, path, project_folders())


def project_folders() -> tuple[Path, ...]:
    """Folders that may hold ``.venv-lava``: the checkout and the working directory."""
    checkout = Path(neurodeploy.__file__).resolve().parent.parent
    return tuple(dict.fromkeys([checkout, Path.cwd()]))


@functools.lru_cache(maxsize=8)
def _find(named: str | None, path: str, folders: tuple[Path, ...]) -> LavaPython:
    tried: list[str] = []
    if sys.version_info[:2] == LAVA_VERSION:
        try:
            return _running()
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            tried.append(f"this Python ({_one_line(error)})")
    for candidate, origin in _candidates(named, path, folders):
        found = probe(candidate, origin)
        if isinstance(found, LavaPython):
            return found
        tried.append(f"{origin} ({found})")
        if origin == VARIABLE:
            raise TargetUnavailableError(
                f"lava: {VARIABLE}={candidate}: {found}; "
                "set it to a Python 3.10 that has lava-nc 0.10.0, or unset it"
            )
    raise TargetUnavailableError(
        "lava: no Python 3.10 with lava-nc; tried "
        + (", ".join(tried) or "no candidate")
        + f"; run 'make setup' in the checkout or set {VARIABLE} to such a Python"
    )


def _candidates(
    named: str | None, path: str, folders: tuple[Path, ...]
) -> Iterator[tuple[Path, str]]:
    if named:
        yield Path(shutil.which(named) or named).absolute(), VARIABLE
    for folder in folders:
        python = folder / ".venv-lava" / "bin" / "python"
        if python.is_file():
            yield python, str(folder / ".venv-lava")
    for entry in dict.fromkeys(path.split(os.pathsep)):
        python = Path(entry) / "python3.10"
        if entry and python.is_file() and os.access(python, os.X_OK):
            yield python, str(python)


def _running() -> LavaPython:
    importlib.import_module("lava.magma.core.process.process")
    return LavaPython(
        Path(sys.executable),
        ".".join(map(str, sys.version_info[:3])),
        importlib.metadata.version("lava-nc"),
        neurodeploy.__version__,
        "this Python",
        True,
    )


def probe(executable: Path, origin: str) -> LavaPython | str:
    """Run an interpreter and import Lava in it.

    Returns
    -------
    LavaPython or str
        The interpreter, or why it cannot serve, in a few words.
    """
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"}
    }
    try:
        done = subprocess.run(
            [str(executable), "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            env=environment,
            # Nothing in the working directory may be taken for a package.
            cwd=executable.parent if executable.parent.is_dir() else None,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS:g} s"
    except OSError as error:
        return f"does not run: {error.strerror or error}"
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return said[-1 if said[0].startswith("Traceback") else 0].strip()[:200]
    version, lava_version, core = json.loads(lines[-1][len(_MARK) :])
    text = ".".join(map(str, version))
    return LavaPython(Path(executable), text, lava_version, core, origin, False)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
