"""Targets and conversion methods: what there is, whether it works here, and the options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.convert.registry import METHODS
from neurodeploy.errors import NeurodeployError
from neurodeploy.report.text import render_table
from neurodeploy.targets.registry import TARGETS


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """One entry of a registry.

    Parameters
    ----------
    name, summary : str
    unavailable : str or None
        Why it cannot be used here.
    options : mapping of str to JSON value
        With their defaults.
    default_board : str or None
        Of a target.
    """

    name: str
    summary: str
    unavailable: str | None
    options: Mapping[str, Any]
    default_board: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "summary": self.summary,
            "available": self.unavailable is None,
            "unavailable": self.unavailable,
            "options": dict(self.options),
            "default_board": self.default_board,
        }


def list_targets() -> list[Registered]:
    """All targets, the built-in ones first."""
    found = []
    for name, entry in TARGETS.entries().items():
        try:
            target = TARGETS.get(name)
        except NeurodeployError as error:
            found.append(Registered(name, entry.summary, str(error), {}))
            continue
        found.append(
            Registered(
                name,
                entry.summary,
                target.unavailable(),
                target.option_defaults,
                target.default_board,
            )
        )
    return found


def list_methods() -> list[Registered]:
    """All conversion methods."""
    found = []
    for name, entry in METHODS.entries().items():
        try:
            fields = dataclasses.fields(METHODS.get(name))
        except NeurodeployError as error:
            found.append(Registered(name, entry.summary, str(error), {}))
            continue
        defaults = {f.name: None if f.default is dataclasses.MISSING else f.default for f in fields}
        found.append(Registered(name, entry.summary, None, defaults))
    return found


def render_targets(targets: Sequence[Registered]) -> str:
    """One line per target, then the options, then why some cannot be used."""
    rows = [
        (t.name, "yes" if t.unavailable is None else "no", t.default_board, t.summary)
        for t in targets
    ]
    table = render_table(("target", "works here", "default board", ""), rows)
    return "\n\n".join([table, *_options_and_reasons(targets, "compile --option KEY=VALUE")])


def render_methods(methods: Sequence[Registered]) -> str:
    """One line per method, then the options."""
    rows = [(m.name, m.summary) for m in methods]
    table = render_table(("method", ""), rows)
    return "\n\n".join([table, *_options_and_reasons(methods, "convert --KEY VALUE")])


def _options_and_reasons(entries: Sequence[Registered], how: str) -> list[str]:
    options = [
        (entry.name, key, "none" if value is None else str(value))
        for entry in entries
        for key, value in entry.options.items()
    ]
    parts = []
    if options:
        parts.append(f"options ({how})\n" + render_table(("", "key", "default"), options))
    reasons = [f"{e.name}: {e.unavailable}" for e in entries if e.unavailable is not None]
    if reasons:
        parts.append("\n".join(reasons))
    return parts
