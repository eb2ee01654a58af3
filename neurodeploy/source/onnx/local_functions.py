"""Functions that an ONNX file defines for itself: what they become in place of their calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from neurodeploy.errors import NetlistError

MOST_NODES = 2**14
"""Nodes of a network with functions in place of their calls, beside four for each of its own."""
MOST_BYTES = 2**27
"""Size of those nodes, the constants in them included, beside four times that of the file."""
MOST_NESTED = 64
"""Functions that call each other in a row."""


def expect_few_nodes(model: Any) -> None:
    """Count what a network with functions of its own becomes without them.

    Raises
    ------
    NetlistError
        If functions call themselves, or become too many nodes: that is counted without making one.
    """
    counter = _Counter(model)
    for key in counter.bodies:
        counter.function(key, ())
    counter.nodes(model.graph.node, ())


def _key(domain: str, name: str, overload: str) -> str:
    # As the inliner of the package spells it, so that both mean the same function.
    parts = ("" if domain == "ai.onnx" else domain, name, overload)
    return ":".join(parts if overload else parts[:2])


class _Counter:
    """How many nodes and bytes calls become: every function is counted once."""

    def __init__(self, model: Any) -> None:
        self.bodies: dict[str, list[Any]] = {}
        for f in model.functions:
            self.bodies.setdefault(_key(f.domain, f.name, f.overload), []).extend(f.node)
        self.counted: dict[str, tuple[int, int]] = {}
        own = len(model.graph.node) + sum(map(len, self.bodies.values()))
        self.most = {"nodes": MOST_NODES + 4 * own, "bytes": MOST_BYTES + 4 * model.ByteSize()}

    def function(self, key: str, callers: tuple[str, ...]) -> tuple[int, int]:
        if key in callers:
            raise NetlistError(f"function {key!r} calls itself; export it without functions")
        if len(callers) == MOST_NESTED:
            raise NetlistError(
                f"function {callers[0]!r} calls more than {MOST_NESTED} others in a row; "
                "export it without functions"
            )
        if key not in self.counted:
            self.counted[key] = self.nodes(self.bodies[key], (*callers, key))
        return self.counted[key]

    def nodes(self, nodes: Iterable[Any], callers: tuple[str, ...]) -> tuple[int, int]:
        n, size = 0, 0
        for node in nodes:
            key = _key(node.domain, node.op_type, node.overload)
            found = [self.function(key, callers) if key in self.bodies else (1, node.ByteSize())]
            for attribute in node.attribute:
                # What a call passes on may be used by every node inside.
                for graph in (attribute.g, *attribute.graphs):
                    found.append(self.nodes(graph.node, callers))
            n, size = n + sum(f[0] for f in found), size + sum(f[1] for f in found)
        for (what, most), count in zip(self.most.items(), (n, size), strict=True):
            if count > most:
                where = f"function {callers[-1]!r}" if callers else "the network"
                raise NetlistError(
                    f"{where} becomes {count} {what}, at most {most}, with the functions that "
                    "it calls in their places; export it without functions"
                )
        return n, size
