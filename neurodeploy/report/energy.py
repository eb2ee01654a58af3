"""Energy reports as text."""

from __future__ import annotations

from collections.abc import Sequence

from neurodeploy.energy.estimate import CoreEnergy, EnergyReport
from neurodeploy.report.mapping import mapping_parts
from neurodeploy.report.text import render_table

_PREFIXES: tuple[tuple[float, str], ...] = (
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "u"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
)
CORES_SHOWN = 20


def with_prefix(value: float, unit: str) -> str:
    """Three digits and an SI prefix: ``6.65 ms``; for values below 1000."""
    if value == 0.0:
        return f"0 {unit}"
    scale, prefix = next(((s, p) for s, p in _PREFIXES if abs(value) >= s * 0.9995), _PREFIXES[-1])
    return f"{value / scale:.3g} {prefix}{unit}"


def quantity(value: float | None, unit: str) -> str:
    """:func:`with_prefix`, or ``unknown``."""
    return "unknown" if value is None else with_prefix(value, unit)


def total_text(report: EnergyReport) -> str:
    """The total, ``at least X`` where a constant is unknown, ``unknown`` where all are."""
    if report.total_j is not None:
        return with_prefix(report.total_j, "J")
    if report.lower_bound_j == 0.0:
        return "unknown"
    return f"at least {with_prefix(report.lower_bound_j, 'J')}"


def summary_rows(report: EnergyReport) -> list[tuple[str, str]]:
    """Name and value of the headline figures."""
    return [
        ("cores in use", f"{report.cores} on {report.chips} chip{'s' * (report.chips != 1)}"),
        ("steps per inference", str(report.steps)),
        ("time per inference", quantity(report.time_s, "s")),
        ("static energy", quantity(report.static_j, "J")),
        ("dynamic energy", quantity(report.dynamic_j, "J")),
        ("energy per inference", total_text(report)),
    ]


def event_rows(report: EnergyReport) -> list[tuple[str, str, str]]:
    """Event, count per inference, energy per inference."""
    rows = []
    for event, count in report.events.items():
        if event in report.included_in:
            energy = f"in {report.included_in[event]}"
        else:
            energy = quantity(report.energy_by_event_j[event], "J")
        rows.append((event, f"{count:.1f}", energy))
    return [*rows, *((name, f"{count:.1f}", "not priced") for name, count in report.host.items())]


def core_rows(cores: Sequence[CoreEnergy]) -> list[tuple[str, ...]]:
    """Place, content, neurons, synops, spikes, packets and dynamic energy of cores."""
    return [
        (
            str(core.core),
            f"{core.chip}:({core.x},{core.y})",
            core.holds,
            str(core.neurons),
            f"{core.events['synops']:.1f}",
            f"{core.events['spikes']:.1f}",
            f"{core.events['packets']:.1f}",
            quantity(core.energy_j, "J"),
        )
        for core in cores
    ]


def comparison_rows(report: EnergyReport) -> list[tuple[str, ...]]:
    """Integer against real-valued counts per layer."""
    return [
        (
            layer.population,
            f"{layer.spikes_integer:.1f}",
            f"{layer.spikes_real:.1f}",
            "-" if layer.difference is None else f"{100 * layer.difference:+.2f} %",
            f"{layer.mean_neuron_difference:.3g}",
            f"{layer.synops_integer:.1f}",
            f"{layer.synops_real:.1f}",
        )
        for layer in report.cross_validation or ()
    ]


def render_energy(report: EnergyReport) -> str:
    """The whole report."""
    samples = f"{report.samples} sample{'s' * (report.samples != 1)}"
    parts = [
        f"{report.network} on {report.board}, mean of {samples}",
        render_table(("quantity", "per inference"), summary_rows(report)),
        render_table(("event", "per inference", "energy"), event_rows(report)) + _host(report),
        *mapping_parts(report),
        _cores(report),
    ]
    if report.cross_validation is not None:
        headings = ("layer", "spikes", "real-valued", "difference", "per neuron", "synops", "real")
        parts.append(render_table(headings, comparison_rows(report)))
    if report.source_network is not None:
        rows = [
            (name, with_prefix(energy, "J"))
            for name, energy in report.source_network.energy_j.items()
        ]
        parts.append(
            f"source network: {report.source_network.macs} multiply-accumulates (arithmetic only)\n"
            + render_table(("operation", "per inference"), rows)
        )
    if report.unknown:
        parts.append("unknown for this board: " + ", ".join(report.unknown))
    if report.assumptions:
        parts.append("\n".join(["assumptions:", *(f"  {note}" for note in report.assumptions)]))
    return "\n\n".join(parts)


def _host(report: EnergyReport) -> str:
    if not report.host.get("host_macs"):
        return ""
    return (
        "\n(host_macs: multiply-accumulates of the first layer, done once per sample on the host)"
    )


def _cores(report: EnergyReport) -> str:
    def dearness(core: CoreEnergy) -> tuple[float, float]:
        return core.energy_j or 0.0, core.events["synops"]

    dearest = sorted(report.cores_detail, key=dearness, reverse=True)
    shown = dearest[:CORES_SHOWN]
    headings = ("core", "tile", "holds", "neurons", "synops", "spikes", "packets", "dynamic")
    table = render_table(headings, core_rows(shown))
    hidden = dearest[CORES_SHOWN:]
    less = "less dynamic energy" if any(core.energy_j for core in hidden) else "fewer synops"
    return (
        table
        + f"\n({len(hidden)} core{'s' * (len(hidden) != 1)} of {less} not shown; --json lists all)"
        * bool(hidden)
    )
