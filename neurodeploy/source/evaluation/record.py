"""The analog graph as JSON and arrays, for embedding in ``.ndn`` files."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.codec import Codec
from neurodeploy.source.analog import OPS, AnalogGraph, AnalogNode

_CODEC = Codec((AnalogGraph, AnalogNode, *OPS.values()))


def analog_to_record(graph: AnalogGraph) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Return a JSON object and the arrays that it refers to by key."""
    json, arrays = _CODEC.encode(graph)
    return json, arrays


def analog_from_record(json: dict[str, Any], arrays: dict[str, AnyArray]) -> AnalogGraph:
    """Rebuild a graph from what :func:`analog_to_record` returned.

    Parameters
    ----------
    json : dict
    arrays : dict
        Exactly the arrays of the graph: float32, indices int32.

    Raises
    ------
    FileFormatError
        For anything that :func:`analog_to_record` could not have written: unknown operations or
        fields, arrays that are missing, left over, of another type or shape, or not finite, and
        graphs that contradict themselves.
    """
    odd = sorted(k for k, v in arrays.items() if v.dtype != np.float32 and v.dtype != np.int32)
    if odd:
        raise FileFormatError(
            f"analog graph: array {odd[0]!r} is {arrays[odd[0]].dtype}, expected float32"
        )
    try:
        json = _as_written_today(json)
    except RecursionError:
        raise FileFormatError("analog graph: nested too deeply") from None
    graph = _CODEC.decode(json, arrays)
    if not isinstance(graph, AnalogGraph):
        raise FileFormatError(f"analog graph: the record holds a {type(graph).__name__}")
    again, used = analog_to_record(graph)
    left = sorted(set(arrays) - set(used))
    if left:
        raise FileFormatError(f"analog graph: array {left[0]!r} belongs to no node")
    if again != json:
        raise FileFormatError("analog graph: the record is not in the form that is written")
    return graph


def _as_written_today(json: Any) -> Any:
    """A record of earlier versions, whose functions do not tell what calibration saw."""
    if isinstance(json, list):
        return [_as_written_today(value) for value in json]
    if not isinstance(json, dict):
        return json
    json = {key: _as_written_today(value) for key, value in json.items()}
    if json.get("class") == "Function" and isinstance(json.get("fields"), dict):
        json["fields"].setdefault("seen", None)
    return json
