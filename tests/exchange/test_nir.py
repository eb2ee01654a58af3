"""Every node of NIR: what it becomes, in whatever order and shape, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import FileFormatError, UnsupportedLayerError, UsageError
from neurodeploy.ir.connectivity import Conv, Dense, Sparse, SumPool
from tests.exchange.files import (
    chain,
    graph,
    imported,
    integrate,
    lif,
    node,
    run,
    write_nir,
)

pytest.importorskip("h5py", reason="NIR is HDF5")

RANDOM = np.random.default_rng(5)


def raster(*shape: int, share: float = 0.4):
    return (np.random.default_rng(1).random((2, 12, *shape)) < share).astype(np.int64)


def relay(n: int = 2):
    """Neurons that repeat what arrives: thresholds below every weight."""
    return node("Threshold", threshold=np.full(n, 0.5))


def test_edges_may_stand_in_any_order_and_twice(tmp_path: Path) -> None:
    content = chain(node("Linear", weight=np.array([[0.7, 0.9], [1.3, -0.4]])), lif(), relay())
    first = imported(tmp_path, content, "snntorch", timesteps=12)
    content["edges"] = [*reversed(content["edges"]), content["edges"][0]]
    with pytest.warns(match="1 edges are listed twice: read once"):
        second = imported(tmp_path, content, "snntorch", timesteps=12)
    x = raster(2)
    one, two = (run(net, x).spikes for net in (first, second))
    assert one["c"].any()
    np.testing.assert_array_equal(one["c"], two["c"])


def test_older_files_have_no_reset_value(tmp_path: Path) -> None:
    with_reset = lif(v_reset=np.array([0.25, -0.5]))
    net = imported(tmp_path, chain(with_reset), "spikingjelly")
    model = net.netlist.by_name["a"].model
    assert (model.reset, model.reset_value.tolist()) == ("value", [0.25, -0.5])
    with pytest.warns(match="a: the file has no v_reset: it is 0"):
        net = imported(tmp_path, chain(lif()), "spikingjelly")
    assert net.netlist.by_name["a"].model.reset == "zero"
    with pytest.warns(match=r"a: v_reset up to 0.5 in the file is not used by dynamics snntorch"):
        imported(tmp_path, chain(with_reset), "snntorch")
    with pytest.warns(match=r"a: NIR's LIF has no refractory: not read"):
        imported(tmp_path, chain(lif(refractory=np.ones(2))), "spikingjelly")


def test_single_numbers_are_spread_and_leading_ones_dropped(tmp_path: Path) -> None:
    plain = imported(tmp_path, chain(lif()), "snntorch").netlist
    scalar = lif(v_threshold=np.array(1.0), r=np.array([2.0]))
    with pytest.warns(match="a: v_threshold is one number for 2"):
        assert imported(tmp_path, chain(scalar), "snntorch").netlist == plain
    wide = {k: v if k == "type" else np.asarray(v)[None] for k, v in lif().items()}
    with pytest.warns(match=r"a: tau of shape \(1, 2\) is read without its leading 1"):
        assert imported(tmp_path, chain(wide), "snntorch").netlist == plain
    # Exported with a batch of one sample: Input and Output have its axis, what is between has not.
    linear = (node("Linear", weight=np.ones((2, 2))), lif())
    with pytest.warns(match=r"input: shape \(1, 2\) is read without its leading 1"):
        batched = imported(tmp_path, chain(*linear, size=(1, 2)), "snntorch").netlist
    assert batched == imported(tmp_path, chain(*linear), "snntorch").netlist


def test_a_channel_of_one_is_no_leading_one(tmp_path: Path) -> None:
    ones = np.ones((1, 3, 4))
    cell = node("IF", r=ones, v_threshold=ones)
    net = imported(tmp_path, chain(cell, size=(1, 3, 4)), "sinabs")
    assert net.netlist.by_name["a"].shape == (1, 3, 4)


def test_linear_nodes_are_the_maps_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weight, bias = RANDOM.normal(size=(6, 2, 3, 2)), RANDOM.normal(size=6)
    geometry = {
        "stride": np.array([2, 1]),
        "padding": np.array([1, 0]),
        "dilation": np.array([1, 2]),
        "groups": np.array(2),
    }
    conv = node("Conv2d", weight=weight, bias=bias, input_shape=np.array([8, 9]), **geometry)
    pool = {"kernel_size": np.array([2, 3]), "stride": np.array([2, 2])}
    average = node("AvgPool2d", **pool, padding=np.array([1, 1]))
    total = node("SumPool2d", **{**pool, "kernel_size": np.array([1, 2])}, padding=np.array([0, 0]))
    flat = node("Flatten", start_dim=np.array(0), end_dim=np.array(-1))
    scale = node("Scale", scale=np.array(0.5))
    x = raster(4, 8, 9)
    t = torch.tensor(x.reshape(-1, 4, 8, 9), dtype=torch.float64)
    f = torch.nn.functional
    y = f.conv2d(
        t,
        torch.tensor(weight),
        torch.tensor(bias),
        stride=(2, 1),
        padding=(1, 0),
        dilation=(1, 2),
        groups=2,
    )
    y = f.avg_pool2d(y, (2, 3), (2, 2), (1, 1))
    y = f.avg_pool2d(y, (1, 2), (2, 2), divisor_override=1)
    dense = RANDOM.normal(size=(3, y[0].numel()))
    y = 0.5 * y.flatten(1) @ torch.tensor(dense).T
    content = chain(
        conv, average, total, flat, scale, node("Linear", weight=dense), size=(4, 8, 9), out=(3,)
    )
    with pytest.warns(match="output: what arrives is added up over a sample"):
        net = imported(tmp_path, content, timesteps=12)
    found = run(net, x).membranes["output"]
    np.testing.assert_allclose(found, y.numpy().reshape(2, 12, 3).cumsum(axis=1), atol=1e-9)


@pytest.mark.parametrize(("padding", "pads"), [("same", (1, 2)), ("valid", (0, 0)), (1, (1, 1))])
def test_convolutions_of_one_axis_and_named_paddings(tmp_path: Path, padding, pads) -> None:
    torch = pytest.importorskip("torch")
    weight = RANDOM.normal(size=(2, 3, 4))
    conv = node(
        "Conv1d", weight=weight, bias=np.zeros(2), padding=padding, stride=1, dilation=1, groups=1
    )
    x = raster(3, 9)
    t = torch.nn.functional.pad(torch.tensor(x.reshape(-1, 3, 9), dtype=torch.float64), pads)
    y = torch.nn.functional.conv1d(t, torch.tensor(weight)).numpy()
    net = imported(tmp_path, chain(conv, size=(3, 9), out=y.shape[1:]), timesteps=12)
    found = run(net, x).membranes["output"]
    np.testing.assert_allclose(found, y.reshape(2, 12, *y.shape[1:]).cumsum(axis=1), atol=1e-9)


def test_maps_keep_their_structure(tmp_path: Path) -> None:
    ones = np.ones((2, 4, 4))
    conv = node(
        "Conv2d",
        weight=np.ones((2, 2, 3, 3)),
        bias=np.ones(2),
        stride=1,
        padding=1,
        dilation=1,
        groups=1,
    )
    pool = node("SumPool2d", kernel_size=[2, 2], stride=[2, 2], padding=[0, 0])
    flat = node("Flatten", start_dim=0, end_dim=-1)
    cells = [node("IF", r=np.ones(s), v_threshold=np.ones(s)) for s in ((2, 4, 4), (2, 2, 2))]
    content = chain(
        conv,
        cells[0],
        pool,
        cells[1],
        flat,
        node("Linear", weight=np.ones((3, 8))),
        integrate(3),
        size=ones.shape,
        out=(3,),
    )
    net = imported(tmp_path, content, "norse", dt=1e-3).netlist
    kinds = [type(p.connectivity) for p in net.projections]
    assert kinds == [Conv, SumPool, Sparse] or kinds == [Conv, SumPool, Dense]
    assert net.by_name["b"].model.bias.tolist() == 1


def test_integrators_are_read_by_their_membrane(tmp_path: Path) -> None:
    one = np.ones(2)
    x = raster(2)
    cases = {
        "I": node("I", r=3 * one),
        "LI": node("LI", tau=4e-3 * one, r=2 * one, v_leak=one),
        "CubaLI": node("CubaLI", tau_syn=2e-3 * one, tau_mem=4e-3 * one, r=one, v_leak=0 * one),
    }
    for kind, cell in cases.items():
        net = imported(
            tmp_path,
            chain(cell),
            compare=">",
            reset="zero",
            integration="euler",
            dynamics=None,
            dt=1e-3,
            timesteps=12,
        )
        v = np.zeros((2, 2))
        i = np.zeros((2, 2))
        for t in range(12):
            if kind == "I":
                v = v + 1e-3 * 3 * x[:, t]
            elif kind == "LI":
                v = v + 0.25 * (1 - v + 2 * x[:, t])
            else:
                i = i + 0.5 * (x[:, t] - i)
                v = v + 0.25 * (i - v)
        assert net.netlist.outputs[0].decode == "membrane"
        np.testing.assert_allclose(run(net, x).membranes["a"][:, -1], v, atol=1e-12)


def test_a_bias_behind_a_synapse_with_memory_acts_in_every_step(tmp_path: Path) -> None:
    tau = np.full(2, 2e-4)
    cell = node(
        "CubaLIF",
        tau_syn=tau,
        tau_mem=tau,
        r=2 * np.ones(2),
        v_leak=np.zeros(2),
        v_threshold=np.full(2, 9.0),
        w_in=2 * np.ones(2),
    )
    affine = node("Affine", weight=np.zeros((2, 2)), bias=np.array([1.0, -0.5]))
    net = imported(tmp_path, chain(affine, cell), "snntorch", timesteps=12)
    i = v = np.zeros(2)
    for _ in range(12):
        i = 0.5 * i + [1.0, -0.5]
        v = 0.5 * v + i
    np.testing.assert_allclose(run(net, raster(2)).membranes["b"][0, -1], v, atol=1e-12)


def test_a_node_may_have_the_name_of_what_fires_in_every_step(tmp_path: Path) -> None:
    tau = np.full(2, 2e-4)
    cell = node("CubaLIF", tau_syn=tau, tau_mem=tau, r=tau, v_leak=0 * tau, v_threshold=tau)
    content = chain(node("Affine", weight=np.ones((2, 2)), bias=np.ones(2)), cell)
    content["nodes"]["one"] = content["nodes"].pop("b")
    content["edges"] = [tuple("one" if end == "b" else end for end in e) for e in content["edges"]]
    netlist = imported(tmp_path, content, "nengo", dt=1e-4).netlist
    assert {(q.pre, q.post) for q in netlist.projections} == {("input", "one"), ("one.2", "one")}


def test_subgraphs_are_opened(tmp_path: Path) -> None:
    weight = RANDOM.normal(size=(2, 2))
    inner = chain(node("Linear", weight=weight), lif())
    nested = graph(
        {
            "input": node("Input", shape=[2]),
            "sub": graph(
                {"in": node("Input", shape=[2]), "deep": inner, "out": node("Output", shape=[2])},
                [("in", "deep"), ("deep", "out")],
            ),
            "output": node("Output", shape=[2]),
        },
        [("sub", "output"), ("input", "sub")],
    )
    x = raster(2)
    flat = run(imported(tmp_path, inner, "snntorch", timesteps=12), x).spikes["b"]
    assert flat.any()
    found = run(imported(tmp_path, nested, "snntorch", timesteps=12), x)
    np.testing.assert_array_equal(found.spikes["sub.deep.b"], flat)


def test_delays_stay_within_the_time_of_the_source(tmp_path: Path) -> None:
    """Another path without delay arrives on time, and nothing is lost at the beginning."""
    delay = node("Delay", delay=np.array([3e-4, 0.0]))
    x = raster(2)
    weight = np.array([[1.0, 2.0], [4.0, 8.0]])
    content = graph(
        {
            "input": node("Input", shape=[2]),
            "late": delay,
            "w": node("Affine", weight=weight, bias=np.array([0.5, 0.0])),
            "sum": node("I", r=np.full(2, 1e4)),
            "output": node("Output", shape=[2]),
        },
        [("input", "w"), ("w", "late"), ("late", "sum"), ("input", "sum"), ("sum", "output")],
    )
    net = imported(tmp_path, content, dt=1e-4, timesteps=12)
    sent = x @ weight.T + [0.5, 0.0]
    sent[:, 3:, 0] = sent[:, :-3, 0].copy()
    sent[:, :3, 0] = 0
    np.testing.assert_allclose(run(net, x).membranes["sum"], (sent + x).cumsum(axis=1), atol=1e-12)


def test_cycles_are_refused_or_told_with_their_path(tmp_path: Path) -> None:
    weight = node("Linear", weight=-np.eye(2))
    loop = chain(lif(), lif(), relay())
    loop["nodes"]["w"] = weight
    loop["edges"] += [("b", "w"), ("w", "a")]
    wrong = r"cycle b -> a -> b: b -> a takes no step; .* 2 in all against 0 by its delays"
    with pytest.raises(UnsupportedLayerError, match=wrong):
        imported(tmp_path, loop, "snntorch", timesteps=12)
    with pytest.warns(match=r"cycle a -> b -> a: each of its projections takes a step"):
        net = imported(tmp_path, loop, "snntorch", input_at="t-1", timesteps=12)
    assert net.netlist.schedule.cyclic == {"a", "b"}
    own = chain(lif(), relay())
    own["nodes"]["w"] = weight
    own["edges"] += [("a", "w"), ("w", "a")]
    with pytest.warns(match=r"a -> a: spikes come back one step later"):
        imported(tmp_path, own, "snntorch")


def test_without_dynamics_the_choices_are_told(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()))
    with pytest.raises(UsageError, match=r"choose --dynamics snntorch, .*exact, or give --compare"):
        nd.import_network(path)
    with pytest.raises(UsageError, match=r"--reset none.zero.* is missing"):
        nd.import_network(path, compare=">", integration="euler")
    tau = np.full(2, 2e-4)
    cuba = node("CubaLIF", tau_syn=tau, tau_mem=tau, r=tau, v_leak=tau, v_threshold=np.ones(2))
    path = write_nir(tmp_path / "net.nir", chain(cuba))
    with pytest.raises(UsageError, match="choose --dynamics norse, spikingjelly, "):
        nd.import_network(path)


def test_parts_replace_those_of_a_framework(tmp_path: Path) -> None:
    path = write_nir(tmp_path / "net.nir", chain(lif()))
    net = nd.import_network(path, dynamics="snntorch", compare=">=", floor=-2.0, multi_spike=7)
    model = net.netlist.by_name["a"].model
    assert (model.strict, model.floor, model.payload_max) == (False, -2.0, 7)
    assert net.provenance["exchange"]["dynamics"]["name"].startswith("snntorch with compare >=")


BAD = {
    "edge to no node": (
        graph(chain(lif())["nodes"], [("input", "a"), ("a", "nowhere")]),
        "edge a -> nowhere: there is no node 'nowhere'; nodes: a, input, output",
    ),
    "unknown type": (chain(node("Izhikevich", a=np.ones(2))), "a: unknown node type 'Izhikevich'"),
    "type of an array": (
        chain({**lif(), "type": np.array([b"IF", b"LI"])}),
        r"a: its type is no text but of shape \(2,\); expected one name",
    ),
    "graph's type of an array": (
        {**chain(lif()), "type": np.array([1, 2])},
        r"node: its type is no text but of shape \(2,\)",
    ),
    "type of a group": (chain({**lif(), "type": {"a": np.ones(1)}}), "type is no text but dict"),
    "missing parameter": (chain(node("LIF", tau=np.ones(2))), "a: a LIF without r"),
    "text for a number": (chain({**lif(), "tau": "soon"}), "a: tau is no number"),
    "shapes": (chain(lif(3)), r"a: LIF of shape \(3,\), but \(2,\) arrives"),
    "weights": (
        chain(node("Linear", weight=np.ones((2, 5))), lif()),
        r"a: weight of shape \(2, 5\) takes \(5,\), got \(2,\)",
    ),
    "parameters": (chain(lif(v_leak=np.zeros(5))), r"a: .* shape \(5,\)|a: .*arrives"),
    "not finite": (chain(lif(r=np.array([1.0, np.nan]))), "values that are not finite"),
    "negative time": (chain(lif(tau=np.array([1.0, -1.0]))), "a: tau -1; expected above 0"),
    "short time": (chain(lif(tau=np.full(2, 1e-5))), "a: tau 1e-05 is shorter than a step"),
    "threshold": (chain(lif(v_threshold=np.zeros(2))), "a: threshold 0.0 is below"),
    "a cycle without neurons": (
        graph(
            {**chain()["nodes"], "w": node("Scale", scale=np.ones(2)), "a": lif()},
            [("input", "w"), ("w", "w"), ("w", "a"), ("a", "output")],
        ),
        "w: the cycle w -> w has no neuron in it",
    ),
    "real values between populations": (
        chain(node("LI", tau=np.ones(2), r=np.ones(2), v_leak=np.zeros(2)), lif()),
        "a -> b: a LI sends its membrane, and only spikes travel",
    ),
    "half a step": (chain(node("Delay", delay=np.full(2, 1.5e-4)), lif()), "a delay of 1.5 steps"),
    "huge delay": (chain(node("Delay", delay=np.full(2, 10.0)), lif()), "a delay of 100000 steps"),
    "an edge into the input": (
        graph(chain(lif())["nodes"], [("input", "a"), ("a", "output"), ("a", "input")]),
        "input: a leads to it, but what enters comes from outside alone",
    ),
    "no output": (graph({"input": node("Input", shape=[2])}, []), "the graph has no Output"),
    "loose node": (
        graph({**chain(lif())["nodes"], "b": lif()}, chain(lif())["edges"]),
        "b: no edge leads to it",
    ),
    "a shape without end": (
        chain(node("IF", r=1.0, v_threshold=1.0), size=(2**15, 2**15)),
        "input: 1073741824 values of shape",
    ),
    "an output without end": (
        chain(
            node(
                "Conv2d",
                weight=np.ones((1, 2, 1, 1)),
                bias=np.ones(1),
                padding=2**14,
                stride=1,
                dilation=1,
                groups=1,
            ),
            size=(2, 4, 4),
        ),
        "a: 1074003984 values of shape",
    ),
    "axes": (chain(lif(), size=(1, 1, 1, 2)), "at most 3 axes"),
    "flatten": (chain(node("Flatten", start_dim=5, end_dim=6), lif()), "flattens axes 5 to 6"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_graphs_are_one_line(tmp_path: Path, case: str) -> None:
    content, text = BAD[case]
    path = write_nir(tmp_path / "net.nir", content)
    with pytest.raises((FileFormatError, UnsupportedLayerError), match=text) as caught:
        nd.import_network(path, dynamics="snntorch", timesteps=5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dynamics", "content", "text"),
    [
        ("sinabs", chain(lif(v_leak=np.ones(2))), "v_leak 1; sinabs has none but 0"),
        ("snntorch-zero", chain(integrate()), "Leaky with beta 0.9"),
        ("nengo", chain(lif()), "needs the length of a step"),
        (
            "norse",
            chain(lif(tau=np.full(2, 1e-5))),
            "tau 1e-05 is .* which --dt 1e-6 reads as they",
        ),
    ],
)
def test_what_a_framework_does_not_read_is_refused_by_name(tmp_path, dynamics, content, text):
    with pytest.raises((UnsupportedLayerError, UsageError, FileFormatError), match=text):
        imported(tmp_path, content, dynamics)


def same_step(x: np.ndarray, beta: float) -> np.ndarray:
    """snnTorch 1.0.0's Leaky with subtract and reset_delay=False, theta 1: its own lines."""
    memory, spikes = np.zeros(x.shape[1:]), []
    for now in x:
        reset = (memory > 1).astype(float)
        memory = beta * memory + now - reset
        fired = (memory > 1).astype(float)
        memory = memory - (fired - reset)
        spikes.append(fired)
    return np.stack(spikes)


@pytest.mark.parametrize(("high", "told"), [(1, False), (2, True)])
def test_a_spike_that_may_leave_more_than_a_threshold_is_told(
    tmp_path: Path, high: int, told: bool
) -> None:
    """With beta = 0.5 inputs up to 1.5 thresholds never leave more; 2 do, and spikes differ."""
    path = write_nir(tmp_path / "net.nir", chain(lif(3, beta=0.5), size=(3,)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = nd.import_network(path, dynamics="snntorch-same-step", timesteps=60, input_high=high)
    assert any("compares with twice the threshold" in str(w.message) for w in caught) == told
    x = np.random.default_rng(0).integers(0, high + 1, (1, 60, 3))
    (found,) = (s for n, s in run(net, x).spikes.items() if n != net.netlist.inputs[0].name)
    assert (found[0] != same_step(x[0], 0.5)).any() == told
