"""Linear layers that follow one another: products where they are cheap, else populations."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")
from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.conversion.lowering import separation  # noqa: E402
from neurodeploy.conversion.lowering.activation_graph import (  # noqa: E402
    ActivationGraph,
    InputLayer,
    OutputLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.context import LoweringOptions  # noqa: E402
from neurodeploy.conversion.lowering.operators import lower  # noqa: E402
from neurodeploy.ir import composition  # noqa: E402
from neurodeploy.ir.connectivity import Conv, SumPool  # noqa: E402
from neurodeploy.source.evaluation.in_torch import evaluate  # noqa: E402
from tests.conversion.test_lowering import graph_of, samples, values_of  # noqa: E402

SHAPE = (3, 12, 12)


class Bottlenecks(nn.Module):
    """Two inverted bottlenecks, the second with a shortcut, and global pooling."""

    def __init__(self, narrow: int = 4, wide: int = 24) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, wide, 3, padding=1)
        self.down = nn.Conv2d(wide, narrow, 1)
        self.up = nn.Conv2d(narrow, wide, 1)
        self.depth = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.again = nn.Conv2d(wide, narrow, 1)
        self.head = nn.Conv2d(narrow, wide, 1)
        self.classes = nn.Linear(wide, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(torch.relu(self.first(x)))
        y = torch.relu(self.depth(torch.relu(self.up(x))))
        x = torch.relu(self.head(x + self.again(y)))
        return self.classes(x.mean((2, 3)))


@pytest.fixture(scope="module")
def bottlenecks() -> nn.Module:
    torch.manual_seed(0)
    return Bottlenecks().eval()


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separation, "LEAST_SYNAPSES", 0)


def n_synapses(layers: ActivationGraph) -> int:
    maps = [t for x in layers.layers if not isinstance(x, InputLayer) for t in x.affine.terms]
    return sum(t.scale.size if t.connectivity is None else t.connectivity.n_synapses for t in maps)


def test_small_products_stay_products(bottlenecks) -> None:
    layers = lower(graph_of(bottlenecks, SHAPE), LoweringOptions())
    assert len(layers.layers) == 6
    assert layers.products == ()
    assert not any(isinstance(x, ReluLayer) and x.part_of for x in layers.layers)


@pytest.mark.parametrize("linear", ["rails", "signed"])
def test_a_product_that_costs_more_than_it_saves_is_a_population(
    bottlenecks, any_size, linear
) -> None:
    graph = graph_of(bottlenecks, SHAPE)
    layers = lower(graph, LoweringOptions(linear=linear))
    x = samples(SHAPE)
    ours = values_of(layers, x)
    coded = [r for r in layers.layers if isinstance(r, ReluLayer) and (r.is_linear or r.part_of)]
    # What comes out of the bottlenecks, once or as two rails; the average is no negative number.
    assert len(coded) == (2 if linear == "signed" else 4)
    assert all(p.separated and p.together > p.apart for p in layers.products)
    assert len(layers.products) == 3
    wanted = evaluate(graph, x, ["down", graph.outputs[0]])
    output = next(layer for layer in layers.layers if isinstance(layer, OutputLayer))
    np.testing.assert_allclose(ours[output.name], wanted[graph.outputs[0]], atol=1e-4)
    rails = [ours[r.name] for r in coded]
    down = rails[0] if linear == "signed" else rails[0] - rails[1]
    np.testing.assert_allclose(down, wanted["down"], atol=1e-4)
    assert down.min() < 0
    if linear == "signed":
        assert [r.source for r in coded] == [p.node for p in layers.products[:2]]
    # What the counts promise holds for the whole network.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation, "LEAST_SYNAPSES", 2**40)
        together = n_synapses(lower(graph, LoweringOptions(linear=linear)))
    assert n_synapses(layers) < together


def test_both_rails_are_counted(any_size) -> None:
    torch.manual_seed(0)
    # One layer of 24 x 12 weights against 24 x 8 + 8 x 12, or twice as many with two rails.
    module = nn.Sequential(
        nn.Conv2d(3, 24, 1), nn.ReLU(), nn.Conv2d(24, 8, 1), nn.Conv2d(8, 24, 1), nn.ReLU()
    )
    graph = graph_of(nn.Sequential(*module, nn.Flatten(), nn.Linear(24 * 144, 2)), SHAPE)
    apart = {k: lower(graph, LoweringOptions(linear=k)).products for k in ("rails", "signed")}
    assert [p.separated for p in apart["signed"]] == [True]
    assert apart["rails"] == ()


def test_global_pooling_is_a_population_where_folding_costs_too_much(bottlenecks, any_size) -> None:
    layers = lower(graph_of(bottlenecks, SHAPE), LoweringOptions())
    *_, pooled, output = layers.layers
    assert pooled.shape == (24,)
    assert isinstance(pooled, ReluLayer)
    assert not pooled.is_linear
    assert pooled.part_of is None
    assert output.affine.terms[0].source == pooled.name


def test_a_separable_convolution_keeps_its_two_layers(any_size) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Conv2d(16, 8, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 144, 2),
    )
    layers = lower(graph_of(module, SHAPE), LoweringOptions(linear="signed")).layers
    maps = [t.connectivity for x in layers[1:] for t in x.affine.terms]
    assert [type(m) for m in maps[:3]] == [Conv] * 3
    assert [m.groups for m in maps[:3]] == [1, 16, 1]


def test_a_product_too_long_to_list_becomes_a_population_whatever_it_saves(monkeypatch) -> None:
    monkeypatch.setattr(separation, "MAX_COMPOSED_SYNAPSES", 1000)
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 144, 2),
    )
    (product,) = lower(graph_of(module, SHAPE), LoweringOptions()).products
    assert product.separated


def test_lines_tell_both_ways() -> None:
    from neurodeploy.conversion.lowering.activation_graph import LinearProduct

    rows = [LinearProduct(f"n{i}", 10_000 * (i + 1), 1000, i != 4) for i in range(5)]
    assert separation.told(rows) == [
        "linear layers: 4 become populations, 4,000 synapses in place of 100,000: n0, n1, n2 ...",
        "linear layers: 1 multiplied into others, 50,000 synapses in place of 1,000: n4",
    ]
    assert separation.told([]) == []


@pytest.mark.parametrize(
    ("method", "options", "least"),
    [
        ("graded", {}, 0.99),
        ("rate", {"timesteps": 64}, 0.95),
        ("signed-memory", {"timesteps": 32}, 0.97),
        ("sigma-delta", {"timesteps": 1}, 0.98),
        ("differential", {"timesteps": 8}, 0.95),
        ("bistable", {"timesteps": 64}, 0.95),
        ("amos", {}, 0.97),
        ("hard-reset", {}, 0.8),
    ],
)
def test_every_method_codes_what_may_be_negative(
    bottlenecks, any_size, method, options, least
) -> None:
    x = np.random.default_rng(0).random((48, *SHAPE), np.float32)
    x = (x + x.mean((2, 3), keepdims=True) * np.linspace(0.3, 3, 48)[:, None, None, None]) / 4
    lines: list[str] = []
    net = nd.convert(
        bottlenecks, nd.Samples(x.astype(np.float32)), method=method, tell=lines.append, **options
    )
    assert any("become populations" in line for line in lines)
    assert all(row["separated"] for row in net.provenance["linear_products"])
    (correlation,) = net.provenance["output_correlation"].values()
    assert correlation > least


def test_the_average_of_a_map_takes_no_list_of_synapses() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 512, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    graph = graph_of(nn.Sequential(*module, nn.Linear(512, 1000)), (3, 64, 64))
    layers = lower(graph, LoweringOptions())
    assert sum(math.prod(t.scale.shape) for x in layers.layers[1:] for t in x.affine.terms) == 0
    product = layers.products[0]
    assert product.together == 512 * 31 * 31 * 1000
    assert product.apart == 512 * 1000 + 512 * 31 * 31
    assert not any(isinstance(x, SumPool) for x in layers.layers)


def test_a_code_that_loses_more_in_every_population_folds_more(
    any_size: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(72, 2)),
    )
    graph = graph_of(module, SHAPE)
    average, *_ = lower(graph, LoweringOptions(average_pooling="fold")).products
    assert average.separated
    monkeypatch.setattr(separation, "LEAST_SYNAPSES", (average.together - average.apart) // 2)
    for cost, separated in ((1, True), (4, False)):
        options = LoweringOptions(average_pooling="fold", population_cost=cost)
        assert [p.separated for p in lower(graph, options).products] == [separated]
    assert nd.methods.HardReset().lowering.population_cost > 1


def test_a_product_with_few_synapses_but_many_ways_to_them_is_a_population(monkeypatch) -> None:
    """The list of the ways between them would be longer than the product."""
    module = nn.Sequential(
        nn.Conv2d(2, 2, 1),
        nn.ReLU(),
        nn.Conv2d(2, 32, 3, padding=1),
        nn.Conv2d(32, 2, 3, padding=1),
    )
    graph = graph_of(module.eval(), (2, 4, 4))
    for place in (composition, separation):
        monkeypatch.setattr(place, "MAX_COMPOSED_SYNAPSES", 10_000)
    layers = lower(graph, LoweringOptions())
    assert [product.separated for product in layers.products] == [True]
    monkeypatch.undo()
    assert not lower(graph, LoweringOptions()).products
