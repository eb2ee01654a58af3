"""Tables of the targets and the conversion methods."""

from __future__ import annotations

import re
from collections.abc import Sequence

from neurodeploy.render.text import render_table
from neurodeploy.stages.registered import Registered


def render_targets(targets: Sequence[Registered]) -> str:
    """One line per target, then the options, then why some cannot be used."""
    rows = [
        (t.name, "yes" if t.unavailable is None else "no", t.default_board, t.summary)
        for t in targets
    ]
    table = render_table(("target", "works here", "default board", "what it is"), rows)
    return "\n\n".join(
        [table, *_options_and_reasons(targets, "target", "compile --option KEY=VALUE")]
    )


def render_methods(methods: Sequence[Registered]) -> str:
    """One line per method; of a single one also the options."""
    rows = [(m.name, m.spikes, ", ".join(m.targets), m.summary) for m in methods]
    table = render_table(("method", "spikes", "runs on", "what it is"), rows) + (
        "\n\nauto, the default, tries graded, signed-memory, rate, momentum and radix and takes "
        "the shortest run within --max-loss.\nFor methods that it runs a crossbar also needs "
        "--input spikes, --decode counts and --max-pooling identity."
    )
    if len(methods) == 1:
        return "\n\n".join([table, *_options_and_reasons(methods, "method", "convert --KEY VALUE")])
    reasons = [f"{m.name}: {m.unavailable}" for m in methods if m.unavailable is not None]
    return "\n\n".join([table, *reasons, "The options of one method: neurodeploy methods NAME"])


def _options_and_reasons(entries: Sequence[Registered], kind: str, how: str) -> list[str]:
    options = [
        (
            entry.name,
            key,
            _value(None if option.required else option.default),
            option.values or None,
            _first_sentence(option.meaning) or None,
        )
        for entry in entries
        for key, option in entry.options.items()
    ]
    parts = []
    if options:
        headings = (kind, "key", "default", "values", "meaning")
        parts.append(f"options ({how})\n" + render_table(headings, options))
    reasons = [f"{e.name}: {e.unavailable}" for e in entries if e.unavailable is not None]
    if reasons:
        parts.append("\n".join(reasons))
    return parts


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[a-z0-9)'])\. ", text, maxsplit=1)[0].rstrip(".")


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
