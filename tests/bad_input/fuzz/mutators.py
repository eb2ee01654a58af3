"""Seeded damage of files: of their bytes, of texts, of JSON in them, of members of archives."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Draw = np.random.Generator

MARK = "NEURODEPLOY_FUZZ_MARK"
"""Environment variable with the path of a file that appears if a file's code was run."""

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 6 * 10**9),
    *(0.5, -1.5, 1e308, "", "x", "0", "..", "../../etc/passwd", "/dev/zero", "a" * 3000),
    *("\x1b[2J\x07", "\u202e", "\x00", "\ud800", [], {}, [[]], [1, "x", None], {"a": {"b": []}}),
)


def pick(draw: Draw, values: Any) -> Any:
    return values[int(draw.integers(len(values)))]


class Trap:
    """What unpickling would run."""

    def __reduce__(self) -> Any:
        code = f"import os; open(os.environ['{MARK}'], 'w').close()"
        return exec, (code,)


def hurt_bytes(content: bytes, draw: Draw) -> bytes:
    """One or several changes of bytes anywhere."""
    data = bytearray(content)
    for _ in range(int(draw.integers(1, 4))):
        if not data:
            return bytes(draw.integers(0, 256, 40, dtype=np.uint8))
        # Headers stand at the beginning and, in archives, at the end.
        n = len(data)
        edge = min(n, 400)
        at = int(pick(draw, [draw.integers(n), draw.integers(edge), n - 1 - draw.integers(edge)]))
        size = int(pick(draw, [1, 1, 2, 4, 8, 30, max(n // 3, 1)]))
        match int(draw.integers(7)):
            case 0:
                data[at] ^= 1 << int(draw.integers(8))
            case 1:
                value = int(pick(draw, [0, 1, 0x7F, 0x80, 0xFF]))
                data[at : at + size] = bytes([value]) * len(data[at : at + size])
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = draw.integers(0, 256, size % 4096, dtype=np.uint8).tobytes()
            case 4:
                data[at:at] = data[at : at + size]
            case 5:
                del data[at:]
            case _:
                number = pick(draw, [2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 0])
                data[at : at + 8] = struct.pack(pick(draw, ["<Q", ">Q"]), number)
    return bytes(data)


def hurt_text(text: str, draw: Draw) -> str:
    """A number, word or line of a text becomes another one."""
    for _ in range(int(draw.integers(1, 4))):
        tokens = list(re.finditer(r"-?\d+(\.\d+)?|\w+|[{}\[\]=\",.]", text))
        if not tokens:
            return text + str(pick(draw, SCALARS))
        token = pick(draw, tokens)
        value = pick(draw, SCALARS)
        other = pick(draw, [json.dumps(value), str(value), pick(draw, tokens)[0], "", "[" * 5000])
        other = other.encode("utf-8", "replace").decode()
        text = text[: token.start()] + other + text[token.end() :]
    return text


def hurt_json(value: Any, draw: Draw) -> Any:
    """A value anywhere in a tree is replaced, left out, doubled or moved."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict | list):
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                walk(node[key])

    for _ in range(int(draw.integers(1, 3))):
        places.clear()
        walk(value)
        if not places:
            return pick(draw, SCALARS)
        node, key = pick(draw, places)
        other, place = pick(draw, places)
        match int(draw.integers(6)):
            case 0 | 1:
                node[key] = pick(draw, SCALARS)
            case 2:
                del node[key]
            case 3:
                node[key] = json.loads(json.dumps(other[place]))
            case 4:
                if isinstance(node, list):
                    node.insert(key, json.loads(json.dumps(node[key])))
                else:
                    node[str(pick(draw, ["x", "class", "__class__", "", key]))] = node[key]
            case _:
                if isinstance(node[key], int) and not isinstance(node[key], bool):
                    node[key] += int(pick(draw, [1, -1, 1000, 2**31]))
                else:
                    node[key] = [node[key]]
    return value


def hurt_document(content: bytes, draw: Draw) -> bytes:
    """JSON as a tree or as text."""
    if draw.integers(3) == 0:
        return hurt_text(content.decode("utf-8", "replace"), draw).encode("utf-8", "replace")
    value = hurt_json(json.loads(content), draw)
    return json.dumps(value, indent=1, allow_nan=bool(draw.integers(2))).encode(
        "utf-8", "surrogatepass"
    )


def hurt_tensors(content: bytes, draw: Draw) -> bytes:
    """The JSON header of a safetensors file, or that in its metadata; or its numbers."""
    size = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = header.get("__metadata__", {})
    # A stranger's file has the digest of what it says: that of a netlist may be missing.
    for key, text in metadata.items():
        metadata[key] = re.sub(r'"sha256":"[0-9a-f]{64}",(?="s)', "", text)
    match int(draw.integers(5)):
        case 0:
            header = hurt_json(header, draw)
        case 1:
            rest = hurt_bytes(rest, draw)
        case _ if metadata:
            key = pick(draw, sorted(metadata))
            metadata[key] = hurt_document(metadata[key].encode(), draw).decode("utf-8", "replace")
        case _:
            header = hurt_json(header, draw)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def hurt_archive(content: bytes, draw: Draw) -> bytes:
    """A member of a zip file is damaged, replaced, renamed, left out or doubled."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    i = int(draw.integers(len(members)))
    name, data = members[i]
    match int(draw.integers(7)):
        case 0 | 1:
            members[i] = (name, hurt_bytes(data, draw))
        case 2:
            members[i] = (name, pickle.dumps(Trap()))
        case 3:
            members[i] = (pick(draw, ["../x", "/x", name + "x", "", "x.npy"]), data)
        case 4:
            del members[i]
        case 5:
            members[i] = (name, pick(draw, members)[1])
        case _ if name.endswith(".npy"):
            members[i] = (name, strange_array(draw))
        case _:
            members.append((name, data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            archive.writestr(member or "x", data)
    return out.getvalue()


def strange_array(draw: Draw) -> bytes:
    """A .npy file of another type, shape or size than anybody expects."""
    out = io.BytesIO()
    kind = int(draw.integers(4))
    if kind == 0:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 3)}
        np.lib.format.write_array_header_1_0(out, header)
        return out.getvalue()
    if kind == 1:
        np.save(out, np.array([Trap()], dtype=object), allow_pickle=True)
        return out.getvalue()
    shape = pick(draw, [(), (0,), (3,), (4, 1, 8, 8), (0, 1, 8, 8), (4, 64), (4, 1, 8, 8, 1)])
    number = pick(draw, ["f8", "i8", "u8", "i1", "?", "c8", "U3", "M8[s]", "f2", "V4"])
    np.save(out, np.ones(shape).astype("f8").astype(number, casting="unsafe"))
    return out.getvalue()


def hurt(path: Path, draw: Draw) -> None:
    """Damage one file in place, as its kind allows."""
    content = path.read_bytes()
    kind = {
        ".json": hurt_document,
        ".ndn": hurt_tensors,
        ".safetensors": hurt_tensors,
        ".npz": hurt_archive,
        ".pt": hurt_archive,
        ".pt2": hurt_archive,
        ".toml": lambda c, d: hurt_text(c.decode(), d).encode("utf-8", "replace"),
        ".csv": lambda c, d: hurt_text(c.decode(), d).encode("utf-8", "replace"),
        ".npy": lambda c, d: strange_array(d),
    }.get(path.suffix)
    if kind is None or draw.integers(4) == 0:
        kind = hurt_bytes
    try:
        path.write_bytes(kind(content, draw))
    except ValueError:  # numpy and zipfile refuse some of it
        path.write_bytes(hurt_bytes(content, draw))
