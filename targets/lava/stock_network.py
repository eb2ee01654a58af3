"""A bundle as a network of Lava's stock processes: Conv, Dense, DelayDense, LIF and LIFReset."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset
from lava.utils.weightutils import SignMode

from neurodeploy.errors import FileFormatError
from neurodeploy.ir import connectivity as maps
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.population import Population
from neurodeploy.ir.projection import IntegerProjection
from neurodeploy.targets.lava.bundle import Bundle
from neurodeploy.targets.lava.dynamics import Timing
from neurodeploy.targets.lava.job import Job
from neurodeploy.targets.lava.network import Network
from neurodeploy.targets.lava.processes.recorder import (
    MembraneRecorder,
    PyMembraneRecorderModel,
    PySpikeRecorderModel,
    SpikeRecorder,
)
from neurodeploy.targets.lava.processes.stimulus import PyStimulusModel, StimulusSource
from neurodeploy.targets.lava.recording import NO_END, StreamTiming
from neurodeploy.targets.lava.stock import (
    FRACTION,
    STATE_LIMIT,
    bias_parts,
    folded_weight,
    in_weight_units,
    saturates,
    split_exponent,
    stock_convolution,
    stock_map,
)

MESSAGE_BITS = 24
NO_CURRENT_MEMORY = 4095


def stock_network(job: Job, bundle: Bundle) -> Network:
    """One LIF per population and one synapse process per projection, samples back to back."""
    network = Network()
    lanes = job.lanes
    timing = job.timing(bundle)
    processes: dict[str, Any] = {}
    for population in bundle.populations:
        if isinstance(population.model, Input):
            slot = network.next_slot()
            process: AbstractProcess = StimulusSource(
                population=population,
                timing=timing,
                lanes=lanes,
                stimulus=job.file(bundle, "stimulus", population.name),
                lane_shape=(),
                counter=(job.counters, slot),
                axes=tuple(reversed(range(len(population.shape)))),
                port_shape=stock_shape(population.shape),
                record=job.recorded(bundle, population.name),
            )
            network.models[process], network.slots[process] = PyStimulusModel, slot
        else:
            process, model = neurons(bundle, population, lanes.rounds, job.stream)
            network.models[process] = model
        processes[population.name] = process
    for projection in bundle.netlist.projections:
        synapses, model = synapse_process(bundle, projection)
        network.models[synapses] = model
        pre, post = processes[projection.pre], processes[projection.post]
        _through(pre.s_out, synapses.s_in)
        _through(synapses.a_out, post.a_in)
        network.links += [(pre, synapses), (synapses, post)]
    for population in bundle.populations:
        if not isinstance(population.model, Input):
            _record(job, bundle, population, timing, processes[population.name], network)
    return network


def stock_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W) as (W, H, C); one spatial axis becomes (L, 1, C)."""
    if len(shape) == 1:
        return shape
    channels, *spatial = shape
    return (*spatial[::-1], *(1,) * (2 - len(spatial)), channels)


def in_stock_order(values: IntArray) -> IntArray:
    """Values of a population ``shape`` in the order and shape of its stock process."""
    return np.ascontiguousarray(values.transpose()).reshape(stock_shape(values.shape))


def flat_order(shape: tuple[int, ...]) -> IntArray:
    """Index into the flat C-order of ``shape`` for every place of the flat stock order."""
    return np.arange(math.prod(shape)).reshape(shape).transpose().reshape(-1)


def neurons(
    bundle: Bundle, population: Population, rounds: int, stream: bool = False
) -> tuple[Any, type]:
    """The LIF or LIFReset of a population, and its bit-accurate model."""
    model = population.model
    if not isinstance(model, IntegerNeuron):
        raise FileFormatError(f"{population.name}: stock processes have no max-pooling")
    if model.initial_membrane.any():
        raise FileFormatError(f"{population.name}: stock processes start at 0, not at v0")
    fraction = FRACTION if saturates(population) else 0
    mantissa, exponent = bias_parts(population.spread(model.bias), fraction)
    vth: Any = STATE_LIMIT  # never exceeded by a proved membrane
    if model.threshold is not None:
        vth = in_stock_order(population.spread(model.threshold) - 1) >> fraction
        if (vth == vth.flat[0]).all():
            vth = int(vth.flat[0])
    parameters = {
        "name": population.name,
        "shape": stock_shape(population.shape),
        "u": 0,
        "v": 0,
        "du": NO_CURRENT_MEMORY,
        "dv": 0,
        "bias_mant": in_stock_order(mantissa),
        "bias_exp": in_stock_order(exponent),
        "vth": vth,
    }
    # Without a bias nothing moves before the first spikes arrive, so one sample needs no reset.
    if rounds == 1 and not any(
        p.model.bias.any() for p in bundle.populations if isinstance(p.model, IntegerNeuron)
    ):
        return LIF(**parameters), PyLifModelBitAcc
    T = NO_END if stream else bundle.timesteps
    reset = LIFReset(
        reset_interval=T, reset_offset=(bundle.depth[population.name] + 1) % T, **parameters
    )
    return reset, PyLifResetModelBitAcc


def synapse_process(bundle: Bundle, projection: IntegerProjection) -> tuple[Any, type]:
    """The Conv, Dense or DelayDense of a projection, and its fixed-point model."""
    source = bundle.by_name[projection.pre].model
    binary = not isinstance(source, Input) or (source.low, source.high) == (0, 1)
    common: dict[str, Any] = {"num_message_bits": 0 if binary else MESSAGE_BITS}
    assert projection.delay is not None  # a bundle gives every delay
    exponents = in_weight_units(projection.exponent, saturates(bundle.by_name[projection.post]))
    c = stock_map(projection.connectivity, projection.delay, exponents)
    if isinstance(c, maps.Conv | maps.SumPool):
        return _convolution(projection, c, exponents, common), PyConvModelFixed
    exponent, rest = split_exponent(exponents)
    # Twice the weights are even, which is what mixed signs keep; the exponent takes it back.
    common |= {
        "weights": 2 * _matrix(c, rest),
        "weight_exp": exponent - 1,
        "sign_mode": SignMode.MIXED,
    }
    if projection.delay == 1:
        return Dense(**common), PyDenseModelBitAcc
    delay = projection.delay - 1
    return DelayDense(delays=delay, max_delay=delay, **common), PyDelayDenseModelBitAcc


def _matrix(connectivity: maps.Connectivity, exponent: IntArray) -> IntArray:
    weight = folded_weight(connectivity, exponent)
    rows, columns = flat_order(connectivity.post_shape), flat_order(connectivity.pre_shape)
    if isinstance(connectivity, maps.Sparse):
        full = np.zeros((rows.size, columns.size), dtype=np.int64)
        full[connectivity.post, connectivity.pre] = weight
        weight = full
    return weight[rows][:, columns]


def _convolution(
    projection: IntegerProjection,
    c: maps.Conv | maps.SumPool,
    exponent: IntArray,
    common: dict[str, Any],
) -> Conv:
    if projection.delay != 1:
        raise FileFormatError(f"{projection.label}: a stock convolution has delay 1")
    whole = stock_convolution(c.with_weight(folded_weight(c, exponent)))
    window = whole.window
    n = len(window.kernel)
    # Lava convolves and orders (C_out, W, H, C_in): flip the spatial axes and reverse them.
    flipped = np.flip(whole.weight, axis=tuple(range(2, 2 + n)))
    kernel = flipped.transpose(0, *reversed(range(1, 2 + n)))
    if n == 1:
        kernel = kernel[:, :, None, :]

    def pair(values: tuple[int, ...], missing: int) -> tuple[int, int]:
        first, second = (*values[::-1], missing)[:2]
        return int(first), int(second)

    return Conv(
        weight=np.ascontiguousarray(kernel),
        input_shape=stock_shape(c.pre_shape),
        padding=pair(tuple(before for before, _ in window.padding), 0),
        stride=pair(window.stride, 1),
        dilation=pair(window.dilation, 1),
        groups=whole.groups,
        **common,
    )


def _through(source: Any, sink: Any) -> None:
    if source.shape != sink.shape:
        source = source.reshape(sink.shape)
    source.connect(sink)


def _record(
    job: Job,
    bundle: Bundle,
    population: Population,
    timing: Timing | StreamTiming,
    process: Any,
    network: Network,
) -> None:
    for what, path in job.recorded(bundle, population.name).items():
        slot = network.next_slot()
        parameters: dict[str, Any] = {
            "shape": stock_shape(population.shape),
            "stored_shape": population.shape,
            "depth": bundle.depth[population.name],
            "timing": timing,
            "trace": path,
            "lanes": job.lanes,
            "counter": (job.counters, slot),
        }
        recorder: AbstractProcess
        if what == "spikes":
            recorder = SpikeRecorder(**parameters)
            process.s_out.connect(recorder.s_in)
            network.models[recorder] = PySpikeRecorderModel
        else:
            shift = 0 if saturates(population) else FRACTION
            recorder = MembraneRecorder(state_shift=shift, **parameters)
            recorder.v.connect_var(process.v)
            network.models[recorder] = PyMembraneRecorderModel
        network.slots[recorder] = slot
        network.links.append((process, recorder))
