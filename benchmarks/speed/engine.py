"""``--what engine``: CPU time per image of all contenders, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.cases import (
    Case,
    Converted,
    as_the_network_takes,
    converted,
    images,
    source_network,
)
from benchmarks.speed.contender import Contender, time_in_turn
from benchmarks.speed.event_peers import brian2, lava
from benchmarks.speed.float_peers import PEERS, float_peers
from benchmarks.speed.ours import (
    Truth,
    engine_contender,
    first,
    real_contender,
    reference_contender,
    truth_of,
)
from benchmarks.speed.source import source_contender
from neurodeploy.api import stimulus_for

CONTENDERS = ("ours", "ann", *(key for key, *_ in PEERS), "brian2", "lava", "real", "reference")
# They take long: small networks and batches only.
SMALL_ONLY = ("brian2", "lava", "real", "reference")
MOST_SMALL = 20
CALIBRATION_IMAGES = 128


def measure(
    case: Case, batches: Sequence[int], keys: set[str], rounds: int, sample: int, cache: Path
) -> Iterator[dict[str, Any]]:
    """One dictionary per batch as it is done: every contender's median, spread and answers."""
    ready = converted(case, cache)
    stimulus, dataset = stimulus_for(ready.quantized, images(case, "test"), max(batches))
    x = torch.tensor(as_the_network_takes(dataset))
    shown = images(case, "train").first(CALIBRATION_IMAGES)
    calibration = torch.tensor(as_the_network_takes(shown))
    truth = truth_of(ready.quantized.integer, stimulus, min(sample, max(batches)))
    for batch in batches:
        contenders = _contenders(
            case, ready, first(stimulus, batch), x[:batch], calibration, truth, keys
        )
        yield {
            "case": case.name,
            "network": case.network,
            "method": case.method,
            "timesteps": case.timesteps,
            "batch": batch,
            "compared": min(truth.samples, batch),
            "convert_cpu_s": ready.convert_s,
            "quantize_cpu_s": ready.quantize_s,
            "contenders": _figures(contenders, batch, rounds),
        }


def _contenders(
    case: Case,
    ready: Converted,
    stimulus: Any,
    x: torch.Tensor,
    calibration: torch.Tensor,
    truth: Truth,
    keys: set[str],
) -> list[Contender]:
    network = source_network(case)
    found = []
    if "ours" in keys:
        found.append(engine_contender(stimulus, truth))
    if "ann" in keys:
        found.append(source_contender(network, x))
    found += float_peers(network, x, calibration, case.timesteps, keys)
    for key in SMALL_ONLY:
        if key not in keys:
            continue
        if not case.small or len(x) > MOST_SMALL:
            why = f"small networks and batches of at most {MOST_SMALL} only"
            found.append(Contender(key, key, None, why))
        elif key == "real":
            found.append(real_contender(ready.real, stimulus))
        elif key == "reference":
            found.append(reference_contender(truth, stimulus))
        else:
            build = brian2 if key == "brian2" else lava
            found.append(build(ready.quantized, stimulus, truth))
    return found


def _figures(contenders: list[Contender], batch: int, rounds: int) -> list[dict[str, Any]]:
    time_in_turn(contenders, rounds)
    answers = {c.key: _answers(c) for c in contenders}
    source = answers.get("ann")
    rows = []
    for c in contenders:
        row: dict[str, Any] = {"key": c.key, "name": c.name, "clock": c.clock}
        if c.run is None:
            rows.append(row | {"ms_per_image": None, "why": c.why})
            continue
        mine = answers[c.key]
        same = None if source is None or mine is None else float((mine == source).mean())
        rows.append(
            row
            | {
                "ms_per_image": 1e3 * c.median_s / batch,
                "all_ms_per_image": [1e3 * s / batch for s in c.seconds],
                "answers_as_source": same,
            }
        )
    return rows


def _answers(contender: Contender) -> Any:
    if contender.run is None or contender.scores is None:
        return None
    scores = np.asarray(contender.scores(contender.last))
    return scores.reshape(len(scores), -1).argmax(1)
