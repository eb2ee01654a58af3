"""Stand-ins for interpreters."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = "{}.{}".format(*sys.version_info)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


def pretend(path: Path, version: str) -> Path:
    """A candidate that answers the probe as a Python of some version would."""
    return script(path, f"echo {path}; echo {version}")
