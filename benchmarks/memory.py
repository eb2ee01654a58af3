"""The most memory that a process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Of this process so far.

    On Linux what ``getrusage`` gives is also that of the process which started this one: it
    outlives the exec.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        words = status.read_text().split()
        return int(words[words.index("VmHWM:") + 1]) * 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 2**10
