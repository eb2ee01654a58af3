"""Storage of netlists: the classes that a file may hold, its arrays, its JSON.

A ``.ndn`` file (:mod:`neurodeploy.network`) and the compiled files of targets
(:mod:`neurodeploy.targets.timed`) are written by the same codec; docs/formats.md tells what they
hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray, narrowed
from neurodeploy.ir.codec import Codec
from neurodeploy.ir.connectivity import CONNECTIVITIES
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import (
    IntegerNetlist,
    IntegerProjection,
    Output,
    Population,
    RealNetlist,
    RealProjection,
)
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool, RealNeuron

_CLASSES = (
    *CONNECTIVITIES,
    Window,
    Input,
    MaxPool,
    RealNeuron,
    IntegerNeuron,
    Population,
    RealProjection,
    IntegerProjection,
    Output,
    RealNetlist,
    IntegerNetlist,
    Encoding,
)
SHARED_BYTES = 1024
"""Arrays from here on are written once, however many parts have them."""
_JOINED = (
    "coding",
    "firing_gain",
    "input_gain",
    "mean",
    "memory",
    "payload_code",
    "rule",
    "signed",
)
# Written only where they are not the default.
_SPARSE = (
    "comparison",
    "floor",
    "refractory",
    "reset_value",
    "saturation",
    "spacing",
    "strict",
)


def netlist_codec(*more: type) -> Codec:
    """The codec of everything that netlists are made of, and of the classes given."""
    return Codec((*_CLASSES, *more), joined=_JOINED, sparse=_SPARSE)


def array_bytes(arrays: Mapping[str, AnyArray], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file: little-endian, C order, numbers in the smallest width that holds them.

    int64 as 8 bits and more, float64 in single precision where that loses nothing.
    """
    from safetensors.numpy import save

    # safetensors writes non-contiguous arrays wrongly without a word, hence the copies.
    narrow = {k: _narrow(v) for k, v in arrays.items()}
    dense = {k: np.ascontiguousarray(v).reshape(v.shape) for k, v in narrow.items()}
    content: bytes = save(dense, metadata=None if metadata is None else dict(metadata))
    return content


def content_digest(structure: str, arrays: Mapping[str, AnyArray]) -> str:
    """SHA-256 of what a file says, whatever way it is laid out: a text, and arrays by name."""
    found = hashlib.sha256(structure.encode())
    for name in sorted(arrays):
        array = _narrow(arrays[name])
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _narrow(array: AnyArray) -> AnyArray:
    if array.dtype == np.int64:
        return narrowed(array)
    return array.astype(np.float32) if is_single(array) else array


def is_single(array: AnyArray) -> bool:
    """Whether these are double-precision numbers that single precision holds."""
    if array.dtype != np.float64:
        return False
    with np.errstate(over="ignore"):
        return bool((array.astype(np.float32) == array).all())


def shared_arrays(arrays: dict[str, AnyArray]) -> dict[str, str]:
    """Take out all arrays that another one equals, and say which: key -> key of the other."""
    first: dict[tuple[Any, ...], str] = {}
    shared: dict[str, str] = {}
    for key, array in arrays.items():
        if array.nbytes >= SHARED_BYTES:
            digest = hashlib.sha256(np.ascontiguousarray(array).data).digest()
            other = first.setdefault((array.dtype.str, array.shape, digest), key)
            if other != key:
                shared[key] = other
    for key in shared:
        del arrays[key]
    return shared
