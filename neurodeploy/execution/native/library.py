"""Finding the native library, and trusting it only if it was built from the sources beside it.

Environment variables
---------------------
NEURODEPLOY_ISA
    ``portable``, ``avx2``, ``avx512`` or ``amx`` (AVX-512, and products in tiles): the version of
    the kernels that runs; default: the fastest that this processor has. Results do not depend on
    it.
NEURODEPLOY_NATIVE
    ``0`` turns the library off: integer netlists then run on the paths of an installation without
    it.
NEURODEPLOY_NATIVE_LIBRARY
    Another file to load, for example a build with sanitizers; its hash is checked all the same.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
import sysconfig
import warnings
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from neurodeploy.errors import TargetUnavailableError, UsageError
from neurodeploy.execution.native import structures
from neurodeploy.execution.native.sources import source_hash
from neurodeploy.json_values import Result

ABI = 9
"""``ND_ABI`` of ``engine.h``, which ``structures`` describes."""
ISAS = ("portable", "avx2", "avx512", "amx")
ISA_VARIABLE = "NEURODEPLOY_ISA"
OFF_VARIABLE = "NEURODEPLOY_NATIVE"
PATH_VARIABLE = "NEURODEPLOY_NATIVE_LIBRARY"
MARK = re.compile(rb"neurodeploy native sources ([0-9a-f]{64})\0")
FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


class Problem(Enum):
    """Why there is no library to run on."""

    OFF = "turned off"
    NOT_BUILT = "not built"
    OTHER_SOURCES = "built from other sources"
    OTHER_ABI = "of another interface"
    UNLOADABLE = "cannot be loaded"
    UNKNOWN_ISA = "asked for kernels that cannot run here"


@dataclass(frozen=True, slots=True)
class Library:
    """The loaded library, and the version of its kernels that runs.

    Parameters
    ----------
    functions : ctypes.CDLL
    path : Path
    isas : tuple of str
        Versions that this processor can run.
    isa_name : str
        The one that runs: the last of them, or the one that ``NEURODEPLOY_ISA`` names.
    """

    functions: ctypes.CDLL
    path: Path
    isas: tuple[str, ...]
    isa_name: str

    @property
    def isa(self) -> int:
        """Number of the version that runs."""
        return ISAS.index(self.isa_name)

    @property
    def has_tiles(self) -> bool:
        """Whether that version multiplies in tiles."""
        return self.isa_name == "amx"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a library is not used, in words without a remedy, and the remedy."""

    problem: Problem
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Status(Result):
    """Whether integer netlists run on native kernels here, or why not.

    Parameters
    ----------
    available : bool
    path : str
        The file that is looked for.
    isa : str or None
        Version of the kernels that runs; None where none does.
    isas : tuple of str
        Versions that this processor can run; empty where the library is not loaded.
    problem : str or None
        A value of :class:`Problem`.
    reason, remedy : str or None
        One sentence each, where the library is not available.
    """

    available: bool
    path: str
    isa: str | None = None
    isas: tuple[str, ...] = ()
    problem: str | None = None
    reason: str | None = None
    remedy: str | None = None


def library_path() -> Path:
    """Path of the library built for this interpreter, or ``NEURODEPLOY_NATIVE_LIBRARY``."""
    given = os.environ.get(PATH_VARIABLE)
    if given:
        return Path(given)
    return FOLDER / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"


def load() -> Library:
    """Return the library, with the kernels that ``NEURODEPLOY_ISA`` asks for, else the fastest.

    Raises
    ------
    TargetUnavailableError
        If there is none, or none that was built from these sources.
    UsageError
        If ``NEURODEPLOY_ISA`` names kernels that are unknown or that this processor cannot run.
    """
    found = _find()
    if isinstance(found, Library):
        return found
    text = f"{found.reason}; {found.remedy}"
    raise (UsageError if found.problem is Problem.UNKNOWN_ISA else TargetUnavailableError)(text)


def available() -> bool:
    """Whether integer netlists run on native kernels here.

    Warns where a library is there and is not used: results stay, but time does not.

    Raises
    ------
    UsageError
        If ``NEURODEPLOY_ISA`` names kernels that are unknown or that this processor cannot run.
    """
    found = _find()
    if isinstance(found, Library):
        return True
    if found.problem is Problem.UNKNOWN_ISA:
        raise UsageError(f"{found.reason}; {found.remedy}")
    if found.problem not in (Problem.OFF, Problem.NOT_BUILT):
        warnings.warn(f"{found.reason}; {found.remedy}", RuntimeWarning, stacklevel=2)
    return False


def status() -> Status:
    """Return the same in words, for people."""
    path, found = str(library_path()), _find()
    if isinstance(found, Library):
        return Status(True, path, found.isa_name, found.isas)
    return Status(
        False,
        path,
        problem=found.problem.value,
        reason=found.reason,
        remedy=found.remedy,
    )


def _find() -> Library | Missing:
    off = os.environ.get(OFF_VARIABLE) or "1"
    if off not in ("0", "1"):
        raise UsageError(f"{OFF_VARIABLE}={off}: expected 0 (off) or 1")
    if off == "0":
        reason = f"the native library is turned off ({OFF_VARIABLE}=0)"
        return Missing(Problem.OFF, reason, f"unset {OFF_VARIABLE}")
    path = library_path()
    opened = _open(path)
    if isinstance(opened, Missing):
        return opened
    isas = tuple(name for isa, name in enumerate(ISAS) if opened.nd_isa_supported(isa))
    asked = os.environ.get(ISA_VARIABLE) or isas[-1]
    if asked not in isas:
        what = "cannot be run by this processor" if asked in ISAS else "are unknown"
        reason = f"{ISA_VARIABLE}={asked}: kernels that {what}"
        return Missing(
            Problem.UNKNOWN_ISA, reason, f"this processor runs {', '.join(isas)}; choose one"
        )
    return Library(opened, path, isas, asked)


@functools.cache
def _open(path: Path) -> ctypes.CDLL | Missing:
    """Load a library if its mark is that of the sources; before, none of its code runs."""
    if not path.exists() and not os.environ.get(PATH_VARIABLE):
        reason = f"the native library is not built: there is no {path.name}"
        return Missing(Problem.NOT_BUILT, reason, _install_remedy())
    try:
        mark = MARK.search(path.read_bytes())
    except OSError as error:
        reason = f"the native library cannot be loaded: {path}: {error.strerror}"
        return Missing(Problem.UNLOADABLE, reason, _rebuild_remedy())
    if mark is None:
        reason = f"the native library cannot be loaded: {path} is none of neurodeploy's"
        return Missing(Problem.UNLOADABLE, reason, _rebuild_remedy())
    if mark[1].decode() != source_hash():
        reason = f"the native library {path.name} was built from other sources than these"
        return Missing(Problem.OTHER_SOURCES, reason, _rebuild_remedy())
    try:
        functions = ctypes.CDLL(str(path))
        abi = functions.nd_abi()
        if abi == ABI:
            return structures.declare(functions)
    except (OSError, AttributeError) as error:
        reason = f"the native library cannot be loaded: {' '.join(str(error).split())}"
        return Missing(Problem.UNLOADABLE, reason, _rebuild_remedy())
    reason = f"the native library {path.name} has the interface {abi} in place of {ABI}"
    return Missing(Problem.OTHER_ABI, reason, _rebuild_remedy())


def _rebuild_remedy() -> str:
    if os.environ.get(PATH_VARIABLE):
        return f"build it anew, or unset {PATH_VARIABLE}"
    if (ROOT / "setup.py").exists():
        return "run make setup"
    return "install neurodeploy again (pip install --force-reinstall --no-deps --no-cache-dir)"


def _install_remedy() -> str:
    compiler = {
        "darwin": "xcode-select --install",
        "linux": "Debian and Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc",
    }.get(sys.platform, "gcc or clang")
    return f"install a C compiler ({compiler}), then {_rebuild_remedy()}"
