"""The compiled files of the Lava target, ``lava.json`` and ``lava.safetensors``.

``lava.json`` holds the structure, ``lava.safetensors`` the integers::

    {"schema": 1, "network": name, "models": "own" | "stock", "timesteps": T,
     "populations": [{"name", "shape", "depth", "input" | "neuron" | "pool": {...}}, ...],
     "projections": [{"pre", "post", "kind", "delay", "stride", ...}, ...],
     "outputs": [names of the output populations]}

Arrays are named after what they belong to: ``population.NAME.threshold`` (``bias``,
``initial_membrane``, ``negative_threshold``) and ``projection.I.weight`` (``exponent``,
``post_index``, ``pre_index``) with I the position in ``projections``. All are integers; a threshold
that is absent means that the population never fires. Depths and delays are those of the schedule.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.files import read_bytes, write_bytes_whole
from neurodeploy.targets.lava.bundle import (
    KINDS,
    Bundle,
    InputSpec,
    NeuronSpec,
    PoolSpec,
    PopulationSpec,
    ProjectionSpec,
    WindowSpec,
)

SCHEMA = 1
STRUCTURE_FILE = "lava.json"
ARRAYS_FILE = "lava.safetensors"

_GAINS = ("input_gain", "firing_gain")
_QUANTITIES = ("threshold", "negative_threshold", "bias", "initial_membrane")


def _window_record(window: WindowSpec) -> dict[str, Any]:
    return {
        "kernel": list(window.kernel),
        "stride": list(window.stride),
        "padding": [list(pair) for pair in window.padding],
        "dilation": list(window.dilation),
    }


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write ``lava.json`` and ``lava.safetensors`` into ``folder``."""
    from safetensors.numpy import save

    arrays: dict[str, AnyArray] = {}
    populations = []
    for p in bundle.populations:
        record: dict[str, Any] = {"name": p.name, "shape": list(p.shape), "depth": p.depth}
        if isinstance(p.model, InputSpec):
            m = p.model
            record["input"] = {"kind": m.kind, "low": m.low, "high": m.high}
        elif isinstance(p.model, PoolSpec):
            record["pool"] = {
                "input_shape": list(p.model.input_shape),
                "rule": p.model.rule,
                "signed": p.model.signed,
                **_window_record(p.model.window),
            }
        else:
            record["neuron"] = {
                "reset": p.model.reset,
                "payload_max": p.model.payload_max,
                "payload_code": p.model.payload_code,
                "memory": p.model.memory,
                "input_gain": list(p.model.input_gain),
                "firing_gain": list(p.model.firing_gain),
                "current_decay": p.model.current_decay,
                "membrane_decay": p.model.membrane_decay,
            }
            for name in _QUANTITIES:
                value = getattr(p.model, name)
                if value is not None:
                    arrays[f"population.{p.name}.{name}"] = value
        populations.append(record)
    projections = []
    for i, q in enumerate(bundle.projections):
        record = {
            "pre": q.pre,
            "post": q.post,
            "kind": q.kind,
            "delay": q.delay,
            "pre_shape": list(q.pre_shape),
            "post_shape": list(q.post_shape),
            "groups": q.groups,
            "window": None if q.window is None else _window_record(q.window),
        }
        for name in ("weight", "exponent", "post_index", "pre_index"):
            value = getattr(q, name)
            if value is not None:
                arrays[f"projection.{i}.{name}"] = value
        projections.append(record)
    structure = {
        "schema": SCHEMA,
        "network": bundle.network,
        "models": bundle.models,
        "timesteps": bundle.timesteps,
        "populations": populations,
        "projections": projections,
        "outputs": list(bundle.outputs),
    }
    # safetensors writes non-contiguous arrays wrongly without a word, hence the copies.
    dense: dict[str, AnyArray] = {
        k: np.array(v, dtype=_width(v), order="C") for k, v in arrays.items()
    }
    write_bytes_whole(folder / ARRAYS_FILE, save(dense))
    text = json.dumps(structure, indent=1, sort_keys=True, allow_nan=False)
    write_bytes_whole(folder / STRUCTURE_FILE, text.encode())


def _width(values: IntArray) -> type:
    # Mutating one value in a file must not wrap, so 8 bits hold weights and nothing else.
    for dtype in (np.int16, np.int32):
        info = np.iinfo(dtype)
        if not values.size or (info.min <= values.min() and values.max() <= info.max):
            return dtype
    return np.int64


def load_bundle(folder: Path) -> Bundle:
    """Read what :func:`save_bundle` wrote.

    Raises
    ------
    FileFormatError
        If a file is missing, truncated, of another schema version, or inconsistent.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    where = folder / STRUCTURE_FILE
    content = read_bytes(folder / ARRAYS_FILE, "compiled Lava arrays")
    try:
        structure = json.loads(read_bytes(where, "a compiled Lava network"))
        version = structure["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{where}: not a compiled Lava network; compile again") from error
    if version != SCHEMA:
        raise FileFormatError(
            f"{where}: schema version {version}, this neurodeploy reads {SCHEMA}; compile again"
        )
    try:
        arrays: dict[str, AnyArray] = load(content)
    except SafetensorError as error:
        raise FileFormatError(
            f"{folder / ARRAYS_FILE}: damaged or truncated; compile again"
        ) from error
    try:
        bundle = _build(structure, {k: _integers(k, v) for k, v in arrays.items()})
        _verify(bundle)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{where}: inconsistent ({reason}); compile again") from error
    return bundle


def _integers(key: str, values: AnyArray) -> IntArray:
    if values.dtype.kind not in "iu":
        raise ValueError(f"{key} is not of integers")
    return values.astype(np.int64)


def _window(record: Mapping[str, Any]) -> WindowSpec:
    return WindowSpec(
        tuple(record["kernel"]),
        tuple(record["stride"]),
        tuple((a, b) for a, b in record["padding"]),
        tuple(record["dilation"]),
    )


def _build(structure: Mapping[str, Any], arrays: Mapping[str, IntArray]) -> Bundle:
    if structure["models"] not in ("own", "stock"):
        raise ValueError(f"models {structure['models']!r}")
    return Bundle(
        str(structure["network"]),
        structure["models"],
        int(structure["timesteps"]),
        tuple(_population(r, arrays) for r in structure["populations"]),
        tuple(
            ProjectionSpec(
                r["pre"],
                r["post"],
                r["kind"],
                int(r["delay"]),
                tuple(r["pre_shape"]),
                tuple(r["post_shape"]),
                arrays[f"projection.{i}.weight"],
                arrays[f"projection.{i}.exponent"],
                None if r["window"] is None else _window(r["window"]),
                int(r["groups"]),
                arrays.get(f"projection.{i}.post_index"),
                arrays.get(f"projection.{i}.pre_index"),
            )
            for i, r in enumerate(structure["projections"])
        ),
        tuple(structure["outputs"]),
    )


def _population(record: Mapping[str, Any], arrays: Mapping[str, IntArray]) -> PopulationSpec:
    model: InputSpec | NeuronSpec | PoolSpec
    if "input" in record:
        model = InputSpec(**record["input"])
    elif "pool" in record:
        pool = record["pool"]
        model = PoolSpec(
            tuple(pool["input_shape"]),
            _window(pool),
            pool.get("rule", "maximum"),
            pool.get("signed", False),
        )
    else:
        prefix = f"population.{record['name']}."
        model = NeuronSpec(
            threshold=arrays.get(prefix + "threshold"),
            negative_threshold=arrays.get(prefix + "negative_threshold"),
            bias=arrays[prefix + "bias"],
            initial_membrane=arrays[prefix + "initial_membrane"],
            **(record["neuron"] | {k: tuple(record["neuron"].get(k, ())) for k in _GAINS}),
        )
    return PopulationSpec(record["name"], tuple(record["shape"]), int(record["depth"]), model)


def _verify(bundle: Bundle) -> None:
    if bundle.timesteps < 1 or not bundle.populations:
        raise ValueError("no time steps or no populations")
    if len(bundle.by_name) != len(bundle.populations):
        raise ValueError("a population twice")
    for p in bundle.populations:
        if isinstance(p.model, NeuronSpec):
            if p.model.reset not in ("subtract", "zero", "none"):
                raise ValueError(f"{p.name}: reset {p.model.reset!r}")
            if p.model.payload_code not in ("integer", "power_of_two"):
                raise ValueError(f"{p.name}: payload_code {p.model.payload_code!r}")
            takes_back = p.model.negative_threshold is not None and p.model.reset == "subtract"
            if p.model.memory and not takes_back:
                raise ValueError(f"{p.name}: memory without a negative threshold or soft reset")
            for gains in (p.model.input_gain, p.model.firing_gain):
                if gains and not (len(gains) == bundle.timesteps and min(gains) >= 0):
                    raise ValueError(f"{p.name}: gains {gains}")
            for name in _QUANTITIES:
                value = getattr(p.model, name)
                if value is not None:
                    p.spread(value)
            for theta in (p.model.threshold, p.model.negative_threshold):
                if theta is not None and theta.min() < 1:
                    raise ValueError(f"{p.name}: threshold {theta.min()} below 1")
        if isinstance(p.model, PoolSpec) and p.model.rule not in ("maximum", "winner"):
            raise ValueError(f"{p.name}: rule {p.model.rule!r}")
    for q in bundle.projections:
        pre, post = bundle.by_name[q.pre], bundle.by_name[q.post]
        if q.kind not in KINDS or q.delay < 1:
            raise ValueError(f"{q.label}: kind {q.kind!r}, delay {q.delay}")
        if q.pre_shape != pre.shape or q.post_shape != post.input_shape:
            raise ValueError(f"{q.label}: shapes differ from its populations'")
        _verify_weight(q)
    for name in bundle.outputs:
        if name not in bundle.by_name:
            raise ValueError(f"output {name!r}")


def _verify_weight(q: ProjectionSpec) -> None:
    n_pre, n_post = math.prod(q.pre_shape), math.prod(q.post_shape)
    if q.kind == "dense":
        good = q.weight.shape == (n_post, n_pre)
    elif q.kind == "sparse":
        indices = (q.post_index, q.pre_index)
        good = all(i is not None and i.shape == q.weight.shape for i in indices)
    elif q.window is None:
        good = False
    elif q.kind == "conv":
        good = q.weight.shape == (
            q.post_shape[0],
            q.pre_shape[0] // q.groups,
            *q.window.kernel,
        )
    else:
        good = q.weight.shape == q.pre_shape[:1]
    if not good or q.exponent.shape not in ((), q.post_shape[:1]):
        raise ValueError(f"{q.label}: weight of shape {q.weight.shape}")
