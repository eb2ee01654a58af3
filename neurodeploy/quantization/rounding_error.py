"""Mean error of rounded weights, and its correction by a bias.

With W the real weights, ``q`` the rounded ones on their step ``d``, and m the mean that the source
emits over a run, the sum over a run changes by::

    D = (W - q d) . m

per output neuron, averaged over the positions of a channel. Where a bias acts in every step it
gains ``D / T`` (where steps have gains, over their sum); of a code of changes it sits in the
initial membrane, which gains D. Means are those of calibration samples that were run, or what the
activations of the calibration data let expect.

References
----------
Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
arXiv 1906.04721, section 4.2; the means come from calibration here, not from batch norms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import IntegerProjection, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import RealNeuron
from neurodeploy.quantization.input_statistics import Heard


def lost_on_average(
    real: Sequence[RealProjection],
    rounded: Sequence[IntegerProjection],
    unit: FloatArray,
    emitted: Mapping[str, FloatArray],
) -> FloatArray:
    """D of one population, in its real membrane units: ``[*post_shape]``.

    Parameters
    ----------
    real, rounded : sequences
        The same projections into one population.
    unit : array ``[C]``
        Real value of one integer membrane unit.
    emitted : mapping
        m by source: ``[*pre_shape]``.
    """
    total: FloatArray = np.zeros(())
    for exact, whole in zip(real, rounded, strict=True):
        _, lost = heard_and_lost(exact, whole, unit, emitted[exact.pre][None])
        total = total + lost[0]
    return total


def heard_and_lost(
    exact: RealProjection, whole: IntegerProjection, unit: FloatArray, emitted: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Input by a projection for emissions ``[B, *pre_shape]``, and its error by rounding.

    Both ``[B, *post_shape]``, in real membrane units.
    """
    spread = (-1, *(1,) * (len(exact.connectivity.post_shape) - 1))
    kept = whole.connectivity.with_weight(whole.connectivity.weight.astype(np.float64))
    step = (unit * np.exp2(whole.exponent)).reshape(spread)
    heard = exact.connectivity.apply(emitted)
    return heard, heard - kept.apply(emitted) * step


def expected_input(
    netlist: RealNetlist, population: Population, heard: Heard
) -> dict[str, FloatArray]:
    """Mean input of a population over a run: ``[*shape]`` by known source."""
    found: dict[str, FloatArray] = {}
    for name in {q.pre for q in netlist.incoming[population.name]}:
        source = netlist.by_name[name]
        mean = source.expected_emissions(netlist.timesteps)
        if name in heard.emissions:
            mean = heard.emissions[name].mean(axis=0, dtype=np.float64)
        if mean is not None:
            found[name] = mean * population.heard_share(source)
    return found


def corrected(population: Population, lost: FloatArray, timesteps: int) -> Population:
    """The real-valued population that gains D: by channel, unless its biases differ within one."""
    model = population.model
    assert isinstance(model, RealNeuron)
    field = "bias" if population.coding == "rate" else "initial_membrane"
    value: FloatArray = getattr(model, field)
    if field == "bias":
        lost = lost / (sum(model.input_gain) if model.input_gain else timesteps)
    if value.ndim <= 1:
        lost = lost.reshape(lost.shape[0], -1).mean(axis=1)
    change: dict[str, FloatArray] = {field: np.asarray(value + lost)}
    return replace(population, model=replace(model, **change))  # type: ignore[arg-type]
