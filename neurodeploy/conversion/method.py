"""The interface of conversion methods, and the pipeline that runs one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from neurodeploy.conversion.calibration.refinement import (
    RASTER_BUDGET,
    Refinement,
    Simulate,
    n_refinement_samples,
    refine,
)
from neurodeploy.conversion.calibration.silence import SilentChannels, silent_channels
from neurodeploy.conversion.calibration.thresholds import Calibration
from neurodeploy.conversion.lowering.activation_graph import (
    ActivationGraph,
    InputLayer,
    OutputLayer,
)
from neurodeploy.conversion.lowering.context import LoweringOptions
from neurodeploy.conversion.lowering.observation import observed
from neurodeploy.conversion.lowering.operators import lower
from neurodeploy.errors import ConversionError, NetlistError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.encoding import EncoderName, Encoding, encode
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.record import Progress
from neurodeploy.source.analog import AnalogGraph
from neurodeploy.source.evaluation.batches import batch_size

LARGE = 2**20
"""Neurons beyond which a network keeps means by channel and weights in single precision."""


class ConversionMethod(Protocol):
    """A frozen dataclass whose fields are the method's options, and so the command line's.

    ``timesteps`` is one of them. ``emits`` is what its spikes carry, ``encoders`` what may make its
    input, ``default_input`` the one of them that does unless told. Calling it builds the netlist
    from the layers and what calibration saw.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    emits: ClassVar[Literal["binary", "signed", "graded"]]
    default_input: ClassVar[str]
    encoders: ClassVar[tuple[EncoderName, ...]]

    @property
    def timesteps(self) -> int:
        """T."""

    @property
    def lowering(self) -> LoweringOptions:
        """Populations that the method builds."""

    @property
    def refinements(self) -> tuple[Refinement, ...]:
        """Calibrations on real spikes once the netlist is built; may be empty."""

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist."""


def calibrate(
    layers: ActivationGraph,
    samples: AnyArray | Mapping[str, AnyArray],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Calibration:
    """What calibration sees of the layers: it serves every method with the same ones.

    Parameters
    ----------
    layers : ActivationGraph
    samples : array ``[N, *shape]``, or mapping
        Calibration samples in raw units; by input where there are several.
    seed : int
        Of the positions at which it looks.
    """
    inputs = by_population(layers, samples)
    n_samples = min(map(len, inputs.values()))
    calibration = Calibration(layers, n_samples, seed)
    size = batch_size(layer.shape for layer in layers.layers)
    for start in range(0, n_samples, size):
        calibration.add({n: v[start : start + size] for n, v in inputs.items()})
        if progress is not None:
            progress(min(start + size, n_samples), n_samples)
    return calibration


def convert_graph(
    graph: AnalogGraph,
    method: ConversionMethod,
    samples: AnyArray | Mapping[str, AnyArray],
    encoding: Encoding,
    simulate: Simulate,
    *,
    calibration: Calibration | None = None,
    refined: bool = True,
    indices: IntArray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[RealNetlist, dict[str, Encoding], tuple[SilentChannels, ...]]:
    """Convert an analog graph.

    Parameters
    ----------
    graph : AnalogGraph
    method : ConversionMethod
    samples : array ``[N, *shape]``, or mapping
        Calibration samples in raw units; by input where there are several.
    encoding : Encoding
        Of every input; each after the first draws from a seed of its own.
    simulate : callable
        Runs real-valued netlists, for refinement.
    calibration : Calibration, optional
        On these samples, of what the graph becomes with the options of the method.
    refined : bool
        Whether the method's refinements run on what it built.
    indices : int64 array ``[N]``, optional
        Of the samples in their data set; 0, 1, ... by default.
    seed : int
        Of the positions at which calibration looks.

    Returns
    -------
    netlist, encodings by input population, channels that calibration left silent

    Raises
    ------
    UnsupportedLayerError, ConversionError
    """
    if calibration is None:
        layers = lower(observed(graph, samples), method.lowering)
        calibration = calibrate(layers, samples, seed=seed, progress=progress)
    layers = calibration.graph
    inputs = by_population(layers, samples)
    n_samples = calibration.n_images
    encodings = {n: replace(encoding, seed=encoding.seed + i) for i, n in enumerate(inputs)}
    try:
        netlist = method(layers, calibration, encodings)
    except NetlistError as error:
        reason = f"method {type(method).__name__} broke the netlist: {error}"
        raise ConversionError(reason) from error
    netlist = _with_means(netlist, layers, calibration)
    if refined and method.refinements:
        budget = getattr(method, "raster_budget", RASTER_BUDGET)
        n_seen = min(n_refinement_samples(netlist, budget), n_samples)
        seen = {n: v[:n_seen] for n, v in inputs.items()}
        known = None if indices is None else indices[:n_seen]
        stimulus = {n: encode(encodings[n], v, netlist.timesteps, known) for n, v in seen.items()}
        netlist = refine(
            netlist,
            layers,
            seen,
            stimulus,
            simulate,
            method.refinements,
            progress=progress,
        )
    return in_single_precision(netlist), encodings, silent_channels(layers, calibration.maxima)


def _is_large(netlist: RealNetlist) -> bool:
    return sum(p.size for p in netlist.populations) > LARGE


def in_single_precision(netlist: RealNetlist) -> RealNetlist:
    """The netlist with weights that single precision holds, where it is large."""
    if not _is_large(netlist):
        return netlist
    # Maps that siblings share stay shared.
    maps = {id(q.connectivity): q.connectivity for q in netlist.projections}
    single = {k: m.with_weight(m.weight.astype(np.float32)) for k, m in maps.items()}
    projections = tuple(
        replace(q, connectivity=single[id(q.connectivity)]) for q in netlist.projections
    )
    return replace(netlist, projections=projections)


def _with_means(
    netlist: RealNetlist, layers: ActivationGraph, calibration: Calibration
) -> RealNetlist:
    """The netlist whose populations know the mean of the layer that they code alone.

    Of very many neurons, that of their channel.
    """
    known = {layer.name: layer for layer in layers.layers if not isinstance(layer, OutputLayer)}

    def mean(name: str) -> AnyArray:
        values = calibration.mean(name)
        if not _is_large(netlist):
            return values
        return np.asarray(values.reshape(len(values), -1).mean(axis=1))

    populations = tuple(
        replace(p, mean=mean(p.name)) if p.name in known and p.shape == known[p.name].shape else p
        for p in netlist.populations
    )
    return replace(netlist, populations=populations)


def by_population(
    layers: ActivationGraph, samples: AnyArray | Mapping[str, AnyArray]
) -> dict[str, AnyArray]:
    """Samples by input population, from those by input of the source network (or of its only one).

    Raises
    ------
    ConversionError
        If the samples are for other inputs.
    """
    inputs = [layer for layer in layers.layers if isinstance(layer, InputLayer)]
    named = samples if isinstance(samples, Mapping) else {inputs[0].source: samples}
    if {layer.source for layer in inputs} != set(named):
        raise ConversionError(
            f"samples for inputs {sorted(named)}; the network takes {[i.source for i in inputs]}"
        )
    return {layer.name: named[layer.source] for layer in inputs}
