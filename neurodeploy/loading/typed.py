"""Values of files against the types that a dataclass declares, before its constructor sees them."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Protocol, TypeVar, Union

import numpy as np

from neurodeploy.errors import FileFormatError

_Record = TypeVar("_Record")
_PLURAL = {"i": "whole numbers", "f": "real numbers"}


def mistyped(cls: type, fields: Mapping[str, Any]) -> str | None:
    """The first field whose value is of another type than it declares, told in a line.

    Whole numbers that 64 bits hold stand for real ones, and arrays of any width for the declared
    one; nothing else is taken for what it is not: a bool is no number, a list no tuple.
    """
    hints = _hints(cls)
    for name, value in fields.items():
        fault = _fault(value, hints[name])
        if fault:
            return f"{cls.__name__}: {name} {fault}"
    return None


class _Telling(Protocol):
    def to_dict(self) -> dict[str, Any]:
        """JSON values."""


_Told = TypeVar("_Told", bound=_Telling)
_Found = TypeVar("_Found")


def well_typed(found: _Found) -> _Found:
    """A dataclass, if its fields are of the types that it declares.

    Raises
    ------
    ValueError
    """
    values = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}  # type: ignore[arg-type]
    fault = mistyped(type(found), values)
    if fault is not None:
        raise ValueError(fault)
    return found


def told_again(
    make: Callable[[Mapping[str, Any]], _Told],
    told: Mapping[str, Any],
    damaged: str,
    contradicts: str,
) -> _Told:
    """What ``make`` makes of JSON values, if it tells just these again.

    Raises
    ------
    FileFormatError
        ``damaged`` where anything is missing or of another type, ``contradicts`` where the figures
        say something else than those they stand beside.
    """
    try:
        found = make(told)
        same = json.loads(json.dumps(found.to_dict())) == told
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError(damaged) from error
    if not same:
        raise FileFormatError(contradicts)
    return found


def from_table(cls: type[_Record], table: object) -> _Record:
    """A dataclass from a table of its fields.

    Raises
    ------
    FileFormatError
        For what is no table, fields that are missing or unknown, and values of another type.
    """
    if not isinstance(table, dict):
        raise FileFormatError(f"{cls.__name__} {_kind(table)}; expected a table")
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if odd := sorted(known ^ set(table)):
        raise FileFormatError(f"{cls.__name__}: missing or unknown fields {odd}")
    if fault := mistyped(cls, table):
        raise FileFormatError(fault)
    return cls(**table)


@cache
def _hints(cls: type) -> dict[str, Any]:
    known = typing.get_type_hints(cls)
    return {f.name: known[f.name] for f in dataclasses.fields(cls)}


def _fault(value: Any, hint: Any) -> str | None:
    if _fits(value, hint):
        return None
    # Where a tuple is wrong in one place only, that place is told.
    if isinstance(value, tuple) and typing.get_origin(hint) is tuple:
        items = _items(value, hint)
        if items is not None:
            return next(fault for item in items if (fault := _fault(*item)))
    return f"{_kind(value)}; expected {_told(hint)}"


def _items(value: tuple[Any, ...], hint: Any) -> list[tuple[Any, Any]] | None:
    """Each entry with the type that it should have; None for another number of entries."""
    arguments = typing.get_args(hint)
    if arguments[-1:] == (Ellipsis,):
        return [(v, arguments[0]) for v in value]
    if len(arguments) != len(value):
        return None
    return list(zip(value, arguments, strict=True))


def _plain(hint: Any) -> Any:
    """What an alias of a ``type`` statement stands for: NumPy 2.5 declares NDArray by one."""
    meant = getattr(typing.get_origin(hint) or hint, "__value__", None)
    if meant is None:
        return hint
    arguments = typing.get_args(hint)
    return _plain(meant[arguments] if arguments else meant)


def _fits(value: Any, hint: Any) -> bool:
    hint = _plain(hint)
    if isinstance(hint, TypeVar):
        return any(_fits(value, one) for one in (hint.__constraints__ or (hint.__bound__ or Any,)))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if hint is None or hint is types.NoneType:
        return value is None
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in arguments)
    if origin is tuple:
        items = _items(value, hint) if isinstance(value, tuple) else None
        return items is not None and all(_fits(*item) for item in items)
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype.kind in (_number(hint) or "biuf")
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, entry = arguments
        return isinstance(value, Mapping) and all(
            _fits(k, key) and _fits(v, entry) for k, v in value.items()
        )
    if hint is float:
        # NumPy makes an object of a larger one, which is then no number to its functions.
        whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        return whole or isinstance(value, float)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _number(hint: Any) -> str | None:
    """Kind of the numbers of an array type; None for any."""
    number = typing.get_args(typing.get_args(hint)[1])[0]
    return None if number is Any else np.dtype(number).kind


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return f"{value!r:.60}"
    if isinstance(value, np.ndarray):
        return f"of {value.dtype}"
    names: dict[type, str] = {tuple: "of type list", dict: "of type table"}
    return names.get(type(value), f"of type {type(value).__name__}")


def _told(hint: Any) -> str:
    hint = _plain(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, TypeVar):
        return _told(hint.__bound__) if hint.__bound__ else "another type"
    if origin in (Union, types.UnionType):
        return " or ".join(_told(one) for one in arguments)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        if arguments[-1:] == (Ellipsis,):
            return f"a list, each entry {_told(arguments[0])}"
        return f"a list of {len(arguments)}"
    if origin is np.ndarray:
        return f"an array of {_PLURAL.get(_number(hint) or '', 'numbers')}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table"
    names: dict[Any, str] = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
    }
    names |= {bool: "true or false", types.NoneType: "nothing"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
