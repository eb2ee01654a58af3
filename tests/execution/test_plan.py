"""How many samples and steps the PyTorch engine takes at a time, and what it plans, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neurodeploy.errors import UsageError
from neurodeploy.execution.pytorch.plan import EnginePlan, build_plan, is_constant
from neurodeploy.execution.pytorch.products import GatherProduct, Synapses, synapses
from neurodeploy.ir.connectivity import Dense, Sparse, identity
from neurodeploy.ir.netlist import IntegerNetlist, Output, Population, RealNetlist, RealProjection
from neurodeploy.ir.neurons import Input, RealNeuron
from neurodeploy.testing.parts import current, net, neuron, project, spikes

T = 8


def chain(kind: Any = spikes, **fields: Any) -> IntegerNetlist:
    """Inputs of 100, neurons of 200 and of 50, each with as many synapses as neurons."""
    ones = [
        Sparse(np.ones(200, int), np.arange(200), np.arange(200) % 100, (100,), (200,)),
        Sparse(np.ones(50, int), np.arange(50), np.arange(50), (200,), (50,)),
    ]
    cells = [kind("x", (100,), 0, 1), neuron("a", (200,), 5, **fields), neuron("b", (50,), 5)]
    links = [project("x", "a", ones[0]), project("a", "b", ones[1])]
    return net("n", cells, links, ["b"], T)


@pytest.mark.parametrize(
    ("kind", "worst"),
    [
        # Rasters of x, then of x and a, then of a and b, with the sum of a stage's input.
        (spikes, 100 * T * 4 + 200 * T + 200 * T * 4),
        (current, 100 * 4 + 200 * T + 200 * T * 4),
    ],
)
def test_bytes_of_a_sample_at_the_worst_moment(kind: Any, worst: int) -> None:
    made = build_plan(chain(kind), T, "float32")
    assert made.sample_bytes == worst
    assert made.state_bytes == 200 * 4
    assert dict(made.uses) == {"x": 1, "a": 1, "b": 0}


def test_rasters_are_forgotten_when_nothing_hears_them_any_more() -> None:
    sizes = {"x": 100, "a": 200, "b": 300, "c": 400}
    cells = [spikes("x", (100,)), *(neuron(n, (k,), 5) for n, k in list(sizes.items())[1:])]

    def link(pre: str, post: str) -> Any:
        n = sizes[post]
        pairs = np.arange(n), np.arange(n) % sizes[pre]
        return project(pre, post, Sparse(np.ones(n, int), *pairs, (sizes[pre],), (n,)))

    def worst(*links: tuple[str, str]) -> int:
        netlist = net("n", cells, [link(*ends) for ends in links], ["c"], T)
        return build_plan(netlist, T, "float32").sample_bytes

    # Of the last stage: what it hears, what it emits, its input's sum.
    last = 400 * T + 400 * T * 4
    assert worst(("x", "a"), ("a", "b"), ("b", "c")) == 300 * T + last
    # And one more product beside the sum where it hears two.
    assert worst(("x", "a"), ("a", "b"), ("b", "c"), ("a", "c")) == 500 * T + last + 400 * T * 4
    both = worst(("x", "a"), ("a", "b"), ("b", "c"), ("x", "c"))
    assert both == 100 * T * 4 + 300 * T + last + 400 * T * 4


def test_a_cycle_takes_all_steps_of_its_members() -> None:
    first = chain()
    loop = project("a", "a", identity((200,), -1))
    netlist = net("n", first.populations, [*first.projections, loop], ["b"], T)
    made = build_plan(netlist, T, "float32")
    assert [len(stage.inner) for (stage,) in made.components] == [1, 0]
    assert [len(stage.outer) for (stage,) in made.components] == [1, 1]
    assert made.sample_bytes == 100 * T * 4 + 200 * T + 200 * T * 4


@pytest.mark.parametrize(
    ("sample", "state", "threads", "chunk"),
    [
        (2**20, 0, 1, 32),
        (2**20, 0, 2, 64),
        (2**20, 0, 99, 256),
        (2**21, 0, 8, 128),
        (2**21, 0, 9, 128),
        (2**26, 0, 1, 1),
        (0, 0, 1, 256),
        (1, 2**14, 1, 32),
        (1, 2**19, 1, 1),
        (1, 2**20, 1, 1),
    ],
)
def test_samples_side_by_side(
    sample: int, state: int, threads: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert EnginePlan((), {}, {}, sample, state).chunk() == chunk


def test_steps_at_a_time_fit_the_cache() -> None:
    ((stage,), _) = build_plan(chain(), T, "float32").components
    step = 200 * 4
    assert stage.block(1, 5) == 5
    for batch in (1, 3):
        most = 2**20 // (batch * step)
        assert stage.block(batch, 10**6) == most
    assert stage.block(10**6, T) == 1


def real(bias: float = 0.0) -> RealNetlist:
    model = RealNeuron(np.array(1.0), np.array(bias), np.array(0.0))
    cells = (Population("x", (3,), Input("current", 0, 9)), Population("h", (2,), model))
    link = RealProjection("x", "h", Dense(np.ones((2, 3)), (3,)))
    return RealNetlist("n", cells, (link,), (Output("h", "counts"),), T)


def test_floats_take_all_steps_and_any_number_of_samples() -> None:
    for name, number in (("float32", torch.float32), ("float64", torch.float64)):
        made = build_plan(real(), T, name)
        ((stage,),) = made.components
        assert (stage.state, stage.block(10**6, T), made.state_bytes) == (number, T, 0)
    with pytest.raises(UsageError, match="engine dtype 'float16'; expected 'float32' or 'float64'"):
        build_plan(real(), T, "float16")


def test_a_bias_joins_a_constant_input() -> None:
    ((stage,),) = build_plan(real(0.5), T, "float64").components
    assert stage.constant_bias is not None
    assert stage.constant_bias.tolist() == [0.5, 0.5]
    assert is_constant(real(), stage.outer[0])
    ((none,),) = build_plan(real(), T, "float64").components
    assert none.constant_bias is None
    ((alone, _)) = build_plan(chain(bias=3), T, "float32").components
    assert alone[0].constant_bias is None
    assert not is_constant(chain(), alone[0].outer[0])
    ((remembers, _)) = build_plan(chain(current, bias=3, current_decay=9), T, "float32").components
    assert remembers[0].constant_bias is None
    assert remembers[0].fires


def listed(counts: list[int]) -> Synapses:
    post = np.repeat(np.arange(len(counts)), counts)
    pre = np.concatenate([np.arange(n) for n in counts])
    return Synapses(post, pre, np.arange(1, len(post) + 1), len(counts), 5)


def test_few_synapses_are_gathered_by_rank() -> None:
    found = listed([2, 0, 4]).gather()
    assert found is not None
    index, weight = found
    assert index.tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 2], [0, 0, 3]]
    assert weight.tolist() == [[1, 0, 3], [2, 0, 4], [0, 0, 5], [0, 0, 6]]
    assert listed([2, 5]).gather() is None
    empty = listed([0, 0]).gather()
    assert empty is not None
    assert empty[0].tolist() == [[0, 0]]


def test_small_maps_are_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = listed([2, 0, 1]).matrix()
    assert matrix is not None
    assert matrix.tolist() == [[1, 2, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]]
    for limit, fits in ((15, True), (14, False)):
        monkeypatch.setitem(synapses.__globals__, "MAX_DENSE_ENTRIES", limit)
        assert (listed([2, 0, 1]).matrix() is not None) is fits


@pytest.mark.parametrize(
    ("index", "weight", "n_pre", "same"),
    [
        ([[0, 1, 2]], [[1, 1, 1]], 3, True),
        ([[0, 1, 2]], [[1, 2, 1]], 3, False),
        ([[0, 2, 1]], [[1, 1, 1]], 3, False),
        ([[0, 1, 2]], [[1, 1, 1]], 4, False),
        ([[0, 1, 2], [1, 0, 0]], [[1, 1, 1], [0, 3, -2]], 3, False),
    ],
)
def test_gathered_sums_equal_the_matrix(
    index: list[list[int]], weight: list[list[int]], n_pre: int, same: bool
) -> None:
    made = GatherProduct(np.array(index), np.array(weight), n_pre, torch.int32)
    assert made.is_identity is same
    matrix = np.zeros((3, n_pre), int)
    for own, values in zip(index, weight, strict=True):
        np.add.at(matrix, (np.arange(3), own), values)
    x = torch.arange(2 * n_pre, dtype=torch.int8).reshape(2, n_pre)
    expected = x.numpy().astype(int) @ matrix.T
    assert made(x).tolist() == expected.tolist()
    total = torch.full((2, 3), 7, dtype=torch.int32)
    made.add_to(total, x)
    assert total.tolist() == (expected + 7).tolist()
    assert made(x).data_ptr() != x.data_ptr()
