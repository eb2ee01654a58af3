"""Settings of the process change nothing: autocast, default types and devices, and the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from neurodeploy.execution.pytorch.engine import Engine
from neurodeploy.ir.reference import run_reference
from neurodeploy.numerics.torch_state import plain_torch
from neurodeploy.source.analog import AnalogGraph, AnalogNode, Conv2d, Input, Linear, Reshape
from neurodeploy.source.evaluation.in_torch import evaluate
from neurodeploy.testing.parts import conv, current, dense, integrator, net, neuron, project, window
from neurodeploy.testing.stimuli import random_stimulus
from tests.execution.test_equals_reference import as_real

Settings = Callable[[], AbstractContextManager[object]]


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float16)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def half_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


SETTINGS: dict[str, Settings] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype": default_dtype,
    "default device": lambda: torch.device("meta"),
    "deterministic": deterministic,
    "half precision": half_precision,
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_engine_does_not_hear_of_it(settings: Settings) -> None:
    rng = np.random.default_rng(0)
    source = current("x", (4, 6, 6))
    link = conv(rng, 8, 4, window((6, 6), (3, 3)))
    links = [project("x", "h", link), project("h", "o", dense(rng, 4, link.post_shape))]
    hidden = neuron("h", link.post_shape, 999, bias=3, initial_membrane=400, payload_max=200)
    netlist = net("n", [source, hidden, integrator("o", (4,))], links, ["o"])
    x = random_stimulus([source], 12, rng)
    truth = run_reference(netlist, x, membranes=["h"])
    real = as_real(netlist)
    floats = Engine(real).run(x).membranes["o"]
    with settings():
        engine = Engine(netlist)
        inside = engine.run(x, membranes=["h"])
        summary = engine.summarize(x)
        real_inside = Engine(real).run(x).membranes["o"]
    outside = Engine(netlist).run(x, membranes=["h"])
    again = engine.run(x, membranes=["h"])
    for run in (inside, outside, again):
        for name in ("h", "o"):
            np.testing.assert_array_equal(run.membranes[name], truth.membranes[name])
        np.testing.assert_array_equal(run.spikes["h"], truth.spikes["h"])
    np.testing.assert_array_equal(summary.traces["o"], truth.membranes["o"])
    np.testing.assert_array_equal(real_inside, floats)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_source_network_does_not_hear_of_it(settings: Settings) -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(16, 3, 3, 3)).astype(np.float32)
    weight = rng.normal(size=(10, 16 * 14 * 14)).astype(np.float32)
    nodes = (
        AnalogNode("x", Input((3, 16, 16)), (), (3, 16, 16)),
        AnalogNode("c", Conv2d(kernel), ("x",), (16, 14, 14)),
        AnalogNode("f", Reshape((16 * 14 * 14,)), ("c",), (16 * 14 * 14,)),
        AnalogNode("l", Linear(weight), ("f",), (10,)),
    )
    graph = AnalogGraph("g", nodes, ("x",), ("l",))
    x = rng.normal(size=(64, 3, 16, 16)).astype(np.float32)
    outside = evaluate(graph, x)["l"]
    with settings():
        inside = evaluate(graph, x)["l"]
    assert inside.dtype == outside.dtype == np.float32
    np.testing.assert_array_equal(inside, outside)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings_are_restored(settings: Settings) -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.is_autocast_enabled("cpu"),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.is_grad_enabled(),
        )

    with settings():
        before = state()
        with plain_torch():
            assert torch.empty(1).dtype == torch.float32
            assert torch.empty(1).device.type == "cpu"
            assert not torch.is_grad_enabled()
        assert state() == before
