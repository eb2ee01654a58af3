"""Create the environments of other frameworks: the packages of .venv, and theirs beside them.

``.venv-bench`` has all that run in one environment (``peers.txt``), ``.venv-sinabs`` has sinabs
with the older NIR packages that it needs to read graphs (``sinabs.txt``). Run it with the main
environment's Python. They see its packages, so PyTorch is neither installed nor downloaded again.
``.venv-lava-dl`` has lava-dl beside the packages of the Lava environment (``lava-dl.txt``), where
there is one.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
LAVA = ROOT / ".venv-lava" / "bin" / "python"
ENVIRONMENTS = {
    FOLDER.name: ("peers.txt", Path(sys.executable)),
    ".venv-sinabs": ("sinabs.txt", Path(sys.executable)),
    ".venv-lava-dl": ("lava-dl.txt", LAVA),
}
"""Folder -> its requirements, and the Python whose packages it sees."""


def main() -> int:
    """Bring all of them to their requirements; what cannot be installed is told, and left out."""
    with ThreadPoolExecutor() as threads:
        made = [
            threads.submit(create, ROOT / folder, ROOT / "benchmarks" / requirements, base)
            for folder, (requirements, base) in ENVIRONMENTS.items()
            if base.exists()
        ]
    for each in made:
        each.result()
    return 0


def create(folder: Path, requirements: Path, base: Path) -> None:
    """Create one environment over another one's packages, unless it is up to date."""
    marker = folder / requirements.name
    if marker.is_file() and marker.read_text() == requirements.read_text():
        return
    subprocess.run([base, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    Path(packages(python), "main.pth").write_text(f"{packages(base)}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet"]
    done = subprocess.run([*pip, "-r", str(requirements)], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        print(
            f"{folder.name} is incomplete: what compares with it says so and goes on without",
            file=sys.stderr,
        )
        return
    marker.write_text(requirements.read_text())


def packages(python: Path) -> str:
    """Where an environment keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
