"""A netlist inside the metadata of a NIR graph: what NIR cannot say comes back as it was.

The metadata hold the whole netlist, in the terms of the codec of ``.ndn`` files, and a digest of
the graph beside it. Where a graph was changed since, they are not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurodeploy.errors import FileFormatError
from neurodeploy.exchange.hdf5 import Tree
from neurodeploy.exchange.nir_graph import Graph
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist, RealNetlist
from neurodeploy.ir.storage import array_bytes, netlist_codec
from neurodeploy.loading.files import arrays_and_metadata, expect_schema, parsed_json

SCHEMA = 1
Kept = tuple[RealNetlist | IntegerNetlist, dict[str, Encoding]]
HEADER, ARRAYS = "neurodeploy", "neurodeploy_arrays"


def digest(graph: Graph) -> str:
    """Of nodes, parameters and edges, whatever number type and order they are written in."""
    found = hashlib.sha256()
    for name, node in sorted(graph.nodes.items()):
        found.update(f"node {name} {node.type}\n".encode())
        for key, value in sorted(node.parameters.items()):
            if isinstance(value, str):
                found.update(f"{key} {value}\n".encode())
                continue
            array = np.asarray(value, dtype="<f8")
            if key == "v_reset" and not array.any():
                # What is left out is 0, and nir writes it.
                continue
            found.update(f"{key} {array.shape}\n".encode() + array.tobytes())
    for a, b in sorted(graph.edges):
        found.update(f"edge {a} {b}\n".encode())
    return found.hexdigest()


def metadata(
    netlist: RealNetlist | IntegerNetlist,
    encodings: Mapping[str, Encoding],
    graph: Graph,
    told: Mapping[str, Any],
) -> Tree:
    """What goes into the metadata of a graph: a text and an array."""
    structure, arrays = netlist_codec().encode({"netlist": netlist, "encodings": dict(encodings)})
    header = {"schema": SCHEMA, "graph": digest(graph), "written": told, "structure": structure}
    return {
        HEADER: json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False),
        ARRAYS: np.frombuffer(array_bytes(arrays), dtype=np.uint8),
    }


def kept_netlist(graph: Graph) -> Kept | None:
    """The netlist in a graph's metadata, and its encodings; None where there is none.

    Raises
    ------
    FileFormatError
        If it is damaged, or the graph was changed since it was written.
    """
    text, content = graph.metadata.get(HEADER), graph.metadata.get(ARRAYS)
    if text is None and content is None:
        return None
    damaged = f"{graph.where}: damaged metadata of neurodeploy; give --dynamics to read it without"
    if not isinstance(text, str) or not isinstance(content, np.ndarray):
        raise FileFormatError(damaged)
    match parsed_json(text, damaged):
        case {"schema": version, "structure": structure, "graph": seen}:
            pass
        case _:
            raise FileFormatError(damaged)
    if content.dtype != np.uint8:
        raise FileFormatError(damaged)
    arrays, _ = arrays_and_metadata(content.tobytes(), damaged)
    remedy = "give --dynamics to read it without"
    expect_schema(version, SCHEMA, f"{graph.where}: metadata", remedy)
    if seen != digest(graph):
        raise FileFormatError(
            f"{graph.where}: the graph was changed since neurodeploy wrote it, and its metadata "
            "say something else; give --dynamics to read it without"
        )
    try:
        found = netlist_codec().decode(structure, arrays)
    except FileFormatError as error:
        raise FileFormatError(f"{graph.where}: metadata: {error}") from error
    match found:
        case {"netlist": RealNetlist() | IntegerNetlist() as netlist, "encodings": dict(given)} if (
            all(isinstance(e, Encoding) for e in given.values())
        ):
            return netlist, given
    raise FileFormatError(damaged)
