"""lava-dl's netx and Lava themselves, run by the Python of an environment that has them.

``python netx_reader.py FILE.net...``: rasters ``[B, T, *shape]`` (channels first) of FILE.in.npz
are run one behind the other, and what every block sends is written to FILE.out.npz,
``[B, T, *shape]`` by its number. It imports neither neurodeploy nor the tests.

netx imports PyTorch for blocks that are not used here. Where there is none, an empty module stands
for it: what is loaded and run is netx's and Lava's all the same.
"""

import sys
import types

import numpy as np


def without_torch():
    try:
        import torch  # noqa: F401
    except ImportError:
        for name in ("torch", "lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torch"].Tensor = sys.modules["torch"].tensor = object
        rf = types.ModuleType("lava.lib.dl.slayer.neuron.rf")
        rf.neuron_params = None
        sys.modules[rf.__name__] = rf


def run(file):
    from lava.lib.dl.netx import hdf5
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    raster = np.load(f"{file}.in.npz")["raster"]
    n, steps = raster.shape[:2]
    probe = hdf5.Network(net_config=file)
    # Silence for what is under way: a step for every block, and the longest delay.
    layers = probe.net_config["layer"]
    late = [layers[i]["delay"].max() for i in range(len(layers)) if "delay" in layers[i].f]
    period = steps + len(probe) + 2 + int(max(late, default=0))
    # A reset of each block in the step in which the first spike of a sample reaches it.
    net = hdf5.Network(net_config=file, reset_interval=period, reset_offset=1)
    total = n * period + 2
    shape = tuple(net.inp.shape)
    data = np.zeros((*shape, total), dtype=np.int32)
    for b in range(n):
        for t in range(steps):
            # Lava's order of axes is the other one.
            data[..., b * period + t] = raster[b, t].T.reshape(shape)
    source = Source(data=data)
    source.s_out.connect(net.inp)
    sinks = []
    for layer in net.layers:
        sink = Sink(shape=layer.out.shape, buffer=total)
        layer.out.connect(sink.a_in)
        sinks.append(sink)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    source.run(condition=RunSteps(num_steps=total), run_cfg=config)
    found = {}
    for i, sink in enumerate(sinks):
        values = sink.data.get()
        starts = [b * period + i + 1 for b in range(n)]
        found[str(i)] = np.stack([values[..., s : s + steps].T for s in starts])
    source.stop()
    np.savez(f"{file}.out.npz", **found)


if __name__ == "__main__":
    without_torch()
    for each in sys.argv[1:]:
        run(each)
