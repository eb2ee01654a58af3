"""Operators that know of time, while a program of several steps is folded into one.

A rule returns what the value becomes, or None where the operator does what it does to every value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from neurodeploy.source.analog import Shape
from neurodeploy.source.torch.exported_program import BATCH
from neurodeploy.source.torch.step_graph import StepGraph
from neurodeploy.source.torch.step_values import Flat, Now, One, Seq, Total, is_value

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
VIEWS = ("view", "reshape", "_unsafe_view", "flatten", "unflatten")
KNOWN = frozenset(
    ("stack", "unbind", "repeat", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like")
)
"""Operators beside those of the table that are followed, or whose results are constants."""
ELEMENTWISE = ("add", "sub", "mul", "div", "neg", "relu", "rsub", "dropout")
_LINEAR = ("linear", "addmm", "matmul", "mm", "mean", "avg_pool2d", "adaptive_avg_pool2d", "add")
_SOFTMAX = ("softmax", "log_softmax", "_softmax", "_log_softmax")


def _rule(*operators: str) -> Callable[[Rule], Rule]:
    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return enter


@_rule("select", "unbind")
def _taken_out(
    graph: StepGraph, node: fx.Node, x: Any, dim: int = 0, index: int | None = None
) -> Any:
    if isinstance(x, Seq) and dim % _rank(x) == x.axis:
        steps = tuple(Now(x.node, t) for t in range(x.steps))
        return steps if index is None else steps[index]
    if isinstance(x, Now) and dim == 0:
        graph.refuse("takes one sample out of the batch")
    return None


def _rank(x: Seq) -> int:
    rank: int = x.node.meta["val"].ndim + 1
    return rank


@_rule("stack")
def _stack(graph: StepGraph, node: fx.Node, tensors: Any, dim: int = 0) -> Any:
    if not all(isinstance(v, Now) and v.step is not None for v in tensors) or dim not in (0, 1):
        return None
    return _in_order(graph, tensors, dim)


@_rule("cat")
def _cat(graph: StepGraph, node: fx.Node, tensors: Any, dim: int = 0) -> Any:
    if not all(isinstance(v, One) and v.axis == dim for v in tensors):
        return None
    return _in_order(graph, tensors, dim)


def _in_order(graph: StepGraph, values: Sequence[Now | One], dim: int) -> Any:
    """All steps that were computed one by one."""
    steps = [v.step for v in values]
    if len(set(steps)) == 1 < len(steps):
        return None
    if steps != list(range(len(values))):
        graph.refuse("joins other than all steps in their order")
    usual = values[-1].node
    for step, value in enumerate(values):
        if value.node is not usual and not graph.begins(value.node, usual, step):
            graph.refuse(f"joins values of which that of step {step} is computed differently")
    return Seq(usual, dim, len(values))


@_rule("add")
def _add(graph: StepGraph, node: fx.Node, x: Any, other: Any, alpha: Any = 1) -> Any:
    """A sum over steps, where it is one."""
    for a, b in ((x, other), (other, x)):
        if not isinstance(b, Now) or b.step is None or alpha != 1:
            continue
        if isinstance(a, Total) and not a.mean and a.step == b.step - 1 and a.node is b.node:
            return Total(b.node, b.step)
        second = isinstance(a, Now) and (a.step, b.step) == (0, 1)
        if second and (a.node is b.node or _is_zero_plus(a.node, b.node)):
            return Total(b.node, 1)
    return None


def _is_zero_plus(node: fx.Node, other: fx.Node) -> bool:
    """Whether a node adds zeros to another: the beginning of a sum over steps."""
    if node.target is not torch.ops.aten.add.Tensor or other not in node.args[:2]:
        return False
    (rest,) = (a for a in node.args[:2] if a is not other)
    value = rest.meta["val"] if isinstance(rest, fx.Node) and rest.op == "get_attr" else rest
    return not isinstance(value, fx.Node) and not bool(torch.as_tensor(value).any())


@_rule("mean", "sum")
def _reduced(
    graph: StepGraph, node: fx.Node, x: Any, dim: Any = None, keepdim: bool = False, **_: Any
) -> Any:
    axes = [dim] if isinstance(dim, int) else list(dim or ())
    if isinstance(x, Now) and (not axes or 0 in axes):
        graph.refuse("adds up the samples of the batch")
    if not isinstance(x, Seq):
        return None
    axes = [axis % _rank(x) for axis in axes]
    if axes == [x.axis] and not keepdim:
        return Total(x.node, x.steps - 1, "mean" in str(node.target))
    if axes and min(axes) > 1:
        inner = [axis - 1 for axis in axes]
        return replace(x, node=graph.consed(node.target, (x.node, inner, keepdim), {}, node))
    return None


@_rule("unsqueeze")
def _unsqueeze(graph: StepGraph, node: fx.Node, x: Any, dim: int) -> Any:
    return One(x.node, 0, x.step) if isinstance(x, Now) and dim == 0 else None


@_rule("repeat")
def _repeat(graph: StepGraph, node: fx.Node, x: Any, repeats: Sequence[int]) -> Any:
    one = _one_of(x, len(repeats))
    if one is not None and all(n == 1 for i, n in enumerate(repeats) if i != one.axis):
        return Seq(one.node, one.axis, repeats[one.axis])
    return None


@_rule("expand")
def _expand(graph: StepGraph, node: fx.Node, x: Any, size: Sequence[int], **_: Any) -> Any:
    shape = tuple(int(n) for n in node.meta["val"].shape)
    one = _one_of(x, len(shape))
    if one is None:
        return None
    inner = tuple(one.node.meta["val"].shape)
    same = (*shape[: one.axis], *shape[one.axis + 1 :]) == inner
    return Seq(one.node, one.axis, shape[one.axis]) if same else None


def _one_of(x: Any, rank: int) -> One | None:
    """The same in all steps with an axis for time, of values of ``rank`` with it."""
    if isinstance(x, One):
        return x if x.step is None else None
    if not isinstance(x, Now) or x.step is not None:
        return None
    if rank == x.node.meta["val"].ndim + 1:
        return One(x.node, 0, None)
    before = x.node.args[0] if x.node.target is torch.ops.aten.unsqueeze.default else None
    return One(before, 1, None) if isinstance(before, fx.Node) and x.node.args[1] == 1 else None


@_rule("transpose")
def _transpose(graph: StepGraph, node: fx.Node, x: Any, a: int, b: int) -> Any:
    return replace(x, axis=1 - x.axis) if isinstance(x, Seq) and {a, b} == {0, 1} else None


@_rule("permute")
def _permute(graph: StepGraph, node: fx.Node, x: Any, dims: Sequence[int]) -> Any:
    swaps = list(dims) == [1, 0, *range(2, len(dims))]
    return _transpose(graph, node, x, 0, 1) if swaps else None


@_rule(*VIEWS)
def _view(graph: StepGraph, node: fx.Node, x: Any, *_: Any) -> Any:
    """Steps and samples joined or taken apart, by the shape that it gives."""
    if not isinstance(x, Seq | Flat):
        return None
    shape = tuple(int(n) for n in node.meta["val"].shape)
    inner = tuple(x.node.meta["val"].shape[1:])
    ahead = (x.steps, BATCH) if x.axis == 0 else (BATCH, x.steps)
    kinds: tuple[tuple[Shape, type[Seq] | type[Flat]], ...]
    kinds = ((ahead, Seq), ((x.steps * BATCH,), Flat))
    for lead, kind in kinds:
        rest = shape[len(lead) :]
        if shape[: len(lead)] == lead and math.prod(rest) == math.prod(inner):
            target = torch.ops.aten.reshape.default
            same = rest == inner
            made = x.node if same else graph.consed(target, (x.node, [BATCH, *rest]), {}, node)
            return kind(made, x.axis, x.steps)
    return graph.refuse(f"reshapes steps and samples into {shape}")


def on_sequences(graph: StepGraph, node: fx.Node, used: list[Any], args: Any, kwargs: Any) -> Seq:
    """Element by element, or a matrix over the last axis: each step by itself."""
    whole = [v for v in used if isinstance(v, Seq)]
    axis, rank = whole[0].axis, node.meta["val"].ndim
    if any(v.axis != axis for v in whole) or any(
        v.step is not None or axis == 1 for v in used if isinstance(v, Now)
    ):
        graph.refuse("joins steps that are laid out differently")

    def fitted(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.ndim < rank - axis:
            return value
        if value.ndim < rank or value.shape[axis] != 1:
            graph.refuse("a constant for every step; use the same for all")
        return value.squeeze(axis)

    if "linear" not in str(node.target):
        args, kwargs = torch.utils._pytree.tree_map(fitted, (args, kwargs), is_leaf=is_value)
    return Seq(graph.make(node, args, kwargs), axis, max(v.steps for v in whole))


def on_total(
    graph: StepGraph, node: fx.Node, used: list[Any], args: Any, kwargs: Any, short: str
) -> Total:
    """What is computed from a sum or a mean over time, as what adds up to it."""
    first: Total = used[0]
    if len(used) > 1:
        graph.refuse("joins sums over time")
    if short in _SOFTMAX:
        return first
    if short in VIEWS or (short in _LINEAR and first.mean):
        return replace(first, node=graph.make(node, args, kwargs))
    if short in ("div", "mul") and isinstance(args[0], Total) and isinstance(args[1], int | float):
        factor = 1 / args[1] if short == "div" else args[1]
        if factor > 0:
            # The order of the classes is that of the sum; by 1 / T it is the mean.
            return replace(first, mean=first.mean or abs(factor * (first.step + 1) - 1) < 1e-6)
    return graph.refuse(f"{short} of a sum over time: only its order is read; take the mean")
