"""Digests of what a deploy or a sweep reads: networks and data."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurodeploy.datasets import EventSamples, Samples
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.files import file_digest
from neurodeploy.stages.keeping import text_digest

if TYPE_CHECKING:
    from torch import nn


def model_fingerprint(model: str | Path | nn.Module) -> str:
    """Digest of a network: of its file, of its factory's files, or of a module and its weights.

    Of a factory, the files that it imports from its own folder (from its own package) count, and
    those that they import there; of what is installed, the factory's own file alone.
    """
    if not isinstance(model, str | Path):
        return _module_fingerprint(model)
    text = str(model)
    place, colon, name = text.rpartition(":")
    if text.endswith((".pt2", ".onnx")):
        files = [Path(text), *_beside_onnx(Path(text))]
    elif not colon or not place:
        # No network: the conversion says what is missing.
        files = []
    elif place.endswith(".py"):
        files = sorted(_imported(Path(place), Path(place).parent, None))
    else:
        files = sorted(_files_of_module(place))
    return text_digest([name, *(file_digest(path) for path in files if path.is_file())])


def samples_fingerprint(data: Samples | EventSamples) -> str:
    """Digest of samples with their answers, range and normalization, wherever they came from.

    Of recordings, the events and how they become rasters.
    """
    found = hashlib.sha256()
    if isinstance(data, EventSamples):
        _add_recordings(found, data)
        return found.hexdigest()
    told = (data.split, data.value_range, data.levels, data.norm, list(data.named))
    found.update(repr(told).encode())
    for values in (data.x, data.y, data.targets, data.indices, *data.named.values()):
        if values is not None:
            _add(found, values)
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """Data that are measured on, with their digests, each of which is computed once."""

    data: Samples | EventSamples
    _known: dict[int, str] = field(default_factory=dict)

    def digest(self, n: int) -> str:
        """Of all samples, or of the first n recordings of events, as far as there are so many."""
        whole = isinstance(self.data, Samples)
        n = len(self.data) if whole else min(n, len(self.data))
        if n not in self._known:
            self._known[n] = samples_fingerprint(self.data if whole else self.data.first(n))
        return self._known[n]


def _add_recordings(found: hashlib._Hash, data: EventSamples) -> None:
    found.update(repr((data.split, data.binning)).encode())
    for recording in data.recordings:
        opened = recording.open()
        found.update(repr((recording.start, recording.stop, opened.size)).encode())
        for events in opened.blocks:
            for values in (events.t, events.x, events.y, events.p):
                if values is not None:
                    _add(found, values)
    for values in (data.y, data.indices):
        if values is not None:
            _add(found, values)


def _beside_onnx(path: Path) -> list[Path]:
    """Files in which an ONNX file keeps its weights."""
    if path.suffix != ".onnx":
        return []
    # What is wrong with the file is told by the conversion.
    with contextlib.suppress(Exception):
        import onnx

        graph = onnx.load_model(str(path), load_external_data=False).graph
        entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
        names = {Path(entry.value).name for entry in entries if entry.key == "location"}
        return [path.with_name(name) for name in sorted(names)]
    return []


def _add(found: hashlib._Hash, values: AnyArray) -> None:
    found.update(f"{values.dtype.str}{values.shape}".encode())
    found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _module_fingerprint(module: nn.Module) -> str:
    """What a module is called, made of and weighs, and the source of its classes."""
    found = hashlib.sha256(f"{type(module).__qualname__}\n{module!r}".encode())
    kinds = {type(part) for part in module.modules()}
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
        # Those of an interactive session have no file.
        with contextlib.suppress(OSError, TypeError):
            found.update(inspect.getsource(kind).encode())
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode())
        _add(found, tensor.detach().cpu().contiguous().numpy())
    return found.hexdigest()


def _files_of_module(name: str) -> set[Path]:
    """The file of a module, and of those that it imports from its own top package."""
    top = name.partition(".")[0]
    # What is installed stays as it is, and may have thousands of files.
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            origin = Path(spec.origin)
            if top == "neurodeploy" or "site-packages" in origin.parts:
                return {origin}
            return _imported(origin, _root(origin, name), top)
    # Installed nowhere: it is looked for in the working directory.
    place = Path(*name.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return {p for file in files if file.is_file() for p in _imported(file, Path(), top)}


def _root(origin: Path, name: str) -> Path:
    """The folder from which a module is imported by its name."""
    levels = name.count(".") + (origin.name == "__init__.py")
    return origin.parents[levels]


def _imported(first: Path, root: Path, top: str | None) -> set[Path]:
    """A file of Python, and the files below ``root`` that it imports, directly or not.

    Parameters
    ----------
    first, root : Path
    top : str or None
        The only top package that is followed; None: any that lies in the folder.
    """
    found: set[Path] = set()
    left = [first]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        with contextlib.suppress(OSError, ValueError, SyntaxError, RecursionError):
            tree = ast.parse(path.read_bytes())
            for name in _names(tree, path, root):
                if top is None or name.partition(".")[0] == top:
                    left += _candidates(root, name)
    return found


def _names(tree: ast.AST, path: Path, root: Path) -> Iterator[str]:
    """Modules that a file may import, by their names from ``root``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            lead = node.module or ""
            if node.level:
                package = path.relative_to(root).parent
                above = package.parts[: len(package.parts) - node.level + 1]
                lead = ".".join((*above, *filter(None, [node.module])))
            yield lead
            yield from (f"{lead}.{alias.name}" for alias in node.names)


def _candidates(root: Path, name: str) -> list[Path]:
    """Files of a module and of the packages above it."""
    parts = [part for part in name.split(".") if part]
    found = []
    for n in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:n])
        found += [place / "__init__.py", place.with_suffix(".py")]
    return [path for path in found if path.is_file()]
