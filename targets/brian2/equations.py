"""What the groups of a plan compute in a step, in the language of Brian2."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.neurons import IntegerNeuron, MaxPool
from neurodeploy.targets.brian2.plan import Group

Code: TypeAlias = tuple[list[str], list[str]]
"""The variables of a group, and what is run in every step."""


def time_gains(group: Group) -> list[tuple[str, tuple[int, ...]]]:
    """Gains of each step of a population that has them, by the names of their variables."""
    names = ("input_gain", "firing_gain", "comparison")
    found = ((name, getattr(group.population.model, name, ())) for name in names)
    return [(name, values) for name, values in found if values]


def neuron_code(group: Group, driven: bool) -> Code:
    """Of neurons; ``driven``: a constant source adds to what arrives."""
    model = group.neuron
    assert model is not None
    if model.extensions:
        return _extended(group, driven)
    lines = ["a : 1", "v : 1", "b : 1 (constant)", *(["drive : 1"] if driven else [])]
    arriving = "a + drive" if driven else "a"
    code = []
    if model.has_current_memory:
        lines.append("u : 1")
        code.append(f"u = live*({_decayed('u', model.current_decay)} + {arriving})")
        arriving = "u"
    times = "*input_gain(t)" if model.input_gain else ""
    if not model.leaks:
        code.append(f"v += live*({arriving} + b){times}")
    else:
        after = f"{_decayed('v', model.membrane_decay)} + {arriving} + b"
        code.append(f"v = live*({after}) + (1 - live)*v")
    code.append("a = 0")
    if group.emits:
        lines.append("theta_pos : 1 (constant)")
        binary = model.payload_max == 1
        up, down, allowed = "theta_pos", "theta_neg", ""
        if model.firing_gain:
            # Where the gain is 0 nothing fires; nothing is divided by it either.
            code += ["h = clip(firing_gain(t), 1, inf)", "up_at = theta_pos*h"]
            up, down, allowed = "up_at", "(theta_neg*h)", "int(firing_gain(t) > 0)*"
        at = "ceil({}*comparison(t)/4096.0)" if model.comparison else "{}"
        fired = f"int(v >= {at.format(up)})"
        fired = fired if binary else f"clip(floor(v/{up}), 0, payload_max)"
        code += _coded(model, "up", fired)
        if group.signed:
            lines.append("theta_neg : 1 (constant)")
            reached = f"int(v <= -{at.format(down)})"
            back = reached if binary else f"clip(floor(-v/{down}), 0, payload_max)"
            if model.memory:
                lines.append("m : 1")
                code.append("owned = 1.0*floor(m/h)" if model.firing_gain else "owned = m")
                owed = f"clip(clip(-floor(v/{up}), 0, payload_max), 0, owned)"
                back = f"{reached}*{owed}"
            code += _coded(model, "down", back)
            if model.memory and model.payload_code == "power_of_two":
                code.append("down = down*(1 - 0.5*int(down > owned))")
        code.append(f"s = live*{allowed}" + ("(up - down)" if group.signed else "up"))
        if model.memory:
            code.append("m += s*h" if model.firing_gain else "m += s")
    return lines, code


def _coded(model: IntegerNeuron, name: str, magnitude: str) -> list[str]:
    """Code that sets ``name`` to the magnitude nearest to a whole number >= 0 that spikes have."""
    code = [f"{name} = {magnitude}"]
    if model.payload_code == "power_of_two":
        # Logarithms of whole numbers below 2^24 are further than 1e-8 from whole exponents, unless
        # they are powers themselves.
        code += [
            f"below = 2.0**floor(log(clip({name}, 1, inf))/log(2.0) + 1e-9)",
            f"{name} = int({name} >= 1)*below*(1 + int(2*{name} >= 3*below))",
        ]
    return code


def _decayed(name: str, decay: int | AnyArray) -> str:
    kept = f"(4096 - d{name})" if np.ndim(decay) else f"{4096 - int(decay)}"
    return f"sign({name})*floor(abs({name})*{kept}/4096.0)"


def varying_decays(model: IntegerNeuron) -> list[tuple[str, str]]:
    """Decays that differ from neuron to neuron, by the names of their variables."""
    both = (("du", "current_decay"), ("dv", "membrane_decay"))
    return [(name, decay) for name, decay in both if np.ndim(getattr(model, decay))]


def _extended(group: Group, driven: bool) -> Code:
    """Neurons of natively trained networks: reset, floor and countdown belong to the update."""
    model = group.neuron
    assert model is not None
    lines = ["a : 1", "v : 1", "u : 1", "b : 1 (constant)", *(["drive : 1"] if driven else [])]
    lines += [f"{name} : 1 (constant)" for name, _ in varying_decays(model)]
    arriving = "a + drive" if driven else "a"
    code = [f"u = live*({_decayed('u', model.current_decay)} + {arriving})", "a = 0"]
    able = "live"
    if model.refractory:
        lines.append("countdown : 1")
        code += ["able = live*int(countdown < 0.5)", "countdown -= live*(1 - int(countdown < 0.5))"]
        able = "able"
    code.append(f"now = {_decayed('v', model.membrane_decay)} + u + b")
    if model.reset == "subtract-next":
        lines.append("charge : 1")
        code.append("now -= charge")
    if model.saturation is not None:
        code.append(f"now = clip(now, {-int(model.saturation)}, {int(model.saturation)})")
    if group.emits:
        lines.append("theta_pos : 1 (constant)")
        binary = model.payload_max == 1
        up = "int(now >= theta_pos)" if binary else "clip(floor(now/theta_pos), 0, payload_max)"
        code += _coded(model, "up", up)
        taken, spikes = "up*theta_pos", "up"
        if group.signed:
            lines.append("theta_neg : 1 (constant)")
            down = (
                "int(now <= -theta_neg)"
                if binary
                else ("clip(floor(-now/theta_neg), 0, payload_max)")
            )
            code += _coded(model, "down", down)
            taken, spikes = f"{taken} - down*theta_neg", "(up - down)"
        code.append(f"s = {able}*{spikes}")
        code += {
            "subtract": [f"now -= {taken}"],
            "subtract-next": [f"charge = {able}*({taken})"],
            "zero": ["now = now*int(s == 0)"],
            "value": ["now = now*int(s == 0) + v_reset*int(s != 0)"],
            "none": [],
        }[model.reset]
        if model.reset == "value":
            lines.append("v_reset : 1 (constant)")
        if model.refractory:
            code.append(f"countdown += {model.refractory}*int(s != 0)")
    if model.floor is not None:
        lines.append("v_min : 1 (constant)")
        code.append("now = clip(now, v_min, inf)")
    code.append(f"v = {able}*now + (1 - {able})*v")
    return lines, code


def pool_model(group: Group) -> MaxPool:
    """The model of a group that pools."""
    assert isinstance(group.population.model, MaxPool)
    return group.population.model


def pool_code(group: Group) -> Code:
    """Of max pooling, which reads cells: what drives them is theirs."""
    model = pool_model(group)
    n_taps = model.window.n_taps
    linked = [name for k in range(n_taps) for name in pooled_variables(model, k)]
    lines = ["v : 1", *(f"{name} : 1 (linked)" for name in linked)]
    if model.rule == "winner":
        code = ["top = cell_0", "present = now_0"]
        for k in range(1, n_taps):
            code += [
                f"present += int(cell_{k} > top)*(now_{k} - present)",
                f"top = clip(cell_{k}, top, inf)",
            ]
        return lines, [*code, "s = present", "v = top"]
    code = ["top = cell_0", *(f"top = clip(cell_{k}, top, inf)" for k in range(1, n_taps))]
    emitted = "s = top" if model.rule == "now" else "s = top - v"
    if model.input_gain:
        # Every gain divides those before it; where it is 0 nothing has changed.
        emitted = "s = (top - v)/clip(input_gain(t), 1, inf)"
    return lines, [*code, emitted, "v = top"]


def pooled_variables(model: MaxPool, tap: int) -> dict[str, str]:
    """Variables of a pooled neuron that are linked to its cells."""
    now = {f"now_{tap}": "now"} if model.rule == "winner" else {}
    return {f"cell_{tap}": "now" if model.rule == "now" else "accumulated", **now}


def reset_code(group: Group, theta: str) -> str:
    """What a spike does to the membrane after the step; ``theta``: the threshold that it takes."""
    model = group.neuron
    if model is None or model.extensions:
        return ""
    taken = f"v -= s*{theta}*firing_gain(t)" if model.firing_gain else f"v -= s*{theta}"
    return {"subtract": taken, "zero": "v = 0", "none": ""}[model.reset]
