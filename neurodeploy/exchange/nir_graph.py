"""A NIR file as a flat graph of nodes: subgraphs opened, parameters checked, edges resolved.

Files of nir 0.1 to 1.0.4 and of 1.0.8 (which adds ``v_reset``) are read alike: by the names of
their nodes and parameters.

References
----------
Pedersen et al. 2024, "Neuromorphic intermediate representation", doi 10.1038/s41467-024-52259-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, UnsupportedLayerError
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.exchange.hdf5_apart import read_tree
from neurodeploy.ir.arrays import AnyArray

PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (("weight", "stride", "padding", "dilation", "groups", "bias"), ("input_shape",)),
    "Conv2d": (("weight", "stride", "padding", "dilation", "groups", "bias"), ("input_shape",)),
    "SumPool2d": (("kernel_size", "stride", "padding"), ()),
    "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "LI": (("tau", "r", "v_leak"), ()),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak"), ("w_in",)),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"), ("v_reset", "w_in")),
}
"""Node type -> parameters that it must have, and those that it may have."""

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
INTEGRATORS = ("I", "LI", "CubaLI")
_BESIDE = ("type", "metadata", "input_type", "output_type")
"""What a node has beside its parameters: shapes, that follow from them, and remarks."""
PASSING = "passing"
"""The type of what only hands on: the inputs and outputs of subgraphs."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its type, and its parameters as the file has them."""

    name: str
    type: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_neuron(self) -> bool:
        """Whether it has a state or a threshold: a population of its own."""
        return self.type in SPIKING or self.type in INTEGRATORS


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by name, edges between them, the version of the file, what was told, its metadata."""

    where: str
    version: str
    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def before(self, name: str) -> list[str]:
        """Nodes with an edge to one, in the order of the file."""
        return [a for a, b in self.edges if b == name]

    def cyclic(self) -> frozenset[str]:
        """Nodes that lie on a cycle."""
        import networkx as nx

        graph = nx.DiGraph(self.edges)
        found = nx.strongly_connected_components(graph)
        return frozenset(n for s in found for n in s if len(s) > 1 or graph.has_edge(n, n))

    def after(self, name: str) -> list[str]:
        """Nodes that one has an edge to."""
        return [b for a, b in self.edges if a == name]


def read_nir(path: Path) -> Graph:
    """Read and check a ``.nir`` file.

    Raises
    ------
    FileFormatError
        If it is no NIR file, or its nodes and edges contradict each other.
    UnsupportedLayerError
        For a node of a type that NIR 1.0.8 does not have.
    """
    tree = read_tree(path, "a NIR graph (.nir)")
    root, version = tree.get("node"), tree.get("version")
    if not isinstance(root, dict) or not isinstance(version, str):
        found = ", ".join(sorted(tree)) or "nothing"
        raise FileFormatError(f"{path}: no NIR graph: expected 'node' and 'version', got {found}")
    if version.partition(".")[0] not in ("0", "1"):
        raise FileFormatError(f"{path}: NIR version {version}; this neurodeploy reads 0.1 to 1.x")
    return _Opened(str(path)).whole(root, version)


class _Opened:
    """The graph while subgraphs are opened."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def whole(self, root: Tree, version: str) -> Graph:
        if self.kind("node", root) != "NIRGraph":
            node = self.node("node", root)
            raise self.refuse("node", f"a {node.type} alone; expected a NIRGraph around it")
        self.graph(root, "", top=True)
        for kind in ("Input", "Output"):
            if not any(node.type == kind for node in self.nodes.values()):
                raise FileFormatError(f"{self.where}: the graph has no {kind}; add one")
        unique = tuple(dict.fromkeys(self.edges))
        if len(unique) < len(self.edges):
            self.notes.append(f"{len(self.edges) - len(unique)} edges are listed twice: read once")
        kept = root.get("metadata")
        kept = kept if isinstance(kept, dict) else {}
        return Graph(self.where, version, self.nodes, unique, tuple(self.notes), kept)

    def refuse(self, name: str, why: str) -> FileFormatError:
        return FileFormatError(f"{self.where}: {name}: {why}")

    def graph(self, tree: Tree, prefix: str, top: bool = False) -> tuple[list[str], list[str]]:
        """Add a graph; return the names of its inputs and outputs."""
        here = prefix or "graph"
        nodes, edges = tree.get("nodes"), tree.get("edges")
        if not isinstance(nodes, dict) or edges is None or isinstance(edges, str | dict):
            raise self.refuse(here, "a NIRGraph without nodes or edges")
        entries: dict[str, list[str]] = {}
        exits: dict[str, list[str]] = {}
        for name, value in nodes.items():
            full = f"{prefix}.{name}" if prefix else name
            if not isinstance(value, dict):
                raise self.refuse(full, "is no node")
            if self.kind(full, value) == "NIRGraph":
                entries[name], exits[name] = self.graph(value, full)
                continue
            node = self.node(full, value)
            if node.type in ("Input", "Output") and not top:
                node = Node(full, PASSING, {"shape": node.parameters["shape"], "of": node.type})
            if full in self.nodes:
                raise self.refuse(full, "two nodes have this name")
            self.nodes[full] = node
            entries[name] = exits[name] = [full]
        for a, b in self.pairs(edges, here):
            for end in (a, b):
                if end not in nodes:
                    known = ", ".join(sorted(nodes))[:200]
                    raise self.refuse(
                        here, f"edge {a} -> {b}: there is no node {end!r}; nodes: {known}"
                    )
            self.edges.append((self.one(exits[a], a, "outputs"), self.one(entries[b], b, "inputs")))
        inputs, outputs = (
            [f"{prefix}.{name}" for name, value in nodes.items() if value["type"] == kind]
            for kind in ("Input", "Output")
        )
        return inputs, outputs

    def one(self, ends: list[str], name: str, what: str) -> str:
        if len(ends) != 1:
            raise self.refuse(name, f"a subgraph with {len(ends)} {what}; an edge needs one")
        return ends[0]

    def pairs(self, edges: AnyArray, where: str) -> list[tuple[str, str]]:
        if edges.size == 0:
            return []
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind != "O":
            raise self.refuse(where, f"edges of shape {edges.shape}; expected pairs of names")
        return [(str(a), str(b)) for a, b in edges]

    def kind(self, name: str, tree: Tree) -> str:
        """The type of a node, which a file can give as an array or a group as well."""
        kind = tree.get("type")
        if kind is None:
            raise self.refuse(name, "a node without type")
        if not isinstance(kind, str):
            found = f"of shape {np.shape(kind)}" if np.shape(kind) else type(kind).__name__
            raise self.refuse(name, f"its type is no text but {found}; expected one name, as LIF")
        return kind

    def node(self, name: str, tree: Tree) -> Node:
        kind = self.kind(name, tree)
        if kind not in PARAMETERS:
            raise UnsupportedLayerError(
                f"{self.where}: {name}: unknown node type {kind!r}; known: "
                f"{', '.join(sorted([*PARAMETERS, 'NIRGraph']))}"
            )
        required, optional = PARAMETERS[kind]
        for key in required:
            if key not in tree:
                raise self.refuse(name, f"a {kind} without {key}")
        found: dict[str, Any] = {}
        for key in (*required, *optional):
            if key not in tree:
                continue
            value = tree[key]
            if isinstance(value, dict) or (isinstance(value, str) and key != "padding"):
                raise self.refuse(name, f"{key} is no number")
            found[key] = value if isinstance(value, str) else np.asarray(value)
        # What NIR does not have may be what the neuron does there: never left out unsaid.
        others = sorted(set(tree) - {*required, *optional, *_BESIDE})
        if others:
            self.notes.append(f"{name}: NIR's {kind} has no {', '.join(others)[:200]}: not read")
        return Node(name, kind, found)


def sizes(
    node: Node, key: str, n: int, refuse: Callable[[str, str], FileFormatError]
) -> tuple[int, ...]:
    """A parameter of ``n`` whole numbers, given once for all or one by one."""
    value = np.asarray(node.parameters[key]).reshape(-1)
    if value.dtype.kind not in "iu" or value.size not in (1, n):
        raise refuse(node.name, f"{key} {value.tolist()[:8]}; expected 1 or {n} whole numbers")
    found = value.tolist()
    return tuple(found * n if len(found) == 1 else found)
