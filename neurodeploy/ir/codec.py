"""Frozen dataclasses to JSON and arrays, and back. Only the classes listed here are ever built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError, NeurodeployError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.typed import mistyped

Json = Any

# What constructors raise for values of the right types that do not go together.
_REFUSALS = (NeurodeployError, ValueError, LookupError, ArithmeticError)


class Codec:
    """Encodes values built from a closed set of dataclasses.

    Parameters
    ----------
    classes : iterable of dataclass types
        Everything a file may contain beside None, bool, int, float, str, tuples, string-keyed
        dicts and arrays. Their constructors verify what is decoded.
    joined : iterable of str
        Fields that joined a class later: where an older file has none, the default is what it
        meant.
    sparse : iterable of str
        Fields that joined later and are written only where they are not the default.
    """

    def __init__(
        self, classes: Iterable[type], joined: Iterable[str] = (), sparse: Iterable[str] = ()
    ) -> None:
        self._sparse = set(sparse)
        self._joined = set(joined) | self._sparse
        self._classes = {c.__name__: c for c in classes}

    def encode(self, value: Any) -> tuple[Json, dict[str, AnyArray]]:
        """Return a JSON value and the arrays it refers to by key."""
        arrays: dict[str, AnyArray] = {}
        return self._encode(value, "", arrays), arrays

    def _encode(self, value: Any, path: str, arrays: dict[str, AnyArray]) -> Json:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return {"float": value.hex()}
        if isinstance(value, np.ndarray):
            key = path.lstrip(".")
            arrays[key] = value
            return {"array": key}
        if isinstance(value, tuple | list):
            return [self._encode(v, f"{path}.{i}", arrays) for i, v in enumerate(value)]
        if isinstance(value, dict):
            return {"dict": {k: self._encode(v, f"{path}.{k}", arrays) for k, v in value.items()}}
        name = type(value).__name__
        if not dataclasses.is_dataclass(value) or self._classes.get(name) is not type(value):
            raise TypeError(f"{name} is not a class of this codec")
        fields = {
            f.name: self._encode(getattr(value, f.name), f"{path}.{f.name}", arrays)
            for f in dataclasses.fields(value)
            if not (f.name in self._sparse and _is_default(f, getattr(value, f.name)))
        }
        return {"class": name, "fields": fields}

    def decode(self, json: Json, arrays: dict[str, AnyArray]) -> Any:
        """Rebuild a value.

        Raises
        ------
        FileFormatError
            For anything that :meth:`encode` could not have written, and for content that a
            constructor refuses.
        """
        try:
            return self._decode(json, arrays)
        except FileFormatError:
            raise
        except RecursionError:
            raise FileFormatError("invalid content: nested too deeply") from None
        except _REFUSALS as error:
            raise FileFormatError(f"invalid content: {error}") from error

    def _decode(self, json: Json, arrays: dict[str, AnyArray]) -> Any:
        if json is None or isinstance(json, bool | int | str):
            return json
        if isinstance(json, list):
            return tuple(self._decode(v, arrays) for v in json)
        if not isinstance(json, dict):
            raise FileFormatError(f"invalid content: {type(json).__name__} in the header")
        match json:
            case {"float": str(text), **rest} if not rest:
                return float.fromhex(text)
            case {"array": str(key), **rest} if not rest:
                if key not in arrays:
                    raise FileFormatError(f"invalid content: array {key!r} is missing")
                return arrays[key]
            case {"dict": dict(entries), **rest} if not rest:
                return {k: self._decode(v, arrays) for k, v in entries.items()}
            case {"class": str(name), "fields": dict(fields), **rest} if not rest:
                return self._build(name, fields, arrays)
        raise FileFormatError(f"invalid content: keys {sorted(json)} in the header")

    def _build(self, name: str, fields: dict[str, Json], arrays: dict[str, AnyArray]) -> Any:
        cls = self._classes.get(name)
        if cls is None:
            raise FileFormatError(f"invalid content: unknown class {name!r}")
        known = {f.name for f in dataclasses.fields(cls)}
        odd = sorted((set(fields) ^ known) - (known & self._joined))
        if odd:
            raise FileFormatError(f"invalid content: {name} has missing or unknown fields {odd}")
        values = {k: self._decode(v, arrays) for k, v in fields.items()}
        fault = mistyped(cls, values)
        if fault:
            raise FileFormatError(f"invalid content: {fault}")
        return cls(**values)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    # A field whose default is filled in by the constructor says itself what that looks like.
    filled = field.metadata.get("is_default")
    if filled is not None:
        return bool(filled(value))
    return type(value) is type(field.default) and bool(value == field.default)
