"""Numbers next to the bounds of the formats, and the choice between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neurodeploy.errors import CapacityError
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.connectivity import Connectivity, Conv, Dense, Sparse, SumPool, identity
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.simulate import make_engine, run_engine
from neurodeploy.simulate.precision import FLOAT32_INTEGERS, prove_precision, strict_float32
from tests.conformance.netlists import window

TOP = FLOAT32_INTEGERS


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


def formats(netlist: IntegerNetlist) -> tuple[object, object, object]:
    precision = prove_precision(netlist, netlist.timesteps)
    return precision.products[0], precision.states["h"], precision.rasters["h"]


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
@pytest.mark.parametrize("name", links(np.random.default_rng(0)))
def test_products_next_to_24_bits(name: str, signed: bool) -> None:
    # Odd weights and odd payloads: one rounding in any partial sum shows in the result. Winograd
    # would multiply transformed tiles of more than 24 bits.
    rng = np.random.default_rng(7)
    link = links(rng)[name]
    row = int(link.row_sums()[0].max())
    high = (TOP - 1) // row
    assert high >= 1
    netlist = one_layer(link, high, sums(), low=-high if signed else 0)
    assert formats(netlist)[0] == torch.float32
    lows = [-high, high] if signed else [high, max(high - 2, 0)]
    x = rng.choice(np.array(lows), (40, 1, *link.pre_shape)).astype(np.int64)
    ours, theirs = run_engine(netlist, {"in": x}), run_reference(netlist, {"in": x})
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])
    assert np.abs(theirs.membranes["h"]).max() > TOP // 8 or signed
    wider = one_layer(link, high + 1 + TOP // row, sums())
    assert formats(wider)[0] == torch.float64
    x = np.full((3, 1, *link.pre_shape), high + 1 + TOP // row, dtype=np.int64)
    ours, theirs = run_engine(wider, {"in": x}), run_reference(wider, {"in": x})
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


def test_the_switch_lies_at_the_bound() -> None:
    for high, expected in ((TOP - 1, torch.float32), (TOP, torch.float64)):
        netlist = one_layer(Dense(np.array([[1]]), (1,)), high, sums())
        assert formats(netlist)[:2] == (expected, expected)
        x = np.array([[[high]], [[high - 1]]])
        ours = run_engine(netlist, {"in": x})
        np.testing.assert_array_equal(ours.membranes["h"], x)


def test_mixed_signs_count_by_the_interval_that_no_partial_sum_leaves() -> None:
    half = TOP // 2
    link = Dense(np.array([[1, -1]]), (2,))
    # Sums of unsigned payloads stay in [-high, high], of signed ones in [-2 high, 2 high].
    assert formats(one_layer(link, half, sums()))[0] == torch.float32
    assert formats(one_layer(link, half, sums(), low=-half))[0] == torch.float64


def test_an_exponent_widens_the_state_and_not_the_product() -> None:
    link = Dense(np.full((2, 64), 127), (64,))
    netlist = one_layer(link, 1, sums(), exponent=11)
    assert formats(netlist)[:2] == (torch.float32, torch.float32)
    wide = one_layer(link, 1, sums(), exponent=12, timesteps=3)
    assert formats(wide)[:2] == (torch.float32, torch.float64)
    x = np.random.default_rng(0).integers(0, 2, (5, 3, 64))
    ours, theirs = run_engine(wide, {"in": x}), run_reference(wide, {"in": x})
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


def test_membranes_beyond_24_bits_are_kept_in_doubles() -> None:
    model = IntegerNeuron(np.int64(3), np.int64(1), np.int64(0), reset="none")
    netlist = one_layer(
        Dense(np.array([[1]]), (1,)), TOP // 16, model, kind="current", timesteps=40
    )
    assert formats(netlist)[1] == torch.float64
    x = np.array([[TOP // 16], [1], [0]])
    ours = run_engine(netlist, {"in": x}, membranes=["h"])
    theirs = run_reference(netlist, {"in": x}, membranes=["h"])
    np.testing.assert_array_equal(ours.membranes["h"], theirs.membranes["h"])


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("theta", [1, 3, 7, 4095, 1_000_003])
def test_graded_spikes_next_to_multiples_of_the_threshold(theta: int, signed: bool) -> None:
    most = (TOP - 1) // theta
    negative = np.int64(theta) if signed else None
    model = IntegerNeuron(np.int64(theta), np.int64(0), np.int64(0), negative, "subtract", most)
    netlist = one_layer(Dense(np.array([[1]]), (1,)), TOP - 1, model, low=-(TOP - 1))
    assert formats(netlist)[1] == torch.float32
    near = np.unique(np.linspace(1, most, 5000).astype(np.int64))
    v = np.concatenate([near * theta + d for d in (-1, 0, 1)])
    v = np.concatenate([v, -v])
    v = v[np.abs(v) < TOP].reshape(-1, 1, 1)
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


def test_what_53_bits_do_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODEPLOY_NATIVE", "0")
    with pytest.raises(CapacityError, match=r"in->h: worst-case row sum \d+ is not proved below"):
        make_engine(one_layer(Dense(np.full((1, 300), 32767), (300,)), 2**31 - 1, sums()))
    slow = IntegerNeuron(None, np.int64(0), np.int64(0), membrane_decay=1)
    with pytest.raises(CapacityError, match="h: worst-case state"):
        make_engine(one_layer(Dense(np.full((1, 9), 32767), (9,)), 2**31 - 1, slow))


def test_relaxed_float32_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODEPLOY_NATIVE", "0")
    link = Conv(np.full((4, 3, 3, 3), 127), 3, window((8, 8), (3, 3)))
    netlist = one_layer(link, 1, sums())
    assert strict_float32()
    engine = make_engine(netlist)
    strict = engine.plan().components[0][0].outer[0].product
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert not strict_float32()
    relaxed = engine.plan().components[0][0].outer[0].product
    assert (strict.dtype, relaxed.dtype) == (torch.float32, torch.float64)
    monkeypatch.delenv("ONEDNN_DEFAULT_FPMATH_MODE")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert not strict_float32()
    finally:
        torch.set_float32_matmul_precision(before)
    assert strict_float32()


def test_onednn_convolves_directly(tmp_path: Path) -> None:
    """oneDNN's own log: every convolution is direct and in float32, in whatever shape."""
    code = """
import numpy as np, torch
from neurodeploy.ir.connectivity import Conv
from neurodeploy.simulate.products import build_product
from tests.conformance.netlists import window
shapes = ((1, 28, 5, 1), (16, 14, 5, 1), (64, 16, 3, 1), (32, 8, 3, 32))
for channels, size, kernel, groups in shapes:
    where = window((size, size), (kernel, kernel), padding=[(1, 1)] * 2)
    weight = np.ones((2 * channels, channels // groups, kernel, kernel), dtype=np.int64)
    for number in (torch.float32, torch.float64):
        product = build_product(Conv(weight, channels, where, groups), None, number)
        product(torch.ones(32, channels * size * size, dtype=number))
"""
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "ONEDNN_VERBOSE": "1", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [n for n in done.stdout.splitlines() if ",exec," in n and ",convolution," in n]
    assert len(lines) == 4, done.stdout  # the four in doubles use no oneDNN
    for line in lines:
        assert "alg:convolution_direct" in line
        assert "wino" not in line
        assert "fpmath" not in line
        assert "src:f32" in line
