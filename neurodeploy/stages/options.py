"""The options of a stage, a pass, a method or a target, from its signature and docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from neurodeploy.errors import UsageError

_ENTRY = re.compile(r"^(\w[\w, ]*) : (.+)$")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float}


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Parameters
    ----------
    name : str
    kind : type
        ``bool``, ``int``, ``float``, or ``str`` for whatever a text or an object can name.
    default : object
        ``inspect.Parameter.empty`` where there is none.
    documented : str
        The type as the docstring tells it; empty where it does not.
    meaning : str
        What it does; empty where that is not documented.
    choices : tuple of str
        The only values, where they are listed.
    """

    name: str
    kind: type
    default: Any = inspect.Parameter.empty
    documented: str = ""
    meaning: str = ""
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty

    @property
    def values(self) -> str:
        """The values that it takes, as its documentation or its default tells."""
        if self.choices or self.documented:
            return "|".join(self.choices) or self.documented
        if isinstance(self.default, bool):
            return "true|false"
        return "" if self.required or self.default is None else type(self.default).__name__


def options_of(thing: type | Callable[..., Any]) -> dict[str, Option]:
    """The options of a dataclass, a function, or a target's class, by name, in order.

    Those of a dataclass are its fields, those of a function its parameters, those of a target its
    ``option_defaults``. Entries of base classes count in the docstring of a class, unless the class
    tells its own.
    """
    documented: dict[str, tuple[str, str]] = {}
    for owner in reversed(thing.__mro__ if isinstance(thing, type) else (thing,)):
        documented |= _entries(inspect.cleandoc(owner.__doc__ or ""))
    found = {}
    for name, (hint, default) in _declared(thing).items():
        kind, meaning = documented.get(name, ("", ""))
        choices = re.findall(r'"([^"]+)"', kind)
        if not choices and get_origin(hint) is Literal:
            choices = [str(value) for value in get_args(hint)]
        chosen = hint if hint in _KINDS.values() else str
        found[name] = Option(name, chosen, default, kind, meaning, tuple(dict.fromkeys(choices)))
    return found


def option_value(where: str, kind: type, text: str) -> Any:
    """Read a text as a value of an option's kind; ``where`` names the option in errors.

    Raises
    ------
    UsageError
        If it is none.
    """
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise UsageError(f"{where} {text!r}: expected true or false")
        return _TRUTHS[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise UsageError(f"{where} {text!r}: expected {expected}") from None
    return text


def _declared(thing: Any) -> Mapping[str, tuple[Any, Any]]:
    """Name -> (type, default)."""
    empty = inspect.Parameter.empty
    if dataclasses.is_dataclass(thing):
        hints = get_type_hints(thing)
        return {
            f.name: (hints[f.name], empty if f.default is dataclasses.MISSING else f.default)
            for f in dataclasses.fields(thing)
        }
    if isinstance(thing, type):
        defaults: Mapping[str, Any] = thing.option_defaults  # type: ignore[attr-defined]
        return {name: (type(default), default) for name, default in defaults.items()}
    # Annotations stay text: some name types that only a type checker imports.
    return {
        p.name: (_KINDS.get(str(p.annotation).removesuffix(" | None")), p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    }


def _entries(text: str) -> dict[str, tuple[str, str]]:
    """Name -> (type as documented, sentences) of the entries of a numpydoc docstring."""
    found: dict[str, tuple[str, list[str]]] = {}
    current: list[str] = []
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            current = []
            for name in entry[1].split(","):
                found[name.strip()] = (entry[2], current)
        elif line.startswith("    "):
            current.append(line.strip())
        elif line:
            current = []
    return {
        name: (kind, re.sub(r"\s+", " ", " ".join(text)).replace("``", "'"))
        for name, (kind, text) in found.items()
    }
