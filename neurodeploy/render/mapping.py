"""Utilization and placement as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurodeploy.render.quantities import with_prefix
from neurodeploy.render.text import optional, render_table, short_percent

if TYPE_CHECKING:
    from neurodeploy.hardware.cut.core_map import LayerUtilization
    from neurodeploy.hardware.price.report import EnergyReport

SHARES: dict[str, str] = {
    "neurons": "neurons",
    "synapse_memory_bits": "memory",
    "input_axons": "axons in",
    "output_axons": "axons out",
}
"""Resources and their headings."""


def mapping_parts(report: EnergyReport) -> list[str]:
    """Sections on utilization and placement, as far as the report has them."""
    parts = []
    if report.layers:
        parts.append("\n".join(utilization_parts(report.layers)))
    if report.placement is not None:
        parts.append("\n".join(placement_parts(report.placement)))
    return parts


def utilization_parts(layers: tuple[LayerUtilization, ...]) -> list[str]:
    """Cores, lower bounds and mean use of the limits by population; ``-`` where unknown."""
    rows = [
        (
            layer.population,
            str(layer.cores),
            str(layer.lower_bound),
            *(optional(short_percent, layer.utilization[resource]) for resource in SHARES),
            SHARES[layer.binding],
            layer.advice,
        )
        for layer in layers
    ]
    headings = ("layer", "cores", "bound", *SHARES.values(), "binds", "fewer cores")
    cores = sum(layer.cores for layer in layers)
    bound = sum(layer.lower_bound for layer in layers)
    return [
        render_table(headings, rows),
        f"({cores} cores, {cores / bound:.3f} of the lower bound of {bound})",
    ]


def placement_parts(placement: Mapping[str, Any]) -> list[str]:
    """The chosen placement in one line, and a table of those that it was chosen from."""
    chosen = placement["chosen"]
    lines = [
        f"placement: {chosen['name']} (objective {placement['objective']}), "
        f"{chosen['hops_per_packet']:.2f} hops per packet, packets of {placement['packets_of']}"
    ]
    if chosen["out_of_time"]:
        lines[0] += f"; the limit of time ended the search after {chosen['rounds']} rounds"
    lines += [f"({note})" for note in placement["assumptions"]]
    shown = placement["front"] if placement["objective"] == "pareto" else placement["candidates"]
    if len(shown) > 1:
        headings = ("placement", "cores", "hops per packet", "crossings", "of packets", "time")
        lines.append(render_table(headings, [_row(candidate) for candidate in shown]))
    return lines


def _row(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    unit = candidate["energy_unit"]
    energy, time = candidate["energy"], candidate["time_s"]
    return (
        candidate["name"],
        str(candidate["cores"]),
        f"{candidate['hops_per_packet']:.2f}",
        f"{candidate['chip_crossings']:.1f}",
        with_prefix(energy, unit) if unit == "J" else f"{energy:.4g} {unit}",
        "-" if time is None else with_prefix(time, "s"),
    )
