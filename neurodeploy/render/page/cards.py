"""The first thing that is seen: answers, and everything that they rest on."""

from __future__ import annotations

from collections.abc import Mapping

from neurodeploy.loading.shapes import has_shape
from neurodeploy.render.markup import Markup, Part, element, markup
from neurodeploy.render.page.values import Values
from neurodeploy.render.quantities import told_bar
from neurodeploy.render.text import percent, short_percent
from neurodeploy.render.verification import verdict
from neurodeploy.stages.reported import Measured, Report
from neurodeploy.verification.accuracy import Evaluation
from neurodeploy.verification.statistics import is_chance, wilson

NETLISTS = {"spiking": "spiking, real-valued", "integer": "spiking, integer"}


def cards(report: Report, values: Values) -> Markup:
    """Cards of all netlists; what failed comes first."""
    failed: list[Markup] = []
    others: list[Markup] = []
    for i, one in enumerate(report.measured):
        told = values.at("networks", i)
        which = one.name if len(report.measured) > 1 else None
        checks = _verification(one, told, which)
        (others if all(v.exact for v in one.verifications.values()) else failed).append(checks)
        others.append(_accuracy(one, told, which))
        others += [_board(one, name, told) for name in one.verdicts]
    for name, reason in report.refused.items():
        answer = element("p", element("strong", "does not fit"), class_="bad")
        others.append(_card(name, answer, element("p", reason, class_="note"), kind="bad"))
    return element("div", failed, others, _assumptions(report), class_="cards")


def _card(title: str, *content: Part, kind: str = "", which: str | None = None) -> Markup:
    heading = element("h2", title, None if which is None else element("span", f" {which}"))
    return element("section", heading, *content, class_=f"card {kind}".strip())


def _figure(number: Part, *beside: Part) -> Markup:
    return element("p", element("strong", number, class_="number"), " ", *beside)


def interval(share: float, n: int) -> str:
    """Its 95 % interval."""
    low, high = wilson(round(share * n), n)
    return f"{100 * low:.1f} .. {100 * high:.1f}"


def _accuracy(one: Measured, values: Values, which: str | None) -> Markup:
    evaluation = one.evaluation
    if evaluation is None:
        return _card("Accuracy", _missing(one, "accuracy"), which=which)
    told = values.at("evaluations")
    if evaluation.task != "classes" or evaluation.accuracy is None:
        return _errors(evaluation, which)
    rows = []
    first = next(iter(one.evaluations))
    if evaluation.source_accuracy is not None:
        rows.append(_accuracy_row("source", told.at(first), ("source_accuracy",), None, evaluation))
    for name, found in one.evaluations.items():
        rows.append(
            _accuracy_row(
                NETLISTS[name],
                told.at(name),
                ("accuracy", str(found.timesteps)),
                ("accuracy_interval", str(found.timesteps)),
                found,
            )
        )
    n = evaluation.samples
    note = f"95 % intervals; {n} sample{'s' * (n != 1)}, T = {evaluation.timesteps}"
    return _card(
        "Accuracy",
        element("table", element("tbody", rows), class_="plain"),
        element("p", note, class_="note"),
        which=which,
    )


def _accuracy_row(
    name: str,
    values: Values,
    keys: tuple[str, ...],
    ends: tuple[str, ...] | None,
    evaluation: Evaluation,
) -> Markup:
    if ends is None:
        shown: Part = interval(values.at(*keys).json, evaluation.samples)
    else:
        shown = values.shown(lambda both: f"{100 * both[0]:.1f} .. {100 * both[1]:.1f}", *ends)
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", element("strong", values.shown(short_percent, *keys), class_="number")),
        element("td", shown, class_="note"),
    )


def _errors(evaluation: Evaluation, which: str | None) -> Markup:
    """Where the answer is no class: errors, or only what it costs."""
    rows = [
        element("tr", element("th", f"{name}: relative error"), element("td", str(error)))
        for name, error in evaluation.relative_error.items()
    ]
    if evaluation.target_error is not None:
        rows.append(
            element(
                "tr",
                element("th", "error against the targets"),
                element("td", str(evaluation.target_error)),
            )
        )
    n = evaluation.samples
    note = f"{n} sample{'s' * (n != 1)}, T = {evaluation.timesteps}"
    if not rows:
        note = f"no labels and no source network to compare with; {note}"
    body = element("table", element("tbody", rows), class_="plain") if rows else None
    return _card("Error", body, element("p", note, class_="note"), which=which)


def _missing(one: Measured, part: str) -> Markup:
    return element("p", f"not here: {one.missing.get(part, 'not measured')}", class_="note")


def _verification(one: Measured, values: Values, which: str | None) -> Markup:
    """Verification against reference and engine; a mismatch is what the page begins with."""
    if not one.verifications:
        reasons = [r for part, r in one.missing.items() if part.startswith("verification")]
        text = "; ".join(reasons) or (
            "not verified here: name targets (--target), or give the folder of 'deploy'"
        )
        return _card("Verification", element("p", text, class_="note"), which=which)
    rows = []
    for target, result in one.verifications.items():
        told = values.at("verifications", target)
        total = sum(result.compared_neuron_steps.values())
        found = sum(sum(per.values()) for per in result.mismatches.values())
        answer = "exact" if result.exact else "NOT exact"
        rows += [
            _figure(f"{found:,} of {total:,}", f"neuron-steps differ: {answer}"),
            element("p", f"target {target}: {verdict(result)}", class_="note"),
        ]
        first = told.at("first_divergence")
        if first.json is not None:
            rows.append(element("p", str(result.first), class_="note"))
    good = all(v.exact for v in one.verifications.values())
    return _card(
        "Verification" if good else "Verification failed",
        rows,
        kind="good" if good else "bad",
        which=which,
    )


def _board(one: Measured, name: str, values: Values) -> Markup:
    found = one.verdicts[name]
    kind = "good" if found.fits else "bad"
    answer = element("p", element("strong", found.answer), class_=kind)
    report = None if one.energy is None else one.energy.reports.get(name)
    if report is None:
        reason = str(found) if not found.fits else one.missing.get("energy", "not priced")
        remedy = element("p", found.remedy, class_="note") if found.remedy else None
        return _card(name, answer, element("p", reason, class_="note"), remedy, kind=kind)
    told = values.at("energy", "boards", name)
    cores, chips = report.cores, report.chips
    return _card(
        name,
        answer,
        _figure(
            told.shown(lambda j: told_bar(j, "J"), "energy_per_inference_j", "total"),
            "per inference",
        ),
        element(
            "p",
            told.shown(lambda t: told_bar(t, "s"), "time_per_inference_s"),
            "; ",
            told.shown(str, "cores"),
            f" core{'s' * (cores != 1)} on ",
            told.shown(str, "chips"),
            f" chip{'s' * (chips != 1)}",
            class_="note",
        ),
        kind=kind,
    )


def _assumptions(report: Report) -> Markup | None:
    """Every warning and assumption."""
    several = len(report.measured) > 1
    rows: list[Markup] = []
    for one in report.measured:
        lead = f"{one.name}: " if several else ""
        told = [(lead, text) for text in warnings_of(one)]
        for name, found in one.verdicts.items():
            told += [(f"{name}: ", text) for text in found.assumptions if found.fits]
        for name, found_ in ({} if one.energy is None else one.energy.reports).items():
            if found_.unknown:
                told.append((f"{name}: ", f"unknown constants: {', '.join(found_.unknown)}"))
            told += [(f"{name}: ", text) for text in (*found_.notes, *found_.assumptions)]
        shared: dict[str, list[str]] = {}
        for place, text in told:
            shared.setdefault(text, []).append(place)
        rows += [
            element(
                "li",
                element("b", ", ".join(p.removesuffix(": ") for p in places)),
                ": " if any(places) else None,
                text,
            )
            for text, places in shared.items()
        ]
    if not rows:
        return None
    n = len(rows)
    return element(
        "section",
        element("h2", f"What it rests on: {n} warning{'s' * (n != 1)} and assumptions"),
        element("ul", [markup(row, "\n") for row in rows]),
        class_="card wide",
    )


_MEASURED_SOURCE = {"accuracy": float, "samples": range(1, 2**16), "chance": float}


def warnings_of(one: Measured) -> list[str]:
    """What the conversion and the data warn of."""
    found = [
        f"{row['silent']} of {row['channels']} channels of {row['layer']} were silent on all "
        "calibration samples: their thresholds are guesses"
        for row in one.network.provenance.get("silent_channels", ())
    ]
    source = one.network.provenance.get("source_network") or {}
    if has_shape(source, _MEASURED_SOURCE):
        share, n, chance = source["accuracy"], source["samples"], source["chance"]
        if is_chance(round(share * n), n, chance):
            found.insert(
                0,
                f"the source network got {percent(share)} of {n} calibration samples right, "
                f"which is not above chance ({percent(chance)})",
            )
    auto = one.network.provenance.get("auto")
    if isinstance(auto, Mapping) and auto.get("met") is False:
        found.append(f"the automatic choice missed its budget: {auto.get('reason') or ''}")
    return [*found, *(f"{part} is missing: {why}" for part, why in one.missing.items())]
