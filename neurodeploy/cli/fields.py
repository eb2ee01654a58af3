"""Click options made from the fields of option dataclasses: a new method needs no edit here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from neurodeploy.api import Option, options_of
from neurodeploy.errors import UsageError

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def field_options(
    classes: Mapping[str, type], leave_out: Collection[str] = ()
) -> list[click.Option]:
    """One option per field; values stay text, for :func:`field_value` to read.

    Parameters
    ----------
    classes : mapping of name to dataclass
        Where several have a field of one name, they share the option.
    leave_out : collection of str
        Fields that a command offers otherwise.
    """
    described = {owner: options_of(cls) for owner, cls in classes.items()}
    options: dict[str, click.Option] = {}
    for fields in described.values():
        for name, option in fields.items():
            if name in leave_out or name in options:
                continue
            shown = _default([(o, f[name]) for o, f in described.items() if name in f], described)
            options[name] = click.Option(
                [f"--{name.replace('_', '-')}", name],
                metavar=_metavar(option),
                help=f"{option.meaning}  {shown}".strip(),
            )
    return list(options.values())


def _default(options: Sequence[tuple[str, Option]], classes: Collection[str]) -> str:
    """The default of a field, whose it is where few have it, or that they differ."""
    found = {owner: option.default for owner, option in options if not option.required}
    if not found:
        return ""
    if len(set(found.values())) > 1:
        return "[default: the method's]"
    (value,) = set(found.values())
    if len(found) == len(classes) or len(found) > 2:
        return f"[default: {value}]"
    return f"[{', '.join(found)}: {value}]"


def field_values(cls: type, given: Mapping[str, str | None]) -> dict[str, Any]:
    """The values that were given, each as its field's type; fields not in ``cls`` stay text.

    Raises
    ------
    UsageError
        For a text that is no value of the type.
    """
    options = options_of(cls)
    return {
        name: text if name not in options else field_value(name, options[name].kind, text)
        for name, text in given.items()
        if text is not None
    }


def field_value(name: str, kind: type, text: str) -> Any:
    """Read a text as a value of a type.

    Raises
    ------
    UsageError
        If it is none.
    """
    option = f"--{name.replace('_', '-')}"
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise UsageError(f"{option} {text!r}: expected true or false")
        return _TRUTHS[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise UsageError(f"{option} {text!r}: expected {expected}") from None
    return text


def _metavar(option: Option) -> str:
    kinds = {int: "N", float: "X", bool: "true|false"}
    return "|".join(option.choices) or kinds.get(option.kind, "VALUE")
