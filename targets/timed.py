"""Netlists with explicit timing, as Lava and Brian2 run them, and their two files.

``NAME.json`` holds the structure and ``NAME.safetensors`` the arrays, in the terms of the codec of
``.ndn`` files. docs/formats.md tells what they hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from neurodeploy.errors import FileFormatError, NetlistError
from neurodeploy.ir.arrays import whole
from neurodeploy.ir.files import write_bytes_whole
from neurodeploy.ir.netlist import IntegerNetlist, Population
from neurodeploy.ir.storage import array_bytes, netlist_codec
from neurodeploy.loading.files import arrays_and_metadata, expect_schema, parsed_json, read_bytes

DEPLOYMENT_SCHEMA = 3
RECOMPILE = "compile again with 'neurodeploy compile'"
"""The remedy for every compiled file that cannot be read."""

_Timed = TypeVar("_Timed", bound="TimedNetlist")


@dataclass(frozen=True, eq=False)
class TimedNetlist:
    """An integer netlist in which every delay is given, and when each window opens.

    Parameters
    ----------
    netlist : IntegerNetlist
        Without what only conversion needs: units, sources and means of populations.
    depth : mapping of population name to int
        The population is active in steps [depth, depth + T) of a sample.
    """

    netlist: IntegerNetlist
    depth: Mapping[str, int]

    def __post_init__(self) -> None:
        if not isinstance(self.netlist, IntegerNetlist):
            raise NetlistError("no integer netlist")
        if set(self.depth) != set(self.netlist.by_name):
            raise NetlistError("depths of other populations")
        for name, depth in self.depth.items():
            if whole(depth, f"{name}: depth") < 0:
                raise NetlistError(f"{name}: depth {depth}; the smallest is 0")
        for projection in self.netlist.projections:
            if projection.delay is None:
                raise NetlistError(f"{projection.label}: no delay")

    @classmethod
    def of(cls: type[_Timed], netlist: IntegerNetlist, **fields: Any) -> _Timed:
        """A netlist with the depths and delays of its schedule."""
        plan = netlist.schedule
        timed = replace(
            netlist,
            populations=tuple(Population(p.name, p.shape, p.model) for p in netlist.populations),
            projections=tuple(
                replace(q, delay=delay)
                for q, delay in zip(netlist.projections, plan.delays, strict=True)
            ),
        )
        return cls(timed, dict(plan.depth), **fields)

    @property
    def timesteps(self) -> int:
        """T."""
        return self.netlist.timesteps

    @property
    def populations(self) -> tuple[Population, ...]:
        """The populations of the netlist."""
        return self.netlist.populations

    @property
    def by_name(self) -> Mapping[str, Population]:
        """Populations by name."""
        return self.netlist.by_name

    @property
    def max_depth(self) -> int:
        """The largest depth."""
        return max(self.depth.values())


def write_timed(timed: TimedNetlist, folder: Path, name: str) -> None:
    """Write ``NAME.json`` and ``NAME.safetensors`` into ``folder``."""
    structure, arrays = netlist_codec(type(timed)).encode(timed)
    header = {"schema": DEPLOYMENT_SCHEMA, "network": structure}
    text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    write_bytes_whole(folder / f"{name}.safetensors", array_bytes(arrays))
    write_bytes_whole(folder / f"{name}.json", text.encode() + b"\n")


def read_timed(cls: type[_Timed], folder: Path, name: str) -> _Timed:
    """Read what :func:`write_timed` wrote of a value of ``cls``.

    Raises
    ------
    FileFormatError
        If a file is missing, truncated, of another schema version, or contradicts itself.
    """
    where, beside = folder / f"{name}.json", folder / f"{name}.safetensors"
    text = read_bytes(where, "a compiled network")
    content = read_bytes(beside, "the arrays of a compiled network")
    damaged = f"damaged or truncated; {RECOMPILE}"
    header = parsed_json(text, f"{where}: {damaged}")
    if not isinstance(header, dict) or not {"schema", "network"} <= set(header):
        raise FileFormatError(f"{where}: {damaged}")
    expect_schema(header["schema"], DEPLOYMENT_SCHEMA, where, RECOMPILE)
    arrays, _ = arrays_and_metadata(content, f"{beside}: {damaged}")
    try:
        timed = netlist_codec(cls).decode(header["network"], arrays)
    except FileFormatError as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{where}: {reason}; {RECOMPILE}") from error
    if not isinstance(timed, cls):
        raise FileFormatError(f"{where}: no {cls.__name__}; {RECOMPILE}")
    return timed


def expect_same(timed: TimedNetlist, netlist: IntegerNetlist, folder: Path, name: str) -> None:
    """Refuse compiled files of another network, or of other times, than the one beside them.

    Weights, neurons and delays may differ: a run computes from the compiled files, and ``verify``
    finds it.

    Raises
    ------
    FileFormatError
    """
    mine, theirs = ([(p.name, p.shape) for p in n.populations] for n in (timed.netlist, netlist))
    steps = timed.timesteps + timed.max_depth
    if (
        mine != theirs
        or timed.timesteps != netlist.timesteps
        or dict(timed.depth) != dict(netlist.schedule.depth)
        or any(q.delay is not None and q.delay > steps for q in timed.netlist.projections)
    ):
        raise FileFormatError(
            f"{folder}: {name}.json and net.ndn describe different networks; {RECOMPILE}"
        )
