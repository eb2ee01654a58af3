"""A module that computes several steps, folded into the one step that all of them are.

Loops over time leave one copy of every layer per step in an exported program; layers that take all
steps at once leave an axis of time. Both are followed from what enters to what is returned: every
value is that of one step, of all steps, or what they add up to (``step_values``, ``step_rules``).
Calls of spiking layers end the graph of a step and begin it anew: what a layer hears has to be the
same expression in every step, in which spikes of the step before are zeros in the first.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from neurodeploy.source.analog import Shape
from neurodeploy.source.torch.exported_program import (
    BATCH,
    SHAPE_ONLY,
    ExportedProgram,
    computed,
    depended_on,
    executed,
    mapped,
    source_line,
)
from neurodeploy.source.torch.step_graph import GIVEN, StepGraph, where
from neurodeploy.source.torch.step_rules import ELEMENTWISE, RULES, on_sequences, on_total
from neurodeploy.source.torch.step_values import (
    Flat,
    Now,
    Refused,
    Seq,
    StateOf,
    Total,
    is_value,
)

POPULATION = "neurodeploy.population"
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_PASSING = ("clone", "contiguous", "detach", "alias", "to", "_to_copy", "lift_fresh_copy")


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
    holds : bool
        Whether what enters is the same in all of them.
    """

    program: ExportedProgram
    layers: Mapping[str, tuple[fx.Node, str | None]]
    sent: Mapping[str, tuple[str, int]]
    returned: tuple[tuple[fx.Node | StateOf, str], ...]
    steps: int
    holds: bool

    def computed(self, given: Mapping[str, torch.Tensor]) -> dict[fx.Node, Any]:
        """The values of all nodes of the program, for what enters it."""
        return dict(executed(self.program.nodes, lambda n: given.get(n.name, n.meta["val"])))


@dataclass(slots=True)
class _Heard:
    """What a layer hears, call by call."""

    nodes: list[fx.Node] = field(default_factory=list)
    source: str | None = None
    whole: bool = False


class Folding:
    """A program while it is followed, to be folded into :meth:`step`.

    Parameters
    ----------
    program : ExportedProgram
        Of a module with one input whose spiking layers are calls of the operator.
    shape : tuple of int
        What enters in one step.
    steps : int or None
        T where ``[N, T, *shape]`` entered; None: ``[N, *shape]``, for one step or for all alike.
    """

    def __init__(self, program: ExportedProgram, shape: Shape, steps: int | None) -> None:
        self.program = program
        self.graph = StepGraph()
        self.refuse = self.graph.refuse
        self.values: dict[fx.Node, Any] = {}
        self.heard: dict[str, _Heard] = {}
        self.steps = 1
        given = self.graph.placeholder("input", torch.zeros(BATCH, *shape), GIVEN, 0)
        self.entered: Any = Now(given, None) if steps is None else Seq(given, 1, steps)

    def step(self) -> Step:
        """Follow the program; :class:`Refused` where it is no repetition of one step."""
        nodes = self.needed()
        try:
            for node in nodes:
                self.graph.followed = node
                self.values[node] = self.value(node)
            self.graph.followed = None
            return self.folded()
        except Refused as error:
            done = self.graph.followed is None
            error.followed = 1.0 if done else len(self.values) / (len(nodes) + 1)
            raise

    def needed(self) -> list[fx.Node]:
        """What is returned and every call of a layer depend on, in order."""
        nodes = [n for n in self.program.graph_module.graph.nodes if n.op != "output"]
        ends = [n for n in self.program.outputs if isinstance(n, fx.Node)]
        found = depended_on(ends + [n for n in nodes if str(n.target).startswith(POPULATION)])
        return [n for n in nodes if n in found]

    def folded(self) -> Step:
        """The step, once every value is known."""
        for name, heard in self.heard.items():
            if not heard.whole and len(heard.nodes) != self.steps:
                raise Refused(
                    f"{name}: is called in {len(heard.nodes)} of {self.steps} steps"
                    f"{where(heard.source)}: every step has to do the same"
                )
        layers = {name: (self.common(name, x), x.source) for name, x in self.heard.items()}
        results = (self.values[o] if isinstance(o, fx.Node) else o for o in self.program.outputs)
        returned = [found for found in map(self.returned, results) if found is not None]
        ends = [n for n, _ in returned if isinstance(n, fx.Node)]
        ends += [node for node, _ in layers.values()]
        folded = self.graph.program(tuple(ends))
        holds = isinstance(self.entered, Now)
        return Step(folded, layers, self.graph.sent, tuple(returned), self.steps, holds)

    # Values of the program, node by node.

    def value(self, node: fx.Node) -> Any:
        if node.name in self.program.inputs:
            return self.entered
        if node.name in self.program.mutated:
            name = self.program.mutated[node.name]
            statistics = name.rpartition(".")[2] in _STATISTICS
            remedy = "call .eval()" if statistics else "hand states on instead"
            self.refuse(f"buffer {name!r} changes in every call; {remedy}")
        if node.op in ("placeholder", "get_attr"):
            return self.program.held(node)
        args, kwargs = mapped(node, lambda n: self.values[n])
        if node.target is operator.getitem:
            return args[0][args[1]]
        if not isinstance(node.target, torch._ops.OpOverload):
            self.refuse(f"{node.target} is not converted")
        name = str(node.target.overloadpacket)
        if name == POPULATION:
            return self.population(node, *args)
        short = name.removeprefix("aten.")
        if torch.Tag.nondeterministic_seeded in node.target.tags and "dropout" not in short:
            self.refuse(
                "random values in every call (active dropout, states or spikes that are drawn); "
                "call .eval(), and give --input poisson in place of an encoder"
            )
        used = [v for v in torch.utils._pytree.tree_leaves((args, kwargs)) if is_value(v)]
        if not used or short in SHAPE_ONLY:
            return self.constant(node)
        if short in ("stack", "cat", *_PASSING) and all(isinstance(v, StateOf) for v in used):
            return used[-1]
        states = [v for v in used if isinstance(v, StateOf)]
        if states:
            self.refuse(
                f"{short} of a state of {states[0].layer!r}: only spikes travel, and are returned"
            )
        rule = RULES.get(short)
        found = None if rule is None else rule(self.graph, node, *args, **kwargs)
        if found is not None:
            return found
        return self.computed(node, used, args, kwargs)

    def constant(self, node: fx.Node) -> Any:
        """A value that depends on nothing that enters."""

        def concrete(source: fx.Node) -> Any:
            value = self.values[source]
            return torch.zeros(source.meta["val"].shape) if is_value(value) else value

        return computed(node, concrete)

    def keeps(self, node: fx.Node) -> bool:
        """Whether a copy holds the same numbers: another type may round them."""
        given = node.args[0]
        assert isinstance(given, fx.Node)
        before, after = given.meta["val"].dtype, node.meta["val"].dtype
        if before.is_floating_point and after not in (torch.float32, torch.float64):
            self.refuse(f"conversion to {after} rounds values; expected torch.float32")
        # What is true or false becomes a number by being converted.
        return bool(before != torch.bool or after == torch.bool)

    def computed(self, node: fx.Node, used: list[Any], args: Any, kwargs: Any) -> Any:
        """An operation on values of one step, or on all steps alike."""
        short = str(node.target.overloadpacket).removeprefix("aten.")  # type: ignore[union-attr]
        if short in _PASSING and len(used) == 1 and self.keeps(node):
            return used[0]
        kinds = {type(v) for v in used}
        if kinds == {Now}:
            return self.at_one_step(node, used, args, kwargs)
        if kinds == {Total}:
            return on_total(self.graph, node, used, args, kwargs, short)
        if kinds <= {Seq, Now} and Seq in kinds and short in (*ELEMENTWISE, "linear"):
            return on_sequences(self.graph, node, used, args, kwargs)
        if kinds == {Flat}:
            first = used[0]
            if any((v.axis, v.steps) != (first.axis, first.steps) for v in used):
                self.refuse("joins steps that are laid out differently")
            made = self.graph.make(node, args, kwargs)
            return self.parts(made, lambda part: replace(first, node=part))
        self.refuse(f"{short} over an axis of time, or of values of different steps")

    def at_one_step(self, node: fx.Node, used: list[Now], args: Any, kwargs: Any) -> Any:
        steps = [v.step for v in used if v.step is not None]
        latest = max(steps) if steps else None

        def shifted(value: Any) -> Any:
            if isinstance(value, Now) and value.step is not None and latest is not None:
                return self.graph.earlier(value.node, latest - value.step)
            return value

        args, kwargs = torch.utils._pytree.tree_map(shifted, (args, kwargs), is_leaf=is_value)
        made = self.graph.make(node, args, kwargs)
        return self.parts(made, lambda part: Now(part, latest))

    def parts(self, made: fx.Node, kind: Callable[[fx.Node], Any]) -> Any:
        """A value, or one for every result."""
        results = made.meta["val"]
        if not isinstance(results, tuple | list):
            return kind(made)
        each = (
            self.graph.consed(operator.getitem, (made, i), {}, made) for i in range(len(results))
        )
        return tuple(kind(part) for part in each)

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
        if isinstance(x, torch.Tensor):
            # In the first step, what it hears of the step before is known.
            x = Now(self.graph.attribute(x), call)
        if isinstance(x, Total) and not x.mean:
            # The input of this step and of the one before looks like the beginning of a sum.
            x = Now(self.graph.added(x, node), x.step)
        if isinstance(x, Total | StateOf):
            self.refuse(f"{name!r} hears what a sample adds up to")
        # Where the caller's batch is that of a step, batch and time are one axis for it.
        if layout in ("step", "flat") and isinstance(x, Now):
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
        spikes = replace(x, node=self.graph.sends(name, x.node))
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
        found.nodes.append(self.graph.earlier(x.node, lag))
        self.steps = max(self.steps, call + 1)
        after = (StateOf(name, i, call) for i in range(n))
        return (Now(self.graph.sends(name, x.node), call), *after)

    def expect_states(self, states: Any, name: str, call: int, own: bool) -> None:
        """A layer goes on from where it was; it begins with zeros."""
        for state in states:
            if isinstance(state, torch.Tensor):
                if state.any():
                    self.refuse(f"{name!r} begins with a state other than 0")
                if call:
                    self.refuse(f"{name!r} begins anew in step {call}; hand its state on")
            elif isinstance(state, StateOf):
                if state.layer != name:
                    self.refuse(f"{name!r} is given a state of {state.layer!r}")
                if state.call != call - 1:
                    self.refuse(f"{name!r} is given a state of call {state.call} in call {call}")
            elif not (isinstance(state, Now) and state.step == call - 1):
                self.refuse(f"{name!r} is given a state that it did not return")
        if call and not states and not own:
            self.refuse(f"{name!r} begins anew in step {call}; hand its state on")

    def common(self, name: str, heard: _Heard) -> fx.Node:
        """The one expression that a layer hears in every step."""
        usual = heard.nodes[-1]
        for step, node in enumerate(heard.nodes):
            if node is not usual and not self.graph.begins(node, usual, step):
                raise Refused(
                    f"{name}: what it hears in step {step} is not what it hears later, with zeros "
                    f"for what came before the first{where(heard.source)}: every step has to do "
                    f"the same; {_TWICE}"
                )
        return usual

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
            if value.step is not None and value.step + 1 < self.steps:
                self.refuse(
                    f"returns step {value.step + 1} of {self.steps} alone; return all of them, or "
                    "what they add up to"
                )
            return value.node, "last"
        return None


_TWICE = "a layer that is used in two places needs a copy for each"
