"""Quantities of natively trained neurons beside thresholds, in whole units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neurodeploy.errors import QuantizationError, warn_user
from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.netlist import Population, RealNetlist
from neurodeploy.ir.neurons import RealNeuron

TOLERATED = 0.01
"""How much a time constant may be off before it is told."""


def native_fields(
    population: Population, theta: IntArray | None, units: Callable[[FloatArray], IntArray]
) -> dict[str, Any]:
    """Floor, reset value, refractory period and decays of an integer neuron.

    Parameters
    ----------
    population : Population
        Of real-valued neurons.
    theta : int64 array or None
        Its thresholds in whole units.
    units : callable
        A quantity in whole units.

    Raises
    ------
    QuantizationError
        If its membranes saturate, which happens at one number for all channels.
    """
    model = population.model
    assert isinstance(model, RealNeuron)
    if model.saturation is not None:
        raise QuantizationError(
            f"{population.name}: saturation {model.saturation:g} against membrane units of each "
            "channel; quantize without it, or use a floor"
        )
    found: dict[str, Any] = {"refractory": model.refractory}
    if model.floor is not None:
        found["floor"] = units(model.floor)
    if model.reset_value is not None and theta is not None:
        least, value = population.spread(theta) - 1, units(model.reset_value)
        # One that rounds up to the threshold would fire for ever.
        above = population.spread(value) > least
        found["reset_value"] = np.minimum(population.spread(value), least) if above.any() else value
    for name in model.decays:
        real = np.asarray(getattr(model, name))
        if real.ndim:
            found[name] = whole_decay(real)
    return found


def whole_decay(real: FloatArray) -> IntArray:
    """Decays in 1/4096."""
    return np.rint(real * DECAY_ONE).astype(np.int64)


def warn_of_decays(netlist: RealNetlist) -> None:
    """Tell which decays vanish in steps of 1/4096, and which time constants they move by over 1 %.

    A time constant is ``-1 / ln(1 - decay)`` steps.
    """
    for population in netlist.populations:
        model = population.model
        if not isinstance(model, RealNeuron):
            continue
        for name in model.decays:
            real = np.asarray(getattr(model, name), dtype=np.float64).reshape(-1)
            inside = real[(real > 0) & (real < 1)]
            if not inside.size:
                continue
            whole = whole_decay(inside) / DECAY_ONE
            gone = int(((whole == 0) | (whole == 1)).sum())
            kept = (whole > 0) & (whole < 1)
            ratio = np.log1p(-inside[kept]) / np.log1p(-whole[kept])
            off = float(np.abs(ratio - 1).max(initial=0))
            if gone:
                _tell(
                    f"{population.name}: {name}: {gone} of {real.size} become 0 or 1 in steps of "
                    f"1/{DECAY_ONE} (the smallest is {inside.min():.3g}, the largest "
                    f"{inside.max():.3g})"
                )
            if off > TOLERATED:
                _tell(
                    f"{population.name}: {name} in steps of 1/{DECAY_ONE} moves a time constant by "
                    f"{100 * off:.1f} %"
                )


def _tell(text: str) -> None:
    warn_user(text)
