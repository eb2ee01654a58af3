"""Trained networks on MNIST through every target: not one spike differs, and few answers are lost.

Run with ``-s`` to see what was compared and which weight levels the crossbars got.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="convert needs torch")

import neurodeploy as nd
from neurodeploy.errors import CapacityError
from neurodeploy.network import Network
from neurodeploy.targets.registry import TARGETS
from neurodeploy.verification.verification import Verification

T = 32
IMAGES = 4
CALIBRATION = 256


@pytest.fixture(scope="module")
def mnist(shared_dir: Path) -> str:
    return f"mnist:{shared_dir / 'data' / 'mnist'}"


def converted(shared_dir: Path, name: str, model: str | None = None, **options: Any) -> Network:
    models = shared_dir / "models"
    return nd.convert(
        model or f"{models / 'zoo.py'}:{name}",
        f"mnist:{shared_dir / 'data' / 'mnist'}",
        weights=models / f"{name}.pt",
        calibration_samples=CALIBRATION,
        **{"method": "rate", "timesteps": T, **options},
    )


@pytest.fixture(scope="module")
def lenet(shared_dir: Path) -> Network:
    """lenet_mnist in 8 bits: current input, membrane decoding."""
    return nd.quantize(converted(shared_dir, "lenet_mnist"), 8)


@pytest.fixture(scope="module")
def grouped(shared_dir: Path) -> Network:
    """grouped_mnist in 3 bits, with states that a crossbar's 20-bit membrane holds."""
    net = converted(shared_dir, "grouped_mnist", input="spikes", decode="counts")
    return nd.quantize(net, 3, fit="truenorth")


def available(*targets: str) -> None:
    for target in targets:
        reason = TARGETS.get(target).unavailable()
        if reason is not None:
            pytest.skip(reason)


def assert_exact(result: Verification, net: Network, samples: int) -> None:
    """No mismatch, and every population that fires does so in 1 to 60 % of its neuron-steps."""
    print()
    assert (result.samples, result.timesteps) == (samples, T)
    total = {e: sum(m.values()) for e, m in result.mismatches.items()}
    for name, spikes in result.spikes.items():
        compared = result.compared_neuron_steps[name]
        population = net.netlist.by_name[name]
        assert compared == samples * T * population.size
        fires = getattr(population.model, "threshold", True) is not None
        print(f"{result.target}: {name}: {spikes} spikes in {compared} neuron-steps")
        if fires:
            assert 0.01 <= spikes / compared <= 0.6, name
        else:
            assert name in {o.population for o in net.netlist.outputs}
    assert set(total.values()) == {0}, str(result.first)
    assert result.exact
    assert result.first is None


def test_lenet_in_brian2(lenet: Network, mnist: str) -> None:
    available("brian2")
    result = nd.verify(nd.compile(lenet, "brian2"), "reference,engine", mnist, IMAGES)
    assert_exact(result, lenet, IMAGES)
    assert result.agreement is not None
    assert result.agreement.top1 == 1.0
    for name, r in result.agreement.correlation.items():
        assert r is not None
        assert r > 0.95, name


@pytest.mark.lava
def test_lenet_in_lava(lenet: Network, mnist: str, lava_python: Path) -> None:
    result = nd.verify(nd.compile(lenet, "lava"), "reference", mnist, IMAGES)
    assert_exact(result, lenet, IMAGES)


@pytest.mark.slow
@pytest.mark.lava
def test_averaged_lenet_in_stock_lava(shared_dir: Path, mnist: str, lava_python: Path) -> None:
    factory = f"{Path(__file__).with_name('averaged_lenet.py')}:averaged_lenet"
    real = converted(shared_dir, "lenet_mnist", model=factory, reset="zero", initial_membrane=0.0)
    # Stock weights have 8 bits with their exponents: no fractional bits, and 7 bits at the end.
    net = nd.quantize(real, 8, layer_bits={"output": 7}, state_bits=18, max_fraction_bits=0)
    deployment = nd.compile(net, "lava", models="stock")
    result = nd.verify(deployment, "reference,engine", mnist, IMAGES)
    assert_exact(result, net, IMAGES)


def test_lenet_itself_is_refused_by_stock_lava(lenet: Network) -> None:
    with pytest.raises(CapacityError, match="target lava refuses"):
        nd.compile(lenet, "lava", models="stock")


def test_grouped_on_crossbar_cores(grouped: Network, mnist: str) -> None:
    deployment = nd.compile(grouped, "truenorth")
    result = nd.verify(deployment, "reference,engine", mnist, IMAGES)
    assert_exact(result, grouped, IMAGES)
    for layer in deployment.utilization()["layers"]:
        for source in layer["sources"]:
            print(
                f"{layer['population']}: {layer['cores']} cores (at least {layer['core_bound']}), "
                f"fan-in {layer['fan_in']}, R = {source['R']}, levels {source['levels']}"
            )
            # 3 bits have 7 levels other than 0, and exponents by channel add doubles of them.
            assert 3 <= source["R"] <= 4
            assert 4 <= len(source["levels"]) <= 14
        assert layer["core_bound"] <= layer["cores"] <= 1.25 * layer["core_bound"]


@pytest.mark.lava
def test_grouped_on_crossbar_cores_against_the_other_targets(
    grouped: Network, mnist: str, lava_python: Path
) -> None:
    available("brian2")
    result = nd.verify(nd.compile(grouped, "truenorth"), "lava,brian2", mnist, 2)
    assert_exact(result, grouped, 2)


def test_grouped_loses_at_most_two_points(grouped: Network, mnist: str) -> None:
    # By the engine, whose spikes are those of the cores.
    result = nd.evaluate(grouped, mnist, 1000)
    assert result.source_accuracy is not None
    assert result.accuracy is not None
    print(f"\nsource {result.source_accuracy:.3f}, crossbar cores {result.accuracy:.3f}")
    assert result.source_accuracy > 0.98
    assert result.accuracy >= result.source_accuracy - 0.02


def test_calibration_used_training_images(lenet: Network, grouped: Network) -> None:
    for net in (lenet, grouped):
        calibration = net.provenance["calibration"]
        assert calibration["split"] == "train"
        assert calibration["indices"] == [[0, CALIBRATION - 1]]
