"""The engine in PyTorch: integers alone, equal to the reference on whatever the processor has.

The native kernels serve integer netlists where they are built, so these tests name the class.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.execution.pytorch.engine import Engine
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.record import Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import (
    conv,
    current,
    dense,
    integrator,
    net,
    neuron,
    pool,
    project,
    sparse,
    spikes,
    window,
)
from neurodeploy.testing.stimuli import random_stimulus
from tests.conformance.cases import CASES, case
from tests.conformance.random_netlists import random_netlist
from tests.numerics.onednn import ONEDNN_ISAS

ROOT = Path(__file__).resolve().parents[2]


def assert_exact(netlist: IntegerNetlist, stimulus: Stimulus, **more: int) -> None:
    names = [p.name for p in netlist.populations]
    theirs = run_reference(netlist, stimulus, membranes=names)
    ours = Engine(netlist, **more).run(stimulus, membranes=names)
    for mine, reference in ((ours.spikes, theirs.spikes), (ours.membranes, theirs.membranes)):
        assert set(mine) == set(reference)
        for name, values in reference.items():
            assert mine[name].dtype == values.dtype
            np.testing.assert_array_equal(mine[name], values, name)


@pytest.mark.parametrize("name", list(CASES))
def test_conformance(name: str) -> None:
    c = case(name)
    assert_exact(c.netlist, c.stimulus)


@pytest.mark.parametrize("seed", range(20))
def test_random_netlists(seed: int) -> None:
    netlist, stimulus = random_netlist(seed % 3 == 0, np.random.default_rng([seed, 12]))
    assert_exact(netlist, stimulus, batch_size=1 + seed % 3)


def one_column() -> tuple[IntegerNetlist, Stimulus]:
    """A LeNet-like net whose first layer sees whole rows: one channel in, one column out."""
    rng = np.random.default_rng(0)
    source = spikes("x", (1, 28, 28))
    first = conv(rng, 8, 1, window((28, 28), (5, 28), (1, 3)))
    second = conv(rng, 16, 8, window((24, 1), (5, 1), (2, 1)))
    links = [
        project("x", "a", first),
        project("a", "b", second),
        project("b", "o", dense(rng, 10, second.post_shape)),
    ]
    populations = [
        source,
        neuron("a", first.post_shape, 300),
        neuron("b", second.post_shape, 120),
        integrator("o", (10,)),
    ]
    return net("one_column", populations, links, ["o"]), random_stimulus(
        [source], 12, rng, rate=0.3
    )


def test_one_channel_and_one_column() -> None:
    netlist, stimulus = one_column()
    run = run_reference(netlist, stimulus)
    assert all(run.spikes[name].any() for name in ("a", "b"))
    assert_exact(netlist, stimulus)


def test_a_kernel_of_one_with_dilation() -> None:
    rng = np.random.default_rng(1)
    source = current("x", (1, 1, 2), 0, 9)
    where = window((1, 2), (1, 1), (1, 2), [(0, 0), (1, 1)], dilation=(1, 3))
    link = Conv(rng.integers(-9, 9, (6, 1, 1, 1)), 1, where)
    netlist = net("n", [source, integrator("o", link.post_shape)], [project("x", "o", link)], ["o"])
    assert where.dilation == (1, 1)
    assert_exact(netlist, random_stimulus([source], 12, rng))


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_pool_of_one_tap_is_no_view_of_its_source(dilation: int) -> None:
    # `a` adds a bias to its input in place: in the pixels themselves, `o` would see them changed.
    source = spikes("x", (1, 4))
    where = window((4,), (1,), dilation=(dilation,))
    netlist = net(
        "alias",
        [source, neuron("a", (1, 4), 50, bias=46), integrator("o", (2,))],
        [
            project("x", "a", SumPool(np.array([1]), where)),
            project("x", "o", Dense(np.ones((2, 4), dtype=np.int64), (1, 4))),
        ],
        ["o"],
    )
    x = {"x": np.ones((1, netlist.timesteps, 1, 4), dtype=np.int64)}
    assert_exact(netlist, x)


def wide_products() -> list[tuple[IntegerNetlist, Stimulus]]:
    """Sums of pairs at and beyond 16 bits: weights of both ends, payloads of every width."""
    rng = np.random.default_rng(2)
    found = []
    for low, high in ((0, 1), (-1, 1), (0, 15), (0, 64), (-65, 65), (0, 127), (-128, 255)):
        for weight in (64, 127, 128, 3000):
            for size in (5, 33, 576):
                source = spikes("x", (size,), low, high)
                ends = rng.choice([-weight, weight - 1], (4, size))
                ends[:2] = [[-weight], [weight - 1]]
                links = [project("x", "o", Dense(ends, (size,)), bits=16)]
                netlist = net("n", [source, integrator("o", (4,))], links, ["o"])
                x = rng.choice([low, high], (3, netlist.timesteps, size), p=[0.2, 0.8])
                x[0] = high
                found.append((netlist, {"x": x}))
    return found


def single_columns() -> list[tuple[IntegerNetlist, Stimulus]]:
    """One output: a library may shift the other operand then, as oneDNN on AVX-512 does."""
    rng = np.random.default_rng(8)
    found = []
    for low, high in ((0, 127), (-64, 63), (-65, 62), (-100, 0)):
        size = 400
        source = spikes("x", (size,), low, high)
        link = Dense(rng.choice([-64, 64], (1, size), p=[0.1, 0.9]), (size,))
        netlist = net("n", [source, integrator("o", (1,))], [project("x", "o", link)], ["o"])
        x = rng.choice([low, high], (8, netlist.timesteps, size), p=[0.2, 0.8])
        x[:2] = np.array([low, high])[:, None, None]
        found.append((netlist, {"x": x}))
    return found


def test_wide_products() -> None:
    for netlist, stimulus in wide_products() + single_columns():
        assert_exact(netlist, stimulus)


@pytest.mark.parametrize("isa", ONEDNN_ISAS)
def test_every_instruction_set_gives_the_same(isa: str) -> None:
    """Held to some instruction sets, oneDNN multiplies bytes by saturating pairs."""
    code = (
        "from tests.execution.test_torch_engine import *\n"
        "test_wide_products()\n"
        "assert_exact(*one_column())\n"
        "assert_exact(*random_netlist(False, np.random.default_rng([0, 99])))\n"
    )
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("size", [(9,), (1, 9), (9, 1), (5, 5)])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [1, 2, 80])
def test_places_of_one_image_share_no_memory(
    size: tuple[int, ...], kernel: int, channels: int
) -> None:
    # Rows of windows that overlap may be a view of the image: the library then multiplies others.
    rng = np.random.default_rng(6)
    source = spikes("x", (channels, *size))
    where = window(size, tuple(min(kernel, n) for n in size))
    link = conv(rng, 3, channels, where)
    netlist = net(
        "n", [source, integrator("o", link.post_shape)], [project("x", "o", link)], ["o"], 1
    )
    x = random_stimulus([source], 12, rng, rate=0.5)["x"][:1, :1]
    assert_exact(netlist, {"x": x})


def test_grouped_and_depthwise_convolutions() -> None:
    rng = np.random.default_rng(3)
    for channels, groups, out in ((6, 3, 9), (40, 40, 40), (64, 2, 8), (48, 16, 32)):
        source = spikes("x", (channels, 6, 5), -3, 3)
        where = window((6, 5), (3, 2), (2, 1), [(1, 0), (0, 2)], dilation=(1, 2))
        link = conv(rng, out, channels, where, groups, -127, 128)
        netlist = net(
            "n", [source, integrator("o", link.post_shape)], [project("x", "o", link)], ["o"]
        )
        assert_exact(netlist, random_stimulus([source], 12, rng, rate=0.5))


def test_listed_synapses_with_rows_of_any_length() -> None:
    rng = np.random.default_rng(4)
    n = 2100  # beyond what is expanded to a matrix
    source = spikes("x", (n,), 0, 3)
    even = sparse(rng, (n,), (n,), 0.005)
    assert np.bincount(even.post, minlength=n).max() > 8
    # And one neuron that hears all.
    heard = even.post != 7
    post = np.concatenate([even.post[heard], np.full(n, 7)])
    pre = np.concatenate([even.pre[heard], np.arange(n)])
    weight = np.concatenate([even.weight[heard], rng.integers(-99, 99, n)])
    link = Sparse(weight, post, pre, (n,), (n,))
    netlist = net("n", [source, integrator("o", (n,))], [project("x", "o", link)], ["o"])
    assert_exact(netlist, random_stimulus([source], 12, rng, rate=0.2))


def test_two_projections_from_one_pool_of_currents() -> None:
    rng = np.random.default_rng(5)
    source = current("x", (2, 4, 4), 0, 255)
    top = pool("max", 2, window((4, 4), (1, 1)))
    links = [
        project("x", "max", SumPool(np.array([1, 1]), window((4, 4), (1, 1)))),
        project("max", "o", dense(rng, 3, (2, 4, 4))),
        project("x", "o", dense(rng, 3, (2, 4, 4)), delay=1),
    ]
    netlist = net("n", [source, top, integrator("o", (3,))], links, ["o"])
    assert_exact(netlist, random_stimulus([source], 12, rng))


def test_rasters_of_few_bits_are_the_same_spikes() -> None:
    from neurodeploy.execution import run_engine, run_narrow
    from neurodeploy.testing import NetlistBuilder
    from tests.execution.test_equals_reference import as_real

    image = NetlistBuilder(T=4).input("x", (1, 8, 8))
    integer = image.conv(4, threshold=60, payload_max=300).conv(3, threshold=40).output()
    netlist = as_real(integer)
    x = random_stimulus(netlist.inputs, 4, np.random.default_rng(0))
    wide = run_engine(netlist, x)
    narrow = run_narrow(netlist, {name: v.astype(np.int16) for name, v in x.items()})
    for name in wide.spikes:
        np.testing.assert_array_equal(narrow.spikes[name], wide.spikes[name])
    assert narrow.spikes["conv_1"].dtype == np.int16
