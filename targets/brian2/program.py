"""A netlist as a Python program that needs brian2 and numpy alone.

The Network is built by the same code as that of a deployment, from objects that write down what
they are told (:class:`_Recorder`): equations, synapses and delays stand in the program as they run
here. Arrays are in it too, packed at its end.
"""

from __future__ import annotations

import base64
import io
import keyword
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.targets.brian2.network import assemble
from neurodeploy.targets.brian2.plan import Plan
from neurodeploy.version import __version__

TEMPLATE = Path(__file__).with_name("program_template.txt")
_TAKEN = {"b2", "np", "data", "clock", "network"}


def program(plan: Plan, netlist: IntegerNetlist) -> bytes:
    """The content of the program's file; the same netlist always gives the same bytes."""
    recorder = _Recorder()
    read = [o.population for o in netlist.outputs if o.reads_membrane]
    assemble(recorder, plan, 1, [g.name for g in plan.groups], read, {})
    packed = io.BytesIO()
    np.savez_compressed(packed, **recorder.data)
    filled = TEMPLATE.read_text(encoding="utf-8")
    for mark, text in (
        ("NAME", netlist.name.replace("\\", "/").replace('"', "'")),
        ("VERSION", __version__),
        ("TIMESTEPS", repr(plan.timesteps)),
        ("DT", repr(plan.dt)),
        ("STEPS", repr(plan.n_steps)),
        ("POPULATIONS", _populations(plan)),
        ("OUTPUTS", repr({o.population: o.decode for o in netlist.outputs})),
        ("BUILD", textwrap.indent("\n".join(recorder.lines), "    ")),
        ("DATA", "\n".join(textwrap.wrap(base64.b64encode(packed.getvalue()).decode(), 76))),
    ):
        filled = filled.replace(f"@{mark}@", text)
    return filled.encode()


def _populations(plan: Plan) -> str:
    rows = []
    for g in plan.groups:
        low, high = (int(g.low), int(g.high))
        row = {"kind": g.kind, "shape": g.shape, "depth": g.depth, "low": low, "high": high}
        row |= {"graded": bool(g.graded)}
        rows.append(f"    {g.name!r}: { ({'object': g.object} | row)!r},")
    return "{\n" + "\n".join(rows) + "\n}"


class _Text:
    """An expression of the program."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rmul__(self, factor: Any) -> _Text:
        return _Text(f"{factor!r}*{self.text}")


class _Recorder:
    """Stands for the module brian2: its objects write lines of a program."""

    second = _Text("b2.second")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.data: dict[str, Any] = {}

    def shown(self, value: Any, key: str) -> str:
        """A value as the program says it; arrays go into its data under ``key``."""
        if isinstance(value, _Text):
            return value.text
        if isinstance(value, np.ndarray):
            self.data[key] = value
            return f"data[{key!r}]"
        if isinstance(value, dict):
            inner = (f"{k!r}: {self.shown(v, f'{key}.{k}')}" for k, v in value.items())
            return "{" + ", ".join(inner) + "}"
        if isinstance(value, str) and "\n" in value:
            pieces = [repr(f"{line}\n") for line in value.split("\n")]
            return "\n    " + "\n    ".join(pieces)
        return repr(value.item() if isinstance(value, np.generic) else value)

    def call(self, function: str, key: str, arguments: Sequence[Any], given: Any) -> str:
        """A call of a function with everything that it is told."""
        shown = [self.shown(value, f"{key}.{i}") for i, value in enumerate(arguments)]
        shown += [f"{k}={self.shown(v, f'{key}.{k}')}" for k, v in given.items() if v is not None]
        return f"{function}({', '.join(shown)})"

    def made(self, kind: str, name: str, arguments: Sequence[Any], given: Any) -> _Object:
        variable = name + "_" * (keyword.iskeyword(name) or name in _TAKEN)
        self.lines.append(f"{variable} = {self.call(f'b2.{kind}', name, arguments, given)}")
        events = {**(given.get("events") or {})}
        if given.get("threshold"):
            events["spike"] = given["threshold"]
        return _Object(self, variable, name, events)

    def Clock(self, dt: _Text) -> _Text:
        self.lines.append(f"clock = b2.Clock(dt={dt.text})")
        return _Text("clock")

    def TimedArray(self, values: Any, dt: _Text) -> _Text:
        key = f"gains.{len(self.data)}"
        return _Text(f"b2.TimedArray({self.shown(np.asarray(values), key)}, {dt.text})")

    def linked_var(self, source: _Object, variable: str, index: Any) -> _Text:
        shown = self.shown(np.asarray(index), f"{source.name}.{variable}.{len(self.data)}")
        return _Text(f"b2.linked_var({source.text}, {variable!r}, index={shown})")

    def NeuronGroup(self, *arguments: Any, **given: Any) -> _Object:
        return self.made("NeuronGroup", given["name"], arguments, given)

    def Synapses(self, *arguments: Any, **given: Any) -> _Object:
        return self.made("Synapses", given["name"], arguments, given)

    def StateMonitor(self, *arguments: Any, **given: Any) -> _Object:
        return self.made("StateMonitor", given["name"], arguments, given)

    def EventMonitor(self, *arguments: Any, **given: Any) -> _Object:
        return self.made("EventMonitor", given["name"], arguments, given)

    def Network(self, *objects: _Object) -> None:
        names = ", ".join(o.text for o in objects)
        self.lines.append(f"return b2.Network({names})")


class _Object(_Text):
    """An object of the program: what is called on it and set writes lines."""

    recorder: _Recorder
    name: str
    events: dict[str, str]

    def __init__(self, recorder: _Recorder, text: str, name: str, events: dict[str, str]) -> None:
        for key, value in (
            ("text", text), ("recorder", recorder), ("name", name), ("events", events),
        ):  # fmt: skip
            object.__setattr__(self, key, value)

    def __setattr__(self, variable: str, value: Any) -> None:
        shown = self.recorder.shown(value, f"{self.name}.{variable}")
        self.recorder.lines.append(f"{self.text}.{variable} = {shown}")

    def run_regularly(self, *arguments: Any, **given: Any) -> None:
        self.called("run_regularly", arguments, given)

    def run_on_event(self, *arguments: Any, **given: Any) -> None:
        self.called("run_on_event", arguments, given)

    def connect(self, **given: Any) -> None:
        self.called("connect", (), given)

    def called(self, function: str, arguments: Sequence[Any], given: Any) -> None:
        recorder = self.recorder
        call = recorder.call(f"{self.text}.{function}", self.name, arguments, given)
        recorder.lines.append(call)
