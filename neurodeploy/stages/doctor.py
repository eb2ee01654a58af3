"""Check of the installation: packages, executors and targets that work, reasons and remedies."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from neurodeploy.errors import UsageError
from neurodeploy.execution.native.library import Problem, Status, status
from neurodeploy.json_values import Result
from neurodeploy.targets.imports import import_failure, import_report, installed
from neurodeploy.targets.registry import TARGETS, usable_targets
from neurodeploy.version import __version__

PACKAGES = (
    "numpy",
    "networkx",
    "safetensors",
    "click",
    "rich",
    "torch",
    "onnx",
    "scikit-learn",
    "matplotlib",
    "distributed",
    "pyarrow",
)
"""Beside those that targets need."""
TORCH_REMEDY = "pip install 'neurodeploy[torch]' (the README tells how to get a CPU build)"


@dataclass(frozen=True, slots=True)
class Finding(Result):
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
class Installation(Result):
    """The whole state; a package that is not installed has version None.

    Among the packages is the C compiler that a set-up would take: its command, or None.
    """

    neurodeploy: str
    python: str
    executable: str
    platform: str
    packages: dict[str, str | None]
    native: Status
    findings: tuple[Finding, ...]


def doctor() -> Installation:
    """Find out what works here, by really importing it."""
    # Most of the time is spent waiting for other processes.
    with ThreadPoolExecutor() as threads:
        importing = threads.submit(import_failure, "torch")
        targets = list(threads.map(_target, TARGETS.entries()))
        failure = importing.result()
    remedy = None if failure is None else TORCH_REMEDY
    report = import_report("torch", failure)
    torch = Finding("torch", "front end", failure is None, report, remedy)
    native = status()
    needed = [package for target in usable_targets().values() for package in target.packages]
    findings = [
        Finding("reference", "executor", True, f"numpy {installed('numpy')}"),
        _engine(native, torch),
        _native(native),
        torch,
        *targets,
    ]
    return Installation(
        neurodeploy=__version__,
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        packages={
            **{package: installed(package) for package in dict.fromkeys((*PACKAGES, *needed))},
            "C compiler": _compiler(),
        },
        native=native,
        findings=tuple(findings),
    )


def _compiler() -> str | None:
    """The command that builds the native library, as setuptools looks for it."""
    named = os.environ.get("CC", "").split()[:1]
    return next(filter(None, map(shutil.which, named or ("cc", "gcc", "clang"))), None)


def _native(native: Status) -> Finding:
    if not native.available:
        return Finding("native", "library", False, native.reason or "", native.remedy)
    detail = f"kernels for {native.isa} (of {', '.join(native.isas)})"
    return Finding("native", "library", True, detail)


def _engine(native: Status, torch: Finding) -> Finding:
    """Engines that run netlists: each is enough for integers, PyTorch alone for real values."""
    if native.problem == Problem.UNKNOWN_ISA.value:
        # What every command answers.
        return Finding("engine", "executor", False, native.reason or "", native.remedy)
    parts = ["integer netlists on native kernels"] if native.available else []
    if torch.works:
        rest = "real-valued ones" if native.available else "all netlists (integer ones slower)"
        parts.append(f"{rest} on {torch.detail}")
    elif native.available:
        parts.append(f"no real-valued ones: {torch.detail}")
    if parts:
        return Finding("engine", "executor", True, ", ".join(parts))
    return Finding("engine", "executor", False, torch.detail, torch.remedy)


def _target(name: str) -> Finding:
    try:
        found = TARGETS.get(name).readiness()
    except (UsageError, ImportError, AttributeError) as error:
        text = f"the target does not import: {' '.join(str(error).split())}"
        return Finding(name, "target", False, text, "reinstall the package that offers it")
    return Finding(name, "target", found.works, found.detail, found.remedy)
