"""Readout, from chip neurons back to populations. The simulator does not need it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.loading.typed import mistyped
from neurodeploy.targets.truenorth.cores import JSON_FILE as CORES_FILE
from neurodeploy.targets.truenorth.cores import (
    Cores,
    HostLines,
    read_arrays,
    read_header,
    read_list,
    write_arrays,
)
from neurodeploy.targets.truenorth.one_core import CoreRun

JSON_FILE = "populations.json"
ARRAY_FILE = "populations.safetensors"
SCHEMA = 2

_ARRAYS = {"population": "int32", "neuron": "int32", "lag": "uint8", "mark": "int8"}

LARGEST_LAG = 255
LARGEST_PERIOD = 2**31

DISAGREE = -1
"""Recorded where the copies of one neuron differ: no crossbar neuron can emit it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Steps ``[first, end)`` of a population, in runs whose first tick is ``tick`` of the chip."""

    first: int
    end: int
    tick: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Places of each population's neurons and of their copies.

    Parameters
    ----------
    populations : tuple of str
    starts : tuple of int
        Tick at which each window opens.
    timesteps : int
        T.
    period : int
        Ticks of one step.
    population, neuron : int32 ``[C, N]``
        Index into ``populations`` and flat index there; -1 for unused neurons.
    lag : uint8 ``[C, N]``
        Ticks by which the neuron repeats its population: 0, or more on splitter cores.
    mark : int8 ``[C, N]``
        0 for neurons that stand for ``neuron`` itself; 1 or -1 for those that hold a partial sum of
        it or minus it, 2 for its sum and 3 for what repays it, where it has a ramp.
    """

    populations: tuple[str, ...]
    starts: tuple[int, ...]
    timesteps: int
    population: AnyArray
    neuron: AnyArray
    lag: AnyArray
    mark: AnyArray
    period: int = 1

    def cores_of(self, names: Sequence[str]) -> list[int]:
        """Cores that hold neurons of the populations themselves."""
        wanted = [self.populations.index(n) for n in names]
        inside = np.isin(self.population, wanted) & (self.lag == 0) & (self.mark == 0)
        return [int(c) for c in np.flatnonzero(inside.any(axis=1))]

    def cores_read(self, names: Sequence[str]) -> frozenset[int]:
        """Cores with anything that :meth:`spikes` compares for the populations."""
        return frozenset(int(c) for n in names for c in np.unique(self._where(n)[0]))

    def is_ramped(self, name: str) -> bool:
        """Whether a population's membranes are those of sums, with their thresholds raised."""
        index = self.populations.index(name)
        return bool(((self.population == index) & (self.mark == 2)).any())

    def lag_of(self, name: str) -> int:
        """Ticks by which the last copy of a population repeats it."""
        return int(self.lag[self._where(name)].max(initial=0))

    def spikes(
        self, name: str, n_neurons: int, runs: Sequence[CoreRun], span: Span | None = None
    ) -> AnyArray:
        """Spikes of a population in its window, or a span of it: int8 ``[B, T, n]``.

        All copies are compared; where they differ the value is :data:`DISAGREE`.
        """
        where, span = self._where(name), span or Span(0, self.timesteps)
        shape = (span.end - span.first, runs[0].spikes.shape[1], n_neurons)
        found = np.zeros(shape, dtype=np.int8)
        seen = np.zeros(n_neurons, dtype=bool)
        differ: list[tuple[IntArray, AnyArray]] = []
        for core in np.unique(where[0]).tolist():
            places = where[1][where[0] == core]
            owner, stream = self.neuron[core, places], runs[core].stream[places]
            lag = self.lag[core, places]
            pairs = np.unique(np.stack([owner, stream, lag]), axis=1)
            for ticks in np.unique(pairs[2]).tolist():
                neurons, streams, _ = pairs[:, pairs[2] == ticks]
                part = runs[core].spikes[self._steps(name, ticks, span)][..., streams]
                # One neuron can have several streams in a core if its copies were edited.
                _, once = np.unique(neurons, return_index=True)
                for index in (once, np.setdiff1d(np.arange(neurons.size), once)):
                    new = index[~seen[neurons[index]]]
                    old = np.setdiff1d(index, new)
                    # A splitter may repeat the last steps after the sample has ended.
                    found[: part.shape[0]][..., neurons[new]] = part[..., new]
                    seen[neurons[new]] = True
                    if old.size:
                        # In case of a difference, remember it until all copies were looked at.
                        wrong = found[: part.shape[0]][..., neurons[old]] != part[..., old]
                        if wrong.any():
                            differ.append((neurons[old], wrong))
        for neurons, wrong in differ:
            for k, neuron in enumerate(neurons.tolist()):
                found[: wrong.shape[0], :, neuron][wrong[..., k]] = DISAGREE
        return found.swapaxes(0, 1)

    def membranes(
        self, name: str, n_neurons: int, runs: Sequence[CoreRun], span: Span | None = None
    ) -> AnyArray:
        """Membranes of a population after each step: int32 ``[B, T, n]``, of the first copies."""
        where, span = self._where(name), span or Span(0, self.timesteps)
        shape = (span.end - span.first, runs[0].spikes.shape[1], n_neurons)
        found = np.zeros(shape, dtype=np.int32)
        for core in np.unique(where[0]).tolist()[::-1]:
            places = where[1][where[0] == core][::-1]
            places = places[self.lag[core, places] == 0]
            trace = runs[core].membranes
            if places.size and trace is not None:
                owner, streams = self.neuron[core, places], runs[core].stream[places]
                for neuron, stream in zip(owner.tolist(), streams.tolist(), strict=True):
                    found[..., neuron] = trace[self._steps(name, 0, span), :, stream]
        return found.swapaxes(0, 1)

    def _where(self, name: str) -> tuple[IntArray, IntArray]:
        index = self.populations.index(name)
        core, place = np.nonzero((self.population == index) & (self.mark == 0))
        return core, place

    def _steps(self, name: str, lag: int, span: Span) -> slice:
        """The ticks of a population's steps."""
        start = self.starts[self.populations.index(name)] + lag - span.tick
        first, end = (start + step * self.period for step in (span.first, span.end))
        return slice(first, end, self.period)


@dataclass(frozen=True, slots=True)
class _Start:
    """The tick in which a population is first compared."""

    name: str
    start: int


def save_readout(readout: Readout, layers: list[dict[str, Any]], folder: Path) -> None:
    """Write ``populations.json`` (with the compiler's report) and ``populations.safetensors``."""
    header = {
        "schema": SCHEMA,
        "timesteps": readout.timesteps,
        "period": readout.period,
        "populations": [
            {"name": n, "start": s}
            for n, s in zip(readout.populations, readout.starts, strict=True)
        ],
        "layers": layers,
    }
    # Not sorted: the report is shown in the order of its keys.
    text = json.dumps(header, indent=1, allow_nan=False)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    arrays = {name: getattr(readout, name) for name in _ARRAYS}
    write_arrays(folder / ARRAY_FILE, arrays)


def load_readout(folder: Path) -> tuple[Readout, list[dict[str, Any]]]:
    """Read what :func:`save_readout` wrote: the map and the compiler's report.

    Raises
    ------
    FileFormatError
        If it is missing or damaged.
    """
    header = read_header(folder / JSON_FILE, SCHEMA)
    arrays = read_arrays(folder / ARRAY_FILE, _ARRAYS)
    where = folder / JSON_FILE
    listed = read_list(_Start, header, "populations", where)
    names, starts = tuple(p.name for p in listed), tuple(p.start for p in listed)
    times = {key: header.get(key) for key in ("timesteps", "period")}
    if fault := mistyped(Readout, times):
        raise FileFormatError(f"{where}: {fault}; compile again")
    layers = header.get("layers")
    if not isinstance(layers, list) or not all(isinstance(entry, dict) for entry in layers):
        raise FileFormatError(f"{where}: layers are no list of tables; compile again")
    if len({a.shape for a in arrays.values()}) > 1 or arrays["population"].ndim != 2:
        raise FileFormatError(f"{folder / ARRAY_FILE}: shapes differ; compile again")
    if arrays["population"].size and arrays["population"].max() >= len(names):
        raise FileFormatError(f"{folder / ARRAY_FILE}: unknown population; compile again")
    parts: dict[str, Any] = {**times, **arrays}
    readout = Readout(names, starts, **parts)
    if not 1 <= readout.period < LARGEST_PERIOD:
        raise FileFormatError(f"{where}: period {readout.period}; compile again")
    return readout, layers


def expect_of(readout: Readout, cores: Cores, netlist: IntegerNetlist, folder: Path) -> None:
    """Refuse cores and a map of other neurons, inputs or times than the network's beside them.

    Raises
    ------
    FileFormatError
    """
    sizes = {p.name: p.size for p in netlist.populations}
    where = f"{folder / JSON_FILE}"
    own = [p.name for p in netlist.populations if not isinstance(p.model, Input)]
    if sorted(readout.populations) != sorted(own) or readout.timesteps != netlist.timesteps:
        raise FileFormatError(f"{where}: not of the network in net.ndn; compile again")
    if readout.population.shape != cores.used.shape:
        raise FileFormatError(
            f"{folder / ARRAY_FILE}: neurons of shape {readout.population.shape}, the cores have "
            f"{cores.used.shape}; compile again"
        )
    _expect_times(readout, cores.ticks, where)
    _expect_lines(readout, cores.lines, netlist, f"{folder / CORES_FILE}")
    used = readout.population >= 0
    sized = np.array([sizes[name] for name in readout.populations], np.int64)
    top = sized[readout.population[used]]
    inside = (readout.neuron[used] >= 0) & (readout.neuron[used] < top)
    # What no core runs has no spikes to read.
    if (readout.population < -1).any() or not inside.all() or (used & (cores.used == 0)).any():
        raise FileFormatError(f"{folder / ARRAY_FILE}: neurons outside; compile again")


def _expect_times(readout: Readout, ticks: int, where: str) -> None:
    """Every step of every population lies in the ticks of a sample, which end soon after."""
    steps, period = readout.timesteps, readout.period
    for name, start in zip(readout.populations, readout.starts, strict=True):
        last = start + period * (steps - 1)
        if start < 0 or last >= ticks:
            raise FileFormatError(
                f"{where}: steps of {name!r:.60} in ticks {start} to {last}, a sample has {ticks}; "
                "compile again"
            )
    # A splitter may repeat the last step of a population by the largest lag.
    latest = max(readout.starts, default=0) + period * (steps + 1) + LARGEST_LAG
    if ticks > latest:
        raise FileFormatError(f"{where}: {ticks} ticks for steps until {latest}; compile again")


def _expect_lines(
    readout: Readout, lines: tuple[HostLines, ...], netlist: IntegerNetlist, where: str
) -> None:
    """Every input that leads anywhere has its host lines, in steps of the map's length."""
    inputs = {p.name: p.size for p in netlist.inputs}
    rasters = {(block.name, block.count) for block in lines if block.kind == "raster"}
    sent = {(q.pre, inputs[q.pre]) for q in netlist.projections if q.pre in inputs}
    if odd := sorted(f"{name!r:.60} ({count} lines)" for name, count in rasters ^ sent):
        told = ", ".join(f"{name} ({size})" for name, size in inputs.items())
        raise FileFormatError(
            f"{where}: host lines that are missing or of no input: {', '.join(odd[:3])}; the "
            f"network's inputs are {told}; compile again"
        )
    for block in lines:
        if block.period != readout.period:
            raise FileFormatError(
                f"{where}: lines of {block.name!r:.60} with period {block.period}, {JSON_FILE} has "
                f"{readout.period}; compile again"
            )
