"""The terms of time and static power: seconds and watts of one inference, each with its interval.

::

    time = steps * (barrier by tiles + management) + busiest core
           + cores * reset + spikes of the host * injection + values it writes * host writes
    power = sum over static terms of power * units

or steps * tick where a board has one. What is not known has no upper end, and its key is named. An
overhead that did not happen needs no constant, and a board can say what its times leave out.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import NOTHING, Interval
from neurodeploy.hardware.boards.records import ACCOUNTS, STATIC_POWER, Account
from neurodeploy.hardware.price.timing import unknown_latencies
from neurodeploy.hardware.price.traffic import Traffic

BUSIEST = "busiest core"
LINKS = "links between chips"
_RESET = "reset of used cores"


@dataclass(frozen=True, slots=True)
class Terms:
    """Named terms of a sum, and the constants that it lacks (keys of the board file)."""

    by_name: dict[str, Interval]
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> Interval:
        """The sum."""
        return sum(self.by_name.values(), start=NOTHING)


def time_terms(traffic: Traffic, board: Board, counting_error: float = 0.0) -> Terms:
    """Seconds per inference.

    Parameters
    ----------
    traffic : Traffic
    board : Board
    counting_error : float
        Relative error of the counts that the time of the busiest core rests on.
    """
    steps, samples = traffic.steps_per_sample, traffic.samples
    if board.tick is not None:
        return Terms({"tick": board.tick.interval * steps})
    tiles = len({(core.chip, core.x, core.y) for core in traffic.cores})
    unknown = unknown_latencies(board, tiles)
    if traffic.busy_s is None:
        terms = {BUSIEST: NOTHING.opened()}
        unknown = unknown or ["time of the busiest core (not measured)"]
    else:
        terms = {BUSIEST: (traffic.busy_s / samples).widened(counting_error)}
    barrier = board.barrier_at(tiles)
    terms["barrier"] = NOTHING.opened() if barrier is None else barrier.interval * steps
    counts = {
        "management": ("management", float(steps)),
        "reset": (_RESET, float(len(traffic.cores))),
        "injection": ("injection by the host", traffic.host_spikes / samples),
        "host_writes": ("host writes", traffic.host_writes / samples),
    }
    for key, (name, count) in counts.items():
        constant = board.overheads.get(key)
        if constant is not None:
            terms[name] = constant.interval * count
        elif count and board.excludes is None:
            terms[name] = NOTHING.opened()
            unknown.append(f"timing.{key}")
    if links_unknown(traffic, board) and board.latency("chip_crossings") is None:
        terms[LINKS] = NOTHING.opened()
        unknown.append("events.chip_crossings.latency")
    return Terms(terms, tuple(unknown))


def at_cores(terms: Terms, factor: float) -> Interval:
    """Time on ``factor`` times as many cores, each with its share of the work."""
    scaled = dict(terms.by_name)
    scaled[BUSIEST] = scaled[BUSIEST] / factor
    if _RESET in scaled:
        scaled[_RESET] = scaled[_RESET] * factor
    return Terms(scaled).total


def power_terms(traffic: Traffic, board: Board, account: Account) -> Terms:
    """Watts that are drawn whatever the network does, as far as they belong to an account."""
    if account == "dynamic":
        return Terms({})
    if not board.static:
        return Terms({STATIC_POWER: NOTHING.opened()}, (STATIC_POWER,))
    cores, chips = len(traffic.cores), len({core.chip for core in traffic.cores})
    units = {
        "core": cores,
        "chip": chips,
        "idle chip": board.grid.chips - chips,
        "powered chip": board.grid.chips,
        "board": 1,
    }
    rank = ACCOUNTS.index(account)
    return Terms(
        {
            name: term.power.interval * units[term.per]
            for name, term in board.static.items()
            if ACCOUNTS.index(term.account) <= rank
        }
    )


def energy_of(power: Terms, time: Interval) -> Terms:
    """Joules that the power terms take over a time."""
    return Terms({name: _times(watts, time) for name, watts in power.by_name.items()})


def links_unknown(traffic: Traffic, board: Board) -> bool:
    """Whether several chips are in use and what goes between them has no price."""
    chips = {core.chip for core in traffic.cores}
    return len(chips) > 1 and board.energy("chip_crossings") is None


def _times(one: Interval, other: Interval) -> Interval:
    # 0 x infinity: nothing is drawn, for however long.
    high = 0.0 if 0.0 in (one.high, other.high) else one.high * other.high
    return Interval(one.likely * other.likely, one.low * other.low, high)
