"""Inputs of a run: emits what a file holds, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurodeploy.ir.neurons import Input
from neurodeploy.ir.population import Population
from neurodeploy.targets.lava.dynamics import Timing
from neurodeploy.targets.lava.recording import Lanes, StepCounters, Stimulus, StreamTiming, Trace


class StimulusSource(AbstractProcess):  # type: ignore[misc]
    """An input population of a run.

    Port: ``s_out``, of ``(*lane_shape, *shape)`` with the axes of ``shape`` in ``axes`` order.

    Parameters
    ----------
    population : Population
    timing : Timing or StreamTiming
    lanes : Lanes
    stimulus : Path
    lane_shape : tuple of int
        ``(n,)``, or ``()`` for one lane without an axis of its own.
    axes : tuple of int, optional
        Order in which the port carries the axes of the shape; a stock network wants (W, H, C).
    port_shape : tuple of int, optional
        What the port's shape is called, if not the permuted shape.
    record : mapping, optional
    counter : (Path, int)
    """

    def __init__(
        self,
        *,
        population: Population,
        timing: Timing | StreamTiming,
        lanes: Lanes,
        stimulus: Path,
        lane_shape: tuple[int, ...],
        counter: tuple[Path, int],
        axes: tuple[int, ...] | None = None,
        port_shape: tuple[int, ...] | None = None,
        record: dict[str, Path] | None = None,
    ) -> None:
        shape = population.shape
        order = axes or tuple(range(len(shape)))
        full = (*lane_shape, *(port_shape or tuple(shape[i] for i in order)))
        super().__init__(
            name=population.name,
            population=population,
            timing=timing,
            lanes=lanes,
            stimulus=stimulus,
            order=order,
            full=full,
            record=record or {},
            counter=counter,
        )
        self.s_out = OutPort(shape=full)


@implements(proc=StimulusSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStimulusModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads one step of all lanes and sends it; silent outside the window."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        population: Population = proc_params["population"]
        assert isinstance(population.model, Input)
        self._timing: Timing | StreamTiming = proc_params["timing"]
        lanes: Lanes = proc_params["lanes"]
        raster = population.model.kind == "spikes"
        self._stimulus = Stimulus(proc_params["stimulus"], lanes, raster)
        self._order = (0, *(1 + i for i in proc_params["order"]))
        self._full = proc_params["full"]
        self._traces = {what: Trace(p, lanes) for what, p in proc_params["record"].items()}
        self._counters = StepCounters(proc_params["counter"][0])
        self._slot: int = proc_params["counter"][1]

    def run_spk(self) -> None:
        """Send the integers of this time step."""
        where = self._timing.locate(self.time_step, 0)
        if where is None:
            self.s_out.send(np.zeros(self._full, dtype=np.int32))
        else:
            emitted = self._stimulus.read(*where)
            for trace in self._traces.values():
                trace.write(*where, emitted)
            self.s_out.send(emitted.transpose(self._order).reshape(self._full).astype(np.int32))
        self._counters.done(self._slot)
