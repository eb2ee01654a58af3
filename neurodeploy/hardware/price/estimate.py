"""From events to joules and seconds, each with its interval; what is not known is named.

Per inference, with T + max depth steps::

    time    = the terms of :mod:`neurodeploy.hardware.price.terms`
    dynamic = sum over priced events of count * energy
    idle    = static power that the account holds
    static  = idle * time
    total   = static + dynamic
    running = total / time

For a board that tells all events apart, without static power, a step costs::

    E = sum over kinds of synops * e_synop(kind) + N * e_access + active * e_update
        + spikes * e_spike + packets * (e_out + e_in) + hops_x * e_x + hops_y * e_y
        + chip crossings * e_crossing

the energy of SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971) where there is
one chip. A constant that is missing leaves the figures that need it without an upper end. An event
that did not happen needs no constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.interval import ENDS, NOTHING, Interval
from neurodeploy.hardware.boards.records import ACCOUNTS, COUNTED, EVENTS, SYNOPS_BY_KIND, Account
from neurodeploy.hardware.cut.core_map import CoreMap
from neurodeploy.hardware.fit import Verdict
from neurodeploy.hardware.place.placement import Placement
from neurodeploy.hardware.price.cross_validation import LayerComparison
from neurodeploy.hardware.price.operations import SourceEnergy
from neurodeploy.hardware.price.report import CoreEnergy, EnergyReport, EstimateError
from neurodeploy.hardware.price.terms import (
    Terms,
    at_cores,
    energy_of,
    links_unknown,
    power_terms,
    time_terms,
)
from neurodeploy.hardware.price.traffic import CoreTraffic, Traffic


def estimate(
    traffic: Traffic,
    board: Board,
    *,
    network: str,
    account: Account = "share",
    mapping: CoreMap | None = None,
    source_network: SourceEnergy | None = None,
    cross_validation: Sequence[LayerComparison] | None = None,
    placement: Placement | None = None,
    verdict: Verdict | None = None,
    estimate_error: EstimateError | None = None,
) -> EnergyReport:
    """Price the events of a run.

    Parameters
    ----------
    traffic : Traffic
        From :func:`neurodeploy.hardware.price.measure.measure_traffic`, or from a target's own
        cores.
    board : Board
    network : str
        Name for the report.
    account : {"dynamic", "share", "chip"}
        What static energy and total hold: nothing but events; used cores and processors; the whole
        chip.
    mapping : Mapping, optional
        For utilization and assumptions of neurocore boards.
    source_network, cross_validation, placement, verdict : optional
        Shown beside the estimate.
    estimate_error : EstimateError, optional
        Of counts that come from rates: it widens the intervals.

    Raises
    ------
    CapacityError
        If the traffic has more cores than the board, or the verdict is that it does not fit.
    UsageError
        If the board prices synops by kind and the traffic does not tell the kinds.
    """
    if verdict is not None and not verdict.fits:
        raise CapacityError(f"{network}: {verdict}")
    if len(traffic.cores) > board.grid.n_cores:
        raise CapacityError(
            f"{network}: {len(traffic.cores)} cores exceed {board.grid.n_cores} of board "
            f"{board.name}; choose a board with more cores"
        )
    samples, error = traffic.samples, estimate_error
    counts = traffic.events()
    _check_kinds(counts, board, network)
    reported = [name for name in COUNTED if name in EVENTS or name in board.events]
    by_event = _energies(traffic, board, 0.0 if error is None else error.of("dynamic_energy"))
    dynamic = sum((NOTHING.opened() if j is None else j for j in by_event.values()), start=NOTHING)
    spent = time_terms(traffic, board, 0.0 if error is None else error.of("busiest_core"))
    powers = {name: power_terms(traffic, board, name) for name in ACCOUNTS}
    static = {name: energy_of(power, spent.total) for name, power in powers.items()}
    unknown = [f"events.{name}.energy" for name, energy in by_event.items() if energy is None]
    return EnergyReport(
        network=network,
        board=board.name,
        chips=len({core.chip for core in traffic.cores}),
        cores=len(traffic.cores),
        samples=samples,
        steps=traffic.steps_per_sample,
        time=spent.total,
        static=static[account].total,
        dynamic=dynamic,
        total=dynamic + static[account].total,
        account=account,
        accounts={name: dynamic + terms.total for name, terms in static.items()},
        time_by_term=spent.by_name,
        static_by_term=static[account].by_name,
        time_at_cores=_at_other_cores(spent, board),
        idle=powers[account].total,
        events={name: counts[name] / samples for name in reported},
        energy_by_event_j=by_event,
        included_in={n: c for n in reported if (c := board.container(n)) is not None},
        host={
            "host_spikes": traffic.host_spikes / samples,
            "host_writes": traffic.host_writes / samples,
            "host_macs": traffic.host_macs / samples,
        },
        cores_detail=tuple(
            _core(k, core, board, samples, reported, mapping)
            for k, core in enumerate(traffic.cores)
        ),
        unknown=(*unknown, *spent.unknown, *powers[account].unknown),
        assumptions=() if mapping is None else mapping.assumptions,
        notes=tuple(_notes(traffic, board, account)),
        source_network=source_network,
        cross_validation=None if cross_validation is None else tuple(cross_validation),
        layers=() if mapping is None else tuple(mapping.layers()),
        placement=None if placement is None else placement.to_dict(samples),
        estimate_error=error,
        verdict=verdict,
    )


def _energies(traffic: Traffic, board: Board, counting_error: float) -> dict[str, Interval | None]:
    """Joules per inference of every event that the board prices by itself; None: unknown."""
    counts, ends = traffic.events(), {end: board.at(end) for end in ENDS}
    found: dict[str, Interval | None] = {}
    for name in board.priced():
        if board.energy(name) is None:
            needed = counts[name] or (name == "chip_crossings" and links_unknown(traffic, board))
            found[name] = None if needed else NOTHING
            continue
        each = Interval(*(ends[end].energy(name) or 0.0 for end in ENDS))
        found[name] = (each * counts[name] / traffic.samples).widened(counting_error)
    return found


def _at_other_cores(time: Terms, board: Board) -> dict[float, Interval]:
    if board.tick is not None or board.partitioned_by is None:
        return {}
    return {factor: at_cores(time, factor) for factor in (0.5, 2.0)}


def _notes(traffic: Traffic, board: Board, account: Account) -> Iterator[str]:
    if board.excludes is not None:
        yield f"left out of time and energy: {board.excludes}"
    crossings = board.events.get("chip_crossings")
    if links_unknown(traffic, board) and crossings is not None and crossings.unknown is not None:
        yield f"links between chips: {crossings.unknown}"
    if account == "chip" and all(term.account != "chip" for term in board.static.values()):
        yield f"board {board.name} tells no power of whole chips: chip holds what share does"


def _check_kinds(counts: Mapping[str, int], board: Board, network: str) -> None:
    if "synops" in board.events:
        return
    told = sum(counts[name] for name in SYNOPS_BY_KIND)
    if told != counts["synops"]:
        raise UsageError(
            f"{network}: board {board.name} prices synops by kind, and {counts['synops'] - told} "
            f"of {counts['synops']} have none; choose a board of the kind the network was "
            "compiled for"
        )


def _cost(count: int, price: float | None, samples: int) -> float | None:
    if price is None:
        return None if count else 0.0
    return count * price / samples


def _core(
    number: int,
    core: CoreTraffic,
    board: Board,
    samples: int,
    reported: Sequence[str],
    mapping: CoreMap | None,
) -> CoreEnergy:
    counts = core.events()
    costs = [_cost(counts[name], board.energy(name), samples) for name in board.priced()]
    known = [cost for cost in costs if cost is not None]
    return CoreEnergy(
        number,
        core.chip,
        core.x,
        core.y,
        core.holds,
        core.neurons,
        {name: counts[name] / samples for name in reported},
        sum(known) if len(known) == len(costs) else None,
        {} if mapping is None else mapping.cores[number].utilization(board),
    )
