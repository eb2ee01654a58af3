"""A framework's own reading of a NIR file, run by the Python of its environment.

``python nir_reader.py FRAMEWORK FILE.nir...``: ``raster`` ``[B, T, *shape]`` of FILE.in.npz is run
step by step, and what every module of neurons sends is written to FILE.out.npz, ``[B, T, n]`` by
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

    return norse.torch.from_nir(graph)


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


def named(graph, before=""):
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from named(node, f"{before}{name}.")
        elif isinstance(node, NEURONS):
            yield f"{before}{name}"


def run(framework, file):
    raster = torch.from_numpy(np.load(f"{file}.in.npz")["raster"]).float()
    graph = nir.read(file)
    neurons = set(named(graph))
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
    np.savez(f"{file}.out.npz", **{name: np.stack(values) for name, values in sent.items()})


for each in sys.argv[2:]:
    run(sys.argv[1], each)
