"""Compiled crossbar cores and their files; see docs/formats.md.

This module and the simulator stand alone: they know cores, axons and ticks, and nothing of
netlists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from neurodeploy.errors import FileFormatError
from neurodeploy.loading.files import arrays_and_metadata, expect_schema, parsed_json, read_bytes
from neurodeploy.loading.typed import from_table, mistyped

JSON_FILE = "cores.json"
ARRAY_FILE = "cores.safetensors"
SCHEMA = 2

NOWHERE = -1
"""Destination core of a neuron whose spikes nobody needs."""
HOST = -2
"""Destination core of a neuron whose spikes leave the chip."""
LINEAR, ZERO = 0, 1
"""Reset modes: subtract the threshold, or set the membrane to 0."""

AnyArray = npt.NDArray[Any]
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class HostLines:
    """A block of lines on which the host sends spikes, each to its fixed axons.

    Parameters
    ----------
    name : str
        The stimulus; for constant lines, what they are for.
    kind : {"raster", "constant"}
        ``raster``: line ``first + i`` carries row entry i of the stimulus. ``constant``: every
        line carries a spike in every step of the window.
    first, count : int
        Lines of the block.
    offset : int
        Tick in which spikes of stimulus step 0 arrive.
    open, close : int
        Arrivals outside ticks [open, close) are not sent.
    period : int
        Ticks of one step: a spike of stimulus step t arrives in tick ``t * period + offset``, and
        constant lines carry one in every ``period``-th tick from ``open`` on.
    """

    name: str
    kind: Literal["raster", "constant"]
    first: int
    count: int
    offset: int
    open: int
    close: int
    period: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Cores:
    """C cores of A axons and N neurons with G axon types, and the host's lines into them.

    Parameters
    ----------
    axons, neurons : int
        A and N.
    ticks : int
        Ticks of one sample.
    membrane_floor, membrane_max : int
        The lowest floor that a neuron can have, and where every membrane saturates.
    lines : tuple of HostLines
    axon_type : uint8 ``[C, A]``
    crossbar : uint8 ``[C, A, ceil(N / 8)]``
        One bit per axon and neuron, neuron n in bit ``7 - n % 8`` of byte ``n // 8``.
    weight : int16 ``[C, N, G]``
    leak, threshold, initial : int32 ``[C, N]``
        Added every tick; fires at >=; membrane before the first tick.
    floor : int32 ``[C, N]``
        Each membrane saturates there.
    reset : uint8 ``[C, N]``
        0: subtract the threshold, 1: set to 0.
    used : uint8 ``[C, N]``
        1 for neurons that exist.
    dest_core, dest_axon, dest_delay : int32, int16, uint8 ``[C, N]``
        The one destination; core -1: none, -2: the host.
    place : int32 ``[C, 3]``
        Chip, x and y.
    line_start : int64 ``[L + 1]``
        Line l reaches the targets ``line_start[l]`` .. ``line_start[l + 1] - 1``.
    line_core, line_axon : int32, int16 ``[K]``
    """

    axons: int
    neurons: int
    ticks: int
    membrane_floor: int
    membrane_max: int
    lines: tuple[HostLines, ...]
    axon_type: AnyArray
    crossbar: AnyArray
    weight: AnyArray
    leak: AnyArray
    threshold: AnyArray
    initial: AnyArray
    floor: AnyArray
    reset: AnyArray
    used: AnyArray
    dest_core: AnyArray
    dest_axon: AnyArray
    dest_delay: AnyArray
    place: AnyArray
    line_start: AnyArray
    line_core: AnyArray
    line_axon: AnyArray

    @property
    def n_cores(self) -> int:
        """C."""
        return int(self.axon_type.shape[0])

    def crossing(self, core: int) -> AnyArray:
        """Synapses of a core: uint8 ``[A, N]``, 0 or 1."""
        return np.unpackbits(self.crossbar[core], axis=1, count=self.neurons)


_LARGEST = 2**31
"""No tick and no membrane reaches it."""
_COMPILED = "a compiled file; compile again"
_SCALARS = ("axons", "neurons", "ticks", "membrane_floor", "membrane_max")
_ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "axon_type": ("uint8", ("C", "A")),
    "crossbar": ("uint8", ("C", "A", "bytes")),
    "weight": ("int16", ("C", "N", "G")),
    "leak": ("int32", ("C", "N")),
    "threshold": ("int32", ("C", "N")),
    "initial": ("int32", ("C", "N")),
    "floor": ("int32", ("C", "N")),
    "reset": ("uint8", ("C", "N")),
    "used": ("uint8", ("C", "N")),
    "dest_core": ("int32", ("C", "N")),
    "dest_axon": ("int16", ("C", "N")),
    "dest_delay": ("uint8", ("C", "N")),
    "place": ("int32", ("C", "three")),
    "line_start": ("int64", ("L+1",)),
    "line_core": ("int32", ("K",)),
    "line_axon": ("int16", ("K",)),
}


def save_cores(cores: Cores, folder: Path) -> None:
    """Write ``cores.json`` and ``cores.safetensors`` into ``folder``."""
    header = {
        "schema": SCHEMA,
        **{name: getattr(cores, name) for name in _SCALARS},
        "lines": [{f.name: getattr(block, f.name) for f in fields(block)} for block in cores.lines],
    }
    text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    write_arrays(folder / ARRAY_FILE, {name: getattr(cores, name) for name in _ARRAYS})


def load_cores(folder: Path) -> Cores:
    """Read what :func:`save_cores` wrote, and check that it describes cores.

    Raises
    ------
    FileFormatError
        For a missing or damaged file, another schema version, or contents no chip could hold.
    """
    where = folder / JSON_FILE
    header = read_header(where, SCHEMA)
    arrays = read_arrays(folder / ARRAY_FILE, {n: dtype for n, (dtype, _) in _ARRAYS.items()})
    scalars = {name: header.get(name) for name in _SCALARS}
    if fault := mistyped(Cores, scalars):
        raise FileFormatError(f"{where}: {fault}; compile again")
    lines = read_list(HostLines, header, "lines", where)
    parts: dict[str, Any] = {**scalars, **arrays}
    cores = Cores(lines=lines, **parts)
    for file, problem in ((ARRAY_FILE, _problem(cores)), (JSON_FILE, _header_problem(cores))):
        if problem:
            raise FileFormatError(f"{folder / file}: {problem}; compile again")
    return cores


def _header_problem(cores: Cores) -> str | None:
    """Why the numbers beside the arrays describe no cores, or None."""
    if not 1 <= cores.ticks < _LARGEST:
        return f"{cores.ticks} ticks a sample; expected 1 to {_LARGEST - 1}"
    n_lines = cores.line_start.size - 1
    for block in cores.lines:
        who = f"lines of {block.name!r:.60}"
        if block.count < 1:
            return f"{who} with count {block.count}; expected 1 or more"
        if block.first < 0 or block.first + block.count > n_lines:
            return f"{who} outside 0..{n_lines - 1}"
        if not 1 <= block.period < _LARGEST:
            return f"{who} with period {block.period}"
        if max(abs(t) for t in (block.offset, block.open, block.close)) >= _LARGEST:
            return f"{who} at ticks beyond {_LARGEST}"
    if not -_LARGEST <= cores.membrane_floor <= cores.membrane_max < _LARGEST:
        return f"membranes of {cores.membrane_floor} .. {cores.membrane_max}"
    return None


def _problem(cores: Cores) -> str | None:
    """Why these arrays describe no cores, or None."""
    sizes = {"A": cores.axons, "N": cores.neurons, "bytes": -(-cores.neurons // 8), "three": 3}
    for name, (_, axes) in _ARRAYS.items():
        shape = getattr(cores, name).shape
        if len(shape) != len(axes) or any(
            sizes.setdefault(axis, n) != n for axis, n in zip(axes, shape, strict=True)
        ):
            return f"{name} of shape {shape}"
    ends = cores.line_start
    if (
        ends.size < 1
        or ends[0] != 0
        or ends[-1] != cores.line_core.size
        or (np.diff(ends) < 0).any()
    ):
        return "line_start is not an index into line_core"
    targets = [
        ("dest", cores.dest_core, cores.dest_axon),
        ("line", cores.line_core, cores.line_axon),
    ]
    for what, core, axon in targets:
        on_chip = core >= 0
        if (core < (HOST if what == "dest" else 0)).any() or (core >= cores.n_cores).any():
            return f"{what}_core outside 0..{cores.n_cores - 1}"
        if (axon[on_chip] < 0).any() or (axon[on_chip] >= cores.axons).any():
            return f"{what}_axon outside 0..{cores.axons - 1}"
    if (cores.dest_delay[cores.dest_core >= 0] < 1).any():
        return "dest_delay below 1"
    if cores.axon_type.size and cores.axon_type.max() >= cores.weight.shape[2]:
        return f"axon_type outside 0..{cores.weight.shape[2] - 1}"
    if cores.floor.size and cores.floor.min() < cores.membrane_floor:
        return f"floor below {cores.membrane_floor}"
    if cores.reset.size and cores.reset.max() > ZERO:
        return "reset outside 0..1"
    if cores.used.size and cores.used.max() > 1:
        return "used outside 0..1"
    return None


def write_arrays(path: Path, arrays: dict[str, AnyArray]) -> None:
    """Write arrays as safetensors."""
    from safetensors.numpy import save

    # safetensors writes non-contiguous arrays wrongly without a word, and tells a full disk by an
    # error of its own.
    path.write_bytes(save({n: np.ascontiguousarray(a) for n, a in arrays.items()}))


def read_header(path: Path, schema: int) -> dict[str, Any]:
    """Read a JSON header of the given schema version; raises FileFormatError."""
    content = read_bytes(path, _COMPILED)
    header = parsed_json(content, f"{path}: not JSON, or truncated; compile again")
    found = header.get("schema") if isinstance(header, dict) else None
    expect_schema(found, schema, path, "compile again")
    return dict(header)


def read_list(
    cls: type[_Record], header: dict[str, Any], key: str, where: Path
) -> tuple[_Record, ...]:
    """The records of a list in a header; raises FileFormatError."""
    entries = header.get(key)
    if not isinstance(entries, list):
        raise FileFormatError(f"{where}: {key} is no list; compile again")
    try:
        return tuple(from_table(cls, entry) for entry in entries)
    except FileFormatError as error:
        raise FileFormatError(f"{where}: {key}: {error}; compile again") from error


def read_arrays(path: Path, dtypes: dict[str, str]) -> dict[str, AnyArray]:
    """Read the named arrays of a safetensors file; raises FileFormatError."""
    content = read_bytes(path, _COMPILED)
    damaged = f"{path}: not safetensors, or truncated; compile again"
    arrays, _ = arrays_and_metadata(content, damaged)
    if set(arrays) != set(dtypes):
        odd = sorted(set(arrays) ^ set(dtypes))
        raise FileFormatError(f"{path}: missing or unknown arrays {odd}; compile again")
    for name, dtype in dtypes.items():
        if arrays[name].dtype != np.dtype(dtype):
            raise FileFormatError(
                f"{path}: {name} of dtype {arrays[name].dtype}, expected {dtype}; compile again"
            )
    return arrays
