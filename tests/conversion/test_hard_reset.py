"""Conversion for neurons that start at 0 and are reset to 0, and its way to stock Lava."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.conversion.calibration.refinement import coded_values
from neurodeploy.errors import ConversionError, NeurodeployWarning
from neurodeploy.execution import run_engine
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.neurons import MaxPool, RealNeuron
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.stages.agreement_check import agreement_warning
from neurodeploy.stages.samples import encoded_samples
from neurodeploy.targets.lava.stock import SATURATION, stock_map, stock_violations

X = np.random.default_rng(0).random((160, 1, 8, 8)).astype(np.float32) ** 2


def pooled() -> nn.Module:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )
    return net.eval()


def deep() -> nn.Module:
    torch.manual_seed(2)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 5))


class Branches(nn.Module):
    """A maximum of a sum of two populations."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 1)
        self.out = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.relu(self.a(x)) + torch.relu(self.b(x))
        return self.out(torch.max_pool2d(both, 2).flatten(1))


def converted(method: str = "hard-reset", **options: object) -> Network:
    return nd.convert(pooled(), X, method=method, timesteps=16, **options)


@pytest.fixture(scope="module")
def net() -> Network:
    return converted()


def stock(net: Network) -> IntegerNetlist:
    return nd.quantize(net, target="lava-stock").integer


def error(net: Network, source: nn.Module) -> float:
    """Mean squared error of the answers by their variance over samples."""
    stimulus, _ = encoded_samples(net, X[:64], None)
    output = net.netlist.by_name["output"]
    found = coded_values(output, run_engine(net.netlist, stimulus))
    with torch.no_grad():
        wanted = source(torch.tensor(X[:64])).numpy()
    return float(np.square(found - wanted).mean() / wanted.var(axis=0).mean())


def test_all_neurons_start_at_0_and_are_reset_to_0(net: Network) -> None:
    models = [p.model for p in net.netlist.populations if isinstance(p.model, RealNeuron)]
    assert [m.reset for m in models if m.fires] == ["zero"] * 3
    assert not any(m.initial_membrane.any() or m.signed or m.payload_max > 1 for m in models)
    assert not any(isinstance(p.model, MaxPool) for p in net.netlist.populations)


def test_the_fit_makes_up_for_what_the_reset_loses() -> None:
    plain = {"method": "rate", "reset": "zero", "initial_membrane": 0.0}
    fitted, lost = (
        error(nd.convert(deep(), X, timesteps=16, **options), deep())
        for options in ({"method": "hard-reset"}, plain)
    )
    assert fitted < 0.35
    assert fitted < 0.6 * lost


def test_quantized_for_the_target_it_is_computed_exactly(net: Network) -> None:
    netlist = stock(net)
    assert stock_violations(netlist) == []
    firing = [
        p.model for p in netlist.populations if getattr(p.model, "threshold", None) is not None
    ]
    assert [m.saturation for m in firing] == [SATURATION] * 3
    # Without the target's widths it is not.
    assert stock_violations(nd.quantize(net).integer)


def test_more_steps_take_no_bits_of_weights_that_fire(net: Network) -> None:
    long = replace(net, netlist=replace(net.netlist, timesteps=512))
    rows = [
        nd.quantize(n, target="lava-stock").provenance["quantization"]["report"]
        for n in (net, long)
    ]
    lost = [[row["lost_bits"] for row in report[:-1]] for report in rows]
    assert lost[0] == lost[1]
    # An integrator must not saturate: its worst case over all steps costs bits.
    assert rows[1][-1]["lost_bits"] > rows[0][-1]["lost_bits"]


def test_bits_given_up_below_the_stated_snr_are_warned_of(net: Network) -> None:
    with pytest.warns(NeurodeployWarning, match=r"relu_2: up to 8 of 8 weight bits .* 5\.\d+ dB"):
        nd.quantize(net, state_bits=15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nd.quantize(net, state_bits=17)


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize("board", [None, "loihi1"])
def test_real_lava_equals_the_reference(net: Network, board: str | None) -> None:
    integer = nd.quantize(net, target="lava-stock")
    deployment = nd.compile(integer, "lava-stock", board=board)
    stimulus, _ = encoded_samples(integer, X[:3], None)
    found, want = deployment.run(stimulus), run_reference(integer.integer, stimulus)
    for name, spikes in want.spikes.items():
        assert np.array_equal(found.spikes[name], spikes), name
    assert np.array_equal(found.membranes["output"], want.membranes["output"])


def test_auto_takes_it_for_the_target() -> None:
    net = nd.convert(pooled(), X, target="lava-stock", timesteps=16, classifier=True, max_loss=20)
    assert net.provenance["method"]["name"] == "hard-reset"
    # Within the budget there is no need of more neurons.
    assert [t["conversion"] for t in net.provenance["auto"]["tried"]] == [{}]
    # What auto converted for, quantize knows.
    assert stock_violations(nd.quantize(net).integer) == []


def test_auto_takes_maxima_by_differences_where_the_or_misses_the_budget() -> None:
    # The OR is off by 105 % of the spread of the worst output, differences by 87 %.
    net = nd.convert(pooled(), X, target="lava-stock", timesteps=16, max_error=95)
    auto = net.provenance["auto"]
    assert auto["met"]
    assert [t["conversion"] for t in auto["tried"]] == [{}, {"max_pooling": "identity"}]
    assert net.provenance["method"]["max_pooling"] == "identity"
    reason = auto["reason"]
    assert reason.startswith("auto chose hard-reset --max-pooling identity at T = 16 is off by")


def test_what_would_help_is_what_its_target_runs(net: Network) -> None:
    told = agreement_warning(net, 1, 200, "samples")
    assert told is not None
    assert "try --max-pooling identity, or more time steps (--timesteps 32)" in told
    advice = " ".join(nd.diagnose(net, X[:16]).advice)
    assert "more time steps, or other maxima (--max-pooling identity)" in advice
    assert "--method" not in told + advice


def test_the_maximum_of_a_sum_is_refused_with_what_works() -> None:
    torch.manual_seed(0)
    with pytest.raises(ConversionError, match="use --max-pooling identity"):
        nd.convert(Branches().eval(), X, method="hard-reset")
    net = nd.convert(Branches().eval(), X, method="hard-reset", max_pooling="identity")
    assert stock_violations(stock(net)) == []


def test_a_maximum_by_differences_of_spikes_loses_less_than_the_or() -> None:
    nets = {kind: converted(max_pooling=kind) for kind in ("exact", "identity")}
    rounded = {kind: nd.quantize(net, target="lava-stock") for kind, net in nets.items()}
    assert stock_violations(rounded["identity"].integer) == []
    found = {k: nd.evaluate(net, X).layer_correlation["max_pool_3"] for k, net in rounded.items()}
    assert found["exact"] is not None
    assert found["identity"] is not None
    assert 1 - found["identity"] < 0.4 * (1 - found["exact"])
    # Convolutions of one step, whatever the size, which is what stock Lava takes.
    tree = [q for q in rounded["identity"].integer.projections if "max_pool_3" in q.post]
    assert {stock_map(q.connectivity, 1, np.zeros(1)).kind for q in tree} == {"conv"}
    depth = rounded["identity"].integer.schedule.depth
    assert {depth[q.post] - depth[q.pre] for q in tree} == {1}
    # All spikes of the tree are worth what it hears: half of one is its threshold.
    netlist = nets["identity"].netlist
    names = ("relu_2", "max_pool_3")
    units = {p.name: p.unit for p in netlist.populations if p.name.startswith(names)}
    assert len(units) == 8
    for unit in units.values():
        np.testing.assert_allclose(unit, units["relu_2"])
    pool = netlist.by_name["max_pool_3"].model
    assert isinstance(pool, RealNeuron)
    np.testing.assert_allclose(pool.threshold, units["relu_2"] / 2)
