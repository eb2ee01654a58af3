"""Energy reports as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.records import Account
from neurodeploy.hardware.price.comparison import EnergyComparison
from neurodeploy.hardware.price.report import CoreEnergy, EnergyReport
from neurodeploy.render.mapping import mapping_parts
from neurodeploy.render.quantities import quantity, with_bar, with_prefix
from neurodeploy.render.text import render_table

CORES_SHOWN = 20
UNKNOWN_SHOWN = 2


ACCOUNT_WORDS: dict[Account, str] = {
    "dynamic": "events",
    "share": "events, used cores and processors",
    "chip": "events and the whole chip",
}


def summary_rows(report: EnergyReport) -> list[tuple[str, str]]:
    """Name and value of the headline figures."""
    return [
        ("cores in use", f"{report.cores} on {report.chips} chip{'s' * (report.chips != 1)}"),
        ("steps per inference", str(report.steps)),
        ("time per inference", with_bar(report.time, "s")),
        *((f"  {name}", with_bar(t, "s")) for name, t in _several(report.time_by_term)),
        *(
            (f"  {_cores_factor(factor)}", with_bar(time, "s"))
            for factor, time in report.time_at_cores.items()
        ),
        ("static energy", with_bar(report.static, "J")),
        *((f"  {name}", with_bar(j, "J")) for name, j in _several(report.static_by_term)),
        ("dynamic energy", with_bar(report.dynamic, "J")),
        *(
            (f"energy, {name} ({ACCOUNT_WORDS[name]})", with_bar(j, "J"))
            for name, j in report.accounts.items()
        ),
        ("power idle", with_bar(report.idle, "W")),
        ("power running", quantity(report.running_w, "W")),
    ]


def _several(terms: Mapping[str, Interval]) -> list[tuple[str, Interval]]:
    """The terms of a sum, where there are several."""
    return list(terms.items()) if len(terms) > 1 else []


def _cores_factor(factor: float) -> str:
    return "at half the cores" if factor < 1 else "at twice the cores"


def event_rows(report: EnergyReport) -> list[tuple[str, str, str]]:
    """Event, count per inference, energy per inference."""
    rows = []
    for event, count in report.events.items():
        if event in report.included_in:
            energy = f"in {report.included_in[event]}"
        else:
            energy = with_bar(report.energy_by_event_j[event], "J")
        rows.append((event, f"{count:.1f}", energy))
    return [*rows, *((name, f"{count:.1f}", "no energy") for name, count in report.host.items())]


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
    """Board, verdict, cores, chips, time, dynamic and total energy, what is missing."""
    rows: list[tuple[str, ...]] = []
    for name in comparison.boards:
        report = comparison.reports.get(name)
        if report is None:
            told = comparison.refused[name]
            remedy = f"; {told.remedy}" if told.remedy else ""
            rows.append((name, told.answer, *["-"] * 5, f"{told}{remedy}"))
            continue
        rows.append(
            (
                name,
                "" if report.verdict is None else report.verdict.answer,
                str(report.cores),
                str(report.chips),
                with_bar(report.time, "s"),
                with_bar(report.dynamic, "J"),
                with_bar(report.total, "J"),
                _unknown(report),
            )
        )
    return rows


def _unknown(report: EnergyReport) -> str:
    if not report.unknown:
        return ""
    shown, more = report.unknown[:UNKNOWN_SHOWN], len(report.unknown) - UNKNOWN_SHOWN
    return f"unknown: {', '.join(shown)}" + (f" and {more} more" if more > 0 else "")


def comparison_parts(comparison: EnergyComparison) -> list[str]:
    """One line per board, per inference, and what stands above them."""
    first = next(iter(comparison.reports.values()))
    headings = ("board", "verdict", "cores", "chips", "time", "dynamic", first.account, "note")
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
    answer = "" if report.verdict is None else f": {report.verdict.answer}"
    lines = [
        f"{report.network} on {report.board}{answer}",
        f"energy {with_bar(report.total, 'J')}, time {with_bar(report.time, 's')} per inference; "
        f"{report.cores} core"
        f"{'s' * (report.cores != 1)} on {report.chips} chip{'s' * (report.chips != 1)}"
        f" (mean of {_samples(report)}{_error(report)}){_source(report)}",
    ]
    if report.verdict is not None and report.verdict.assumptions:
        lines += ["assuming:", *(f"  {note}" for note in report.verdict.assumptions)]
    if widest := _widest(report):
        lines.append(widest)
    if report.time_at_cores:
        told = (f"{with_bar(t, 's')} {_cores_factor(f)}" for f, t in report.time_at_cores.items())
        lines.append(f"time if the vendor's tool cuts it otherwise: {', '.join(told)}")
    lines += report.notes
    if report.unknown:
        lines.append("unknown for this board: " + ", ".join(report.unknown))
    return ["\n".join(lines)]


def _widest(report: EnergyReport) -> str:
    """Content of the energy, and the terms that widen its bar and that of the time."""
    energy, time = report.widest_energy_term, report.widest_time_term
    if report.static.is_open and report.time.is_open:
        energy = "time"
    terms = [f"{term} of {name}" for name, term in (("energy", energy), ("time", time)) if term]
    widest = f"; widest term: {', '.join(terms)}" if terms else ""
    return f"energy: {report.account} ({ACCOUNT_WORDS[report.account]}){widest}"


def _samples(report: EnergyReport) -> str:
    return f"{report.samples} sample{'s' * (report.samples != 1)}"


def _source(report: EnergyReport) -> str:
    """The arithmetic of the source network, and how much more or less this is."""
    source = report.source_network
    if source is None:
        return ""
    macs = source.energy_j["mac_int32"]
    known = report.total.low if report.total.is_open else report.total.likely
    times = f"; {report.board}: {'at least ' * report.total.is_open}{known / macs:.3g} x"
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
