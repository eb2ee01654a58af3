"""Netlists that do not fit a small board whole, and their comparison with the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.hardware.boards.board import Board
from neurodeploy.ir.arrays import IntArray
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.ir.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.targets.truenorth.deployment import TrueNorthDeployment
from neurodeploy.targets.truenorth.target import TrueNorthTarget
from tests.targets.truenorth.crossbar_nets import chain, raster, small_board

SMALL = small_board(axons=48, neurons=20)


def compiled(net: IntegerNetlist, board: Board = SMALL, **options: Any) -> TrueNorthDeployment:
    deployment = TrueNorthTarget().compile(Network(net), board, {"split": "exact", **options})
    assert isinstance(deployment, TrueNorthDeployment)
    return deployment


def assert_exact(
    net: IntegerNetlist,
    board: Board = SMALL,
    stimulus: dict[str, IntArray] | None = None,
    **options: Any,
) -> TrueNorthDeployment:
    """Compile, run and compare spikes and membranes of every population in every step."""
    stimulus = raster(net, 4) if stimulus is None else stimulus
    deployment = compiled(net, board, **options)
    inner = [p.name for p in net.populations if p not in net.inputs]
    watched = [name for name in inner if not deployment.readout.is_ramped(name)]
    expected = run_reference(net, stimulus, membranes=watched)
    found = deployment.run(stimulus, membranes=watched)
    for name in inner:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name], name)
    for name in watched:
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], name)
    return deployment


def approximated(net: IntegerNetlist, board: Board = SMALL, **options: Any) -> TrueNorthDeployment:
    return compiled(net, board, **{"split": "approximate", **options})


def with_means(net: IntegerNetlist, rate: float) -> IntegerNetlist:
    """All populations with a calibration mean of so many spikes a step."""
    told = [
        replace(p, unit=np.float64(1), mean=np.full(p.shape, rate, dtype=np.float32))
        for p in net.populations
    ]
    return replace(net, populations=tuple(told))


def wide(inputs: int = 70, n: int = 6, seed: int = 0, **fields: Any) -> IntegerNetlist:
    """A dense layer of 3-bit weights on ``inputs`` inputs, and a layer that repeats its spikes."""
    weight = np.random.default_rng(seed).integers(-4, 4, (n, inputs))
    fields = {"threshold": 9, "initial_membrane": 2, **fields}
    return chain(weight, timesteps=10, **fields)


LARGER = small_board(axons=128, neurons=64)


def layer_of(deployment: TrueNorthDeployment, name: str) -> dict[str, Any]:
    return next(layer for layer in deployment.layers if layer["population"] == name)
