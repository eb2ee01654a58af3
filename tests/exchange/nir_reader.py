"""A framework's own reading of a NIR file, run by the Python of its environment.

``python nir_reader.py FRAMEWORK FILE.nir IN.npz OUT.npz``: ``raster`` ``[B, T, *shape]`` of IN is
run step by step, and what every module of neurons sends is written to OUT, ``[B, T, *shape]`` by
the name of its node. It imports neither neurodeploy nor the tests.
"""

import sys

import nir
import numpy as np
import torch


def snntorch_module(graph, batch):
    from snntorch.import_nir import import_from_nir

    return import_from_nir(graph)


def norse_module(graph, batch):
    import norse.torch

    return norse.torch.from_nir(graph, dt=float(sys.argv[5]) if len(sys.argv) > 5 else 1e-3)


def spikingjelly_module(graph, batch):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph)


def sinabs_module(graph, batch):
    import sinabs.nir

    return sinabs.nir.from_nir(graph, batch_size=batch)


MODULES = {
    "snntorch": snntorch_module,
    "norse": norse_module,
    "spikingjelly": spikingjelly_module,
    "sinabs": sinabs_module,
}
NEURONS = (nir.IF, nir.LIF, nir.CubaLIF)


def main():
    framework, file, given, out = sys.argv[1:5]
    raster = torch.from_numpy(np.load(given)["raster"]).float()
    graph = nir.read(file)
    neurons = {name.replace(".", "_") for name, n in graph.nodes.items() if isinstance(n, NEURONS)}
    batch, steps = raster.shape[:2]
    sent = {name: [] for name in neurons}
    # One sample after the other: some readers take no batch.
    for b in range(batch):
        module = MODULES[framework](nir.read(file), 1)
        known = dict(module.named_modules())
        lines = {name: [] for name in neurons}

        def keep(name, lines=lines):
            def hook(_, __, value):
                value = value[0] if isinstance(value, tuple) else value
                lines[name].append(value.detach().reshape(-1).numpy().copy())

            return hook

        for name in neurons:
            known[name].register_forward_hook(keep(name))
        state = None
        with torch.no_grad():
            for t in range(steps):
                x = raster[b, t]
                if framework != "snntorch":
                    x = x[None]
                done = module(x) if framework == "sinabs" else module(x, state)
                state = done[1] if isinstance(done, tuple) else None
        for name, values in lines.items():
            sent[name].append(np.stack(values))
    np.savez(out, **{name: np.stack(values) for name, values in sent.items()})


main()
