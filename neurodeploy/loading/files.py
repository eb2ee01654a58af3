"""The one door for files that others made: plain ones, that memory holds, of what they say.

Every netlist, compiled file, placement and board comes through here as bytes, as JSON, TOML
and arrays; what they mean is told by their readers. It stands below the netlist, so that compiled
cores can run without it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from neurodeploy.errors import FileFormatError

AnyArray = npt.NDArray[Any]

LARGEST_TEXT = 2**28
"""Bytes of a file of text: JSON takes some twenty times as much memory as it is long."""
METADATA = "__metadata__"
MAX_DEFLATE_RATIO = 1032
"""Bytes that one byte of a deflated file can stand for (zlib, "Maximum Compression Factor")."""


def expect_plain_file(path: Path, what: str) -> None:
    """Refuse what is no file: a pipe would be waited for, a device has no end.

    Raises
    ------
    FileFormatError
        If it does not exist, or is a folder, pipe, socket or device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file; expected {what}") from None
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot read {what} ({_reason(error)})") from error
    if stat.S_ISDIR(mode):
        raise FileFormatError(f"{path}: is a folder; expected {what}")
    if not stat.S_ISREG(mode):
        raise FileFormatError(f"{path}: is a device or pipe; save it as a file, expected {what}")


def open_plain_file(path: Path, what: str) -> BinaryIO:
    """A file to read, which is not waited for; see :func:`expect_plain_file`."""
    expect_plain_file(path, what)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot read {what} ({error.strerror})") from error
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, what: str, most: int | None = None) -> bytes:
    """Content of a file.

    Parameters
    ----------
    path : Path
    what : str
        What it should be, for messages.
    most : int, optional
        Bytes that such a file can have. [default: what memory is free]

    Raises
    ------
    FileFormatError
        If it does not exist, is no file, is larger, or cannot be read.
    """
    with open_plain_file(path, what) as file:
        size = os.fstat(file.fileno()).st_size
        limit = free_memory() if most is None else most
        if size > limit:
            room = "memory has room for" if most is None else "at most"
            raise FileFormatError(
                f"{path}: {size} bytes, {room} {limit}; expected {what}, take another file"
            )
        try:
            return file.read(size)
        except OSError as error:
            raise FileFormatError(f"{path}: cannot read {what} ({error.strerror})") from error


def file_digest(path: Path, what: str = "a file") -> str:
    """SHA-256 of a file's content in hexadecimal digits, read part by part.

    Raises
    ------
    FileFormatError
        If it does not exist, or is no file; ``what`` is what it should be.
    """
    found = hashlib.sha256()
    with open_plain_file(path, what) as file:
        while part := file.read(2**20):
            found.update(part)
    return found.hexdigest()


def free_memory() -> int:
    """Bytes that can be had without putting others out of theirs."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        told = dict(line.split(":") for line in lines)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, LookupError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def parsed_json(text: str | bytes, damaged: str) -> Any:
    """A JSON value, of finite numbers and without keys that occur twice.

    Parameters
    ----------
    text : str or bytes
    damaged : str
        The error for what is none.

    Raises
    ------
    FileFormatError
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise FileFormatError(damaged) from error


def expect_schema(found: object, expected: int, where: object, remedy: str) -> None:
    """Refuse a file of another schema version; a text or 3.0 is none.

    Raises
    ------
    FileFormatError
    """
    if type(found) is not int or found != expected:
        raise FileFormatError(
            f"{where}: schema version {found!r:.20}, this neurodeploy reads {expected}; {remedy}"
        )


def parsed_toml(content: bytes, damaged: str) -> dict[str, Any]:
    """The tables of a TOML file; ``damaged``: what the error for what is none begins with.

    Raises
    ------
    FileFormatError
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    try:
        tables: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(f"{damaged}: {reason}; mend the file") from error
    return tables


def arrays_and_metadata(
    content: bytes, damaged: str
) -> tuple[dict[str, AnyArray], Mapping[str, str]]:
    """What a safetensors file holds; ``damaged`` is the error for what is none.

    Raises
    ------
    FileFormatError
    """
    from safetensors.numpy import load

    try:
        arrays: dict[str, AnyArray] = load(content)
    except MemoryError:
        raise
    except Exception as error:  # a library's own errors, and NumPy's for types it does not have
        raise FileFormatError(damaged) from error
    length = int.from_bytes(content[:8], "little")
    header = parsed_json(content[8 : 8 + length], damaged)
    return arrays, header.get(METADATA, {})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
