"""Provenance in files, free of the machine that made them."""

from __future__ import annotations

import re
from collections.abc import Sequence

# An absolute folder at the start of a text or after what can stand before a path in an argument:
# ``--weights=/a/b.pt``, ``mnist:/a/mnist``.
_FOLDERS = re.compile(r"(^|[:=])/(?:[^/:#]*/)*")


def without_folders(text: str) -> str:
    """An argument whose absolute paths are cut down to their last part.

    >>> without_folders("mnist:/data/sets/mnist@test#first=10")
    'mnist:mnist@test#first=10'
    """
    return _FOLDERS.sub(r"\1", text)


def command_text(arguments: Sequence[str]) -> list[str]:
    """A command line to be recorded: the same command gives the same file on every machine."""
    return ["neurodeploy", *(without_folders(argument) for argument in arguments)]
