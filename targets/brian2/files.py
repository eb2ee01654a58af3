"""A plan as two files.

``brian2.json`` holds every number that is not an array, ``brian2.safetensors`` the arrays. Together
they are all that the Network is built from; a script of a user can build it too.

brian2.json::

    schema, name, timesteps, dt, outputs     T, seconds per step, integrators that are read
    groups   [{name, object, kind, shape, depth, low, high, reset, payload_max, payload_code,
               memory, rule, current_decay, membrane_decay, input_gain, firing_gain, input_shape}]
    links    [{name, object, pre, post, delay}]

``object`` is the name of the NeuronGroup or Synapses in the Network, ``pre`` and ``post`` are
objects of groups, ``kind`` is ``current``, ``spikes``, ``neuron`` or ``pool``, [low, high] is the
range of what a group emits, ``depth`` the first step of its window.

brian2.safetensors, integers of the smallest sufficient width::

    <group>.threshold, .negative_threshold, .bias, .initial_membrane    [n_neurons]
    <group>.taps                    [n_taps, n_neurons]: input cells of each pooled neuron
    <link>.source, .target          [n_synapses]: C-order indices of one sample
    <link>.weight                   [n_synapses]: weight * 2^exponent
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.files import read_bytes
from neurodeploy.ir.neurons import PAYLOAD_CODES, POOL_RULES, RESETS
from neurodeploy.targets.brian2.plan import GROUP_ARRAYS, KINDS, LINK_ARRAYS, Group, Link, Plan

JSON_FILE = "brian2.json"
ARRAYS_FILE = "brian2.safetensors"
PLAN_SCHEMA = 1
_Record = TypeVar("_Record")


def write_plan(plan: Plan, folder: Path) -> None:
    """Write ``brian2.json`` and ``brian2.safetensors`` into ``folder``."""
    from safetensors.numpy import save_file

    arrays: dict[str, AnyArray] = {}
    header = {
        "schema": PLAN_SCHEMA,
        "name": plan.name,
        "timesteps": plan.timesteps,
        "dt": plan.dt,
        "outputs": list(plan.outputs),
        "groups": [_split(g, GROUP_ARRAYS, arrays) for g in plan.groups],
        "links": [_split(link, LINK_ARRAYS, arrays) for link in plan.links],
    }
    text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    save_file(arrays, folder / ARRAYS_FILE)


def _split(
    record: Group | Link, array_names: tuple[str, ...], arrays: dict[str, AnyArray]
) -> dict[str, Any]:
    for name in array_names:
        value = getattr(record, name)
        if value is not None:
            arrays[f"{record.object}.{name}"] = np.ascontiguousarray(_narrow(value))
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name not in array_names}


def _narrow(array: IntArray) -> AnyArray:
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


def read_plan(folder: Path) -> Plan:
    """Read what :func:`write_plan` wrote.

    Raises
    ------
    FileFormatError
        If a file is missing, truncated, of another schema version, or contradicts itself.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    where = folder / JSON_FILE
    try:
        header = json.loads(read_bytes(where, "a compiled Brian2 network"))
        version = header["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{where}: damaged; compile again") from error
    if version != PLAN_SCHEMA:
        raise FileFormatError(
            f"{where}: schema version {version}, this neurodeploy reads {PLAN_SCHEMA}; "
            "compile again"
        )
    try:
        content = read_bytes(folder / ARRAYS_FILE, "the arrays of a compiled Brian2 network")
        arrays = load(content)
    except SafetensorError as error:
        raise FileFormatError(f"{folder / ARRAYS_FILE}: damaged; compile again") from error
    try:
        plan = Plan(
            name=str(header["name"]),
            timesteps=int(header["timesteps"]),
            dt=float(header["dt"]),
            groups=tuple(_join(Group, g, GROUP_ARRAYS, arrays) for g in header["groups"]),
            links=tuple(_join(Link, q, LINK_ARRAYS, arrays) for q in header["links"]),
            outputs=tuple(str(o) for o in header["outputs"]),
        )
        _verify(plan)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{where}: damaged ({error}); compile again") from error
    return plan


def _join(
    cls: type[_Record],
    entry: Mapping[str, Any],
    array_names: tuple[str, ...],
    arrays: Mapping[str, AnyArray],
) -> _Record:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    for name in array_names:
        array = arrays.get(f"{values['object']}.{name}")
        if array is not None:
            if array.dtype.kind != "i":
                raise ValueError(f"{values['object']}.{name}: integers expected")
            values[name] = array.astype(np.int64)
    return cls(**values)


def _verify(plan: Plan) -> None:
    sizes = {g.object: (g.size, math.prod(g.input_shape)) for g in plan.groups}
    if (
        plan.timesteps < 1
        or not plan.dt > 0
        or not set(plan.outputs) <= {g.name for g in plan.groups}
    ):
        raise ValueError("timesteps, dt or outputs")
    for g in plan.groups:
        if g.kind not in KINDS or g.reset not in RESETS or g.depth < 0:
            raise ValueError(f"{g.object}: kind, reset or depth")
        if g.payload_code not in PAYLOAD_CODES or g.rule not in POOL_RULES:
            raise ValueError(f"{g.object}: payload_code or rule")
        for gains in (g.input_gain, g.firing_gain):
            if gains and not (len(gains) == plan.timesteps and min(gains) >= 0):
                raise ValueError(f"{g.object}: gains of steps")
        needed = {"neuron": ("bias", "initial_membrane"), "pool": ("taps",)}.get(g.kind, ())
        if g.kind == "neuron" and g.emits:
            needed += ("threshold", *(("negative_threshold",) if g.signed else ()))
        for name in GROUP_ARRAYS:
            array = getattr(g, name)
            if (array is not None) != (name in needed):
                raise ValueError(f"{g.object}.{name}: missing or not expected")
            if array is not None and array.shape[-1:] != (g.size,):
                raise ValueError(f"{g.object}.{name}: shape {array.shape}")
        if g.taps is not None and (g.taps.min() < 0 or g.taps.max() > math.prod(g.input_shape)):
            raise ValueError(f"{g.object}.taps: cell outside the input")
    for q in plan.links:
        if not (isinstance(q.delay, int) and q.delay >= 1):
            raise ValueError(f"{q.object}: delay {q.delay}")
        if not q.source.shape == q.target.shape == q.weight.shape:
            raise ValueError(f"{q.object}: arrays of different length")
        for index, limit in ((q.source, sizes[q.pre][0]), (q.target, sizes[q.post][1])):
            if index.size and (index.min() < 0 or index.max() >= limit):
                raise ValueError(f"{q.object}: synapse outside 0..{limit - 1}")
