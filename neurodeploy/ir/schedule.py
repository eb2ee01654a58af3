"""Depths and delays: when each window opens, and skip connections that arrive on time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Timing of a netlist.

    Parameters
    ----------
    depth : mapping of population name to int
        The population is active in steps [depth, depth + T) of a sample.
    delays : tuple of int
        Delay of every projection, in the order of the netlist.
    components : tuple of tuple of str
        Populations by strongly connected component, none before one that it depends on: those of
        one run step by step together.
    cyclic : frozenset of str
        Populations that lie on a cycle.
    """

    depth: Mapping[str, int]
    delays: tuple[int, ...]
    components: tuple[tuple[str, ...], ...]
    cyclic: frozenset[str]

    @property
    def order(self) -> tuple[str, ...]:
        """All populations in the order of their components."""
        return tuple(name for members in self.components for name in members)

    @property
    def component_of(self) -> dict[str, int]:
        """Number of the component of every population."""
        return {name: i for i, members in enumerate(self.components) for name in members}

    @property
    def max_depth(self) -> int:
        """The largest depth."""
        return max(self.depth.values())


def schedule(
    names: Sequence[str],
    edges: Sequence[tuple[str, str, int | None]],
    lags: Mapping[str, int] | None = None,
) -> Schedule:
    """Compute depths and delays.

    The depth of a population is the longest path from an input with every projection at its
    minimum delay (1, or the delay given); a strongly connected component has one depth and its
    inner projections do not count. Delays left open become ``depth(post) - depth(pre)``, and 1
    inside a component. A population with a lag emits nothing in the first steps of its window: what
    it drives opens that much later, and open delays are that much shorter.

    Parameters
    ----------
    names : sequence of str
    edges : sequence of (pre, post, delay or None)
    lags : mapping of name to steps, optional
        Of those that have one.
    """
    import networkx as nx

    lag = lags or {}
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((pre, post) for pre, post, _ in edges)
    condensed = nx.condensation(graph)
    component: dict[str, int] = condensed.graph["mapping"]

    incoming: dict[int, list[tuple[int, int]]] = {c: [] for c in condensed}
    for pre, post, delay in edges:
        if component[pre] != component[post]:
            incoming[component[post]].append((component[pre], lag.get(pre, 0) + (delay or 1)))
    position = {name: i for i, name in enumerate(names)}
    first = {c: min(position[m] for m in condensed.nodes[c]["members"]) for c in condensed}
    depth_of: dict[int, int] = {}
    components: list[tuple[str, ...]] = []
    for c in nx.lexicographical_topological_sort(condensed, key=first.__getitem__):
        depth_of[c] = max((depth_of[p] + d for p, d in incoming[c]), default=0)
        components.append(tuple(sorted(condensed.nodes[c]["members"], key=position.__getitem__)))

    depth = {name: depth_of[component[name]] for name in names}
    delays = tuple(
        delay if delay is not None else max(1, depth[post] - depth[pre] - lag.get(pre, 0))
        for pre, post, delay in edges
    )
    cyclic = frozenset(
        name
        for members in components
        for name in members
        if len(members) > 1 or graph.has_edge(name, name)
    )
    return Schedule(depth, delays, tuple(components), cyclic)
