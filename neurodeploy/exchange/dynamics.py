"""What a file of neurons leaves open, as each framework fills it in: one table.

A NIR file says which equation a neuron follows, not in which steps it is computed: how the decay
is discretized, whether a threshold that is met fires, what a reset leaves and when, whether there
is a floor. Measured against snnTorch 1.0.0, sinabs 3.1.3, Norse 1.1.0, SpikingJelly 2.0.0, lava-nc
0.10.0 and the recordings of the NIR paper (Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from neurodeploy.errors import UnknownNameError, UsageError
from neurodeploy.ir.arrays import number, whole
from neurodeploy.json_values import Result

Compare = Literal[">", ">="]
ResetRule = Literal["none", "zero", "file", "subtract", "subtract-next"]
Integration = Literal["euler", "exponential"]
Gain = Literal["file", "euler", "no-r", "one"]

CHOICES: dict[str, tuple[str, ...]] = {
    "compare": (">", ">="),
    "reset": ("none", "zero", "file", "subtract", "subtract-next"),
    "integration": ("euler", "exponential"),
    "input_at": ("t", "t-1"),
}


@dataclass(frozen=True, slots=True)
class Dynamics(Result):
    """How neurons are computed, step by step.

    With ``e`` the part of the membrane that a step takes (:attr:`integration`), a neuron computes
    ``v <- (1 - e) v + e v_leak + g x`` and fires where v is above (or at) its threshold.

    Parameters
    ----------
    name : str
    summary : str
    compare : {">", ">="}
        Whether a threshold has to be exceeded or met.
    reset : {"none", "zero", "file", "subtract", "subtract-next"}
        ``file``: to the file's ``v_reset`` (0 where it has none). ``subtract-next``: the threshold
        is taken off one step later, after the decay.
    integration : {"euler", "exponential"}
        ``e = dt / tau``, or ``1 - exp(-dt / tau)``.
    gain : {"file", "euler", "no-r", "one"}
        g of an input: ``e r``; ``r dt / tau`` whatever e is; ``e`` (r is ignored); 1.
    if_gain : {"file", "r", "one"}
        g of a neuron without leak: ``r dt``, ``r``, or 1.
    floor : float or None
        Lowest membrane, in thresholds (-1: minus the threshold); None: none.
    leaky_floor : bool
        Whether neurons with a leak have it too.
    multi_spike : int
        Most spikes of a neuron in one step.
    input_at : {"t", "t-1"}
        Whether what a step sends arrives in it or one later. The latter is a constant latency of
        each layer, which windows take out; in a cycle it counts.
    start : {"zero", "leak", "reset"}
        v0: 0, the file's ``v_leak`` (0 without leak) or its ``v_reset``.
    late_feedback : bool
        Whether what a bias inside a cycle adds begins one step later, with the first spikes that
        come back.
    dt : float or None
        Step in seconds where none is given; None: it has to be.
    in_steps : bool
        Time constants are in steps: dt is 1.
    refuses : mapping of node type to reason
    no_leak_potential : bool
        Whether a ``v_leak`` other than 0 is refused.
    snap : bool
        A gain within 1e-5 of 1 is 1.
    """

    name: str
    summary: str
    compare: Compare
    reset: ResetRule
    integration: Integration
    gain: Gain = "file"
    if_gain: Literal["file", "r", "one"] = "file"
    floor: float | None = None
    leaky_floor: bool = True
    multi_spike: int = 1
    input_at: Literal["t", "t-1"] = "t"
    start: Literal["zero", "leak", "reset"] = "zero"
    late_feedback: bool = False
    dt: float | None = None
    in_steps: bool = False
    refuses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    no_leak_potential: bool = False
    snap: bool = False

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownNameError(name.replace("_", " "), str(getattr(self, name)), known)
        if whole(self.multi_spike, "multi_spike") < 1:
            raise UsageError(f"multi_spike {self.multi_spike}: expected at least 1")
        if self.floor is not None and not number(self.floor, "floor") <= 0:
            raise UsageError(f"floor {self.floor:g}: expected thresholds at or below 0, such as -1")
        check_dt(self.dt)


def check_dt(dt: float | None) -> None:
    """Refuse a length of a step that is no positive number of seconds."""
    if dt is not None and not 0 < number(dt, "dt", "seconds, as 1e-3") < float("inf"):
        raise UsageError(f"dt {dt}: expected a positive time in seconds")


_IF_LEAKS = {"IF": "snnTorch 1.0.0 reads it as Leaky with beta 0.9, a leak that no file asked for"}
_SNNTORCH: dict[str, Any] = {
    "compare": ">",
    "integration": "euler",
    "if_gain": "r",
    "dt": 1e-4,
    "no_leak_potential": True,
    "snap": True,
}
_NO_SYNAPSE = dict.fromkeys(("CubaLIF", "CubaLI"), "sinabs has no reading of it")

DYNAMICS: dict[str, Dynamics] = {
    d.name: d
    for d in (
        Dynamics(
            "snntorch",
            "snnTorch as trained by default: subtracts in the next step, after the decay",
            reset="subtract-next",
            **_SNNTORCH,
        ),
        Dynamics(
            "snntorch-same-step",
            "snnTorch with reset_delay=False: subtracts in the spike's own step",
            reset="subtract",
            **_SNNTORCH,
        ),
        Dynamics(
            "snntorch-zero",
            "snnTorch with zero reset; how snnTorch itself reads any NIR file",
            reset="zero",
            refuses=_IF_LEAKS,
            **_SNNTORCH,
        ),
        Dynamics(
            "sinabs",
            "sinabs 3.1.3: several spikes a step, time constants in steps, IF with a floor",
            compare=">=",
            reset="subtract",
            integration="exponential",
            gain="one",
            if_gain="one",
            floor=-1.0,
            leaky_floor=False,
            multi_spike=255,
            in_steps=True,
            refuses=_NO_SYNAPSE,
            no_leak_potential=True,
        ),
        Dynamics(
            "sinabs-2023",
            "sinabs and Rockpool of the NIR paper: exponential decay, Euler gain, subtract",
            compare=">=",
            reset="subtract",
            integration="exponential",
            gain="euler",
            if_gain="one",
            floor=-1.0,
            leaky_floor=False,
            multi_spike=255,
            no_leak_potential=True,
        ),
        Dynamics(
            "norse",
            "Norse 1.1.0: forward Euler, zero reset, r of LIF and IF ignored",
            compare=">",
            reset="zero",
            integration="euler",
            gain="no-r",
            if_gain="one",
            dt=1e-3,
            start="leak",
            late_feedback=True,
        ),
        Dynamics(
            "spikingjelly",
            "SpikingJelly 2.0.0: fires at the threshold, hard reset to v_reset",
            compare=">=",
            reset="file",
            integration="euler",
            dt=1e-4,
            start="reset",
        ),
        Dynamics(
            "spikingjelly-soft",
            "SpikingJelly 2.0.0 with v_reset=None: fires at the threshold, subtracts it",
            compare=">=",
            reset="subtract",
            integration="euler",
            dt=1e-4,
        ),
        Dynamics(
            "lava",
            "Lava's LIF in floating point: Euler, zero reset, every synapse takes a step",
            compare=">",
            reset="zero",
            integration="euler",
            input_at="t-1",
        ),
        Dynamics(
            "nengo",
            "Nengo: exponential decay, reset to v_reset",
            compare=">",
            reset="file",
            integration="exponential",
        ),
        Dynamics(
            "exact",
            "the equation itself, of steps with constant input; spikes are placed in whole steps",
            compare=">",
            reset="file",
            integration="exponential",
        ),
    )
}
"""Name -> dynamics, as ``--dynamics`` takes them."""

SHORT_TAU = {
    "norse": "use a smaller dt (what Norse 1.1.0 wrote itself has dt times its time constants, "
    "which --dt 1e-6 reads as they were)"
}
"""What helps where a time constant is shorter than a step, beside a smaller dt, by dynamics."""

NEEDED = ("compare", "reset", "integration")
"""Parts that have to be given where no dynamics is named."""


def chosen_dynamics(name: str | None, parts: Mapping[str, Any]) -> Dynamics | None:
    """A named dynamics with parts replaced, or one of parts alone; None where nothing is given.

    Raises
    ------
    UnknownNameError
        For a name, or a value of a part, that does not exist.
    UsageError
        If parts are given without a name and some are missing.
    """
    given = {key: value for key, value in parts.items() if value is not None}
    if name is not None:
        if not isinstance(name, str) or name not in DYNAMICS:
            raise UnknownNameError("dynamics", name, DYNAMICS)
        known = DYNAMICS[name]
        if given.get("dt") is not None and known.in_steps:
            raise UsageError(f"dt {given['dt']}: dynamics {name} counts in steps; leave it out")
        changed = sorted(set(given) - {"dt"})
        if changed:
            given["name"] = f"{name} with " + ", ".join(f"{k} {given[k]}" for k in changed)
        return dataclasses.replace(known, **given)
    if not set(given) - {"dt"}:
        return None
    missing = [key for key in NEEDED if key not in given]
    if missing:
        shown = ", ".join(f"--{key} {'|'.join(CHOICES[key])}" for key in missing)
        raise UsageError(f"dynamics by parts: {shown} is missing; give it, or a name (--dynamics)")
    by_hand = ", ".join(f"{key} {value}" for key, value in sorted(given.items()))
    return Dynamics(f"by parts: {by_hand}", "given by parts", **given)
