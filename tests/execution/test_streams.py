"""Samples in pieces: the same spikes as in one run, on the reference and on the engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.execution.native import stream as native_stream
from neurodeploy.execution.native.library import load
from neurodeploy.execution.native.stream import NativeStream
from neurodeploy.ir.arrays import AnyArray, IntArray
from neurodeploy.ir.bounds import prove_bounds
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import Input, MaxPool
from neurodeploy.ir.record import RunRecord
from neurodeploy.ir.reference import run_reference
from neurodeploy.ir.steady import steady_bounds
from neurodeploy.ir.streaming import ReferenceStream, stream_lags
from neurodeploy.testing import NetlistBuilder
from tests.conformance.fuzz.generator import draw_case

REFERENCE_SEEDS = range(70)
ENGINE_SEEDS = range(1000, 1120)


def pieces(T: int, seed: int) -> list[slice]:
    cuts = [0, *sorted(np.random.default_rng(seed).integers(0, T + 1, 3).tolist()), T]
    return [slice(a, b) for a, b in pairwise(cuts) if b > a]


def expect_equal(parts: list[RunRecord], whole: RunRecord) -> None:
    for name, spikes in whole.spikes.items():
        np.testing.assert_array_equal(
            np.concatenate([part.spikes[name] for part in parts], axis=1), spikes, name
        )
    for name, membranes in whole.membranes.items():
        np.testing.assert_array_equal(
            np.concatenate([part.membranes[name] for part in parts], axis=1), membranes, name
        )


def neurons(net: IntegerNetlist) -> list[str]:
    return [p.name for p in net.populations if not isinstance(p.model, Input)]


def rasters(net: IntegerNetlist, stimulus: dict[str, IntArray]) -> dict[str, AnyArray]:
    """Currents as the rasters that they are."""
    return {
        name: np.repeat(v[:, None], net.timesteps, 1) if net.by_name[name].is_current_input else v
        for name, v in stimulus.items()
    }


def test_random_netlists_in_pieces_on_the_reference() -> None:
    """All that it keeps: states, pools, memory, spikes under way, and what lags behind."""
    ran = lagging = 0
    for seed in REFERENCE_SEEDS:
        net, stimulus = draw_case(seed)
        if any(p.n_gains for p in net.populations):
            continue
        whole = run_reference(net, stimulus, membranes=neurons(net))
        values = rasters(net, stimulus)
        stream = ReferenceStream(net, len(next(iter(values.values()))))
        parts = [
            stream.step(
                {n: v[:, part] for n, v in values.items()}, part.stop - part.start, neurons(net)
            )
            for part in pieces(net.timesteps, seed)
        ]
        expect_equal([*parts, stream.finish(neurons(net))], whole)
        ran += 1
        lagging += max(stream_lags(net).values()) > 0
    assert ran > 30
    assert lagging > 4


def test_random_netlists_in_pieces_on_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On every instruction set, in calls of 64 steps and of 2; delays, cycles, wide states."""
    library = load()
    ran = cyclic = delayed = wide = 0
    for seed in ENGINE_SEEDS:
        net, stimulus = draw_case(seed)
        if any(
            p.n_gains
            or p.is_current_input
            or (isinstance(p.model, MaxPool) and p.model.rule != "now")
            for p in net.populations
        ):
            continue
        monkeypatch.setattr(native_stream, "MOST_STEPS", (64, 2)[seed % 2])
        own = replace(library, isa_name=library.isas[seed % len(library.isas)])
        batch = len(next(iter(stimulus.values())))
        if max(stream_lags(net).values()) > 0:
            with pytest.raises((UsageError, CapacityError), match=r"executor='reference'"):
                NativeStream(net, own, batch, prove_bounds(net))
            continue
        try:
            stream = NativeStream(net, own, batch, prove_bounds(net))
        except CapacityError:
            continue
        parts = [
            stream.step({n: v[:, p] for n, v in stimulus.items()}, p.stop - p.start, neurons(net))
            for p in pieces(net.timesteps, seed)
        ]
        expect_equal(parts, run_reference(net, stimulus, membranes=neurons(net)))
        ran += 1
        cyclic += bool(net.schedule.cyclic)
        delayed += any(len(past[0]) > 1 for past in stream.past.values())
        wide += stream.engine.program.wide
    assert ran > 20
    assert min(cyclic, delayed, wide) > 1


def leaky(T: int = 32, **options: object) -> IntegerNetlist:
    """Recurrent, leaky, with a later reset, refractory steps and a delay of 3."""
    return (
        NetlistBuilder(T=T, seed=3)
        .input("x", (2, 6, 6), high=3)
        .conv(4, threshold=150, membrane_decay=400, current_decay=2000, reset="subtract-next")
        .dense(20, threshold=90, membrane_decay=300, refractory=2, floor=-500, name="hidden")
        .connect("hidden", "hidden", np.eye(20, dtype=int) * -20, delay=3)
        .dense(5, threshold=120, membrane_decay=800, reset="zero", name="out", after="hidden")
        .output()
    )


def test_ten_pieces_of_a_network_without_end() -> None:
    net = leaky(100)
    bounds = steady_bounds(net)
    rng = np.random.default_rng(0)
    raster = (rng.random((2, 100, 2, 6, 6)) < 0.3).astype(np.int64)
    whole = run_reference(net, {"x": raster}, membranes=neurons(net))
    assert whole.spikes["out"].sum() > 20
    for stream in (ReferenceStream(net, 2), NativeStream(net, load(), 2, bounds)):
        parts = [
            stream.step({"x": raster[:, t : t + 10]}, 10, neurons(net)) for t in range(0, 100, 10)
        ]
        expect_equal(parts, whole)


def test_steady_bounds_hold_for_long_runs() -> None:
    """Those of 4000 steps lie within them, whatever the stream's length is."""
    net = leaky()
    steady, long = steady_bounds(net), prove_bounds(net, 4000)
    for name, bounds in long.items():
        assert steady[name].settled
        for field in ("a_low", "a_high", "u_low", "u_high", "v_low", "v_high"):
            np.testing.assert_array_equal(getattr(steady[name], field), getattr(bounds, field))


def test_settling_is_the_whole_story_of_the_bounds() -> None:
    """Bounds that stop at a settled step are those of all steps: held against a plain loop."""
    from neurodeploy.ir import bounds as module

    settled = 0
    for seed in range(25):
        net, _ = draw_case(seed)
        found = prove_bounds(net)
        settled += any(b.settled for b in found.values())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_equal", lambda now, before: False)
            plain = prove_bounds(net)
        for name, own in found.items():
            for field in ("u_low", "u_high", "v_low", "v_high"):
                np.testing.assert_array_equal(getattr(own, field), getattr(plain[name], field))
            assert (own.emitted, own.unclipped) == (plain[name].emitted, plain[name].unclipped)
    assert settled > 8


def test_bounds_that_grow_are_refused_with_the_steps_that_fit() -> None:
    net = NetlistBuilder(T=8).input("x", (4,)).dense(np.full((3, 4), -100), exponent=9).output()
    with pytest.raises(
        CapacityError, match=r"the bound of dense_1 grows with T .* up to T = (\d+)"
    ):
        steady_bounds(net)
    try:
        steady_bounds(net)
    except CapacityError as error:
        fits = int(str(error).split("T = ")[1].split()[0])
    assert prove_bounds(net, fits)["dense_1"].magnitude <= 2**23 - 1
    assert prove_bounds(net, fits + 1)["dense_1"].magnitude > 2**23 - 1


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            NetlistBuilder().input("x", (1, 4, 4)).maxpool(2).dense(2, threshold=3),
            "maximum pooling",
        ),
        (NetlistBuilder().input("x", (4,), kind="current").dense(2, threshold=3), "current"),
        (
            NetlistBuilder()
            .input("x", (4,))
            .dense(2, threshold=9, negative_threshold=9, memory=True),
            "a neuron with memory",
        ),
        (
            NetlistBuilder(T=2).input("x", (4,)).dense(2, threshold=9, firing_gain=(1, 2)),
            "has gains for 2 steps",
        ),
    ],
)
def test_what_counts_the_steps_of_a_sample_is_refused(net: NetlistBuilder, message: str) -> None:
    with pytest.raises(CapacityError, match=message):
        steady_bounds(net.output())


def test_floor_or_excitation_alone_make_a_stream() -> None:
    """Neurons without leak: driven up only, they end at the threshold; down, at the floor."""
    steady_bounds(
        NetlistBuilder().input("x", (4,)).dense(np.full((3, 4), 2), threshold=5000).output()
    )
    net = NetlistBuilder().input("x", (4,)).dense(np.full((3, 4), -2), threshold=5, floor=-9000)
    assert steady_bounds(net.output())["dense_1"].settled
