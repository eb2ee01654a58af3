"""Create or update the two environments of a checkout: .venv (everything but Lava) and .venv-lava.

Run by ``make setup`` with any Python from 3.8 on; standard library, venv and pip only. Each
environment gets the versions of the lock of its interpreter, ``requirements/NAME-X.Y.txt``, and
neurodeploy itself in editable form; both are made side by side. pip runs with the user's own
configuration; what it says goes to ``.setup/*.log`` and is shown where it fails.

A stamp in the environment (digest of all that it is made of) makes an unchanged second run quick.
It is removed before anything is touched and written last: an environment without one broke off,
and is created anew. Where there is no C compiler, a line says so and the set-up goes on.

``NEURODEPLOY_PYTHON`` names an interpreter for .venv (3.10-3.13; else the one that runs this
script, else one from PATH or pyenv), ``NEURODEPLOY_PYTHON310`` one for .venv-lava (3.10), or
``none`` to go without Lava; ``CC`` and ``CFLAGS`` are those of the native library's compiler.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".neurodeploy-stamp"
UNFINISHED = "unfinished\n"
PROBE_SECONDS = 30
LOG_LINES_SHOWN = 20
NATIVE = "neurodeploy/execution/native"
# A venv is made from the base executable, and needs modules that some distributions split off.
PROBE = (
    "import ensurepip, sys, venv; "
    "print(getattr(sys, '_base_executable', None) or sys.executable); "
    "print(sys.version.split()[0])"
)
STATUS = (
    "; from neurodeploy.execution.native.library import status; s = status(); "
    "told = ', '.join(s.isas) if s.available else f'{s.reason}; {s.remedy}'; "
    "print('', s.path if s.available else '', told, sep='\\n')"
)
# What would leak other packages, or another library, into a child Python.
LEAKING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
LEAKING += ("NEURODEPLOY_NATIVE", "NEURODEPLOY_NATIVE_LIBRARY", "NEURODEPLOY_ISA")


class SetupError(Exception):
    """A set-up that cannot go on; the message is shown without a traceback."""


class FailedPhase(SetupError):
    """A command that ended by itself with an error, rather than being killed."""


class Interpreter(NamedTuple):
    """A Python that was really run: its base executable and its version."""

    path: str
    version: str


class Environment(NamedTuple):
    """What one environment is made of; ``versions`` in the order in which they are looked for."""

    name: str
    folder: str
    versions: tuple[str, ...]
    variable: str
    check: str

    def lock(self, root: Path, version: str) -> Path:
        """Return the file with the version of every package, for an interpreter."""
        return root / "requirements" / f"{self.name}-{short(version)}.txt"


MAIN = Environment(
    "main",
    ".venv",
    ("3.11", "3.12", "3.13", "3.10"),
    "NEURODEPLOY_PYTHON",
    "import neurodeploy, numpy, torch, brian2",
)
LAVA = Environment(
    "lava",
    ".venv-lava",
    ("3.10",),
    "NEURODEPLOY_PYTHON310",
    "import neurodeploy, numpy, brian2, lava.magma.core.process.process",
)


def short(version: str) -> str:
    """``3.11`` of ``3.11.7``."""
    return ".".join(version.split(".")[:2])


def clean() -> dict[str, str]:
    """Return the user's environment without what would leak into a child Python."""
    return {key: value for key, value in os.environ.items() if key not in LEAKING}


def probe(*command: str) -> Interpreter | None:
    """Run a candidate; return what it is, or None (a pyenv shim exists even where it fails)."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "env": clean()}
    try:
        done = subprocess.run([*command, "-c", PROBE], timeout=PROBE_SECONDS, **options)
        path, version = done.stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    works = done.returncode == 0 and version[:2] == "3."
    return Interpreter(path, version) if works else None


def candidates(wanted: Environment, environ: Mapping[str, str], running: str) -> Iterator[str]:
    """Possible interpreters: the named one, the running one, PATH, pyenv's versions."""
    yield from filter(None, (environ.get(wanted.variable), running))
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    roots = (environ.get("PYENV_ROOT", ""), f"{environ.get('HOME', '')}/.pyenv")
    for version in wanted.versions:
        yield from (f"{folder}/python{version}" for folder in folders)
        for root in filter(None, roots):
            found = Path(root, "versions").glob(f"{version}.*/bin/python")
            yield from map(str, sorted(found, reverse=True))
    yield from (f"{folder}/python3" for folder in folders)


def find_interpreter(
    wanted: Environment, environ: Mapping[str, str], running: str = ""
) -> Interpreter | None:
    """Return an interpreter of one of the wanted versions that really runs, or None."""
    for candidate in dict.fromkeys(candidates(wanted, environ, running)):
        found = probe(candidate)
        if found and short(found.version) in wanted.versions:
            return found
        if candidate == environ.get(wanted.variable):
            names = ", ".join(wanted.versions)
            print(f"{wanted.variable}={candidate} is not a working Python {names}; searching on")
    return None


def digest(root: Path, wanted: Environment, version: str) -> str:
    """Return what the stamp must say: lock, project, C sources, compiler, interpreter and place."""
    cc = os.environ.get("CC", "")
    found = [shutil.which(name) for name in cc.split()[:1] or ("cc", "gcc", "clang")]
    total = hashlib.sha256(f"{root}\n{version}\n{cc}\n{os.environ.get('CFLAGS')}{found}".encode())
    sources = sorted((root / NATIVE).iterdir())
    # sources.py makes the hash that the library is held to.
    native = [p for p in sources if p.suffix in (".c", ".h", ".inc") or p.name == "sources.py"]
    for path in (wanted.lock(root, version), root / "pyproject.toml", root / "setup.py", *native):
        total.update(f"{path.name}\n".encode() + path.read_bytes())
    return total.hexdigest()


def is_current(root: Path, wanted: Environment) -> bool:
    """Tell whether the environment runs and was completed for exactly this lock."""
    folder = root / wanted.folder
    if not (folder / STAMP).is_file():
        return False
    expected, _, library = (folder / STAMP).read_text().partition("\n")
    found = probe(f"{folder}/bin/python", "-I")
    if found is None or not wanted.lock(root, found.version).is_file():
        return False
    missing = library and not Path(library).exists()
    return not missing and expected == digest(root, wanted, found.version)


def phase(name: str, what: str, command: list[str], log: Path) -> str:
    """Run one command with its output in the log; show one line with the seconds it took."""
    started = time.monotonic()
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "env": clean()}
    with log.open("ab") as sink:
        sink.write(("\n$ " + " ".join(command) + "\n").encode())
        sink.flush()
        begin = sink.tell()
        # From another folder than the checkout, so that it is the installed package that answers.
        status = subprocess.run(command, cwd=log.parent, stdout=sink, **options).returncode
    said = log.read_bytes()[begin:].decode(errors="replace")
    if status == 0:
        print(f"  {name}: {what} ... {time.monotonic() - started:.1f} s", flush=True)
        return said
    print(f"  {name}: {what} ... failed", flush=True)
    kind = FailedPhase if status > 0 else SetupError
    raise kind(
        f"{name} environment: {what} failed (exit status {status}); the log ends:\n"
        + "\n".join("    " + line for line in said.splitlines()[-LOG_LINES_SHOWN:])
        + f"\nwhole log: {log}"
    )


def built_library(name: str, python: str, check: str, log: Path) -> str:
    """Import everything; say which native kernels there are, or why none; return the library."""
    library, told = phase(name, "imports", [python, "-c", check + STATUS], log).splitlines()[-2:]
    if library:
        print(f"  {name}: native library for {told}", flush=True)
    else:
        print(f"  {name}: without the native library: {told}", flush=True)
        print(f"    integer netlists run, but slower; what the compiler said: {log}", flush=True)
    return library


def build(root: Path, wanted: Environment, interpreter: Interpreter) -> None:
    """Bring one environment to its lock."""
    folder, python = root / wanted.folder, str(root / wanted.folder / "bin/python")
    log = root / ".setup" / f"{wanted.name}.log"
    log.write_bytes(b"")
    inside = probe(python, "-I") if (folder / STAMP).is_file() else None
    if inside and inside.version == interpreter.version:
        (folder / STAMP).unlink()
    else:
        what = f"virtual environment of Python {interpreter.version}"
        phase(wanted.name, what, [interpreter.path, "-m", "venv", "--clear", str(folder)], log)
    lock = wanted.lock(root, interpreter.version)
    lines = [line for line in lock.read_text().splitlines() if "==" in line]
    # A lock is complete: nothing is resolved. What is never imported is never compiled either.
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    what = f"up to {len(lines)} packages (log: {log.relative_to(root)})"
    # pip hides what a build says unless it is told to show it.
    editable = ["--verbose", "--no-deps", "--no-build-isolation", "--editable", str(root)]
    try:
        phase(wanted.name, what, [*pip, "--no-compile", "--no-deps", "-r", str(lock)], log)
        # A build of torch for graphics cards needs more, which its own metadata tell.
        for torch in (line for line in lines if line.startswith("torch==")):
            phase(wanted.name, "what this build of torch needs", [*pip, torch], log)
        phase(wanted.name, "neurodeploy itself", [*pip, *editable], log)
        library = built_library(wanted.name, python, wanted.check, log)
    except FailedPhase:
        # pip undid what it could not finish, so the next run can go on from here.
        (folder / STAMP).write_text(UNFINISHED)
        raise
    (folder / STAMP).write_text(f"{digest(root, wanted, interpreter.version)}\n{library}")


def ensure(root: Path, wanted: Environment, environ: Mapping[str, str]) -> bool:
    """Bring one environment up to date; False where there is no interpreter for it."""
    if environ.get(wanted.variable) == "none":
        return False
    if is_current(root, wanted):
        return True
    interpreter = find_interpreter(wanted, environ, sys.executable)
    if interpreter is not None:
        build(root, wanted, interpreter)
    return interpreter is not None


def set_up(root: Path, environ: Mapping[str, str]) -> str:
    """Create or update both environments, side by side; return what to say at the end."""
    with ThreadPoolExecutor() as threads:
        lava = threads.submit(ensure, root, LAVA, environ)
        if not ensure(root, MAIN, environ):
            raise SetupError(
                "no Python 3.10 to 3.13 with venv was found on PATH or in pyenv; install one or "
                "set NEURODEPLOY_PYTHON=/path/to/python3.11"
            )
    try:
        if lava.result():
            return "ready: .venv and .venv-lava are up to date"
    except SetupError as error:
        ready = "the main environment is ready; NEURODEPLOY_PYTHON310=none goes without Lava"
        raise SetupError(f"{error}\n{ready}") from None
    if environ.get(LAVA.variable) == "none":
        return "ready, without Lava (NEURODEPLOY_PYTHON310=none)"
    return (
        "ready, without Lava: lava-nc needs Python 3.10 and none was found; install one (pyenv "
        "can) or set NEURODEPLOY_PYTHON310, then run make setup again"
    )


def main() -> int:
    """Run the set-up; return the exit status."""
    (ROOT / ".setup").mkdir(exist_ok=True)
    with (ROOT / ".setup" / "lock").open("w") as held:
        try:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for another set-up of this checkout ...", flush=True)
                fcntl.flock(held, fcntl.LOCK_EX)
            print(set_up(ROOT, os.environ))
        except SetupError as error:
            print(f"set-up: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            # pip may have been interrupted in the other environment as well: neither goes on.
            for stamp in (ROOT / wanted.folder / STAMP for wanted in (MAIN, LAVA)):
                if stamp.is_file() and stamp.read_text() == UNFINISHED:
                    stamp.unlink()
            print("\nset-up: interrupted; the next make setup mends it", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
