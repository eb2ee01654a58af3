"""The activation graph computes what the source network computes."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="conversion needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from neurodeploy.conversion.lowering.activation_graph import (  # noqa: E402
    ActivationGraph,
    InputLayer,
    OutputLayer,
    PoolLayer,
    ReluLayer,
)
from neurodeploy.conversion.lowering.operators import LoweringOptions, lower  # noqa: E402
from neurodeploy.errors import UnknownNameError, UnsupportedLayerError  # noqa: E402
from neurodeploy.ir import composition  # noqa: E402
from neurodeploy.ir.composition import (  # noqa: E402
    MAX_COMPOSED_SYNAPSES,
    compose,
    composed_synapses,
)
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool, identity  # noqa: E402
from neurodeploy.ir.geometry import Window  # noqa: E402
from neurodeploy.source import analog  # noqa: E402
from neurodeploy.source.analog import AnalogGraph, AnalogNode  # noqa: E402
from neurodeploy.source.evaluation.in_torch import evaluate  # noqa: E402
from neurodeploy.source.torch.frontend import analog_from_torch  # noqa: E402
from tests.conversion.modules import IMAGE, MODULES, Function, function, sequence  # noqa: E402

OPTIONS = [
    LoweringOptions(m, a)
    for m, a in itertools.product(("exact", "identity"), ("auto", "spiking", "fold"))
] + [LoweringOptions("identity", spiking_maximum=True)]


def graph_of(module: nn.Module, shape: tuple[int, ...], norm=None) -> AnalogGraph:
    return analog_from_torch(module.eval(), shape, "net", norm)


def samples(shape: tuple[int, ...], n: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(0.2, 1.0, (n, *shape)).astype(np.float32)


def values_of(layers: ActivationGraph, x: np.ndarray) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    (entry,) = (layer.name for layer in layers.layers if isinstance(layer, InputLayer))
    layers.evaluate({entry: x}, lambda layer, value: values.__setitem__(layer.name, value.copy()))
    return values


def check(graph: AnalogGraph, options: LoweringOptions) -> ActivationGraph:
    """Outputs in order and every population with a source equal the analog graph."""
    layers = lower(graph, options)
    x = samples(graph.node(graph.inputs[0]).shape)
    ours = values_of(layers, x)
    wanted = {layer.source for layer in layers.layers if layer.source is not None}
    theirs = evaluate(graph, x, sorted(wanted))
    for layer in layers.layers:
        if layer.source is not None:
            expected = theirs[layer.source]
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(ours[layer.name], expected, atol=1e-4 * scale, rtol=0)
        if isinstance(layer, ReluLayer | PoolLayer):
            assert ours[layer.name].min() >= 0
    outputs = [layer for layer in layers.layers if isinstance(layer, OutputLayer)]
    nodes = [graph.node(name) for name in graph.outputs]
    assert [o.source for o in outputs] == [
        n.inputs[0] if isinstance(n.op, analog.Softmax) else n.name for n in nodes
    ]
    return layers


@pytest.mark.parametrize("name", MODULES)
def test_equals_the_source_network(name: str) -> None:
    module, shape = MODULES[name]()
    graph = graph_of(module, shape)
    for options in OPTIONS:
        layers = check(graph, options)
        if options.max_pooling == "identity":
            assert not any(isinstance(layer, PoolLayer) for layer in layers.layers)


def lowered(name: str, options: LoweringOptions | None = None) -> ActivationGraph:
    module, shape = MODULES[name]()
    return check(graph_of(module, shape), options or LoweringOptions())


def named(layers: ActivationGraph, name: str):
    return next(layer for layer in layers.layers if layer.name == name)


def test_normalization_of_the_input_is_folded_with_its_borders() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    graph = graph_of(module, IMAGE, ((0.4, 0.5, 0.6), (0.2, 0.3, 0.1)))
    layers = check(graph, LoweringOptions())

    (conv,) = (layer for layer in layers.layers if isinstance(layer, ReluLayer))
    assert isinstance(conv.affine.terms[0].connectivity, Conv)
    inner = conv.affine.bias[:, 1:-1, 1:-1]
    assert (inner == inner[:, :1, :1]).all()
    assert (np.abs(conv.affine.bias[:, 0, 0] - inner[:, 0, 0]) > 0.1).any()


def test_convolutions_stay_convolutions() -> None:
    kinds = {
        "explicit asymmetric padding": Conv,
        "conv after conv, plain": Conv,
        "pointwise after grouped conv": Conv,
        "conv after conv, padded": Sparse,
        "average before relu": Conv,
        "norm before conv": Conv,
    }
    for name, kind in kinds.items():
        first = next(x for x in lowered(name).layers if isinstance(x, ReluLayer))
        assert [type(t.connectivity) for t in first.affine.terms] == [kind], name


def test_linear_layers_multiply() -> None:
    (layer,) = (x for x in lowered("linear after linear").layers if isinstance(x, ReluLayer))
    (term,) = layer.affine.terms
    assert isinstance(term.connectivity, Dense)
    assert term.connectivity.weight.shape == (4, 192)


def test_a_maximum_before_its_relu_codes_the_relu() -> None:
    layers = lowered("max before relu")
    (pool,) = (layer for layer in layers.layers if isinstance(layer, PoolLayer))
    (rectifier,) = (n for n in graph_of(*MODULES["max before relu"]()).nodes if n.op.kind == "relu")
    assert pool.source == rectifier.name
    assert [type(layer) for layer in layers.layers] == [
        InputLayer,
        ReluLayer,
        PoolLayer,
        OutputLayer,
    ]


def test_relu6_around_a_maximum_is_one_population() -> None:
    for name in ("relu6", "max before relu6"):
        kinds = [type(layer) for layer in lowered(name).layers]
        assert kinds == [InputLayer, ReluLayer, PoolLayer, OutputLayer], name


def test_a_relu_of_a_rectified_population_adds_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Dropout(), nn.ReLU(), nn.Flatten())
    layers = check(graph_of(module, IMAGE), LoweringOptions())
    assert [type(layer) for layer in layers.layers] == [InputLayer, ReluLayer, OutputLayer]


def test_average_pooling_spikes_or_folds() -> None:
    def populations(name: str, choice) -> int:
        return len(lowered(name, LoweringOptions("exact", choice)).layers)

    assert populations("average ceil", "auto") == populations("average ceil", "spiking") == 4
    assert populations("average ceil", "fold") == 3
    assert populations("global average", "auto") == populations("global average", "fold") == 3
    assert populations("global average", "spiking") == 4


def test_the_identity_rewrite_is_recorded_and_joins_its_taps() -> None:
    layers = lowered("max overlapping, padded", LoweringOptions("identity"))
    (rewrite,) = layers.rewrites
    assert rewrite.model.output_shape == rewrite.affine.shape
    excesses = [x for x in layers.layers if isinstance(x, ReluLayer) and "_max" in x.name]
    # Nine taps: eight pairwise maxima; a difference of two taps is one map of the operand.
    assert len(excesses) == 8
    assert len(excesses[0].affine.terms) == 1
    assert set(np.unique(excesses[0].affine.terms[0].connectivity.weight)) <= {-1.0, 0.0, 1.0}


def _activations(layers: ActivationGraph, x: np.ndarray) -> dict[str, np.ndarray]:
    seen: dict[str, np.ndarray] = {}
    layers.evaluate({layers.layers[0].name: x}, lambda layer, v: seen.update({layer.name: v}))
    return seen


@pytest.mark.parametrize("pooling", ["exact", "identity"])
def test_max_pooling_of_what_may_be_negative_is_exact(pooling: str) -> None:
    forms = {
        "linear": sequence(
            lambda: nn.Conv2d(3, 2, 1), lambda: nn.MaxPool2d(2), lambda: nn.Conv2d(2, 2, 1)
        ),
        "also an output": function(
            lambda m, x: (F.relu(F.max_pool2d(m.a(x), 2)), F.max_pool2d(m.a(x), 2)),
            a=lambda: nn.Conv2d(3, 2, 1),
        ),
        "one of two": function(
            lambda m, x: (lambda y: F.relu(y) + y)(F.max_pool2d(m.a(x), 2)),
            a=lambda: nn.Conv2d(3, 2, 1),
        ),
    }
    for build in forms.values():
        module, shape = build()
        graph = graph_of(module, shape)
        layers = lower(graph, LoweringOptions(pooling, spiking_maximum=pooling == "identity"))
        x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
        seen = _activations(layers, x)
        expected = evaluate(graph, x)
        found = [seen[layer.name] for layer in layers.layers if isinstance(layer, OutputLayer)]
        for ours, theirs in zip(found, expected.values(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_maximum_of_the_input_is_pooled_by_itself() -> None:
    nodes = (
        AnalogNode("x", analog.Input((1, 4, 4)), (), (1, 4, 4)),
        AnalogNode("max", analog.MaxPool((2, 2), (2, 2)), ("x",), (1, 2, 2)),
        AnalogNode("relu", analog.ReLU(), ("max",), (1, 2, 2)),
    )
    for outputs in (("relu",), ("relu", "max")):
        layers = lower(AnalogGraph("net", nodes, ("x",), outputs), LoweringOptions()).layers
        pools = [layer for layer in layers if isinstance(layer, PoolLayer)]
        assert [pool.affine.terms[0].source for pool in pools] == ["x"]


class Calls(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


ACTIVATIONS = {
    "leaky": lambda: nn.LeakyReLU(0.2),
    "prelu": lambda: nn.PReLU(4),
    "leaky, pooled": lambda: nn.Sequential(nn.LeakyReLU(0.1), nn.MaxPool2d(3, 2, 1)),
    "upsampled": lambda: nn.Sequential(nn.ReLU(), nn.Upsample(scale_factor=2)),
    "transposed": lambda: nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2)),
    "transposed, dilated": lambda: nn.Sequential(
        nn.ReLU(), nn.ConvTranspose2d(4, 4, 2, 3, 0, 2, dilation=2)
    ),
    "normalized after": lambda: nn.Sequential(nn.LeakyReLU(0.1), nn.BatchNorm2d(4)),
    "hard tanh": nn.Hardtanh,
    "soft shrink": nn.Softshrink,
    "hard shrink": nn.Hardshrink,
    "threshold": lambda: nn.Threshold(0.1, -0.2),
    "absolute value, pooled": lambda: Calls(lambda x: F.max_pool2d(x.abs(), 2)),
    "sign": lambda: Calls(torch.sign),
    "steep": lambda: Calls(lambda x: F.prelu(x, torch.tensor([-0.5, 0.0, 1.0, 1.5]))),
    "maximum of two": lambda: Calls(lambda x: torch.maximum(F.relu(x), x.roll(1, 1))),
    "largest channel": lambda: Calls(lambda x: x.amax(1, keepdim=True).expand(-1, 4, -1, -1)),
    "uneven maximum": lambda: nn.AdaptiveMaxPool2d(4),
    "uneven average": lambda: nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(4)),
    "bilinear": lambda: nn.Sequential(nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear")),
    "reflection": lambda: nn.Sequential(nn.ReLU(), nn.ReflectionPad2d(1)),
    "transposition": lambda: Calls(lambda x: F.relu(x.transpose(2, 3))),
    "channel shuffle": lambda: nn.Sequential(nn.ReLU(), nn.ChannelShuffle(2)),
    "broadcast": lambda: Calls(lambda x: F.relu(x + F.relu(x).mean(2, keepdim=True))),
    "last axis": lambda: nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)),
    "constant by element, before": lambda: Calls(
        lambda x: x * torch.linspace(0.5, 1.5, 100).view(10, 10)
    ),
    "channels joined to rows": lambda: Calls(
        lambda x: torch.cat([F.relu(x), F.relu(-x)], 1).reshape(-1, 4, 20, 10)
    ),
    "one population twice": lambda: Calls(lambda x: 0.5 * F.relu(x) + F.relu(x)),
    "constant by element": lambda: Calls(
        lambda x: F.relu(x) * torch.linspace(0.5, 1.5, 100).view(10, 10)
    ),
}
SMOOTH = {
    "silu": nn.SiLU,
    "silu, pooled": lambda: nn.Sequential(nn.SiLU(), nn.MaxPool2d(2)),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hard-swish": nn.Hardswish,
}


def _error(inner: nn.Module, **options: object) -> float:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), inner, nn.Conv2d(4, 2, 3)).eval()
    graph = graph_of(module, (3, 10, 10))
    x = np.random.default_rng(0).normal(size=(4, 3, 10, 10)).astype(np.float32)
    layers = lower(graph, LoweringOptions(**options))
    seen = {}
    layers.evaluate({layers.layers[0].name: x}, lambda layer, v: seen.update({layer.name: v}))
    with torch.no_grad():
        return float(np.abs(seen["output"] - module(torch.tensor(x)).numpy()).max())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_straight_or_linear_is_lowered_exactly(name: str) -> None:
    assert _error(ACTIVATIONS[name]()) < 1e-5
    if "leaky" in name or name == "prelu":
        assert _error(ACTIVATIONS[name](), leaky="imbalanced") < 1e-5
    assert _error(ACTIVATIONS[name](), max_pooling="identity") < 1e-5


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_come_nearer_with_more_units(name: str) -> None:
    errors = [_error(SMOOTH[name](), activation_units=n) for n in (2, 4, 8)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


def test_unknown_choices() -> None:
    with pytest.raises(UnknownNameError, match="max pooling 'exactly'"):
        LoweringOptions("exactly")
    with pytest.raises(UnknownNameError, match="average pooling 'no'"):
        LoweringOptions("exact", "no")


def test_names_are_legal_and_unique() -> None:
    shape = (2,)
    nodes = (
        AnalogNode("a/b", analog.Input(shape), (), shape),
        AnalogNode("a b", analog.ReLU(), ("a/b",), shape),
        AnalogNode("output", analog.Clip(3), ("a b",), shape),
    )
    layers = lower(AnalogGraph("net", nodes, ("a/b",), ("output",)), LoweringOptions())
    names = [layer.name for layer in layers.layers]
    assert len(set(names)) == len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+", name) for name in names)


def _dense_of(connectivity) -> np.ndarray:
    matrix = np.zeros((math.prod(connectivity.post_shape), math.prod(connectivity.pre_shape)))
    post, pre, weight = connectivity.to_coo()
    matrix[post, pre] = weight
    return matrix


@st.composite
def maps(draw, shape: tuple[int, int, int]):
    channels, height, width = shape
    seed = draw(st.integers(0, 99))
    random = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["conv", "pool", "sparse", "dense", "identity"]))
    if kind == "identity":
        return identity(shape, random.normal(size=channels))
    if kind == "dense":
        return Dense(random.normal(size=(3, math.prod(shape))), shape)
    if kind == "sparse":
        flat = random.choice(math.prod(shape) * 8, 12, replace=False)
        return Sparse(random.normal(size=12), flat % 8, flat // 8, shape, (2, 2, 2))
    kernel = draw(st.integers(1, min(height, width, 3)))
    pad = draw(st.tuples(*[st.integers(0, 1)] * 4))
    window = (
        Window(
            (height, width),
            (kernel, kernel),
            (draw(st.integers(1, 2)), 1),
            ((pad[0], pad[1]), (pad[2], pad[3])),
            (1, 1) if kernel > 1 and min(height, width) < 4 else (draw(st.integers(1, 2)), 1),
        )
        if not (kernel == 3 and min(height, width) < 5)
        else Window((height, width), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    )
    if kind == "pool":
        return SumPool(random.normal(size=channels), window)
    groups = draw(st.sampled_from([1, channels]))
    weight = random.normal(size=(2 * groups, channels // groups, *window.kernel))
    return Conv(weight, channels, window, groups)


@settings(max_examples=150)
@given(st.data())
def test_composition_is_the_product(data) -> None:
    first = data.draw(maps((2, 5, 6)))
    shape = first.post_shape
    second = data.draw(maps(shape if len(shape) == 3 else (3, 1, 1)))
    if len(shape) != 3:
        first = Dense(first.weight, first.shape_in)
        second = Dense(np.random.default_rng(0).normal(size=(2, 3)), (3,))
    product = compose(second, first, "here")
    most, listed = composed_synapses(second, first)
    assert product.n_synapses <= most
    padding = isinstance(first, SumPool) and first.window.n_taps == 1
    assert listed or padding or product.n_synapses == most
    assert listed or not isinstance(product, Sparse)
    np.testing.assert_allclose(_dense_of(product), _dense_of(second) @ _dense_of(first), atol=1e-12)
    assert (product.pre_shape, product.post_shape) == (first.pre_shape, second.post_shape)


@pytest.mark.parametrize(
    ("shape", "module", "says"),
    [
        (
            (2, 3, 4, 5),
            nn.Sequential(nn.Flatten(1, 2), nn.ReLU()),
            r"input 'input'.* of \(6, 4, 5\), ",
        ),
        ((4, 3, 3), nn.Unflatten(1, (2, 2)), r"output 'reshape'.* first axes: \(4, 3, 3\)"),
        (
            (4, 3, 3),
            nn.Sequential(nn.Unflatten(1, (2, 2)), nn.ReLU(), nn.Flatten()),
            r"activations 'relu_1'.* first axes: \(4, 3, 3\)",
        ),
    ],
)
def test_more_axes_than_a_population_has(shape, module, says) -> None:
    with pytest.raises(UnsupportedLayerError, match=says) as caught:
        lower(graph_of(module, shape), LoweringOptions())
    assert "4 axes per sample" in str(caught.value)
    assert "at most 3 are possible" in str(caught.value)


def test_a_composition_that_is_too_large_is_refused_before_it_is_built() -> None:
    size = (1024, 1024)
    window = Window(size, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    layer = Conv(np.ones((4, 4, 3, 3)), 4, window)
    with pytest.raises(UnsupportedLayerError, match=f"conv2: .* against {MAX_COMPOSED_SYNAPSES}"):
        compose(layer, layer, "conv2")


def test_a_concatenation_too_large_is_refused_where_it_is_taken(monkeypatch) -> None:
    monkeypatch.setattr(composition, "MAX_COMPOSED_SYNAPSES", 100)
    module, shape = MODULES["concat, grouped conv"]()
    with pytest.raises(UnsupportedLayerError, match=r"^c: .* against 100; "):
        lower(graph_of(module, shape), LoweringOptions())


def test_a_large_linear_product_needs_no_list_of_synapses() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(600, 700)), random.normal(size=(500, 600))
    product = compose(Dense(second, (600,)), Dense(first, (700,)), "here")
    np.testing.assert_allclose(product.weight, second @ first)


def test_outputs_keep_their_order_and_names() -> None:
    layers = lowered("several outputs")
    outputs = [layer.name for layer in layers.layers if isinstance(layer, OutputLayer)]
    assert len(outputs) == 3
    assert all(name.startswith("output_") for name in outputs)


def test_unused_layers_are_left_out() -> None:
    module = Function(lambda m, x: m.b(F.relu(m.a(x))), a=nn.Conv2d(3, 2, 1), b=nn.Conv2d(2, 2, 1))
    layers = check(graph_of(module, IMAGE), LoweringOptions())
    assert len(layers.layers) == 3


def test_weights_stay_shared_on_both_sides_of_index_maps() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ChannelShuffle(2),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        Calls(lambda x: F.relu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)),
        nn.Conv2d(4, 2, 3),
    )
    layers = lower(graph_of(module.eval(), (3, 8, 8)), LoweringOptions()).layers
    maps = [layer.affine.terms[0].connectivity for layer in layers[1:]]
    assert [type(layer) for layer in maps] == [Conv, Conv, Conv]


def _channels_last(m: Function, x: torch.Tensor) -> torch.Tensor:
    """Residual layers of the last axis, each with a scale, a shift and slopes of its own."""
    x = F.relu(m.stem(x)).permute(0, 2, 3, 1)
    x = F.relu(x + m.scale * m.b(m.slopes(m.a(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)) - m.bias)
    return m.end(x.permute(0, 3, 1, 2))


def _tokens(m: Function, x: torch.Tensor) -> torch.Tensor:
    """Places of an image as tokens, and back."""
    x = F.relu(m.stem(x))
    tokens = x.flatten(2).transpose(1, 2)
    tokens = F.relu(tokens + m.b(F.leaky_relu(m.a(tokens))))
    return m.end(tokens.transpose(1, 2).reshape(x.shape))


class Wide(Function):
    """Layers of channels on the last axis between convolutions."""

    def __init__(self, forward) -> None:
        super().__init__(
            forward,
            stem=nn.Conv2d(3, 4, 2, 2),
            a=nn.Linear(4, 6),
            slopes=nn.PReLU(6),
            b=nn.Linear(6, 4),
            end=nn.Conv2d(4, 2, 3),
        )
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 4))
        self.bias = nn.Parameter(torch.linspace(-0.2, 0.2, 4))
        with torch.no_grad():
            self.slopes.weight.copy_(torch.linspace(0.1, 0.6, 6))


@pytest.mark.parametrize("forward", [_channels_last, _tokens])
def test_weights_stay_shared_where_channels_come_last(forward) -> None:
    torch.manual_seed(0)
    module = Wide(forward)
    graph = graph_of(module, IMAGE)
    x = samples(IMAGE)
    (found,) = evaluate(graph, x).values()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(torch.tensor(x)).numpy(), atol=1e-5)
    layers = check(graph, LoweringOptions())
    maps = [term.connectivity for layer in layers.layers[1:] for term in layer.affine.terms]
    # What is added as it is has one synapse for each neuron.
    shared = [m for m in maps if m is not None and m.n_synapses > math.prod(m.post_shape)]
    assert len(shared) >= 4
    assert all(isinstance(layer, Conv) for layer in shared)


def test_weights_stay_shared_where_what_they_make_is_flattened_first() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.PReLU(), nn.Linear(144, 5))
    layers = check(graph_of(module, IMAGE), LoweringOptions()).layers
    maps = [term.connectivity for layer in layers[1:] for term in layer.affine.terms]
    assert {type(m) for m in maps} == {Conv, Dense}


def test_what_is_filled_in_is_no_function_of_zero() -> None:
    """Zeros that padding fills in after a permutation are shifted by what comes then."""
    module = Function(lambda m, x: m.a(F.pad(x.flip(1), (1, 1)) + 0.5), a=nn.Conv2d(3, 2, 3))
    graph = graph_of(module, IMAGE)
    x = samples(IMAGE)
    with torch.no_grad():
        expected = module(torch.tensor(x)).numpy()
    np.testing.assert_allclose(next(iter(evaluate(graph, x).values())), expected, atol=1e-5)
    check(graph, LoweringOptions())
