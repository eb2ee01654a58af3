"""Create or update the two environments of a checkout: .venv (everything but Lava) and .venv-lava.

Run by ``make setup`` with any Python from 3.8 on; standard library, venv and pip only. Each gets
the versions of its interpreter's lock, ``requirements/NAME-X.Y.txt``, and neurodeploy itself in
editable form; both are made side by side. pip runs with the user's own configuration; what it says
goes to ``.setup/NAME.log``, whose end is shown where it fails.

A stamp in the environment, a digest of all that it is made of, makes an unchanged second run quick.
It is removed before anything is touched and written last: an environment without one broke off,
and is created anew. Where there is no C compiler, a line says so and the set-up goes on.

``NEURODEPLOY_PYTHON`` names an interpreter for .venv (3.10-3.13; else the one that .venv has, the
one that runs this script, or one from PATH or pyenv), ``NEURODEPLOY_PYTHON310`` one for .venv-lava
(3.10), or ``none`` to go without; ``CC`` and ``CFLAGS`` are those of the native library's compiler.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROBE_SECONDS = 30
NATIVE = "neurodeploy/execution/native"
# A venv is made from the base executable, and needs modules that some distributions split off.
PROBE = "import ensurepip, sys, venv; print(getattr(sys, '_base_executable', sys.executable)); "
PROBE += "print('%d.%d' % sys.version_info[:2])"
CHECK = (
    "; import brian2, neurodeploy, numpy; from neurodeploy.execution.native.library import status; "
    "s = status(); print('native library:', ', '.join(s.isas) or f'none, so integer netlists run "
    "slower: {s.reason}; {s.remedy}')"
)
# The environments' builds share the objects of the native library: the second only links them.
BUILDING = threading.Lock()
# What would leak other packages, or another library, into a child Python.
LEAKING = ("PYTHON", "NEURODEPLOY_", "__PYVENV_LAUNCHER__")
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(LEAKING)}


class Interpreter(NamedTuple):
    """A Python that was really run: its base executable, and its version without the patch."""

    path: str
    version: str


class Environment(NamedTuple):
    """What one environment is made of; ``versions`` in the order in which they are looked for."""

    name: str
    folder: str
    versions: tuple[str, ...]
    variable: str
    module: str

    def lock(self, root: Path, version: str) -> Path:
        """Return the file with the version of every package, for an interpreter."""
        return root / "requirements" / f"{self.name}-{version}.txt"


SUPPORTED = ("3.11", "3.12", "3.13", "3.10")
MAIN = Environment("main", ".venv", SUPPORTED, "NEURODEPLOY_PYTHON", "torch")
LAVA = Environment("lava", ".venv-lava", ("3.10",), "NEURODEPLOY_PYTHON310", "lava.magma.core")


def probe(candidate: str, wanted: Environment) -> Interpreter | None:
    """Run a candidate; return what it is, or None where it fails, hangs or is another version."""
    command = [candidate, "-I", "-c", PROBE]
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "env": CLEAN}
    try:
        done = subprocess.run(command, timeout=PROBE_SECONDS, check=True, **options)
        found = Interpreter(*done.stdout.splitlines())
    except (OSError, subprocess.SubprocessError, TypeError):
        return None
    return found if found.version in wanted.versions else None


def find_interpreter(wanted: Environment, *known: str) -> Interpreter | None:
    """Return the first that really runs: the named one, known ones, those of PATH and of pyenv."""
    named = os.environ.get(wanted.variable, "")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions")
    candidates = [named, *known]
    for version in (*wanted.versions, "3"):
        candidates += [f"{folder}/python{version}" for folder in folders]
        candidates += sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)
    for candidate in filter(None, dict.fromkeys(candidates)):
        found = probe(candidate, wanted)
        if found:
            return found
        if candidate == named:
            names = ", ".join(wanted.versions)
            print(f"{wanted.variable}={named} is not a working Python {names}; searching on")
    return None


def digest(root: Path, wanted: Environment, version: str) -> str:
    """Return what the stamp must say: place, interpreter, compiler, lock, project and sources."""
    cc = os.environ.get("CC", "")
    compilers = [shutil.which(name) for name in cc.split()[:1] or ("cc", "gcc", "clang")]
    native = root / NATIVE
    # A library bears its interpreter in its name; one that vanishes is built anew.
    built = [
        p.name
        for p in sorted(native.iterdir())
        if f".cpython-{version.replace('.', '')}-" in p.name
    ]
    facts = f"{root}\n{version}\n{cc}\n{os.environ.get('CFLAGS')}\n{compilers}\n{built}"
    total = hashlib.sha256(facts.encode())
    # sources.py makes the hash that the library is held to.
    sources = [native / "sources.py", *sorted((native / "kernels").iterdir())]
    for path in (wanted.lock(root, version), root / "pyproject.toml", root / "setup.py", *sources):
        total.update(f"{path.name}\n".encode() + path.read_bytes())
    return total.hexdigest()


def phase(what: str, command: list[str], log: Path) -> str:
    """Run one command, with its output in the log; show one line; return the last line it said."""
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as sink:
        print("\n$", *command, file=sink, flush=True)
        options = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": sink, "env": CLEAN}
        # From another folder than the checkout, so that it is the installed package that answers.
        status = subprocess.run(command, cwd=log.parent, **options).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    took = f"failed (exit status {status})" if status else f"{time.monotonic() - started:.1f} s"
    print(f"  {what} ... {took}", flush=True)
    if status:
        raise SystemExit("\n    ".join([f"set-up: {what} failed; {log} ends:", *lines[-20:]]))
    return lines[-1]


def build(root: Path, wanted: Environment, interpreter: Interpreter, log: Path) -> None:
    """Bring an environment that is there to its lock."""
    python = str(root / wanted.folder / "bin/python")
    lock = wanted.lock(root, interpreter.version)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    # A lock is complete: nothing is resolved. What is never imported is never compiled either.
    packages = [*pip, "--no-compile", "--no-deps", "-r", str(lock)]
    phase(f"{wanted.name}: packages of {lock.name}", packages, log)
    # A build of torch for graphics cards needs more, which its own metadata tell; nothing else
    # is missing. pip hides what a build says unless it is told to show it.
    torch = [line for line in lock.read_text().splitlines() if line.startswith("torch==")]
    editable = [*pip, "--verbose", "--no-build-isolation", *torch, "--editable", str(root)]
    with BUILDING:
        phase(f"{wanted.name}: neurodeploy itself", editable, log)
    check = [python, "-c", f"import {wanted.module}{CHECK}"]
    told = phase(f"{wanted.name}: imports", check, log)
    print(f"  {wanted.name}: {told} (log: {log})", flush=True)


def ensure(root: Path, wanted: Environment) -> str:
    """Bring one environment up to date; return why there is none, or nothing."""
    if os.environ.get(wanted.variable) == "none":
        return f"{wanted.variable}=none"
    folder, log = root / wanted.folder, root / ".setup" / f"{wanted.name}.log"
    stamp, python = folder / ".neurodeploy-stamp", str(folder / "bin/python")
    inside = probe(python, wanted) if stamp.is_file() else None
    found = find_interpreter(wanted, python if inside else "", sys.executable)
    if found is None:
        return f"no Python {', '.join(wanted.versions)} found: install one or set {wanted.variable}"
    same = inside is not None and inside.version == found.version
    if not same or stamp.read_text() != digest(root, wanted, found.version):
        stamp.unlink(missing_ok=True)
        log.write_bytes(b"")
        if not same:
            venv = [found.path, "-m", "venv", "--clear", str(folder)]
            phase(f"{wanted.name}: virtual environment of Python {found.version}", venv, log)
        build(root, wanted, found, log)
        stamp.write_text(digest(root, wanted, found.version))
    return ""


def set_up(root: Path) -> str:
    """Create or update both environments, one set-up at a time; return what to say at the end."""
    (root / ".setup").mkdir(exist_ok=True)
    with (root / ".setup" / "lock").open("w") as held, ThreadPoolExecutor() as threads:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout ...", flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        lava = threads.submit(ensure, root, LAVA)
        missing = ensure(root, MAIN)
    if missing:
        raise SystemExit(f"set-up: {missing}")
    if lava.exception():
        hint = "the main environment is ready; NEURODEPLOY_PYTHON310=none goes without Lava"
        raise SystemExit(f"{lava.exception()}\n{hint}")
    without = f"ready, without Lava: {lava.result()}"
    return without if lava.result() else "ready: .venv and .venv-lava are up to date"


if __name__ == "__main__":
    try:
        print(set_up(ROOT))
    except KeyboardInterrupt:
        sys.exit("\nset-up: interrupted; the next make setup mends it")
