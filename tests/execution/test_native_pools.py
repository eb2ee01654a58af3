"""Pools of the native engine whose windows do and do not meet every row just once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurodeploy.execution import run_engine
from neurodeploy.ir.connectivity import identity
from neurodeploy.ir.reference import run_reference
from neurodeploy.testing.parts import net, neuron, pool, project, spikes, window


@pytest.mark.parametrize(
    ("rows", "kernel", "stride", "padding", "dilation"),
    [
        (6, 2, 2, 0, 1),
        # Rows that no window meets, windows beyond the last row, rows of two windows.
        (5, 2, 2, 0, 1),
        (5, 2, 2, [(0, 1), 0], 1),
        (5, 3, 3, [(0, 1), 0], 1),
        (6, 2, 2, [(1, 1), 0], 1),
        (6, 3, 2, 0, 1),
        (6, 2, 3, 0, 1),
        (6, (2, 1), (2, 1), 0, (2, 1)),
        (1, (1, 2), (1, 2), 0, 1),
    ],
)
@pytest.mark.parametrize("rule", ["maximum", "winner", "now"])
def test_pools_equal_the_reference(
    rows: int, kernel: Any, stride: Any, padding: Any, dilation: Any, rule: Any
) -> None:
    place = window((rows, 4), kernel, stride, padding, dilation)
    pools = pool("p", 3, place, rule)
    cells = [spikes("x", (3, rows, 4)), neuron("h", (3, rows, 4), 2), pools]
    cells.append(neuron("out", pools.shape, 1))
    links = [
        project("x", "h", identity((3, rows, 4))),
        project("h", "p", identity((3, rows, 4))),
        project("p", "out", identity(pools.shape)),
    ]
    netlist = net("n", cells, links, ["out"], 10)
    x = {"x": (np.random.default_rng(rows).random((4, 10, 3, rows, 4)) < 0.6).astype(np.int64)}
    ours, theirs = run_engine(netlist, x), run_reference(netlist, x)
    for name in ("h", "p", "out"):
        np.testing.assert_array_equal(ours.spikes[name], theirs.spikes[name])
