"""Simulator of crossbar cores, tick by tick, from the compiled cores alone.

In tick n of a core, with x[i] = 1 where a spike reaches axon i::

    v <- v + sum_i x[i] * crossbar[i, j] * weight[j, type(i)] + leak[j]
    v <- min(max(v, floor[j]), membrane_max)
    fire where v >= threshold[j]: v <- v - threshold[j] (linear) or 0 (zero)

A spike of tick n with delay d reaches its axon in tick n + d; several spikes that reach one axon in
one tick are one. Samples are independent: the host resets all membranes between them.

Where cores form no cycle, a core runs all its ticks before the next one starts; neurons of a core
with equal parameters and equal synapses are computed once; ticks in which nothing can happen, no
arrival and nobody at threshold, are passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from neurodeploy.errors import DataError, FileFormatError
from neurodeploy.targets.truenorth.cores import HOST, AnyArray, Cores
from neurodeploy.targets.truenorth.one_core import CoreRun, CoreState, PreparedCore

EVENTS = (
    "axon_events",
    "synops",
    "updates_active",
    "updates_inactive",
    "spikes",
    "packets",
    "hops_x",
    "hops_y",
    "chip_crossings",
    "host_in",
    "host_out",
)
"""Counted per core: spikes reaching its axons and the synapses they meet; updates of its neurons
(every neuron in every tick; active if its membrane was or is not 0, its leak is not 0, or it
fires); their spikes; those sent to axons, and their hops; and spikes from and to the host."""


@dataclass(slots=True)
class Held:
    """What cores keep between the pieces of a stream.

    Parameters
    ----------
    states : list of CoreState
    pending : list of uint8 ``[delays, B, axons]``
        Spikes under way, by the ticks to come in which they arrive.
    """

    states: list[CoreState]
    pending: list[AnyArray]


class CoreSimulator:
    """Cores prepared for simulation; :meth:`run` can be called any number of times.

    Parameters
    ----------
    cores : Cores
    positions : int64 ``[C, 4]``, optional
        Where each core lies on the board: x and y over all chips, x and y of its chip. Without
        it, all lie on one chip.

    Raises
    ------
    FileFormatError
        If weights are so large that sums of 32-bit floats would not be exact.
    """

    def __init__(self, cores: Cores, positions: AnyArray | None = None) -> None:
        self.cores = cores
        self._positions = _on_one_chip(cores) if positions is None else positions
        self._core = [PreparedCore(cores, c) for c in range(cores.n_cores)]
        self._inbound = _inbound(cores, self._core)
        sources = [sorted({s for s, *_ in self._inbound[c]}) for c in range(cores.n_cores)]
        self._order = components(sources)
        n_lines = cores.line_start.size - 1
        self._line_of = np.repeat(np.arange(n_lines), np.diff(cores.line_start))
        order = np.argsort(cores.line_core, kind="stable")
        bounds = np.searchsorted(cores.line_core[order], np.arange(cores.n_cores + 1))
        self._host = [order[bounds[c] : bounds[c + 1]] for c in range(cores.n_cores)]

    @property
    def n_streams(self) -> int:
        """Distinct neurons over all cores: bytes per sample and tick that a run holds."""
        return sum(core.n_streams for core in self._core)

    def run(
        self,
        stimulus: Mapping[str, AnyArray],
        *,
        membranes: Collection[int] = (),
        spikes: Collection[int] | None = None,
        batch: int = 1,
    ) -> tuple[list[CoreRun], dict[str, AnyArray]]:
        """Run a batch of samples.

        Parameters
        ----------
        stimulus : mapping of name to 0/1 array ``[B, T, n]``
            For every raster block of host lines; constant lines need none.
        membranes : collection of int
            Cores whose membranes are kept.
        spikes : collection of int, optional
            Cores whose spikes are kept; the others' are let go (0 ticks) once nobody needs them.
        batch : int
            B where there is no raster block that tells it. [default: 1]

        Returns
        -------
        runs : list of CoreRun, one per core
        events : mapping of event to int64 ``[C]``
            Sums over the batch, see :data:`EVENTS`.

        Raises
        ------
        DataError
            If the stimulus does not fit the lines.
        """
        lines = self._host_spikes(stimulus, batch)
        n_cores = self.cores.n_cores
        events: dict[str, AnyArray] = {name: np.zeros(n_cores, dtype=np.int64) for name in EVENTS}
        return self._run(lines, frozenset(membranes), spikes, None, events), events

    def advance(
        self, lines: AnyArray, held: Held, membranes: Collection[int] = ()
    ) -> list[CoreRun]:
        """Run on, from what is held, for as many ticks as there are host spikes.

        Parameters
        ----------
        lines : uint8 ``[ticks, B, lines]``
            Spikes that the host sends.
        held : Held
            Updated.
        membranes : collection of int
            Cores whose membranes are kept.
        """
        return self._run(lines, frozenset(membranes), None, held, None)

    def _run(
        self,
        lines: AnyArray,
        keep: frozenset[int],
        spikes: Collection[int] | None,
        held: Held | None,
        events: dict[str, AnyArray] | None,
    ) -> list[CoreRun]:
        cores, ticks = self.cores, lines.shape[0]
        runs: dict[int, CoreRun] = {}
        sources = [{s for s, *_ in edges} for edges in self._inbound]
        waiting = [0 if spikes is None or c in spikes else 1 for c in range(cores.n_cores)]
        for source in itertools.chain.from_iterable(sources):
            waiting[source] += 1
        for members in self._order:
            arriving = {c: self._from_host(c, lines, held) for c in members}
            for c in members:
                if events is not None:
                    events["host_in"][c] = int(arriving[c].sum(dtype=np.int64))
                self._arrive(c, arriving[c], runs, frozenset(members))
            inner = [
                (source, c, delay, streams, axons)
                for c in members
                for source, delay, streams, axons in self._inbound[c]
                if source in members
            ]
            states = {
                c: CoreState(self._core[c], lines.shape[1]) if held is None else held.states[c]
                for c in members
            }
            if inner:
                self._run_cycle(ticks, arriving, inner, states, runs, keep)
            else:
                (c,) = members
                runs[c] = self._core[c].run(arriving[c], ticks, c in keep, states[c])
            for c in members:
                if held is not None:
                    held.pending[c] = arriving[c][ticks:].copy()
                if events is not None:
                    self._count(c, arriving[c], runs[c], events)
            if spikes is None:
                continue
            for source in itertools.chain(members, *(sources[c] for c in members)):
                waiting[source] -= 1
                if not waiting[source] and source not in spikes:
                    runs[source] = replace(runs[source], spikes=runs[source].spikes[:0].copy())
        return [runs[c] for c in range(cores.n_cores)]

    def at_rest(self, batch: int) -> Held:
        """What is held before the first tick."""
        reach = int(self.cores.dest_delay.max(initial=0))
        return Held(
            [CoreState(core, batch) for core in self._core],
            [np.zeros((reach, batch, core.n_axons), np.uint8) for core in self._core],
        )

    def _host_spikes(self, stimulus: Mapping[str, AnyArray], batch: int) -> AnyArray:
        cores = self.cores
        wanted = {b.name for b in cores.lines if b.kind == "raster"}
        if set(stimulus) != wanted:
            raise DataError(f"stimulus for {sorted(stimulus)}; the cores take {sorted(wanted)}")
        sizes = {int(values.shape[0]) for values in stimulus.values()}
        if len(sizes) > 1:
            raise DataError(f"stimuli with different numbers of samples: {sorted(sizes)}")
        batch = sizes.pop() if sizes else batch
        lines = np.zeros((cores.ticks, batch, cores.line_start.size - 1), dtype=np.uint8)
        for block in cores.lines:
            open_, close = max(block.open, 0), min(block.close, cores.ticks)
            where = slice(block.first, block.first + block.count)
            if block.kind == "constant":
                lines[block.open : close : block.period, :, where] = 1
                continue
            values = stimulus[block.name]
            if values.ndim != 3 or values.shape[2] != block.count:
                raise DataError(
                    f"stimulus {block.name!r} of shape {values.shape}; expected (samples, steps, "
                    f"{block.count})"
                )
            arrival = block.offset + block.period * np.arange(values.shape[1])
            sent = np.flatnonzero((arrival >= open_) & (arrival < close))
            lines[arrival[sent], :, where] = values[:, sent].swapaxes(0, 1)
        return lines

    def _from_host(self, core: int, lines: AnyArray, held: Held | None) -> AnyArray:
        """What arrives from the host, and, of a stream, what is on its way for later ticks too."""
        (ticks, batch), reach = lines.shape[:2], 0 if held is None else len(held.pending[core])
        arriving = np.zeros((ticks + reach, batch, self._core[core].n_axons), dtype=np.uint8)
        if held is not None:
            arriving[:reach] = held.pending[core]
        targets = self._host[core]
        axons = self._core[core].place_of[self.cores.line_axon[targets]]
        live = axons >= 0
        _merge(arriving[:ticks], axons[live], lines[:, :, self._line_of[targets[live]]])
        return arriving

    def _arrive(
        self, core: int, arriving: AnyArray, runs: Mapping[int, CoreRun], members: frozenset[int]
    ) -> None:
        length = arriving.shape[0]
        for source, delay, streams, axons in self._inbound[core]:
            if source not in members and delay < length:
                sent = runs[source].spikes[: length - delay]
                _merge(arriving[delay : delay + len(sent)], axons, sent[:, :, streams])

    def _run_cycle(
        self,
        ticks: int,
        arriving: dict[int, AnyArray],
        inner: list[tuple[int, int, int, AnyArray, AnyArray]],
        states: dict[int, CoreState],
        runs: dict[int, CoreRun],
        keep: frozenset[int],
    ) -> None:
        spikes: dict[int, AnyArray] = {}
        membranes: dict[int, AnyArray | None] = {}
        for c, state in states.items():
            spikes[c] = np.zeros((ticks, *state.v.shape), dtype=np.uint8)
            membranes[c] = np.zeros_like(spikes[c], dtype=np.int32) if c in keep else None
        for tick in range(ticks):
            for c, state in states.items():
                spikes[c][tick] = state.step(self._core[c].integrate(arriving[c][tick]))
                trace = membranes[c]
                if trace is not None:
                    trace[tick] = state.v
            for source, c, delay, streams, axons in inner:
                if tick + delay < arriving[c].shape[0]:
                    _merge(arriving[c][tick + delay], axons, spikes[source][tick][:, streams])
        for c, state in states.items():
            runs[c] = CoreRun(self._core[c].stream, spikes[c], state.active, membranes[c])

    def _count(self, c: int, arriving: AnyArray, run: CoreRun, events: dict[str, AnyArray]) -> None:
        core, cores = self._core[c], self.cores
        per_axon = arriving.sum(axis=(0, 1), dtype=np.int64)
        events["axon_events"][c] = per_axon.sum()
        events["synops"][c] = per_axon @ core.synapses_per_axon
        own = core.stream[core.neurons]
        events["updates_active"][c] = run.active[own].sum()
        updates = core.neurons.size * cores.ticks * arriving.shape[1]
        events["updates_inactive"][c] = updates - events["updates_active"][c]
        fired = run.spikes.sum(axis=(0, 1), dtype=np.int64)[own]
        to = cores.dest_core[c, core.neurons]
        events["spikes"][c] = fired.sum()
        events["host_out"][c] = fired[to == HOST].sum()
        sent, to = fired[to >= 0], to[to >= 0]
        events["packets"][c] = sent.sum()
        x, y, *chips = np.abs(self._positions[to] - self._positions[c]).T
        for name, hops in (("hops_x", x), ("hops_y", y), ("chip_crossings", sum(chips))):
            events[name][c] = sent @ hops


def _on_one_chip(cores: Cores) -> AnyArray:
    chip, x, y = cores.place.astype(np.int64).T
    if chip.any():
        raise FileFormatError("cores on several chips, and no board that tells how these lie")
    return np.stack([x, y, chip, chip], axis=1)


def _inbound(
    cores: Cores, prepared: list[PreparedCore]
) -> list[list[tuple[int, int, AnyArray, AnyArray]]]:
    """Per core, its links by (source core, delay): streams sent and the axons they reach."""
    inbound: list[list[tuple[int, int, AnyArray, AnyArray]]] = [[] for _ in prepared]
    for source, core in enumerate(prepared):
        to = cores.dest_core[source, core.neurons].astype(np.int64)
        delay = cores.dest_delay[source, core.neurons].astype(np.int64)
        for c, d in sorted(set(zip(to.tolist(), delay.tolist(), strict=True))):
            if c < 0:
                continue
            senders = core.neurons[(to == c) & (delay == d)]
            axons = prepared[c].place_of[cores.dest_axon[source, senders]]
            live = axons >= 0
            if live.any():
                inbound[c].append((source, d, core.stream[senders][live], axons[live]))
    return inbound


def _merge(arriving: AnyArray, axons: AnyArray, spikes: AnyArray) -> None:
    """Put ``spikes[..., k]`` on ``arriving[..., axons[k]]``: any number of spikes is one."""
    if np.unique(axons).size == axons.size:
        arriving[..., axons] |= spikes
        return
    for k, axon in enumerate(axons):
        arriving[..., axon] |= spikes[..., k]


def components(sources: list[list[int]]) -> list[list[int]]:
    """Strongly connected components of the core graph, sources first."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(sources)))
    graph.add_edges_from((s, c) for c, mine in enumerate(sources) for s in mine)
    # Components of a graph come out in order of its reversed edges: their inputs come first.
    return [sorted(members) for members in nx.strongly_connected_components(graph.reverse())]
