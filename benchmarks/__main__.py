"""Run every benchmark: ``python -m benchmarks``, with the peers of peers.txt if they can be had."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.engine_speed import arguments
from benchmarks.setup_peers import FOLDER, ROOT
from benchmarks.setup_peers import main as set_up_peers

if __name__ == "__main__":
    arguments()  # --help and mistyped options end here, before an environment is made
    set_up_peers()
    python = FOLDER / "bin" / "python"
    command = [str(python), "-m", "benchmarks.engine_speed", *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
