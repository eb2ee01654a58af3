"""Click options made from the fields of option dataclasses: a new method needs no edit here."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from neurodeploy.errors import UsageError
from neurodeploy.render.docstrings import documented_entries

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
    options: dict[str, click.Option] = {}
    for cls in classes.values():
        documented = documented_entries(cls)
        hints = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if field.name in leave_out or field.name in options:
                continue
            kind, text = documented.get(field.name, ("", ""))
            shown = _default(classes, field.name)
            options[field.name] = click.Option(
                [f"--{field.name.replace('_', '-')}", field.name],
                metavar=_metavar(hints[field.name], kind),
                help=f"{text}  {shown}".strip(),
            )
    return list(options.values())


def _default(classes: Mapping[str, type], name: str) -> str:
    """The default of a field, whose it is where few have it, or that they differ."""
    found = {
        owner: field.default
        for owner, cls in classes.items()
        for field in dataclasses.fields(cls)
        if field.name == name and field.default is not dataclasses.MISSING
    }
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
    hints = get_type_hints(cls)
    return {
        name: text if name not in hints else field_value(name, hints[name], text)
        for name, text in given.items()
        if text is not None
    }


def field_value(name: str, hint: Any, text: str) -> Any:
    """Read a text as a value of a type.

    Raises
    ------
    UsageError
        If it is none.
    """
    option = f"--{name.replace('_', '-')}"
    if hint is bool:
        if text.lower() not in _TRUTHS:
            raise UsageError(f"{option} {text!r}: expected true or false")
        return _TRUTHS[text.lower()]
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            kind = "a whole number" if hint is int else "a number"
            raise UsageError(f"{option} {text!r}: expected {kind}") from None
    return text


def _metavar(hint: Any, kind: str) -> str:
    choices = re.findall(r'"([^"]+)"', kind)
    if choices:
        return "|".join(choices)
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    return {int: "N", float: "X", bool: "true|false"}.get(hint, "VALUE")
