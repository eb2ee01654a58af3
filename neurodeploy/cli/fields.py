"""Click options made from the signatures of stages and the fields of methods and passes.

Names, types, defaults and help stand where they are read: a new option needs no edit here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import click

from neurodeploy import api
from neurodeploy.api import Option, option_value, options_of
from neurodeploy.cli.options import F, with_options


def stage_options(stage: Callable[..., Any], leave_out: Collection[str] = ()) -> list[click.Option]:
    """One option per parameter of a stage, which gets it under the parameter's name.

    Parameters
    ----------
    stage : callable
        Its signature and docstring tell names, types, defaults and meaning; what may be named by a
        text is one.
    leave_out : collection of str
        Parameters that a command offers otherwise; ``progress`` is always one.
    """
    described = options_of(stage)
    return [
        _stage_option(option, described)
        for name, option in described.items()
        if name not in (*leave_out, "progress")
    ]


def with_stage(name: str, *leave_out: str) -> Callable[[F], F]:
    """The options of a stage of the API, as one decorator."""
    return with_options(lambda: stage_options(getattr(api, name), leave_out))


def _stage_option(option: Option, described: Collection[str]) -> click.Option:
    def spelled(name: re.Match[str]) -> str:
        return f"--{name[1].replace('_', '-')}" if name[1] in described else name[0]

    flag = option.kind is bool
    shown = not flag and not option.required and option.default is not None
    least = re.search(r">= (\d+)", option.documented)
    kind = click.IntRange(min=int(least[1])) if least else None if flag else option.kind
    return click.Option(
        [f"--{option.name.replace('_', '-')}", option.name],
        type=kind,
        # Told False, click takes a required option without a value for one of None.
        is_flag=flag or None,
        required=option.required,
        show_default=shown,
        metavar=None if flag else _metavar(option),
        help=re.sub(r"'(\w+)'", spelled, option.meaning),
        # A default of None is one that click takes for an answer.
        **({} if option.required else {"default": option.default}),
    )


def field_options(
    classes: Mapping[str, type], leave_out: Collection[str] = ()
) -> list[click.Option]:
    """One option per field; values stay text, for :func:`field_values` to read.

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


def axis_options(described: Mapping[str, Option]) -> list[click.Option]:
    """One option for each, which takes several values; they stay text."""
    return [
        click.Option(
            [f"--{name.replace('_', '-')}", name],
            metavar=f"{_metavar(option)},...".replace(",...,...", ",..."),
            help=option.meaning,
        )
        for name, option in described.items()
    ]


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
        name: text
        if name not in options
        else option_value(f"--{name.replace('_', '-')}", options[name].kind, text)
        for name, text in given.items()
        if text is not None
    }


def _metavar(option: Option) -> str:
    if option.choices:
        return "|".join(option.choices)
    kinds = {int: "N", float: "X", bool: "true|false"}
    nouns = {"per cent": "PERCENT", "path": "FILE", "Samples": "SPEC", "sequence": "NAME,..."}
    named = (noun for word, noun in nouns.items() if word in option.documented)
    return kinds.get(option.kind) or next(named, "NAME")
