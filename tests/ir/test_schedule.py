"""Depths, delays and order against a brute-force search over paths."""

from __future__ import annotations

import itertools

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.ir.schedule import schedule

Edges = list[tuple[str, str, int | None]]
NAMES = [f"p{i}" for i in range(7)]
pairs = st.tuples(st.integers(0, 6), st.integers(0, 6), st.one_of(st.none(), st.integers(1, 6)))
any_edges = st.lists(pairs, max_size=12).map(lambda es: [(NAMES[a], NAMES[b], d) for a, b, d in es])
forward_edges = st.lists(pairs, max_size=14).map(
    lambda es: [(NAMES[min(a, b)], NAMES[max(a, b)], d) for a, b, d in es if a != b]
)


@given(forward_edges)
@settings(max_examples=100)
def test_feed_forward_depth_is_the_longest_path(edges: Edges) -> None:
    plan = schedule(NAMES, edges)

    def longest(name: str) -> int:
        return max((longest(a) + (d or 1) for a, b, d in edges if b == name), default=0)

    assert dict(plan.depth) == {n: longest(n) for n in NAMES}
    assert plan.max_depth == max(plan.depth.values())
    assert not plan.cyclic
    for (a, b, given_delay), d in zip(edges, plan.delays, strict=True):
        assert d == (given_delay or plan.depth[b] - plan.depth[a])
        assert plan.depth[b] - plan.depth[a] >= d  # what comes late is still inside the window
    assert sorted(plan.order) == NAMES
    assert all(plan.order.index(a) < plan.order.index(b) for a, b, _ in edges)


@given(any_edges)
@settings(max_examples=100)
def test_cycles_have_one_depth(edges: Edges) -> None:
    plan = schedule(NAMES, edges)
    graph = nx.DiGraph()
    graph.add_nodes_from(NAMES)
    graph.add_edges_from((a, b) for a, b, _ in edges)
    joined = {n: nx.descendants(graph, n) | {n} for n in NAMES}
    together = {
        (a, b) for a, b in itertools.product(NAMES, NAMES) if a in joined[b] and b in joined[a]
    }
    assert all(plan.depth[a] == plan.depth[b] for a, b in together)
    on_cycle = {a for a, b in together if a != b} | {a for a, b, _ in edges if a == b}
    assert plan.cyclic == on_cycle
    for (a, b, given_delay), d in zip(edges, plan.delays, strict=True):
        assert d == (given_delay or (1 if (a, b) in together else plan.depth[b] - plan.depth[a]))
        if (a, b) not in together:
            assert plan.depth[b] >= plan.depth[a] + (given_delay or 1)
            assert plan.order.index(a) < plan.order.index(b)
    for n in NAMES:  # a depth above 0 has a reason
        reasons = [
            plan.depth[a] + (d or 1)
            for a, b, d in edges
            if (b, n) in together and (a, b) not in together
        ]
        assert plan.depth[n] == max(reasons, default=0)


def test_skip_connection_arrives_with_the_main_path() -> None:
    edges = [("x", "a", None), ("a", "b", 5), ("x", "b", None), ("b", "c", None), ("a", "c", 2)]
    plan = schedule(["x", "a", "b", "c"], edges)
    assert dict(plan.depth) == {"x": 0, "a": 1, "b": 6, "c": 7}
    assert plan.delays == (1, 5, 6, 1, 2)
    assert plan.order == ("x", "a", "b", "c")


def test_order_follows_the_netlist_where_it_may() -> None:
    plan = schedule(["c", "a", "b"], [])
    assert plan.order == ("c", "a", "b")
