"""Cases: memory, powers of two, signed and winner pools, pools of inputs, summed coding."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.ir.connectivity import Sparse
from neurodeploy.ir.netlist import IntegerNetlist, Output
from neurodeploy.ir.neurons import PoolRule
from neurodeploy.ir.record import Stimulus
from neurodeploy.testing.builder import NetlistBuilder
from neurodeploy.testing.cases.catalogue import Build, add, read

Built = tuple[IntegerNetlist, Stimulus]
Where = dict[str, Any]


def _memory(**options: Any) -> Build:
    """Signed drive that changes its mind, into neurons that take back."""

    def build(b: NetlistBuilder) -> Built:
        shared: dict[str, Any] = {"threshold": 60, "initial_membrane": 30, **_BACK, **options}
        b.input("x", 8, low=-2, high=2).sparse(1.0, (2, 3, 2), name="h", **shared)
        given = b.stimulus(rate=0.6)
        return read(b), given

    return build


def _payload_delay(delay: int, **options: Any) -> Build:
    """A payload that changes every step, over delayed synapses."""

    def build(b: NetlistBuilder) -> Built:
        b.input("x", 6, low=-9, high=9)
        b.dense(b.draw((6, 6), -5, 8), threshold=5, delay=delay, **options)
        b.dense(b.draw((5, 6), -9, 14), threshold=11, delay=delay, **options)
        return b.dense(3, delay=delay).output(), b.stimulus(rate=0.65)

    return build


_OVERLAPPING: Where = {"kernel": (3, 2), "stride": (2, 1), "padding": [(1, 1), (1, 0)]}
_DILATED: Where = {
    "kernel": 2,
    "stride": (1, 2),
    "padding": [(0, 1), (1, 0)],
    "dilation": (2, 2),
}
_SIZE = (2, 5, 4)
_LARGER = (2, 7, 6)


def _pooled(
    shape: tuple[int, ...], where: Where, rule: PoolRule, signed: bool, **options: Any
) -> Build:
    def build(b: NetlistBuilder) -> Built:
        b.input("x", 8, low=-1 if signed else 0)
        b.sparse(1.0, shape, threshold=60, initial_membrane=20, **options)
        b.maxpool(**where, rule=rule, signed=signed)
        weight = b.draw((6, b.last.size), -40, 60)
        b.dense(weight, threshold=80, negative_threshold=70).dense(3)
        return b.output(), b.stimulus(rate=0.2)

    return build


def _pool_of_two(b: NetlistBuilder) -> Built:
    """Cells that add up two populations with weights of both signs."""
    b.input("x", 8)
    for name, theta, start in (("a", 50, 25), ("b", 70, 35)):
        b.sparse(1.0, _SIZE, after="x", name=name, threshold=theta, initial_membrane=start)
    b.maxpool(**_OVERLAPPING, signed=True, weight=None, name="pool")
    index = np.arange(int(np.prod(_SIZE)))
    for name, sign in (("a", 1), ("b", -1)):
        weight = sign * b.draw(index.size, 1, 9)
        b.connect(name, "pool", Sparse(weight, index, index, _SIZE, _SIZE))
    return b.dense(3).output(), b.stimulus(rate=0.1)


def _pool_of_input(low: int) -> Build:
    def build(b: NetlistBuilder) -> Built:
        b.input("x", _SIZE, kind="current", low=low, high=127).maxpool(**_OVERLAPPING)
        return b.dense(6, threshold=9000).dense(3).output(), b.stimulus(zeros=0.9)

    return build


def _pool_in_cycle(rule: PoolRule, delay: int) -> Build:
    """A signed pool that feeds the neurons it pools."""

    def build(b: NetlistBuilder) -> Built:
        b.input("x", 8, low=-1)
        b.sparse(1.0, _SIZE, name="h", threshold=60, payload_max=2, **_BACK)
        b.maxpool(**_OVERLAPPING, rule=rule, name="pool")
        return b.connect("pool", "h", 0.3, delay=delay).dense(3).output(), b.stimulus(rate=0.1)

    return build


def _changes(b: NetlistBuilder) -> Built:
    """Sigma-delta: changes of a value, an integrator that is read by v itself."""
    raster = b.input("x", 6, low=-40, high=40).stimulus()["x"]
    steps = np.diff(np.cumsum(raster, axis=1).clip(0, 40), axis=1, prepend=0)
    start: dict[str, Any] = {"initial_membrane": 11, "coding": "sum", "payload_max": 4096}
    b.dense(8, threshold=7, **start, **_BACK)
    return b.dense(3, initial_membrane=[4, -9, 100], coding="sum").output(), {"x": steps}


def _softmax(b: NetlistBuilder) -> IntegerNetlist:
    b.input("x", 6).sparse(0.6, 8, threshold=60).dense(3, bias=[2, 0, -3], name="out")
    return b.output(Output("out", "softmax"))


_BACK: dict[str, Any] = {"negative_threshold": 1, "memory": True}
_POWERS: dict[str, Any] = {"payload_code": "power_of_two"}
_SIGNED: dict[str, Any] = {"memory": False, "threshold": 9, "payload_max": 16, **_POWERS}
add("memory", _memory())
add("memory_hysteresis", _memory(negative_threshold=25))
add("memory_graded", _memory(threshold=9, payload_max=7))
add("memory_powers_of_two", _memory(threshold=9, payload_max=8, **_POWERS))
add("memory_bias", _memory(bias=-6))
add("memory_leak", _memory(membrane_decay=321, bias=3))
add("memory_current_decay", _memory(current_decay=2100, threshold=90, payload_max=3))
add("powers_of_two", _memory(**_SIGNED, negative_threshold=None))
add("powers_of_two_signed", _memory(**_SIGNED, negative_threshold=12))
add("powers_of_two_zero_reset", _memory(**_SIGNED, negative_threshold=12, reset="zero"))
for _d in (1, 2, 5):
    add(f"memory_delay_{_d}", _payload_delay(_d, **_BACK, payload_max=64))
    add(f"powers_of_two_delay_{_d}", _payload_delay(_d, **_BACK, payload_max=64, **_POWERS))
for _name, _shape, _where in (("overlapping", _SIZE, _OVERLAPPING), ("dilated", _LARGER, _DILATED)):
    add(f"pool_signed_{_name}", _pooled(_shape, _where, "maximum", True, negative_threshold=40))
    add(f"pool_winner_{_name}", _pooled(_shape, _where, "winner", False))
    add(
        f"pool_winner_signed_{_name}",
        _pooled(_shape, _where, "winner", True, negative_threshold=40),
    )
add("pool_of_memory", _pooled(_SIZE, _OVERLAPPING, "maximum", True, **_BACK))
add("pool_of_two_populations", _pool_of_two)
add("pool_of_current_input", _pool_of_input(0), tune=False)
add("pool_of_signed_input", _pool_of_input(-90), tune=False)
_rules: tuple[PoolRule, ...] = ("maximum", "winner")
for _rule in _rules:
    for _d in (1, 3):
        add(f"pool_{_rule}_in_cycle_delay_{_d}", _pool_in_cycle(_rule, _d))
add("changes_summed", _changes, tune=False)
add("softmax_output", _softmax)
