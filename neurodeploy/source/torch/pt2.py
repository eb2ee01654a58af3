"""Programs saved by torch.export (``FILE.pt2``), read without executing anything in them.

``torch.export.load`` unpickles without restriction (weights stored with ``use_pickle``, custom
objects, and whatever its first, safe attempt refuses) and evaluates the expressions of symbolic
shapes as Python. So the archive is read here: its graph is JSON, its tensors are raw bytes. The
operators are taken from the table of what is converted (others of torch open files or trust the
sizes they are given); symbolic sizes are never evaluated, since all but the batch's are numbers.
"""

from __future__ import annotations

import json
import operator
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import fx, nn

from neurodeploy.errors import FileFormatError, UnsupportedLayerError
from neurodeploy.loading.files import expect_plain_file
from neurodeploy.source.lowering import LOWERINGS, PAGE, REFUSED, unsupported
from neurodeploy.source.torch import frontend as torch_frontend  # noqa: F401  (fills the table of operators)
from neurodeploy.source.torch.exported_program import one_line

_REMEDY = "write it with torch.export.save(torch.export.export(module, example), path)"
_OPERATOR = re.compile(r"torch\.ops\.(aten|quantized_decomposed)\.([a-z_][a-z0-9_]*)\.(\w+)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_MAX_DOCUMENT = 256 * 2**20

_DTYPES: dict[int, torch.dtype] = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64},
    **{6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16},
}
"""Numbers of torch._export.serde.schema.ScalarType."""

_ALWAYS = {
    **{"as_none": None, "as_device": torch.device("cpu"), "as_layout": torch.strided},
    "as_memory_format": torch.preserve_format,
}
"""Kinds of arguments that are the same whatever a file says."""

_CONSTANT = frozenset(
    {
        *("abs", "arange", "cos", "exp", "floor", "fmod", "full", "full_like", "linspace", "log"),
        *("ones", "ones_like", "pow", "reciprocal", "remainder", "round", "rsqrt", "scalar_tensor"),
        *("sin", "sqrt", "sym_size", "zeros", "zeros_like"),
    }
)
"""Operators beside those of the table that compute constants of a network, without side effects."""

_SAFE = {"view": "reshape", "_unsafe_view": "reshape", "empty": "zeros", "empty_like": "zeros_like"}
"""What stands in for views, which depend on strides, and for memory that nobody has written."""

_SIZES = ("_operator.mul", "_operator.floordiv", "_operator.add", "_operator.sub")
"""Arithmetic of the number of samples, which reshapes leave to be inferred."""

_WITHOUT_GRADIENT = "torch.ops.higher_order.wrap_with_set_grad_enabled"
"""A block under ``torch.no_grad()``: its nodes are a graph of its own, and compute the same."""

_RESHAPES = frozenset({"view", "reshape", "_unsafe_view", "expand"})
"""Operators whose sizes hold the batch: a number, or a symbol that is not evaluated."""


def load_pt2(path: str | Path) -> nn.Module:
    """Read an exported program as a module that takes its inputs, for any number of samples.

    Parameters
    ----------
    path : path
        Written by ``torch.export.save``, of torch 2.8 or later.

    Returns
    -------
    fx.GraphModule
        With the names of the inputs of the program as the parameters of its ``forward``.

    Raises
    ------
    FileFormatError
        For a file that is damaged or no such archive, for one that holds pickled objects, and for
        operators that are not torch's own; nothing in the file is executed.
    """
    path = Path(path)
    expect_plain_file(path, "an exported program (.pt2)")
    try:
        with zipfile.ZipFile(path) as archive:
            return _Program(path, archive).module()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, RuntimeError) as error:
        raise FileFormatError(
            f"program {path} is truncated or not a .pt2 file ({one_line(error, 120)}); {_REMEDY}"
        ) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            f"program {path} is not laid out as torch.export.save does ({one_line(error, 120)});"
            f" {_REMEDY}"
        ) from error


class _Program:
    """One archive, on its way to a module."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.archive = archive
        names = archive.namelist()
        graphs = [n for n in names if re.search(r"(^|/)models/[^/]+\.json$", n)]
        if len(graphs) != 1:
            if any(n.endswith("serialized_exported_program.json") for n in names):
                self.refuse("was written by a torch before 2.8; save it again with a later one")
            self.refuse(f"holds {len(graphs)} programs, expected one; {_REMEDY}")
        self.folder, _, name = graphs[0].rpartition("models/")
        self.name = name.removesuffix(".json")
        document = self.document(graphs[0])["graph_module"]
        self.graph: Mapping[str, Any] = document["graph"]
        self.signature: Mapping[str, Any] = document["signature"]
        self.root, self.made = nn.Module(), fx.Graph()
        self.values: dict[str, fx.Node] = {}

    def refuse(self, reason: str) -> NoReturn:
        raise FileFormatError(f"program {self.path} {reason}")

    def document(self, name: str) -> Any:
        if self.archive.getinfo(name).file_size > _MAX_DOCUMENT:
            self.refuse(f"holds {name} of more than {_MAX_DOCUMENT >> 20} MiB")
        return json.loads(self.content(name))

    def content(self, name: str) -> bytes:
        # torch stores without compression, and a small file must not fill the memory.
        if self.archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            self.refuse(f"holds {name} compressed, which torch.export.save never does")
        return self.archive.read(name)

    def module(self) -> nn.Module:
        stored = {**self.tensors("weights"), **self.tensors("constants")}
        self.inputs(stored)
        for node in self.graph["nodes"]:
            self.node(node)
        results = [out["user_output"]["arg"] for out in self.outputs()]
        self.made.output(tuple(self.values[arg["as_tensor"]["name"]] for arg in results))
        self.made.eliminate_dead_code()
        return fx.GraphModule(self.root, self.made, self.path.stem).eval()

    def outputs(self) -> list[Any]:
        specs = self.signature["output_specs"]
        other = [next(iter(spec)) for spec in specs if "user_output" not in spec]
        if other:
            self.refuse(
                f"changes a buffer in every call ({other[0]}); export the module after .eval()"
            )
        found = [spec for spec in specs if "as_none" not in spec["user_output"]["arg"]]
        if any("as_tensor" not in spec["user_output"]["arg"] for spec in found):
            self.refuse("returns something other than tensors")
        return found

    def tensors(self, kind: str) -> dict[str, torch.Tensor]:
        """Read stored tensors by their qualified names."""
        folder = f"{self.folder}data/{kind}/"
        if f"{folder}{self.name}.pt" in self.archive.namelist():
            self.refuse(f"holds its {kind} pickled, which is never read; {_REMEDY}")
        config = self.document(f"{folder}{self.name}_{kind}_config.json")["config"]
        tensors = {}
        for name, payload in config.items():
            if payload["use_pickle"] or payload.get("tensor_meta") is None:
                self.refuse(f"holds {name!r} pickled, which is never read; leave it out, {_REMEDY}")
            tensors[name] = self.tensor(name, folder + payload["path_name"], payload["tensor_meta"])
        return tensors

    def tensor(self, name: str, file: str, meta: Mapping[str, Any]) -> torch.Tensor:
        dtype = _DTYPES.get(meta["dtype"])
        if dtype is None:
            self.refuse(f"holds {name!r} of an unknown type ({meta['dtype']})")
        size = [_number(n) for n in meta["sizes"]]
        stride = [_number(n) for n in meta["strides"]]
        offset = _number(meta["storage_offset"])
        if min([*size, *stride, offset], default=0) < 0:
            self.refuse(f"holds {name!r} with negative sizes or strides")
        raw = bytearray(self.content(file))
        width = torch.empty((), dtype=dtype).element_size()
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if 0 not in size and (last + 1) * width > len(raw):
            self.refuse(f"is damaged: {name!r} needs {(last + 1) * width} bytes, has {len(raw)}")
        if 0 in size:
            return torch.zeros(size, dtype=dtype)
        if len(raw) % width:
            self.refuse(f"is damaged: {name!r} has {len(raw)} bytes, no multiple of {width}")
        flat = torch.frombuffer(raw, dtype=dtype)
        return torch.as_strided(flat, size, stride, offset).clone()

    def inputs(self, stored: Mapping[str, torch.Tensor]) -> None:
        """Create placeholders for what the user gives, attributes for what is stored."""
        given, lifted = [], []
        for spec in self.signature["input_specs"]:
            ((kind, content),) = spec.items()
            if kind == "user_input":
                given.append(content["arg"]["as_tensor"]["name"])
            elif kind in ("parameter", "buffer", "tensor_constant"):
                lifted.append((content["arg"]["name"], content[f"{kind}_name"], kind))
            else:
                self.refuse(f"takes an input that is no tensor ({kind}); {_REMEDY}")
        for name in given:
            self.values[name] = self.made.placeholder(_identifier(name))
        for i, (name, target, kind) in enumerate(lifted):
            # A flat name of its own: qualified ones could shadow attributes of nn.Module.
            attribute = f"stored_{i}_{re.sub(r'[^A-Za-z0-9_]', '_', target)}"
            value = stored[target]
            if kind == "parameter" and value.is_floating_point():
                setattr(self.root, attribute, nn.Parameter(value, requires_grad=False))
            else:
                self.root.register_buffer(attribute, value)
            self.values[name] = self.made.get_attr(attribute)

    def node(self, node: Mapping[str, Any]) -> None:
        if node["target"] in _SIZES and "as_sym_int" in node["outputs"][0]:
            # Only reshapes may take it; for others the name is missing.
            return
        if node["target"] == _WITHOUT_GRADIENT:
            self.inlined(node)
            return
        target = self.operator(str(node["target"]), outputs := node["outputs"], node)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        call = str(node["target"]).split(".")[3]
        for i, item in enumerate(node["inputs"]):
            if item["name"] == "memory_format":
                continue
            resized = i == 1 and call in _RESHAPES
            value = None if resized else self.argument(item["arg"])
            if item.get("kind", 1) == 2:
                kwargs[_identifier(item["name"])] = value
            else:
                args.append(value)
        if call in _RESHAPES:
            args[1] = self.sizes(outputs[0]["as_tensor"]["name"])
        made = self.made.call_function(target, tuple(args), kwargs)
        made.meta.update(_metadata(node.get("metadata") or {}))
        names = [n for out in outputs for n in self.results(out)]
        if len(outputs) == 1 and "as_tensors" not in outputs[0]:
            self.values[names[0]] = made
            return
        for i, name in enumerate(names):
            self.values[name] = self.made.call_function(operator.getitem, (made, i))

    def inlined(self, node: Mapping[str, Any]) -> None:
        """The nodes of a block, whose names are its own."""
        _, block, *given = (item["arg"] for item in node["inputs"])
        graph = block["as_graph"]["graph"]
        outer, taken = (self.values, self.graph), {}
        for slot, arg in zip(graph["inputs"], given, strict=True):
            (name,) = self.results(slot)
            # Sizes that only reshapes may take have no value.
            if "as_sym_int" not in arg or arg["as_sym_int"].get("as_name") in self.values:
                taken[name] = self.argument(arg)
        self.values, self.graph = taken, graph
        for inner in graph["nodes"]:
            self.node(inner)
        results = [self.argument(arg) for arg in graph["outputs"]]
        self.values, self.graph = outer
        names = [name for out in node["outputs"] for name in self.results(out)]
        self.values.update(zip(names, results, strict=True))

    def operator(self, target: str, outputs: Any, node: Mapping[str, Any]) -> Any:
        match = _OPERATOR.fullmatch(target)
        if match is None:
            self.refuse(
                f"uses {target[:80]}, expected operators of torch.ops.aten only; export the module"
                " without autocast, control flow on tensors, and operators of other packages"
            )
        space, call, overload = match.groups()
        call = _SAFE.get(call, call)
        overload = "default" if call in _SAFE.values() else overload
        name = call.removesuffix("_")
        if f"{space}.{name}" not in LOWERINGS and (space != "aten" or name not in _CONSTANT):
            reason = unsupported(f"{space}.{name}", LOWERINGS)
            if name not in REFUSED:
                reason += "; what PyTorch spells in others is read from .run_decompositions()"
            where = next((n for out in outputs for n in self.results(out)), name)
            layers = _metadata(node.get("metadata") or {}).get("nn_module_stack") or {"": ("", "")}
            path = [path for path, _ in layers.values()][-1]
            module = f", module {path[:80]!r}" if path else ""
            raise UnsupportedLayerError(
                f"program {self.path}: node {where!r} ({space}.{call}{module}): {reason};"
                f" supported: {PAGE}"
            )
        if space != "aten":
            from torch.ao.quantization.fx import _decomposed  # noqa: F401  (registers them)
        packet = getattr(getattr(torch.ops, space), call, None)
        if packet is None or overload not in packet.overloads():
            self.refuse(f"uses {target}, which this torch ({torch.__version__}) does not have")
        return getattr(packet, overload)

    def results(self, out: Mapping[str, Any]) -> list[str]:
        ((kind, content),) = out.items()
        if kind == "as_tensor":
            return [content["name"]]
        if kind == "as_tensors":
            return [item["name"] for item in content]
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            return [content["as_name"]]
        return self.refuse(f"has a result of kind {kind}")

    def sizes(self, name: str) -> list[int]:
        """Sizes of a result, with the batch left to be inferred."""
        sizes = self.graph["tensor_values"][name]["sizes"]
        return [-1, *(_number(n) for n in sizes[1:])]

    def argument(self, arg: Mapping[str, Any]) -> Any:
        ((kind, value),) = arg.items()
        if kind in _ALWAYS:
            return _ALWAYS[kind]
        if kind in ("as_int", "as_float", "as_bool", "as_string"):
            if not isinstance(value, (int, float, bool, str)):
                raise TypeError(f"{kind} holds {type(value).__name__}")
            # Infinities and NaN are strings in JSON.
            return float(value) if kind == "as_float" else value
        if kind in ("as_ints", "as_floats", "as_bools", "as_sym_ints"):
            return [self.argument({kind[:-1]: item}) for item in value]
        if kind == "as_tensor":
            return self.values[value["name"]]
        if kind in ("as_tensors", "as_nested_tensors"):
            return [self.values[item["name"]] for item in value]
        if kind == "as_optional_tensors":
            return [self.argument(item) for item in value]
        if kind == "as_sym_int":
            return self.values[value["as_name"]] if "as_name" in value else int(value["as_int"])
        if kind == "as_scalar_type":
            return _DTYPES[value]
        return self.refuse(f"has an argument of kind {kind}")


def _metadata(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Origin of a node: the source line and the layer, for names and messages."""
    found: dict[str, Any] = {}
    if "stack_trace" in stored:
        found["stack_trace"] = str(stored["stack_trace"])
    entries = [e.split(",") for e in str(stored.get("nn_module_stack", "")).split(";")]
    stack = {e[0]: (e[1], e[2]) for e in entries if len(e) == 3 and e[2].startswith("torch.")}
    if stack:
        found["nn_module_stack"] = stack
    return found


def _number(value: Mapping[str, Any]) -> int:
    if set(value) != {"as_int"} or type(value["as_int"]) is not int:
        raise ValueError("a size other than the batch's is not a number")
    return int(value["as_int"])


def _identifier(name: Any) -> str:
    # Names become the source text of the module's forward.
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"the name {str(name)[:40]!r}")
    return name
