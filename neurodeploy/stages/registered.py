"""Targets and conversion methods: what there is, whether it works here, and the options."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurodeploy.conversion.registry import METHODS
from neurodeploy.errors import NeurodeployError
from neurodeploy.stages.options import Option, options_of
from neurodeploy.targets.registry import TARGETS, usable_targets


@dataclass(frozen=True, slots=True)
class Registered:
    """One entry of a registry.

    Parameters
    ----------
    name, summary : str
    unavailable : str or None
        Why it cannot be used here.
    options : mapping of str to Option
    default_board : str or None
        Of a target.
    spikes : str or None
        What the neurons of a method emit.
    targets : tuple of str
        Of a method: the targets that run what it makes.
    citation : str or None
        Of a method: its first DOI or arXiv number.
    """

    name: str
    summary: str
    unavailable: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    default_board: str | None = None
    spikes: str | None = None
    targets: tuple[str, ...] = ()
    citation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "summary": self.summary,
            "available": self.unavailable is None,
            "unavailable": self.unavailable,
            "options": {
                key: None if option.required else option.default
                for key, option in self.options.items()
            },
            "option_help": {
                key: {"values": option.values, "meaning": option.meaning}
                for key, option in self.options.items()
            },
            "default_board": self.default_board,
            "spikes": self.spikes,
            "targets": list(self.targets),
            "citation": self.citation,
        }


def describe_targets() -> list[Registered]:
    """All targets, and whether they work here."""
    found = []
    for name, entry in TARGETS.entries().items():
        try:
            target = TARGETS.get(name)
        except NeurodeployError as error:
            found.append(Registered(name, entry.summary, str(error)))
            continue
        found.append(
            Registered(
                name,
                entry.summary,
                target.unavailable(),
                options_of(target),
                default_board=target.default_board,
            )
        )
    return found


def describe_methods() -> list[Registered]:
    """All conversion methods, and which targets run what they make."""
    usable = usable_targets()
    found = []
    for name, entry in METHODS.entries().items():
        try:
            method = METHODS.get(name)
            options = options_of(method)
        except NeurodeployError as error:
            found.append(Registered(name, entry.summary, str(error)))
            continue
        # Crossbars take binary spikes, from the input as well.
        binary = method.emits == "binary" and "rate" in method.encoders
        found.append(
            Registered(
                name,
                entry.summary,
                options=options,
                spikes=method.emits,
                targets=tuple(
                    t
                    for t, target in usable.items()
                    if (binary or target.board_kind != "crossbar")
                    and (not target.methods or name in target.methods)
                ),
                citation=_citation(method),
            )
        )
    return found


def _citation(method: type) -> str | None:
    """The first publication that a method or its module names."""
    text = f"{method.__doc__} {sys.modules[method.__module__].__doc__}"
    found = re.search(r"doi 10\.\d{4,}/[^\s;,)]+|arXiv \d{4}\.\d{4,5}", text)
    return None if found is None else found[0].rstrip(".")
