"""NIR and lava-dl files written by h5py alone, as the nir package and lava-dl write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import neurodeploy as nd
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference


def node(kind: str, **parameters: Any) -> dict[str, Any]:
    """A node of a NIR graph."""
    return {"type": kind, **{k: _array(v) for k, v in parameters.items()}}


def _array(value: Any) -> Any:
    return value if isinstance(value, str) else np.asarray(value)


def graph(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A NIR graph, also one inside another."""
    return {"type": "NIRGraph", "nodes": dict(nodes), "edges": list(edges)}


def chain(*nodes: dict[str, Any], size: Any = (2,), out: Any = None) -> dict[str, Any]:
    """Input -> nodes one behind the other, called a, b, ... -> Output."""
    names = [chr(ord("a") + i) for i in range(len(nodes))]
    shape = np.asarray(size)
    ends = {
        "input": node("Input", shape=shape),
        "output": node("Output", shape=shape if out is None else np.asarray(out)),
    }
    path = ["input", *names, "output"]
    return graph({**ends, **dict(zip(names, nodes, strict=True))}, list(pairwise(path)))


def write_nir(path: Path, content: dict[str, Any], version: str = "1.0.8") -> Path:
    """Write a graph as ``nir.write`` does."""
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("version", data=version, dtype=h5py.string_dtype())
        write_group(file.create_group("node"), content)
    return path


def write_group(group: Any, content: Mapping[str, Any]) -> None:
    import h5py

    for key, value in content.items():
        if isinstance(value, dict):
            write_group(group.create_group(key), value)
        elif key == "edges":
            pairs = np.array(value, dtype=object).reshape(-1, 2)
            group.create_dataset(key, data=pairs, dtype=h5py.string_dtype())
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        else:
            group.create_dataset(key, data=value)


def lif(n: int = 2, beta: float = 0.5, dt: float = 1e-4, theta: float = 1.0, **more: Any) -> Any:
    """A LIF node as snnTorch writes it: ``v <- beta v + x``."""
    tau = np.full(n, dt / (1 - beta))
    values = {"tau": tau, "r": tau / dt, "v_leak": np.zeros(n), "v_threshold": np.full(n, theta)}
    return node("LIF", **{**values, **more})


def integrate(n: int = 2, r: float = 1.0, theta: float = 1.0, **more: Any) -> Any:
    """An IF node."""
    return node("IF", **{"r": np.full(n, r), "v_threshold": np.full(n, theta), **more})


def run(net: nd.Network, x: Any) -> RunRecord:
    """The reference on rasters ``[B, T, *shape]``; every membrane is recorded."""
    netlist = net.netlist
    names = [p.name for p in netlist.populations if p not in netlist.inputs]
    (entry,) = netlist.inputs
    return run_reference(
        netlist, {entry.name: np.asarray(x)}, timesteps=np.shape(x)[1], membranes=names
    )


def imported(path: Path, content: dict[str, Any], dynamics: str | None = "exact", **options: Any):
    """A graph written and read back."""
    return nd.import_network(write_nir(path / "net.nir", content), dynamics=dynamics, **options)
