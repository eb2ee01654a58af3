"""Energy reports as text."""

from __future__ import annotations

from collections.abc import Sequence

from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.estimate import CoreEnergy, EnergyReport
from neurodeploy.render.mapping import mapping_parts
from neurodeploy.render.quantities import at_least, quantity, with_prefix
from neurodeploy.render.text import render_table

CORES_SHOWN = 20
UNKNOWN_SHOWN = 2


def total_text(report: EnergyReport) -> str:
    """The total, ``at least X`` where a constant is unknown, ``unknown`` where all are."""
    return at_least(report.total_j, report.lower_bound_j, "J")


def dynamic_text(report: EnergyReport) -> str:
    """The dynamic energy, in the same way."""
    known = sum(energy for energy in report.energy_by_event_j.values() if energy is not None)
    return at_least(report.dynamic_j, known, "J")


def summary_rows(report: EnergyReport) -> list[tuple[str, str]]:
    """Name and value of the headline figures."""
    return [
        ("cores in use", f"{report.cores} on {report.chips} chip{'s' * (report.chips != 1)}"),
        ("steps per inference", str(report.steps)),
        ("time per inference", at_least(report.time_s, report.time_lower_bound_s, "s")),
        ("static energy", quantity(report.static_j, "J")),
        ("dynamic energy", dynamic_text(report)),
        ("energy per inference", total_text(report)),
        ("power idle", quantity(report.idle_w, "W")),
        ("power running", quantity(report.running_w, "W")),
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


def board_rows(comparison: EnergyComparison) -> list[tuple[str, ...]]:
    """Board, verdict, cores, chips, time, static, dynamic and total energy, what is missing."""
    rows: list[tuple[str, ...]] = []
    for name in comparison.boards:
        report = comparison.reports.get(name)
        if report is None:
            told = comparison.refused[name]
            remedy = f"; {told.remedy}" if told.remedy else ""
            rows.append((name, told.answer, *["-"] * 6, f"{told}{remedy}"))
            continue
        rows.append(
            (
                name,
                "" if report.verdict is None else report.verdict.answer,
                str(report.cores),
                str(report.chips),
                at_least(report.time_s, report.time_lower_bound_s, "s"),
                quantity(report.static_j, "J"),
                dynamic_text(report),
                total_text(report),
                _unknown(report),
            )
        )
    return rows


def _unknown(report: EnergyReport) -> str:
    if not report.unknown:
        return ""
    shown, more = report.unknown[:UNKNOWN_SHOWN], len(report.unknown) - UNKNOWN_SHOWN
    return f"unknown: {', '.join(shown)}" + (f" and {more} more" if more > 0 else "")


def render_comparison(comparison: EnergyComparison) -> str:
    """One line per board, per inference."""
    return "\n\n".join(comparison_parts(comparison))


def comparison_parts(comparison: EnergyComparison) -> list[str]:
    """The table of :func:`render_comparison` and what stands above it."""
    first = next(iter(comparison.reports.values()))
    headings = ("board", "verdict", "cores", "chips", "time", "static", "dynamic", "total", "note")
    return [
        f"{first.network}, per inference, mean of {_samples(first)}{_source(first)}",
        render_table(headings, board_rows(comparison)),
    ]


def render_energy(report: EnergyReport, details: bool = False) -> str:
    """The answer, and everything behind it where details are asked for."""
    parts = answer_parts(report)
    if details:
        parts += [*energy_parts(report)[1:], *_details(report)]
    else:
        parts += _compared_layers(report)
        parts.append("events, cores and sources: --details")
    return "\n\n".join(parts)


def answer_parts(report: EnergyReport) -> list[str]:
    """The verdict, joules, seconds, cores and chips; the source network beside them."""
    time = at_least(report.time_s, report.time_lower_bound_s, "s")
    answer = "" if report.verdict is None else f": {report.verdict.answer}"
    lines = [
        f"{report.network} on {report.board}{answer}",
        f"energy {total_text(report)}, time {time} per inference; {report.cores} core"
        f"{'s' * (report.cores != 1)} on {report.chips} chip{'s' * (report.chips != 1)}"
        f" (mean of {_samples(report)}{_error(report)}){_source(report)}",
    ]
    if report.verdict is not None and report.verdict.assumptions:
        lines += ["assuming:", *(f"  {note}" for note in report.verdict.assumptions)]
    if report.unknown:
        lines.append("unknown for this board: " + ", ".join(report.unknown))
    return ["\n".join(lines)]


def _samples(report: EnergyReport) -> str:
    return f"{report.samples} sample{'s' * (report.samples != 1)}"


def _source(report: EnergyReport) -> str:
    """The arithmetic of the source network, and how much more or less this is."""
    source = report.source_network
    if source is None:
        return ""
    macs = source.energy_j["mac_int32"]
    known = report.lower_bound_j if report.total_j is None else report.total_j
    times = f"; {report.board}: {'at least ' * (report.total_j is None)}{known / macs:.3g} x"
    return (
        f"\nsource network: {source.macs} multiply-accumulates, {with_prefix(macs, 'J')} in int32 "
        f"(arithmetic only){times * bool(known and macs)}"
    )


def energy_parts(report: EnergyReport) -> list[str]:
    """The answer, the headline figures and the events of a report."""
    events = render_table(("event", "per inference", "energy"), event_rows(report))
    return [
        *answer_parts(report),
        render_table(("quantity", "per inference"), summary_rows(report)),
        events + _host(report) if _host(report) else events,
    ]


def _compared_layers(report: EnergyReport) -> list[str]:
    if report.cross_validation is None:
        return []
    headings = ("layer", "spikes", "real-valued", "difference", "per neuron", "synops", "real")
    return [render_table(headings, comparison_rows(report))]


def _details(report: EnergyReport) -> list[str]:
    parts = [*mapping_parts(report), _cores(report), *_compared_layers(report)]
    if report.source_network is not None:
        rows = [
            (name, with_prefix(energy, "J"))
            for name, energy in report.source_network.energy_j.items()
        ]
        parts.append(
            f"source network: {report.source_network.macs} multiply-accumulates (arithmetic only)\n"
            + render_table(("operation", "per inference"), rows)
        )
    if report.assumptions:
        parts.append(
            "\n".join(
                ["assumptions of the mapping:", *(f"  {note}" for note in report.assumptions)]
            )
        )
    return parts


def _error(report: EnergyReport) -> str:
    """How far off an estimate is."""
    error = report.estimate_error
    if error is None:
        return ""
    parts = [
        f"{name.replace('_', ' ')} {100 * off:+.1f} %"
        for name, off in error.relative.items()
        if off is not None
    ]
    return (
        f"; spikes estimated from activations, error of such estimates on {error.samples} samples "
        f"run: {', '.join(parts)}"
    )


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
