"""Parts of an error add up, the layer at fault is named, and what is not there is None."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.diagnosis import diagnosis as subject
from neurodeploy.diagnosis.advice import advise, worst_layer
from neurodeploy.diagnosis.diagnosis import Diagnosis
from neurodeploy.diagnosis.layer import LayerDiagnosis, LayerTotals
from neurodeploy.diagnosis.split import CAUSES, NEW, ErrorParts, Version
from neurodeploy.errors import UsageError
from neurodeploy.execution import batches
from neurodeploy.ir.connectivity import Dense
from neurodeploy.ir.netlist import Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron
from neurodeploy.network import Network
from neurodeploy.verification.agreement import evaluate_source
from tests.diagnosis.networks import converted, dataset

TEST = dataset("test", 16)
KEYS = {
    "samples",
    "timesteps",
    "layers",
    "worst_layer",
    "advice",
    "accuracy",
    "source_accuracy",
    "outputs",
}


def with_neuron(net: Network, name: str, **changes: Any) -> Network:
    """A real-valued network, one population of which has other fields."""
    populations = tuple(
        replace(p, model=replace(p.model, **changes)) if p.name == name else p
        for p in net.netlist.populations
    )
    return replace(net, netlist=replace(net.netlist, populations=populations))


def layer(found: Diagnosis, name: str) -> LayerDiagnosis:
    return next(one for one in found.layers if one.name == name)


@pytest.mark.parametrize("bits", [None, 3])
@pytest.mark.parametrize("method", ["rate", "signed-memory", "graded"])
def test_the_parts_add_up_elementwise(
    method: str, bits: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, tuple[Any, Version, ErrorParts]] = {}
    add = LayerTotals.add

    def spy(self: LayerTotals, x: Any, last: Version, parts: ErrorParts, emitted: Any) -> None:
        seen[self.population.name] = (x, last, parts)
        add(self, x, last, parts, emitted)

    monkeypatch.setattr(LayerTotals, "add", spy)
    net = converted(method=method)
    if bits is not None:
        net = nd.quantize(net, bits)
    found = nd.diagnose(net, TEST)
    assert list(seen) == ["relu_1", "max_pool_2", "relu_5", "output"]
    source = evaluate_source(net.analog, TEST.x, ["relu_1", "max_pool_2", "relu_5", "linear_6"])
    for name, (x, last, parts) in seen.items():
        node = last.population.source
        np.testing.assert_allclose(x, source[node], atol=1e-5)
        expected = [c for c in CAUSES if bits is not None or c != "weight_bits"]
        assert list(parts.parts) == expected
        total = sum(parts.parts.values())
        np.testing.assert_allclose(total, last.coded - x, atol=1e-6)
        relative = np.linalg.norm(last.coded - x) / np.linalg.norm(x)
        assert layer(found, name).relative_rms == pytest.approx(relative)
    # On constant input nothing is uneven.
    assert layer(found, "relu_1").errors["unevenness"] == pytest.approx(0, abs=0.01)


def test_small_thresholds_clip_and_the_advice_says_so() -> None:
    net = converted(64, normalization="percentile", percentile=20.0)
    found = nd.diagnose(net, TEST)
    worst = layer(found, str(found.worst_layer))
    assert worst.new["clipping"] == max(share or 0 for share in worst.new.values())
    assert any("larger thresholds" in text for text in found.advice)
    assert worst.saturated is not None
    assert worst.saturated > 0.1


def test_few_steps_are_coarse_and_the_advice_says_so() -> None:
    found = nd.diagnose(converted(2, normalization="max", bias_correction=0), TEST)
    first = layer(found, "relu_1")
    assert first.new["quantization"] == max(share or 0 for share in first.new.values())
    assert any("too coarse" in text and "relu_1" in text for text in found.advice)


def test_narrow_weights_are_named_where_they_are() -> None:
    """Later layers inherit the error: they are not at fault."""
    net = nd.quantize(converted(method="graded"), 8, layer_bits={"relu_5": 2})
    found = nd.diagnose(net, TEST)
    assert found.worst_layer == "relu_5"
    assert found.advice[0].endswith("--weight-bits relu_5=8")
    after, before = layer(found, "output"), layer(found, "max_pool_2")
    assert (before.errors["weight_bits"] or 0) < 0.03 < (after.errors["weight_bits"] or 0)
    assert (after.new["own_weight_bits"] or 0) < 0.03


def test_uneven_input_is_told_from_coarse_codes() -> None:
    """What one layer emits too late the next one codes wrongly, however fine its code."""
    found = nd.diagnose(converted(8, input="poisson", normalization="max"), TEST)
    assert (layer(found, "relu_1").errors["unevenness"] or 0) > 0.02
    assert (layer(found, "relu_1").errors["inherited"] or 0) > 0.05


def test_silenced_neurons_are_found() -> None:
    net = converted()
    high = np.asarray(net.netlist.by_name["relu_5"].model.bias) - 100.0  # type: ignore[union-attr]
    found = nd.diagnose(with_neuron(net, "relu_5", bias=high), TEST)
    hit = layer(found, "relu_5")
    assert hit.silent == 1.0
    assert hit.silenced is not None
    assert hit.silenced > 0.1
    assert any("never fire" in text and "relu_5" in text for text in found.advice)
    # The fault arrives with the input, biases included.
    assert (hit.errors["inherited"] or 0) > 0.5


def test_a_real_valued_network_has_no_weight_bits() -> None:
    found = nd.diagnose(converted(), TEST)
    assert all(one.errors["weight_bits"] is None for one in found.layers)
    assert set(layer(found, "relu_1").new) == set(NEW)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(told) >= KEYS
    assert set(told["layers"][0]["errors"]) == set(CAUSES)
    assert (told["samples"], told["timesteps"]) == (16, 8)
    assert list(told["accuracy"]) == [str(t) for t in range(1, 9)]
    pool, output = layer(found, "max_pool_2"), layer(found, "output")
    assert pool.silent is output.silent is output.saturated is None
    assert layer(found, "relu_1").neurons == 4 * 4 * 4


def test_the_curve_takes_networks_for_other_steps() -> None:
    nets = [converted(T) for T in (8, 2)]
    found = nd.diagnose(nets[0], TEST, others=nets[1:])
    assert found.timesteps == 8
    assert found.accuracy == {
        T: nd.evaluate(n, TEST).accuracy for n, T in zip(nets, (8, 2), strict=True)
    }
    assert list(found.accuracy) == [2, 8]
    with pytest.raises(UsageError, match=r"the same T among \[8, 8\]"):
        nd.diagnose(nets[0], TEST, others=[nets[0]])


def test_regression_keeps_its_units() -> None:
    net = converted(outputs=1)
    found = nd.diagnose(net, dataset("test", 16, labels=False))
    assert found.accuracy == {}
    assert found.to_dict()["source_accuracy"] is None
    (output,) = found.outputs
    expected = layer(found, "output")
    assert output.units == "linear_6"
    assert output.rmse > 0
    assert output.correlation == pytest.approx(expected.correlation)


def test_counted_outputs_are_not_blamed_for_what_is_negative() -> None:
    found = nd.diagnose(converted(decode="counts"), TEST)
    assert found.worst_layer in {"relu_1", "relu_5"}
    assert not any("output" in text for text in found.advice)


def test_batches_do_not_change_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nd.quantize(converted(input="poisson"))
    whole = nd.diagnose(net, TEST)
    monkeypatch.setattr(batches, "BATCH_BYTES", 16 * 700)
    calls: list[tuple[int, int]] = []
    parts = nd.diagnose(net, TEST, progress=lambda done, total: calls.append((done, total)))
    assert len(calls) > 3
    assert calls[-1] == (16, 16)
    for one, other in zip(whole.layers, parts.layers, strict=True):
        assert one.correlation == pytest.approx(other.correlation)
        assert (one.silent, one.silenced) == (other.silent, other.silenced)
        assert dict(one.errors) == pytest.approx(dict(other.errors))


def test_what_cannot_be_diagnosed_is_refused() -> None:
    net = nd.quantize(converted())
    with pytest.raises(UsageError, match="no source network to compare with"):
        nd.diagnose(replace(net, provenance={}), TEST)
    with pytest.raises(UsageError, match="no real-valued netlist to compare with"):
        nd.diagnose(replace(net, real=None), TEST)


def test_branches_must_be_aligned() -> None:
    model = RealNeuron(np.array(1.0), np.array(0.0), np.array(0.0))
    populations = (
        Population("in", (2,), Input("current", 0, 3)),
        Population("a", (2,), model),
        Population("b", (2,), model),
    )
    links = tuple(
        RealProjection(pre, post, Dense(np.eye(2), (2,)), delay)
        for pre, post, delay in (("in", "a", None), ("a", "b", None), ("in", "b", 1))
    )
    with pytest.raises(UsageError, match="in->b: a delay of 1 does not align"):
        subject._expect_aligned(RealNetlist("late", populations, links, (), 4))


def test_nothing_lost_is_nothing_to_say() -> None:
    assert worst_layer([]) is None
    assert advise([]) == []


def test_more_bits_are_no_remedy_where_there_are_no_more() -> None:
    cut = dict.fromkeys(CAUSES, 0.0) | {"weight_bits": 0.2}
    one = LayerDiagnosis(
        *("output", None, 3, 0.9, 0.2, None, None, None),
        *(cut, {"own_weight_bits": 0.2}, 0.2, np.zeros(1), np.zeros(1)),
    )
    assert advise([one]) == ["output: integer weights are too coarse: --weight-bits output=8"]
    (line,) = advise([one], full={"output"})
    assert "--weight-bits" not in line
    assert "though weights have 8 bits" in line


@pytest.mark.parametrize(
    ("method", "timesteps"), [("radix", 16), ("momentum", 12), ("reserve", 65), ("bistable", 64)]
)
def test_codes_whose_steps_differ_are_compared_too(method: str, timesteps: int) -> None:
    net = nd.quantize(converted(timesteps, method=method, bias_correction=0), 8)
    found = nd.diagnose(net, dataset("test"))
    layers = {layer.name: layer for layer in found.layers}
    for layer in found.layers:
        assert layer.correlation is not None
        assert layer.correlation > 0.98, layer.name
        assert (layer.errors["quantization"] or 0.0) < 0.15, layer.name
    if method == "radix":
        # Whatever a layer hears it codes as well as so many digits can.
        for layer in layers.values():
            assert layer.errors["unevenness"] == pytest.approx(0.0, abs=1e-6), layer.name
