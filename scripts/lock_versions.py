"""Print the lock of the main environment for the Python that runs this: every version.

    python3.13 -m venv V && V/bin/pip install --upgrade pip
    V/bin/python scripts/lock_versions.py [-c OTHER_LOCK] > requirements/main-3.13.txt

pip resolves, and nothing is installed or downloaded whole. PyTorch is named and not resolved: its
build for graphics cards would bring gigabytes, and ``make setup`` asks its metadata. A constraint
keeps the versions of another lock where they exist here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "2.13.0"
NEEDED_BY_TORCH = ("filelock", "fsspec", "jinja2", "sympy", "typing-extensions")
TOOLS = ("setuptools<85", "pytest-xdist")
LINUX = "sys_platform == 'linux' and platform_machine in 'x86_64 aarch64'"
SOME_PLATFORMS = {
    "mtkahypar": f"({LINUX}) or sys_platform == 'darwin' or sys_platform == 'win32'",
    "sanafe": f"({LINUX}) or (sys_platform == 'darwin' and platform_machine == 'arm64')",
}
"""Packages with wheels for these platforms alone."""


def main(arguments: list[str]) -> None:
    """Resolve, and print."""
    wanted = (f"{ROOT}[brian2,onnx,test,docs]", *NEEDED_BY_TORCH, *TOOLS)
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    told = ["--report", "-", "--prefer-binary"]
    done = subprocess.run(
        [*pip, *told, *arguments, *wanted], check=True, capture_output=True, text=True
    )
    found = {"torch": TORCH}
    for item in json.loads(done.stdout)["install"]:
        found[item["metadata"]["name"]] = item["metadata"]["version"]
    del found["neurodeploy"]
    python = ".".join(map(str, sys.version_info[:2]))
    print(
        f"# The main environment on Python {python}, to the version, by scripts/lock_versions.py."
    )
    print("# sanafe is GPL-3: tests compare with it, nothing imports it.")
    print("# torch has no local version such as +cpu: pip takes the build of your configuration.")
    for name, version in sorted(found.items(), key=lambda pair: pair[0].lower()):
        where = SOME_PLATFORMS.get(name.lower())
        print(f"{name}=={version}" + (f"; {where}" if where else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
