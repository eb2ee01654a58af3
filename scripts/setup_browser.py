#!/usr/bin/env python3
"""Install a headless Chromium for the tests of the page, where that takes one command of Debian.

Never fatal: without it the tests of the page in a browser are skipped, and say so. Only root on a
machine with apt-get gets one; others install their own, or name it in NEURODEPLOY_BROWSER.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

PACKAGE = "chromium-headless-shell"
PROGRAMS = (PACKAGE, "chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
PATIENCE_S = 240
LOG = Path(__file__).resolve().parent.parent / ".setup" / "browser.log"


def find_browser() -> str | None:
    """Path of a Chromium: the one that NEURODEPLOY_BROWSER names, or one on PATH."""
    named = os.environ.get("NEURODEPLOY_BROWSER")
    return named or next((path for path in map(shutil.which, PROGRAMS) if path), None)


def main() -> None:
    """Install it, unless there is one or it cannot be done."""
    if find_browser() or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    started = time.monotonic()
    print(f"  browser for the tests of the page: {PACKAGE} ... ", end="", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    install = ["apt-get", "install", "-y", "--no-install-recommends", PACKAGE]
    try:
        with LOG.open("wb") as log:
            for command in (["apt-get", "update"], install):
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    timeout=PATIENCE_S,
                    check=False,
                )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"left out ({type(error).__name__}; log: {LOG.name})")
        return
    done = (
        f"{time.monotonic() - started:.0f} s" if find_browser() else "left out (.setup/browser.log)"
    )
    print(done, flush=True)


if __name__ == "__main__":
    main()
