"""The graph of the one step that a program of several steps is folded into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import fx

from neurodeploy.source.torch.exported_program import (
    ExportedProgram,
    calling_module,
    depended_on,
    executed,
    mapped,
    source_line,
)
from neurodeploy.source.torch.step_values import Flat, Now, One, Refused, Seq, Total, is_value

GIVEN = ""
"""What enters the module, where others are the names of its layers."""
_KEPT = ("nn_module_stack", "stack_trace")


class StepGraph:
    """Nodes of one step, equal ones made once.

    Attributes
    ----------
    sent : dict
        Placeholder -> the layer whose spikes it is (``GIVEN``: the input), and how many steps
        before.
    followed : node or None
        Of the program of several steps: the one that errors name.
    """

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, int]] = {}
        self.followed: fx.Node | None = None
        self._graph = fx.Graph()
        self._root = torch.nn.Module()
        self._made: dict[Any, fx.Node] = {}
        self._constants: dict[int, tuple[torch.Tensor, fx.Node]] = {}

    def refuse(self, why: str) -> NoReturn:
        """Refuse the program at the present node."""
        place = ""
        if self.followed is not None:
            module, _ = calling_module(self.followed)
            parts = (f"module {module!r}" if module else None, source_line(self.followed))
            place = f"node {self.followed.name!r}{where(', '.join(filter(None, parts)))}: "
        raise Refused(f"{place}{why}")

    def placeholder(self, name: str, value: torch.Tensor, origin: str, lag: int) -> fx.Node:
        """What enters the step: what ``origin`` sent ``lag`` steps before."""
        node = self._graph.placeholder(name)
        node.meta["val"] = value
        self.sent[node.name] = (origin, lag)
        return node

    def program(self, ends: tuple[fx.Node, ...]) -> ExportedProgram:
        """The step as a program that returns ``ends``."""
        self._graph.output(ends)
        nodes = tuple(n for n in self._graph.nodes if n.op != "output")
        inputs = tuple(n.name for n in nodes if n.op == "placeholder")
        module = fx.GraphModule(self._root, self._graph)
        return ExportedProgram(module, nodes, {}, {}, inputs, ends)

    def attribute(self, value: torch.Tensor) -> fx.Node:
        """A node that holds a constant."""
        if id(value) not in self._constants:
            # Constants that every step computes anew are the same.
            content = value.detach().cpu().contiguous()
            raw = (
                content.reshape(-1).view(torch.uint8).numpy().tobytes() if content.numel() else b""
            )
            key = (tuple(content.shape), content.dtype, hashlib.sha256(raw).digest())
            if key not in self._made:
                name = f"constant_{len(self._made)}"
                self._root.register_buffer(name, content)
                self._made[key] = self._graph.get_attr(name)
                self._made[key].meta["val"] = content
            self._constants[id(value)] = (value, self._made[key])
        return self._constants[id(value)][1]

    def consed(self, target: Any, args: Any, kwargs: Any, like: fx.Node) -> fx.Node:
        """A node that computes ``target`` instead of ``like``, or the equal one that there is."""
        key = (target, _frozen(args), _frozen(kwargs))
        if key in self._made:
            return self._made[key]
        values: Any = fx.node.map_arg((args, kwargs), lambda n: n.meta["val"])
        with torch.no_grad():
            result = target(*values[0], **values[1])
        node = self._made[key] = self._graph.create_node(
            "call_function", target, tuple(args), dict(kwargs)
        )
        node.meta.update({k: v for k, v in like.meta.items() if k in _KEPT})
        node.meta["val"] = result
        return node

    def make(self, like: fx.Node, args: Any, kwargs: Any) -> fx.Node:
        """A node of one step that computes what ``like`` does; an equal one where there is one."""
        args, kwargs = torch.utils._pytree.tree_map(self.plain, (args, kwargs), is_leaf=is_value)
        try:
            return self.consed(like.target, args, kwargs, like)
        except (RuntimeError, TypeError, IndexError) as error:
            self.refuse(f"does not run on the values of one step: {str(error).splitlines()[0]}")

    def plain(self, value: Any) -> Any:
        if isinstance(value, Now | Seq | Flat | Total):
            return value.node
        if isinstance(value, One):
            self.refuse("computes with an axis of one step")
        if isinstance(value, torch.Tensor):
            return self.attribute(value)
        return value

    def earlier(self, node: fx.Node, lag: int) -> fx.Node:
        """The value of a node some steps before."""
        if lag == 0 or node.op == "get_attr":
            return node
        if node.op == "placeholder":
            origin, already = self.sent[node.name]
            name = f"{node.name}__before" if lag == 1 else f"{node.name}__before{lag}"
            if ("before", name) not in self._made:
                found = self.placeholder(name, node.meta["val"], origin, already + lag)
                self._made["before", name] = found
            return self._made["before", name]
        args, kwargs = mapped(node, lambda n: self.earlier(n, lag))
        return self.consed(node.target, args, kwargs, node)

    def added(self, total: Total, like: fx.Node) -> fx.Node:
        """What the steps up to one add up to, of the values of these steps."""
        found = total.node
        for lag in range(1, total.step + 1):
            before = self.earlier(total.node, lag)
            found = self.consed(torch.ops.aten.add.Tensor, (found, before), {}, like)
        return found

    def sends(self, name: str, like: fx.Node) -> fx.Node:
        """What a layer sends in the step."""
        key = ("sends", name)
        if key not in self._made:
            text = "".join(c if c.isalnum() else "_" for c in name)
            silent = torch.zeros_like(like.meta["val"])
            self._made[key] = self.placeholder(f"spikes_{text}", silent, name, 0)
        return self._made[key]

    def begins(self, node: fx.Node, usual: fx.Node, step: int) -> bool:
        """Whether a step computes what later ones do, where nothing came before the first."""
        random = torch.Generator().manual_seed(0)
        given = {
            name: torch.zeros_like(entry.meta["val"])
            if lag > step
            else torch.rand(entry.meta["val"].shape, generator=random)
            for entry in self._graph.nodes
            if entry.op == "placeholder"
            for name, lag in [(entry.name, self.sent[entry.name][1])]
        }
        needed = depended_on((node, usual))
        nodes = [n for n in self._graph.nodes if n in needed]
        found = dict(executed(nodes, lambda n: given.get(n.name, n.meta["val"])))
        a, b = found[node], found[usual]
        return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-5, atol=1e-6))


def _frozen(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, Mapping):
        return tuple((k, _frozen(v)) for k, v in value.items())
    return value


def where(source: str | None) -> str:
    """A place in errors; nothing where it is not known."""
    return f" ({source})" if source else ""
