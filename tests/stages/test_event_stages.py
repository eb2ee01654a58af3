"""Recordings through the stages: run, evaluate, verify, energy, quantize, streams, commands."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.cli import run as command
from neurodeploy.errors import (
    DataError,
    NetlistError,
    NeurodeployWarning,
    UnknownNameError,
    UsageError,
)
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.decoding import decode
from neurodeploy.ir.encoding import Encoding
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.stages.samples import source_samples
from neurodeploy.testing import NetlistBuilder
from tests.datasets.event_files import random_events, write_bin
from tests.quantization.netlists import feed_forward, neuron, small_network

STEPS = (20, 25, 30)
"""Of the recordings of each class, about: they last as many milliseconds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings")
    for label in range(3):
        (path / str(label)).mkdir()
        for i, steps in enumerate(STEPS):
            events = random_events(150, 8, 8, seed=9 * label + i, span=1000 * steps)
            write_bin(path / str(label) / f"{i}.bin", events)
    return path


def spiking(T: int = 30, high: int = 1, fires: bool = True) -> Network:
    build = NetlistBuilder(T=T, seed=1).input("x", (2, 8, 8), high=high)
    build = build.conv(4, threshold=40, membrane_decay=300)
    return Network(build.dense(3, threshold=90 if fires else None).output())


@pytest.mark.filterwarnings("ignore:.*are not counted")
@pytest.mark.parametrize("fires", [True, False])
def test_each_sample_is_read_at_its_own_last_step(folder: Path, fires: bool) -> None:
    """As if the network had been made for its number of steps; what pads it is silence."""
    net, samples = spiking(fires=fires), nd.Samples.events(folder, dt="1ms")
    (output,) = net.netlist.outputs
    dep = net.compile("brian2")
    found = nd.run(dep, events=samples, record=["x"])
    right, lengths = [], []
    for i in range(len(samples)):
        raster, steps = samples.raster(i, (2, 8, 8), 30)
        lengths.append(steps)
        assert not raster[steps:].any()
        np.testing.assert_array_equal(found.spikes["x"][i], raster)
        alone = replace(net.integer, timesteps=steps)
        answer = decode(alone, output, run_reference(alone, {"x": raster[None, :steps]}))
        np.testing.assert_array_equal(found.outputs[output.population][i], answer[0])
        right.append(answer.argmax() == samples.y[i])  # type: ignore[index]
    assert len(set(lengths)) > 2
    assert found.steps is not None
    assert found.steps.tolist() == lengths
    assert found.accuracy == np.mean(right)
    evaluation = net.evaluate(samples)
    assert evaluation.accuracy == np.mean(right)
    assert evaluation.prefix_accuracy[30] == evaluation.accuracy
    assert nd.verify(dep, "engine,reference", samples).exact


@pytest.mark.filterwarnings("ignore:.*are not counted")
def test_accuracy_of_a_prefix_holds_what_has_ended(folder: Path) -> None:
    net, samples = spiking(), nd.Samples.events(folder, dt="1ms")
    prefixes = net.evaluate(samples).prefix_accuracy
    (output,) = net.netlist.outputs
    for t in (1, 19, 24, 27):
        right = []
        for i in range(len(samples)):
            raster, steps = samples.raster(i, (2, 8, 8), 30)
            cut = min(t, steps)
            alone = replace(net.integer, timesteps=cut)
            answer = decode(alone, output, run_reference(alone, {"x": raster[None, :cut]}))
            right.append(answer.argmax() == samples.y[i])  # type: ignore[index]
        assert prefixes[t] == np.mean(right)


def test_events_that_are_not_counted_are_told_once(folder: Path) -> None:
    samples = nd.Samples.events(folder, dt="1ms")
    total = shown = clipped = 0
    for i in range(len(samples)):
        counts, _ = nd.Samples.events(folder, dt="1ms", count="sum").raster(i, (2, 8, 8), 30)
        total += int(counts.sum())
        shown += int((counts > 0).sum())
        clipped += int(np.minimum(counts, 2).sum())
    for net, data, lost, remedy in (
        (spiking(), samples, total - shown, r"\(count=binary\)$"),
        (spiking(high=2), samples, total - shown, r"\(count=binary\); count=sum counts up to 2$"),
        (
            spiking(high=2),
            nd.Samples.events(folder, dt="1ms", count="sum"),
            total - clipped,
            r"\(input x takes up to 2\)$",
        ),
    ):
        with pytest.warns(NeurodeployWarning, match=f"{lost} of {total} events .*{remedy}") as told:
            net.evaluate(data)
        assert len([w for w in told if " events " in str(w.message)]) == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".* events ")
        spiking(high=9).evaluate(nd.Samples.events(folder, dt="1ms", count="sum"))


@pytest.mark.filterwarnings("ignore:.*are not counted")
def test_energy_and_quantization_take_events(folder: Path) -> None:
    samples = nd.Samples.events(folder, dt="1ms")
    report = spiking().energy("loihi2", samples)
    emitted = sum(samples.raster(i, (2, 8, 8), 30)[0].sum() for i in range(9)) / 9
    assert report.to_dict()["events"]["host_spikes"] == pytest.approx(emitted)
    real = Network(small_network())
    text = f"events:{folder}#dt=1ms"
    rounded = real.quantize(4, data=text, calibration_samples=6)
    assert rounded.provenance["quantization"]["calibration"]["indices"] == [[0, 5]]
    plain = real.quantize(4)
    assert any(
        (a.connectivity.weight != b.connectivity.weight).any()
        for a, b in zip(rounded.netlist.projections, plain.netlist.projections, strict=True)
    )
    with pytest.raises(UsageError, match="give events, or quantize it without data"):
        real.quantize(4, data=np.zeros((20, 2, 8, 8), np.float32))


@pytest.mark.filterwarnings("ignore:.*are not counted")
def test_a_converted_network_of_spikes_takes_events_instead_of_its_encoder(folder: Path) -> None:
    net = replace(spiking(), encodings={"x": Encoding("rate", 255, 0.0, 1.0)})
    samples = nd.Samples.events(folder, dt="1ms")
    assert net.evaluate(samples).accuracy == spiking().evaluate(samples).accuracy
    assert net.evaluate(samples).source_accuracy is None


def test_what_takes_no_events_says_so(folder: Path) -> None:
    samples = nd.Samples.events(folder, dt="1ms")
    current = Network(NetlistBuilder().input("x", (2, 8, 8), kind="current").dense(3).output())
    with pytest.raises(DataError, match=r"takes one value a sample \(current\), not spikes"):
        current.evaluate(samples)
    two = NetlistBuilder().input("a", (4,)).input("b", (4,))
    both = Network(two.dense(3, after="a").connect("b", "dense_2", np.ones((3, 4), int)).output())
    with pytest.raises(DataError, match="events for a network of 2 inputs"):
        both.evaluate(samples)
    few = Network(NetlistBuilder(T=30).input("x", (2, 8, 8)).dense(2, threshold=9).output())
    with pytest.raises(DataError, match="labels 0 to 2, the network has 2 outputs"):
        few.evaluate(samples)
    with pytest.raises(UsageError, match="holds no source network to compare with"):
        spiking().diagnose(samples)
    with pytest.raises(UsageError, match="events are none of its samples"):
        source_samples(spiking(), samples)
    with pytest.raises(UsageError, match="no source network in the file"):
        spiking().energy("loihi2", samples, fast=True)
    dep = spiking().compile("brian2")
    for arguments in ((dep,), (dep, samples)):
        given: dict[str, Any] = {} if len(arguments) == 1 else {"events": samples}
        with pytest.raises(UsageError, match="give data or events, and not both"):
            nd.run(*arguments, **given)
    with pytest.raises(DataError, match="steps of 100 us, the network takes 30"):
        nd.run(dep, events=f"{folder}#dt=100us")


@pytest.mark.filterwarnings("ignore:.*are not counted")
def test_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = spiking()
    net.save(tmp_path / "net.ndn")
    net.compile("brian2").save(tmp_path / "dep")
    data = ("--data", f"events:{folder}#dt=1ms,size=8x8", "--json")
    expected = net.evaluate(nd.Samples.events(folder, dt="1ms"))
    for arguments in (
        ("evaluate", str(tmp_path / "net.ndn")),
        ("run", str(tmp_path / "dep")),
        ("verify", str(tmp_path / "dep"), "--against", "reference"),
        ("energy", str(tmp_path / "net.ndn"), "--board", "loihi2"),
    ):
        assert command([*arguments, *data]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["samples"] == 9
        if arguments[0] == "run":
            assert printed["accuracy"] == expected.accuracy
    assert command(["run", str(tmp_path / "dep"), *data[:2], "-o", str(tmp_path / "o.npz")]) == 0
    with np.load(tmp_path / "o.npz") as written:
        assert written["steps"].max() <= 30
        assert written["spikes.x"].shape == (9, 30, 2, 8, 8)
    capsys.readouterr()
    assert command(["run", str(tmp_path / "dep"), "--data", f"events:{folder}"]) == 2
    error = capsys.readouterr().err
    assert "neither dt nor steps is given; pass dt=1ms" in error
    assert error.count("\n") == 1


def packets(events: dict[str, np.ndarray], length: int, until: int) -> list[dict[str, np.ndarray]]:
    t = events["t"] - events["t"][0]
    return [
        {k: v[(t >= a) & (t < a + length)] for k, v in events.items()}
        for a in range(0, until, length)
    ]


@pytest.mark.parametrize("executor", ["engine", "reference", None])
def test_a_stream_of_events_is_one_sample_in_pieces(executor: str | None) -> None:
    net = Network(
        NetlistBuilder(T=100, seed=2)
        .input("x", (2, 8, 8), high=2)
        .conv(4, threshold=60, membrane_decay=500)
        .dense(3, threshold=120, membrane_decay=300)
        .output()
    )
    t, x, y, p = np.array(random_events(3000, 8, 8, span=100_000)).T
    events = {"t": t, "x": x, "y": y, "p": p}
    raster, steps = nd.Samples.events(events, dt="1ms", count="sum").raster(0, (2, 8, 8), 100, 2)
    assert steps == 100
    whole = run_reference(net.netlist, {"x": raster[None]})
    for length in (100, 10, 7):
        stream = net.stream(executor, dt="1ms", count="sum", start="first")
        assert stream.executor == (executor or "engine")
        with pytest.warns(NeurodeployWarning, match="events of a piece are not counted"):
            parts = [
                stream.step(packet, min(length, 100 - stream.steps))
                for packet in packets(events, 1000 * length, 100_000)
            ]
        for name, spikes in whole.spikes.items():
            joined = np.concatenate([part.spikes[name] for part in parts], axis=1)
            np.testing.assert_array_equal(joined, spikes)
        assert stream.lost == 3000 - raster.sum()
        (output,) = net.netlist.outputs
        answer = decode(net.netlist, output, whole)
        np.testing.assert_array_equal(stream.outputs[output.population], answer)
        assert stream.classes.tolist() == answer.argmax(axis=1).tolist()


def test_streams_of_rasters_side_by_side_and_from_the_start_again() -> None:
    net = Network(
        NetlistBuilder(seed=4)
        .input("x", (6,))
        .dense(5, threshold=30, membrane_decay=900)
        .dense(4, threshold=None, membrane_decay=700)
        .output()
    )
    raster = np.random.default_rng(0).integers(0, 2, (3, 40, 6))
    stream = net.stream(samples=3)
    first = stream.step({"x": raster})
    assert first.timesteps == 40
    answers = stream.outputs
    stream.reset()
    for a in range(0, 40, 8):
        stream.step({"x": raster[:, a : a + 8]}, 8)
    assert stream.steps == 40
    for name, values in answers.items():
        np.testing.assert_array_equal(stream.outputs[name], values)
    alone = net.stream()
    alone.step(raster[1])
    for name, values in answers.items():
        np.testing.assert_array_equal(alone.outputs[name], values[1:2])
    assert alone.finish().timesteps == 0
    with pytest.raises(UsageError, match=r"is finished; reset\(\) begins another"):
        alone.step(raster[1])


def lagging() -> IntegerNetlist:
    """Two delays from one population: what is sent with the shorter one is heard from later on."""
    build = NetlistBuilder(T=20, seed=5).input("x", (6,)).dense(5, threshold=20, membrane_decay=900)
    build = build.dense(4, threshold=30, membrane_decay=700, name="y", delay=4)
    return build.connect("dense_1", "y", np.full((4, 5), 12), delay=1).output("y")


def test_what_lags_behind_comes_at_the_end() -> None:
    net = Network(lagging())
    raster = np.random.default_rng(0).integers(0, 2, (20, 6))
    whole = run_reference(net.netlist, {"x": raster[None]})
    with pytest.raises(UsageError, match="y waits for spikes that come later"):
        net.stream()
    stream = net.stream("reference")
    parts = [stream.step(raster[a : a + 5]) for a in range(0, 20, 5)]
    assert parts[0].spikes["y"].shape[1] == 2
    parts.append(stream.finish())
    for name, spikes in whole.spikes.items():
        joined = np.concatenate([part.spikes[name] for part in parts], axis=1)
        np.testing.assert_array_equal(joined, spikes)
    np.testing.assert_array_equal(
        stream.outputs["y"], decode(net.netlist, net.netlist.outputs[0], whole)
    )


def test_real_valued_networks_stream_on_the_reference() -> None:
    weights = np.random.default_rng(1).normal(size=(4, 6))
    leaky = neuron(1.0, membrane_decay=0.1, reset="subtract-next", strict=True)
    net = Network(feed_forward(("out", (4,), leaky, {"x": Dense(weights, (6,))})))
    raster = np.random.default_rng(0).integers(0, 2, (30, 6))
    whole = run_reference(net.netlist, {"x": raster[None]}, timesteps=30)
    stream = net.stream()
    assert stream.executor == "reference"
    parts = [stream.step(raster[a : a + 6]) for a in range(0, 30, 6)]
    joined = np.concatenate([part.spikes["out"] for part in parts], axis=1)
    np.testing.assert_array_equal(joined, whole.spikes["out"])
    with pytest.raises(UsageError, match="real-valued netlists: use executor='reference'"):
        net.stream("engine")


def test_streams_refuse_in_one_line() -> None:
    net = Network(
        NetlistBuilder(seed=2)
        .input("x", (2, 8, 8))
        .dense(3, threshold=20, membrane_decay=99)
        .output()
    )
    stream = net.stream(dt="1ms")
    one = {"t": [0], "x": [1], "y": [1], "p": [0]}
    with pytest.raises(UsageError, match="has no answer: no step has run"):
        _ = stream.outputs
    stream.step(one, 5)
    shape = (3, 2, 8, 8)
    cases: list[tuple[Any, type, str]] = [
        (lambda: stream.step(one), DataError, "a piece of 1 events, all of steps that are over"),
        (lambda: stream.step({"t": [], "x": []}), DataError, "a piece of 0 events; pass steps=N"),
        (
            lambda: stream.step({**one, "t": [2000]}, 5),
            DataError,
            "an event at 2 ms belongs to step 2, this piece is steps 5 to 9; start='zero' counts",
        ),
        (lambda: stream.step({**one, "t": [9000], "x": [8]}), DataError, "outside of 8 x 8 places"),
        (lambda: net.stream().step(one), UsageError, "make it with dt='1ms'"),
        (lambda: net.stream().step({"y": np.zeros(shape)}), DataError, "pieces of|stimulus for"),
        (lambda: net.stream().step(np.zeros((2, *shape), int)), DataError, "for 1 streams"),
        (lambda: net.stream().step(np.zeros(shape, int), 4), DataError, "expected one length"),
        (lambda: net.stream().step(np.full(shape, 2)), DataError, r"exceed the declared range \[0"),
        (
            lambda: net.stream().step(np.zeros(shape, int), membranes=["z"]),
            UnknownNameError,
            "unknown population 'z'",
        ),
        (lambda: net.stream("gpu"), UnknownNameError, "known: brian2, engine, "),
        (
            lambda: nd.stream(net.compile("brian2"), "engine"),
            UsageError,
            "a deployment for target brian2 runs itself",
        ),
        (lambda: net.stream(samples=0), UsageError, "samples 0; expected at least 1"),
        (lambda: net.stream(samples=1.5), NetlistError, "samples 1.5; expected a whole number"),
        (lambda: stream.step(one, "5"), NetlistError, "steps '5'; expected a whole number"),
        (lambda: stream.step(one, 0), DataError, "steps 0; expected at least 1"),
        (
            lambda: net.stream().step(np.zeros(shape, int), membranes="x"),
            UsageError,
            r"populations 'x': expected a list of names, as \['x'\]",
        ),
        (lambda: net.stream(dt="soon"), UsageError, "dt=soon: expected seconds"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert stream.step({"t": [], "x": []}, 3).timesteps == 3
    assert stream.steps == 8


def test_packets_are_cut_at_multiples_of_a_step() -> None:
    """Whatever the time of the first event is, after silence too, as mappings or arrays."""
    net = Network(
        NetlistBuilder(seed=2)
        .input("x", (2, 8, 8))
        .dense(3, threshold=20, membrane_decay=99)
        .output()
    )
    t = 1_700_000_000_000_000 + np.array([300, 5100, 9999, 10_000, 19_000])
    events = {"t": t, "x": np.arange(5), "y": np.arange(5), "p": np.array([0, 1, 0, 1, 0])}
    stream = net.stream(dt="1ms")
    found = [
        stream.step({k: v[part] for k, v in events.items()}, 10) for part in (slice(3), slice(3, 5))
    ]
    steps = [np.flatnonzero(part.spikes["x"][0].any(axis=(1, 2, 3))).tolist() for part in found]
    assert steps == [[0, 5, 9], [0, 9]]
    after = net.stream(dt="1ms")
    after.step({"t": [], "x": []}, 10)
    fields = np.rec.fromarrays(list(events.values()), names=list(events))
    for part, whole in zip((slice(3), slice(3, 5)), found, strict=True):
        np.testing.assert_array_equal(after.step(fields[part], 10).spikes["x"], whole.spikes["x"])


def test_the_example_records_what_the_encoder_makes(tmp_path: Path) -> None:
    """Digits as recordings: the spikes of the rate encoder, image by image."""
    from examples import event_digits
    from neurodeploy.datasets import as_samples
    from neurodeploy.ir.encoding import encode

    event_digits.main(tmp_path)
    digits = as_samples("digits", "test")
    assert digits.y is not None
    samples = nd.Samples.events(tmp_path, dt="1ms", polarity="on", start="zero")
    assert samples.y is not None
    assert sorted(samples.y.tolist()) == sorted(digits.y.tolist())
    for i in range(0, len(samples), 40):
        place = int(Path(samples.recordings[i].where).stem)
        assert samples.y[i] == digits.y[place]
        image = digits.x[place : place + 1]
        (expected,) = encode(Encoding("rate", 16, 0.0, 1.0), image, 16)
        found, steps = samples.raster(i, (1, 8, 8), 16)
        np.testing.assert_array_equal(found, expected)
        assert steps <= 16


def test_an_imported_network_streams(shared_dir: Path) -> None:
    """lava-dl's MNIST network, with saturation: ten pieces, and one run on the engine."""
    from neurodeploy.execution import run_engine

    path = shared_dir / "lava-dl" / "netx__mnist__trained_mnist_network.net"
    net = nd.import_network(path, saturation=True, timesteps=30)
    (name,) = (p.name for p in net.netlist.inputs)
    raster = (np.random.default_rng(0).random((2, 30, 784)) < 0.1).astype(np.int64)
    whole = run_engine(net.netlist, {name: raster})
    stream = net.stream(samples=2)
    parts = [stream.step(raster[:, t : t + 3]) for t in range(0, 30, 3)]
    for population, spikes in whole.spikes.items():
        joined = np.concatenate([part.spikes[population] for part in parts], axis=1)
        np.testing.assert_array_equal(joined, spikes)
    assert whole.spikes[net.netlist.outputs[0].population].any()
