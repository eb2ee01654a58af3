"""Which populations run one after the other, and which step by step together."""

from __future__ import annotations

from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist


def components(
    netlist: IntegerNetlist | RealNetlist,
) -> tuple[dict[str, int], list[list[str]]]:
    """Strongly connected components: population -> number, and their members in running order."""
    import networkx as nx

    graph = nx.DiGraph([(q.pre, q.post) for q in netlist.projections])
    graph.add_nodes_from(p.name for p in netlist.populations)
    component_of = {
        name: i
        for i, members in enumerate(nx.strongly_connected_components(graph))
        for name in members
    }
    ordered: dict[int, list[str]] = {}
    for name in netlist.schedule.order:
        ordered.setdefault(component_of[name], []).append(name)
    return component_of, list(ordered.values())
