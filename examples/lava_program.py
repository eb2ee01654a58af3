"""A compiled network inside a Lava program of your own.

Run it with the Python that has Lava::

    .venv-lava/bin/python examples/lava_program.py

A source of ours streams two samples, the network answers, a sink of ours keeps the spikes, and the
reference executor says what they have to be. Compile from a file instead with
``neurodeploy compile net.int8.ndn --target lava -o DIR`` and ``NeurodeployNetwork(source="DIR")``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.lava.processes.network import NeurodeployNetwork

T = 20


def small_network() -> IntegerNetlist:
    """A spike input of 2 x 8 x 8, a convolution, max-pooling and two dense layers."""
    rng = np.random.default_rng(1)
    patch = Window((8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    each = Window((8, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    pool = Window((8, 8), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))

    def neurons(theta: int) -> IntegerNeuron:
        return IntegerNeuron(np.int64(theta), np.int64(1), np.int64(theta // 2))

    return IntegerNetlist(
        "small",
        (
            Population("image", (2, 8, 8), Input("spikes", 0, 1)),
            Population("conv", (4, 8, 8), neurons(60)),
            Population("pool", (4, 4, 4), MaxPool(4, pool)),
            Population("hidden", (16,), neurons(70)),
            Population("digits", (10,), neurons(50)),
        ),
        (
            IntegerProjection("image", "conv", Conv(rng.integers(-20, 24, (4, 2, 3, 3)), 2, patch)),
            IntegerProjection("conv", "pool", Conv(np.eye(4, dtype=int)[..., None, None], 4, each)),
            IntegerProjection("pool", "hidden", Dense(rng.integers(-20, 21, (16, 64)), (4, 4, 4))),
            IntegerProjection("hidden", "digits", Dense(rng.integers(-20, 21, (10, 16)), (16,))),
        ),
        (Output("digits", "counts"),),
        T,
    )


class Camera(AbstractProcess):
    """Sends one frame of ``frames`` ``[steps, C, H, W]`` per time step, then zeros."""

    def __init__(self, frames: np.ndarray) -> None:
        super().__init__(frames=frames)
        self.out = OutPort(shape=frames.shape[1:])


@implements(proc=Camera, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyCamera(PyLoihiProcessModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.frames = proc_params["frames"]

    def run_spk(self) -> None:
        done = self.time_step > len(self.frames)
        frame = np.zeros_like(self.frames[0]) if done else self.frames[self.time_step - 1]
        self.out.send(frame.astype(np.int32))


class Sink(AbstractProcess):
    """Keeps what arrives in each of ``steps`` time steps."""

    def __init__(self, shape: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.arriving = InPort(shape=shape)
        self.kept = Var(shape=(steps, *shape), init=0)


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySink(PyLoihiProcessModel):
    arriving: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    kept: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        self.kept[self.time_step - 1] = self.arriving.recv()


def main() -> int:
    """Stream two samples through Lava; 0 if every output spike is the reference's."""
    netlist = small_network()
    samples = np.random.default_rng(2).integers(0, 2, (2, T, 2, 8, 8))
    network = NeurodeployNetwork(source=Network(netlist), timesteps=T, start_step=3)
    latency = network.latency["digits"]
    steps = 2 + 2 * T + latency

    # Two time steps of nothing, then the samples without a gap.
    silence = np.zeros((2, 2, 8, 8), dtype=int)
    camera = Camera(np.concatenate([silence, *samples]))
    sink = Sink((10,), steps)
    camera.out.connect(network.image)
    network.digits.connect(sink.arriving)

    # Naming the models of our own processes spares Lava the search in this folder.
    models = {camera: PyCamera, sink: PySink}
    config = Loihi1SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    network.run(condition=RunSteps(num_steps=steps), run_cfg=config)
    kept = sink.kept.get().astype(int)
    membranes = network.digits_v.get().astype(int)
    network.stop()

    answers = kept[2 + latency :].reshape(2, T, 10)
    expected = run_reference(netlist, {"image": samples}, membranes=["digits"])
    wrong = int((answers != expected.spikes["digits"]).sum())
    wrong += int((membranes != expected.membranes["digits"][-1, -1]).sum())
    wrong += int(np.count_nonzero(kept[: 2 + latency]))
    print(f"latency {latency} steps, {int(answers.sum())} output spikes, {wrong} differ")
    for i, counts in enumerate(answers.sum(axis=1)):
        print(f"sample {i}: counts {counts.tolist()}, answer {int(counts.argmax())}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
