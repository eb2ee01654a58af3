"""Targets and conversion methods: what there is, whether it works here, and the options."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from neurodeploy.conversion.registry import METHODS
from neurodeploy.errors import NeurodeployError
from neurodeploy.render.docstrings import documented_entries
from neurodeploy.render.text import render_table
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
    documented : mapping of str to (str, str)
        Options whose docstring tells the values that they take and what they mean.
    default_board : str or None
        Of a target.
    spikes : str or None
        What the neurons of a method emit.
    crossbar : bool
        Whether a method can take spikes and send binary ones only.
    citation : str or None
        Of a method: its first DOI or arXiv number.
    """

    name: str
    summary: str
    unavailable: str | None
    options: Mapping[str, Any]
    default_board: str | None = None
    documented: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    spikes: str | None = None
    crossbar: bool = False
    citation: str | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that run what a method makes; none of a target."""
        if self.spikes is None:
            return ()
        return ("lava", "brian2", "truenorth") if self.crossbar else ("lava", "brian2")

    def values(self, option: str) -> str:
        """The values that an option takes, as its documentation or its default tells."""
        kind = self.documented.get(option, ("", ""))[0]
        choices = re.findall(r'"([^"]+)"', kind)
        if choices:
            return "|".join(choices)
        return kind or ("" if option not in self.options else _kind(self.options[option]))

    def meaning(self, option: str) -> str:
        """What an option does; empty where that is not documented."""
        return self.documented.get(option, ("", ""))[1]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "summary": self.summary,
            "available": self.unavailable is None,
            "unavailable": self.unavailable,
            "options": dict(self.options),
            "option_help": {
                key: {"values": self.values(key), "meaning": self.meaning(key)}
                for key in self.options
            },
            "default_board": self.default_board,
            "spikes": self.spikes,
            "targets": list(self.targets),
            "citation": self.citation,
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
                documented_entries(target),
            )
        )
    return found


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true|false"
    return "" if value is None else type(value).__name__


def list_methods() -> list[Registered]:
    """All conversion methods."""
    found = []
    for name, entry in METHODS.entries().items():
        try:
            method = METHODS.get(name)
            fields = dataclasses.fields(method)
        except NeurodeployError as error:
            found.append(Registered(name, entry.summary, str(error), {}))
            continue
        defaults = {f.name: None if f.default is dataclasses.MISSING else f.default for f in fields}
        documented = documented_entries(method)
        crossbar = method.emits == "binary" and "rate" in method.encoders
        found.append(
            Registered(
                name,
                entry.summary,
                None,
                defaults,
                None,
                documented,
                method.emits,
                crossbar,
                _citation(method),
            )
        )
    return found


def _citation(method: type) -> str | None:
    """The first publication that the module of a method names."""
    text = sys.modules[method.__module__].__doc__ or ""
    found = re.search(r"doi 10\.\d{4,}/[^\s;,)]+|arXiv \d{4}\.\d{4,5}", text)
    return None if found is None else found[0].rstrip(".")


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
    table = render_table(("method", "spikes", "runs on", "what it is"), rows)
    table += (
        "\n\nauto, the default, tries graded, signed-memory and rate and takes the shortest run "
        "within --max-loss.\nA crossbar also needs --input spikes, --decode counts and "
        "--max-pooling identity."
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
            str(value).lower() if isinstance(value, bool) or value is None else str(value),
            entry.values(key) or None,
            _first_sentence(entry.meaning(key)) or None,
        )
        for entry in entries
        for key, value in entry.options.items()
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
