"""What is installed here, which executors and targets work, why others do not, and the remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neurodeploy import __version__
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.execution.native.library import Status, status
from neurodeploy.targets.lava.interpreter import find_lava_python
from neurodeploy.targets.registry import TARGETS

PACKAGES = (
    "numpy",
    "networkx",
    "safetensors",
    "click",
    "rich",
    "torch",
    "brian2",
    "lava-nc",
    "scikit-learn",
    "matplotlib",
)
IMPORT_SECONDS = 120.0
TORCH_REMEDY = "pip install 'neurodeploy[torch]' (the README tells how to get a CPU build)"
BRIAN2_REMEDY = "pip install 'neurodeploy[brian2]' (brian2 2.9.0 needs NumPy < 2.3)"

# Brian2 has one door, which keeps it from executing files of the working directory.
_LOAD_BRIAN2 = """
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.targets.brian2.session import load_brian2
try:
    load_brian2()
except TargetUnavailableError as error:
    cause = error.__cause__
    said = str(error).removeprefix("target brian2: ")
    sys.exit(f"{type(cause).__name__}: {cause}" if cause else said)
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one executor, target or front end works.

    Parameters
    ----------
    name : str
    kind : str
        ``executor``, ``library``, ``front end`` or ``target``.
    works : bool
    detail : str
        Versions and places, or the reason why not.
    remedy : str or None
        What to do where it does not work.
    """

    name: str
    kind: str
    works: bool
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """The whole state; a package that is not installed has version None."""

    neurodeploy: str
    python: str
    executable: str
    platform: str
    packages: dict[str, str | None]
    native: Status
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def installed(package: str) -> str | None:
    """Return the version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_failures(modules: Sequence[str]) -> dict[str, str | None]:
    """Import each module in a process of its own, all at once.

    They look for modules where this process does, but never in the working directory: a
    stranger's folder may hold a ``numpy.py``.

    Returns
    -------
    dict
        Module -> None if the import works, else the last line of what it said.
    """
    places = [place for place in sys.path if os.path.isabs(place)]
    start = f"import sys; sys.path[:] = {places!r}\n"
    statements = {"brian2": _LOAD_BRIAN2}
    children = {
        module: subprocess.Popen(
            [
                *(sys.executable, "-I", "-W", "ignore", "-c"),
                start + statements.get(module, f"import {module}"),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for module in modules
    }
    failures: dict[str, str | None] = {}
    for module, child in children.items():
        try:
            said = child.communicate(timeout=IMPORT_SECONDS)[1].strip().splitlines()
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            failures[module] = f"importing {module} took more than {IMPORT_SECONDS:g} s"
            continue
        ok = child.returncode == 0
        failures[module] = None if ok else (said or [f"exit status {child.returncode}"])[-1]
    return failures


def doctor() -> Installation:
    """Find out what works here, by really importing it."""
    failures = import_failures(["torch", "brian2"])
    torch = _by_import("torch", "front end", "torch", failures["torch"], TORCH_REMEDY)
    native = status()
    findings = [
        Finding("reference", "executor", True, f"numpy {installed('numpy')}"),
        _engine(native, torch),
        _native(native),
        torch,
        *(_target(name, failures["brian2"]) for name in TARGETS),
    ]
    return Installation(
        neurodeploy=__version__,
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        packages={package: installed(package) for package in PACKAGES},
        native=native,
        findings=tuple(findings),
    )


def _by_import(name: str, kind: str, package: str, failure: str | None, remedy: str) -> Finding:
    version = installed(package)
    if failure is None:
        return Finding(name, kind, True, f"{package} {version}")
    if version is None:
        return Finding(name, kind, False, f"{package} is not installed", remedy)
    return Finding(name, kind, False, f"{package} {version} does not import: {failure}", remedy)


def _native(native: Status) -> Finding:
    if not native.available:
        return Finding("native", "library", False, native.reason or "", native.remedy)
    detail = f"kernels for {native.isa} (of {', '.join(native.isas)})"
    return Finding("native", "library", True, detail)


def _engine(native: Status, torch: Finding) -> Finding:
    """What runs netlists: each of the two is enough for integers, PyTorch alone for real values."""
    parts = ["integer netlists on native kernels"] if native.available else []
    if torch.works:
        rest = "real-valued ones" if native.available else "all netlists (integer ones slower)"
        parts.append(f"{rest} on {torch.detail}")
    elif native.available:
        parts.append(f"no real-valued ones: {torch.detail}")
    if parts:
        return Finding("engine", "executor", True, ", ".join(parts))
    return Finding("engine", "executor", False, torch.detail, torch.remedy)


def _lava() -> Finding:
    try:
        found = find_lava_python()
    except TargetUnavailableError as error:
        reason, _, remedy = str(error).removeprefix("lava: ").partition("; run ")
        return Finding("lava", "target", False, reason, "run " + remedy if remedy else None)
    where = "in this process" if found.in_process else f"in a worker, {found.executable}"
    detail = f"lava-nc {found.lava_version} on Python {found.version}, {where}"
    return Finding("lava", "target", True, detail)


def _target(name: str, brian2_failure: str | None) -> Finding:
    if name == "lava":
        return _lava()
    if name == "brian2":
        return _by_import("brian2", "target", "brian2", brian2_failure, BRIAN2_REMEDY)
    try:
        reason = TARGETS.get(name).unavailable()
    except (ImportError, AttributeError) as error:
        text = f"the target does not import: {' '.join(str(error).split())}"
        return Finding(name, "target", False, text, "reinstall the package that offers it")
    if reason is None:
        return Finding(name, "target", True, "needs nothing more")
    detail, _, remedy = reason.partition("; ")
    return Finding(name, "target", False, detail, remedy or None)
