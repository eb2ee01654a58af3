"""The options that a sweep may vary: those of conversion, methods and quantization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from neurodeploy.conversion.registry import METHODS
from neurodeploy.errors import NeurodeployError, UnknownNameError, UsageError
from neurodeploy.quantization.integers import Quantization
from neurodeploy.stages.auto import AUTO_METHODS
from neurodeploy.stages.budget import AUTO
from neurodeploy.stages.convert import INPUTS, convert
from neurodeploy.stages.options import Option, option_value, options_of
from neurodeploy.stages.quantize import quantize
from neurodeploy.sweeps.configurations import Configuration

_OF_ALL = ("model", "data", "weights", "name", "board", "device", "tell", "progress")
"""Parameters of ``convert`` that are the same for all configurations, or of no use here."""
_QUANTIZE = ("weight_bits", "layer_bits", "fit")


class Split(NamedTuple):
    """A configuration by what takes its options."""

    convert: dict[str, Any]
    quantize: dict[str, Any]


def conversion_axes() -> dict[str, Option]:
    """Options of ``convert`` itself."""
    return {name: o for name, o in options_of(convert).items() if name not in _OF_ALL}


def quantization_axes() -> dict[str, Option]:
    """Options of ``quantize`` and the fields of its pass."""
    stage = options_of(quantize)
    return {**options_of(Quantization), **{name: stage[name] for name in _QUANTIZE}}


def sweep_options() -> dict[str, Option]:
    """All options that a sweep may vary, by name, those of methods that can be imported too."""
    found = {**conversion_axes(), **quantization_axes()}
    for name in METHODS:
        try:
            fields = options_of(METHODS.get(name))
        except NeurodeployError:
            continue
        found.update({key: option for key, option in fields.items() if key not in found})
    return found


def checked_configuration(where: str, given: Mapping[str, Any]) -> Configuration:
    """A configuration with values of the right types.

    Parameters
    ----------
    where : str
        What it is called in errors.
    given : mapping
        Values, or the texts of values; None is left out.

    Raises
    ------
    UsageError
        For an option that its method does not have, or a value that it cannot have.
    """
    method = given.get("method", AUTO)
    if not isinstance(method, str):
        raise UsageError(f"{where}: method {method!r}: expected its name")
    names = AUTO_METHODS if method == AUTO else (method,)
    fields = {k: o for name in names for k, o in options_of(METHODS.get(name)).items()}
    conversion, quantization = conversion_axes(), quantization_axes()
    known = {**fields, **quantization, **conversion}
    found: Configuration = {}
    for name, value in given.items():
        if name not in known:
            raise UnknownNameError(f"option in {where} (method {method})", name, known)
        if value is not None:
            found[name] = _typed(f"{where}: {name}", known[name], value)
    if found.get("input", INPUTS[0]) not in INPUTS:
        raise UnknownNameError(f"encoder in {where}", found["input"], INPUTS)
    parts = split(found)
    # What the method and the pass refuse by themselves is told before anything runs.
    for name in names:
        own = options_of(METHODS.get(name))
        METHODS.get(name)(**{k: v for k, v in parts.convert.items() if k in own})
    passed = {k: v for k, v in parts.quantize.items() if k in options_of(Quantization)}
    Quantization(**passed)
    return found


def split(configuration: Configuration) -> Split:
    """The options by what takes them."""
    quantization = quantization_axes()
    return Split(
        {k: v for k, v in configuration.items() if k not in quantization},
        {k: v for k, v in configuration.items() if k in quantization},
    )


def _typed(where: str, option: Option, value: Any) -> Any:
    kind = option.kind
    if option.name == "layer_bits":
        if not isinstance(value, dict) or not all(type(v) is int for v in value.values()):
            raise UsageError(f"{where}: expected a table of whole numbers by layer")
        return value
    if isinstance(value, str):
        return option_value(where, kind, value)
    fits = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    if kind is float and type(value) is int:
        return float(value)
    if not fits:
        told = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise UsageError(f"{where} {value!r}: expected {told[kind]}")
    return value
