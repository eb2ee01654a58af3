"""Starting processes that import nothing from the working directory."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from multiprocessing import util

_SAFE_PATH = "PYTHONSAFEPATH"


@contextlib.contextmanager
def outside_working_directory() -> Iterator[None]:
    """Processes that multiprocessing starts here find its own modules, whatever lies in the folder.

    They run ``python -c``, which looks for imports in the working directory first: a stranger's
    ``multiprocessing.py`` there would be executed. ``sys.path`` of this process is theirs a moment
    later, so that they import what this one can.
    """
    if not hasattr(sys.flags, "safe_path"):
        # Python 3.10 has no variable for it, only an option that the module does not offer.
        from unittest import mock

        flags = [*util._args_from_interpreter_flags(), "-I"]  # type: ignore[attr-defined]
        with mock.patch.object(util, "_args_from_interpreter_flags", return_value=flags):
            yield
        return
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before
