"""Names, ranges and sizes of a plan, without Brian2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.targets.brian2.plan import Plan, _identifier, describe, make_plan, pool_taps
from neurodeploy.targets.timed import TimedNetlist
from neurodeploy.testing.parts import current, net, neuron, pool, project, spikes, window


def plan(source: Any, **fields: Any) -> Plan:
    """An input of 1 x 4, neurons, and a pool of pairs of them."""
    cells = [source, neuron("h", (1, 4), 2, **fields), pool("p", 1, window((4,), 2, 2))]
    links = [
        project("x", "h", identity((1, 4), 3), exponent=2, bits=3),
        project("h", "p", identity((1, 4))),
    ]
    return make_plan(TimedNetlist.of(net("net", cells, links, ["p"], 3)))


@pytest.mark.parametrize(
    ("low", "high", "emits", "signed", "graded"),
    [
        (0, 1, True, False, False),
        (-1, 0, True, True, False),
        (-1, 1, True, True, False),
        (0, 2, True, False, True),
        (-2, 0, True, True, True),
    ],
)
def test_what_an_input_emits(low: int, high: int, emits: bool, signed: bool, graded: bool) -> None:
    made = make_plan(TimedNetlist.of(net("n", [spikes("x", (1, 4), low, high)], [], ["x"], 3)))
    group = made.group("x")
    assert (group.emits, group.signed, group.graded) == (emits, signed, graded)
    assert (group.low, group.high, group.kind, group.neuron) == (low, high, "spikes", None)


def test_what_neurons_emit_is_proved() -> None:
    made = plan(current("x", (1, 4), 0, 1), payload_max=4)
    assert [(g.name, g.kind, g.depth) for g in made.groups] == [
        ("x", "current", 0),
        ("h", "neuron", 1),
        ("p", "pool", 2),
    ]
    h, p = made.group("h"), made.group("p")
    assert (h.low, h.high, h.graded, h.n_cells, h.size) == (0, 4, True, 4, 4)
    assert (p.high, p.n_cells, p.size, p.shape) == (4, 4, 2, (1, 2))
    silent = make_plan(TimedNetlist.of(net("n", [neuron("h", (2,), None)], [], ["h"], 3)))
    assert not silent.group("h").emits


def test_quantities_are_flat_and_absent_ones_none() -> None:
    made = plan(spikes("x", (1, 4)), bias=[[1, 2, 3, 4]])
    group = made.group("h")
    bias, theta = group.quantity("bias"), group.quantity("threshold")
    assert bias is not None
    assert theta is not None
    assert (bias.tolist(), theta.tolist()) == ([1, 2, 3, 4], [2, 2, 2, 2])
    assert group.quantity("floor") is None
    assert made.group("p").quantity("bias") is None


def test_links_have_their_delays_and_shifted_weights() -> None:
    made = plan(spikes("x", (1, 4)))
    first = made.links[0]
    pre, post, weight = first.synapses()
    assert (pre.tolist(), post.tolist(), weight.tolist()) == ([*range(4)], [*range(4)], [12] * 4)
    assert (first.name, first.object, first.delay) == ("x->h", "x_to_h", 1)
    assert (made.n_steps, made.n_synapses, made.endless) == (5, 8, False)
    assert describe(made) == {
        "inputs": 4,
        "neurons": 6,
        "synapses": 8,
        "groups": {"x": 4, "h": 4, "p": 2},
        "links": {"x->h#0": 4, "h->p#1": 4},
    }


def test_names_become_identifiers_of_their_own() -> None:
    taken: set[str] = set()
    names = ["a.b", "a-b", "a_b", "1", "_x", "h_spikes", "h", "h_cells"]
    found = [_identifier(name, taken) for name in names]
    assert found[:6] == ["a_b", "a_b_2", "a_b_3", "p1", "p_x", "h_spikes"]
    # A monitor of the first would be named like the other.
    assert found[6:] == ["h_2", "h_cells"]


def test_cells_of_a_pool_by_tap() -> None:
    place = Window((3,), (2,), (2,), ((0, 1),), (1,))
    found = pool_taps(MaxPool(2, place))
    # Both channels, and 6 where a window ends in the padding.
    assert found.tolist() == [[0, 2, 3, 5], [1, 6, 4, 6]]
    assert found.dtype == np.int64
