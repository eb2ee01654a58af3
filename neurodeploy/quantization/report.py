"""What quantization cost a layer: bits that its weights lost, and errors in dB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection
from neurodeploy.ir.neurons import IntegerNeuron
from neurodeploy.quantization.grids import rows_of
from neurodeploy.quantization.membrane import smallest
from neurodeploy.quantization.rounding_error import heard_and_lost
from neurodeploy.quantization.scaling import MembraneScale, ScaledLayer

# Samples that tell what rounding against data lost, and values of the largest source over them: at
# most 32 samples, at least 4.
REPORTED_SAMPLES, LEAST_REPORTED = 32, 4
REPORTED_VALUES = 2**22


def layer_reports(
    layer: ScaledLayer, scale: MembraneScale, integer: IntegerNetlist, bounds: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Loss of each sibling by quantization, as JSON values; ``bounds`` are of their states."""
    first = layer.siblings[0].population.name
    unit = layer.unit(scale)
    weights = _weights_report(layer, integer.incoming[first], scale, unit)
    rows = {}
    for sibling in layer.siblings:
        name = sibling.population.name
        model = integer.by_name[name].model
        assert isinstance(model, IntegerNeuron)
        theta, exact = model.threshold, sibling.model.threshold
        raised = 0
        if exact is not None:
            least = smallest(exact, sibling.population)
            raised = int((least < unit * (1 - 1e-9)).sum())
        rows[name] = {
            "layer": name,
            **weights,
            "threshold": None if theta is None else [int(theta.min()), int(theta.max())],
            "raised_thresholds": raised,
            "state_bound": bounds[name],
        }
    return rows


def _weights_report(
    layer: ScaledLayer, rounded: Sequence[IntegerProjection], scale: MembraneScale, unit: FloatArray
) -> dict[str, Any]:
    signal = noise = 0.0
    levels: set[int] = set()
    exponents: list[list[int]] = []
    for real, whole in zip(layer.projections, rounded, strict=True):
        step = unit * np.exp2(whole.exponent)
        used, exact = rows_of(whole.connectivity), rows_of(real.connectivity)
        difference = used.values * step[:, None] - exact.values
        noise += float((np.square(difference).sum(axis=1) * exact.multiplicity).sum())
        signal += float((np.square(exact.values).sum(axis=1) * exact.multiplicity).sum())
        levels |= set(np.unique(whole.connectivity.weight).tolist())
        exponents.append([int(whole.exponent.min()), int(whole.exponent.max())])
    lost = _lost_bits(layer, scale)
    return {
        "weight_bits": layer.copies or layer.bits,
        "lost_bits": int(np.median(lost)),
        "most_lost_bits": int(lost.max()),
        "fraction_bits": scale.fraction,
        "exponents": exponents,
        "levels": len(levels),
        "grid": "fitted" if layer.copies else "uniform",
        "compensated": any(map(layer.compensates, layer.projections)),
        "fed_back": layer.fed_back,
        "bias_corrected": layer.corrects,
        "weight_snr_db": decibels(signal, noise),
        "input_snr_db": _input_snr(layer, rounded, unit),
    }


def _lost_bits(layer: ScaledLayer, scale: MembraneScale) -> IntArray:
    """Bits that the weights of each channel lose, ``[C]``: those of its widest branch.

    What was given up for a width, and what a unit that the threshold or the bias asks for
    leaves unused: a channel whose weights all round to 0 has lost all of them.
    """
    channels = scale.loss.shape
    lost = np.full(channels, layer.bits)
    silent = np.ones(channels, dtype=bool)
    top = 2 ** (layer.bits - 1) - 1
    for projection, exponent in zip(layer.projections, layer.grid.exponents, strict=True):
        full = rows_of(projection.connectivity).largest / top
        used = full > 0
        step = layer.grid.unit * np.exp2(exponent)
        unused = np.rint(np.log2(np.where(used, step / np.where(used, full, 1.0), 1.0)))
        here = np.maximum(unused, 0).astype(np.int64) + scale.given_up(exponent)
        lost = np.where(used, np.minimum(lost, here), lost)
        silent &= ~used
    return np.asarray(np.where(silent, 0, lost))


def _input_snr(
    layer: ScaledLayer, rounded: Sequence[IntegerProjection], unit: FloatArray
) -> float | None:
    """The input's variance over samples against that of what it lost, in dB.

    None without data. On the samples that weights are rounded against: of others, layers that
    hear more than there are samples lose more.
    """
    if not any(map(layer.compensates, layer.projections)):
        return None
    signal: FloatArray = np.zeros(())
    noise: FloatArray = np.zeros(())
    largest = max(layer.heard.emissions[q.pre][0].size for q in layer.projections)
    n = max(LEAST_REPORTED, min(REPORTED_SAMPLES, REPORTED_VALUES // largest))
    for real, whole in zip(layer.projections, rounded, strict=True):
        emitted = layer.heard.emissions[real.pre][:n].astype(np.float64)
        # Before anything is rounded: what is the same in all samples has no variance left.
        emitted = emitted - emitted.mean(axis=0)
        heard, lost = heard_and_lost(real, whole, unit, emitted)
        signal, noise = signal + heard, noise + lost
    return decibels(float(np.square(signal).sum()), float(np.square(noise).sum()))


def decibels(signal: float, noise: float) -> float | None:
    """Ratio of two powers; None where either is 0, or beyond all floats."""
    ratio = signal / noise if noise else 0.0
    return 10 * math.log10(ratio) if 0 < ratio < math.inf else None
