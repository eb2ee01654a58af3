"""Report of one network on one board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurodeploy.hardware.boards.interval import Interval, widest
from neurodeploy.hardware.boards.records import Account
from neurodeploy.hardware.cut.core_map import LayerUtilization
from neurodeploy.hardware.fit import Verdict
from neurodeploy.hardware.price.cross_validation import LayerComparison
from neurodeploy.hardware.price.operations import SourceEnergy
from neurodeploy.json_values import Result, json_value
from neurodeploy.notebook import Plotted, data_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class CoreEnergy(Result):
    """One core: its events per inference, and the energy of those that are priced.

    ``energy_j`` is the likely dynamic energy, None if a constant that it needs is unknown;
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


@dataclass(frozen=True, slots=True)
class EstimateError(Result):
    """Counts from rates against those of an exact run of the same samples, before placement.

    Parameters
    ----------
    samples : int
        That were run.
    relative : mapping of str to float or None
        ``spikes``, ``synops``, ``packets``, ``dynamic_energy`` and ``busiest_core`` (its time):
        estimate over exact figure, minus 1; None where the exact one is 0 or unknown.
    """

    samples: int
    relative: Mapping[str, float | None]

    def of(self, figure: str) -> float:
        """Magnitude of the relative error of one figure; 0 where it is not known."""
        return abs(self.relative.get(figure) or 0.0)


@dataclass(frozen=True, slots=True)
class EnergyReport(Plotted):
    """Energy and time per inference of a network on a board.

    Parameters
    ----------
    network, board : str
    chips, cores, samples : int
        In use; inferences that the counts were averaged over.
    steps : int
        Steps of one inference.
    time, static, dynamic, total : Interval
        Likely, low and high, in s and J; without an upper end where a constant is unknown.
    account : {"dynamic", "share", "chip"}
        What ``static`` and ``total`` hold.
    accounts : mapping of account to Interval
        The total by each.
    time_by_term, static_by_term : mapping of str to Interval
    time_at_cores : mapping of float to Interval
        Time at half and twice the cores, where a tool of the vendor cuts the network itself.
    idle : Interval
        Power while nothing happens, in W.
    events : mapping of event to float
        Per inference: :data:`neurodeploy.hardware.boards.records.EVENTS`, and what else the board
        tells apart.
    energy_by_event_j : mapping of event to Interval or None
        Of the events that the board prices by themselves; None: unknown.
    included_in : mapping of event to str
        Events whose energy another constant contains.
    host : mapping
        ``host_spikes``, ``host_writes`` and ``host_macs`` per inference.
    cores_detail : tuple of CoreEnergy
    unknown : tuple of str
        Constants that are missing, as keys of the board file.
    assumptions : tuple of str
    notes : tuple of str
        What the figures leave out, and what is known of what has no constant.
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
    time: Interval
    static: Interval
    dynamic: Interval
    total: Interval
    account: Account
    accounts: Mapping[Account, Interval]
    time_by_term: Mapping[str, Interval]
    static_by_term: Mapping[str, Interval]
    time_at_cores: Mapping[float, Interval]
    idle: Interval
    events: Mapping[str, float]
    energy_by_event_j: Mapping[str, Interval | None]
    included_in: Mapping[str, str]
    host: Mapping[str, float]
    cores_detail: tuple[CoreEnergy, ...]
    unknown: tuple[str, ...]
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
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
        """The total per inference in a few words."""
        if self.total.known is None:
            return "unknown energy per inference"
        if self.total.is_open:
            return f"at least {self.total.low:.3g} J per inference"
        likely, low, high = (f"{value:.3g}" for value in self.total.to_dict().values())
        return f"{likely} J ({low} .. {high}) per inference"

    @property
    def time_s(self) -> float | None:
        """The likely time; None: unknown."""
        return self.time.known

    @property
    def static_j(self) -> float | None:
        """The likely static energy; None: unknown."""
        return self.static.known

    @property
    def dynamic_j(self) -> float | None:
        """The likely dynamic energy; None: unknown."""
        return self.dynamic.known

    @property
    def total_j(self) -> float | None:
        """The likely total; None: unknown."""
        return self.total.known

    @property
    def widest_time_term(self) -> str | None:
        """The term with the widest part of the time's interval."""
        return widest(dict(self.time_by_term))

    @property
    def widest_energy_term(self) -> str | None:
        """The event or static term with the widest part of the total's interval."""
        events = {name: j for name, j in self.energy_by_event_j.items() if j is not None}
        return widest({**events, **self.static_by_term})

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

    @property
    def running_w(self) -> float | None:
        """Likely mean power during an inference; None: unknown."""
        return None if self.total.is_open or not self.time_s else self.total.likely / self.time_s

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
        told = {
            "network": self.network,
            "board": self.board,
            "verdict": self.verdict,
            "chips": self.chips,
            "cores": self.cores,
            "samples": self.samples,
            "steps_per_inference": self.steps,
            "energy_per_inference_j": {
                "static": self.static,
                "dynamic": self.dynamic,
                "total": self.total,
                "account": self.account,
                "accounts": self.accounts,
                "static_by_term": self.static_by_term,
                "widest_term": self.widest_energy_term,
            },
            "power_w": {"idle": self.idle, "running": self.running_w},
            "time_per_inference_s": self.time,
            "time_by_term_s": self.time_by_term,
            "widest_time_term": self.widest_time_term,
            "time_at_cores_s": {f"{k:g}": t for k, t in self.time_at_cores.items()},
            "events": {**self.events, **self.host},
            "energy_by_event_j": self.energy_by_event_j,
            "included_in": self.included_in,
            "chips_detail": self.chips_detail(),
            "cores_detail": self.cores_detail,
            "unknown": self.unknown,
            "assumptions": self.assumptions,
            "notes": self.notes,
            "source_network": self.source_network,
            "cross_validation": self.cross_validation,
            "layers": self.layers,
            "placement": self.placement,
            "estimate_error": self.estimate_error,
        }
        return {key: json_value(value) for key, value in told.items()}
