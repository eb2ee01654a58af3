"""When each population's window opens on the chip, and how long its spikes travel.

A step takes P ticks (the *period*), 1 unless a population is split. The inputs of step t reach a
population in tick ``arrive + t P``, and it compares in tick ``start + t P``: at once, or after the
bursts of its partial sums (:mod:`neurodeploy.targets.truenorth.split.bursts`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input
from neurodeploy.targets.base import Violation
from neurodeploy.targets.truenorth.limits import CrossbarLimits


@dataclass(frozen=True, slots=True)
class TickTiming:
    """Ticks of a sample.

    Parameters
    ----------
    depth : mapping of population to int
        The contract's, in steps.
    arrive : mapping of population to int
        Tick in which the inputs of its first step arrive.
    start : mapping of population to int
        First tick of its window: when it compares for the first time.
    relayed : frozenset of str
        Populations whose spikes pass splitter cores.
    period : int
        P.
    """

    depth: Mapping[str, int]
    arrive: Mapping[str, int]
    start: Mapping[str, int]
    relayed: frozenset[str]
    period: int = 1

    def travel(self, pre: str, post: str, delay: int) -> int:
        """Ticks from emission to arrival for a contract delay."""
        late = delay - (self.depth[post] - self.depth[pre])
        return self.arrive[post] + late * self.period - self.start[pre]

    def with_stages(self, stages: Mapping[str, tuple[str, int, int]]) -> TickTiming:
        """The same, with what a split population consists of as populations of their own.

        Parameters
        ----------
        stages : mapping of name to (population, ticks, ticks)
            The population, and the ticks after its inputs in which these receive theirs, and fire.
        """
        depth, arrive, start = dict(self.depth), dict(self.arrive), dict(self.start)
        for name, (population, heard, fires) in stages.items():
            depth[name] = self.depth[population]
            arrive[name] = self.arrive[population] + heard
            start[name] = self.arrive[population] + fires
        return replace(self, depth=depth, arrive=arrive, start=start)


def plan_timing(
    netlist: IntegerNetlist,
    relayed: frozenset[str],
    delays: Mapping[str, int] | None = None,
    least: int = 1,
    coprime: Collection[int] = (),
) -> TickTiming:
    """Earliest windows for the given set of relayed populations: a splitter takes one tick more.

    Parameters
    ----------
    netlist : IntegerNetlist
    relayed : frozenset of str
    delays : mapping of population to int, optional
        Ticks that split populations take.
    least : int
        Of the period; it is longer where a cycle takes longer.
    coprime : collection of int
        Numbers that the period must not share a factor with.
    """
    if not delays:
        return _windows(netlist, relayed, {}, 1)
    period = max(2, least)
    # A hop takes at most a delay and two ticks, and lasts at least a step.
    while True:
        if all(math.gcd(period, number) == 1 for number in coprime):
            try:
                return _windows(netlist, relayed, delays, period)
            except _TooShort:
                pass
        period += 1


class _TooShort(Exception):
    """A cycle takes longer than its delays."""


def _windows(
    netlist: IntegerNetlist, relayed: frozenset[str], delays: Mapping[str, int], period: int
) -> TickTiming:
    plan = netlist.schedule
    arrive: dict[str, int] = {}
    start: dict[str, int] = {}

    def earliest(name: str) -> int:
        need = plan.depth[name] if period == 1 else min(plan.depth[name], 1)
        for pre, delay in _incoming(netlist, name):
            if pre not in start or isinstance(netlist.by_name[pre].model, Input):
                continue
            late = delay - (plan.depth[name] - plan.depth[pre])
            need = max(need, start[pre] + (2 if pre in relayed else 1) - late * period)
        return need

    for members in plan.components:
        if period == 1:
            # Members of a cycle share one shift against the netlist.
            shift = max(earliest(name) - plan.depth[name] for name in members)
            for name in members:
                arrive[name] = start[name] = plan.depth[name] + shift
            continue
        for _ in range(len(members) + 1):
            before = dict(arrive)
            for name in members:
                arrive[name] = max(arrive.get(name, 0), earliest(name))
                start[name] = arrive[name] + delays.get(name, 0)
            if all(arrive[name] == before.get(name) for name in members):
                break
        else:
            raise _TooShort
    return TickTiming(plan.depth, arrive, start, relayed, period)


def _incoming(netlist: IntegerNetlist, name: str) -> list[tuple[str, int]]:
    delays = netlist.schedule.delays
    return [(q.pre, d) for q, d in zip(netlist.projections, delays, strict=True) if q.post == name]


def cycle_of(netlist: IntegerNetlist) -> dict[str, frozenset[str]]:
    """Populations on a cycle, each with all members of its component."""
    plan = netlist.schedule
    return {
        name: frozenset(members)
        for members in plan.components
        for name in plan.cyclic.intersection(members)
    }


def long_ways(
    netlist: IntegerNetlist, timing: TickTiming, limits: CrossbarLimits
) -> frozenset[str]:
    """Populations with a projection that takes more ticks than one hop can."""
    delays = zip(netlist.projections, netlist.schedule.delays, strict=True)
    return frozenset(
        q.pre
        for q, delay in delays
        if not isinstance(netlist.by_name[q.pre].model, Input)
        and timing.travel(q.pre, q.post, delay) > limits.delay_max
    )


def timing_violations(
    netlist: IntegerNetlist, timing: TickTiming, limits: CrossbarLimits
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
        stages = 2 if pre in timing.relayed else 1
        if ticks > stages * limits.delay_max:
            steps = f" of {timing.period} ticks a step" if timing.period > 1 else ""
            found.append(
                Violation(
                    projection.label,
                    "delay in ticks" + (" through a splitter" if stages > 1 else "") + steps,
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
