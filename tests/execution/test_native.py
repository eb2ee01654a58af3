"""The native kernels: every version against the reference, and when the library is not trusted."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from neurodeploy.execution import make_engine
from neurodeploy.execution.native import library
from neurodeploy.execution.native.engine import NativeEngine
from neurodeploy.execution.native.totals import ThreadTotals
from neurodeploy.ir.connectivity import Conv, Dense
from neurodeploy.ir.netlist import IntegerNetlist, IntegerProjection, Output, Population
from neurodeploy.ir.neurons import Input, IntegerNeuron
from neurodeploy.ir.record import RunRecord, Stimulus
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import integrator, net, neuron, project, spikes, window
from tests.conformance.cases import CASES, assert_exact, case, stateful
from tests.execution.emulated import needs_kernels

pytestmark = needs_kernels


def test_the_library_is_built_where_there_is_a_compiler() -> None:
    assert library.load().path.exists()


@pytest.mark.parametrize("name", list(CASES))
def test_every_version_equals_the_reference(kernels: library.Library, name: str) -> None:
    c = case(name)

    def run(
        netlist: IntegerNetlist, stimulus: Stimulus, *, membranes: Collection[str] = ()
    ) -> RunRecord:
        engine = NativeEngine(netlist, kernels, threads=2)
        return engine.run(stimulus, membranes=membranes)

    assert_exact(run, c, stateful(c.netlist))


def test_a_convolution_down_to_one_column() -> None:
    """Float convolutions of some libraries are wrong here: one channel in, one column out."""
    rng = np.random.default_rng(0)
    w = rng.integers(-9, 10, (8, 1, 5, 28))
    link = Conv(w, 1, window((28, 28), (5, 28), (1, 3)))
    post = neuron("h", link.post_shape, 40)
    out = integrator("out", (4,))
    readout = Dense(rng.integers(-9, 10, (4, post.size)), post.shape)
    source = spikes("in", (1, 28, 28))
    netlist = net(
        "column",
        [source, post, out],
        [project("in", "h", link), project("h", "out", readout)],
        ["out"],
    )
    x = {"in": rng.integers(0, 2, (4, netlist.timesteps, 1, 28, 28))}
    want = run_reference(netlist, x, membranes=["h"])
    got = make_engine(netlist).run(x, membranes=["h"])
    assert want.spikes["h"].any()
    np.testing.assert_array_equal(got.spikes["h"], want.spikes["h"])
    np.testing.assert_array_equal(got.membranes["h"], want.membranes["h"])


def siblings(sign: int) -> IntegerNetlist:
    rng = np.random.default_rng(1)
    w = rng.integers(-100, 101, (5, 7))

    def hears(name: str, threshold: int) -> Population:
        zero = np.asarray(0)
        return Population(
            name,
            (5,),
            IntegerNeuron(threshold=np.asarray(threshold), bias=zero, initial_membrane=zero),
        )

    return IntegerNetlist(
        "siblings",
        (Population("in", (7,), Input("spikes", 0, 1)), hears("a", 90), hears("b", 140)),
        (
            IntegerProjection("in", "a", Dense(w, (7,))),
            IntegerProjection("in", "b", Dense(sign * w, (7,))),
        ),
        (Output("a", "counts"),),
        12,
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_populations_that_hear_the_same_or_its_negative_share_its_sum(sign: int) -> None:
    netlist = siblings(sign)
    engine = NativeEngine(netlist, library.load())
    assert engine.program.merged == 1
    x = {"in": np.random.default_rng(2).integers(0, 2, (3, 12, 7))}
    want = run_reference(netlist, x, membranes=["a", "b"])
    got = engine.run(x, membranes=["a", "b"])
    for name in ("a", "b"):
        assert want.spikes[name].any()
        np.testing.assert_array_equal(got.spikes[name], want.spikes[name])
        np.testing.assert_array_equal(got.membranes[name], want.membranes[name])


def test_totals_of_threads_are_added_up() -> None:
    # Whether a second thread finds anything left to do is chance.
    netlist = case("random_feedforward_3").netlist
    names = {p.name for p in netlist.populations if not p.is_integrator}
    parts = [ThreadTotals(netlist, names, names) for _ in range(3)]
    fields = ("spikes", "payload", "active")
    for number, part in enumerate(parts, 1):
        for field in fields:
            for values in getattr(part, field).values():
                values += number
    joined = ThreadTotals.join(parts)
    for field in fields:
        assert set(getattr(joined, field)) == names
        assert all((values == 6).all() for values in getattr(joined, field).values())


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads: int) -> None:
    c = case("random_feedforward_3")
    x = {name: np.concatenate([values] * 3) for name, values in c.stimulus.items()}
    names = [p.name for p in c.netlist.populations]
    want = NativeEngine(c.netlist, library.load(), threads=1).summarize(
        x, rates=names, active=names, totals=names
    )
    engine = NativeEngine(c.netlist, library.load(), batch_size=1, threads=threads)
    got = engine.summarize(x, rates=names, active=names, totals=names)
    for field in ("traces", "spikes", "spikes_per_sample", "payload", "rates", "active"):
        for name, values in getattr(want, field).items():
            np.testing.assert_array_equal(getattr(got, field)[name], values)
