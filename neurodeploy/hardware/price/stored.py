"""Reports of energy, and verdicts, from the JSON that they were stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.cut.core_map import LayerUtilization
from neurodeploy.hardware.fit import Verdict, Violation
from neurodeploy.hardware.price.cross_validation import LayerComparison
from neurodeploy.hardware.price.operations import SourceEnergy
from neurodeploy.hardware.price.report import CoreEnergy, EnergyReport, EstimateError
from neurodeploy.loading.typed import told_again, well_typed

_Row = TypeVar("_Row")


def stored_report(told: Mapping[str, Any]) -> EnergyReport:
    """The report that :meth:`EnergyReport.to_dict` told.

    Raises
    ------
    FileFormatError
        If anything is missing, or says something else than the figures it stands beside.
    """
    what = "a report of energy; estimate it again"
    return told_again(_report, told, f"damaged: {what}", f"contradicts itself: {what}")


def stored_verdict(told: Mapping[str, Any]) -> Verdict:
    """The verdict that :meth:`Verdict.to_dict` told.

    Raises
    ------
    FileFormatError
        As of :func:`stored_report`.
    """
    what = "a verdict; run deploy again"
    return told_again(_verdict, told, f"damaged: {what}", f"contradicts itself: {what}")


def _verdict(told: Mapping[str, Any]) -> Verdict:
    violations = tuple(_row(Violation, one) for one in told["violations"])
    return well_typed(
        Verdict(told["board"], violations, tuple(told["assumptions"]), told["remedy"])
    )


def _report(told: Mapping[str, Any]) -> EnergyReport:
    energy, layers = told["energy_per_inference_j"], told["cross_validation"]
    host = {name: n for name, n in told["events"].items() if name.startswith("host_")}
    verdict, source, error = told["verdict"], told["source_network"], told["estimate_error"]
    found = EnergyReport(
        network=told["network"],
        board=told["board"],
        chips=told["chips"],
        cores=told["cores"],
        samples=told["samples"],
        steps=told["steps_per_inference"],
        time=Interval.from_dict(told["time_per_inference_s"]),
        static=Interval.from_dict(energy["static"]),
        dynamic=Interval.from_dict(energy["dynamic"]),
        total=Interval.from_dict(energy["total"]),
        account=energy["account"],
        accounts=_intervals(energy["accounts"]),
        time_by_term=_intervals(told["time_by_term_s"]),
        static_by_term=_intervals(energy["static_by_term"]),
        time_at_cores={float(k): Interval.from_dict(t) for k, t in told["time_at_cores_s"].items()},
        idle=Interval.from_dict(told["power_w"]["idle"]),
        events={name: n for name, n in told["events"].items() if name not in host},
        energy_by_event_j={
            name: None if joules is None else Interval.from_dict(joules)
            for name, joules in told["energy_by_event_j"].items()
        },
        included_in=told["included_in"],
        host=host,
        cores_detail=tuple(_row(CoreEnergy, core) for core in told["cores_detail"]),
        unknown=tuple(told["unknown"]),
        assumptions=tuple(told["assumptions"]),
        notes=tuple(told["notes"]),
        source_network=None if source is None else _row(SourceEnergy, source),
        cross_validation=None
        if layers is None
        else tuple(_row(LayerComparison, r) for r in layers),
        layers=tuple(_row(LayerUtilization, layer) for layer in told["layers"]),
        placement=told["placement"],
        estimate_error=None if error is None else _row(EstimateError, error),
        verdict=None if verdict is None else _verdict(verdict),
    )
    return well_typed(found)


def _intervals(told: Mapping[Any, Any]) -> dict[Any, Interval]:
    return {name: Interval.from_dict(one) for name, one in told.items()}


def _row(cls: type[_Row], told: Mapping[str, Any]) -> _Row:
    """A dataclass whose fields stand among others under their names."""
    return well_typed(cls(**{f.name: told[f.name] for f in fields(cls)}))  # type: ignore[arg-type]
