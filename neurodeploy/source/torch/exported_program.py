"""From a torch module to one small operator set: torch.export, with torch.fx as the fallback."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import logging
import operator
import os
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from neurodeploy.errors import ConversionError, UsageError
from neurodeploy.source.analog import Shape
from neurodeploy.source.lowering import LOWERINGS, REFUSED
from neurodeploy.source.torch.in_place import taken_out
from neurodeploy.source.torch.reference_modules import on_integers, without_observers

BATCH = 7
"""Samples of the example input: a number that no reshape of a real network contains by chance."""

_TORCH = os.path.dirname(torch.__file__) + os.sep
_SOURCE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(_SOURCE)) + os.sep
_KERNELS = re.compile(r"torch\.ao\.nn\.(intrinsic\.)?quantized\.(dynamic\.)?modules")
SHAPE_ONLY = (
    *("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like"),
    "zeros_like",
)
"""Operators that read the shape of an activation and nothing else: their results are constants."""
_NUMBERS = (torch.ops.aten.item.default, torch.ops.aten._local_scalar_dense.default)
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


@dataclass(frozen=True, slots=True)
class ExportedProgram:
    """A functional graph of aten operators, without in-place operations.

    Parameters
    ----------
    graph_module : fx.GraphModule
        Takes parameters, buffers, constants and the input as arguments.
    nodes : tuple of fx.Node
        The nodes on which the outputs depend, in order, placeholders included.
    constants : dict
        Placeholder name -> parameter, buffer or constant.
    mutated : dict
        Placeholder name -> name of a buffer that the module changes in every call.
    inputs : tuple of str
        Placeholder names of the network's inputs.
    outputs : tuple
        The nodes (or plain values) that the module returns.
    """

    graph_module: fx.GraphModule
    nodes: tuple[fx.Node, ...]
    constants: dict[str, torch.Tensor]
    mutated: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[Any, ...]

    def held(self, node: fx.Node) -> Any:
        """The constant that a placeholder or an attribute is; None for a random generator."""
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.graph_module)
        return self.constants.get(node.name)


def one_line(error: BaseException, limit: int = 300) -> str:
    """First non-empty line of an exception, with its type where it has no text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else "without a message"
    return f"{type(error).__name__}: {text[:limit]}"


def export(
    module: nn.Module, *shapes: Shape, known: frozenset[str] = frozenset()
) -> ExportedProgram:
    """Export ``module``, in the mode it is in, for samples of the given shapes, one per input.

    Operators that are ``known`` beside those of the table are kept as they are.

    Raises
    ------
    UsageError
        If parameters are not float32.
    ConversionError
        If the module does not run on such an input, or cannot be traced.
    """
    expect_module(module)
    if any(_computes_in_integers(layer) for layer in module.modules()):
        raise ConversionError(
            "the module computes with torch's own integer kernels; make it with torch.ao's"
            " convert_to_reference_fx, which keeps its scales"
        )
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise UsageError(f"{name} is {tensor.dtype}, expected torch.float32; call .float()")
    module = on_integers(without_observers(module))
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    example = tuple(torch.zeros(BATCH, *shape, device=device) for shape in shapes)
    with _quiet(), _whole_stacks(), torch.no_grad():
        try:
            program = torch.export.export(module, example)
            if any(node.target in _NUMBERS for node in program.graph.nodes):
                with contextlib.suppress(Exception):
                    program = _run_once(module, example)
            program = _functional(program, known)
        except Exception as error:
            program = _export_traced(module, example, error, known)
    return _collect(program, len(example))


def expect_module(module: nn.Module) -> None:
    """Refuse what has lost its operators.

    Raises
    ------
    ConversionError
        For TorchScript.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ConversionError("TorchScript is not read; pass the module that it was made of")


def _computes_in_integers(layer: nn.Module) -> bool:
    """Whether a layer is of torch's integer kernels, among which those that wait for them are."""
    kind = type(layer)
    return bool(_KERNELS.match(kind.__module__)) and not kind.__name__.endswith("FloatFunctional")


def _functional(
    program: torch.export.ExportedProgram, known: frozenset[str] = frozenset()
) -> torch.export.ExportedProgram:
    """Remove in-place operations and rarer spellings, keeping convolutions, pooling, ... whole.

    Most programs have neither, and this step takes longer than all others together.
    """
    targets = {node.target for node in program.graph.nodes if node.op == "call_function"}
    if all(_is_functional(target, known) for target in targets):
        return program
    rules = {} if all(_is_known(target, known) for target in targets) else _spelled_out(known)
    if not rules and taken_out(program):
        return program
    functional: torch.export.ExportedProgram = program.run_decompositions(rules)
    return functional


@functools.cache
def _spelled_out(known: frozenset[str]) -> dict[Any, Callable[..., Any]]:
    """What torch makes of operators that are neither in the table nor refused for a reason."""
    rules: Any = torch.export.default_decompositions()
    return {
        target: rule
        for target, rule in rules.items()
        if isinstance(target, torch._ops.OpOverload)
        and not _is_known(target, known | REFUSED.keys())
    }


def _is_functional(target: Any, known: frozenset[str]) -> bool:
    schema = getattr(target, "_schema", None)
    return _is_known(target, known) and (schema is None or not schema.is_mutable)


def _is_known(target: Any, known: frozenset[str]) -> bool:
    """Whether an operator, or that of which it is the form in place, is in the table or known."""
    schema = getattr(target, "_schema", None)
    if schema is None:
        return target is operator.getitem
    name = schema.name.replace("::", ".").removesuffix("_")
    return name in LOWERINGS or name.removeprefix("aten.") in known


def _export_traced(
    module: nn.Module, example: tuple[torch.Tensor, ...], first: Exception, known: frozenset[str]
) -> Any:
    """Trace with torch.fx, which ignores what torch.export cannot follow, and export the trace.

    Where that cannot either, the module is run once.
    """
    try:
        copy.deepcopy(module)(*(tensor.clone() for tensor in example))
    except Exception as error:
        raise ConversionError(
            f"the module does not run on an input of shape {_shapes(example)}"
            f"{_raised_at(error)}: {one_line(error)}; {_remedy(module, example)}"
        ) from error
    try:
        tracer = fx.Tracer()
        tracer.record_stack_traces = True
        traced = fx.GraphModule(module, tracer.trace(module))
        return _functional(torch.export.export(traced, example), known)
    except Exception as error:
        with contextlib.suppress(Exception):
            return _functional(_run_once(module, example), known)
        raise ConversionError(
            f"the module cannot be traced{_raised_at(first)}: torch.export gave {one_line(first)};"
            f" torch.fx gave {one_line(error)}; branches on values of activations and Python"
            " numbers taken from them are not converted"
        ) from error


def _run_once(module: nn.Module, example: tuple[torch.Tensor, ...]) -> Any:
    """Export what a module does on zeros: sizes that it computes in tensors are numbers then.

    A number that depends on the input is still an error.
    """
    trace = make_fx(
        copy.deepcopy(module),
        pre_dispatch=True,
        record_module_stack=True,
        record_stack_traces=True,
    )
    return torch.export.export(trace(*example), example)


def _remedy(module: nn.Module, example: tuple[torch.Tensor, ...]) -> str:
    """What to do for a module that does not run: it may take images in another form."""
    last, grey = "add #layout=NHWC to the data", "save x.repeat(3, axis=1)"
    forms: list[tuple[int, str, Callable[[torch.Tensor], torch.Tensor]]] = [
        (4, f"{last}: it runs with channels first", lambda x: x.movedim(-1, 1)),
        (4, f"{grey}: it runs with three channels", lambda x: x.expand(-1, 3, -1, -1)),
        (3, "save x[:, None]: it runs with an axis of one channel", lambda x: x[:, None]),
    ]
    flat = "save x.reshape(len(x), -1): it runs with flat samples"
    forms += [(rank, flat, lambda x: x.flatten(1)) for rank in (3, 4)]
    for rank, remedy, form in forms:
        if all(tensor.ndim == rank for tensor in example):
            with contextlib.suppress(Exception):
                copy.deepcopy(module)(*(form(tensor).clone() for tensor in example))
                return remedy
    return "is --data what the network was trained on?"


def _shapes(example: tuple[torch.Tensor, ...]) -> str:
    return " and ".join(str(tuple(tensor.shape[1:])) for tensor in example)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter logs and warns about off the user's terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        # Where it cannot go on, the exporter prints its graph to stderr.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _whole_stacks() -> Iterator[None]:
    """Let the exporter record the line of every operation, in whatever function it is.

    On its own it keeps frames of functions called ``forward`` only, so that all operations of a
    model whose ``forward`` calls other methods seem to come from one line.
    """
    name = "_filter_traceback_frames"
    original = getattr(fx.proxy.TracerBase, name, None)
    if original is None:
        yield
        return

    def frames_of_the_model(self: Any, stack: traceback.StackSummary) -> traceback.StackSummary:
        calls = [i for i, frame in enumerate(stack) if frame.filename.startswith(_SOURCE)]
        return traceback.StackSummary.from_list(stack[calls[-1] + 1 if calls else 0 :])

    setattr(fx.proxy.TracerBase, name, frames_of_the_model)
    try:
        yield
    finally:
        setattr(fx.proxy.TracerBase, name, original)


def _collect(program: Any, n_inputs: int) -> ExportedProgram:
    signature = program.graph_signature
    stored = dict(program.state_dict) | dict(program.constants)
    lifted = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    by_name = {node.name: node for node in program.graph.nodes}
    changed = set(signature.buffers_to_mutate.values())
    # What a module leaves out of its results, as branches of training, is none of them.
    outputs = tuple(by_name.get(o, o) for o in signature.user_outputs if o is not None)
    needed = depended_on(out for out in outputs if isinstance(out, fx.Node))
    if len(signature.user_inputs) != n_inputs:
        raise ConversionError(
            f"the module takes {len(signature.user_inputs)} inputs, the data have {n_inputs}"
        )
    return ExportedProgram(
        graph_module=program.graph_module,
        nodes=tuple(node for node in program.graph.nodes if node in needed),
        constants={name: stored[target] for name, target in lifted.items() if target in stored},
        mutated={name: target for name, target in lifted.items() if target in changed},
        inputs=tuple(signature.user_inputs),
        outputs=outputs,
    )


def depended_on(ends: Iterable[fx.Node]) -> set[fx.Node]:
    """Nodes, and all that they depend on."""
    found: set[fx.Node] = set()
    stack = list(ends)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.all_input_nodes)
    return found


def source_line(node: fx.Node) -> str | None:
    """Return ``file.py:line`` of the innermost frame outside torch that made ``node``."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    return _innermost([(path, int(line)) for path, line in frames])


def _raised_at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    line = _innermost([(frame.filename, frame.lineno or 0) for frame in frames])
    return f" ({line})" if line else ""


def _innermost(frames: list[tuple[str, int]]) -> str | None:
    for path, line in reversed(frames):
        if not path.startswith(("<", _TORCH, _PACKAGE)):
            return f"{os.path.basename(path)}:{line}"
    return None


def calling_module(node: fx.Node) -> tuple[str, str | None]:
    """Return the path of the module that made ``node`` and the class, if it is a layer of torch."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", None
    path, kind = list(stack.values())[-1]
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    is_leaf = kind.startswith("torch.nn.modules.") and ".container." not in kind
    return re.sub(r"@\d+", "", path), kind.rpartition(".")[2] if is_leaf else None


def computed(node: fx.Node, find: Callable[[fx.Node], Any]) -> Any:
    """What a node makes of values in place of the nodes that it takes."""
    target: Any = node.target
    args, kwargs = mapped(node, find)
    with torch.no_grad():
        return target(*args, **kwargs)


def executed(
    nodes: Iterable[fx.Node], held: Callable[[fx.Node], Any]
) -> Iterator[tuple[fx.Node, Any]]:
    """Nodes with their values, in order; ``held`` gives those that nothing computes."""
    values: dict[fx.Node, Any] = {}
    for node in nodes:
        calls = node.op == "call_function"
        values[node] = computed(node, values.__getitem__) if calls else held(node)
        yield node, values[node]


def mapped(node: fx.Node, find: Callable[[fx.Node], Any]) -> tuple[Any, Any]:
    """Arguments of a node with the nodes among them replaced."""
    found: Any = fx.node.map_arg((node.args, node.kwargs), find)
    return found[0], found[1]
