"""From data to what every executor receives."""

from __future__ import annotations

from typing import Any

from neurodeploy.datasets import Dataset, load_dataset
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.encoding import encode
from neurodeploy.ir.record import Stimulus


def stimulus_for(
    net: Artifact, data: str | Dataset, samples: int | None = None
) -> tuple[Stimulus, Dataset]:
    """Encode data for a network: what every executor receives.

    Raises
    ------
    DataError
        If shape, range or normalization differ from what the network was converted for.
    """
    dataset = load_dataset(data, "test") if isinstance(data, str) else data
    if samples is not None:
        dataset = dataset.first(samples)
    if len(net.encodings) != 1:
        raise UsageError(f"{net.netlist.name}: has no input encoding; give integers to run()")
    ((name, encoding),) = net.encodings.items()
    population = net.netlist.by_name[name]
    if dataset.sample_shape != population.shape:
        raise DataError(
            f"{dataset.spec}: samples of shape {dataset.sample_shape}; the network takes "
            f"{population.shape}"
        )
    norm = None if dataset.norm is None else (dataset.norm.mean, dataset.norm.std)
    own = None if encoding.mean is None else (encoding.mean, encoding.std)
    if norm != own:
        raise DataError(
            f"{dataset.spec}: normalization {_norm_text(norm)}; the network was converted with "
            f"{_norm_text(own)}: write #norm={_norm_text(own)}"
            if own is not None
            else f"{dataset.spec}: normalization {_norm_text(norm)}; the network was converted "
            "without: leave #norm out"
        )
    first = int(dataset.indices[0]) if len(dataset) else 0
    return {name: encode(encoding, dataset.x, net.netlist.timesteps, first)}, dataset


def _norm_text(norm: Any) -> str:
    if norm is None:
        return "none"
    return "/".join(",".join(f"{v:g}" for v in part) for part in norm)
