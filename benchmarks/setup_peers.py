"""Create .venv-bench: the packages of .venv, and the peers of peers.txt beside them.

Run it with the main environment's Python. The new environment sees the old one's packages, so
PyTorch is neither installed nor downloaded again.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
PEERS = ROOT / "benchmarks" / "peers.txt"


def main() -> int:
    marker = FOLDER / "peers.txt"
    if marker.is_file() and marker.read_text() == PEERS.read_text():
        return 0
    venv.create(FOLDER, clear=True, symlinks=True, with_pip=False)
    python = FOLDER / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(where, "main.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet"]
    done = subprocess.run([*pip, "-r", str(PEERS)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip(), file=sys.stderr)
        print("peers not installed: the benchmark will say so and go on without", file=sys.stderr)
        return 0
    marker.write_text(PEERS.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
