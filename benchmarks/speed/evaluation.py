"""``--what evaluate``: CPU seconds and peak memory of ``evaluate``, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_bytes
from benchmarks.speed.cases import CASES, QUICK_CASE, Case, converted, images
from benchmarks.speed.report import figure


def measure(case: Case, samples: int, cache: Path) -> dict[str, Any]:
    """What the process says of itself."""
    available = len(images(case, "test"))
    if samples > available:
        raise SystemExit(f"--images {samples}: {case.network} has {available} test images")
    path = converted(case, cache).path
    command = [sys.executable, "-m", "benchmarks.speed.evaluation", case.name, path, str(samples)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"evaluate: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"case": case.name, "images": samples, **told}


def main(name: str, path: str, samples: int) -> None:
    """Load, evaluate, print one line."""
    import neurodeploy as nd

    case = next(c for c in (*CASES, QUICK_CASE) if c.name == name)
    data = images(case, "test")
    net = nd.load(path)
    before = time.process_time()
    result = nd.evaluate(net, data, samples)  # type: ignore[arg-type]
    evaluate_s = time.process_time() - before
    told = {
        "evaluate_cpu_s": evaluate_s,
        "process_cpu_s": time.process_time(),
        "peak_mb": peak_bytes() / 2**20,
        "accuracy": result.accuracy,
        "source_accuracy": result.source_accuracy,
        "agreement": result.agreement,
        "spikes_per_inference": result.spikes_per_inference,
    }
    print(json.dumps(told))


def print_result(out: Console, result: dict[str, Any]) -> None:
    """One row."""
    table = Table(title=f"evaluate {result['case']}, one thread", title_justify="left")
    per_image = 1e3 * result["evaluate_cpu_s"] / result["images"]
    cells = {
        "images": str(result["images"]),
        "CPU s": figure(result["evaluate_cpu_s"]),
        "CPU ms/image": figure(per_image),
        "CPU s, whole process": figure(result["process_cpu_s"]),
        "peak MB": figure(result["peak_mb"]),
        "accuracy": f"{100 * result['accuracy']:.2f} %",
        "source": f"{100 * result['source_accuracy']:.2f} %",
        "spikes/image": figure(result["spikes_per_inference"]),
    }
    for heading in cells:
        table.add_column(heading, justify="right")
    table.add_row(*cells.values())
    out.print(table)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
