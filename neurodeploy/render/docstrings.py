"""What a class's docstring says of its options."""

from __future__ import annotations

import inspect
import re

_ENTRY = re.compile(r"^(\w[\w, ]*) : (.+)$")


def documented_entries(cls: type) -> dict[str, tuple[str, str]]:
    """Name -> (type as documented, sentences) of the entries of a numpydoc docstring.

    Entries of base classes count, unless the class tells its own.
    """
    found: dict[str, tuple[str, str]] = {}
    for owner in reversed(cls.__mro__):
        found |= _entries(inspect.cleandoc(owner.__dict__.get("__doc__") or ""))
    return found


def _entries(text: str) -> dict[str, tuple[str, str]]:
    lines = text.splitlines()
    found: dict[str, tuple[str, list[str]]] = {}
    current: list[str] = []
    for line in lines:
        entry = _ENTRY.match(line)
        if entry:
            current = []
            for name in entry[1].split(","):
                found[name.strip()] = (entry[2], current)
        elif line.startswith("    "):
            current.append(line.strip())
        elif line:
            current = []
    return {
        name: (kind, re.sub(r"\s+", " ", " ".join(text)).replace("``", "'"))
        for name, (kind, text) in found.items()
    }
