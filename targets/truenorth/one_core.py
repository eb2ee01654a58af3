"""One crossbar core over a batch: its distinct neurons, their ticks, and the ticks passed over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.numerics.products import Product
from neurodeploy.targets.truenorth.cores import ZERO, AnyArray, Cores

LARGEST_SUM = 2**30  # leaves the other half of an int32 to the membrane


@dataclass(frozen=True, slots=True)
class CoreRun:
    """One core's run over a batch.

    Parameters
    ----------
    stream : int64 ``[N]``
        Neuron to its index among the distinct neurons, -1 where there is no neuron.
    spikes : uint8 ``[ticks, B, streams]``
    active : int64 ``[streams]``
        Active updates over all ticks and samples.
    membranes : int32 ``[ticks, B, streams]`` or None
        After the reset of each tick.
    """

    stream: AnyArray
    spikes: AnyArray
    active: AnyArray
    membranes: AnyArray | None


class PreparedCore:
    """Axons and distinct neurons of one core, as one dense matrix."""

    def __init__(self, cores: Cores, c: int) -> None:
        self.neurons = np.flatnonzero(cores.used[c])
        crossing = cores.crossing(c)[:, self.neurons]
        live = np.flatnonzero(crossing.any(axis=1))
        self.place_of = np.full(cores.axons, -1, dtype=np.int64)
        self.place_of[live] = np.arange(live.size)
        self.n_axons = int(live.size)
        self.synapses_per_axon = crossing[live].sum(axis=1, dtype=np.int64)
        weight = cores.weight[c, self.neurons].astype(np.int32)
        matrix = crossing[live] * weight[:, cores.axon_type[c, live]].T
        if matrix.size and int(np.abs(matrix).sum(axis=0, dtype=np.int64).max()) >= LARGEST_SUM:
            raise FileFormatError(f"core {c}: weights too large for exact sums; compile again")
        quantities = [
            a[c, self.neurons].astype(np.int32)
            for a in (cores.leak, cores.threshold, cores.reset, cores.initial, cores.floor)
        ]
        rows = np.concatenate([matrix.astype(np.int32), np.stack(quantities)]).T
        _, first, index = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        self.stream = np.full(cores.neurons, -1, dtype=np.int64)
        self.stream[self.neurons] = index.reshape(-1)
        self.n_streams = int(first.size)
        self._product = Product(matrix[:, first].T)
        self.leak, self.threshold, reset, self.initial, self.floor = (q[first] for q in quantities)
        self.zero = reset == ZERO
        self.top = cores.membrane_max

    def integrate(self, arriving: AnyArray) -> AnyArray:
        """Synaptic sums of 0/1 arrivals ``[..., axons]``: int32 ``[..., streams]``."""
        columns = arriving.reshape(math.prod(arriving.shape[:-1]), self.n_axons).T
        sums = self._product(columns, largest=1).T.reshape(*arriving.shape[:-1], self.n_streams)
        return sums.astype(np.int32)

    def run(
        self, arriving: AnyArray, ticks: int, keep: bool, state: CoreState | None = None
    ) -> CoreRun:
        """Ticks of a core whose arrivals are all known; idle ticks are passed over.

        From the beginning without a state; with one, which is updated, from where it stands.
        """
        batch, arriving = arriving.shape[1], arriving[:ticks]
        spikes = np.zeros((ticks, batch, self.n_streams), dtype=np.uint8)
        membranes = np.zeros(spikes.shape, dtype=np.int32) if keep else None
        state = CoreState(self, batch) if state is None else state
        busy: AnyArray = np.any(arriving.reshape(ticks, -1), axis=1)
        sums = self.integrate(arriving[busy])
        row, idle = np.cumsum(busy) - 1, np.zeros((batch, self.n_streams), dtype=np.int32)
        wake = [*np.flatnonzero(busy).tolist(), ticks]  # the next tick with arrivals, in order
        passable = bool((self.leak <= 0).all()) and not keep
        following, tick = 0, 0
        while tick < ticks:
            if passable and not busy[tick] and state.quiet:
                while wake[following] < tick:
                    following += 1
                state.rest(wake[following] - tick)
                tick = wake[following]
                continue
            spikes[tick] = state.step(sums[row[tick]] if busy[tick] else idle)
            if membranes is not None:
                membranes[tick] = state.v
            tick += 1
        return CoreRun(self.stream, spikes, state.active, membranes)


class CoreState:
    """Membranes of a core over a batch, and the active updates so far."""

    def __init__(self, core: PreparedCore, batch: int) -> None:
        self.core = core
        self.v = np.repeat(core.initial[None], batch, axis=0)
        self.awake: AnyArray = self.v != 0
        self.quiet = not bool((self.v >= core.threshold).any())
        self.active = np.zeros(core.n_streams, dtype=np.int64)

    def step(self, a: AnyArray) -> AnyArray:
        """Update the membranes with sums ``a`` ``[B, streams]``; returns the spikes, bool."""
        v, core = self.v, self.core
        v += a
        v += core.leak
        np.maximum(v, core.floor, out=v)
        np.minimum(v, core.top, out=v)
        fired: AnyArray = v >= core.threshold
        v -= fired * core.threshold
        v[fired & core.zero] = 0
        self.quiet = not bool(fired.any()) or not bool((v >= core.threshold).any())
        awake = v != 0
        self.active += (self.awake | awake | fired | (core.leak != 0)).sum(axis=0)
        self.awake = awake
        return fired

    def rest(self, ticks: int) -> None:
        """Pass ticks without arrivals, quiet and with leaks up to 0: nobody fires."""
        core = self.core
        self.active += ticks * (self.awake | (core.leak != 0)).sum(axis=0)
        if core.leak.any():
            self.v += ticks * core.leak
            np.maximum(self.v, core.floor, out=self.v)
            self.awake = self.v != 0
