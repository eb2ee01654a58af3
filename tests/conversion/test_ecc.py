"""Explicit current control."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

from tests.conversion.method_networks import (  # noqa: E402
    X,
    answer,
    convert,
    hidden,
    levels,
    relative,
    run,
    source,
)
from tests.conversion.modules import Function  # noqa: E402


def branching() -> nn.Module:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(m.a(x))
        b = torch.relu(m.b(a))
        c = torch.relu(b + a)
        d = torch.relu(m.d(c) + c)
        return m.out(nn.functional.avg_pool2d(d, 2).flatten(1))

    torch.manual_seed(1)
    return Function(
        forward,
        a=nn.Conv2d(1, 2, 3),
        b=nn.Conv2d(2, 2, 3, padding=1),
        d=nn.Conv2d(2, 2, 3, padding=1),
        out=nn.Linear(32, 3),
    ).eval()


def activations(module: Any) -> dict[str, float]:
    """The largest activation of every layer of :func:`branching`, computed by itself."""
    with torch.no_grad():
        a = torch.relu(module.a(torch.tensor(X)))
        b = torch.relu(module.b(a))
        c = torch.relu(b + a)
        d = torch.relu(module.d(c) + c)
        pool = nn.functional.avg_pool2d(d, 2)
    return {n: float(v.max()) for n, v in zip("abcdp", (a, b, c, d, pool), strict=True)}


def test_ecc_shares_scales_at_additions_and_starts_at_half() -> None:
    module = branching()
    top = activations(module)
    netlist = convert("ecc", module, timesteps=16).netlist
    firing = hidden(netlist)
    thetas = [p.model.threshold for p in firing]
    assert all(np.ptp(t) == 0 for t in thetas)  # whole layers
    for population in firing:
        np.testing.assert_allclose(
            population.model.initial_membrane, population.model.threshold / 2
        )
        np.testing.assert_array_equal(population.model.threshold, population.unit)
    # a and b are added; c is added to nothing that spikes; the pool has a scale of its own.
    together = max(top["a"], top["b"])
    wanted = [together, together, top["c"], top["d"], top["p"]]
    np.testing.assert_allclose([t.flat[0] for t in thetas], wanted, rtol=1e-5)
    (pooling,) = netlist.incoming[firing[-1].name]
    np.testing.assert_allclose(np.unique(pooling.connectivity.to_coo()[2]), thetas[-2][0] / 4)
    assert not np.asarray(firing[-1].model.bias).any()


def test_ecc_is_normalized_currents_in_source_units() -> None:
    """W lambda_(l-1) / lambda_l, b / lambda_l and theta 1 spike alike; the first layer in sum."""
    module, T = branching(), 12
    top = activations(module)
    network = convert("ecc", module, timesteps=T, input_levels=255)
    first, second = hidden(network.netlist)[:2]
    x = (np.rint(X * 255) / 255).astype(np.float64)
    with torch.no_grad():
        current = module.double().a(torch.tensor(x)).numpy()
    theta = max(top["a"], top["b"])
    found = run(network, X)
    # n = clip(floor((a T + theta / 2) / theta), 0, T)
    sums = np.clip(np.floor((current * T + theta / 2) / theta), 0, T)
    assert (found.spikes[first.name].sum(axis=1) != sums).mean() < 1e-3
    # The second: lambda_(l-1) = lambda_l, so the weights stay and the bias is b / lambda_l.
    spikes = torch.tensor(found.spikes[first.name].astype(np.float64))
    conv, v, wanted = module.b, torch.full((24, 2, 8, 8), 0.5, dtype=torch.float64), []
    with torch.no_grad():
        for t in range(T):
            drive = nn.functional.conv2d(spikes[:, t], conv.weight, conv.bias / theta, padding=1)
            v = v + drive
            s = (v >= 1).double()
            v = v - s
            wanted.append(s.numpy())
    assert (found.spikes[second.name] != np.stack(wanted, axis=1)).mean() < 1e-3


def test_ecc_folds_with_the_epsilon_of_training() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1, eps=0.5), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for value, parameter in (
            (2.0, module[0].weight),
            (1.0, module[0].bias),
            (0.25, module[1].running_mean),
            (3.5, module[1].running_var),
            (3.0, module[1].weight),
            (-0.5, module[1].bias),
        ):
            parameter.fill_(value)
    netlist = convert("ecc", module.eval(), levels(0, 16), timesteps=4, input_levels=16).netlist
    (population,) = hidden(netlist)
    # gamma / sqrt(var + eps) = 1.5: w = 3, b = 1.5 (1 - 0.25) - 0.5; a level is 1/16.
    assert netlist.incoming[population.name][0].connectivity.weight.item() == pytest.approx(3 / 16)
    assert population.model.bias.item() == pytest.approx(0.625)
    assert population.model.threshold.item() == pytest.approx(3.625)


def test_ecc_keeps_what_saturates() -> None:
    module = nn.Sequential(
        *(nn.Linear(1, 3), nn.SiLU(), nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 2)),
    ).eval()
    with torch.no_grad():
        module[0].weight.mul_(20.0)
        module[2].weight.mul_(4.0)
    x = levels(-16, 16)
    assert relative(answer(convert("ecc", module, x, timesteps=512), x), source(module, x)) < 0.05
