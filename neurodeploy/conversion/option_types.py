"""Options of a method are of the types that its dataclass declares, whoever makes it."""

from __future__ import annotations

import dataclasses
import numbers
import typing
from typing import Any

from neurodeploy.errors import UsageError

_EXPECTED: dict[type, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "a text"),
}


def check_option_types(method: Any) -> None:
    """Refuse a method whose options are of other types than declared.

    Values that a ``Literal`` does not list are left to the method, which knows what they stand for.

    Raises
    ------
    UsageError
        Naming the option, its value and what it takes.
    """
    declared = typing.get_type_hints(type(method))
    for field in dataclasses.fields(method):
        kind, value = declared[field.name], getattr(method, field.name)
        if typing.get_origin(kind) is typing.Literal:
            kind = type(typing.get_args(kind)[0])
        expect_kind(field.name.replace("_", " "), value, kind)


def expect_kind(what: str, value: object, kind: type) -> None:
    """Refuse a value that is no bool, int, float or str: a bool is no number.

    Raises
    ------
    UsageError
        Naming what it is of, the value and what it takes.
    """
    if kind is bool:
        right, words = isinstance(value, bool), "true or false"
    else:
        allowed, words = _EXPECTED[kind]
        right = isinstance(value, allowed) and not isinstance(value, bool)
    if not right:
        raise UsageError(f"{what} {value!r}: expected {words}")
