"""When each population's window opens on the chip, and how long its spikes travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.limits import CrossbarLimits


@dataclass(frozen=True, slots=True)
class Timing:
    """Ticks of a sample.

    Parameters
    ----------
    latency : mapping of population to int
        Constant shift against the contract's depth.
    start : mapping of population to int
        First tick of its window: depth + latency.
    split : frozenset of str
        Populations whose spikes pass splitter cores.
    """

    latency: Mapping[str, int]
    start: Mapping[str, int]
    split: frozenset[str]

    def travel(self, pre: str, post: str, delay: int) -> int:
        """Ticks from emission to arrival for a contract delay."""
        return delay + self.latency[post] - self.latency[pre]


def plan_timing(netlist: IntegerNetlist, split: frozenset[str]) -> Timing:
    """Latencies for the given set of split populations: a splitter takes one tick more.

    Members of a cycle share one latency.
    """
    plan = netlist.schedule
    group = _cycle_groups(netlist)
    latency: dict[str, int] = {}
    members_of: dict[int, list[str]] = {}
    for name in plan.order:
        members_of.setdefault(group[name], []).append(name)
    for members in members_of.values():
        need = 0
        for name in members:
            for projection, delay in _incoming(netlist, name):
                pre = projection
                if pre in members or isinstance(netlist.by_name[pre].model, Input):
                    continue
                shortest = 2 if pre in split else 1
                need = max(need, latency[pre] + max(0, shortest - delay))
        latency.update(dict.fromkeys(members, need))
    start = {name: plan.depth[name] + latency[name] for name in latency}
    return Timing(latency, start, split)


def _incoming(netlist: IntegerNetlist, name: str) -> list[tuple[str, int]]:
    delays = netlist.schedule.delays
    return [(q.pre, d) for q, d in zip(netlist.projections, delays, strict=True) if q.post == name]


def _cycle_groups(netlist: IntegerNetlist) -> dict[str, int]:
    """Strongly connected component of every population, numbered in execution order."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(p.name for p in netlist.populations)
    graph.add_edges_from((q.pre, q.post) for q in netlist.projections)
    component = {n: i for i, c in enumerate(nx.strongly_connected_components(graph)) for n in c}
    return component


def cycle_of(netlist: IntegerNetlist) -> dict[str, frozenset[str]]:
    """Populations on a cycle, each with all members of its component."""
    group = _cycle_groups(netlist)
    cyclic = netlist.schedule.cyclic
    return {
        name: frozenset(other for other in cyclic if group[other] == group[name]) for name in cyclic
    }


def timing_violations(
    netlist: IntegerNetlist, timing: Timing, limits: CrossbarLimits
) -> list[Violation]:
    """Delays that the chip cannot keep."""
    plan, cycles = netlist.schedule, cycle_of(netlist)
    found: list[Violation] = []
    for projection, delay in zip(netlist.projections, plan.delays, strict=True):
        pre, post = projection.pre, projection.post
        if isinstance(netlist.by_name[pre].model, Input):
            continue
        inner = post in cycles.get(pre, ())
        apart = plan.depth[post] - plan.depth[pre]
        if not inner and delay < apart:
            found.append(
                Violation(
                    projection.label,
                    "delay below the depth difference (spikes would arrive before the window of "
                    f"{post} opens):",
                    delay,
                    apart,
                    "leave the delay out, so that it is aligned, or route it through an input",
                )
            )
            continue
        ticks = timing.travel(pre, post, delay)
        stages = 2 if pre in timing.split else 1
        if ticks > stages * limits.delay_max:
            found.append(
                Violation(
                    projection.label,
                    "delay in ticks" + (" through a splitter" if stages > 1 else ""),
                    ticks,
                    stages * limits.delay_max,
                    "shorten the skip connection" + _splitter_hint(ticks, limits, stages),
                )
            )
        if ticks < stages:
            found.append(
                Violation(
                    projection.label,
                    "a splitter inside a cycle needs a delay of 2 ticks, got",
                    ticks,
                    stages,
                    'compile with fan_out="copies" or give the projection a delay of 2',
                )
            )
    return found


def _splitter_hint(ticks: int, limits: CrossbarLimits, stages: int) -> str:
    possible = stages == 1 and ticks <= 2 * limits.delay_max
    return ' or compile with fan_out="splitters"' if possible else " with a population in between"
