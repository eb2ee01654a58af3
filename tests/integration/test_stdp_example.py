"""The STDP example: its rule by hand and against its netlist, and all of it on small digits."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import neurodeploy as nd


@pytest.fixture
def example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = repository / "examples" / "stdp"
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def plasticity(example: Path) -> ModuleType:
    import plasticity

    return plasticity


def one_neuron(plasticity: ModuleType, **constants: float | None):
    """A neuron with two pixels of weight 0.5, and a threshold that one spike of both reaches."""
    rule = plasticity.Rule(timesteps=6, threshold_step=0.25, mean_weight=0.5, **constants)
    return plasticity.Competitors(rule, np.full((1, 2), 0.5, np.float32), np.ones(1, np.float32))


def test_what_fires_before_gains_and_what_fires_after_loses(plasticity: ModuleType) -> None:
    neuron = one_neuron(plasticity, potentiation=0.1, depression=0.01, leak_steps=None)
    fired = np.zeros((6, 2), np.bool_)
    fired[0, 0] = fired[2, 1] = True  # 0.5 + 0.5: fires in step 2
    fired[5, 0] = True
    assert neuron.hear(fired, "weights").tolist() == [1]
    trace = np.exp(-1 / 20)
    first = 0.5 + 0.1 * trace**2 - 0.01 * trace**3
    second = 0.5 + 0.1
    np.testing.assert_allclose(
        neuron.weight, [[first / (first + second), second / (first + second)]], rtol=1e-6
    )
    assert neuron.threshold == pytest.approx([1.25])


def test_nothing_is_learned_unless_asked(plasticity: ModuleType) -> None:
    neuron = one_neuron(plasticity, leak_steps=None)
    fired = np.ones((6, 2), np.bool_)
    assert neuron.hear(fired, "nothing").tolist() == [6]
    assert (neuron.weight, neuron.threshold) == (pytest.approx(0.5), pytest.approx([1.0]))
    # Its threshold rises above what one step brings: 1, 1.25 (two steps), 1.5 (two), 1.75.
    assert neuron.hear(fired, "thresholds").tolist() == [3]
    assert neuron.weight == pytest.approx(0.5)


def test_one_neuron_learns_of_those_that_reach_their_threshold(plasticity: ModuleType) -> None:
    rule = plasticity.Rule(timesteps=3)
    weight = np.array([[8, 8], [9, 9], [7, 7]], np.float32)
    threshold = np.full(3, 13, np.float32)
    fired = np.array([[1, 1], [0, 0], [0, 0]], np.bool_)
    learning = plasticity.Competitors(rule, weight, threshold.copy())
    assert learning.hear(fired, "thresholds").tolist() == [0, 1, 0]
    frozen = plasticity.Competitors(rule, weight, threshold)
    assert frozen.hear(fired, "nothing").tolist() == [1, 1, 1]


@pytest.mark.parametrize("leaks", [True, False])
def test_the_netlist_fires_as_the_neurons_that_learned(plasticity: ModuleType, leaks: bool) -> None:
    from winner_take_all import network

    from neurodeploy.ir.reference import run_reference

    rng = np.random.default_rng(3)
    rule = plasticity.Rule(
        timesteps=60,
        leak_steps=20.0 if leaks else None,
        floor=-13.0 if leaks else None,
        inhibition=30.0,
    )
    weight = rng.random((12, 16), dtype=np.float32)
    threshold = rng.uniform(5, 7, 12).astype(np.float32)
    fired = rng.random((5, 60, 16)) < 0.3
    net = network(rule, weight, threshold, np.eye(12), (1, 4, 4))
    run = run_reference(net.netlist, {"pixels": fired.reshape(5, 60, 1, 4, 4).astype(np.int64)})
    neurons = plasticity.Competitors(rule, weight, threshold)
    counts = [neurons.hear(raster, "nothing") for raster in fired]
    np.testing.assert_array_equal(run.spikes["competitors"].sum(axis=1), counts)
    # Some fire at once, and most are held back at some time.
    assert (run.spikes["competitors"].sum(axis=2) > 1).any()
    assert len(np.unique(counts)) > 3


def test_the_input_fires_with_the_chance_of_the_rule(plasticity: ModuleType) -> None:
    from winner_take_all import poisson

    from neurodeploy.ir.encoding import encode

    encoding = poisson(plasticity.Rule())
    x = np.array([[0.0, 0.5, 1.0, 1.25]], np.float32)
    raster = encode(encoding, np.repeat(x, 40, axis=0), 1000)
    np.testing.assert_allclose(raster.mean(axis=(0, 1)), 0.064 * x[0], rtol=0.05)


def test_noise_is_its_own_for_each_image(example: Path) -> None:
    from stdp_samples import noisy

    x = np.random.default_rng(0).random((40, 1, 20, 20), dtype=np.float32)
    found = noisy(x, 0.1, 5.0, 7)
    np.testing.assert_array_equal(found[:3], noisy(x[:3], 0.1, 5.0, 7))
    changed = ~np.isclose(found - np.float32(5 / 64), x)
    assert changed.mean() == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(found[changed], 1 - x[changed] + 5 / 64, rtol=1e-6)
    assert (changed[0] != changed[1]).any()


def learned(folder: Path, *options: str) -> Path:
    import train_stdp

    short = ["--neurons", "10", "--images", "1000", "--assign", "300"]
    train_stdp.main(["-o", str(folder / "net.ndn"), *short, *options])
    return folder / "net.ndn"


@pytest.mark.slow
@pytest.mark.usefixtures("example")
def test_digits_are_learned_and_run_on_neurocores(
    tmp_path: Path, lava_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    pytest.importorskip("brian2")
    net = nd.load(learned(tmp_path))
    assert "10 neurons, trained in" in capsys.readouterr().out
    assert isinstance(net, nd.Network)
    integer = net.quantize(8)
    evaluation = integer.evaluate("digits")
    assert evaluation.accuracy is not None
    assert evaluation.accuracy > 0.6
    deployment = integer.compile("lava")
    deployment.verify("digits", 2, against=["reference", "engine", "brian2"]).assert_exact()
    assert integer.energy("loihi2", "digits", 2).total_j
    refused = " ".join(str(violation) for violation in integer.check("truenorth"))
    assert "membrane decay" in refused
    assert "a floor" not in refused


@pytest.mark.usefixtures("example")
def test_without_leak_and_with_binary_weights_it_fits_a_crossbar(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    net = nd.load(learned(tmp_path, "--crossbar"))
    assert isinstance(net, nd.Network)
    integer = net.quantize(2, fit="truenorth", max_fraction_bits=0)
    weights = integer.integer.projections[0].connectivity.weight
    assert set(np.unique(weights)) == {0, 1}
    evaluation = integer.evaluate("digits")
    assert evaluation.accuracy is not None
    assert evaluation.accuracy > 0.3
    deployment = integer.compile("truenorth")
    deployment.verify("digits", 3, against=["reference", "engine"]).assert_exact()
    assert deployment.utilization()["cores"] == 2


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--neurons", "0"], "--neurons 0: a whole number above zero is needed"),
        (["--assign", "-1"], "--assign -1: a whole number above zero is needed"),
        (["--seed", "-1"], "--seed -1: 0 or more is needed"),
        (["--crossbar", "--neurons", "193"], "--neurons 193: 257 axons with the pixels"),
    ],
)
def test_what_training_cannot_use_is_told_before_it_takes_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn carries the digits")
    import train_stdp

    with pytest.raises(SystemExit, match="2"):
        train_stdp.main(["-o", str(tmp_path / "net.ndn"), *arguments])
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize("script", ["train_stdp", "stdp_samples"])
def test_a_folder_without_mnist_is_one_line(tmp_path: Path, script: str) -> None:
    import importlib

    main = importlib.import_module(script).main
    with pytest.raises(SystemExit, match=rf"{script}\.py: .*no such file") as refused:
        main(["-o", str(tmp_path / "out"), "--mnist", str(tmp_path / "absent")])
    assert "\n" not in str(refused.value)
