"""Runs in the peers' environment: one job as JSON on stdin, one JSON line per finished T.

``.venv-bench/bin/python -m benchmarks.conversion.peer_process``
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.conversion.networks import CALIBRATION_IMAGES, images_of, trained
from benchmarks.conversion.peer_converters import MODES, Running, with_relu_modules

BATCH = 50


def main() -> int:
    job = json.load(sys.stdin)
    out = sys.stdout
    torch.set_num_threads(1)
    # What the peers print (progress bars, notices) must not be taken for results.
    with contextlib.redirect_stdout(sys.stderr), torch.no_grad():
        for row in rows(job):
            out.write(json.dumps(row) + "\n")
            out.flush()
    return 0


def rows(job: dict[str, Any]) -> Any:
    """Per T what was measured, or one row with ``error`` for the mode."""
    network = trained(job["network"])
    if job["modules"]:
        rewritten = with_relu_modules(network)
        if rewritten is None:
            return
        network = rewritten
    calibration, _ = images_of(job["network"], "train", CALIBRATION_IMAGES)
    images, labels = images_of(job["network"], "test", job["images"])
    source = torch.cat([network(x) for x in images.split(250)]).argmax(1)
    start = time.monotonic()
    try:
        running = MODES[job["peer"]][job["mode"]](copy.deepcopy(network), calibration)
        running.run(images[:2], 2)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        said = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", first)
        yield {"error": f"{type(error).__name__}: {said}", "versions": versions()}
        return
    setup = time.monotonic() - start
    for timesteps in job["timesteps"]:
        found = measure(running, images, timesteps)
        same = found.pop("answers")
        yield {
            "T": timesteps,
            "accuracy": float((same == labels).double().mean()),
            "source_accuracy": float((source == labels).double().mean()),
            "agreement": float((same == source).double().mean()),
            "setup_s": setup,
            "versions": versions(),
            **found,
        }


def measure(running: Running, images: torch.Tensor, timesteps: int) -> dict[str, Any]:
    """Answers, spikes and CPU time of one T; counting is not timed."""
    counts = [0, 0.0]
    seconds = [0.0]

    def count(_module: object, _args: object, out: torch.Tensor) -> None:
        begun = time.process_time()
        counts[0] += int(torch.count_nonzero(out))
        counts[1] += float(out.abs().sum(dtype=torch.float64))
        seconds[0] -= time.process_time() - begun

    hooks = [neuron.register_forward_hook(count) for neuron in running.neurons]
    answers = []
    for batch in images.split(BATCH):
        begun = time.process_time()
        answers.append(running.run(batch, timesteps).argmax(1))
        seconds[0] += time.process_time() - begun
    for hook in hooks:
        hook.remove()
    return {
        "answers": torch.cat(answers),
        "spikes": counts[0] / len(images),
        "payload": counts[1] / len(images),
        "cpu_ms": 1e3 * seconds[0] / len(images),
    }


def versions() -> dict[str, str]:
    """Of what gave these rows."""
    found = {}
    for name in ("torch", "spikingjelly", "sinabs"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
