"""What a conversion method is, and the pipeline that runs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from neurodeploy.convert.correction import Simulate, correct_biases, n_correction_samples
from neurodeploy.convert.layers import ActivationGraph, InputLayer
from neurodeploy.convert.lower import LoweringOptions, lower
from neurodeploy.convert.thresholds import Calibration
from neurodeploy.errors import ConversionError, NetlistError
from neurodeploy.ir.analog import AnalogGraph
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.encoding import Encoding, encode
from neurodeploy.ir.netlist import RealNetlist
from neurodeploy.ir.record import Progress

CALIBRATION_BATCH = 32


class ConversionMethod(Protocol):
    """A frozen dataclass whose fields are the method's options, and so the command line's.

    ``timesteps`` is one of them. Calling it builds the netlist from the layers and what calibration
    saw.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def timesteps(self) -> int:
        """T."""

    @property
    def lowering(self) -> LoweringOptions:
        """Which populations the method wants."""

    @property
    def bias_correction(self) -> int:
        """Corrections of each population's biases after the netlist is built; 0: none."""

    def __call__(
        self,
        graph: ActivationGraph,
        calibration: Calibration,
        encodings: Mapping[str, Encoding],
    ) -> RealNetlist:
        """Build the netlist."""


def convert_graph(
    graph: AnalogGraph,
    method: ConversionMethod,
    samples: AnyArray,
    encoding: Encoding,
    simulate: Simulate,
    *,
    indices: IntArray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[RealNetlist, dict[str, Encoding]]:
    """Convert an analog graph with one input.

    Parameters
    ----------
    graph : AnalogGraph
    method : ConversionMethod
    samples : array ``[N, *shape]``
        Calibration samples in raw units.
    encoding : Encoding
        Of the input.
    simulate : callable
        Runs real-valued netlists, for the correction of biases.
    indices : int64 array ``[N]``, optional
        Of the samples in their data set; 0, 1, ... by default.
    seed : int
        Of the positions at which calibration looks.

    Returns
    -------
    netlist, encodings by input population

    Raises
    ------
    UnsupportedLayerError, ConversionError
    """
    layers = lower(graph, method.lowering)
    inputs = [layer for layer in layers.layers if isinstance(layer, InputLayer)]
    if len(inputs) != 1:
        raise ConversionError(f"{graph.name}: {len(inputs)} inputs; one is supported")
    name = inputs[0].name
    calibration = Calibration(layers, len(samples), seed)
    for start in range(0, len(samples), CALIBRATION_BATCH):
        calibration.add({name: samples[start : start + CALIBRATION_BATCH]})
        if progress is not None:
            progress(min(start + CALIBRATION_BATCH, len(samples)), len(samples))
    encodings = {name: encoding}
    try:
        netlist = method(layers, calibration, encodings)
    except NetlistError as error:
        reason = f"method {type(method).__name__} broke the netlist: {error}"
        raise ConversionError(reason) from error
    if method.bias_correction:
        seen = samples[: n_correction_samples(netlist)]
        known = None if indices is None else indices[: len(seen)]
        stimulus = {name: encode(encoding, seen, netlist.timesteps, known)}
        netlist = correct_biases(
            netlist,
            layers,
            seen,
            stimulus,
            simulate,
            rounds=method.bias_correction,
            progress=progress,
        )
    return netlist, encodings
