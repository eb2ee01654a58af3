"""Whether packages import here, found out by importing them in a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

IMPORT_SECONDS = 120.0


def installed(package: str) -> str | None:
    """Version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_failure(module: str, statement: str | None = None) -> str | None:
    """Import a module in a process of its own.

    It is looked for where this process looks, but never in the working directory: a stranger's
    folder may hold a ``numpy.py``.

    Parameters
    ----------
    module : str
    statement : str, optional
        What to run instead of ``import module``.

    Returns
    -------
    str or None
        The last line of what it said; None if the import works.
    """
    places = [place for place in sys.path if os.path.isabs(place)]
    code = f"import sys; sys.path[:] = {places!r}\n{statement or f'import {module}'}"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-W", "ignore", "-c", code],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=IMPORT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"importing {module} took more than {IMPORT_SECONDS:g} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def import_report(package: str, failure: str | None) -> str:
    """Result of a package's import, with its version."""
    version = installed(package)
    if failure is None:
        return f"{package} {version}"
    if version is None:
        return f"{package} is not installed"
    return f"{package} {version} does not import: {failure}"
