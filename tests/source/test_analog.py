"""The analog graph verifies itself, knows shapes and costs, and survives a round trip."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest

from neurodeploy.errors import DataError, FileFormatError, NetlistError
from neurodeploy.source import analog as ag
from neurodeploy.source.analog import AnalogGraph, AnalogNode, macs
from neurodeploy.source.evaluation.in_numpy import evaluate
from neurodeploy.source.evaluation.record import analog_from_record, analog_to_record

RNG = np.random.default_rng(0)


def _weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def chain(shape: tuple[int, ...], *ops: ag.Op) -> AnalogGraph:
    nodes = [AnalogNode("input", ag.Input(shape), (), shape)]
    for i, op in enumerate(ops):
        last = nodes[-1]
        nodes.append(AnalogNode(f"n{i}", op, (last.name,), op.output_shape([last.shape])))
    return AnalogGraph("chain", tuple(nodes), ("input",), (nodes[-1].name,))


def every_op() -> AnalogGraph:
    """One node of every kind."""
    ops: list[tuple[str, ag.Op, tuple[str, ...]]] = [
        ("input", ag.Input((2, 6, 5)), ()),
        ("normalize", ag.Normalize([0.1, 0.2], [0.5, 2.0]), ("input",)),
        (
            "conv",
            ag.Conv2d(_weights(4, 1, 3, 3), _weights(4), 1, (1, 0, 2, 1), 1, 2),
            ("normalize",),
        ),
        ("bn", ag.BatchNorm(_weights(4), np.ones(4), None, _weights(4), 1e-3), ("conv",)),
        ("leaky", ag.LeakyReLU([0.1, 0.2, 0.0, 0.3]), ("bn",)),
        ("relu", ag.ReLU(), ("leaky",)),
        ("slice", ag.Slice(((1, 3, 1), (0, 5, 2), (0, 6, 1))), ("relu",)),
        ("pad", ag.Pad(((1, 1), (2, 0), (0, 0))), ("slice",)),
        ("add", ag.Add(), ("relu", "pad")),
        ("concat", ag.Concat(), ("relu", "add", "pad")),
        ("scale", ag.Scale(2.5), ("concat",)),
        ("shift", ag.AddConstant(_weights(12)), ("scale",)),
        ("function", ag.Function("silu"), ("shift",)),
        ("quantized", ag.QuantizedReLU(4.0, 8, 0.25), ("function",)),
        ("clip", ag.Clip(6), ("quantized",)),
        ("avg", ag.AvgPool((2, 3), (1, 2), (0, 1), True, False), ("clip",)),
        ("max", ag.MaxPool((2, 2), (1, 1), (1, 0), False, (1, 2)), ("avg",)),
        ("deconv2d", ag.ConvTranspose2d(_weights(12, 3, 1, 1), None, groups=4), ("max",)),
        ("flat", ag.Reshape((12, 10)), ("deconv2d",)),
        ("conv1d", ag.Conv1d(_weights(3, 12, 2), None, 2, (0, 1)), ("flat",)),
        ("deconv1d", ag.ConvTranspose1d(_weights(3, 3, 2), _weights(3), 1, 1, 0, 2), ("conv1d",)),
        ("up", ag.Upsample((2,)), ("deconv1d",)),
        ("half", ag.Slice(((0, 3, 1), (0, 10, 2))), ("up",)),
        ("gather", ag.Gather(np.array([[0, 2, -1], [7, 7, 14]])), ("half",)),
        ("along", ag.AlongAxis(_weights(5, 3), 1), ("gather",)),
        ("curve", ag.Function("x x mul 0.5 add", [-1.0, 0.0, 2.0]), ("along",)),
        ("flat2", ag.Reshape((10,)), ("curve",)),
        ("linear", ag.Linear(_weights(4, 10), _weights(4)), ("flat2",)),
        ("softmax", ag.Softmax(log=True), ("linear",)),
    ]
    nodes: list[AnalogNode] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for name, op, inputs in ops:
        shapes[name] = op.output_shape([shapes[i] for i in inputs])
        nodes.append(AnalogNode(name, op, inputs, shapes[name], f"net.py:{len(nodes)}"))
    return AnalogGraph("every", tuple(nodes), ("input",), ("softmax", "add"))


def test_every_kind_is_in_the_example() -> None:
    assert {node.op.kind for node in every_op().nodes} == set(ag.OPS)


def test_arrays_are_private_read_only_copies() -> None:
    weight = np.ones((2, 3))
    op = ag.Linear(weight)
    weight[:] = 5
    assert op.weight.dtype == np.float32
    assert (op.weight == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        op.weight[0, 0] = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        op.bias = None  # type: ignore[misc]


def test_equality_compares_parameters() -> None:
    a, b = ag.Linear(np.ones((2, 3))), ag.Linear(np.ones((2, 3)))
    assert a == b
    assert hash(a) == hash(b)
    assert a != ag.Linear(np.ones((2, 3)), np.zeros(2))
    assert a != ag.Linear(np.full((2, 3), 2))
    assert ag.Conv2d(np.ones((1, 1, 3, 3)), padding=1) == ag.Conv2d(
        np.ones((1, 1, 3, 3)), padding=(1, 1, 1, 1)
    )
    assert ag.ReLU() != ag.Clip(1)


def test_symmetric_padding_per_dimension() -> None:
    assert ag.Conv2d(np.ones((1, 1, 3, 3)), padding=(2, 1)).padding == (2, 2, 1, 1)
    assert ag.Conv1d(np.ones((1, 1, 3)), padding=(2, 1)).padding == (2, 1)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ag.Linear(np.full((1, 2), np.nan)), "linear: weight holds NaN or infinite"),
        (lambda: ag.Linear(np.full((1, 2), 1e300)), "linear: weight holds NaN or infinite"),
        (lambda: ag.Linear(np.ones(3)), "weight has 1 dimensions, expected 2"),
        (lambda: ag.Linear(np.ones((2, 3)), np.ones(3)), r"bias has shape \(3,\), expected \(2,\)"),
        (lambda: ag.Linear([["a"]]), "not an array of numbers"),
        (lambda: ag.Conv2d(np.ones((4, 2, 3, 3)), groups=3), "do not divide into 3 groups"),
        (lambda: ag.Conv2d(np.ones((4, 2, 3, 3)), stride=0), "stride is 0"),
        (lambda: ag.Conv2d(np.ones((4, 2, 3, 3)), padding=-1), "padding is -1"),
        (lambda: ag.Conv1d(np.ones((4, 2, 3, 3))), "weight has 4 dimensions, expected 3"),
        (lambda: ag.BatchNorm([0.0], [-1.0]), r"var \+ eps must be above 0"),
        (lambda: ag.BatchNorm([0.0], [1.0], eps=float("nan")), r"var \+ eps"),
        (lambda: ag.Normalize([0.0], [0.0]), "std must be above 0"),
        (lambda: ag.Clip(0), "maximum is 0.0"),
        (lambda: ag.Clip(float("inf")), "maximum is inf"),
        (lambda: ag.AvgPool((2, 2), (2, 2), (2, 2)), "exceeds half of the kernel"),
        (lambda: ag.AvgPool((2, 2), (2, 2), divisor=0), "divisor is 0"),
        (lambda: ag.MaxPool((2,), (2,), ceil_mode=1), "ceil_mode is 1"),
        (lambda: ag.Slice(((3, 3, 1),)), "selects nothing"),
        (lambda: ag.Slice(((0, 3),)), "rows of 3 integers"),
        (lambda: ag.Pad(((-1, 0),)), "rows of 2 integers"),
        (lambda: ag.Gather(np.array([[0.0, 1.0]])), "expected indices from -1 on"),
        (lambda: ag.Gather(np.array([-2])), "expected indices from -1 on"),
        (lambda: ag.AlongAxis(np.ones((2, 2)), -1), "axis -1"),
        (lambda: ag.Function("x frobnicate"), "'frobnicate' is no word; known: neg"),
        (lambda: ag.Function("x add"), "is not one value of x"),
        (lambda: ag.Function("3.0"), "is not one value of x"),
        (lambda: ag.Function("x inf add"), "'inf' is no word"),
        (lambda: ag.Function("x " + "neg " * 400), "words, at most"),
        (lambda: ag.Function("silu", [2.0, 1.0]), "quantiles must ascend"),
        (lambda: ag.LeakyReLU(np.ones((2, 2))), r"slope of shape \(2, 2\)"),
        (lambda: ag.QuantizedReLU(0, 4), "maximum 0.0, expected above 0"),
        (lambda: ag.QuantizedReLU(1, 0), "0 levels, expected 1 or more"),
        (lambda: ag.QuantizedReLU(1, 4, 1), r"shift 1.0, expected \[0, 1\)"),
        (lambda: ag.Softmax(1), "log is 1, expected a bool"),
        (lambda: ag.MaxPool(2, 2), "kernel is 2, expected 1 or 2 integers"),
        (lambda: ag.AvgPool((2,), (2,), count_include_pad=1), "count_include_pad must be a bool"),
        (lambda: ag.Conv1d(np.ones((2, 0, 3))), "is empty"),
        (lambda: ag.ConvTranspose1d(np.ones((3, 2, 3)), groups=2), "3 input channels do not div"),
        (lambda: ag.ConvTranspose1d(np.ones((3, 0, 3))), "is empty"),
        (lambda: ag.Upsample(2), "factors 2, expected 1 or 2 integers"),
        (lambda: ag.Reshape(()), "at least one dimension"),
        (lambda: ag.Input(()), "at least one dimension"),
        (lambda: ag.Input((0, 3)), "expected 2 integers >= 1"),
    ],
)
def test_parameters_are_checked(build, says: str) -> None:
    with pytest.raises(NetlistError, match=says):
        build()


@pytest.mark.parametrize(
    ("op", "shape", "says"),
    [
        (ag.Linear(np.ones((2, 3))), (4,), r"input has shape \(4,\), expected \(3,\)"),
        (ag.Conv2d(np.ones((2, 3, 1, 1))), (2, 4, 4), "expected 3 channels"),
        (ag.Conv2d(np.ones((2, 3, 5, 5))), (3, 4, 9), "smaller than the kernel"),
        (ag.BatchNorm(np.ones(3), np.ones(3)), (2,), "expected 3 channels"),
        (ag.AvgPool((2, 2), (2, 2)), (2, 4), "2 spatial dimensions"),
        (ag.MaxPool((3,), (1,)), (2, 2), "smaller than the kernel"),
        (ag.Reshape((3, 3)), (2, 4), "does not have the elements"),
        (ag.Slice(((0, 3, 1),)), (2,), "does not fit"),
        (ag.Pad(((0, 1),)), (2, 2), "does not fit"),
        (ag.Scale(np.ones(3)), (2, 3), r"constant has shape \(3,\)"),
        (ag.LeakyReLU(np.ones(3)), (2,), "3 slopes for 2 channels"),
        (ag.ConvTranspose1d(np.ones((3, 2, 3))), (2, 4), "expected 3 channels and 1 spatial"),
        (ag.ConvTranspose1d(np.ones((1, 1, 1)), padding=4), (1, 4), "leaves nothing of"),
        (ag.Upsample((2,)), (2,), "expected 1 spatial dimensions after the channels"),
        (ag.Gather(np.array([4])), (2, 2), "has no element 4"),
        (ag.AlongAxis(np.ones((2, 3)), 1), (3, 2), "along axis 1"),
        (ag.Add(), (2,), "got 1 inputs, expected 2"),
        (ag.Concat(), (2,), "got 1 inputs, expected two or more"),
    ],
)
def test_inputs_are_checked(op: ag.Op, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(NetlistError, match=says):
        op.output_shape([shape])


def test_sums_and_concatenations_check_all_inputs() -> None:
    with pytest.raises(NetlistError, match="differ"):
        ag.Add().output_shape([(2, 3), (2, 4)])
    with pytest.raises(NetlistError, match="beyond the channels"):
        ag.Concat().output_shape([(2, 3), (2, 4)])
    assert ag.Concat().output_shape([(2, 3), (5, 3)]) == (7, 3)


def _node(name: str = "n", op: ag.Op | None = None, inputs=("input",), shape=(3,)) -> AnalogNode:
    return AnalogNode(name, op or ag.ReLU(), inputs, shape)


@pytest.mark.parametrize(
    ("nodes", "outputs", "says"),
    [
        ([_node("input")], ("input",), "'input' is empty or used twice"),
        ([_node("")], ("",), "empty or used twice"),
        ([_node(inputs=("later",))], ("n",), "n: input 'later' is not defined before it"),
        ([_node(shape=(4,))], ("n",), r"n: got shape \(4,\), relu gives \(3,\)"),
        ([_node(op=ag.Linear(np.ones((2, 5))))], ("n",), "n: linear: input has shape"),
        ([_node(op=ag.Add())], ("n",), "n: add: got 1 inputs"),
        ([_node("unused"), _node()], ("n",), "unused: the result is not used"),
        ([_node()], ("none",), "must be one or more different nodes"),
        ([_node()], (), "must be one or more different nodes"),
        ([_node()], ("n", "n"), "must be one or more different nodes"),
        ([_node("s", ag.Softmax()), _node(inputs=("s",))], ("n",), "s: softmax is possible only"),
        ([_node("two", ag.Input((3,)), ()), _node()], ("n", "two"), "are not its input nodes"),
    ],
)
def test_contradictions_are_refused(nodes, outputs, says: str) -> None:
    given = AnalogNode("input", ag.Input((3,)), (), (3,))
    with pytest.raises(NetlistError, match=says):
        AnalogGraph("graph", (given, *nodes), ("input",), outputs)


def test_navigation_and_costs() -> None:
    graph = every_op()
    assert graph.input_shapes("concat") == ((4, 5, 6), (4, 5, 6), (4, 5, 6))
    assert [node.name for node in graph.consumers("relu")] == ["slice", "add", "concat"]
    with pytest.raises(NetlistError, match="no node is called 'none'"):
        graph.node("none")
    costs = {name: n for name, n in macs(graph).items() if n}
    assert costs == {
        "conv": 5 * 6 * 4 * 9,
        "conv1d": 5 * 3 * 12 * 2,
        "linear": 40,
        "deconv2d": 360,
        "deconv1d": 90,
    }


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("include", [False, True])
def test_divisors_by_hand(ceil_mode: bool, include: bool) -> None:
    op = ag.AvgPool((3,), (2,), (1,), ceil_mode, include)
    expected = {
        (False, False): [2, 3],
        (False, True): [3, 3],
        (True, False): [2, 3, 1],
        (True, True): [3, 3, 2],
    }
    assert op.divisors((1, 4)).tolist() == expected[ceil_mode, include]


def test_round_trip_is_the_identity() -> None:
    graph = every_op()
    json, arrays = analog_to_record(graph)
    again = analog_from_record(copy.deepcopy(json), {k: v.copy() for k, v in arrays.items()})
    assert again == graph
    x = RNG.random((2, 2, 6, 5), dtype=np.float32)
    for name, value in evaluate(graph, x).items():
        assert np.array_equal(value, evaluate(again, x)[name])


def _node_fields(json, name: str):
    for node in json["fields"]["nodes"]:
        if node["fields"]["name"] == name:
            return node["fields"]
    raise AssertionError(name)


def _set(json, path, value):
    *path, last = path
    for key in path:
        json = json[key]
    json[last] = value


CORRUPTIONS = {
    "unknown op": lambda j, a: _set(_node_fields(j, "relu"), ["op", "class"], "GELU"),
    "a class that is no op": lambda j, a: _set(_node_fields(j, "relu"), ["op"], 3),
    "unknown field": lambda j, a: _set(_node_fields(j, "clip"), ["op", "fields", "slope"], 1),
    "missing field": lambda j, a: _node_fields(j, "clip")["op"]["fields"].pop("maximum"),
    "unknown key": lambda j, a: _set(j, ["note"], "x"),
    "bool for an int": lambda j, a: _set(_node_fields(j, "conv"), ["op", "fields", "groups"], True),
    "int for a string": lambda j, a: _set(_node_fields(j, "relu"), ["source"], 3),
    "int for the name": lambda j, a: _set(j, ["fields", "name"], 3),
    "string for inputs": lambda j, a: _set(_node_fields(j, "relu"), ["inputs"], "bn"),
    "wrong shape": lambda j, a: _set(_node_fields(j, "relu"), ["shape"], [4, 5, 7]),
    "float in a shape": lambda j, a: _set(
        _node_fields(j, "relu"), ["shape", 0], {"float": (4.5).hex()}
    ),
    "not a graph": lambda j, a: (j.clear(), j.update({"dict": {}})),
    "missing array": lambda j, a: a.pop(next(iter(a))),
    "extra array": lambda j, a: a.update(extra=np.zeros(1, np.float32)),
    "array of doubles": lambda j, a: a.update({k: v.astype(float) for k, v in a.items()}),
    "array of another shape": lambda j, a: a.update(
        {k: v[:-1] for k, v in a.items() if k.endswith("bias")}
    ),
    "nan": lambda j, a: a.update(
        {k: np.full_like(v, np.nan) for k, v in a.items() if v.dtype == np.float32}
    ),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_corrupt_records_are_refused(case: str) -> None:
    json, arrays = analog_to_record(every_op())
    json, arrays = copy.deepcopy(json), dict(arrays)
    CORRUPTIONS[case](json, arrays)
    with pytest.raises(FileFormatError) as caught:
        analog_from_record(json, arrays)
    assert "\n" not in str(caught.value)


def test_numpy_evaluation_by_hand() -> None:
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
    pool = chain((1, 3, 3), ag.AvgPool((2, 2), (2, 2), ceil_mode=True))
    assert evaluate(pool, x)["n0"].reshape(-1).tolist() == [3.0, 4.5, 7.5, 9.0]
    conv = chain((1, 3, 3), ag.Conv2d(np.ones((1, 1, 2, 2)), [0.5], 2, (1, 0, 0, 1)))
    assert evaluate(conv, x)["n0"].reshape(-1).tolist() == [3.5, 3.5, 24.5, 15.5]
    top = chain((1, 3, 3), ag.MaxPool((2, 2), (2, 2), (1, 1)))
    assert evaluate(top, -x)["n0"].reshape(-1).tolist() == [-1.0, -2.0, -4.0, -5.0]


def test_evaluation_checks_its_data_and_takes_none() -> None:
    graph = chain((3,), ag.ReLU())
    with pytest.raises(DataError, match=r"shape \(2, 4\), expected \(samples, 3\)"):
        evaluate(graph, np.zeros((2, 4)))
    with pytest.raises(DataError, match="data for inputs"):
        evaluate(graph, {"other": np.zeros((2, 3))})
    with pytest.raises(NetlistError, match="no node is called 'none'"):
        evaluate(graph, np.zeros((2, 3)), ("none",))
    assert evaluate(graph, np.zeros((0, 3)))["n0"].shape == (0, 3)


def test_chunks_do_not_change_the_result() -> None:
    graph = every_op()
    x = RNG.random((5, 2, 6, 5), dtype=np.float32)
    names = [node.name for node in graph.nodes]
    whole, parts = evaluate(graph, x, names), evaluate(graph, x, names, chunk=2)
    for name in names:
        assert whole[name].shape == (5, *graph.node(name).shape)
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-5, atol=1e-6)
    assert math.isclose(float(np.exp(whole["softmax"]).sum(1).max()), 1, rel_tol=1e-5)
