"""The Python that runs Lava: this one, or a 3.10 environment beside it.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import neurodeploy
from neurodeploy.errors import TargetUnavailableError

VARIABLE = "NEURODEPLOY_LAVA_PYTHON"
LAVA_VERSION = (3, 10)
PROBE_SECONDS = 60.0

_MARK = "neurodeploy-probe "
# "-c" puts the working directory before everything else. (-P does not exist in 3.10, and -I would
# hide the packages that the worker finds.)
_PROBE = f"""
import sys
sys.path[:] = [place for place in sys.path if place]
import json
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
    (which must work if it is set), ``.venv-lava`` of the checkout that neurodeploy is imported
    from, and ``python3.10`` on PATH. The working directory is never searched, nor are entries of
    PATH that depend on it: what lies there may be a stranger's.

    Raises
    ------
    TargetUnavailableError
        One line: what was tried, why each failed, and the remedy.
    """
    entries = os.environ.get("PATH", "").split(os.pathsep)
    path = tuple(dict.fromkeys(entry for entry in entries if os.path.isabs(entry)))
    return _find(os.environ.get(VARIABLE) or None, path, checkout())


def checkout() -> Path | None:
    """Return the folder of the project that holds this very package, or None if it is a copy."""
    folder = Path(neurodeploy.__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def lava_python(execution: str) -> LavaPython:
    """The Python for an ``execution``: ``auto``, ``in-process`` or ``worker``.

    Raises
    ------
    TargetUnavailableError
        If there is none.
    """
    python = find_lava_python()
    if execution == "in-process" and not python.in_process:
        raise TargetUnavailableError(
            "target lava: this Python cannot run Lava in-process; use Python 3.10 with lava-nc or "
            "execution=worker"
        )
    if execution == "worker" and python.in_process:
        return LavaPython(
            python.executable,
            python.version,
            python.lava_version,
            python.neurodeploy_version,
            python.origin,
            False,
        )
    return python


@functools.lru_cache(maxsize=8)
def _find(named: str | None, path: tuple[str, ...], project: Path | None) -> LavaPython:
    tried: list[str] = []
    if sys.version_info[:2] == LAVA_VERSION:
        try:
            return _running()
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            tried.append(f"this Python ({_one_line(error)})")
    for candidate, origin in _candidates(named, path, project):
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
    named: str | None, path: Sequence[str], project: Path | None
) -> Iterator[tuple[Path, str]]:
    if named:
        yield _named(named, path), VARIABLE
    if project is not None:
        python = project / ".venv-lava" / "bin" / "python"
        if python.is_file():
            yield python, str(project / ".venv-lava")
    for entry in path:
        python = Path(entry) / "python3.10"
        if python.is_file() and os.access(python, os.X_OK):
            yield python, str(python)


def _named(named: str, path: Sequence[str]) -> Path:
    """Resolve the variable: a path, or the name of a command."""
    if os.path.isabs(named):
        return Path(named)
    command = os.path.basename(named) == named
    found = shutil.which(named, path=os.pathsep.join(path)) if command else None
    if found is None:
        raise TargetUnavailableError(
            f"lava: {VARIABLE}={named}: neither an absolute path nor a command on PATH; "
            "set it to a Python 3.10 that has lava-nc 0.10.0, or unset it"
        )
    return Path(found)


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
            # Shims read files of the working directory, as pyenv does .python-version.
            cwd="/",
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
