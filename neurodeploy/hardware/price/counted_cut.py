"""A way to cut a netlist, with what the activity of a run means for it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.cut.flows import CoreFlows, core_flows
from neurodeploy.hardware.price.activity import Activity
from neurodeploy.hardware.price.timing import working_time
from neurodeploy.hardware.price.traffic import Traffic, count_traffic
from neurodeploy.ir.arrays import FloatArray
from neurodeploy.ir.netlist import IntegerNetlist


@dataclass(frozen=True, eq=False)
class CountedCut:
    """A mapping under the activity of a run: what is asked for is counted once."""

    mapping: CoreMap
    netlist: IntegerNetlist
    activity: Activity

    @functools.cached_property
    def traffic(self) -> Traffic:
        """Events of every core, without the time of the busiest one."""
        return count_traffic(self.mapping, self.netlist, self.activity)

    @functools.cached_property
    def flows(self) -> CoreFlows:
        """Packets from core to core."""
        return core_flows(self.mapping, self.netlist, self.activity.spikes())

    @functools.cached_property
    def packets(self) -> int:
        """Packets that reach cores, those of the host as well."""
        return int(self.flows.received().sum())

    @property
    def has_barrier(self) -> bool:
        """Whether the board tells the barrier of the tiles that the cut takes."""
        return self.mapping.board.barrier_at(self.mapping.tiles_in_use) is not None

    @functools.cached_property
    def core_seconds(self) -> FloatArray | None:
        """Working time of every core over the run, ``[n_cores]``; None if a latency is unknown.

        By means over steps: of the two halves of a core the one that is longer on average. The
        barriers of all steps and the resets of all cores are in it where the board tells them.
        """
        board = self.mapping.board
        if board.tick is not None:
            return None

        def count(event: str) -> FloatArray:
            return np.array([getattr(core, event) for core in self.traffic.cores], np.float64)

        busy = working_time(board, count, (self.mapping.n_cores,))
        if busy is None:
            return None
        samples, reset = self.traffic.samples, board.overheads.get("reset")
        if reset is not None:
            busy = busy + reset.si * self.mapping.n_cores * samples
        barrier = board.barrier_at(self.mapping.tiles_in_use)
        if barrier is None:
            return busy
        return busy + barrier.si * self.traffic.steps_per_sample * samples
