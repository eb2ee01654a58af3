"""The hash of the C sources, by which a library is held against them.

``setup.py`` and ``scripts/sanitize.py`` run this file alone: it imports the standard library only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "kernels"
SUFFIXES = (".c", ".h", ".inc")


def source_files(folder: Path = FOLDER) -> list[Path]:
    """Return all C sources, in order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def source_hash(folder: Path = FOLDER) -> str:
    """Return the SHA-256 over names and contents, as hexadecimal digits."""
    total = hashlib.sha256()
    for path in source_files(folder):
        content = path.read_bytes()
        total.update(f"{path.name}\n{len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()
