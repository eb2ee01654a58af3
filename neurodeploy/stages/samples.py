"""From data to what every executor receives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neurodeploy.datasets import EventSamples, Samples, SamplesLike, as_data
from neurodeploy.datasets.values import first_positions
from neurodeploy.errors import DataError, UsageError
from neurodeploy.execution.batches import EncodedInput
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.encoding import Encoding, check_samples, encode
from neurodeploy.ir.record import Stimulus, checked_stimulus, is_stimulus
from neurodeploy.network import Network
from neurodeploy.stages.events import EncodedEvents, encoded_events

_Norm = tuple[tuple[float, ...], tuple[float, ...]]


def stimulus_for(
    net: Network, data: SamplesLike, samples: int | None = None
) -> tuple[Stimulus, Samples | EventSamples]:
    """Encode data for a network: what every executor receives.

    Parameters
    ----------
    net : Network
    data : Samples or what they are made from
        Its test split unless it says otherwise.
    samples : int, optional
        The first so many; all by default.

    Returns
    -------
    stimulus : mapping
        int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes). The raster of a sample
        depends on its index in the data set, never on the samples beside it.
    dataset : Samples or EventSamples
        The samples that were encoded.

    Raises
    ------
    DataError
        If inputs, shape, range or a normalization that is given differ from what the network was
        converted for, or labels are none of its outputs.
    UsageError
        If the network has no encoded input.
    """
    encoded, dataset = encoded_samples(net, data, samples)
    return {name: values[:] for name, values in encoded.items()}, dataset


@dataclass(frozen=True, slots=True)
class EncodedSamples:
    """Stimulus of an input for the samples of a data set, encoded when it is asked for.

    Samples and encoding fit together; ``x`` is raw, ``indices`` are places in the data set.
    """

    encoding: Encoding
    x: AnyArray
    timesteps: int
    indices: IntArray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, samples: slice) -> IntArray:
        return encode(self.encoding, self.x[samples], self.timesteps, self.indices[samples])


def encoded_samples(
    net: Network, data: SamplesLike, samples: int | None = None
) -> tuple[Mapping[str, EncodedSamples | EncodedEvents], Samples | EventSamples]:
    """As :func:`stimulus_for`, for what runs batch by batch: all is checked, none encoded."""
    if not net.encodings and is_stimulus(data):
        raise UsageError(
            f"{net.netlist.name}: integers by input go to run, verify and energy; here data are "
            "compared with labels or activations: give events (events:PATH)"
        )
    # What is no number of samples is refused below.
    at_most = samples if isinstance(samples, int) and samples > 0 else None
    dataset = as_data(data, "test", at_most)
    if samples is not None:
        dataset = dataset.first(samples)
    if not len(dataset):
        raise DataError(f"{dataset.name}: no samples; at least 1 is needed")
    if isinstance(dataset, EventSamples):
        _expect_labels(net, dataset)
        return encoded_events(net.netlist, dataset), dataset
    if not net.encodings:
        raise UsageError(
            f"{net.netlist.name}: has no encoded input; give events (events:PATH), or in Python "
            "integers by input to run, verify and energy"
        )
    _expect_labels(net, dataset)
    encoded = {
        name: _encoded(net, name, values, dataset)
        for name, values in dataset.inputs_for(tuple(net.encodings)).items()
    }
    return encoded, dataset


def given_integers(net: Network, data: object, samples: int | None = None) -> Stimulus | None:
    """The first so many samples of integers by input, as executors take them; None: other data.

    Raises
    ------
    DataError
        If they do not fit the inputs, or there are fewer samples.
    """
    if not is_stimulus(data, net.netlist if net.encodings else None):
        return None
    given, batch = checked_stimulus(net.netlist, data, net.netlist.timesteps)
    if samples is None:
        return given
    n = len(first_positions(f"{net.netlist.name}: stimulus", samples, batch))
    return {name: values[:n] for name, values in given.items()}


def given_samples(
    net: Network, data: SamplesLike, samples: int | None = None
) -> tuple[Mapping[str, EncodedInput], Samples | EventSamples | None]:
    """As :func:`encoded_samples`; integers by input as they are, of no data set."""
    integers = given_integers(net, data, samples)
    return encoded_samples(net, data, samples) if integers is None else (integers, None)


def _expect_labels(net: Network, dataset: Samples | EventSamples) -> None:
    if net.netlist.outputs:
        shapes = [net.netlist.by_name[o.population].shape for o in net.netlist.outputs]
        expect_answers(dataset, shapes)


def source_samples(net: Network, dataset: Samples | EventSamples) -> AnyArray | dict[str, AnyArray]:
    """Samples as the source network takes them: by input name where it has several.

    Raises
    ------
    UsageError
        For events, which are none of its samples.
    """
    if isinstance(dataset, EventSamples):
        raise UsageError(
            f"{dataset.name}: what is asked compares with the source network, and events are none "
            "of its samples; give the data that it was trained on"
        )
    if net.analog is None or not dataset.named:
        return dataset.x
    return dict(dataset.inputs_for(net.analog.inputs))


def compared_samples(
    net: Network, dataset: Samples | EventSamples
) -> AnyArray | dict[str, AnyArray] | None:
    """As :func:`source_samples`; None for events: nothing to compare with."""
    return None if isinstance(dataset, EventSamples) else source_samples(net, dataset)


def expect_answers(dataset: Samples | EventSamples, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse labels and targets that outputs of these shapes cannot give.

    Raises
    ------
    DataError
    """
    name, y, targets = dataset.name, dataset.y, dataset.targets
    if targets is not None:
        if len(shapes) != 1:
            raise DataError(f"{name}: targets for a network of {len(shapes)} outputs; leave y out")
        (shape,) = shapes
        if targets.shape[1:] != shape and not (targets.ndim == 1 and shape == (1,)):
            raise DataError(
                f"{name}: targets of shape {targets.shape[1:]}, the network's output is {shape}; "
                "pass float targets of that shape, or integer labels of classes"
            )
    if y is None or not y.size or len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] == 1:
        return
    (n,) = shapes[0]
    lowest, highest = int(y.min()), int(y.max())
    if highest >= n:
        count_from_1 = lowest == 1 and highest == n
        raise DataError(
            f"{name}: labels {lowest} to {highest}, the network has {n} outputs, 0 to {n - 1}; "
            + (
                "they seem to count from 1: subtract 1"
                if count_from_1
                else "use the data that it was trained on"
            )
        )


def _encoded(net: Network, name: str, samples: AnyArray, dataset: Samples) -> EncodedSamples:
    encoding = net.encodings[name]
    population = net.netlist.by_name[name]
    which = f" of {name}" if len(net.encodings) > 1 else ""
    gray = samples.shape[1:2] == (1,) or samples.ndim < 4
    if gray and population.shape == (math.prod(samples.shape[1:]),):
        samples = samples.reshape(len(samples), -1)  # rows of pixels, as flattened images are
    if samples.shape[1:] != population.shape:
        turned = (*samples.shape[-1:], *samples.shape[1:-1]) == population.shape
        raise DataError(
            f"{dataset.name}: samples{which} of shape {samples.shape[1:]}; the network takes "
            f"{population.shape}"
            + ("; add #layout=NHWC to the text, or layout='NHWC' to Samples" if turned else "")
        )
    given = None if dataset.norm is None else (dataset.norm.mean, dataset.norm.std)
    own = None
    if encoding.mean is not None and encoding.std is not None:
        own = (encoding.mean, encoding.std)
    channels = population.shape[0]
    if given is not None and _by_channel(given, channels) != _by_channel(own, channels):
        known = (
            "without: leave #norm out"
            if own is None
            else f"with {_text(own)}, which is part of it: leave #norm out"
        )
        raise DataError(
            f"{dataset.name}: normalization {_text(given)}; the network was converted {known}"
        )
    check_samples(encoding, samples)
    return EncodedSamples(encoding, samples, net.netlist.timesteps, dataset.indices)


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
