"""Create the environments of other frameworks: the packages of .venv, and theirs beside them.

``.venv-bench`` has all that run in one environment (``peers.txt``), ``.venv-sinabs`` has sinabs with
the older NIR packages that it needs to read graphs (``sinabs.txt``). Run it with the main
environment's Python. They see its packages, so PyTorch is neither installed nor downloaded again.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
ENVIRONMENTS = {FOLDER.name: "peers.txt", ".venv-sinabs": "sinabs.txt"}


def main() -> int:
    """Bring all of them to their requirements; what cannot be installed is told, and left out."""
    for folder, requirements in ENVIRONMENTS.items():
        create(ROOT / folder, ROOT / "benchmarks" / requirements)
    return 0


def create(folder: Path, requirements: Path) -> None:
    """Create one environment, unless it is up to date."""
    marker = folder / requirements.name
    if marker.is_file() and marker.read_text() == requirements.read_text():
        return
    venv.create(folder, clear=True, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(where, "main.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
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


if __name__ == "__main__":
    sys.exit(main())
