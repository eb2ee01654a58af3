"""Edits of the compiled files that Lava and Brian2 run from, without the code that reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

Json = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]


def netlist_of(header: Json) -> Json:
    """The fields of the netlist in a header."""
    fields: Json = header["network"]["fields"]["netlist"]["fields"]
    return fields


def fields_of(folder: Path, name: str, kind: str, index: int) -> Json:
    """The fields of one of the ``populations`` or ``projections``."""
    header = json.loads((folder / f"{name}.json").read_text())
    fields: Json = netlist_of(header)[kind][index]["fields"]
    return fields


def quantity(folder: Path, name: str, population: str, what: str) -> str:
    """The key of an array of a population's model."""
    header = json.loads((folder / f"{name}.json").read_text())
    (model,) = (
        p["fields"]["model"]["fields"]
        for p in netlist_of(header)["populations"]
        if p["fields"]["name"] == population
    )
    key: str = model[what]["array"]
    return key


def weight(index: int) -> str:
    """The key of the weights of a projection."""
    return f"netlist.projections.{index}.connectivity.weight"


def edit_json(folder: Path, name: str, change: Callable[[Json], object]) -> None:
    """Change the header of the structure."""
    path = folder / f"{name}.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))


def edit_arrays(folder: Path, name: str, change: Callable[[Arrays], object]) -> None:
    """Change the arrays, in 64 bits."""
    path = folder / f"{name}.safetensors"
    arrays = {k: v.astype(np.int64) for k, v in load_file(path).items()}
    change(arrays)
    save_file(arrays, path)
