"""Recorders of stock networks, whose processes keep nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurodeploy.targets.lava.dynamics import Timing
from neurodeploy.targets.lava.recording import StepCounters, StreamTiming, Trace


class SpikeRecorder(AbstractProcess):  # type: ignore[misc]
    """Stores what arrives at ``s_in``, a population's spikes with the axes in (W, H, C) order."""

    def __init__(self, *, shape: tuple[int, ...], **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.s_in = InPort(shape=shape)


class MembraneRecorder(AbstractProcess):  # type: ignore[misc]
    """Stores a LIF's membrane after every step, read through ``v``.

    ``state_shift`` bits of it are below the unit of the netlist.
    """

    def __init__(self, *, shape: tuple[int, ...], **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.v = RefPort(shape=shape)


class _PyRecorderModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads the parameters of both recorders."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._timing: Timing | StreamTiming = proc_params["timing"]
        self._depth: int = proc_params["depth"]
        self._stored_shape: tuple[int, ...] = proc_params["stored_shape"]
        self._trace = Trace(proc_params["trace"], proc_params["lanes"])
        self._counters = StepCounters(proc_params["counter"][0])
        self._slot: int = proc_params["counter"][1]

    def _store(self, values: np.ndarray[Any, Any]) -> None:
        where = self._timing.locate(self.time_step, self._depth)
        if where is not None:
            ordered = values.reshape(self._stored_shape[::-1]).transpose()
            self._trace.write(*where, ordered[None].astype(np.int64))
        self._counters.done(self._slot)


@implements(proc=SpikeRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeRecorderModel(_PyRecorderModel):
    """Receives in the step in which the spikes were sent."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def run_spk(self) -> None:
        """Store one step."""
        self._store(self.s_in.recv())


@implements(proc=MembraneRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMembraneRecorderModel(_PyRecorderModel):
    """Reads after the spiking phase, when the reset has been done."""

    v: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._shift: int = proc_params["state_shift"]

    def post_guard(self) -> bool:
        """Ask for the phase in which Vars of other processes may be read."""
        return True

    def run_post_mgmt(self) -> None:
        """Store one step."""
        self._store(np.right_shift(np.asarray(self.v.read()).astype(np.int64), self._shift))
