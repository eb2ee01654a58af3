"""One configuration of a sweep, as a worker runs it: conversion, integers, accuracy, energy."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import EventSamples, Samples, as_data
from neurodeploy.errors import CapacityError, NeurodeployWarning
from neurodeploy.hardware.boards.board import Board
from neurodeploy.network import Network, network_to_bytes
from neurodeploy.stages.compile import chosen_board
from neurodeploy.stages.convert import convert
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.sweep_options import split
from neurodeploy.sweeps.configurations import Configuration

if TYPE_CHECKING:
    from neurodeploy.hardware.price.report import EnergyReport
    from neurodeploy.verification.accuracy import Evaluation

DEFAULT_BITS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs for one configuration.

    Parameters
    ----------
    model : str or torch.nn.Module
    weights : str or None
    data, calibration : Samples or text
    samples, energy_samples : int or None
        The first so many, of ``data``.
    boards : tuple of str or Board
    configuration : mapping
    """

    model: Any
    weights: str | None
    data: Any
    calibration: Any
    samples: int | None
    energy_samples: int | None
    boards: tuple[str | Board, ...]
    configuration: Configuration


def run_configuration(job: Job) -> dict[str, Any]:
    """The record of a configuration: JSON values, the same wherever it runs."""
    options = split(job.configuration)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NeurodeployWarning)
        calibration = _data(job.calibration, "train")
        net = convert(job.model, calibration, weights=job.weights, **options.convert)
        bits = {"weight_bits": DEFAULT_BITS, **options.quantize}
        few = min([bits["weight_bits"], *bits.get("layer_bits", {}).values()]) < DEFAULT_BITS
        # Few bits are rounded against the data: there, it makes a difference.
        against = calibration if few else None
        integer = quantize(net, data=against, **bits)
        data = _data(job.data, "test")
        found = evaluate(integer, data, job.samples)
        boards = _priced(integer, job.boards, data, job.energy_samples)
    told = [str(w.message) for w in caught if issubclass(w.category, NeurodeployWarning)]
    return {**_measured(integer, found), "boards": boards, "warnings": list(dict.fromkeys(told))}


def _data(given: Any, split: Any) -> Samples | EventSamples:
    """Data as they are, or read once in each worker."""
    return _read(given, split) if isinstance(given, str) else as_data(given, split)


@lru_cache(maxsize=2)
def _read(text: str, split: Any) -> Samples | EventSamples:
    return as_data(text, split)


def _measured(net: Network, found: Evaluation) -> dict[str, Any]:
    content = network_to_bytes(Network(net.netlist, net.encodings))
    interval = found.accuracy_interval or (None, None)
    errors = [error.worst for error in found.relative_error.values()]
    return {
        "network": hashlib.sha256(content).hexdigest(),
        "T": found.timesteps,
        "samples": found.samples,
        "source_accuracy": found.source_accuracy,
        "accuracy": found.accuracy,
        "accuracy_low": interval[0],
        "accuracy_high": interval[1],
        "agreement": found.agreement,
        "relative_error": max(errors, default=None),
        "spikes_per_inference": found.spikes_per_inference,
        "evaluation": found.to_dict(),
    }


def _priced(
    net: Network,
    boards: Sequence[str | Board],
    data: Samples | EventSamples,
    samples: int | None,
) -> dict[str, Any]:
    """Verdict and figures by the name of the board."""
    if not boards:
        return {}
    names = [chosen_board(board).name for board in boards]
    try:
        n = None if samples is None else min(samples, len(data))
        compared = estimate_energy(net, list(boards), data, n)
    except CapacityError as error:
        return {name: {"verdict": "does not fit", "reason": str(error)} for name in names}
    found: dict[str, Any] = {}
    for name in names:
        if name in compared.reports:
            found[name] = _figures(compared.reports[name])
        else:
            found[name] = {"verdict": "does not fit", "reason": str(compared.refused[name])}
    return found


def _figures(report: EnergyReport) -> dict[str, Any]:
    total, time = report.total.to_dict(), report.time.to_dict()
    return {
        "verdict": "fits" if report.verdict is None else report.verdict.answer,
        "energy_j": total["likely"],
        "energy_low_j": total["low"],
        "energy_high_j": total["high"],
        "dynamic_j": report.dynamic_j,
        "time_s": time["likely"],
        "time_low_s": time["low"],
        "time_high_s": time["high"],
        "cores": report.cores,
        "chips": report.chips,
        "energy": {
            name: getattr(report, name).to_dict() for name in ("total", "static", "dynamic", "time")
        },
        "unknown": list(report.unknown),
    }
