"""The peers' cases, run by a process of their own environment."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from benchmarks.conversion.cases import Case
from benchmarks.conversion.networks import ROOT

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PEERS = ("spikingjelly", "sinabs")
# The names are repeated here because the peers themselves cannot be imported on this side;
# tests/structure compares.
MODES = {
    "spikingjelly": (
        "99.9 %",
        "max",
        "max / 2",
        "channel, half threshold",
        "channel, half threshold, pool first",
        "local threshold balancing",
    ),
    "sinabs": ("multi-spike", "single spike"),
}
# Networks whose ReLUs are calls of torch.nn.functional, which no peer sees.
FUNCTIONAL = ("resnet20_cifar10",)


def peer_cases(network: str, peer: str, timesteps: Sequence[int], images: int) -> list[Case]:
    """Every mode of a peer as it is, then with the network rewritten for it."""
    forms = ("as is", "nn.ReLU") if network in FUNCTIONAL else ("as is",)
    return [
        Case(network, peer, T, images, {"mode": mode} | ({} if form == "as is" else {"form": form}))
        for form in forms
        for mode in MODES[peer]
        for T in timesteps
    ]


def run_peers(cases: Sequence[Case]) -> Iterator[tuple[Case, dict[str, Any]]]:
    """What each case gave, as it comes; one process per conversion."""
    for (network, peer, options), group in groupby(cases, _conversion):
        same = list(group)
        job = {
            "network": network,
            "peer": peer,
            "mode": json.loads(options)["mode"],
            "modules": "form" in json.loads(options),
            "images": same[0].images,
            "timesteps": [c.timesteps for c in same],
        }
        yield from zip(same, _results(job, len(same)), strict=True)


def _conversion(case: Case) -> tuple[str, str, str]:
    return case.network, case.method, json.dumps(dict(case.options))


def _results(job: dict[str, Any], n: int) -> Iterator[dict[str, Any]]:
    if not PYTHON.exists():
        why = "not set up here: python benchmarks/setup_peers.py"
        yield from ({"error": why, "passing": True} for _ in range(n))
        return
    command = [str(PYTHON), "-m", "benchmarks.conversion.peer_process"]
    given = 0
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryFile("w+") as asked:
        json.dump(job, asked)
        asked.seek(0)
        with subprocess.Popen(
            command, cwd=ROOT, stdin=asked, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process:
            assert process.stdout is not None
            for text in process.stdout:
                found = json.loads(text)
                for _ in range(n if "error" in found else 1):
                    given += 1
                    yield found
        log.seek(0)
        said = log.read().strip().splitlines() or ["nothing said"]
    # The rest of a process that died; not remembered, so that a later run tries again.
    for _ in range(n - given):
        yield {"error": f"process ended with {process.returncode}: {said[-1]}", "passing": True}
