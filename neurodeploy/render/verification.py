"""Verifications as text."""

from __future__ import annotations

from neurodeploy.render.numbered import runs, span
from neurodeploy.render.text import percent, render_table
from neurodeploy.verification.deviation import Deviation
from neurodeploy.verification.verification import Verification


def verification_rows(result: Verification) -> list[tuple[object, ...]]:
    """Per population, or many numbered ones: compared, spikes, activity, correlation, mismatches.

    A correlation is the lowest of those that are known.
    """
    correlation = {} if result.agreement is None else result.agreement.correlation
    rows: list[tuple[object, ...]] = []
    for names in runs(result.compared_neuron_steps):
        firing = [name for name in names if name not in result.integrators]
        spikes = sum(result.spikes[name] for name in firing)
        watched = sum(result.compared_neuron_steps[name] for name in firing)
        known = [r for r in map(correlation.get, names) if r is not None]
        activity = percent(spikes / watched) if watched else None
        rows.append(
            (
                span(names),
                sum(result.compared_neuron_steps[name] for name in names),
                spikes if firing else None,
                activity if firing else "membrane",
                f"{min(known):.4f}" if known else None,
                *(sum(per.get(n, 0) for n in names) for per in result.mismatches.values()),
            )
        )
    return rows


def verdict(result: Verification) -> str:
    """The result in one line."""
    others = ", ".join(result.mismatches)
    compared = sum(result.compared_neuron_steps.values())
    if result.exact:
        return f"exact: 0 mismatches against {others} in {compared:,} neuron-steps"
    total = sum(sum(per.values()) for per in result.mismatches.values())
    if total:
        return f"NOT exact: {total:,} mismatches against {others} in {compared:,} neuron-steps"
    empty = [n for n, steps in result.compared_neuron_steps.items() if not steps]
    return f"NOT verified: nothing was compared in {', '.join(empty) or 'any population'}"


def deviation_parts(deviation: Deviation) -> list[str]:
    """The netlist that a deployment states beside the one that was given."""
    rows = [
        (
            name,
            p.neuron_steps,
            p.differing,
            percent(p.share),
            p.spikes_given,
            p.spikes_stated,
            None if p.relative_spikes is None else f"{100 * p.relative_spikes:+.2f} %",
        )
        for name, p in deviation.populations.items()
    ]
    headings = (
        *("population", "neuron-steps", "differ", "share"),
        *("spikes given", "spikes stated", "difference"),
    )
    lines = [
        "deviation of the stated netlist, which was approximated, from the given one:",
        render_table(headings, rows),
    ]
    if deviation.top1 is not None:
        line = f"same class as the given netlist: {percent(deviation.top1)}"
        if deviation.accuracy_given is not None and deviation.accuracy_stated is not None:
            line += (
                f"; accuracy {percent(deviation.accuracy_stated)} of the stated, "
                f"{percent(deviation.accuracy_given)} of the given"
            )
        lines.append(line)
    return lines


def verification_parts(result: Verification) -> list[str]:
    """The whole result."""
    n = result.samples
    headings = (
        *("population", "compared", "spikes", "activity", "correlation"),
        *(f"!= {name}" for name in result.mismatches),
    )
    parts = [
        f"target {result.target}, {n} sample{'s' * (n != 1)}, T = {result.timesteps}",
        render_table(headings, verification_rows(result)),
    ]
    if result.agreement is not None and result.agreement.top1 is not None:
        parts.append(f"same class as the source network: {percent(result.agreement.top1)}")
    if result.deviation is not None:
        parts += deviation_parts(result.deviation)
    if result.divergences:
        parts.append("\n".join(str(d) for d in result.divergences.values()))
    return [*parts, verdict(result)]
