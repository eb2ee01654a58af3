"""What code of the user's prints while it runs."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def printing_aside() -> contextlib.AbstractContextManager[Any]:
    """What is printed goes to standard error; the other stream is for answers."""
    return contextlib.redirect_stdout(sys.stderr)
