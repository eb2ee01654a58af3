"""ONNX files, read without executing anything and without leaving their folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from neurodeploy.errors import (
    FileFormatError,
    NetlistError,
    TargetUnavailableError,
    UsageError,
    first_line,
)
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.files import read_bytes
from neurodeploy.source.bounds import MOST_ELEMENTS, Budget
from neurodeploy.source.onnx import integer_operators
from neurodeploy.source.onnx.local_functions import expect_few_nodes
from neurodeploy.source.onnx.precision import to_float32

BATCH = 7
"""Samples where the file leaves their number open: one that no reshape contains by chance."""

_MOST_SAMPLES = 2**14
"""That a file may ask for at a time: operators are run on as many."""

_MIN_OPSET = 7
_QUANTIZED_OPSET = 21
"""Opsets that files of earlier ones are brought to: broadcasting as today, quantization as run."""


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """A checked ONNX model with its weights.

    Parameters
    ----------
    path : Path
    model : onnx.ModelProto
        With all weights in it, without functions of its own and nodes that no output depends on.
    constants : dict
        Name -> array, of the initializers.
    inputs, outputs : tuple of str
        As the file names them.
    shapes : tuple
        Per input: its shape without the batch, None for a size that is left open.
    batch : int
        Samples that the network takes at a time; BATCH if the file leaves that open.
    fixed_batch : bool
    opset : int
    """

    path: Path
    model: Any
    constants: dict[str, AnyArray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    batch: int
    fixed_batch: bool
    opset: int


def load_onnx(path: str | Path) -> OnnxNetwork:
    """Read an ONNX file.

    Weights in files beside it (external data) are read from its own folder only.

    Raises
    ------
    TargetUnavailableError
        If the onnx package is not installed.
    FileFormatError
        For a file that is missing, damaged, or names data outside its folder.
    UsageError
        For inputs that are not float32.
    """
    try:
        import onnx
        import onnx.inliner
        import onnx.version_converter
    except ImportError as error:
        raise TargetUnavailableError(
            "an .onnx file needs the onnx package, which is not installed in this environment; "
            "pip install 'neurodeploy[onnx]'"
        ) from error
    return _Reader(Path(path), onnx).network()


class _Reader:
    def __init__(self, path: Path, onnx: Any) -> None:
        self.path = path
        self.onnx = onnx

    def refuse(self, reason: str) -> NoReturn:
        raise FileFormatError(f"network {self.path} {reason}")

    def network(self) -> OnnxNetwork:
        model = self.checked(self.parsed())
        self.fill(model.graph)
        self.widen(model)
        model = self.upgraded(model)
        integer_operators.rewrite(model, self.array)
        graph = model.graph
        _prune(graph)
        opset = _opset(model)
        constants = {tensor.name: self.array(tensor) for tensor in graph.initializer}
        given = [value for value in graph.input if value.name not in constants]
        if not given:
            self.refuse("takes no input")
        sizes = [self.sizes(value) for value in given]
        batches = {size[0] for size in sizes}
        fixed = {n for n in batches if n is not None}
        if len(fixed) > 1:
            self.refuse(f"has inputs for {sorted(fixed)} samples at a time, expected one number")
        if max(fixed, default=0) > _MOST_SAMPLES:
            self.refuse(
                f"takes {max(fixed)} samples at a time, at most {_MOST_SAMPLES}; export it with "
                "their number left open"
            )
        return OnnxNetwork(
            path=self.path,
            model=model,
            constants=constants,
            inputs=tuple(value.name for value in given),
            outputs=tuple(value.name for value in graph.output),
            shapes=tuple(size[1:] for size in sizes),
            batch=fixed.pop() if fixed else BATCH,
            fixed_batch=bool(batches - {None}),
            opset=opset,
        )

    def parsed(self) -> Any:
        content = read_bytes(self.path, "an ONNX file")
        try:
            model = self.onnx.load_model_from_string(content)
        except Exception as error:
            kind = type(error).__name__
            self.refuse(f"is truncated or not an ONNX file ({kind}); export it again")
        if not model.graph.node:
            self.refuse("holds no graph; is it an ONNX file?")
        bad = next(
            (t for t in _names((model.graph, *model.functions)) if isinstance(t, bytes)), None
        )
        if bad is not None:
            self.refuse(f"holds a name that is no UTF-8 text ({bad!r:.60}); export it again")
        return model

    def checked(self, model: Any) -> Any:
        for tensor in model.graph.initializer:
            if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
                self.fetch(tensor)
        for node in (n for f in [model.graph, *model.functions] for n in f.node):
            for attribute in node.attribute:
                tensors = [attribute.t, *attribute.tensors]
                if any(t.data_location == self.onnx.TensorProto.EXTERNAL for t in tensors):
                    self.refuse(f"keeps a constant of node {node.name!r} in another file")
        for value in model.graph.output:
            # The checker asks for what only inputs have to say.
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.shape.SetInParent()
        try:
            if model.functions:
                expect_few_nodes(model)
            self.onnx.checker.check_model(model)
            if model.functions:
                model = self.onnx.inliner.inline_local_functions(model)
        except NetlistError as error:
            self.refuse(f"is not converted: {error}")
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = lines[0][:200] if lines else type(error).__name__
            self.refuse(f"is not valid ONNX: {reason}; export it again")
        return model

    def upgraded(self, model: Any) -> Any:
        """The same network in an opset that is read."""
        least = _QUANTIZED_OPSET if integer_operators.quantized(model) else _MIN_OPSET
        opset = _opset(model)
        if opset >= least:
            return model
        given = [
            self.onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in model.graph.input
        ]
        try:
            model = self.aligned(model)
            for dim in (d for v in model.graph.input for d in v.type.tensor_type.shape.dim):
                # The converter does not know sizes that are left open.
                dim.dim_value = dim.dim_value if dim.dim_value > 0 else BATCH
            model = self.onnx.version_converter.convert_version(model, least)
            for value, own in zip(model.graph.input, given, strict=True):
                value.CopyFrom(own)
            return model
        except Exception as error:
            self.refuse(
                f"uses opset {opset}, which onnx cannot bring to {least} "
                f"({first_line(error, 120)}); export it again in {least} or later"
            )

    def aligned(self, model: Any) -> Any:
        """Constants of opsets before 7 that begin at an axis, with the axes behind it."""
        model = self.onnx.shape_inference.infer_shapes(model)
        graph = model.graph
        values = (*graph.input, *graph.value_info, *graph.output)
        ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in values}
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            found = {a.name: a.i for a in node.attribute if a.name in ("axis", "broadcast")}
            if node.op_type == "PRelu":
                found = {"axis": 1, "broadcast": 1}
            if "broadcast" not in found or node.input[1] not in constants:
                continue
            tensor = constants[node.input[1]]
            behind = ranks.get(node.input[0], 0) - found.get("axis", 0) - len(tensor.dims)
            if "axis" in found and found["axis"] >= 0 and behind > 0 and list(tensor.dims) != [1]:
                tensor.dims.extend([1] * behind)
                for value in (v for v in graph.input if v.name == tensor.name):
                    for _ in range(behind):
                        value.type.tensor_type.shape.dim.add().dim_value = 1
            kept = [a for a in node.attribute if a.name not in ("axis", "broadcast")]
            del node.attribute[:]
            node.attribute.extend(kept)
        return model

    def fetch(self, tensor: Any) -> None:
        """Read a weight from a file in the folder of the network, and from nowhere else."""
        where = {entry.key: entry.value for entry in tensor.external_data}
        location = where.get("location", "")
        if not location or Path(location).name != location or location in (".", ".."):
            self.refuse(f"keeps {tensor.name!r} in {location!r}, expected a file in its own folder")
        file = self.path.parent / location
        if file.is_symlink() or not file.is_file():
            self.refuse(f"keeps {tensor.name!r} in {location!r}, which is not a file beside it")
        try:
            offset, length = int(where.get("offset", 0)), int(where.get("length", -1))
        except ValueError:
            self.refuse(f"names a place for {tensor.name!r} in {location!r} that is no number")
        size = file.stat().st_size
        length = size - offset if length < 0 else length
        if offset < 0 or length < 0 or offset + length > size:
            self.refuse(
                f"expects {tensor.name!r} at {offset}+{length} of {location}, which has {size}"
                " bytes; the two files do not belong together"
            )
        with file.open("rb") as content:
            content.seek(offset)
            tensor.raw_data = content.read(length)
        del tensor.external_data[:]
        tensor.data_location = self.onnx.TensorProto.DEFAULT

    def fill(self, graph: Any) -> None:
        """Sparse weights as arrays, as all others are."""
        budget = Budget(MOST_ELEMENTS, "arrays of sparse weights")
        for sparse in graph.sparse_initializer:
            name, dims = sparse.values.name, list(sparse.dims)
            parts = (sparse.values, sparse.indices)
            if any(t.data_location == self.onnx.TensorProto.EXTERNAL for t in parts):
                self.refuse(f"keeps the sparse weight {name!r} in another file; export it dense")
            try:
                budget.spend(math.prod(dims))
                values, index = map(self.array, parts)
                whole = np.zeros(dims, values.dtype)
                whole[tuple(index.T) if index.ndim > 1 else np.unravel_index(index, dims)] = values
            except (NetlistError, ValueError, IndexError) as error:
                self.refuse(f"sparse weight {name!r}: {first_line(error, 120)}")
            graph.initializer.append(self.onnx.numpy_helper.from_array(whole, name))
        del graph.sparse_initializer[:]

    def widen(self, model: Any) -> None:
        try:
            to_float32(model, f"network {self.path}")
        except ValueError as error:
            self.refuse(f"holds a damaged weight ({first_line(error, 120)}); export it again")

    def array(self, tensor: Any) -> AnyArray:
        try:
            values = np.asarray(self.onnx.numpy_helper.to_array(tensor))
        except Exception:
            self.refuse(f"holds a damaged weight {tensor.name!r}; export it again")
        # One infinite number is a bound that nothing reaches.
        numbers = values.astype(np.float64) if values.dtype.kind == "f" else np.zeros(1)
        if not (np.isfinite(numbers) | (np.isinf(numbers) & (numbers.size == 1))).all():
            bad = int((~np.isfinite(values)).sum())
            self.refuse(f"holds {bad} NaN or infinite values of {values.size} in {tensor.name!r}")
        return values

    def sizes(self, value: Any) -> tuple[int | None, ...]:
        tensor = value.type.tensor_type
        if tensor.elem_type != self.onnx.TensorProto.FLOAT:
            kind = self.onnx.TensorProto.DataType.Name(tensor.elem_type)
            raise UsageError(
                f"network {self.path}: input {value.name!r} is {kind}, expected FLOAT; export it "
                "with an input of floats"
            )
        dims = tensor.shape.dim
        sizes = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
        # Sizes below 1 are another way to leave them open.
        sizes = tuple(None if n is not None and n < 1 else n for n in sizes)
        if len(sizes) < 2:
            self.refuse(
                f"has an input {value.name!r} of shape {sizes}, expected (N, channels, ...)"
            )
        return sizes


def _names(messages: Iterable[Any]) -> Iterator[str | bytes]:
    """All texts of messages but comments; protobuf gives those that are no UTF-8 as bytes."""
    for message in messages:
        for field, value in message.ListFields():
            values = (value,) if isinstance(value, str | bytes) else value
            if field.type == field.TYPE_STRING and field.name != "doc_string":
                yield from values
            elif field.type == field.TYPE_MESSAGE:
                yield from _names((value,) if hasattr(value, "ListFields") else value)


def _prune(graph: Any) -> None:
    """Leave out nodes on which no output depends: the evaluator of the package would run them."""
    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    if len(kept) < len(graph.node):
        copies = [type(node).FromString(node.SerializeToString()) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(copies)


def _opset(model: Any) -> int:
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def fits(own: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether samples have the shape that a file declares."""
    return len(own) == len(shape) and all(
        a is None or a == b for a, b in zip(own, shape, strict=True)
    )


def channels_last(own: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether a network takes channels last, and images with channels first are given."""
    return len(shape) == 3 and not fits(own, shape) and fits(own, (*shape[1:], shape[0]))
