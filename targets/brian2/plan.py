"""What a Brian2 deployment is made of, and its two files.

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
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray, frozen
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.files import read_bytes
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Population
from neurodeploy.ir.neurons import (
    PAYLOAD_CODES,
    POOL_RULES,
    RESETS,
    Input,
    IntegerNeuron,
    MaxPool,
)

JSON_FILE = "brian2.json"
ARRAYS_FILE = "brian2.safetensors"
PLAN_SCHEMA = 1
GROUP_ARRAYS = ("threshold", "negative_threshold", "bias", "initial_membrane", "taps")
LINK_ARRAYS = ("source", "target", "weight")
Kind = Literal["current", "spikes", "neuron", "pool"]
KINDS: tuple[Kind, ...] = ("current", "spikes", "neuron", "pool")
_GAINS = ("input_gain", "firing_gain")
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One population. Arrays that do not apply to its kind are None.

    Parameters
    ----------
    name, object : str
        Population and NeuronGroup.
    kind : {"current", "spikes", "neuron", "pool"}
    shape, input_shape : tuple of int
        Of the population, and what its Synapses target (differs for pools only).
    depth : int
        First step of the window.
    low, high : int
        Range of the emitted values.
    reset, payload_max, current_decay, membrane_decay, payload_code, memory, rule, gains
        As in :class:`neurodeploy.ir.neurons.IntegerNeuron` and ``MaxPool``.
    threshold, negative_threshold, bias, initial_membrane : int arrays ``[n]`` or None
    taps : int array ``[n_taps, n]`` or None
        Flat input cells of each pooled neuron; ``prod(input_shape)`` stands for a padded cell.
    """

    name: str
    object: str
    kind: Kind
    shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    depth: int
    low: int
    high: int
    reset: str
    payload_max: int
    current_decay: int
    membrane_decay: int
    threshold: IntArray | None = None
    negative_threshold: IntArray | None = None
    bias: IntArray | None = None
    initial_membrane: IntArray | None = None
    taps: IntArray | None = None
    payload_code: str = "integer"
    memory: bool = False
    rule: str = "maximum"
    input_gain: tuple[int, ...] = ()
    firing_gain: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Neurons of one sample."""
        return math.prod(self.shape)

    @property
    def emits(self) -> bool:
        """Whether the group emits anything."""
        return self.low < 0 or self.high > 0

    @property
    def signed(self) -> bool:
        """Whether negative spikes occur."""
        return self.low < 0

    @property
    def graded(self) -> bool:
        """Whether a spike needs more than its sign."""
        return self.low < -1 or self.high > 1


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One projection: explicit synapses of one sample.

    Parameters
    ----------
    name, object : str
        ``pre->post`` of the netlist, and the Synapses.
    pre, post : str
        Objects of the groups.
    delay : int
        Steps, at least 1.
    source, target : int arrays ``[n_synapses]``
    weight : int array ``[n_synapses]``
        Exponents included.
    """

    name: str
    object: str
    pre: str
    post: str
    delay: int
    source: IntArray
    target: IntArray
    weight: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that the Network is built from."""

    name: str
    timesteps: int
    dt: float
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    outputs: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        """Steps that one sample takes."""
        return self.timesteps + max(g.depth for g in self.groups)

    @property
    def n_synapses(self) -> int:
        """Synapses of one sample."""
        return sum(link.weight.size for link in self.links)

    def group(self, name: str) -> Group:
        """The group of a population."""
        return next(g for g in self.groups if g.name == name)


def make_plan(netlist: IntegerNetlist) -> Plan:
    """Lower a netlist: names, delays, synapses one by one, quantities neuron by neuron."""
    taken: set[str] = set()
    timing = netlist.schedule
    bounds = prove_bounds(netlist)
    groups = []
    for p in netlist.populations:
        name = _identifier(p.name, taken)
        if isinstance(p.model, Input):
            emitted = (p.model.low, p.model.high)
        else:
            emitted = (bounds[p.name].spike_low, bounds[p.name].spike_high)
        groups.append(_group(p, name, timing.depth[p.name], *emitted))
    objects = {g.name: g.object for g in groups}
    links = tuple(
        _link(q, delay, _identifier(f"{objects[q.pre]}_to_{objects[q.post]}", taken), objects)
        for q, delay in zip(netlist.projections, timing.delays, strict=True)
    )
    outputs = tuple(o.population for o in netlist.outputs if o.reads_membrane)
    return Plan(netlist.name, netlist.timesteps, netlist.dt, tuple(groups), links, outputs)


# Endings of the names of monitors and of a pool's cells: two objects may not share a name.
_RESERVED = ("", "_cells", "_spikes", "_negative_spikes", "_membrane")


def _identifier(name: str, taken: set[str]) -> str:
    stem = re.sub(r"\W", "_", name, flags=re.ASCII)
    stem = stem if stem[0].isalpha() else f"p{stem}"
    candidate, n = stem, 1
    while any(candidate + ending in taken for ending in _RESERVED):
        n += 1
        candidate = f"{stem}_{n}"
    taken.update(candidate + ending for ending in _RESERVED)
    return candidate


def _group(p: Population, name: str, depth: int, low: int, high: int) -> Group:
    model = p.model
    plain = {"reset": "none", "payload_max": 1, "current_decay": 4096, "membrane_decay": 0}
    if isinstance(model, Input):
        shared: dict[str, Any] = {"kind": model.kind, **plain}
    elif isinstance(model, MaxPool):
        shared = {"kind": "pool", "taps": _taps(model), "rule": model.rule, **plain}
    else:
        assert isinstance(model, IntegerNeuron)
        shared = {k: getattr(model, k) for k in (*plain, "payload_code", "memory", *_GAINS)}
        shared["kind"] = "neuron"
        for quantity in model.quantities():
            shared[quantity] = frozen(p.spread(getattr(model, quantity)).reshape(-1))
    return Group(
        name=p.name,
        object=name,
        shape=p.shape,
        input_shape=p.input_shape,
        depth=depth,
        low=low,
        high=high,
        **shared,
    )


def _taps(model: MaxPool) -> IntArray:
    n_cells = math.prod(model.input_shape)
    cells = np.arange(n_cells, dtype=np.int64).reshape(model.input_shape)
    padded = model.window.pad(cells, n_cells)
    taps = []
    for _, where in model.window.taps():
        every_channel = (slice(None), *where)
        taps.append(padded[every_channel].reshape(-1))
    return np.stack(taps)


def _link(q: IntegerProjection, delay: int, name: str, objects: Mapping[str, str]) -> Link:
    post, pre, weight = q.connectivity.to_coo()
    shift = np.broadcast_to(q.shift(), q.connectivity.post_shape).reshape(-1)
    return Link(
        name=q.label,
        object=name,
        pre=objects[q.pre],
        post=objects[q.post],
        delay=delay,
        source=pre,
        target=post,
        weight=np.left_shift(weight, shift[post]),
    )


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


def describe(plan: Plan) -> dict[str, Any]:
    """Sizes, as JSON values."""
    return {
        "neurons": sum(g.size for g in plan.groups),
        "synapses": plan.n_synapses,
        "groups": {g.name: g.size for g in plan.groups},
        "links": {f"{q.name}#{i}": int(q.weight.size) for i, q in enumerate(plan.links)},
    }
