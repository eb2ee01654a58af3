"""The AVX-512 and AMX versions of the kernels where the processor has none: their code in C.

The code is the version's own, so that every index, mask and order in it is tested; what is not is
the compiler's choice of instructions for it, and its speed.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from neurodeploy.execution.native import library
from neurodeploy.execution.native.sources import FOLDER, source_files, source_hash

HEADER, TILES = (Path(__file__).with_name(f"{name}_in_c.h") for name in ("avx512", "amx"))
BUILT = Path(__file__).resolve().parents[3] / "build" / "emulated"
FLAGS = ["-shared", "-fPIC", "-O1", "-std=gnu11", "-fwrapv", "-fvisibility=hidden"]
CHANGES = {
    "isa_avx512.c": {
        "#include <immintrin.h>": (
            "#pragma GCC push_options\n"
            '#pragma GCC target("avx2,bmi,bmi2")\n'
            '#include "avx512_in_c.h"\n'
            "#pragma GCC pop_options"
        ),
        # What the compiler itself makes of vectors must run here as well.
        '"avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,prefer-vector-width=512"': (
            '"avx2,bmi,bmi2"'
        ),
    },
    # A cast of a vector to what is no vector here.
    "sums.inc": {"(__m512i)sum[k]": "emu_load(&sum[k])"},
    "library.c": {
        f'__builtin_cpu_supports("avx512{part}")': "1" for part in ("f", "bw", "dq", "vl")
    },
}

needs_kernels = pytest.mark.skipif(
    not library.available() and shutil.which("cc") is None, reason="there is no C compiler"
)
"""Without a compiler there may be no library; with one, a missing library fails."""


def why_not(isa: str) -> str | None:
    """Why kernels of an instruction set run here neither by the processor nor emulated."""
    if isa in library.load().isas:
        return None
    with_pragmas = shutil.which("gcc") and platform.system() == "Linux"
    if isa in ("avx512", "amx") and "avx2" in library.load().isas and with_pragmas:
        return None
    return f"this processor does not run {isa}"


def kernels(isa: str) -> library.Library:
    """The kernels of an instruction set, emulated where the processor has none of it."""
    found = library.load()
    return replace(found if isa in found.isas else _emulated(), isa_name=isa)


@functools.cache
def _emulated() -> library.Library:
    # Of what this module adds, too; the hash of the sources is in the library.
    texts = [path.read_bytes() for path in (HEADER, TILES, Path(__file__))]
    added = zlib.crc32(b"".join(texts))
    path = BUILT / f"{source_hash()}-{added:08x}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _build(path)
    with mock.patch.dict(os.environ, {library.PATH_VARIABLE: str(path)}):
        return library.load()


def _build(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for source in source_files(FOLDER):
            text = source.read_text()
            for old, new in CHANGES.get(source.name, {}).items():
                assert old in text, f"{source.name} has no {old}"
                text = text.replace(old, new)
            Path(folder, source.name).write_text(text)
        shutil.copy(HEADER, folder)
        files = sorted(map(str, Path(folder).glob("*.c")))
        built = Path(folder, "kernels.so")
        defines = [f'-DND_SOURCE_HASH="{source_hash()}"', f'-DND_TILES_IN_C="{TILES}"']
        subprocess.run(["gcc", *FLAGS, *defines, *files, "-o", str(built)], check=True)
        # Whole or not at all: another process may build it as well.
        os.replace(built, path)
