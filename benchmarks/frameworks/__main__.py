"""Every case of ``tests/exchange/frameworks`` with 100 samples of 25 and of 100 steps.

``python -m benchmarks.frameworks [SAMPLES]``, after ``make setup-frameworks``. A framework runs in
double precision beside the import's reference executor, every spike of every layer and step
compared, and in single precision, where the first difference of a sample is told with its distance
from a threshold.
"""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.setup_peers import FOLDER, ROOT

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")
HEAD = ("framework", "case", "T", "samples", "spikes", "rates", "differ", "single", "farthest")


def rows(framework: str, timesteps: int, samples: int) -> list[tuple[object, ...]]:
    """One row a case."""
    command = [FOLDER / "bin" / "python", "-m", "tests.exchange.frameworks", framework]
    options = ["--timesteps", str(timesteps), "--samples", str(samples)]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    found = []
    for line in done.stdout.splitlines():
        if not line.startswith("{"):
            continue
        r = json.loads(line)
        low, high = min(r["rates"].values()), max(r["rates"].values())
        found.append(
            (
                framework,
                r["case"],
                r["timesteps"],
                r["samples"],
                r["spikes"],
                f"{low:.1%}-{high:.1%}",
                r["differing"],
                r["samples_single"],
                f"{r['farthest_single']:.1e}",
            )
        )
    return found


def main() -> None:
    """Print a table, row by row."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for framework in FRAMEWORKS:
        for timesteps in (25, 100):
            for row in rows(framework, timesteps, samples):
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
