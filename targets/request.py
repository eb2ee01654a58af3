"""A run that a deployment is asked for: checked before, completed after, for all targets alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.errors import ExecutionError, UsageError
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.ir.record import RunRecord, Stimulus, checked_stimulus, expect_populations


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Request of :meth:`neurodeploy.targets.base.Deployment.run` to a target.

    Parameters
    ----------
    netlist : IntegerNetlist
    stimulus : mapping
        Input -> int64 ``[B, *shape]`` (current) or ``[B, T, *shape]`` (spikes), in range.
    batch : int
        B, from 0.
    record : tuple of str
        Populations whose spikes are wanted, inputs among them.
    membranes : tuple of str
        Populations whose membranes are wanted: those asked for, and outputs that read them.
    """

    netlist: IntegerNetlist
    stimulus: Mapping[str, IntArray]
    batch: int
    record: tuple[str, ...]
    membranes: tuple[str, ...]

    @classmethod
    def checked(
        cls,
        netlist: IntegerNetlist,
        stimulus: Stimulus,
        record: Collection[str] | None = None,
        membranes: Collection[str] = (),
    ) -> RunRequest:
        """The request, if it fits the netlist.

        Raises
        ------
        DataError
            If the stimulus does not fit.
        UnknownNameError
            For a population that does not exist.
        UsageError
            For the membrane of an input.
        """
        expect_populations(netlist, record, membranes)
        inputs = {p.name for p in netlist.inputs}
        asked = [name for name in membranes if name in inputs]
        if asked:
            raise UsageError(
                f"population {asked[0]!r} is an input and has no membrane; record its spikes, or "
                "name populations of neurons"
            )
        values, batch = checked_stimulus(netlist, stimulus, netlist.timesteps)
        read = [o.population for o in netlist.outputs if o.reads_membrane]
        return cls(
            netlist,
            values,
            batch,
            tuple(netlist.by_name if record is None else dict.fromkeys(record)),
            tuple(dict.fromkeys((*membranes, *read))),
        )

    @property
    def spikes(self) -> tuple[str, ...]:
        """Populations whose spikes the target returns: what inputs emit is known."""
        by_name = self.netlist.by_name
        return tuple(n for n in self.record if not isinstance(by_name[n].model, Input))

    def completed(self, found: object, target: str, latency: Mapping[str, int]) -> RunRecord:
        """The record for the user: every population that was asked for, in int64.

        Inputs are added as they were emitted; a population without spikes in ``found`` was silent.

        Raises
        ------
        ExecutionError
            If the target returned an array of another shape, or no membranes of a population.
        """
        if not isinstance(found, RunRecord):
            kind = type(found).__name__
            raise ExecutionError(f"target {target}: the run returned {kind}, expected a RunRecord")
        spikes = {name: self._spikes(name, found, target) for name in self.record}
        missing = [name for name in self.membranes if name not in found.membranes]
        if missing and self.batch:
            raise ExecutionError(f"target {target}: {missing[0]}: the run returned no membranes")
        membranes = {n: self._traced(n, found.membranes, target) for n in self.membranes}
        return RunRecord(self.netlist.timesteps, spikes, membranes, dict(latency))

    def _spikes(self, name: str, found: RunRecord, target: str) -> IntArray:
        if name in self.stimulus:
            given = self.stimulus[name]
            if self.netlist.by_name[name].is_current_input:
                return np.repeat(given[:, None], self.netlist.timesteps, axis=1)
            return given.copy()
        return self._traced(name, found.spikes, target)

    def _traced(self, name: str, arrays: Mapping[str, AnyArray], target: str) -> IntArray:
        if name not in arrays:
            return np.zeros(self._shape(name), dtype=np.int64)
        values = np.asarray(arrays[name])
        if values.dtype.kind not in "iub":
            raise ExecutionError(
                f"target {target}: {name}: the run returned {values.dtype}, expected integers"
            )
        if values.shape != self._shape(name):
            raise ExecutionError(
                f"target {target}: {name}: the run returned shape {values.shape}, expected "
                f"{self._shape(name)}"
            )
        return values.astype(np.int64, copy=False)

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self.batch, self.netlist.timesteps, *self.netlist.by_name[name].shape)
