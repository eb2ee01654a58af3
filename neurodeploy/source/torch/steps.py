"""A module that computes several steps, folded into the one step that all of them are.

Loops over time leave one copy of every layer per step in an exported program; layers that take all
steps at once leave an axis of time. Both are followed from what enters to what is returned: every
value is that of one step, of all steps (:class:`Seq`, :class:`Flat`), or of what they add up to
(:class:`Total`). Calls of spiking layers (:mod:`neurodeploy.source.torch.spiking`) end the graph of
a step and begin it anew: what a layer hears has to be the same expression in every step, in which
spikes of the step before are zeros in the first.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import torch
from torch import fx

from neurodeploy.errors import UnsupportedLayerError
from neurodeploy.source.analog import Shape
from neurodeploy.source.torch.exported_program import (
    BATCH,
    ExportedProgram,
    calling_module,
    source_line,
)

POPULATION = "neurodeploy.population"
GIVEN = ""
"""What enters the module, where others are the names of its layers."""
LAYOUTS = ("step", "time", "batch", "flat")
_PASSING = ("clone", "contiguous", "detach", "alias", "to", "_to_copy", "lift_fresh_copy")
_SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_full")
_VIEWS = ("view", "reshape", "_unsafe_view", "flatten", "unflatten")


@dataclass(frozen=True, slots=True)
class Now:
    """``[N, *shape]`` in one step; ``step`` None: the same in all."""

    node: fx.Node
    step: int | None


@dataclass(frozen=True, slots=True)
class Seq:
    """All steps of a node: ``[T, N, *shape]`` (axis 0) or ``[N, T, *shape]`` (axis 1)."""

    node: fx.Node
    axis: int
    steps: int


@dataclass(frozen=True, slots=True)
class One:
    """One step of a node with an axis of length 1 for time; ``step`` None: the same in all."""

    node: fx.Node
    axis: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Flat:
    """All steps of a node with time and batch as one axis, ``axis`` as it was before."""

    node: fx.Node
    axis: int
    steps: int


@dataclass(frozen=True, slots=True)
class Total:
    """What the steps up to one add up to; ``mean``: divided by their number."""

    node: fx.Node
    step: int
    mean: bool = False


@dataclass(frozen=True, slots=True)
class StateOf:
    """A state of a layer after a call."""

    layer: str
    index: int
    call: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a module.

    Parameters
    ----------
    program : ExportedProgram
        Takes what enters and what layers send, returns what is returned and what layers hear.
    layers : mapping of layer to (node that it hears, place of the call or None)
    sent : mapping of input of the program to (layer or input, steps ago)
    returned : tuple
        Per result of the module: a node of the program, a :class:`StateOf`, and how it was read.
    steps : int
        Steps that the module computes in a call; 1 where its caller holds the time.
    """

    program: ExportedProgram
    layers: Mapping[str, tuple[fx.Node, str | None]]
    sent: Mapping[str, tuple[str, int]]
    returned: tuple[tuple[fx.Node | StateOf, str], ...]
    steps: int


class Refused(UnsupportedLayerError):
    """A program that is no repetition of one step, or not in the form that was assumed."""


def fold(program: ExportedProgram, shape: Shape, steps: int | None) -> Step:
    """Fold a program.

    Parameters
    ----------
    program : ExportedProgram
        Of a module with one input whose spiking layers are calls of the operator.
    shape : tuple of int
        What enters in one step.
    steps : int or None
        T where ``[N, T, *shape]`` entered; None: ``[N, *shape]``, for one step or for all alike.

    Raises
    ------
    Refused
    """
    return _Folding(program, shape, steps).step()


@dataclass(slots=True)
class _Heard:
    """What a layer hears, call by call."""

    nodes: list[fx.Node] = field(default_factory=list)
    source: str | None = None
    whole: bool = False


class _Folding:
    def __init__(self, program: ExportedProgram, shape: Shape, steps: int | None) -> None:
        self.program = program
        self.graph = fx.Graph()
        self.root = torch.nn.Module()
        self.values: dict[fx.Node, Any] = {}
        self.made: dict[Any, fx.Node] = {}
        self.constants: dict[int, tuple[torch.Tensor, fx.Node]] = {}
        self.heard: dict[str, _Heard] = {}
        self.sent: dict[str, tuple[str, int]] = {}
        self.steps = 1
        self.here: fx.Node | None = None
        self.input = self.placeholder("input", torch.zeros(BATCH, *shape))
        self.sent[self.input.name] = (GIVEN, 0)
        self.entered: Any = Now(self.input, None)
        if steps is not None:
            self.entered = Seq(self.input, 1, steps)

    def refuse(self, why: str) -> NoReturn:
        place = ""
        if self.here is not None:
            module, _ = calling_module(self.here)
            parts = [f"module {module!r}" if module else "", source_line(self.here) or ""]
            place = ", ".join(part for part in parts if part)
            place = f" ({place})" if place else ""
            place = f"node {self.here.name!r}{place}: "
        raise Refused(f"{place}{why}")

    def placeholder(self, name: str, value: torch.Tensor) -> fx.Node:
        node = self.graph.placeholder(name)
        node.meta["val"] = value
        return node

    def step(self) -> Step:
        for node in self.program.nodes:
            self.here = node
            self.values[node] = self.value(node)
        self.here = None
        layers = {name: (self.common(name, x), x.source) for name, x in self.heard.items()}
        returned = []
        for out in self.program.outputs:
            found = self.returned(self.values[out] if isinstance(out, fx.Node) else out)
            if found is not None:
                returned.append(found)
        ends = [n for n, _ in returned if isinstance(n, fx.Node)]
        ends += [node for node, _ in layers.values()]
        self.graph.output(tuple(ends))
        module = fx.GraphModule(self.root, self.graph)
        nodes = tuple(n for n in self.graph.nodes if n.op != "output")
        folded = ExportedProgram(
            module,
            nodes,
            {},
            {},
            tuple(n.name for n in nodes if n.op == "placeholder"),
            tuple(ends),
        )
        return Step(folded, layers, self.sent, tuple(returned), self.steps)

    # Values of the program, node by node.

    def value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            if node.name in self.program.inputs:
                return self.entered
            if node.name in self.program.mutated:
                name = self.program.mutated[node.name]
                self.refuse(f"buffer {name!r} changes in every call; hand states on instead")
            return self.program.constants[node.name]
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.program.graph_module)
        args, kwargs = _mapped(node, lambda n: self.values[n])
        if node.target is operator.getitem:
            return args[0][args[1]]
        if not isinstance(node.target, torch._ops.OpOverload):
            self.refuse(f"{node.target} is not converted")
        name = str(node.target.overloadpacket)
        if name == POPULATION:
            return self.population(node, *args)
        short = name.removeprefix("aten.")
        used = [v for v in torch.utils._pytree.tree_leaves((args, kwargs)) if _is_value(v)]
        if not used or short in _SHAPE_ONLY:
            return self.constant(node)
        if short in ("stack", "cat", *_PASSING) and all(isinstance(v, StateOf) for v in used):
            return used[-1]
        states = [v for v in used if isinstance(v, StateOf)]
        if states:
            self.refuse(
                f"{short} of a state of {states[0].layer!r}: only spikes travel, and are returned"
            )
        rule = getattr(self, f"on_{short}", None)
        if rule is not None:
            found = rule(node, *args, **kwargs)
            if found is not None:
                return found
        return self.computed(node, used, args, kwargs)

    def constant(self, node: fx.Node) -> Any:
        """A value that depends on nothing that enters."""
        target: Any = node.target
        if torch.Tag.nondeterministic_seeded in target.tags:
            self.refuse("random values in every call (active dropout, or states drawn at random)")

        def concrete(source: fx.Node) -> Any:
            value = self.values[source]
            return torch.zeros(source.meta["val"].shape) if _is_value(value) else value

        args, kwargs = _mapped(node, concrete)
        with torch.no_grad():
            return target(*args, **kwargs)

    def computed(self, node: fx.Node, used: list[Any], args: Any, kwargs: Any) -> Any:
        """An operation on values of one step, or on all steps alike."""
        short = str(node.target.overloadpacket).removeprefix("aten.")  # type: ignore[union-attr]
        if short in _PASSING and len(used) == 1:
            return used[0]
        kinds = {type(v) for v in used}
        if kinds == {Now}:
            return self.at_one_step(node, used, args, kwargs)
        if kinds == {Total}:
            return self.on_total(node, used, args, kwargs, short)
        if kinds <= {Seq, Now} and Seq in kinds and short in (*_ELEMENTWISE, "linear"):
            return self.on_sequences(node, used, args, kwargs)
        if kinds == {Flat}:
            first = used[0]
            if any((v.axis, v.steps) != (first.axis, first.steps) for v in used):
                self.refuse("joins steps that are laid out differently")
            made = self.make(node, args, kwargs)
            return self.parts(made, lambda part: replace(first, node=part))
        self.refuse(f"{short} over an axis of time, or of values of different steps")

    def at_one_step(self, node: fx.Node, used: list[Now], args: Any, kwargs: Any) -> Any:
        steps = [v.step for v in used if v.step is not None]
        latest = max(steps) if steps else None

        def shifted(value: Any) -> Any:
            if isinstance(value, Now) and value.step is not None and latest is not None:
                return self.earlier(value.node, latest - value.step)
            return value

        args, kwargs = torch.utils._pytree.tree_map(shifted, (args, kwargs), is_leaf=_is_value)
        made = self.make(node, args, kwargs)
        return self.parts(made, lambda part: Now(part, latest))

    def parts(self, made: fx.Node, kind: Callable[[fx.Node], Any]) -> Any:
        """A value, or one for every result."""
        results = made.meta["val"]
        if not isinstance(results, tuple | list):
            return kind(made)
        each = (self.consed(operator.getitem, (made, i), {}, made) for i in range(len(results)))
        return tuple(kind(part) for part in each)

    def on_sequences(self, node: fx.Node, used: list[Any], args: Any, kwargs: Any) -> Any:
        """Element by element, or a matrix over the last axis: each step by itself."""
        whole = [v for v in used if isinstance(v, Seq)]
        axis = whole[0].axis
        if any(v.axis != axis for v in whole) or any(
            v.step is not None for v in used if isinstance(v, Now)
        ):
            self.refuse("joins steps that are laid out differently")
        rank = node.meta["val"].ndim
        if axis == 1 and any(isinstance(v, Now) for v in used):
            self.refuse("adds one value to all steps along the batch; unsqueeze it first")

        def fitted(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and value.ndim == rank:
                if value.shape[axis] != 1:
                    self.refuse("a constant for every step; use the same for all")
                return value.squeeze(axis)
            if isinstance(value, torch.Tensor) and axis == 1 and value.ndim == rank - 1 > 1:
                self.refuse("a constant for every step; use the same for all")
            return value

        if str(node.target.overloadpacket) != "aten.linear":  # type: ignore[union-attr]
            args, kwargs = torch.utils._pytree.tree_map(fitted, (args, kwargs), is_leaf=_is_value)
        steps = max(v.steps for v in whole)
        return Seq(self.make(node, args, kwargs), axis, steps)

    def on_total(self, node: fx.Node, used: list[Any], args: Any, kwargs: Any, short: str) -> Any:
        """What is computed from a sum or a mean over time, as what adds up to it."""
        (first, *rest) = used
        if rest:
            self.refuse("joins sums over time")
        if short in ("softmax", "log_softmax", "_softmax", "_log_softmax"):
            return first
        if short in _VIEWS or (short in _LINEAR and first.mean):
            return replace(first, node=self.make(node, args, kwargs))
        if short in ("div", "mul") and not isinstance(args[1], Total):
            # A factor changes no order of the classes; of a sum over all steps it is a mean.
            return replace(first, mean=True)
        self.refuse(f"{short} of a sum over time: only its order is read")

    # Nodes of the folded graph.

    def make(self, like: fx.Node, args: Any, kwargs: Any) -> fx.Node:
        """A node of one step that computes what ``like`` does; an equal one where there is one."""
        args, kwargs = torch.utils._pytree.tree_map(self.plain, (args, kwargs), is_leaf=_is_value)
        return self.consed(like.target, args, kwargs, like)

    def plain(self, value: Any) -> Any:
        if isinstance(value, Now | Seq | Flat | Total):
            return value.node
        if isinstance(value, One):
            self.refuse("computes with an axis of one step")
        if isinstance(value, torch.Tensor):
            return self.attribute(value)
        return value

    def attribute(self, value: torch.Tensor) -> fx.Node:
        if id(value) not in self.constants:
            # Constants that every step computes anew are the same.
            content = value.detach().cpu().contiguous()
            raw = (
                content.reshape(-1).view(torch.uint8).numpy().tobytes() if content.numel() else b""
            )
            key = (tuple(content.shape), content.dtype, hashlib.sha256(raw).digest())
            if key not in self.made:
                name = f"constant_{len(self.made)}"
                self.root.register_buffer(name, content)
                self.made[key] = self.graph.get_attr(name)
                self.made[key].meta["val"] = content
            self.constants[id(value)] = (value, self.made[key])
        return self.constants[id(value)][1]

    def consed(self, target: Any, args: Any, kwargs: Any, like: fx.Node) -> fx.Node:
        key = (target, _frozen(args), _frozen(kwargs))
        if key in self.made:
            return self.made[key]
        values: Any = fx.node.map_arg((args, kwargs), lambda n: n.meta["val"])
        with torch.no_grad():
            result = target(*values[0], **values[1])
        node = self.made[key] = self.graph.create_node(
            "call_function", target, tuple(args), dict(kwargs)
        )
        node.meta.update({k: v for k, v in like.meta.items() if k in _KEPT})
        node.meta["val"] = result
        return node

    def earlier(self, node: fx.Node, lag: int) -> fx.Node:
        """The value of a node some steps before."""
        if lag == 0 or node.op == "get_attr":
            return node
        if node.op == "placeholder":
            origin, already = self.sent[node.name]
            name = f"{node.name}__before" if lag == 1 else f"{node.name}__before{lag}"
            if ("before", name) not in self.made:
                found = self.placeholder(name, node.meta["val"])
                self.made["before", name] = found
                self.sent[found.name] = (origin, already + lag)
            return self.made["before", name]
        args, kwargs = _mapped(node, lambda n: self.earlier(n, lag))
        return self.consed(node.target, args, kwargs, node)

    # Spiking layers.

    def population(
        self,
        node: fx.Node,
        x: Any,
        states: Any,
        name: str,
        call: int,
        n: int,
        layout: str,
        own: bool,
    ) -> Any:
        """A call of a layer; ``own``: it keeps its states itself."""
        found = self.heard.setdefault(name, _Heard(source=source_line(node)))
        if not _is_value(x):
            self.refuse(f"{name!r} hears nothing that depends on the input")
        if isinstance(x, Total | StateOf):
            self.refuse(f"{name!r} hears what a sample adds up to")
        if layout == "flat":
            # Where the caller's batch is that of a step, batch and time are one axis for it.
            layout = "step" if isinstance(x, Now) else layout
        if layout == "step" and isinstance(x, Now):
            return self.one_call(found, x, states, name, call, n, own)
        if found.nodes:
            self.refuse(f"{name!r} is called twice with all steps; give every call its own layer")
        axis = {"time": 0, "batch": 1}.get(layout)
        if isinstance(x, Seq) and axis == x.axis:
            self.steps = max(self.steps, x.steps)
        elif not (isinstance(x, Flat) and layout == "flat" and x.axis == 1):
            taken = {"step": "one step", "time": "(T, N, ...)", "batch": "(N, T, ...)"}
            self.refuse(
                f"{name!r} takes {taken.get(layout, '(N T, ...)')}, and hears something else"
            )
        found.nodes.append(x.node)
        found.whole = True
        spikes = replace(x, node=self.sends(name, x.node))
        return (spikes, *(StateOf(name, i, 0) for i in range(n)))

    def one_call(
        self, found: _Heard, x: Now, states: Any, name: str, call: int, n: int, own: bool
    ) -> Any:
        if found.whole:
            self.refuse(f"{name!r} is called with one step and with all of them")
        self.expect_states(states, name, call, own)
        if x.step is not None and x.step > call:
            self.refuse(f"{name!r} hears step {x.step} in its call {call}: it skips steps")
        lag = 0 if x.step is None else call - x.step
        found.nodes.append(self.earlier(x.node, lag))
        self.steps = max(self.steps, call + 1)
        after = (StateOf(name, i, call) for i in range(n))
        return (Now(self.sends(name, x.node), call), *after)

    def expect_states(self, states: Any, name: str, call: int, own: bool) -> None:
        """A layer goes on from where it was; it begins with zeros."""
        for state in states:
            if isinstance(state, torch.Tensor):
                if state.any():
                    self.refuse(f"{name!r} begins with a state other than 0")
                if call and not own:
                    self.refuse(f"{name!r} begins anew in step {call}; hand its state on")
                if call and state.numel():
                    self.refuse(f"{name!r} is reset in step {call}: every step has to do the same")
            elif isinstance(state, StateOf):
                if state.layer != name:
                    self.refuse(f"{name!r} is given a state of {state.layer!r}")
                if state.call != call - 1:
                    self.refuse(f"{name!r} is given a state of call {state.call} in call {call}")
            elif not (isinstance(state, Now) and state.step == call - 1):
                self.refuse(f"{name!r} is given a state that it did not return")
        if call and not states and not own:
            self.refuse(f"{name!r} begins anew in step {call}; hand its state on")

    def sends(self, name: str, like: fx.Node) -> fx.Node:
        """What a layer sends in the step."""
        key = ("sends", name)
        if key not in self.made:
            text = "".join(c if c.isalnum() else "_" for c in name)
            node = self.placeholder(f"spikes_{text}", torch.zeros_like(like.meta["val"]))
            self.made[key] = node
            self.sent[node.name] = (name, 0)
        return self.made[key]

    def common(self, name: str, heard: _Heard) -> fx.Node:
        """The one expression that a layer hears in every step."""
        first, *others = heard.nodes
        if not others:
            return first
        usual = others[0]
        for call, node in enumerate(others[1:], 2):
            if node is not usual:
                raise Refused(
                    f"{name}: hears something else in step {call} than in the step before"
                    f"{_at(heard.source)}: every step has to do the same"
                )
        if first is not usual and not self.same_at_first(first, usual):
            raise Refused(
                f"{name}: what it hears in the first step is not what it hears later where no "
                f"spikes came before{_at(heard.source)}; begin with zeros"
            )
        return usual

    def same_at_first(self, first: fx.Node, usual: fx.Node) -> bool:
        """Whether later steps compute what the first does where nothing came before."""
        random = torch.Generator().manual_seed(0)
        given = {
            name: torch.zeros_like(node.meta["val"])
            if lag
            else torch.rand(node.meta["val"].shape, generator=random)
            for node in self.graph.nodes
            if node.op == "placeholder"
            for name, lag in [(node.name, self.sent[node.name][1])]
        }
        a, b = (_evaluated(node, given, {}) for node in (first, usual))
        return a.shape == b.shape and bool(torch.allclose(a, b, rtol=1e-5, atol=1e-6))

    def returned(self, value: Any) -> tuple[fx.Node | StateOf, str] | None:
        """A result of the module, and how it reads its steps."""
        if isinstance(value, StateOf):
            return value, "last"
        if isinstance(value, Total):
            if value.step + 1 < self.steps:
                self.refuse(f"adds up {value.step + 1} of {self.steps} steps; add up all")
            return value.node, "mean" if value.mean else "sum"
        if isinstance(value, Seq | Flat):
            return value.node, "all"
        if isinstance(value, Now):
            return value.node, "last"
        return None

    # Operators that know of time.

    def on_select(self, node: fx.Node, x: Any, dim: int, index: int) -> Any:
        """One step out of all."""
        if isinstance(x, Seq) and dim % node.args[0].meta["val"].ndim == x.axis:  # type: ignore[union-attr]
            return Now(x.node, index % x.steps)
        return self.kept_away(x, dim)

    def on_unbind(self, node: fx.Node, x: Any, dim: int = 0) -> Any:
        """All steps, one by one."""
        if isinstance(x, Seq) and dim == x.axis:
            return tuple(Now(x.node, t) for t in range(x.steps))
        return self.kept_away(x, dim)

    def kept_away(self, x: Any, dim: int) -> None:
        """Refuse what takes one sample out of the batch."""
        if isinstance(x, Now) and dim == 0:
            self.refuse("takes one sample out of the batch")

    def on_stack(self, node: fx.Node, tensors: Any, dim: int = 0) -> Any:
        """Steps that become an axis of time."""
        if not all(isinstance(v, Now) and v.step is not None for v in tensors):
            return None
        if [v.step for v in tensors] != list(range(len(tensors))) or dim not in (0, 1):
            return None
        return self.sequence(tensors, dim)

    def on_cat(self, node: fx.Node, tensors: Any, dim: int = 0) -> Any:
        """Steps with an axis of their own that become all steps."""
        if not all(isinstance(v, One) and v.axis == dim for v in tensors):
            return None
        if [v.step for v in tensors] != list(range(len(tensors))):
            self.refuse("joins other than all steps in their order")
        return self.sequence(tensors, dim)

    def sequence(self, values: Sequence[Now | One], dim: int) -> Seq:
        first, *others = [v.node for v in values]
        usual = others[0] if others else first
        if any(node is not usual for node in others):
            self.refuse("stacks values that are computed differently from step to step")
        if first is not usual and not self.same_at_first(first, usual):
            self.refuse("stacks values that are computed differently in the first step")
        return Seq(usual, dim, len(values))

    def on_add(self, node: fx.Node, x: Any, other: Any, alpha: Any = 1) -> Any:
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

    def on_mean(self, node: fx.Node, x: Any, dim: Any = None, *rest: Any, **named: Any) -> Any:
        """The mean over time."""
        return self.reduced(x, dim, rest, named, mean=True)

    def on_sum(self, node: fx.Node, x: Any, dim: Any = None, *rest: Any, **named: Any) -> Any:
        """The sum over time."""
        return self.reduced(x, dim, rest, named, mean=False)

    def reduced(self, x: Any, dim: Any, rest: Any, named: Any, mean: bool) -> Any:
        axes = [dim] if isinstance(dim, int) else list(dim or ())
        if isinstance(x, Seq) and axes == [x.axis] and not any(rest) and not named.get("keepdim"):
            return Total(x.node, x.steps - 1, mean)
        if isinstance(x, Now) and (not axes or 0 in axes):
            self.refuse("adds up the samples of the batch")
        return None

    def on_unsqueeze(self, node: fx.Node, x: Any, dim: int) -> Any:
        """An axis for time."""
        return One(x.node, 0, x.step) if isinstance(x, Now) and dim == 0 else None

    def on_repeat(self, node: fx.Node, x: Any, repeats: Sequence[int]) -> Any:
        """The same in every step."""
        one = _one_of(x, len(repeats))
        if one is not None and all(n == 1 for i, n in enumerate(repeats) if i != one.axis):
            return Seq(one.node, one.axis, repeats[one.axis])
        return None

    def on_expand(self, node: fx.Node, x: Any, size: Sequence[int], **_: Any) -> Any:
        """The same in every step."""
        shape = tuple(int(n) for n in node.meta["val"].shape)
        one = _one_of(x, len(shape))
        if one is not None and one.node.meta["val"].shape == torch.Size(
            (*shape[: one.axis], *shape[one.axis + 1 :])
        ):
            return Seq(one.node, one.axis, shape[one.axis])
        return None

    def on_transpose(self, node: fx.Node, x: Any, a: int, b: int) -> Any:
        """Time and batch change places."""
        if isinstance(x, Seq) and {a, b} == {0, 1}:
            return replace(x, axis=1 - x.axis)
        return None

    def on_permute(self, node: fx.Node, x: Any, dims: Sequence[int]) -> Any:
        """Time and batch change places."""
        if isinstance(x, Seq) and list(dims) == [1, 0, *range(2, len(dims))]:
            return replace(x, axis=1 - x.axis)
        return None

    def viewed(self, node: fx.Node, x: Any) -> Any:
        """A view, by the shape that it gives."""
        shape = tuple(int(n) for n in node.meta["val"].shape)
        if isinstance(x, Now | Total) or not isinstance(x, Seq | Flat):
            return None
        inner = tuple(x.node.meta["val"].shape[1:])
        both = x.steps * BATCH
        ahead = (x.steps, BATCH) if x.axis == 0 else (BATCH, x.steps)
        size = 1
        for n in inner:
            size *= n

        def of(rest: Shape) -> fx.Node:
            if rest == inner:
                return x.node
            target = torch.ops.aten.reshape.default
            return self.consed(target, (x.node, [BATCH, *rest]), {}, node)

        for lead, kind in ((ahead, Seq), ((both,), Flat)):
            rest = shape[len(lead) :]
            count = 1
            for n in rest:
                count *= n
            if shape[: len(lead)] == lead and count == size:
                return kind(of(rest), x.axis, x.steps)
        self.refuse(f"reshapes steps and samples into {shape}")

    def on_view(self, node: fx.Node, x: Any, *_: Any) -> Any:
        """A view."""
        return self.viewed(node, x)

    on_reshape = on__unsafe_view = on_flatten = on_unflatten = on_view


_KEPT = ("nn_module_stack", "stack_trace")
_LINEAR = ("linear", "addmm", "matmul", "mm", "mean", "avg_pool2d", "adaptive_avg_pool2d", "add")
_ELEMENTWISE = ("add", "sub", "mul", "div", "neg", "relu", "rsub", "dropout")


def _mapped(node: fx.Node, find: Callable[[fx.Node], Any]) -> tuple[Any, Any]:
    """Arguments of a node with the nodes among them replaced."""
    found: Any = fx.node.map_arg((node.args, node.kwargs), find)
    return found[0], found[1]


def _at(source: str | None) -> str:
    return f" ({source})" if source else ""


def _is_value(value: Any) -> bool:
    return isinstance(value, Now | Seq | One | Flat | Total | StateOf)


def _one_of(x: Any, rank: int) -> One | None:
    """The same in all steps with an axis for time, of values of ``rank`` with it."""
    if isinstance(x, One) and x.step is None:
        return x
    if not isinstance(x, Now) or x.step is not None:
        return None
    if rank == x.node.meta["val"].ndim + 1:
        return One(x.node, 0, None)
    before = x.node.args[0] if x.node.target is torch.ops.aten.unsqueeze.default else None
    return One(before, 1, None) if isinstance(before, fx.Node) and x.node.args[1] == 1 else None


def _is_zero_plus(node: fx.Node, other: fx.Node) -> bool:
    """Whether a node adds zeros to another: the beginning of a sum over steps."""
    if node.target is not torch.ops.aten.add.Tensor or other not in node.args[:2]:
        return False
    (rest,) = (a for a in node.args[:2] if a is not other)
    value = rest.meta["val"] if isinstance(rest, fx.Node) and rest.op == "get_attr" else rest
    return not isinstance(value, fx.Node) and not bool(torch.as_tensor(value).any())


def _frozen(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, Mapping):
        return tuple((k, _frozen(v)) for k, v in value.items())
    return value


def _evaluated(node: fx.Node, given: Mapping[str, torch.Tensor], known: dict[fx.Node, Any]) -> Any:
    """The value of a node for values of the placeholders."""
    if node in known:
        return known[node]
    if node.op == "placeholder":
        found: Any = given[node.name]
    elif node.op == "get_attr":
        found = node.meta["val"]
    else:
        args, kwargs = fx.node.map_arg(  # type: ignore[misc]
            (node.args, node.kwargs), lambda n: _evaluated(n, given, known)
        )
        target: Any = node.target
        with torch.no_grad():
            found = target(*args, **kwargs)
    known[node] = found
    return found
