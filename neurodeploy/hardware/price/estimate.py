"""From events to joules and seconds; what is not known stays unknown and is named.

Per inference, with T + max depth steps::

    time    = steps * tick,  or  (seconds of the busiest core + steps * barrier)
    dynamic = sum over priced events of count * energy
    idle    = static power * (cores or chips in use, or once, as the board says)
    static  = idle * time
    total   = static + dynamic
    running = total / time

For a board that tells all events apart, without static power, a step costs::

    E = sum over kinds of synops * e_synop(kind) + N * e_access + active * e_update
        + spikes * e_spike + packets * (e_out + e_in) + hops_x * e_x + hops_y * e_y
        + chip crossings * e_crossing

the energy of SANA-FE (Boyle et al. 2025, IEEE TCAD, doi 10.1109/TCAD.2025.3537971) where there is
one chip. A constant that is missing makes the figures that need it unknown (None);
``lower_bound`` is the sum of what is known. An event that did not happen needs no constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.hardware.boards.board import COUNTED, EVENTS, STATIC_POWER, SYNOPS_BY_KIND, Board
from neurodeploy.hardware.cut.core_map import CoreMap, LayerUtilization
from neurodeploy.hardware.fit import Verdict
from neurodeploy.hardware.place.placement import Placement
from neurodeploy.hardware.price.cross_validation import LayerComparison
from neurodeploy.hardware.price.operations import SourceEnergy
from neurodeploy.hardware.price.timing import unknown_latencies
from neurodeploy.hardware.price.traffic import CoreTraffic, Traffic
from neurodeploy.notebook import Shown, data_frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class CoreEnergy:
    """One core: its events per inference, and the energy of those that are priced.

    ``energy_j`` is the dynamic energy, None if a constant that it needs is unknown;
    ``utilization`` is use over limit by resource, where the mapping tells it.
    """

    core: int
    chip: int
    x: int
    y: int
    holds: str
    neurons: int
    events: Mapping[str, float]
    energy_j: float | None
    utilization: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "core": self.core,
            "chip": self.chip,
            "x": self.x,
            "y": self.y,
            "holds": self.holds,
            "neurons": self.neurons,
            "events": dict(self.events),
            "energy_j": self.energy_j,
            "utilization": dict(self.utilization),
        }


@dataclass(frozen=True, slots=True)
class EstimateError:
    """Counts from rates against those of an exact run of the same samples, before placement.

    Parameters
    ----------
    samples : int
        That were run.
    relative : mapping of str to float or None
        ``spikes``, ``synops``, ``packets``, ``dynamic_energy`` and ``time``: estimate over exact
        figure, minus 1; None where the exact one is 0 or unknown.
    """

    samples: int
    relative: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"samples": self.samples, "relative": dict(self.relative)}


@dataclass(frozen=True, slots=True)
class EnergyReport(Shown):
    """Energy and time per inference of a network on a board.

    Parameters
    ----------
    network, board : str
    chips, cores, samples : int
        In use; inferences that the counts were averaged over.
    steps : int
        Steps of one inference.
    static_j, dynamic_j, total_j : float or None
        None: unknown.
    lower_bound_j : float
        Sum of everything known.
    idle_w : float or None
        Power while nothing happens, of the cores or chips in use or of the board.
    time_s : float or None
    time_lower_bound_s : float
        Sum of the times that are known; ``time_s`` where that is known.
    events : mapping of event to float
        Per inference: :data:`neurodeploy.hardware.boards.board.EVENTS`, and what else the board
        tells apart.
    energy_by_event_j : mapping of event to float or None
        Of the events that the board prices by themselves; None: unknown.
    included_in : mapping of event to str
        Events whose energy another constant contains.
    host : mapping
        ``host_inputs`` and ``host_macs`` per inference; not priced.
    cores_detail : tuple of CoreEnergy
    unknown : tuple of str
        Constants that are missing, as keys of the board file.
    assumptions : tuple of str
    source_network : SourceEnergy or None
    cross_validation : tuple of LayerComparison or None
    layers : tuple of LayerUtilization
        How populations fill their cores, where the mapping tells it.
    placement : mapping or None
        Figures of the placement (:meth:`neurodeploy.hardware.place.placement.Placement.to_dict`).
    estimate_error : EstimateError or None
        Where the counts come from rates instead of a run: how far off such counts are.
    verdict : Verdict or None
        Whether the board can run the network: no report stands for one that cannot.
    """

    network: str
    board: str
    chips: int
    cores: int
    samples: int
    steps: int
    static_j: float | None
    dynamic_j: float | None
    total_j: float | None
    lower_bound_j: float
    idle_w: float | None
    time_s: float | None
    time_lower_bound_s: float
    events: Mapping[str, float]
    energy_by_event_j: Mapping[str, float | None]
    included_in: Mapping[str, str]
    host: Mapping[str, float]
    cores_detail: tuple[CoreEnergy, ...]
    unknown: tuple[str, ...]
    assumptions: tuple[str, ...] = ()
    source_network: SourceEnergy | None = None
    cross_validation: tuple[LayerComparison, ...] | None = None
    layers: tuple[LayerUtilization, ...] = ()
    placement: Mapping[str, Any] | None = None
    estimate_error: EstimateError | None = None
    verdict: Verdict | None = None

    def __repr__(self) -> str:
        cores = f"{self.cores} core{'s' * (self.cores != 1)}"
        return f"EnergyReport({self.network} on {self.board}, {cores}: {self.energy_text})"

    @property
    def energy_text(self) -> str:
        """The total per inference in a few words; a lower bound where constants are missing."""
        known = self.lower_bound_j if self.total_j is None else self.total_j
        return f"{'at least ' if self.total_j is None else ''}{known:.4g} J per inference"

    def core_rows(self) -> list[dict[str, Any]]:
        """One flat mapping per core: board, place, content, events per inference, energy, use."""
        return [
            {"board": self.board}
            | {k: v for k, v in core.items() if k not in ("events", "utilization")}
            | core["events"]
            | {f"{resource}_used": share for resource, share in core["utilization"].items()}
            for core in (detail.to_dict() for detail in self.cores_detail)
        ]

    def cores_frame(self) -> pd.DataFrame:
        """The cores, one a row: place, content, events per inference, dynamic energy, use / limit.

        Raises
        ------
        TargetUnavailableError
            If pandas is not installed.
        """
        return data_frame(self.core_rows())

    def plot(self) -> Figure:
        """Static and dynamic energy per inference.

        Raises
        ------
        TargetUnavailableError
            If matplotlib is not installed.
        """
        import neurodeploy as nd

        return nd.plot(self)

    @property
    def running_w(self) -> float | None:
        """Mean power during an inference; None: unknown."""
        if self.total_j is None or not self.time_s:
            return None
        return self.total_j / self.time_s

    def chips_detail(self) -> list[dict[str, Any]]:
        """Events, cores and dynamic energy per chip."""
        details = []
        for chip in sorted({core.chip for core in self.cores_detail}):
            cores = [core for core in self.cores_detail if core.chip == chip]
            energies = [core.energy_j for core in cores]
            known = [energy for energy in energies if energy is not None]
            details.append(
                {
                    "chip": chip,
                    "cores": len(cores),
                    "events": {name: sum(c.events[name] for c in cores) for name in self.events},
                    "energy_j": sum(known) if len(known) == len(energies) else None,
                }
            )
        return details

    def to_dict(self) -> dict[str, Any]:
        """JSON values; an unknown figure is None."""
        source, layers = self.source_network, self.cross_validation
        error = self.estimate_error
        return {
            "network": self.network,
            "board": self.board,
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "chips": self.chips,
            "cores": self.cores,
            "samples": self.samples,
            "steps_per_inference": self.steps,
            "energy_per_inference_j": {
                "static": self.static_j,
                "dynamic": self.dynamic_j,
                "total": self.total_j,
                "lower_bound": self.lower_bound_j,
            },
            "power_w": {"idle": self.idle_w, "running": self.running_w},
            "time_per_inference_s": self.time_s,
            "time_lower_bound_s": self.time_lower_bound_s,
            "events": {**self.events, **self.host},
            "energy_by_event_j": dict(self.energy_by_event_j),
            "included_in": dict(self.included_in),
            "chips_detail": self.chips_detail(),
            "cores_detail": [core.to_dict() for core in self.cores_detail],
            "unknown": list(self.unknown),
            "assumptions": list(self.assumptions),
            "source_network": None if source is None else source.to_dict(),
            "cross_validation": None if layers is None else [layer.to_dict() for layer in layers],
            "layers": [layer.to_dict() for layer in self.layers],
            "placement": None if self.placement is None else dict(self.placement),
            "estimate_error": None if error is None else error.to_dict(),
        }


def estimate(
    traffic: Traffic,
    board: Board,
    *,
    network: str,
    mapping: CoreMap | None = None,
    assumptions: Sequence[str] = (),
    source_network: SourceEnergy | None = None,
    cross_validation: Sequence[LayerComparison] | None = None,
    placement: Placement | None = None,
    verdict: Verdict | None = None,
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
    mapping : Mapping, optional
        For utilization and assumptions of neurocore boards.
    assumptions : sequence of str
        What else the numbers rest on.
    source_network, cross_validation, placement, verdict : optional
        Shown beside the estimate.

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
    samples = traffic.samples
    counts = traffic.events()
    _check_kinds(counts, board, network)
    priced = board.priced()
    reported = [name for name in COUNTED if name in EVENTS or name in board.events]
    needed = [name for name in priced if counts[name] and board.energy(name) is None]
    unknown = [f"events.{name}.energy" for name in needed]
    by_event = {name: _cost(counts[name], board.energy(name), samples) for name in priced}
    known = sum(energy for energy in by_event.values() if energy is not None)
    dynamic = None if needed else known

    time, least_time = _time(traffic, board)
    if time is None:
        missing = unknown_latencies(board, _tiles(traffic))
        unknown += missing or ["time of the busiest core (not measured)"]
    chips = len({core.chip for core in traffic.cores})
    units = {"core": len(traffic.cores), "chip": chips, "board": 1}[board.static_power_per]
    idle = None if board.static_power is None else board.static_power.si * units
    static = None
    least_static = 0.0
    if idle is None:
        unknown.append(f"{STATIC_POWER}.power")
    else:
        least_static = idle * least_time
        static = None if time is None else least_static
    total = None if static is None or dynamic is None else static + dynamic
    return EnergyReport(
        network=network,
        board=board.name,
        chips=chips,
        cores=len(traffic.cores),
        samples=samples,
        steps=traffic.steps_per_sample,
        static_j=static,
        dynamic_j=dynamic,
        total_j=total,
        lower_bound_j=known + least_static,
        idle_w=idle,
        time_s=time,
        time_lower_bound_s=least_time,
        events={name: counts[name] / samples for name in reported},
        energy_by_event_j=by_event,
        included_in={n: c for n in reported if (c := board.container(n)) is not None},
        host={
            "host_inputs": traffic.host_inputs / samples,
            "host_macs": traffic.host_macs / samples,
        },
        cores_detail=tuple(
            _core(k, core, board, samples, reported, mapping)
            for k, core in enumerate(traffic.cores)
        ),
        unknown=tuple(unknown),
        assumptions=(*(mapping.assumptions if mapping is not None else ()), *assumptions),
        source_network=source_network,
        cross_validation=None if cross_validation is None else tuple(cross_validation),
        layers=() if mapping is None else tuple(mapping.layers()),
        placement=None if placement is None else placement.to_dict(samples),
        verdict=verdict,
    )


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


def _time(traffic: Traffic, board: Board) -> tuple[float | None, float]:
    """Seconds per inference, None if unknown, and the part of it that is known."""
    if board.tick is not None:
        time = board.tick.si * traffic.steps_per_sample
        return time, time
    barrier = board.barrier_at(_tiles(traffic))
    busy_s = (traffic.busy_s or 0.0) / traffic.samples
    barriers_s = 0.0 if barrier is None else barrier.si * traffic.steps_per_sample
    known = barrier is not None and traffic.busy_s is not None
    return (busy_s + barriers_s if known else None), busy_s + barriers_s


def _tiles(traffic: Traffic) -> int:
    return len({(core.chip, core.x, core.y) for core in traffic.cores})


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
