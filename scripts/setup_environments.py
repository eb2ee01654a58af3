"""Create or update the two environments of a checkout: .venv (everything but Lava) and .venv-lava.

Run by ``make setup`` with any Python from 3.8 on; standard library only. Each environment holds the
versions of ``requirements/*.txt`` and neurodeploy itself in editable form. pip runs with the
user's own configuration; what it says goes to ``.setup/*.log`` and is shown where it fails.

A stamp in the environment (digest of requirement files, pyproject.toml, setup.py, the C sources of
the native library, the compiler on PATH, interpreter and place) makes an unchanged second run
quick. It is removed before anything is touched and written last, and a marker tells an environment
whose installation broke off: that one is created anew.

The native library is built with neurodeploy itself where there is a C compiler. Where there is
none, or where it fails, a line says so and the set-up goes on.

Environment variables
---------------------
NEURODEPLOY_PYTHON
    Interpreter for .venv (3.10-3.12); default: the one that runs this script, else one from PATH,
    pyenv or uv.
NEURODEPLOY_PYTHON310
    Interpreter for .venv-lava (3.10), or ``none`` to go without Lava.
CC, CFLAGS
    C compiler of the native library, as setuptools reads them; default: the interpreter's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".neurodeploy-stamp"
UNFINISHED = ".neurodeploy-unfinished"
PROBE_SECONDS = 30
UV_INSTALL_SECONDS = 300
LOG_LINES_SHOWN = 20

# A venv is made from the base executable, and needs modules that some distributions split off.
PROBE = (
    "import ensurepip, sys, venv; "
    "print(getattr(sys, '_base_executable', None) or sys.executable); "
    "print('.'.join(map(str, sys.version_info[:3])))"
)
NATIVE = "neurodeploy/execution/native"
LIBRARY_VARIABLES = ("NEURODEPLOY_NATIVE", "NEURODEPLOY_NATIVE_LIBRARY", "NEURODEPLOY_ISA")
# Run from another folder than the checkout, so that it is the installed package that answers.
LIBRARY_STATUS = (
    "from neurodeploy.execution.native.library import status; s = status(); "
    "print(s.path if s.available else ''); "
    "print(', '.join(s.isas) if s.available else f'{s.reason}; {s.remedy}')"
)


class SetupError(Exception):
    """A set-up that cannot go on; the message is shown without a traceback."""


class FailedPhase(SetupError):
    """A command that ended by itself with an error, rather than being killed."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that was really run: its base executable and its version."""

    path: Path
    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        """Return the version as ``3.10.13``."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Environment:
    """What one environment is made of."""

    name: str
    folder: str
    requirements: str
    versions: tuple[tuple[int, int], ...]
    variable: str
    check: str


MAIN = Environment(
    name="main",
    folder=".venv",
    requirements="requirements/main.txt",
    versions=((3, 11), (3, 12), (3, 10)),
    variable="NEURODEPLOY_PYTHON",
    check="import neurodeploy, numpy, torch, brian2",
)
LAVA = Environment(
    name="lava",
    folder=".venv-lava",
    requirements="requirements/lava.txt",
    versions=((3, 10),),
    variable="NEURODEPLOY_PYTHON310",
    check="import neurodeploy, numpy, brian2, lava.magma.core.process.process",
)


def child_environment() -> dict[str, str]:
    """Return the user's environment without what would leak other packages into a child Python."""
    drop = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"}
    return {key: value for key, value in os.environ.items() if key not in drop}


def probe(candidate: str | Path) -> Interpreter | None:
    """Run a candidate; return what it is, or None (a pyenv shim exists even where it fails)."""
    try:
        done = subprocess.run(
            [str(candidate), "-c", PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            env=child_environment(),
        )
        path, version = done.stdout.split("\n")[:2]
        major, minor, micro = (int(part) for part in version.split("."))
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    if done.returncode != 0:
        return None
    return Interpreter(Path(path), (major, minor, micro))


def candidates(
    versions: tuple[tuple[int, int], ...], environ: Mapping[str, str], running: str | None
) -> Iterator[str]:
    """Yield possible interpreters, each once: the running one, PATH, pyenv's versions folder."""
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    roots = [Path(environ.get("HOME", "/")) / ".pyenv"]
    if environ.get("PYENV_ROOT"):
        roots.insert(0, Path(environ["PYENV_ROOT"]))
    paths = [Path(running)] if running else []
    for major, minor in versions:
        paths += [folder / f"python{major}.{minor}" for folder in folders]
        for root in roots:
            found = (root / "versions").glob(f"{major}.{minor}*/bin/python")
            paths += sorted(found, reverse=True)
    paths += [folder / "python3" for folder in folders]
    for path in dict.fromkeys(paths):
        if path.is_file() and os.access(path, os.X_OK):
            yield str(path)


def ask_uv(
    version: str, environ: Mapping[str, str], say: Callable[[str], None], install: bool
) -> str | None:
    """Ask uv, where there is one, for an interpreter; with `install` let it fetch one."""
    uv = shutil.which("uv", path=environ.get("PATH"))
    if uv is None:
        return None
    try:
        if install:
            say(f"asking uv for Python {version} ...")
            subprocess.run(
                [uv, "python", "install", version],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=UV_INSTALL_SECONDS,
            )
        found = subprocess.run(
            [uv, "python", "find", version],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def find_interpreter(
    wanted: Environment,
    environ: Mapping[str, str],
    running: str | None = None,
    say: Callable[[str], None] = print,
) -> Interpreter | None:
    """Return an interpreter of one of the wanted versions that really runs, or None.

    The order is the environment's own variable, the running interpreter, PATH and pyenv's versions
    folder, and at last what uv has or can fetch.
    """

    def accept(candidate: str) -> Interpreter | None:
        found = probe(candidate)
        return found if found and found.version[:2] in wanted.versions else None

    names = ", ".join(f"{major}.{minor}" for major, minor in wanted.versions)
    named = environ.get(wanted.variable)
    if named:
        chosen = accept(named)
        if chosen:
            return chosen
        say(f"{wanted.variable}={named} is not a working Python {names} with venv; searching on")
    for candidate in candidates(wanted.versions, environ, running):
        chosen = accept(candidate)
        if chosen:
            return chosen
    version = "{}.{}".format(*wanted.versions[0])
    for install in (False, True):
        path = ask_uv(version, environ, say, install)
        chosen = accept(path) if path else None
        if chosen:
            return chosen
    return None


def installed_version(folder: Path) -> str | None:
    """Return sys.version of the environment's Python, or None where it does not run."""
    try:
        done = subprocess.run(
            [str(folder / "bin/python"), "-I", "-S", "-c", "import sys; print(sys.version)"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def digest(root: Path, wanted: Environment, version: str) -> str:
    """Return what the stamp must say for the environment to be up to date."""
    total = hashlib.sha256(f"{root}\n{version}\n".encode())
    for name in (wanted.requirements, "pyproject.toml", "setup.py"):
        total.update((root / name).read_bytes())
    for path in sorted((root / NATIVE).iterdir()):
        # sources.py makes the hash that the library is held to.
        if path.suffix in (".c", ".h", ".inc") or path.name == "sources.py":
            total.update(f"{path.name}\n".encode() + path.read_bytes())
    total.update(compiler(os.environ).encode())
    return total.hexdigest()


def compiler(environ: Mapping[str, str]) -> str:
    """Tell the C compiler that a build would find, so that another one leads to a new build."""
    named = environ.get("CC", "").split()[:1]
    search = environ.get("PATH")
    found = [shutil.which(name, path=search) for name in named or ("cc", "gcc", "clang")]
    return f"{environ.get('CC')}\n{environ.get('CFLAGS')}\n{found}"


def is_current(root: Path, wanted: Environment) -> bool:
    """Tell whether the environment runs and was completed for exactly these requirements."""
    folder = root / wanted.folder
    try:
        stamp = (folder / STAMP).read_text()
    except OSError:
        return False
    version = installed_version(folder)
    if version is None:
        return False
    expected, _, library = stamp.partition("\n")
    if library and not Path(library).exists():
        return False
    return expected == digest(root, wanted, version)


def usable(folder: Path, interpreter: Interpreter) -> bool:
    """Tell whether pip may go on in the environment instead of creating it anew."""
    version = installed_version(folder)
    return (
        version is not None
        and version.split()[0] == interpreter.text
        and not (folder / UNFINISHED).exists()
    )


@contextlib.contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Hold the lock of the checkout, so that two set-ups do not write one environment."""
    state.mkdir(exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def phase(name: str, what: str, command: list[str], log: Path) -> None:
    """Run one command with its output in the log; show one line with the seconds it took."""
    head = f"  {name}: {what} ... "
    started = time.monotonic()
    print(head, end="", flush=True)
    with log.open("ab") as sink:
        sink.write(("\n$ " + " ".join(command) + "\n").encode())
        sink.flush()
        begin = sink.tell()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            cwd=log.parent,
        )
        try:
            while True:
                try:
                    child.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    if sys.stdout.isatty():
                        print(f"\r{head}{time.monotonic() - started:.0f} s", end="", flush=True)
        except BaseException:
            child.terminate()
            child.wait()
            raise
    seconds = f"{time.monotonic() - started:.1f} s"
    if child.returncode == 0:
        print(f"\r{head}{seconds}" if sys.stdout.isatty() else seconds, flush=True)
        return
    print("failed", flush=True)
    with log.open("rb") as source:
        source.seek(begin)
        tail = source.read().decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    kind = FailedPhase if child.returncode > 0 else SetupError
    raise kind(
        f"{name} environment: {what} failed (exit status {child.returncode}); the log ends:\n"
        + "\n".join("    " + line for line in tail)
        + f"\nwhole log: {log}"
    )


def built_library(name: str, python: str, log: Path) -> str:
    """Say which native kernels there are, or why there are none; return the library or nothing."""
    done = subprocess.run(
        [python, "-c", LIBRARY_STATUS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        env={k: v for k, v in child_environment().items() if k not in LIBRARY_VARIABLES},
        cwd=log.parent,
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 2:
        raise FailedPhase(f"{name} environment: {' '.join(done.stderr.split()[-20:])}")
    path, said = lines
    if path:
        print(f"  {name}: native library for {said}", flush=True)
    else:
        print(f"  {name}: without the native library: {said}", flush=True)
        print(f"    integer netlists run, but slower; what the compiler said: {log}", flush=True)
    return path


def build(root: Path, wanted: Environment, interpreter: Interpreter) -> None:
    """Bring one environment to its requirements."""
    folder = root / wanted.folder
    log = root / ".setup" / f"{wanted.name}.log"
    log.unlink(missing_ok=True)
    python = str(folder / "bin/python")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]

    for leftover in root.glob(f"{wanted.folder}.old-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    create = not usable(folder, interpreter)
    if create and folder.exists():
        # Renamed first: a removal that breaks off must not leave half an environment in place.
        old = folder.with_name(f"{wanted.folder}.old-{os.getpid()}")
        folder.rename(old)
        shutil.rmtree(old)
    folder.mkdir(exist_ok=True)
    (folder / STAMP).unlink(missing_ok=True)
    (folder / UNFINISHED).touch()
    if create:
        what = f"virtual environment of Python {interpreter.text}"
        phase(wanted.name, what, [str(interpreter.path), "-m", "venv", str(folder)], log)
    lines = (root / wanted.requirements).read_text().splitlines()
    what = f"up to {sum('==' in line for line in lines)} packages (log: {log.relative_to(root)})"
    # pip hides what a build says unless it is told to show it.
    editable = ["--verbose", "--no-deps", "--no-build-isolation", "--editable", str(root)]
    try:
        phase(wanted.name, what, [*pip, "-r", str(root / wanted.requirements)], log)
        phase(wanted.name, "neurodeploy itself", [*pip, *editable], log)
        phase(wanted.name, "imports", [python, "-c", wanted.check], log)
        library = built_library(wanted.name, python, log)
    except FailedPhase:
        # pip undid what it could not finish, so the next run can go on from here.
        (folder / UNFINISHED).unlink()
        raise
    version = installed_version(folder)
    if version is None:
        raise SetupError(f"{wanted.name} environment: {python} does not run; remove {folder}")
    (folder / UNFINISHED).unlink()
    (folder / STAMP).write_text(f"{digest(root, wanted, version)}\n{library}")


def set_up(root: Path, environ: Mapping[str, str]) -> None:
    """Create or update both environments of a checkout."""
    if not is_current(root, MAIN):
        interpreter = find_interpreter(MAIN, environ, sys.executable)
        if interpreter is None:
            raise SetupError(
                "no Python 3.10, 3.11 or 3.12 with venv was found on PATH, in pyenv or through uv; "
                "install one or set NEURODEPLOY_PYTHON=/path/to/python3.11"
            )
        build(root, MAIN, interpreter)
    if environ.get(LAVA.variable) == "none":
        print("ready, without Lava (NEURODEPLOY_PYTHON310=none)")
        return
    if not is_current(root, LAVA):
        interpreter = find_interpreter(LAVA, environ, sys.executable)
        if interpreter is None:
            print(
                "ready, without Lava: lava-nc needs Python 3.10 and none was found; install one "
                "(pyenv or uv can) or set NEURODEPLOY_PYTHON310, then run make setup again"
            )
            return
        try:
            build(root, LAVA, interpreter)
        except SetupError as error:
            raise SetupError(
                f"{error}\nthe main environment is ready; "
                "NEURODEPLOY_PYTHON310=none goes without Lava"
            ) from None
    print("ready: .venv and .venv-lava are up to date")


def main() -> int:
    """Run the set-up; return the exit status."""
    try:
        with exclusive(ROOT / ".setup"):
            set_up(ROOT, os.environ)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: interrupted; the next make setup mends it", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
