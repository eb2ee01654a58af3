"""Which floating-point format is proved to hold every integer of a netlist.

A float with p bits of significand holds every integer up to 2^p. Sums of products of integers
are exact in it, whatever the order of summation and with or without fused multiply-add, if every
partial sum stays below 2^p. A partial sum of ``W . s`` is the sum over a subset of the synapses;
because 0 lies in every payload range, it lies in the interval that
:func:`neurodeploy.ir.bounds.projection_interval` gives for the whole row. Scaling a row by 2^e is
exact. What is not proved for 24 bits is computed with 53, what is not proved for 53 is refused;
no format is ever chosen because a test passed.

Algorithms that form other sums than these (Winograd, FFT) or that round the factors (TF32,
bfloat16) are not covered; :func:`strict_float32` tells whether this process could use them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from neurodeploy.errors import CapacityError
from neurodeploy.ir.bounds import PopulationBounds, prove_bounds, spike_range
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool

FLOAT32_INTEGERS = 2**24
FLOAT64_INTEGERS = 2**53


@dataclass(frozen=True, slots=True)
class Precision:
    """Formats of one run.

    Parameters
    ----------
    products : tuple of torch.dtype
        Of every projection, in the netlist's order.
    states : mapping
        Population -> format of its input, current and membrane.
    rasters : mapping
        Population -> format of what it emits.
    """

    products: tuple[torch.dtype, ...]
    states: Mapping[str, torch.dtype]
    rasters: Mapping[str, torch.dtype]


def strict_float32() -> bool:
    """Whether float32 products of this process are plain float32 sums of products.

    False where oneDNN is missing (PyTorch may then convolve by NNPACK, which uses Winograd and
    FFT) or where the process allows bfloat16 or TF32 for float32.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    for variable in ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"):
        if os.environ.get(variable, "STRICT").upper() not in ("", "STRICT"):
            return False
    mkldnn = torch.backends.mkldnn
    # The objects below came with torch 2.9; before it, the getter alone told.
    parts = (getattr(mkldnn, "conv", None), getattr(mkldnn, "matmul", None))
    for setting in (torch.backends, mkldnn, *parts):
        if getattr(setting, "fp32_precision", "none") not in ("none", "ieee"):
            return False
    return torch.get_float32_matmul_precision() == "highest"


def prove_precision(netlist: IntegerNetlist, timesteps: int) -> Precision:
    """Choose the narrowest format that is proved exact, for each projection and population.

    Raises
    ------
    CapacityError
        Where 53 bits do not suffice.
    """
    bounds = prove_bounds(netlist, timesteps)
    strict = strict_float32()
    products = []
    for projection in netlist.projections:
        pre = netlist.by_name[projection.pre]
        payload = _payload(pre, bounds)
        row = _row_magnitude(projection, *payload)
        narrow = strict and max(row, *map(abs, payload)) < FLOAT32_INTEGERS
        products.append(_format(narrow, row, FLOAT64_INTEGERS, projection.label, "row sum"))
    states, rasters = {}, {}
    for population in netlist.populations:
        low, high = _payload(population, bounds)
        largest = max(-low, high)
        name = population.name
        fits = largest < FLOAT32_INTEGERS
        rasters[name] = _format(fits, largest, FLOAT64_INTEGERS, name, "payload")
        states[name] = _state_format(population, bounds.get(name), rasters[name])
        if isinstance(population.model, MaxPool):
            rasters[name] = states[name]  # so that it also holds the sum over time
    return Precision(tuple(products), states, rasters)


def _payload(population: Population, bounds: Mapping[str, PopulationBounds]) -> tuple[int, int]:
    if isinstance(population.model, Input):
        return spike_range(population)
    proved = bounds[population.name]
    return proved.spike_low, proved.spike_high


def _row_magnitude(projection: IntegerProjection, low: int, high: int) -> int:
    """Largest partial sum of a row before the shift."""
    positive, negative = projection.connectivity.row_sums()
    least, most = positive * low + negative * high, positive * high + negative * low
    return int(max(np.abs(least).max(), np.abs(most).max()))


def _state_format(
    population: Population, proved: PopulationBounds | None, raster: torch.dtype
) -> torch.dtype:
    if proved is None:
        return raster
    model = population.model
    largest, limit, narrow = proved.magnitude, FLOAT64_INTEGERS, True
    if isinstance(model, IntegerNeuron):
        # The bias joins the membrane or the input in one of several places.
        largest += int(np.abs(model.bias).max()) * max(model.input_gain, default=1)
        for threshold in (model.threshold, model.negative_threshold):
            if threshold is not None:
                largest = max(largest, int(threshold.max()) * max(model.firing_gain, default=1))
        if {model.current_decay, model.membrane_decay} - {0, DECAY_ONE}:
            # x (4096 - d) / 4096 has 12 more bits before it is truncated.
            limit, narrow = FLOAT64_INTEGERS // DECAY_ONE, False
    return _format(narrow and largest < FLOAT32_INTEGERS, largest, limit, population.name, "state")


def _format(narrow: bool, magnitude: int, limit: int, where: str, what: str) -> torch.dtype:
    if narrow:
        return torch.float32
    if magnitude < limit:
        return torch.float64
    raise CapacityError(
        f"{where}: worst-case {what} {magnitude} is not proved below {limit}, the engine's exact "
        "range; use fewer time steps, fewer weight bits or smaller inputs"
    )
