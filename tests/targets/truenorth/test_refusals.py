"""What crossbar cores cannot do is refused by name, with numbers and the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import BoardError, CapacityError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron, MaxPool
from neurodeploy.network import Network
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import (
    chain,
    dense,
    grouped,
    netlist,
    neurons,
    project,
    spike_input,
)


def check(net: IntegerNetlist, **options: Any) -> list[str]:
    return [str(v) for v in TrueNorthTarget().check(net, None, options)]


def with_input(kind: Any, low: int, high: int) -> IntegerNetlist:
    net = chain([[1]])
    first = Population("in", (1,), Input(kind, low, high))
    return netlist([first, *net.populations[1:]], list(net.projections))


def integrator(decode: Any = "membrane", coding: Any = "rate") -> IntegerNetlist:
    net = chain([[1]])
    zero = np.int64(0)
    out = Population("out", (1,), IntegerNeuron(None, zero, zero), coding=coding)  # type: ignore[arg-type]
    return IntegerNetlist(
        "n",
        (*net.populations[:2], out),
        net.projections,
        (Output("out", decode),),
        8,
    )


def pooled(**options: Any) -> IntegerNetlist:
    window = Window((4,), (2,), (2,), ((0, 0),), (1,))
    return netlist(
        [
            spike_input("in", 1, 4),
            Population("pool", (1, 2), MaxPool(1, window, **options)),
            neurons("out", (1, 2)),
        ],
        [
            project("in", "pool", identity((1, 4))),
            project("pool", "out", identity((1, 2))),
        ],
    )


WIDE = netlist(
    [spike_input("in", 300), neurons("a", 2)], [project("in", "a", dense(np.full((2, 300), 3)))]
)
MANY_BITS = netlist(
    [spike_input("in", 100), neurons("a", 4, threshold=50)],
    [project("in", "a", dense(np.tile(np.array([-4, -3, -1, 2, 3]), (4, 20))))],
)
FEW_LARGE = netlist(
    [spike_input("in", 30), neurons("a", 2, threshold=9)],
    [project("in", "a", dense(np.tile(np.array([[1, 100, 127]]), (2, 10))), exponent=9)],
)
MISALIGNED = netlist(
    [spike_input("in", 1), neurons("a", 1), neurons("b", 1), neurons("c", 1)],
    [
        project("in", "a", identity((1,))),
        project("a", "b", identity((1,))),
        project("b", "c", identity((1,))),
        project("a", "c", identity((1,)), 1),
    ],
)

CASES: dict[str, tuple[IntegerNetlist, str]] = {
    "current input": (
        with_input("current", 0, 255),
        r"in: a current input: .*; convert with --input",
    ),
    "graded input": (with_input("spikes", 0, 3), r"in: graded or signed .* 0\.\.3 against 0\.\.1"),
    "signed input": (with_input("spikes", -1, 1), r"in: graded or signed .* -1\.\.1 against"),
    "membrane": (integrator(), r"out: a population without threshold .*--decode counts"),
    "max-pooling": (pooled(), r"pool: accumulated max-pooling.*average pooling"),
    "graded": (chain([[1]], payload_max=3), r"a: graded spikes, payload up to 3 against 1"),
    "signed": (chain([[1]], negative_threshold=4), r"a: signed spikes"),
    "memory": (
        chain([[1]], negative_threshold=1, memory=True),
        r"a: memory: .* keeps no count .*; convert with unsigned neurons",
    ),
    "powers of two": (
        chain([[1]], payload_max=4, payload_code="power_of_two"),
        r"a: graded spikes, payload up to 4 against 1",
    ),
    "signed pooling": (pooled(signed=True), r"pool: accumulated max-pooling"),
    "winner pooling": (pooled(rule="winner"), r"pool: accumulated max-pooling"),
    "softmax": (integrator("softmax"), r"out: membrane decoding: .*--decode counts"),
    "summed integrator": (integrator(coding="sum"), r"out: membrane decoding: "),
    "current decay": (chain([[1]], current_decay=400), r"a: current decay .* 400 against 4096"),
    "leak": (chain([[1]], membrane_decay=9), r"a: membrane decay .* 9 against 0"),
    "no reset": (chain([[1]], reset="none"), r"a: no reset none against subtract or zero"),
    "threshold": (
        chain([[1]], threshold=300000),
        r"a: threshold 300000 against 1\.\.262143; quantize",
    ),
    "membrane range": (
        chain([[127] * 200], exponent=5, threshold=200, timesteps=32),
        r"a: worst-case membrane over T = 32 steps \d{7,} against -262143\.\.524287; "
        r"quantize with --state-bits 19",
    ),
    "membrane floor": (
        chain([[-127] * 20], exponent=4, threshold=200, timesteps=32),
        r"a: worst-case membrane over T = 32 steps -\d{7} against -262143",
    ),
    "fan-in": (
        WIDE,
        r"a: fan-in 300 with up to 1 axon copies .* needs axons: 300 against 256; a fan-in of at "
        r"most 256 fits",
    ),
    "fan-in x copies": (
        chain([[-4, -3, -1, 3, 2, 1, -2] * 26], threshold=50, timesteps=2),
        r"a\[0\]: fan-in 182 with up to 3 axon copies an input \(levels -4\.\.3\) needs axons: "
        r"\d{3} against 256; at this fan-in one copy fits",
    ),
    "weight range": (
        FEW_LARGE,
        r"a: fan-in 30 with 3 weight levels in 512\.\.65024 .* values -255\.\.255; axon copies an "
        r"input: none found up to 16 against 8; quantize with fewer --weight-bits",
    ),
    "delay": (
        netlist(
            [spike_input("in", 1), neurons("a", 1), neurons("b", 1)],
            [project("in", "a", identity((1,))), project("a", "b", identity((1,)), 31)],
        ),
        r"a->b: delay in ticks through a splitter 31 against 30; shorten",
    ),
    "misaligned": (MISALIGNED, r"a->c: delay below the depth difference .* 1 against 2; leave"),
    "bias": (
        chain([[1]], threshold=3, initial_membrane=3, reset="zero"),
        r"a: bias 0 with initial membrane 3 and threshold 3 would act 1 ticks .*against none",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_by_name(case: str) -> None:
    import re

    net, pattern = CASES[case]
    found = check(net)
    assert any(re.search(pattern, line) for line in found), found
    with pytest.raises(CapacityError, match="target truenorth refuses") as caught:
        TrueNorthTarget().compile(Network(net))
    assert "\n" not in str(caught.value)


def test_all_violations_of_a_stage_are_told() -> None:
    net = chain([[1]], reset="none", membrane_decay=9, payload_max=2)
    assert len(check(net)) == 3


def test_inputs_of_all_sources_count_and_are_told_beside_the_neurons() -> None:
    weight = np.ones((200, 200), int)
    leaky = netlist(
        [spike_input("in", 200), neurons("a", 200, threshold=90, membrane_decay=9)],
        [project("in", "a", dense(weight)), project("a", "a", dense(-weight))],
    )
    lines = check(leaky)
    assert "membrane decay" in lines[0]
    assert "fan-in 400 with up to 1 axon copies" in lines[1]
    assert len(lines) == 2
    # With a split only the neurons are in the way.
    assert len(check(leaky, split="exact")) == 1
    one_of_two = [project("in", "a", dense(weight)) for _ in range(2)]
    shared = netlist([spike_input("in", 200), neurons("a", 200, threshold=900)], one_of_two)
    assert check(shared) == []


def test_a_cycle_refuses_splitters_and_keeps_its_timing() -> None:
    net = netlist(
        [spike_input("in", 2), neurons("a", 2), neurons("b", 2)],
        [
            project("in", "a", identity((2,))),
            project("a", "b", identity((2,))),
            project("b", "a", identity((2,))),
            project("a", "b", identity((2,), 2), 20),
        ],
    )
    assert any("a splitter inside a cycle needs a delay of 2 ticks, got 1" in v for v in check(net))


def test_a_recurrent_population_that_does_not_fit() -> None:
    weight = np.random.default_rng(0).integers(1, 3, (120, 120))
    net = netlist(
        [spike_input("in", 1), neurons("a", 120, threshold=9000)],
        [project("in", "a", dense(np.ones((120, 1), int))), project("a", "a", dense(weight))],
    )
    lines = check(net)
    # 120 inputs with two copies each fit one core's axons; but 240 copies and a 241st for the host
    # need a second core, which needs copies of all inputs again.
    assert len(lines) <= 1
    assert not lines or "grow without end" in lines[0]


def test_a_network_too_large_for_the_board() -> None:
    board = load_board("truenorth")
    small = replace(board, grid=replace(board.grid, tiles_x=8, tiles_y=8))
    violations = TrueNorthTarget().check(grouped(), small, {})
    assert [v.limit for v in violations] == [64]
    assert int(violations[0].used or 0) > 64


def test_limits_come_from_the_board() -> None:
    board = load_board("truenorth")
    net = chain([[3, 1, 2, -4]], bias=-2, initial_membrane=2)
    assert not TrueNorthTarget().check(net, board, {})

    def limited(**values: int) -> list[str]:
        limits = {k: replace(v, value=values.get(k, v.value)) for k, v in board.limits.items()}
        return [str(v) for v in TrueNorthTarget().check(net, replace(board, limits=limits), {})]

    assert "5 against 4" in limited(axons=4)[0]
    assert "threshold 4 against 1..3" in limited(threshold_max=3)[0]
    assert "against -3..524287" in limited(membrane_floor=-3, initial_membrane_min=-3)[0]
    assert "values -1..1" in limited(weight_min=-1, weight_max=1, axon_types=1)[0]
    assert not limited(axons=5)


def test_another_kind_of_board_is_refused() -> None:
    with pytest.raises(BoardError, match="kind 'neurocore'; target truenorth needs"):
        TrueNorthTarget().check(chain([[1]]), load_board("loihi1"), {})


def test_unknown_options() -> None:
    with pytest.raises(UsageError, match="no option 'splits'"):
        TrueNorthTarget().compile(Network(chain([[1]])), None, {"splits": "exact"})
    with pytest.raises(UsageError, match="split 'rough'; expected one of none, exact, approximate"):
        TrueNorthTarget().compile(Network(chain([[1]])), None, {"split": "rough"})
    with pytest.raises(UsageError, match="max_ticks_per_step 0; expected a whole number from 1"):
        TrueNorthTarget().compile(Network(chain([[1]])), None, {"max_ticks_per_step": 0})
    with pytest.raises(UsageError, match="fan_out 'trees'; expected one of auto"):
        TrueNorthTarget().compile(Network(chain([[1]])), None, {"fan_out": "trees"})
