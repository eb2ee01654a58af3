"""Netlists as text: stable, one line per thing, made to be compared with ``diff``.

Scalars print as they are, arrays as their range, their shape and a digest of all values: a netlist
that differs anywhere prints differently.
"""

from __future__ import annotations

import hashlib

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Sparse, SumPool
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population, RealNetlist
from neurodeploy.ir.neurons import Input, MaxPool, Neuron

DIGEST_DIGITS = 12


def print_netlist(netlist: RealNetlist | IntegerNetlist) -> str:
    """Return the text of a netlist; lines end with a newline.

    Parameters
    ----------
    netlist : RealNetlist or IntegerNetlist
        Populations, projections and outputs print in the netlist's own order, depths and delays as
        scheduled (a delay that is fixed, and not left to the schedule, with ``!``).
    """
    schedule = netlist.schedule
    number = "integer" if isinstance(netlist, IntegerNetlist) else "real"
    lines = [
        f"netlist {netlist.name} {number} timesteps={netlist.timesteps} dt={netlist.dt!r} "
        f"depth={schedule.max_depth}"
    ]
    for population in netlist.populations:
        depth = schedule.depth[population.name]
        lines.append(
            f"population {population.name} {shape_text(population.shape)} depth={depth} "
            f"{_model(population)}{_coding(population)}"
        )
    for projection, delay in zip(netlist.projections, schedule.delays, strict=True):
        connectivity = projection.connectivity
        fixed = "" if projection.delay is None else "!"
        width = ""
        if isinstance(projection, IntegerProjection):
            width = f" bits={projection.weight_bits} exponent={values_text(projection.exponent)}"
        lines.append(
            f"projection {projection.pre} -> {projection.post} {geometry_text(connectivity)} "
            f"delay={delay}{fixed}{width} weight={values_text(connectivity.weight)} "
            f"synapses={connectivity.n_synapses} parameters={connectivity.n_parameters}"
        )
    for output in netlist.outputs:
        lines.append(f"output {output.population} {output.decode} offset={output.offset!r}")
    return "".join(f"{line}\n" for line in lines)


def shape_text(shape: tuple[int, ...]) -> str:
    """``16x28x28``."""
    return "x".join(map(str, shape))


def values_text(values: AnyArray) -> str:
    """A scalar as it is, an array as ``lowest..highest[shape]#digest``."""
    if values.ndim == 0:
        return _number(values.item())
    if not values.size:
        return f"none[{shape_text(values.shape)}]"
    low, high = _number(values.min()), _number(values.max())
    extent = low if low == high else f"{low}..{high}"
    return f"{extent}[{shape_text(values.shape)}]#{digest(values)}"


def digest(values: AnyArray) -> str:
    """First digits of the SHA-256 of the values, their type and shape included."""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    head = f"{little.dtype.str}{values.shape}".encode()
    return hashlib.sha256(head + little.tobytes()).hexdigest()[:DIGEST_DIGITS]


def geometry_text(connectivity: Connectivity) -> str:
    """Kind and geometry of a connectivity: ``conv 5x5 stride=1x1 padding=2:2x2:2``."""
    if isinstance(connectivity, Conv):
        text = f"conv {_window(connectivity.window)}"
        return text if connectivity.groups == 1 else f"{text} groups={connectivity.groups}"
    if isinstance(connectivity, SumPool):
        return f"sumpool {_window(connectivity.window)}"
    ends = f"{shape_text(connectivity.pre_shape)}->{shape_text(connectivity.post_shape)}"
    if isinstance(connectivity, Sparse):
        pairs = np.stack([connectivity.post, connectivity.pre])
        return f"sparse {ends} pairs#{digest(pairs)}"
    return f"{connectivity.kind} {ends}"


def _window(window: Window) -> str:
    padding = "x".join(
        str(before) if before == after else f"{before}:{after}" for before, after in window.padding
    )
    text = f"{shape_text(window.kernel)} stride={shape_text(window.stride)} padding={padding}"
    if set(window.dilation) != {1}:
        text = f"{text} dilation={shape_text(window.dilation)}"
    return f"{text} spacing={shape_text(window.spacing)}" if window.is_spaced else text


def _model(population: Population) -> str:
    model = population.model
    if isinstance(model, Input):
        return f"input {model.kind} range={model.low}..{model.high}"
    if isinstance(model, MaxPool):
        signed = " signed" if model.signed else ""
        rule = "" if model.rule == "maximum" else f" {model.rule}"
        gains = f" {_steps('input_gain', model.input_gain)}" if model.input_gain else ""
        where = f"{shape_text(model.input_shape)} {_window(model.window)}"
        return f"maxpool {where}{rule}{signed}{gains}"
    if not isinstance(model, Neuron):
        raise TypeError(f"{type(model).__name__} is no population model")
    parts = ["neuron"]
    for name in ("threshold", "negative_threshold"):
        value = getattr(model, name)
        if value is not None:
            parts.append(f"{name}={values_text(value)}")
    if not model.fires:
        parts.append("integrator")
    parts += [f"bias={values_text(model.bias)}", f"initial={values_text(model.initial_membrane)}"]
    parts.append(f"reset={model.reset}")
    if model.payload_max > 1:
        code = "" if model.payload_code == "integer" else f" {model.payload_code}"
        parts.append(f"payload={model.payload_max}{code}")
    if model.memory:
        parts.append("memory")
    for name in ("input_gain", "firing_gain", "comparison"):
        if getattr(model, name):
            parts.append(_steps(name, getattr(model, name)))
    if model.has_current_memory or model.leaks:
        decays = (np.asarray(getattr(model, name)) for name in model.decays)
        parts.append(f"decay={','.join(map(values_text, decays))}")
    for name in ("reset_value", "floor"):
        if getattr(model, name) is not None:
            parts.append(f"{name}={values_text(getattr(model, name))}")
    if model.saturation is not None:
        parts.append(f"saturation={_number(model.saturation)}")
    if model.refractory:
        parts.append(f"refractory={model.refractory}")
    if getattr(model, "strict", False):
        parts.append("strict")
    return " ".join(parts)


def _steps(name: str, values: tuple[int, ...]) -> str:
    return f"{name}={','.join(map(str, values))}"


def _coding(population: Population) -> str:
    text = "" if population.unit is None else f" unit={values_text(population.unit)}"
    if population.coding != "rate":
        text += f" coding={population.coding}"
    return text if population.source is None else f"{text} source={population.source}"


def _number(value: object) -> str:
    # repr of a Python number is the shortest text that reads back as the same value.
    return repr(value.item() if isinstance(value, np.generic) else value)
