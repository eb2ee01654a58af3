"""Numbers next to the bounds of the types, and the choice between them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
import torch

from neurodeploy.errors import CapacityError
from neurodeploy.execution.pytorch.digits import DigitMatrix, may_meet, n_digits, pair_sums
from neurodeploy.execution.pytorch.engine import Engine
from neurodeploy.execution.pytorch.precision import PROVED, narrowest, prove_precision
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import window

TOP = 2**31


def run_engine(
    netlist: IntegerNetlist, stimulus: Stimulus, membranes: Collection[str] = ()
) -> RunRecord:
    """The engine in PyTorch, also where native kernels are built."""
    return Engine(netlist).run(stimulus, membranes=membranes)


def one_layer(
    link: Connectivity,
    high: int,
    model: IntegerNeuron,
    *,
    low: int = 0,
    kind: str = "spikes",
    timesteps: int = 1,
    exponent: int = 0,
) -> IntegerNetlist:
    source = Population("in", link.pre_shape, Input(kind, low, high))  # type: ignore[arg-type]
    post = Population("h", link.post_shape, model)
    projection = IntegerProjection("in", "h", link, None, np.int64(exponent), 16)
    decode = "counts" if model.fires else "membrane"
    return IntegerNetlist("near", (source, post), (projection,), (Output("h", decode),), timesteps)


def types(netlist: IntegerNetlist) -> tuple[torch.dtype, torch.dtype]:
    """Of the state and of what is emitted."""
    precision = prove_precision(netlist, netlist.timesteps)
    return precision.states["h"], precision.rasters["h"]


def sums() -> IntegerNeuron:
    return IntegerNeuron(None, np.int64(0), np.int64(0))


def links(rng: np.random.Generator) -> dict[str, Connectivity]:
    def odd(*size: int) -> IntArray:
        return rng.integers(100, 16000, size) * 2 + 1

    size, index = (3, 8, 8), np.arange(192)
    return {
        "dense": Dense(odd(7, 192), size),
        "conv3x3": Conv(odd(16, 3, 3, 3), 3, window((8, 8), (3, 3), padding=[(1, 1)] * 2)),
        "conv5x5": Conv(odd(8, 3, 5, 5), 3, window((8, 8), (5, 5), padding=[(2, 2)] * 2)),
        "strided": Conv(odd(8, 3, 3, 3), 3, window((8, 8), (3, 3), (2, 2), [(0, 1)] * 2)),
        "depthwise": Conv(odd(6, 1, 3, 3), 3, window((8, 8), (3, 3)), 3),
        "sumpool": SumPool(odd(3), window((8, 8), (3, 3), (2, 2))),
        "dilated": SumPool(odd(3), window((8, 8), (3, 2), (2, 1), dilation=(2, 1))),
        "gather": identity(size, odd(3)),
        "sparse": Sparse(
            odd(192 * 8),
            np.repeat(index, 8),
            (np.repeat(index, 8) * 7 + np.tile(np.arange(8), 192) * 11) % 192,
            size,
            size,
        ),
    }


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", links(np.random.default_rng(0)))
def test_products_next_to_32_bits(name: str, wide: bool, signed: bool) -> None:
    # Odd weights and odd payloads: one carry that is lost in any digit shows in the result.
    rng = np.random.default_rng(7)
    link = links(rng)[name]
    row = int(link.row_sums()[0].max())
    high = (TOP // 2 - 1) // row + (TOP if wide else 0) // row
    low = -high if signed else 0
    netlist = one_layer(link, high, sums(), low=low)
    assert types(netlist)[0] == (torch.int64 if wide else torch.int32)
    x = rng.choice(np.array([low, high, max(high - 2, 0)]), (40, 1, *link.pre_shape))
    x[0] = high
    ours, theirs = run_engine(netlist, {"in": x}), run_reference(netlist, {"in": x})
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])
    assert np.abs(theirs.membranes["h"]).max() > TOP // 4


def test_the_switch_lies_where_a_reset_could_leave_32_bits() -> None:
    for high, expected in ((TOP // 2 - 1, torch.int32), (TOP // 2, torch.int64)):
        netlist = one_layer(Dense(np.array([[1]]), (1,)), high, sums())
        assert types(netlist)[0] == expected
        x = np.array([[[high]], [[high - 1]]])
        ours = run_engine(netlist, {"in": x})
        np.testing.assert_array_equal(ours.membranes["h"], x)


def test_gains_count_in_the_bias_and_in_the_threshold() -> None:
    link = Dense(np.array([[1]]), (1,))
    gains = {"input_gain": (1, 2**10), "firing_gain": (1, 2**10)}

    def state(theta: int, bias: int) -> torch.dtype:
        model = IntegerNeuron(np.int64(theta), np.int64(bias), np.int64(0), **gains)
        return types(one_layer(link, 1, model, timesteps=2))[0]

    assert state(2**10, 1) == torch.int32
    assert state(2**21, 1) == torch.int64
    assert state(2**10, 2**20) == torch.int64
    assert state(2**10, 2**19) == torch.int32
    model = IntegerNeuron(np.int64(2**21), np.int64(2**20), np.int64(0), **gains)
    netlist = one_layer(link, 1, model, timesteps=2)
    x = np.array([[[0], [1]], [[1], [0]]])
    ours, theirs = (run(netlist, {"in": x}, membranes=["h"]) for run in (run_engine, run_reference))
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])
    np.testing.assert_array_equal(ours.spikes["h"], theirs.spikes["h"])


def test_a_bias_that_no_step_counts_has_its_place() -> None:
    model = IntegerNeuron(None, np.int64(2**33 + 1), np.int64(7), input_gain=(0, 0))
    netlist = one_layer(Dense(np.array([[1]]), (1,)), 1, model, timesteps=2)
    x = {"in": np.ones((1, 2, 1), dtype=np.int64)}
    assert types(netlist)[0] == torch.int64
    assert run_engine(netlist, x).membranes["h"].ravel().tolist() == [7, 7]


def test_what_memory_counts_has_its_place() -> None:
    # The membrane is small, the sum of payloads times the gain is not.
    model = IntegerNeuron(
        np.int64(1), np.int64(0), np.int64(0), np.int64(1), payload_max=2**12, memory=True,
        firing_gain=(1, 2**20),
    )  # fmt: skip
    netlist = one_layer(Dense(np.array([[1]]), (1,)), 2**12, model, low=-(2**12), timesteps=2)
    assert types(netlist)[0] == torch.int64


def test_an_exponent_counts_in_the_state() -> None:
    link = Dense(np.full((2, 64), 127), (64,))
    assert types(one_layer(link, 1, sums(), exponent=16))[0] == torch.int32
    wide = one_layer(link, 1, sums(), exponent=17, timesteps=3)
    assert types(wide)[0] == torch.int64
    x = np.random.default_rng(0).integers(0, 2, (5, 3, 64))
    ours, theirs = run_engine(wide, {"in": x}), run_reference(wide, {"in": x})
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


def test_membranes_beyond_32_bits() -> None:
    model = IntegerNeuron(np.int64(3), np.int64(1), np.int64(0), reset="none")
    netlist = one_layer(
        Dense(np.array([[1]]), (1,)), TOP // 16, model, kind="current", timesteps=40
    )
    assert types(netlist)[0] == torch.int64
    x = np.array([[TOP // 16], [1], [0]])
    ours = run_engine(netlist, {"in": x}, membranes=["h"])
    theirs = run_reference(netlist, {"in": x}, membranes=["h"])
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("theta", [1, 3, 7, 4095, 1_000_003])
def test_graded_spikes_next_to_multiples_of_the_threshold(theta: int, signed: bool) -> None:
    top = TOP // 4
    most = (top - 1) // theta
    negative = np.int64(theta) if signed else None
    model = IntegerNeuron(np.int64(theta), np.int64(0), np.int64(0), negative, "subtract", most)
    netlist = one_layer(Dense(np.array([[1]]), (1,)), top - 1, model, low=-(top - 1))
    assert types(netlist)[0] == torch.int32
    near = np.unique(np.linspace(1, most, 5000).astype(np.int64))
    v = np.concatenate([near * theta + d for d in (-1, 0, 1)])
    v = np.concatenate([v, -v])
    v = v[np.abs(v) < top].reshape(-1, 1, 1)
    ours = run_engine(netlist, {"in": v}, membranes=["h"])
    theirs = run_reference(netlist, {"in": v}, membranes=["h"])
    np.testing.assert_array_equal(ours.spikes["h"], theirs.spikes["h"])
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


@pytest.mark.parametrize(("du", "dv"), [(4096, 1), (4096, 4095), (1, 0), (4095, 333)])
def test_decays_of_large_states_truncate_toward_zero(du: int, dv: int) -> None:
    model = IntegerNeuron(
        np.int64(2**40), np.int64(-3), np.int64(5), current_decay=du, membrane_decay=dv
    )
    netlist = one_layer(
        Dense(np.array([[1], [-1]]), (1,)), 2**31 - 1, model, low=-(2**31 - 1), timesteps=12
    )
    x = np.random.default_rng(du).integers(-(2**31) + 1, 2**31, (200, 12, 1))
    ours = run_engine(netlist, {"in": x}, membranes=["h"])
    theirs = run_reference(netlist, {"in": x}, membranes=["h"])
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


@pytest.mark.parametrize("payload_max", [1, 2, 64, 2**20])
def test_powers_of_two_are_the_nearest(payload_max: int) -> None:
    model = IntegerNeuron(
        np.int64(3), np.int64(0), np.int64(0), np.int64(5), "subtract", payload_max,
        payload_code="power_of_two",
    )  # fmt: skip
    netlist = one_layer(Dense(np.array([[1]]), (1,)), 2**24, model, low=-(2**24))
    near = np.unique([3 * k + d for k in (*range(40), 2**10, 3 * 2**18, 2**20) for d in (-1, 0, 1)])
    x = np.concatenate([near, -near]).reshape(-1, 1, 1)
    ours = run_engine(netlist, {"in": x}, membranes=["h"])
    theirs = run_reference(netlist, {"in": x}, membranes=["h"])
    np.testing.assert_array_equal(ours.spikes["h"], theirs.spikes["h"])
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


def test_what_is_not_proved_is_refused() -> None:
    with pytest.raises(CapacityError, match=r"in->h: worst-case row sum \d+ is not proved below"):
        Engine(one_layer(Dense(np.full((1, 300), 32767), (300,)), TOP - 1, sums()))
    slow = IntegerNeuron(None, np.int64(0), np.int64(0), membrane_decay=1)
    link = Dense(np.full((1, 1), 8191), (1,))
    with pytest.raises(CapacityError, match=f"h: worst-case state {PROVED} is not proved below"):
        Engine(one_layer(link, TOP - 1, slow, timesteps=2))
    assert types(one_layer(link, TOP - 1, slow))[0] == torch.int64


def test_the_narrowest_type() -> None:
    assert [narrowest(0, 2**n - 1) for n in (7, 8, 15, 16, 31, 32)] == [
        torch.int8, torch.int16, torch.int16, torch.int32, torch.int32, torch.int64
    ]  # fmt: skip
    assert (narrowest(-128, 0), narrowest(-129, 0)) == (torch.int8, torch.int16)


def test_numbers_meet_a_column_where_no_pair_leaves_16_bits() -> None:
    def meets(column: list[int], low: int, high: int) -> bool:
        return may_meet(np.array(column)[:, None], low, high)

    assert meets([127, 127, -128, -126], 0, 1)
    assert not meets([-128, -127], 0, 1)
    assert meets([-128, -127], -64, 0)
    assert not meets([-128, -128], -64, 0)  # lowered by 0 they still may, at the very end
    assert meets([114, 115], 0, 15)
    assert not meets([115, 115], 0, 15)
    assert meets([1], -64, 64)
    assert not meets([1], 0, 65)
    assert not meets([1], -65, 0)
    assert pair_sums(np.array([[3, -5], [7, 1], [-2, -9]])).tolist() == [10, 14]


def test_the_fewest_digits() -> None:
    assert [n_digits(-32, 31), n_digits(-33, 0), n_digits(0, 32)] == [1, 2, 2]
    assert [n_digits(-(32 * 65), 31 * 65), n_digits(0, 31 * 65 + 1)] == [2, 3]
    assert [n_digits(-128, 127, 256), n_digits(0, 128, 256), n_digits(0, 2**15, 256)] == [1, 2, 3]
    wide = DigitMatrix(np.array([[115], [115]]), (-15, 15))
    assert (wide.n_digits, len(wide.weights), wide.lowered) == (1, 1, 15)
    pixels = DigitMatrix(np.array([[1]]), (0, 255))
    assert (pixels.n_digits, len(pixels.weights), pixels.lowered) == (2, 1, 31)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_digits_add_up(dtype: torch.dtype) -> None:
    limits = torch.iinfo(dtype)
    ends = (max(limits.min, -(2**43)), min(limits.max, 2**43))
    matrix = DigitMatrix(np.array([[1]]), ends)
    edges = [ends[0], ends[0] + 1, -65, -64, -33, -32, -1, 0, 31, 32, 63, 64, ends[1] - 1, ends[1]]
    digits = matrix.digits(torch.tensor(edges, dtype=dtype))
    assert all(d.dtype == torch.int8 and d.min() >= -64 and d.max() <= 0 for d in digits)
    total = sum((d.to(torch.int64) + matrix.lowered) * 64**i for i, d in enumerate(digits))
    assert total.tolist() == edges


def test_rows_longer_than_32_bits_add_up() -> None:
    n = 150_000
    matrix = DigitMatrix(np.full((n, 2), 127), (0, 1))
    x = torch.ones(3, n, dtype=torch.int8)
    assert matrix.multiply(matrix.digits(x)).tolist() == [[127 * n] * 2] * 3
    wide = DigitMatrix(np.full((n, 1), 32767), (0, 255))
    x = torch.full((2, n), 255, dtype=torch.int16)
    assert wide.multiply(wide.digits(x)).tolist() == [[32767 * 255 * n]] * 2
