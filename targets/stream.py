"""A deployment on input that comes in pieces: the target's machine stops after each, and goes on.

Targets run as their hardware does: in one step all populations compute what the step before sent.
So a population of depth l answers l steps behind its input; the steps that are missing after the
last piece come from :meth:`TargetStream.finish`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

import numpy as np

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.bounds import STATE_LIMIT, PopulationBounds, check_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, joined_steps, no_steps
from neurodeploy.ir.steady import steady_bounds


def stream_bounds(target: str, netlist: IntegerNetlist) -> Mapping[str, PopulationBounds]:
    """Bounds for any number of steps, within what a target holds.

    Raises
    ------
    CapacityError
        If a bound grows with the number of steps, or exceeds ``limit``.
    """
    bounds = steady_bounds(netlist)
    for name, magnitude in check_bounds(bounds):
        raise CapacityError(
            f"{netlist.name}: cannot run as a stream on target {target}: the bound of {name} for "
            f"any number of steps is {magnitude}, above {STATE_LIMIT}: run samples of T = "
            f"{netlist.timesteps} steps"
        )
    return bounds


class TargetStream(ABC):
    """What :meth:`neurodeploy.targets.base.Deployment.open_stream` returns.

    Parameters
    ----------
    target : str
    netlist : IntegerNetlist
        What the deployment states.
    samples : int
        Streams side by side.
    lags : mapping of population to int
        Steps by which each population answers behind its input.

    Attributes
    ----------
    given, time : int
        Steps of the input so far, and steps that the machine has run.
    watched : tuple of str
        Populations whose membranes are recorded: those that the first piece asked for.
    """

    most_steps: ClassVar[int] = 2**20
    """Steps that the machine takes at a time; longer pieces are cut."""

    def __init__(
        self, target: str, netlist: IntegerNetlist, samples: int, lags: Mapping[str, int]
    ) -> None:
        self.target, self.netlist, self.samples = target, netlist, samples
        self.lags = dict(lags)
        self.given = self.time = 0
        self.watched: tuple[str, ...] = ()

    def step(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str] = ()
    ) -> RunRecord:
        """Run the next steps; ``values`` int64 ``[B, steps, *shape]`` by input.

        A population with a lag has fewer steps in the first pieces, and the rest at the end.
        """
        self._expect_watched(membranes)
        parts = []
        for first in range(0, steps, self.most_steps):
            part = {n: v[:, first : first + self.most_steps] for n, v in values.items()}
            length = min(self.most_steps, steps - first)
            self.given += length
            parts.append(self._part(part, length, membranes))
        return joined_steps(parts)

    def finish(self, membranes: Collection[str] = ()) -> RunRecord:
        """Run what lags behind, after the last piece, and let the machine go."""
        self._expect_watched(membranes)
        self._end()
        parts = []
        left = max(self.lags.values()) if self.given else 0
        while left:
            length = min(left, self.most_steps)
            silence = {
                p.name: np.zeros((self.samples, length, *p.shape), np.int64)
                for p in self.netlist.inputs
            }
            parts.append(self._part(silence, length, membranes))
            left -= length
        self.close()
        return joined_steps(parts or [no_steps(self.netlist, self.samples, membranes)])

    def span(self, name: str, steps: int) -> tuple[int, int]:
        """The steps of a population's window that the next ``steps`` steps compute: first, end."""
        lag = self.lags[name]
        first, end = self.time - lag, self.time + steps - lag
        return min(max(first, 0), self.given), min(max(end, 0), self.given)

    def _part(
        self, values: Mapping[str, IntArray], steps: int, membranes: Collection[str]
    ) -> RunRecord:
        found = self._advance(values, steps)
        spikes = {}
        for p in self.netlist.populations:
            first, end = self.span(p.name, steps)
            silent = np.zeros((self.samples, end - first, *p.shape), np.int64)
            if isinstance(p.model, Input):
                spikes[p.name] = values[p.name][:, : end - first].astype(np.int64)
            else:
                spikes[p.name] = found.spikes.get(p.name, silent).astype(np.int64, copy=False)
        self.time += steps
        traces = {name: found.membranes[name].astype(np.int64) for name in membranes}
        return RunRecord(steps, spikes, traces)

    def _expect_watched(self, membranes: Collection[str]) -> None:
        if not self.time:
            self.watched = tuple(dict.fromkeys(membranes))
        late = [name for name in membranes if name not in self.watched]
        if late:
            raise UsageError(
                f"stream: the membranes of {late[0]} on target {self.target}: ask for them from "
                "the first piece on; reset() begins again"
            )

    @abstractmethod
    def _advance(self, values: Mapping[str, IntArray], steps: int) -> RunRecord:
        """Run ``steps`` steps of the machine on rasters ``[B, steps, *shape]``.

        Returns
        -------
        RunRecord
            Spikes of what can fire, and membranes of :attr:`watched`, ``[B, end - first, *shape]``
            of the steps that :meth:`span` tells.
        """

    def _end(self) -> None:  # noqa: B027
        """Hear that no more input comes: windows close after :attr:`given` steps."""

    def close(self) -> None:  # noqa: B027
        """Let the machine go."""
