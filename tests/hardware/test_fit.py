"""The verdict of a board on a netlist: every limit counts, and nothing fits silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.errors import CapacityError
from neurodeploy.hardware.boards.abilities import ABILITIES, abilities_of
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.fit import judge, quantization_for
from neurodeploy.hardware.price.estimate import estimate
from neurodeploy.hardware.price.measure import measure_traffic
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.targets.lava.stock import stock_violations
from neurodeploy.testing import NetlistBuilder
from neurodeploy.testing.cases import CASES, case, stateful
from tests.hardware.mapping.expanded import Expanded, small_board

# What stock processes refuse, and the ability by which a board file may name how it is built.
NAMED = {
    "reset": "reset_subtract",
    "initial membrane": "initial_membrane",
    "recurrence, which LIFReset cannot flush": "recurrence",
    "delay that is not the difference of the depths": "misaligned_delay",
    "delay of a convolution": "delayed_convolution",
    "padding": "uneven_padding",
    "8-bit weight with its exponent": "weight_exponent",
    "saturation": "saturation",
}


@pytest.mark.parametrize("name", CASES)
def test_loihi1_runs_nothing_that_stock_processes_refuse_but_by_a_named_construction(
    name: str,
) -> None:
    netlist, board = case(name).netlist, load_board("loihi1")
    found, refused = judge(netlist, board), stock_violations(netlist)
    if not found.fits:
        return
    for violation in refused:
        ability = NAMED[violation.resource]
        construction = board.neurons[ability].construction
        assert construction is not None
        assert any(construction in note for note in found.assumptions), violation
    assert found.answer == "fits" or found.assumptions


def two_layers(**edits: object) -> IntegerNetlist:
    b = NetlistBuilder(T=4, name="two").input("x", (6,))
    net = b.dense(np.ones((4, 6), dtype=np.int64), name="a", threshold=5, reset="zero").output()
    a = net.populations[1]
    return replace(
        net, populations=(net.populations[0], replace(a, model=replace(a.model, **edits)))
    )


def one(value: int) -> np.ndarray:
    return np.array(value, dtype=np.int64)


FITTING: dict[str, dict[str, object]] = {
    "reset to zero": {},
    "the largest exact bias": {"bias": one(4095)},
    "twice that, as it is even": {"bias": one(2 * 4095)},
    "the largest threshold": {"threshold": one(2**17)},
}
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "signed": ({"negative_threshold": one(5)}, "signed spikes"),
    "graded": ({"payload_max": 2}, "payload bits 2 against 1"),
    "no reset": ({"reset": "none"}, "spikes without reset against reset to zero or reset by sub"),
    "bias": ({"bias": one(4097)}, "bias, with its exponent 4097 against 4095"),
    "threshold": ({"threshold": one(2**17 + 1)}, "threshold 131072 against 131071"),
    "state": ({"initial_membrane": one(131071)}, "worst-case state 131077 against 131071"),
    "leak": ({"membrane_decay": 100}, "leak or current memory in units of 1/64"),
    "current memory": ({"current_decay": 100}, "leak or current memory in units of 1/64"),
    "floor": ({"floor": one(-1)}, "floor of the membrane"),
    "saturation": ({"saturation": 1000}, "saturation 1000"),
    "gains": ({"reset": "subtract", "input_gain": (1, 2, 3, 4)}, "gains of steps"),
    "held": ({"reset": "subtract", "refractory": 1}, "refractory period that holds"),
    "memory": (
        {"reset": "subtract", "negative_threshold": one(5), "memory": True},
        "memory of emitted spikes",
    ),
}


@pytest.mark.parametrize("what", FITTING)
def test_what_loihi1_can_fits_without_assumptions(what: str) -> None:
    found = judge(two_layers(**FITTING[what]), load_board("loihi1"))
    assert found.violations == ()
    # A bias acts before and after the window as well.
    outside = [note.split(",")[0] for note in found.assumptions]
    told = ["a: biases or spikes before the window opens"] * ("bias" in FITTING[what])
    assert outside == told


@pytest.mark.parametrize("what", REFUSED)
def test_every_limit_counts(what: str) -> None:
    edits, message = REFUSED[what]
    netlist = two_layers(**edits)
    found = judge(netlist, load_board("loihi1"))
    assert found.answer == "does not fit"
    assert any(message in str(v) for v in found.violations), list(map(str, found.violations))
    assert all(v.where == "a" and v.remedy for v in found.violations)
    # Programmable neurons can, by assumptions that are named.
    other = judge(netlist, load_board("loihi2"))
    assert other.fits
    assert other.answer.startswith("fits with")


@pytest.mark.parametrize(
    ("steps", "largest"),
    [
        ({"firing_gain": (0, 2, 1, 1)}, 2**16),
        ({"firing_gain": (1, 1, 1, 1), "comparison": (8192, 4096, 4096, 4096)}, 2**16),
        ({"firing_gain": (4, 2, 1, 1), "comparison": (2048, 2048, 2048, 2048)}, 2**15),
    ],
)
def test_the_highest_threshold_of_a_step_has_to_be_held(
    steps: dict[str, object], largest: int
) -> None:
    """A register of 17 bits holds what the membrane is compared with, and what a spike takes."""

    def told(threshold: int) -> list[str]:
        net = two_layers(threshold=one(threshold), reset="subtract", **steps)
        found = judge(net, load_board("loihi1")).violations
        return [str(v) for v in found if "highest threshold of a step" in str(v)]

    assert not told(largest)
    (line,) = told(largest + 1)
    assert "against 131071" in line


def test_a_netlist_in_the_unit_of_the_board_may_leak_and_use_all_its_bits() -> None:
    plain = two_layers(threshold=one(64 * 100 + 1), membrane_decay=100, bias=one(1))
    weights = replace(plain.projections[0], exponent=one(6))
    netlist = replace(plain, projections=(weights,))
    assert judge(plain, load_board("loihi1")).violations
    found = judge(netlist, load_board("loihi1"))
    assert found.fits
    assert [n.split(",")[0] for n in found.assumptions] == [
        "a: biases or spikes before the window opens"
    ]
    off = two_layers(threshold=one(64 * 100), membrane_decay=100)
    assert judge(replace(off, projections=(weights,)), load_board("loihi1")).violations


def test_soft_reset_takes_two_compartments_of_cores_and_of_energy() -> None:
    netlist, board = two_layers(reset="subtract"), load_board("loihi1")
    (note,) = judge(netlist, board).assumptions
    assert note.startswith("a: reset by subtraction: 2 compartments a neuron: ")
    assert "arXiv 2101.04261" in note
    tight = small_board(neurons=2, compartments=2)
    assert partition(netlist, tight).n_cores == 4
    assert partition(two_layers(), tight).n_cores == 2
    with pytest.raises(CapacityError, match=r"a single neuron needs 2 neurons, a core .* has 1"):
        partition(netlist, small_board(neurons=1, compartments=2))


@pytest.mark.parametrize("name", ["dense_spikes", "conv2d_stack", "sparse", "reset_zero"])
def test_updates_of_all_compartments_are_counted(name: str) -> None:
    c = case(name)
    mapping = partition(c.netlist, small_board(neurons=24, compartments=2))
    record = run_reference(c.netlist, c.stimulus, membranes=stateful(c.netlist))
    counted = Expanded(c.netlist, mapping)
    assert [u["neurons"] for u in counted.usage(mapping.board)] == [
        core.neurons for core in mapping.cores
    ]
    traffic, _ = measure_traffic(mapping, c.netlist, c.stimulus, lambda _: record)
    for core, expected in zip(traffic.cores, counted.events(record), strict=True):
        assert core.events() == expected


def test_no_estimate_for_what_does_not_fit() -> None:
    netlist, board = two_layers(payload_max=2), load_board("loihi1")
    stimulus = {"x": np.ones((1, 4, 6), dtype=np.int64)}
    mapping = partition(netlist, board)
    traffic, _ = measure_traffic(
        mapping, netlist, stimulus, lambda s: run_reference(netlist, s, membranes=["a"])
    )
    with pytest.raises(CapacityError, match="two: board loihi1 cannot run it: a: graded spikes"):
        estimate(traffic, board, network="two", verdict=judge(netlist, board))


def wide_layer(channels: int, weights: np.ndarray | None = None, bits: int = 8) -> IntegerNetlist:
    """A layer of so many channels, each with a threshold of its own."""
    b = NetlistBuilder(T=4, name="wide").input("x", (6,))
    ones = np.ones((channels, 6), dtype=np.int64) if weights is None else weights
    net = b.dense(ones, name="a", threshold=5, reset="zero", bits=bits).output()
    a = net.populations[1]
    thresholds = replace(a.model, threshold=5 + np.arange(channels, dtype=np.int64))
    return replace(net, populations=(net.populations[0], replace(a, model=thresholds)))


def test_neurons_of_a_core_share_its_thresholds() -> None:
    board = load_board("loihi1")
    assert judge(wide_layer(16), board).answer == "fits"
    (violation,) = judge(wide_layer(17), board).violations
    assert str(violation) == "a: thresholds of a core 17 against 16; quantize with --fit loihi1"
    # On two cores each has few of them.
    limits = {**board.limits, "neurons": replace(board.limits["neurons"], value=9)}
    assert judge(wide_layer(17), replace(board, limits=limits)).fits
    # The second compartment of soft reset has a threshold of its own.
    soft = wide_layer(16)
    x, a = soft.populations
    a = replace(a, model=replace(a.model, reset="subtract"))
    soft = replace(soft, populations=(x, a))
    (violation,) = judge(soft, board).violations
    assert (violation.used, violation.limit) == (17, 16)


def test_neurons_and_synapses_of_a_core_share_decays_and_formats() -> None:
    board = load_board("loihi1")
    plain = wide_layer(40)
    a = plain.populations[1]
    model = replace(
        a.model, threshold=one(64 * 5 + 1), membrane_decay=np.arange(40, dtype=np.int64)
    )
    weights = replace(plain.projections[0], exponent=one(6))
    leaky = replace(
        plain,
        populations=(plain.populations[0], replace(a, model=model)),
        projections=(weights,),
    )
    (violation,) = judge(leaky, board).violations
    assert str(violation).startswith("a: decays and refractory periods of a core 40 against 32")
    formats = {**board.limits, "synapse_formats": replace(board.limits["synapse_formats"], value=2)}
    few = wide_layer(4)
    many = replace(few.projections[0], exponent=np.array([0, 1, 2, 2]))
    (violation,) = judge(
        replace(few, projections=(many,)), replace(board, limits=formats)
    ).violations
    assert str(violation).startswith("a: exponents of the weights of a core 3 against 2")


@pytest.mark.parametrize(
    ("low", "high", "fits"), [(-128, 127, True), (0, 255, True), (-256, 0, True), (-129, 1, False)]
)
def test_weights_of_both_signs_have_a_bit_less(low: int, high: int, fits: bool) -> None:
    weights = np.array([[low, high, 0, 0, 0, 0]] * 2)
    found = judge(wide_layer(2, weights, bits=9), load_board("loihi1"))
    assert found.fits == fits
    if not fits:
        (violation,) = found.violations
        assert "weights of both signs, bits 9 against 8; quantize with" in str(violation)


@pytest.mark.parametrize(("bias", "told"), [(0, False), (35, False), (36, True)])
def test_a_current_that_no_bias_holds_is_told(bias: int, told: bool) -> None:
    # 20 * (127 + 76) + 35 = 4095; the even 4096 counts as well, as not all values are even.
    b = NetlistBuilder(T=4, name="currents").input("x", (2,), kind="current", high=20)
    layer = b.dense(np.array([[127, 76], [-1, -1]]), name="a", threshold=5, reset="zero", bias=bias)
    found = judge(layer.output(), load_board("loihi1"))
    notes = [n for n in found.assumptions if "the bits of its values as spikes" in n]
    assert found.fits
    assert [n.partition(":")[0] for n in notes] == ["a (4096 against 4095)"] * told


def test_what_a_board_does_not_tell_is_an_assumption() -> None:
    board = replace(load_board("loihi1"), name="bare", neurons={})
    netlist = two_layers(reset="subtract")
    found = judge(netlist, board)
    assert found.assumptions == (
        "a: reset by subtraction: board bare does not tell whether its neurons can",
    )
    told = {k: v for k, v in board.limits.items() if k != "state_bits"}
    found = judge(two_layers(), replace(load_board("loihi1"), limits=told))
    assert found.assumptions == ("not checked, as board loihi1 does not tell them: state bits",)


def test_cores_axons_weights_and_delays_are_part_of_the_verdict() -> None:
    netlist = two_layers()
    few = small_board(
        neurons=1,
        chips=1,
        grid={"chips_x": 1, "chips_y": 1, "tiles_x": 1, "tiles_y": 1, "cores_per_tile": 1},
    )
    assert "4 cores exceed 1" in str(judge(netlist, few))
    narrow = small_board(input_axons=3)
    assert "6 input axons, a core of board loihi1 has 3" in str(judge(netlist, narrow))
    wide = replace(netlist, projections=(replace(netlist.projections[0], weight_bits=12),))
    (violation,) = judge(wide, load_board("loihi1")).violations
    assert (violation.resource, violation.used, violation.limit) == ("weight bits", 12, 9)
    assert violation.remedy == "quantize with --fit loihi1 or choose another board"


@pytest.mark.parametrize("name", board_names())
def test_every_ability_of_every_neurocore_board_is_told(name: str) -> None:
    board = load_board(name)
    if board.kind == "neurocore":
        assert set(board.neurons) == set(ABILITIES)
        assert all(a.source.strip() for a in board.neurons.values())
    assert Board.from_dict(board.to_dict()) == board


def test_the_widths_that_a_quantization_has_to_keep() -> None:
    assert quantization_for(load_board("loihi1")) == {
        "weight_bits": 8,
        "state_bits": 18,
        "threshold_bits": 17,
        "bias_bits": 13,
        "max_fraction_bits": 0,
        "max_thresholds": 15,
    }
    assert quantization_for(load_board("loihi2")) == {"weight_bits": 8}


def test_every_ability_is_needed_by_some_case() -> None:
    needed = {a for name in CASES for p in case(name).netlist.populations for a in abilities_of(p)}
    listed = set(ABILITIES)
    of_netlists = {"recurrence", "misaligned_delay", "delayed_convolution", "uneven_padding"}
    assert needed == listed - of_netlists - {"weight_exponent"}
