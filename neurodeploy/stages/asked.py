"""What a deploy was asked for, and digests of what it reads: shared by the steps of all boards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.ir.record import Progress
from neurodeploy.loading.files import file_digest
from neurodeploy.network import Network, network_to_bytes
from neurodeploy.stages.convert import convert
from neurodeploy.stages.fingerprints import MeasuredOn, model_fingerprint, samples_fingerprint
from neurodeploy.stages.keeping import Keeper
from neurodeploy.stages.options import options_of

FULL_BITS = 8
"""Weight bits from which on they are not rounded against data."""


@dataclass(frozen=True)
class Asked:
    """What the steps of all boards share.

    Parameters
    ----------
    keeper : Keeper
    model : path, module or Network
    weights : path or None
    given : Network or None
        The model, where it is a spiking network already.
    test : Samples or EventSamples
    training : Samples, EventSamples or None
        None: nothing is calibrated, and no weights are rounded against data.
    only : str or None
        The target, where one alone was named.
    weight_bits : int
    counts : mapping of str to int
        Samples of each measurement.
    options : mapping
        Of the conversion.
    command : sequence of str
    stage : callable
    progress : callable or None
    """

    keeper: Keeper
    model: Any
    weights: str | Path | None
    given: Network | None
    test: Samples | EventSamples
    training: Samples | EventSamples | None
    only: str | None
    weight_bits: int
    counts: Mapping[str, int]
    options: Mapping[str, Any]
    command: Sequence[str]
    stage: Callable[[str], None]
    progress: Progress | None

    @cached_property
    def sources(self) -> dict[str, str]:
        """Digests and options that the network of a board depends on."""
        if self.given is not None:
            return {"network": hashlib.sha256(network_to_bytes(self.given)).hexdigest()}
        weights = None if self.weights is None else Path(self.weights)
        return {
            "torch": package_version("torch"),
            "numpy": package_version("numpy"),
            "model": model_fingerprint(self.model),
            # Of a file that is missing the conversion tells.
            "weights": file_digest(weights) if weights and weights.is_file() else "none",
            "calibration data": self.calibration,
            **chosen_options(self.options),
        }

    def data(self, n: int) -> str:
        """Digest of what is measured on, where the first n samples are."""
        return self._measured_on.digest(n)

    @cached_property
    def _measured_on(self) -> MeasuredOn:
        return MeasuredOn(self.test)

    @cached_property
    def calibration(self) -> str:
        """Digest of what is calibrated on."""
        return "none" if self.training is None else samples_fingerprint(self.training)

    def first(self, count: str) -> int:
        """So many samples as were asked for, or as there are."""
        return min(self.counts[count], len(self.test))


def chosen_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Options of a conversion but those that change nothing, being what is done anyway."""
    usual = {name: option.default for name, option in options_of(convert).items()}
    return {
        name: repr(value)
        for name, value in options.items()
        if value is not None and value != usual.get(name)
    }


def package_version(package: str) -> str:
    """Version of what is installed here; ``none`` where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
