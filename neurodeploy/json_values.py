"""Results as JSON values: what ``to_dict`` gives and ``--json`` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class Result:
    """A base of dataclasses whose fields, in their order, are their JSON values.

    Fields that their ``repr`` leaves out, such as arrays that are kept to be drawn, are left out.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: json_value(getattr(self, f.name)) for f in fields if f.repr}


def json_value(value: Any) -> Any:
    """A value as JSON: results by their ``to_dict``, mappings, sequences, arrays item by item."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [json_value(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
