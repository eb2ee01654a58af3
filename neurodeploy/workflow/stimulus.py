"""From data to what every executor receives."""

from __future__ import annotations

from neurodeploy.datasets import Dataset, load_dataset
from neurodeploy.errors import DataError, UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.artifact import Artifact
from neurodeploy.ir.encoding import encode
from neurodeploy.ir.record import Stimulus

_Norm = tuple[tuple[float, ...], tuple[float, ...]]


def stimulus_for(
    net: Artifact, data: str | Dataset, samples: int | None = None
) -> tuple[Stimulus, Dataset]:
    """Encode data for a network: what every executor receives.

    Parameters
    ----------
    net : Artifact
    data : str or Dataset
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.

    Returns
    -------
    stimulus : mapping
        int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes). The raster of a sample
        depends on its index in the data set, never on the samples beside it.
    dataset : Dataset
        The samples that were encoded.

    Raises
    ------
    DataError
        If inputs, shape, range or normalization differ from what the network was converted for.
    UsageError
        If the network has no encoded input.
    """
    dataset = load_dataset(data, "test") if isinstance(data, str) else data
    if samples is not None:
        dataset = dataset.first(samples)
    if not len(dataset):
        raise DataError(f"{dataset.spec}: no samples; at least 1 is needed")
    if not net.encodings:
        raise UsageError(
            f"{net.netlist.name}: has no encoded input; give integers to Deployment.run() instead"
        )
    stimulus = {
        name: _encoded(net, name, values, dataset)
        for name, values in dataset.inputs_for(tuple(net.encodings)).items()
    }
    return stimulus, dataset


def source_samples(net: Artifact, dataset: Dataset) -> AnyArray | dict[str, AnyArray]:
    """Samples as the source network takes them: by input name where it has several."""
    if net.analog is None or not dataset.named:
        return dataset.x
    return dict(dataset.inputs_for(net.analog.inputs))


def _encoded(net: Artifact, name: str, samples: AnyArray, dataset: Dataset) -> IntArray:
    encoding = net.encodings[name]
    population = net.netlist.by_name[name]
    which = f" of {name}" if len(net.encodings) > 1 else ""
    if samples.shape[1:] != population.shape:
        raise DataError(
            f"{dataset.spec}: samples{which} of shape {samples.shape[1:]}; the network takes "
            f"{population.shape}"
        )
    given = None if dataset.norm is None else (dataset.norm.mean, dataset.norm.std)
    own = None
    if encoding.mean is not None and encoding.std is not None:
        own = (encoding.mean, encoding.std)
    channels = population.shape[0]
    if _by_channel(given, channels) != _by_channel(own, channels):
        known = (
            "without: leave #norm out"
            if own is None
            else f"with {_text(own)}: write #norm={_text(own)}"
        )
        raise DataError(
            f"{dataset.spec}: normalization {_text(given)}; the network was converted {known}"
        )
    return encode(encoding, samples, net.netlist.timesteps, dataset.indices)


def _by_channel(norm: _Norm | None, channels: int) -> _Norm | None:
    if norm is None:
        return None
    mean, std = (part * channels if len(part) == 1 else part for part in norm)
    return mean, std


def _text(norm: _Norm | None) -> str:
    # As it can be typed back: a rounded number would be refused again.
    if norm is None:
        return "none"
    return "/".join(",".join(repr(float(v)) for v in part) for part in norm)
