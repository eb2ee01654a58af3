"""From membranes and counts back to the units of the source network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import UsageError
from neurodeploy.ir.arrays import AnyArray, FloatArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population, RealNetlist
from neurodeploy.ir.record import RunRecord

SOFTMAX_SEED = 0


def output_trace(netlist: IntegerNetlist | RealNetlist, output: Output, run: RunRecord) -> AnyArray:
    """The running answer, undivided: ``[B, T, *shape]``.

    Of an integrator ``v[t]`` less its origin, otherwise signed spikes up to and including step t.
    """
    if not output.reads_membrane:
        return np.cumsum(run.spikes[output.population], axis=1)
    return run.membranes[output.population] - netlist.by_name[output.population].origin


def decode_prefix(
    netlist: IntegerNetlist | RealNetlist,
    output: Output,
    trace: AnyArray,
    step: int | IntArray,
    first: int = 0,
) -> FloatArray:
    """Source-network units after ``step`` steps (1 .. T), the same or its own of every sample.

    ``trace[:, step - 1] * unit``, divided by ``step`` where rates code, by the first gain where
    changes have gains; a population without unit counts in its own. For ``softmax``: the share of
    each class among the spikes drawn so far.

    Parameters
    ----------
    trace : array ``[B, T, *shape]``
        Of :func:`output_trace`.
    first : int
        How many samples of the run came before: ``softmax`` draws by the place of a sample.
    """
    population = netlist.by_name[output.population]
    if isinstance(step, np.ndarray):
        parts = [
            decode_prefix(netlist, output, trace[i : i + 1], int(own), first + i)
            for i, own in enumerate(step)
        ]
        return np.concatenate(parts) if parts else decode_prefix(netlist, output, trace, 1)
    if output.decode == "softmax":
        return _softmax_shares(population, trace[:, :step], first)
    return decoded_values(population, output, trace[:, step - 1], step)


def decoded_values(
    population: Population, output: Output, values: AnyArray, step: int
) -> FloatArray:
    """Source-network units of one step of a trace, ``[B, *shape]``; not of ``softmax``."""
    values = values / population.divisor(step)
    if population.unit is not None:
        values = values * population.spread(population.unit)
    return np.asarray(values - output.offset)


def _softmax_shares(population: Population, trace: AnyArray, first: int) -> FloatArray:
    """Spiking softmax: one spike a step, its class drawn with softmax(v) of that step.

    References
    ----------
    Rueckauer et al. 2017, doi 10.3389/fnins.2017.00682, section 2.2.5.
    """
    unit = 1.0 if population.unit is None else population.spread(population.unit)
    membrane = (trace * unit).reshape(*trace.shape[:2], -1)
    weight = np.exp(membrane - membrane.max(axis=2, keepdims=True))
    below = np.cumsum(weight, axis=2)
    # A sample's numbers depend neither on how many samples there are nor on later steps.
    drawn = np.stack(
        [
            np.random.default_rng([SOFTMAX_SEED, sample]).random(membrane.shape[1])
            for sample in range(first, first + membrane.shape[0])
        ]
    )
    drawn = drawn * below[:, :, -1]
    winner = (below <= drawn[:, :, None]).sum(axis=2)
    counts = (winner[:, :, None] == np.arange(membrane.shape[2])).sum(axis=1)
    return np.asarray(counts.reshape(trace.shape[0], *trace.shape[2:]) / trace.shape[1])


def decode(
    netlist: IntegerNetlist | RealNetlist,
    output: Output,
    run: RunRecord,
    steps: IntArray | None = None,
) -> FloatArray:
    """The answer of a run in the units of the source network: float64 ``[B, *shape]``.

    ``steps`` int64 ``[B]``: each sample is read after so many, T by default.
    """
    trace = output_trace(netlist, output, run)
    return decode_prefix(netlist, output, trace, run.timesteps if steps is None else steps)


@dataclass(frozen=True, slots=True)
class Classes:
    """Decided classes ``[B]``; ties go to the lowest index and are counted."""

    labels: IntArray
    tied: AnyArray


def classify(scores: AnyArray) -> Classes:
    """Index of the largest score of ``[B, n]``, the lowest index on a tie."""
    flat = scores.reshape(scores.shape[0], -1)
    best = flat.max(axis=1, keepdims=True)
    return Classes(flat.argmax(axis=1).astype(np.int64), (flat == best).sum(axis=1) > 1)


def scores_classes(output: FloatArray) -> bool:
    """Whether an output ``[B, *shape]`` is a vector of several values, the largest of which counts.

    The largest of one value is always the first, and that of a map a place in it.
    """
    return output.ndim == 2 and output.shape[1] > 1


def expect_classes(verb: str, name: str, output: FloatArray) -> None:
    """Raise UsageError for an output, called ``name``, that scores no classes."""
    if not scores_classes(output):
        raise UsageError(
            f"{verb}: {name!r} has shape {output.shape[1:]}, which is no score of classes; read "
            f"outputs[{name!r}]"
        )
