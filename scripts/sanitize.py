"""Build the native library with sanitizers and run a Python command on it.

Run by ``make sanitize`` with the environment's own Python; Linux with gcc or clang (``CC``). The
library lies in ``build/sanitize``; the loader takes it by ``NEURODEPLOY_NATIVE_LIBRARY`` and checks
its hash as always. The first access outside of an allocation, or operation that C leaves undefined,
ends the process with a report.

    scripts/sanitize.py [ARGUMENTS OF PYTHON ...]
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "neurodeploy/execution/native"
LIBRARY = ROOT / "build/sanitize/_kernels.so"
# Sanitizers do not see what instructions on tiles read: these are the same in C.
TILES = ROOT / "tests/execution/emulated/amx_in_c.h"
# No -fwrapv, which would hide signed overflow.
FLAGS = [
    *("-shared", "-fPIC", "-O1", "-g", "-std=gnu11", "-fno-omit-frame-pointer"),
    *("-fvisibility=hidden", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
]
# Python keeps memory until it ends; a report must end the process even inside a thread.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:abort_on_error=1",
}


def source_hash(folder: Path) -> str:
    """Return the hash that the loader compares."""
    spec = importlib.util.spec_from_file_location("sources", NATIVE / "sources.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.source_hash(folder))


def build(compiler: list[str], library: Path = LIBRARY, sources: Path = NATIVE / "kernels") -> None:
    """Compile all versions into one library, where the sources or the compiler are other ones."""
    mark = f"{source_hash(sources)} {compiler} {FLAGS} {TILES.read_text()}"
    stamp = library.with_suffix(".stamp")
    if library.exists() and stamp.exists() and stamp.read_text() == mark:
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    print(f"building {library} ...", flush=True)
    files = [str(path) for path in sorted(sources.glob("*.c"))]
    defines = [f'-DND_SOURCE_HASH="{source_hash(sources)}"', f'-DND_TILES_IN_C="{TILES}"']
    subprocess.run([*compiler, *FLAGS, *defines, *files, "-o", str(library)], check=True)
    stamp.write_text(mark)


def preloaded(compiler: list[str]) -> str:
    """Return the sanitizers' own libraries, which must be loaded before everything else.

    Raises
    ------
    SystemExit
        If the compiler has none.
    """
    found = []
    # With libstdc++, or exceptions of libraries that Python loads later are not intercepted.
    for name in ("libasan.so", "libubsan.so", "libstdc++.so.6"):
        told = subprocess.run(
            [*compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        try:
            ctypes.CDLL(told) if name.startswith("libstdc++") else Path(told).stat()
        except OSError:
            sys.exit(f"sanitize: {shlex.join(compiler)} has no {name}; install it, or set CC=gcc")
        found.append(told)
    return ":".join(found)


def environment(compiler: list[str], library: Path = LIBRARY) -> dict[str, str]:
    """Return the variables of a process that runs on the library."""
    variables = {
        **OPTIONS,
        "LD_PRELOAD": preloaded(compiler),
        "NEURODEPLOY_NATIVE_LIBRARY": str(library),
        "NEURODEPLOY_NATIVE": "1",
        # All of Python's allocations one by one, so that accesses beyond an array are seen.
        "PYTHONMALLOC": "malloc",
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **variables}


def main() -> int:
    """Build, run, and return the exit status of what ran."""
    compiler = shlex.split(os.environ.get("CC") or "gcc")
    build(compiler)
    prepared = environment(compiler)
    check = "from neurodeploy.execution.native.library import load; print(*load().isas, sep=', ')"
    for arguments in (["-c", check], sys.argv[1:]):
        status = subprocess.run([sys.executable, *arguments], env=prepared, cwd=ROOT).returncode
        if status != 0:
            break
    return abs(status)


if __name__ == "__main__":
    sys.exit(main())
